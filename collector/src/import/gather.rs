//! From single samples to chunks for the store: names held to the door's limits, samples of the
//! same series together, the host's own step found on the way.

use std::collections::HashMap;

use hostwell_proto::column::{Block, Column};
use hostwell_proto::metric::{Kind, Metric};
use tokio::sync::mpsc;

use super::mapping::{Mapping, Output};
use super::shape::Shape;
use crate::config::Limits;
use crate::ingest;
use crate::series::SeriesName;
use crate::store::HostFacts;

/// Samples of one chunk: few enough to hold several in memory, enough for one `fsync`.
const CHUNK_SAMPLES: usize = 32_768;
/// Different distances that are told apart when the usual one is looked for.
const DISTANCES_MAX: usize = 10_000;
/// Times that a file can mean: from 1970 to 2200.
const TIME_MS_MAX: i64 = 7_258_118_400_000;

/// Samples that go into the store together.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Counts from 1 within a file; the same file is always cut the same way.
    pub sequence: u64,
    /// Series met since the chunk before: their slots go on where those ended.
    pub fresh: Vec<(SeriesName, Kind)>,
    /// Slot and samples, ascending by slot; samples ascending in time, no time twice.
    pub columns: Vec<(u32, Vec<(i64, f64)>)>,
    /// The usual distance between samples, as far as it is known.
    pub step_ms: Option<i64>,
    /// The newest time so far.
    pub to_ms: i64,
}

impl Chunk {
    /// How many samples it holds.
    pub(super) fn samples(&self) -> usize {
        self.columns.iter().map(|(_, points)| points.len()).sum()
    }

    /// Times and values; columns are numbered by their position.
    pub(super) fn block(&self) -> Block {
        let mut times_ms: Vec<i64> = self
            .columns
            .iter()
            .flat_map(|(_, points)| points.iter().map(|p| p.0))
            .collect();
        times_ms.sort_unstable();
        times_ms.dedup();
        let columns = (0u32..).zip(&self.columns).map(|(number, (_, points))| {
            let mut at = 0;
            let ticks = (points.len() != times_ms.len()).then(|| {
                points
                    .iter()
                    .map(|(time, _)| {
                        at += times_ms[at..].partition_point(|t| t < time);
                        at as u16
                    })
                    .collect()
            });
            Column {
                number,
                ticks,
                values: points.iter().map(|p| p.1).collect(),
            }
        });
        Block {
            columns: columns.collect(),
            times_ms,
        }
    }
}

/// What a file came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub samples: u64,
    pub empty: u64,
    pub not_finite: u64,
    pub left_out: u64,
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
    pub step_ms: Option<i64>,
    pub facts: HostFacts,
    pub series: Vec<Known>,
}

/// A series of the file.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub name: SeriesName,
    pub kind: Kind,
    /// What the file calls it.
    pub from: String,
    pub samples: u64,
    last: Option<(i64, f64)>,
    points: Vec<(i64, f64)>,
}

/// Nobody wants the rest of the file any more; why is known where the chunks went.
#[derive(Debug, thiserror::Error)]
#[error("the import was stopped")]
pub(super) struct Stopped;

/// One way of a foreign series into the store.
#[derive(Clone, Debug)]
pub(super) struct Track {
    slot: u32,
    shape: Shape,
}

/// Takes samples in, hands chunks on.
pub(super) struct Gatherer {
    mapping: Mapping,
    limits: Limits,
    send: mpsc::Sender<Chunk>,
    slots: HashMap<SeriesName, u32>,
    told: usize,
    waiting: usize,
    sequence: u64,
    distances: HashMap<i64, u64>,
    /// The one value each label has that names the host and not the series.
    identity: HashMap<&'static str, String>,
    pub(super) tally: Tally,
}

/// Whether a moment is one that a file can mean.
pub(super) fn is_time(time_ms: i64) -> bool {
    (0..=TIME_MS_MAX).contains(&time_ms)
}

/// What a time should be, for messages.
pub(super) const TIME: &str =
    "a time between 1970 and 2200: Unix seconds, Unix milliseconds or RFC 3339";

