//! What a host did over weeks, by the hour: for rules that an hour tells nothing.
//!
//! Reading weeks costs more than reading an hour, and what fills in days is no news each minute. So a
//! host's past is given about once an hour ([`super::RuleInput::past`]); in between such rules keep what
//! they found. Live it comes from rollups, in a replay and in a script from samples ([`Gathered`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::forecast::{DAY_MS, HOUR_MS};
use crate::series::derived::{DERIVED, Derived};
use crate::series::{Agg, Kind, Series, SeriesName, Window};

use super::RULES;

/// How far back: two weeks hold each weekday twice, and the day that is running.
pub const PAST_MS: i64 = 15 * DAY_MS;

/// What becomes of an hour's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hour {
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

impl Hour {
    /// What the store calls it.
    pub const fn agg(self) -> Agg {
        match self {
            Hour::Mean => Agg::Avg,
            Hour::Min => Agg::Min,
            Hour::Max => Agg::Max,
        }
    }
}

/// A gauge by the hour, sampled or derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hourly {
    /// The metric.
    pub metric: &'static str,
    /// What its hours are.
    pub hour: Hour,
    /// Only days whose rollups are made: what comes in by the second and changes no verdict within a day
    /// is not read from samples every hour.
    pub settled: bool,
}

impl Hourly {
    /// Where its last hour ends in a past that ends at `to_ms`.
    pub fn end_ms(&self, to_ms: i64) -> i64 {
        match self.settled {
            true => (to_ms - SETTLED_MS).div_euclid(DAY_MS) * DAY_MS,
            false => to_ms,
        }
    }
}

/// By then a day's rollups are made.
const SETTLED_MS: i64 = 7 * HOUR_MS;

/// Whole hours of a host, up to [`PAST_MS`] back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Where the last hour ends, host's clock, milliseconds since the Unix epoch.
    pub to_ms: i64,
    hours: BTreeMap<Hourly, Vec<Series>>,
}

impl Past {
    /// Nothing is known yet; hours that end later than `to_ms` are not to be.
    pub fn until(to_ms: i64) -> Past {
        Past {
            to_ms,
            hours: BTreeMap::new(),
        }
    }

    /// Adds the hours of a metric, each named by its beginning.
    pub fn put(&mut self, hourly: Hourly, mut series: Vec<Series>) {
        series.sort_by(|a, b| a.name.cmp(&b.name));
        self.hours.insert(hourly, series);
    }

    /// Every series of a metric, by name.
    pub(super) fn all(&self, hourly: Hourly) -> &[Series] {
        self.hours.get(&hourly).map_or(&[], Vec::as_slice)
    }

    /// The series with exactly these labels.
    pub(super) fn find(&self, hourly: Hourly, labels: &[(String, String)]) -> Option<&Series> {
        let mut all = self.all(hourly).iter();
        all.find(|series| series.name.labels == labels)
    }
}

