//! One round of all probes, and the watch kept over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hostwell_proto::metric::Metric;

use super::Rhythm;
use crate::probe::{ProbeError, Rack};
use crate::sample::{Readings, Sample, SeriesNumber, SeriesTable};
use crate::source::Source;

/// No probe is running.
const IDLE: usize = usize::MAX;

/// No probe either: the spool is being written.
pub(super) const SPOOL: usize = usize::MAX - 1;

/// What the watchdog can see of the thread that runs the probes.
#[derive(Debug)]
pub(super) struct Watch {
    running: AtomicUsize,
    since_ns: AtomicI64,
    start: Instant,
    abandoned: AtomicBool,
}

impl Watch {
    pub(super) fn new(start: Instant) -> Arc<Watch> {
        Arc::new(Watch {
            running: AtomicUsize::new(IDLE),
            since_ns: AtomicI64::new(0),
            start,
            abandoned: AtomicBool::new(false),
        })
    }

    fn begin(&self, probe: usize, now_ns: i64) {
        self.since_ns.store(now_ns, Ordering::Release);
        self.running.store(probe, Ordering::Release);
    }

    /// Shows this thread as writing to the spool; `false` when it was given up meanwhile.
    pub(super) fn spooling(&self, write: impl FnOnce()) -> bool {
        self.begin(SPOOL, self.start.elapsed().as_nanos() as i64);
        write();
        self.end();
        !self.abandoned()
    }

    fn end(&self) {
        self.running.store(IDLE, Ordering::Release);
    }

    /// The probe that is running and for how long.
    pub(super) fn running(&self) -> Option<(usize, Duration)> {
        let probe = self.running.load(Ordering::Acquire);
        let since_ns = self.since_ns.load(Ordering::Acquire);
        let now_ns = self.start.elapsed().as_nanos() as i64;
        let ran = Duration::from_nanos(now_ns.saturating_sub(since_ns).max(0) as u64);
        (probe != IDLE).then_some((probe, ran))
    }

    /// Leaves the thread behind: whatever it still does is not wanted.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// Probes that did not come back: by index in the rack, whether they have meanwhile.
pub(super) type Stuck = BTreeMap<usize, Arc<Watch>>;

/// The probes with everything they need.
pub(super) struct Round {
    rack: Rack,
    source: Arc<Source>,
    disabled: Vec<usize>,
    stuck: Stuck,
    watch: Arc<Watch>,
    series: Vec<(SeriesNumber, SeriesNumber)>,
    failing: Vec<bool>,
    /// Every series seen by this round or the ones before it.
    pub(super) table: SeriesTable,
}

impl Round {
    /// A fresh rack that numbers series on from `table` and leaves stuck probes alone.
    pub(super) fn new(
        source: Arc<Source>,
        rhythm: &Rhythm,
        mut table: SeriesTable,
        (watch, stuck): (Arc<Watch>, Stuck),
    ) -> Round {
        let rack = Rack::new(&rhythm.probes, rhythm.interval);
        let names: Vec<&str> = (0..rack.len())
            .filter_map(|i| rack.spec(i).map(|spec| spec.name))
            .collect();
        let series = names
            .iter()
            .map(|name| {
                (
                    table.number(Metric::ProbeDuration, &[name]),
                    table.number(Metric::ProbeSuccess, &[name]),
                )
            })
            .collect();
        let is_disabled = |i: &usize| rhythm.disabled.iter().any(|d| d == names[*i]);
        Round {
            disabled: (0..names.len()).filter(is_disabled).collect(),
            failing: vec![false; names.len()],
            rack,
            source,
            stuck,
            watch,
            series,
            table,
        }
    }

    /// Runs every probe that is due. `false` when the watchdog has given this thread up.
    pub(super) fn run(&mut self, tick: u64, sample: &mut Sample) -> bool {
        for index in 0..self.rack.len() {
            if self.disabled.contains(&index) || self.is_stuck(index, sample) {
                continue;
            }
            let started_ns = self.watch.start.elapsed().as_nanos() as i64;
            self.watch.begin(index, started_ns);
            let mut out = Readings {
                table: &mut self.table,
                readings: &mut sample.readings,
            };
            let result = self.rack.read(index, &self.source, tick, &mut out);
            self.watch.end();
            if self.watch.abandoned() {
                return false;
            }
            if let Some(result) = result {
                let took_ns = self.watch.start.elapsed().as_nanos() as i64 - started_ns;
                self.note(index, &result, took_ns, sample);
            }
        }
        true
    }

    /// Whether a probe is still hanging in a thread left behind.
    fn is_stuck(&mut self, index: usize, sample: &mut Sample) -> bool {
        let Some(watch) = self.stuck.get(&index) else {
            return false;
        };
        if watch.running().is_none() {
            tracing::info!("probe {} answers again", self.name(index));
            self.stuck.remove(&index);
            return false;
        }
        sample.readings.push((self.series[index].1, 0.0));
        true
    }

    fn note(
        &mut self,
        index: usize,
        result: &Result<(), ProbeError>,
        took_ns: i64,
        sample: &mut Sample,
    ) {
        if matches!(result, Err(ProbeError::Absent)) {
            return;
        }
        // Whole microseconds: more digits would be noise, and noise does not pack.
        let seconds = (took_ns / 1000) as f64 / 1e6;
        let (duration, success) = self.series[index];
        sample.readings.push((duration, seconds));
        sample
            .readings
            .push((success, if result.is_ok() { 1.0 } else { 0.0 }));
        let failed = result.is_err();
        if failed != self.failing[index] {
            self.failing[index] = failed;
            match result {
                Ok(()) => tracing::info!("probe {} works again", self.name(index)),
                Err(error) => {
                    let error = crate::chain(error);
                    tracing::warn!("probe {} fails: {error}", self.name(index));
                }
            }
        }
    }

    /// The probe's name.
    pub(super) fn name(&self, index: usize) -> &'static str {
        self.rack.spec(index).map_or("?", |spec| spec.name)
    }

    /// The shortest deadline of any probe: the watchdog need not look earlier.
    pub(super) fn deadline_min(&self) -> Duration {
        let deadlines = (0..self.rack.len()).filter_map(|i| self.rack.spec(i));
        Duration::from_millis(deadlines.map(|s| s.deadline_ms).min().unwrap_or(1000))
    }
}