impl Gatherer {
    pub(super) fn new(mapping: Mapping, limits: Limits, send: mpsc::Sender<Chunk>) -> Gatherer {
        Gatherer {
            mapping,
            limits,
            send,
            slots: HashMap::new(),
            told: 0,
            waiting: 0,
            sequence: 0,
            distances: HashMap::new(),
            identity: HashMap::new(),
            tally: Tally::default(),
        }
    }

    /// Announces a foreign series, called `text` in full; answers where its samples go, which may
    /// be nowhere or to several. `factor` is that of a unit the file itself gives.
    pub(super) fn track(
        &mut self,
        text: &str,
        metric: &str,
        labels: &[(String, String)],
        (kind, factor): (Option<Kind>, f64),
    ) -> Result<Vec<Track>, String> {
        if !self.mapping.wants(labels) {
            return Ok(Vec::new());
        }
        let outputs = self.mapping.outputs(text, metric, labels, factor);
        let mut tracks = Vec::with_capacity(outputs.len());
        for output in outputs {
            tracks.push(self.declare(text, output, kind)?);
        }
        Ok(tracks)
    }

    fn declare(&mut self, from: &str, output: Output, kind: Option<Kind>) -> Result<Track, String> {
        let Output {
            metric,
            mut labels,
            kind: mapped,
            shape,
        } = output;
        let known = Metric::by_name(&metric).map(Metric::descriptor);
        self.without_identity(&mut labels, known.is_some())?;
        // An empty label is the same as none; one of the catalogue's that is missing is unknown.
        labels.retain(|(_, value)| !value.is_empty());
        for name in known.map_or(&[][..], |row| row.labels) {
            if !labels.iter().any(|(n, _)| n == name) {
                labels.push(((*name).to_owned(), String::new()));
            }
        }
        let (name, kind) = ingest::admit(&metric, &labels, mapped.or(kind), &self.limits)?;
        let slot = match self.slots.get(&name) {
            Some(slot) => *slot,
            None => {
                let max = self.limits.series_per_host;
                if self.tally.series.len() >= max {
                    return Err(format!("more than {max} series: leave some out (--map)"));
                }
                let slot = self.tally.series.len() as u32;
                self.slots.insert(name.clone(), slot);
                self.tally.series.push(Known {
                    name,
                    kind,
                    from: from.to_owned(),
                    samples: 0,
                    last: None,
                    points: Vec::new(),
                });
                slot
            }
        };
        Ok(Track { slot, shape })
    }

    /// Takes off what names the host: the import itself says which host it is. Two of them in one
    /// file would be mixed, which is refused.
    fn without_identity(
        &mut self,
        labels: &mut Vec<(String, String)>,
        catalogued: bool,
    ) -> Result<(), String> {
        labels.retain(|(name, _)| !self.mapping.drops(name));
        let own: &[&'static str] = match catalogued {
            true => &["host", "instance", "job"],
            false => &["host"],
        };
        for label in own {
            let Some(at) = labels.iter().position(|(name, _)| name == label) else {
                continue;
            };
            let (_, value) = labels.swap_remove(at);
            let first = self.identity.entry(label).or_insert_with(|| value.clone());
            if *first != value {
                return Err(format!(
                    "samples of one host only: {label}={first:?} and {label}={value:?} are in one \
                     file; choose with `only = {{ {label} = {first:?} }}` in a file given as --map"
                ));
            }
        }
        Ok(())
    }

    /// Takes one value of a foreign series.
    pub(super) fn take(
        &mut self,
        tracks: &mut [Track],
        time_ms: i64,
        value: f64,
    ) -> Result<(), Stopped> {
        if tracks.is_empty() {
            self.tally.left_out += 1;
        }
        for track in tracks {
            let value = track.shape.apply(time_ms, value);
            self.keep(track.slot, time_ms, value)?;
        }
        Ok(())
    }

