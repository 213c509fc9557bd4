//! The tick without pauses: what the work costs when caches are warm.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hostwell_agent::probe::{ProbeOptions, Rack};
use hostwell_agent::sample::{Readings, Sample, SeriesTable};
use hostwell_agent::source::Source;
use hostwell_agent::spool::{self, Handoff, SpoolConfig};
use hostwell_tests::figures;
use hostwell_tests::process::{cpu_ns, median};
use hostwell_tests::wait::seconds;

use crate::peers;

/// CPU milliseconds of one cycle.
pub(crate) struct Hot {
    /// All our probes, each at its own pace, packing, and writing the spool; no pauses.
    pub(crate) ours_ms: f64,
    /// collectd's cycle, plugins and packets, at [`COLLECTD_INTERVAL`].
    pub(crate) collectd_ms: f64,
    /// collectd's cycle when it is asked for more than it can do, so that it never sleeps.
    pub(crate) collectd_busy_ms: f64,
}

/// collectd has no way to run without pauses but an interval. Its cycle costs the same from 5 to
/// 100 ms, about a millisecond: the only pace that fits the 1.10 ms which the figure to reach is a
/// part of. How that was taken is not told, so the cycle without sleep is shown beside it.
const COLLECTD_INTERVAL: Duration = Duration::from_millis(10);
/// Below what collectd can keep up with: its threads find the next cycle due when one is done.
const COLLECTD_BUSY: Duration = Duration::from_micros(200);
/// Ticks that travel together, as by default at 1 s.
const BATCH: usize = 10;
const TICKS: u64 = 5_000;

/// Runs both, one after the other, three times each; medians.
pub(crate) fn measure(folder: &Path) -> Hot {
    let (mut ours, mut collectd, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..3 {
        let place = |name: &str| {
            let place = folder.join(format!("hot-{name}{round}"));
            std::fs::create_dir_all(&place).unwrap();
            place
        };
        // Without optimisation the figure means nothing.
        ours.push(if cfg!(debug_assertions) {
            f64::NAN
        } else {
            our_tick(&place("ours"))
        });
        let (paced, values) = collectd_second(&place("collectd"), COLLECTD_INTERVAL);
        let per_second = 1.0 / COLLECTD_INTERVAL.as_secs_f64();
        collectd.push(paced / per_second);
        // It cannot keep up here, so cycles are counted by values.
        let per_cycle = values / per_second;
        let (spent, values) = collectd_second(&place("busy"), COLLECTD_BUSY);
        busy.push(spent / (values / per_cycle));
    }
    Hot {
        ours_ms: median(&ours),
        collectd_ms: median(&collectd),
        collectd_busy_ms: median(&busy),
    }
}

/// collectd's CPU milliseconds and values in a second.
fn collectd_second(folder: &Path, interval: Duration) -> (f64, f64) {
    let peer = peers::collectd(folder, interval);
    let pid = peer.programs[0].pid();
    std::thread::sleep(seconds(2));
    let read = || (cpu_ns(pid), peer.values.load(Ordering::Relaxed));
    let (before, start) = (read(), std::time::Instant::now());
    std::thread::sleep(seconds(6));
    let (after, elapsed_s) = (read(), start.elapsed().as_secs_f64());
    (
        (after.0 - before.0) as f64 / 1e6 / elapsed_s,
        (after.1 - before.1) as f64 / elapsed_s,
    )
}

/// Everything the sampling thread does at a tick, tick after tick: this thread's CPU.
fn our_tick(folder: &Path) -> f64 {
    let source = Source::live(Path::new("/"));
    let mut rack = Rack::new(&ProbeOptions::default(), seconds(1));
    let bounds = SpoolConfig {
        bytes_max: 64 << 20,
        free_bytes_min: 0,
        free_ratio_min: 0.0,
        ..SpoolConfig::default()
    };
    let first_ms = crate::now_ms();
    let (spool, mut table) = spool::open(folder, bounds, first_ms).unwrap();
    let handoff = Handoff::new(spool, table.clone(), BATCH);
    let mut run = |from: u64, ticks: u64| {
        for tick in from..from + ticks {
            let time_ms = first_ms + tick as i64;
            let readings = read(&mut rack, &source, &mut table, tick);
            handoff.add(&table, &Sample { time_ms, readings }, time_ms);
        }
    };
    run(0, 200);
    let before = thread_cpu_ns();
    run(200, TICKS);
    let spent = thread_cpu_ns() - before;
    let batches = handoff.progress().spool.batches;
    assert!(
        batches >= TICKS / BATCH as u64,
        "only {batches} batches in the spool"
    );
    spent as f64 / 1e6 / TICKS as f64
}

/// One tick: the probes that are due.
fn read(rack: &mut Rack, source: &Source, table: &mut SeriesTable, tick: u64) -> Vec<(u32, f64)> {
    let mut readings = Vec::new();
    for probe in 0..rack.len() {
        let mut out = Readings {
            table: &mut *table,
            readings: &mut readings,
        };
        // A subject that this machine does not have is not ours to judge here.
        drop(rack.read(probe, source, tick, &mut out));
    }
    readings
}

/// CPU nanoseconds of this thread.
fn thread_cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

impl Hot {
    /// Both as a Markdown table.
    pub(crate) fn table(&self) -> String {
        let rows = [
            (
                "hostwell-agent: all probes, packing, spool; no pauses",
                self.ours_ms,
            ),
            ("collectd → UDP, interval 10 ms", self.collectd_ms),
            ("collectd → UDP, never asleep", self.collectd_busy_ms),
        ];
        let rows = rows.map(|(name, ms)| vec![name.to_owned(), format!("{ms:.4}")]);
        figures::free(&["program", "CPU ms a cycle"], &rows)
    }
}
