//! From a host's samples to what is watched of it, moment by moment: whole stretches of windows in,
//! anomalies out.

use std::collections::BTreeMap;

use hostwell_proto::metric::Metric;

use super::{Anomaly, Watch};
use crate::series::derived::DERIVED;
use crate::series::device::{is_disk, is_interface};
use crate::series::{Kind, Series, SeriesName, Window, union_times_ms};

/// Of the metrics of the catalogue these are watched, as they are sampled, …
const SAMPLED: &[Metric] = &[Metric::Load1];
/// … these, derived and known at their own moment, …
const AT_ONCE: &[Metric] = &[Metric::MemoryUsedRatio, Metric::FilesystemUsedRatio];
/// … and these, derived from two samples and known at the second.
const BETWEEN: &[Metric] = &[
    Metric::CpuBusyRatio,
    Metric::CpuIowaitRatio,
    Metric::CpuStealRatio,
    Metric::NetReceiveRate,
    Metric::NetTransmitRate,
    Metric::DiskBusyRatio,
];

/// Whether samples of a metric are looked at: those outside the catalogue, and what the watched ones
/// of the catalogue are made of.
pub fn wants(metric: &str) -> bool {
    match Metric::by_name(metric) {
        None => true,
        Some(known) => SAMPLED.contains(&known) || is_input(metric),
    }
}

fn watched(metrics: &[Metric]) -> bool {
    metrics
        .iter()
        .any(|m| AT_ONCE.contains(m) || BETWEEN.contains(m))
}

fn is_input(metric: &str) -> bool {
    let rows = DERIVED.iter().filter(|row| watched(row.metrics));
    rows.flat_map(|row| row.inputs)
        .any(|input| *input == metric)
}

/// What is sampled more often is watched by its means of a minute: what happens for ten seconds is no
/// risk, and a history is kept in minutes.
pub const STEP_MS: i64 = 60_000;

/// The minute of a series that is running.
#[derive(Clone, Copy, Debug)]
struct Minute {
    start_ms: i64,
    sum: f64,
    count: f64,
    /// The last sample that was taken.
    last_ms: i64,
}

impl Minute {
    fn of(time_ms: i64) -> Minute {
        Minute {
            start_ms: time_ms.div_euclid(STEP_MS) * STEP_MS,
            sum: 0.0,
            count: 0.0,
            last_ms: i64::MIN,
        }
    }

    /// Its mean, known at its end; then it is empty.
    fn end(&mut self) -> Option<(i64, f64)> {
        let mean = (self.count > 0.0).then(|| (self.start_ms + STEP_MS, self.sum / self.count));
        (self.sum, self.count) = (0.0, 0.0);
        mean
    }
}

/// The metrics of the catalogue that are watched, sampled and derived.
pub fn watches() -> impl Iterator<Item = Metric> {
    let all = [SAMPLED, AT_ONCE, BETWEEN];
    all.into_iter().flatten().copied()
}

/// What a series did, by what people call it.
struct Track {
    name: String,
    points: Vec<(i64, f64)>,
    /// How far it was followed.
    at: usize,
}

/// Follows one host through its past.
#[derive(Clone, Debug, Default)]
pub struct Course {
    watch: Watch,
    /// The last samples: rates begin with them.
    last: BTreeMap<SeriesName, (i64, f64)>,
    /// By what people call the series.
    minutes: BTreeMap<String, Minute>,
    /// Up to then all was taken: what was recalled, and followed.
    since_ms: Option<i64>,
}

impl Course {
    /// Takes the samples of a stretch, later than all before; answers what was unusual and over by
    /// its end, and when it was.
    pub fn take(&mut self, mut window: Window) -> Vec<(Anomaly, i64)> {
        window.series.retain(|one| wants(&one.name.metric));
        window.series.iter_mut().for_each(|one| self.join(one));
        self.watch_all(&window)
    }

    /// Begins with what is stored of the past in steps of [`STEP_MS`], each named by its beginning, up
    /// to a moment: of metrics that are watched, sampled and derived.
    pub fn recall(&mut self, steps: &[Series], until_ms: i64) {
        let tracks = steps
            .iter()
            .filter(|series| stands(series))
            .map(|series| Track {
                name: series.name.origin(),
                points: series.points().map(|(t, v)| (t + STEP_MS, v)).collect(),
                at: 0,
            });
        let mut tracks: Vec<Track> = tracks.collect();
        tracks.sort_by(|a, b| a.name.cmp(&b.name));
        self.note(tracks);
        self.since_ms = Some(until_ms - 1);
    }