    fn keep(&mut self, slot: u32, time_ms: i64, value: f64) -> Result<(), Stopped> {
        if !value.is_finite() {
            self.tally.not_finite += 1;
            return Ok(());
        }
        let series = &mut self.tally.series[slot as usize];
        if let Some((before_ms, _)) = series.last {
            let distance_ms = time_ms - before_ms;
            if distance_ms > 0 {
                if self.distances.len() < DISTANCES_MAX {
                    *self.distances.entry(distance_ms).or_default() += 1;
                } else if let Some(count) = self.distances.get_mut(&distance_ms) {
                    *count += 1;
                }
            }
        }
        series.last = Some((time_ms, value));
        series.samples += 1;
        series.points.push((time_ms, value));
        let tally = &mut self.tally;
        tally.samples += 1;
        tally.from_ms = Some(tally.from_ms.map_or(time_ms, |t| t.min(time_ms)));
        tally.to_ms = tally.to_ms.max(Some(time_ms));
        self.waiting += 1;
        if self.waiting >= CHUNK_SAMPLES {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Stopped> {
        let mut columns = Vec::new();
        for (slot, series) in (0u32..).zip(&mut self.tally.series) {
            let mut points = std::mem::take(&mut series.points);
            if points.is_empty() {
                continue;
            }
            if !points.is_sorted_by(|a, b| a.0 < b.0) {
                // Of equal times the first one wins, as everywhere.
                points.sort_by_key(|p| p.0);
                points.dedup_by_key(|p| p.0);
            }
            columns.push((slot, points));
        }
        self.waiting = 0;
        self.sequence += 1;
        let fresh = &self.tally.series[self.told..];
        let chunk = Chunk {
            sequence: self.sequence,
            fresh: fresh.iter().map(|s| (s.name.clone(), s.kind)).collect(),
            columns,
            step_ms: self.step_ms(),
            to_ms: self.tally.to_ms.unwrap_or(0),
        };
        self.told = self.tally.series.len();
        self.send.blocking_send(chunk).map_err(|_| Stopped)
    }

    /// The median distance; one that is within a twentieth of whole seconds is those seconds.
    fn step_ms(&self) -> Option<i64> {
        let mut sorted: Vec<(i64, u64)> = self.distances.iter().map(|(d, n)| (*d, *n)).collect();
        sorted.sort_unstable();
        let half = sorted.iter().map(|(_, n)| n).sum::<u64>().div_ceil(2);
        let mut seen = 0;
        let (median, _) = sorted.into_iter().find(|(_, n)| {
            seen += n;
            seen >= half
        })?;
        let whole = (median + 500) / 1000 * 1000;
        let near = whole > 0 && (median - whole).abs() * 20 <= whole;
        Some(if near { whole } else { median })
    }

    /// Hands the rest on; answers what the file came to.
    pub(super) fn finish(mut self) -> Result<Tally, Stopped> {
        if self.waiting > 0 {
            self.send()?;
        }
        self.tally.step_ms = self.step_ms();
        let mut tally = std::mem::take(&mut self.tally);
        let cpus = tally.series.iter().filter_map(|s| {
            let cpu = s.name.label("cpu")?;
            (s.name.metric == "node_cpu_seconds_total" && !cpu.is_empty()).then_some(cpu)
        });
        let cpus = cpus.collect::<std::collections::BTreeSet<_>>().len();
        if tally.facts.cpus == 0 {
            tally.facts.cpus = cpus as u32;
        }
        let last = |metric: &str| {
            let series = tally.series.iter().find(|s| s.name.metric == metric)?;
            series.last.map(|(_, value)| value)
        };
        if let Some(bytes) = last("node_memory_MemTotal_bytes") {
            tally.facts.memory_bytes = bytes as u64;
        }
        if let Some(seconds) = last("node_boot_time_seconds") {
            tally.facts.boot_time_ms = (seconds * 1000.0) as i64;
        }
        Ok(tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a gatherer hands on while `feed` runs, and its tally.
    pub(in crate::import) fn gathered(
        mapping: Mapping,
        feed: impl FnOnce(&mut Gatherer) + Send + 'static,
    ) -> (Vec<Chunk>, Tally) {
        let (send, mut receive) = mpsc::channel(1);
        let mut gatherer = Gatherer::new(mapping, Limits::default(), send);
        let feeding = std::thread::spawn(move || {
            feed(&mut gatherer);
            gatherer.finish().unwrap()
        });
        let chunks = std::iter::from_fn(|| receive.blocking_recv()).collect();
        (chunks, feeding.join().unwrap())
    }

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).into(), (*v).into()))
            .collect()
    }