/// What rules want of the past, each once.
pub fn hourly() -> Vec<Hourly> {
    let mut all: Vec<Hourly> = RULES.iter().flat_map(|r| r.past.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Where the hour that is running began: hours before it are over.
pub fn whole_hours_ms(now_ms: i64) -> i64 {
    now_ms.div_euclid(HOUR_MS) * HOUR_MS
}

/// An hour so far.
#[derive(Clone, Copy, Debug)]
struct Values {
    sum: f64,
    count: f64,
    min: f64,
    max: f64,
}

impl Values {
    const NONE: Values = Values {
        sum: 0.0,
        count: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn of(&self, hour: Hour) -> f64 {
        match hour {
            Hour::Mean => self.sum / self.count,
            Hour::Min => self.min,
            Hour::Max => self.max,
        }
    }
}

/// A past made of samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    /// By series: beginning of the hour → the hour.
    hours: BTreeMap<SeriesName, BTreeMap<i64, Values>>,
}

impl Gathered {
    /// Takes the samples of a stretch, later than all before; forgets what is too old for all to come.
    pub(super) fn take(&mut self, window: &Window) {
        let metrics: BTreeSet<&str> = hourly().iter().map(|hourly| hourly.metric).collect();
        let wanted = |series: &Series| metrics.contains(series.name.metric.as_str());
        for series in window.series.iter().filter(|series| wanted(series)) {
            self.add(series);
        }
        let makes = |row: &&Derived| row.metrics.iter().any(|m| metrics.contains(m.name()));
        for row in DERIVED.iter().filter(makes) {
            for series in (row.of)(window).iter().filter(|series| wanted(series)) {
                self.add(series);
            }
        }
        let first_ms = window.series.iter().filter_map(|s| s.times_ms.first());
        if let Some(first_ms) = first_ms.min() {
            let from_ms = whole_hours_ms(*first_ms) - PAST_MS;
            for hours in self.hours.values_mut() {
                *hours = hours.split_off(&from_ms);
            }
        }
    }

    fn add(&mut self, series: &Series) {
        let hours = self.hours.entry(series.name.clone()).or_default();
        for (time_ms, value) in series.points().filter(|(_, value)| value.is_finite()) {
            let hour = hours.entry(whole_hours_ms(time_ms)).or_insert(Values::NONE);
            hour.add(value);
        }
    }

    /// What was known of the past when an hour ended.
    pub(super) fn past(&self, to_ms: i64) -> Past {
        let mut past = Past::until(to_ms);
        for hourly in hourly() {
            let named = |(name, _): &(&SeriesName, _)| name.metric == hourly.metric;
            let series = self.hours.iter().filter(named).map(|(name, hours)| {
                let whole = hours.range(to_ms - PAST_MS..hourly.end_ms(to_ms));
                let (times_ms, values) = whole.map(|(t, v)| (*t, v.of(hourly.hour))).unzip();
                Series {
                    name: name.clone(),
                    kind: Kind::Gauge,
                    times_ms,
                    values,
                }
            });
            past.put(hourly, series.filter(|s| !s.times_ms.is_empty()).collect());
        }
        past
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: Hourly = Hourly {
        metric: "node_filesystem_files",
        hour: Hour::Mean,
        settled: false,
    };

    fn window(points: &[(i64, f64)]) -> Window {
        let (times_ms, values) = points.iter().copied().unzip();
        Window {
            host: "web-1".into(),
            from_ms: 0,
            to_ms: i64::MAX,
            interval_ms: 60_000,
            series: vec![Series {
                name: SeriesName::new(FILES.metric, &[("mountpoint", "/")]),
                kind: Kind::Gauge,
                times_ms,
                values,
            }],
        }
    }

    #[test]
    fn hours_that_are_over_are_the_mean_of_their_samples_however_they_were_cut() {
        let points: Vec<(i64, f64)> = (0..300).map(|n| (n * 60_000, n as f64)).collect();
        for cut in [0, 1, 59, 60, 61, 250] {
            let mut gathered = Gathered::default();
            gathered.take(&window(&points[..cut]));
            gathered.take(&window(&points[cut..]));
            let past = gathered.past(whole_hours_ms(299 * 60_000));
            let hours: Vec<(i64, f64)> = past.all(FILES)[0].points().collect();
            let expected = (0..4).map(|h| (h * HOUR_MS, h as f64 * 60.0 + 29.5));
            assert_eq!(hours, expected.collect::<Vec<_>>(), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_older_than_two_weeks_is_forgotten() {
        let mut gathered = Gathered::default();
        gathered.take(&window(&[(0, 1.0), (HOUR_MS, 2.0)]));
        gathered.take(&window(&[(PAST_MS + HOUR_MS, 3.0)]));
        assert_eq!(gathered.hours.values().map(BTreeMap::len).sum::<usize>(), 2);
        let past = gathered.past(PAST_MS + 2 * HOUR_MS);
        assert_eq!(past.all(FILES)[0].times_ms, [PAST_MS + HOUR_MS]);
    }
}