    /// Takes what is new in a window that may overlap those before. What is older than the newest that
    /// was taken is not new.
    pub fn follow(&mut self, window: &Window) {
        let since_ms = self.since_ms.unwrap_or(i64::MIN);
        let mut newest_ms = since_ms;
        let fresh = window.series.iter().filter_map(|series| {
            let metric = Metric::by_name(&series.name.metric)?;
            if !(SAMPLED.contains(&metric) || is_input(metric.name())) {
                return None;
            }
            let fresh = series.times_ms.partition_point(|t| *t <= since_ms);
            newest_ms = newest_ms.max(*series.times_ms.get(fresh..)?.last()?);
            // With one before, from which rates are known.
            let from = fresh.saturating_sub(1);
            Some(Series {
                name: series.name.clone(),
                kind: series.kind,
                times_ms: series.times_ms[from..].to_vec(),
                values: series.values[from..].to_vec(),
            })
        });
        let fresh = Window {
            host: String::new(),
            series: fresh.collect(),
            ..*window
        };
        self.since_ms = Some(newest_ms);
        self.watch_all(&fresh);
    }

    /// Notes what is watched of a window.
    fn watch_all(&mut self, window: &Window) -> Vec<(Anomaly, i64)> {
        let mut tracks = tracks(window);
        if window.interval_ms < STEP_MS {
            self.by_minutes(&mut tracks);
        }
        self.note(tracks)
    }

    /// Makes means of minutes that are over; what is running waits.
    fn by_minutes(&mut self, tracks: &mut [Track]) {
        let newest = tracks.iter().filter_map(|track| track.points.last());
        let Some(newest_ms) = newest.map(|(time_ms, _)| *time_ms).max() else {
            return;
        };
        for track in tracks {
            let points = std::mem::take(&mut track.points);
            let Some((first_ms, _)) = points.first() else {
                continue;
            };
            let minute = self.minutes.entry(track.name.clone());
            let minute = minute.or_insert(Minute::of(*first_ms));
            for (time_ms, value) in points {
                if time_ms <= minute.last_ms || !value.is_finite() {
                    continue;
                }
                if time_ms >= minute.start_ms + STEP_MS {
                    track.points.extend(minute.end());
                    *minute = Minute::of(time_ms);
                }
                minute.last_ms = time_ms;
                minute.sum += value;
                minute.count += 1.0;
            }
            if newest_ms >= minute.start_ms + STEP_MS {
                track.points.extend(minute.end());
            }
        }
        let old_ms = newest_ms - 60 * STEP_MS;
        self.minutes.retain(|_, minute| minute.last_ms > old_ms);
    }

    fn note(&mut self, mut tracks: Vec<Track>) -> Vec<(Anomaly, i64)> {
        let mut times_ms: Vec<i64> = Vec::new();
        for track in &tracks {
            if !track
                .points
                .iter()
                .map(|p| p.0)
                .eq(times_ms.iter().copied())
            {
                times_ms.extend(track.points.iter().map(|p| p.0));
                times_ms.sort_unstable();
                times_ms.dedup();
            }
        }
        let mut ended = Vec::new();
        for time_ms in times_ms {
            let values = tracks.iter_mut().filter_map(|track| {
                let (at_ms, value) = *track.points.get(track.at)?;
                (at_ms == time_ms).then(|| {
                    track.at += 1;
                    (track.name.as_str(), value)
                })
            });
            if let Some(anomaly) = self.watch.note(time_ms, values) {
                ended.push((anomaly, time_ms));
            }
        }
        ended
    }

    /// Of how many series enough is known to judge them.
    pub fn known(&self) -> usize {
        self.watch.known()
    }

    /// What is unusual at the end of what was taken.
    pub fn on(&self) -> Option<&Anomaly> {
        self.watch.on()
    }

    /// Puts the last sample of the stretch before in front.
    fn join(&mut self, series: &mut Series) {
        let (Some(time_ms), Some(value)) = (series.times_ms.last(), series.values.last()) else {
            return;
        };
        let newest = (*time_ms, *value);
        if series.kind == Kind::Gauge && Metric::by_name(&series.name.metric).is_none() {
            return;
        }
        if let Some((time_ms, value)) = self.last.insert(series.name.clone(), newest) {
            series.times_ms.insert(0, time_ms);
            series.values.insert(0, value);
        }
    }
}

/// Whether a series tells of a device of its own, or of none: what a bridge passes on would be two
/// series that agree.
fn stands(series: &Series) -> bool {
    let device = series.label("device").unwrap_or_default();
    match Metric::by_name(&series.name.metric) {
        Some(Metric::NetReceiveRate | Metric::NetTransmitRate) => is_interface(device),
        Some(Metric::DiskBusyRatio) => is_disk(device),
        _ => true,
    }
}

