//! Time series and their arithmetic: the only place that knows counter resets.
//!
//! Three ideas carry everything here:
//!
//! * **A pair belongs to the moment it begins.** What a counter grew between two neighbouring
//!   samples is counted in the step that holds the older one, so steps side by side neither lose
//!   nor double anything.
//! * **A hole is not a slope.** Neighbours further apart than three times the series' own cadence
//!   have no rate between them. Their growth is still known as a sum, so `increase` has it.
//! * **A missing step stays missing.** Nothing is interpolated, carried on or zero-filled.

mod counter;
pub mod derived;
pub mod device;
mod line;
pub mod presence;
mod resample;
pub mod rollup;
mod selector;
pub mod sketch;
#[cfg(test)]
mod tests;
mod total;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use counter::{Growth, Pair};
pub use hostwell_proto::metric::Kind;
pub use line::Trend;
pub use resample::{Agg, Grid, combine, nice_step_ms, quantile};
pub use selector::{Matcher, Op, Pattern, Selector, SelectorError};
pub use total::{Total, Whole};

/// Neighbours further apart than this many cadences have a hole between them.
pub const HOLE_CADENCES: i64 = 3;

/// Samples arrive in batches, so the newest one on hand may be this old without anything missing.
const STALE_MIN_MS: i64 = 30_000;

/// Slow subjects are sampled once a minute, and an agent may be told two; a cadence beyond that,
/// or beyond [`CADENCE_INTERVALS_MAX`], is not believed.
const CADENCE_MAX_MS: i64 = 120_000;

/// The same for hosts sampled more seldom, imported ones among them, in intervals.
const CADENCE_INTERVALS_MAX: i64 = 12;

/// What a name that is not legal is stored under, …
const CUSTOM: &str = "hostwell_custom";
/// … and the label that has it.
const CUSTOM_LABEL: &str = "name";

/// A series' name: metric and labels (sorted by label name, the metric name not among them).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesName {
    /// Metric name.
    pub metric: String,
    /// Sorted (name, value).
    pub labels: Vec<(String, String)>,
}

impl SeriesName {
    /// A name from its parts; sorts the labels.
    pub fn new(metric: &str, labels: &[(&str, &str)]) -> SeriesName {
        let mut labels: Vec<(String, String)> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort();
        SeriesName {
            metric: metric.to_owned(),
            labels,
        }
    }

    /// What the series was called where it came from: a name that is not legal here is kept in a
    /// label.
    pub fn origin(&self) -> String {
        match self.label(CUSTOM_LABEL) {
            Some(own) if self.metric == CUSTOM && self.labels.len() == 1 => own.to_owned(),
            _ => self.to_string(),
        }
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The selector that finds exactly this series: `metric{label="value"}`.
impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if self.labels.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in self.labels.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{name}=\"{}\"", selector::escape(value))?;
        }
        f.write_str("}")
    }
}

/// Samples of one series, ascending in time, no time twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: SeriesName,
    /// Counter (raw, cumulative) or gauge.
    pub kind: Kind,
    /// Milliseconds since the Unix epoch.
    pub times_ms: Vec<i64>,
    /// One value a time, in the metric's base unit.
    pub values: Vec<f64>,
}

