//! From a host's samples to what is watched of it, moment by moment: whole stretches of windows in,
//! anomalies out.

use std::collections::BTreeMap;

use hostwell_proto::metric::Metric;

use super::{Anomaly, Watch};
use crate::series::derived::DERIVED;
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
}

impl Course {
    /// Takes the samples of a stretch, later than all before; answers what was unusual and over by
    /// its end, and when it was.
    pub fn take(&mut self, mut window: Window) -> Vec<(Anomaly, i64)> {
        window.series.retain(|one| wants(&one.name.metric));
        window.series.iter_mut().for_each(|one| self.join(one));
        let mut tracks = tracks(&window);
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
        for series in (row.of)(window) {
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