/// What is watched of a window, in the order of names.
fn tracks(window: &Window) -> Vec<Track> {
    let mut tracks = Vec::new();
    let mut track = |series: &Series, points: Vec<(i64, f64)>| {
        tracks.push(Track {
            name: series.name.origin(),
            points,
            at: 0,
        });
    };
    for series in &window.series {
        let sampled = match Metric::by_name(&series.name.metric) {
            None => true,
            Some(known) => SAMPLED.contains(&known),
        };
        match series.kind {
            Kind::Gauge if sampled => track(series, series.points().collect()),
            Kind::Counter if sampled => {
                let pairs = series.pairs(i64::MIN, i64::MAX, window.interval_ms);
                let rates = pairs.filter_map(|pair| Some((pair.to_ms, pair.rate()?)));
                track(series, rates.collect());
            }
            _ => {}
        }
    }
    for row in DERIVED.iter().filter(|row| watched(row.metrics)) {
        let inputs = row.inputs.iter().flat_map(|input| window.all(input));
        let times_ms = union_times_ms(inputs);
        for series in (row.of)(window).into_iter().filter(stands) {
            let Some(metric) = Metric::by_name(&series.name.metric) else {
                continue;
            };
            if AT_ONCE.contains(&metric) {
                track(&series, series.points().collect());
            } else if BETWEEN.contains(&metric) {
                track(&series, known_at(&series, &times_ms));
            }
        }
    }
    tracks.sort_by(|a, b| a.name.cmp(&b.name));
    tracks
}