impl Series {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.name.label(name)
    }

    /// The samples as (time, value), ascending.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = (i64, f64)> + '_ {
        self.times_ms
            .iter()
            .copied()
            .zip(self.values.iter().copied())
    }

    /// The sample taken at exactly this moment. Series of one probe share their ticks, so looking
    /// first at the position the sample has in its sibling nearly always finds it.
    pub fn at(&self, time_ms: i64, position: usize) -> Option<f64> {
        let index = match self.times_ms.get(position) {
            Some(&here) if here == time_ms => position,
            _ => self.times_ms.binary_search(&time_ms).ok()?,
        };
        Some(self.values[index])
    }

    /// The newest sample at or before `now_ms`.
    pub fn latest(&self, now_ms: i64) -> Option<(i64, f64)> {
        let end = self.times_ms.partition_point(|&t| t <= now_ms);
        let last = end.checked_sub(1)?;
        Some((self.times_ms[last], self.values[last]))
    }

    /// The newest sample at or before `now_ms`, unless it is stale.
    pub fn current(&self, now_ms: i64, interval_ms: i64) -> Option<f64> {
        let (time, value) = self.latest(now_ms)?;
        (now_ms - time <= self.stale_ms(interval_ms)).then_some(value)
    }

    /// A newest sample older than this is stale: three cadences, and at least 30 seconds.
    pub fn stale_ms(&self, interval_ms: i64) -> i64 {
        self.hole_ms(interval_ms).max(STALE_MIN_MS)
    }

    /// How often this series is really sampled: the median distance of its newest samples, at
    /// least the host's interval. Slow subjects are read at every n-th tick, so this is a fact about
    /// the series and not about the host.
    pub fn cadence_ms(&self, interval_ms: i64) -> i64 {
        let interval_ms = interval_ms.max(1);
        let newest = &self.times_ms[self.times_ms.len().saturating_sub(65)..];
        let slowest_ms = (interval_ms * CADENCE_INTERVALS_MAX).max(CADENCE_MAX_MS);
        let distances = || newest.windows(2).map(|w| w[1] - w[0]);
        let Some(first) = distances().next() else {
            // Seen once: it may be a slow subject, and the next sample is not due yet.
            return slowest_ms;
        };
        // Nearly always nothing was missed, and there is nothing to sort.
        if distances().all(|distance| distance == first) {
            return first.clamp(interval_ms, slowest_ms);
        }
        let mut sorted: Vec<i64> = distances().collect();
        // Of two distances the longer: the first one is cut short by the agent's start.
        let middle = sorted.len() / 2;
        let (_, median, _) = sorted.select_nth_unstable(middle);
        (*median).clamp(interval_ms, slowest_ms)
    }

    /// Neighbours further apart than this have a hole between them.
    pub fn hole_ms(&self, interval_ms: i64) -> i64 {
        self.cadence_ms(interval_ms) * HOLE_CADENCES
    }
}

/// Everything the core needs to judge one host over one range. Immutable.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The host's name.
    pub host: String,
    /// First moment, milliseconds since the Unix epoch, included.
    pub from_ms: i64,
    /// Last moment, included.
    pub to_ms: i64,
    /// The host's declared sampling interval.
    pub interval_ms: i64,
    /// Sorted by name.
    pub series: Vec<Series>,
}

impl Window {
    /// Every series of a metric.
    pub fn all(&self, metric: &str) -> &[Series] {
        let start = self
            .series
            .partition_point(|s| s.name.metric.as_str() < metric);
        let length = self.series[start..].partition_point(|s| s.name.metric == metric);
        &self.series[start..start + length]
    }

    /// The first series of a metric that has all these labels (others may be there too).
    pub fn find(&self, metric: &str, labels: &[(&str, &str)]) -> Option<&Series> {
        self.all(metric)
            .iter()
            .find(|s| labels.iter().all(|(k, v)| s.label(k) == Some(v)))
    }

    /// Every series a selector matches.
    pub fn select<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a Series> + 'a {
        self.all(&selector.metric)
            .iter()
            .filter(|s| selector.matches(&s.name))
    }

    /// The newest value at `now_ms` of a series, unless it is stale.
    pub fn current(&self, metric: &str, labels: &[(&str, &str)], now_ms: i64) -> Option<f64> {
        self.find(metric, labels)?.current(now_ms, self.interval_ms)
    }

    /// Neighbours at the host's own pace that are further apart have a hole between them.
    pub fn hole_ms(&self) -> i64 {
        self.interval_ms.max(1) * HOLE_CADENCES
    }

    /// Without a sample for longer than this the host's data is stale.
    pub fn stale_ms(&self) -> i64 {
        self.hole_ms().max(STALE_MIN_MS)
    }

    /// The newest sample's time at or before `now_ms`, over all series.
    pub fn newest_ms(&self, now_ms: i64) -> Option<i64> {
        self.series
            .iter()
            .filter_map(|s| s.latest(now_ms).map(|(time, _)| time))
            .max()
    }
}

/// All times at which any of these series has a sample, ascending, each once.
pub fn union_times_ms<'a>(series: impl IntoIterator<Item = &'a Series>) -> Vec<i64> {
    let mut union: Vec<i64> = Vec::new();
    let mut sorted = true;
    for one in series {
        // Series of one probe share their ticks: nearly always there is nothing to add.
        if union.is_empty() {
            union.clone_from(&one.times_ms);
        } else if union != one.times_ms {
            union.extend_from_slice(&one.times_ms);
            sorted = false;
            // Keeps many short odd series from piling up before the one sort.
            if union.len() > 1_000_000 {
                union.sort_unstable();
                union.dedup();
                sorted = true;
            }
        }
    }
    if !sorted {
        union.sort_unstable();
        union.dedup();
    }
    union
}