    #[test]
    fn samples_come_out_in_order_each_time_once() {
        let (chunks, tally) = gathered(Mapping::default(), |g| {
            let mut a = g.track("a", "a", &[], (None, 1.0)).unwrap();
            let mut b = g.track("b", "b_total", &[], (None, 1.0)).unwrap();
            for (time, value) in [(30_000, 3.0), (10_000, 1.0), (30_000, 9.0), (20_000, 2.0)] {
                g.take(&mut a, time, value).unwrap();
            }
            g.take(&mut b, 20_000, f64::NAN).unwrap();
            g.take(&mut b, 20_000, 5.0).unwrap();
        });
        let [chunk] = &chunks[..] else {
            panic!("{} chunks", chunks.len())
        };
        let block = chunk.block();
        assert_eq!(block.times_ms, [10_000, 20_000, 30_000]);
        assert_eq!(block.columns[0].values, [1.0, 2.0, 3.0]);
        assert_eq!(block.columns[1].ticks, Some(vec![1]));
        assert_eq!(chunk.fresh[1].1, Kind::Counter);
        assert_eq!((tally.samples, tally.not_finite), (5, 1));
        assert_eq!((tally.from_ms, tally.to_ms), (Some(10_000), Some(30_000)));
    }

    #[test]
    fn the_step_is_the_median_distance_in_whole_seconds_where_it_nearly_is() {
        for (distances, expected) in [
            (vec![1013, 1002, 1016, 60_000], Some(1000)),
            (vec![60_000, 60_000, 120_000], Some(60_000)),
            (vec![250, 250, 251], Some(250)),
            (vec![], None),
        ] {
            let (_, tally) = gathered(Mapping::default(), move |g| {
                let mut a = g.track("a", "a", &[], (None, 1.0)).unwrap();
                let mut time = 1_000_000;
                g.take(&mut a, time, 1.0).unwrap();
                for distance in distances {
                    time += distance;
                    g.take(&mut a, time, 1.0).unwrap();
                }
            });
            assert_eq!(tally.step_ms, expected);
        }
    }

    #[test]
    fn labels_that_name_the_host_are_taken_off_and_a_second_host_is_refused() {
        gathered(Mapping::default(), |g| {
            let mut track = |metric: &str, pairs: &[(&str, &str)]| {
                g.track(metric, metric, &labels(pairs), (None, 1.0))
            };
            track("node_load1", &[("instance", "a:1"), ("job", "node")]).unwrap();
            track("node_load5", &[("host", "a")]).unwrap();
            track("mine", &[("instance", "b:1")]).unwrap();
            let error = track("node_load15", &[("instance", "b:1")]).unwrap_err();
            assert!(error.contains("only = { instance = \"a:1\" }"), "{error}");
            let names: Vec<String> = g.tally.series.iter().map(|s| s.name.to_string()).collect();
            assert_eq!(
                names,
                ["node_load1", "node_load5", "mine{instance=\"b:1\"}"]
            );
        });
    }

    #[test]
    fn names_are_held_to_the_limits_of_the_door() {
        gathered(Mapping::default(), |g| {
            let mut track = |metric: &str, pairs: &[(&str, &str)]| {
                g.track(metric, metric, &labels(pairs), (None, 1.0))
            };
            track("CPU ALL %", &[]).unwrap();
            track("node_filesystem_size_bytes", &[("mountpoint", "/")]).unwrap();
            let long = "x".repeat(2000);
            assert!(
                track("a", &[("l", &long)])
                    .unwrap_err()
                    .contains("2000 bytes")
            );
            assert!(
                track("a", &[("1", "x")])
                    .unwrap_err()
                    .contains("label name")
            );
            let names: Vec<String> = g.tally.series.iter().map(|s| s.name.to_string()).collect();
            assert_eq!(
                names,
                [
                    "hostwell_custom{name=\"CPU ALL %\"}",
                    "node_filesystem_size_bytes{device=\"\",fstype=\"\",mountpoint=\"/\"}"
                ]
            );
        });
    }
}