/// What is named by its beginning, at the moment it was known: that of the next sample.
fn known_at(series: &Series, times_ms: &[i64]) -> Vec<(i64, f64)> {
    let known = series.points().filter_map(|(begin_ms, value)| {
        let next = times_ms.partition_point(|t| *t <= begin_ms);
        Some((*times_ms.get(next)?, value))
    });
    let mut points: Vec<(i64, f64)> = known.collect();
    points.dedup_by_key(|point| point.0);
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(name: &str, points: &[(i64, f64)]) -> Series {
        Series {
            name: SeriesName::new(name, &[]),
            kind: Kind::Gauge,
            times_ms: points.iter().map(|p| p.0).collect(),
            values: points.iter().map(|p| p.1).collect(),
        }
    }

    fn window(series: Vec<Series>) -> Window {
        Window {
            host: "web-1".into(),
            from_ms: 0,
            to_ms: i64::MAX,
            interval_ms: 300_000,
            series,
        }
    }

    /// Ten days of two tables of numbers that jump on the last one.
    fn days(from: i64, to: i64) -> Window {
        let value = |n: i64, phase: i64| match (2_700..2_706).contains(&n) {
            true => 900.0,
            false => 50.0 + ((n + phase) * 7_919 % 288) as f64 / 10.0,
        };
        let points = |phase| -> Vec<(i64, f64)> {
            (from..to).map(|n| (n * 300_000, value(n, phase))).collect()
        };
        let mut hits = gauge("hits_total", &[]);
        hits.kind = Kind::Counter;
        let mut sum = (0..from).map(|n| value(n, 3)).sum::<f64>();
        for (time_ms, value) in points(3) {
            sum += value;
            hits.times_ms.push(time_ms);
            hits.values.push(sum);
        }
        window(vec![gauge("used", &points(0)), hits])
    }

    #[test]
    fn gauges_and_what_counters_grew_are_watched_and_cutting_changes_nothing() {
        let mut whole = Course::default();
        let found = whole.take(days(0, 2_880));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0.start_ms, 2_700 * 300_000);
        let mut names: Vec<&str> = found[0].0.moved.iter().map(|m| m.series.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["hits_total", "used"]);
        for cut in [1, 2_000, 2_700, 2_703, 2_879] {
            let mut parts = Course::default();
            let mut both = parts.take(days(0, cut));
            both.extend(parts.take(days(cut, 2_880)));
            assert_eq!(both, found, "cut at {cut}");
        }
    }

    /// Load and memory of so many seconds, every ten of them; on the ninth day both jump for ten minutes.
    fn seconds(range: std::ops::Range<i64>) -> Window {
        let jumps = |n: i64| (8 * 8_640 + 4_000..8 * 8_640 + 4_060).contains(&n);
        let wave = |n: i64| ((n % 8_640) as f64 / 8_640.0 * std::f64::consts::TAU).sin();
        let rough = |n: i64| (n * 7_919 % 288) as f64 / 288.0;
        let points = |value: &dyn Fn(i64) -> f64| -> Vec<(i64, f64)> {
            range.clone().map(|n| (n * 10_000, value(n))).collect()
        };
        let load = |n| {
            if jumps(n) {
                40.0
            } else {
                3.0 + wave(n) + rough(n)
            }
        };
        let left = |n| {
            if jumps(n) {
                10.0
            } else {
                600.0 + 99.0 * wave(n) + rough(n)
            }
        };
        Window {
            interval_ms: 10_000,
            ..window(vec![
                gauge("node_load1", &points(&load)),
                gauge("node_memory_MemAvailable_bytes", &points(&left)),
                gauge("node_memory_MemTotal_bytes", &points(&|_| 1_000.0)),
            ])
        }
    }

    /// The means of a window's minutes, as a history keeps them.
    fn minutes(window: &Window, metrics: [&str; 2]) -> Vec<Series> {
        let mut window = window.clone();
        crate::series::derived::derive(&mut window, "");
        let grid = crate::series::Grid {
            from_ms: 0,
            to_ms: i64::MAX / 2,
            step_ms: STEP_MS,
        };
        let means = metrics.map(|metric| {
            let mut steps: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
            for (time_ms, value) in window.all(metric)[0].points() {
                let step = steps.entry(grid.step_of(time_ms)).or_default();
                *step = (step.0 + value, step.1 + 1.0);
            }
            let points: Vec<(i64, f64)> = steps.iter().map(|(t, (s, n))| (*t, s / n)).collect();
            gauge(metric, &points)
        });
        means.to_vec()
    }

    #[test]
    fn a_host_that_is_followed_is_told_of_as_one_whose_past_is_recalled() {
        let end = 8 * 8_640 + 4_030;
        let mut whole = Course::default();
        whole.take(seconds(0..end));
        let expected = whole.on().unwrap().clone();
        // It is unusual with the first minute that is over.
        assert_eq!(expected.start_ms, (8 * 8_640 + 4_000) * 10_000 + 20_000);
        for begin in [7 * 8_640 + 8_000, 8 * 8_640 + 4_015] {
            let past = seconds(0..begin);
            let until_ms = (begin * 10_000_i64).div_euclid(STEP_MS) * STEP_MS;
            let mut steps = minutes(&past, ["node_load1", "hostwell_memory_used_ratio"]);
            for series in &mut steps {
                let over = series.times_ms.partition_point(|t| *t < until_ms);
                series.times_ms.truncate(over);
                series.values.truncate(over);
            }
            let mut course = Course::default();
            course.recall(&steps, until_ms);
            // Windows of an hour that overlap, as a collector reads them.
            for now in (begin..=end).step_by(7) {
                course.follow(&seconds(now - 360..now.min(end)));
            }
            course.follow(&seconds(end - 360..end));
            let on = course.on().unwrap();
            assert_eq!(
                (on.start_ms, on.last_ms),
                (expected.start_ms, expected.last_ms)
            );
            let names = |a: &Anomaly| a.moved.iter().map(|m| m.series.clone()).collect::<Vec<_>>();
            assert_eq!(names(on), names(&expected));
            for (ours, theirs) in on.moved.iter().zip(&expected.moved) {
                assert!(
                    (ours.value - theirs.value).abs() < 1e-9,
                    "{ours:?} {theirs:?}"
                );
            }
            assert_eq!(course.known(), 2);
        }
    }

    #[test]
    fn a_bridge_tells_nothing_of_its_own() {
        let busy = |device| Series {
            name: SeriesName::new(Metric::NetReceiveRate.name(), &[("device", device)]),
            ..gauge("x", &[])
        };
        assert!(stands(&busy("eth0")) && !stands(&busy("docker0")) && !stands(&busy("lo")));
    }

    #[test]
    fn what_is_made_of_two_samples_is_known_at_the_second() {
        let series = gauge("x", &[(0, 1.0), (61, 2.0)]);
        assert_eq!(known_at(&series, &[0, 61, 122]), [(61, 1.0), (122, 2.0)]);
        assert_eq!(known_at(&series, &[0, 61]), [(61, 1.0)]);
    }

    #[test]
    fn of_the_catalogue_only_what_says_how_busy_a_host_is_is_watched() {
        assert!(wants("anything") && wants("node_load1") && wants("node_cpu_seconds_total"));
        assert!(!wants("node_load5") && !wants("node_time_seconds"));
    }
}
