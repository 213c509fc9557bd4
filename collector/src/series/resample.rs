//! From samples to steps, and from many series to one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Growth, Kind, Series, SeriesName};

/// How the samples of a step become one number.
///
/// On a counter the raw values mean little, so: `avg` is the rate, `sum` the increase, and `min`,
/// `max` and the quantiles are those of the rates between neighbours. `last` and `count` are raw.
/// On a gauge `rate` is the change each second and `increase` the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agg {
    /// Arithmetic mean of the samples.
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum of the samples.
    Sum,
    /// How many samples.
    Count,
    /// Median.
    P50,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// Newest sample.
    Last,
    /// Growth each second, resets handled, holes left out.
    Rate,
    /// Growth, resets handled, holes included.
    Increase,
    /// Newest minus oldest sample, signed, raw.
    Delta,
    /// Change each second of the straight line nearest to the samples (least squares), resets
    /// handled.
    Deriv,
}

impl Agg {
    /// All of them, in the order of their documentation.
    pub const ALL: [Agg; 13] = [
        Agg::Avg,
        Agg::Min,
        Agg::Max,
        Agg::Sum,
        Agg::Count,
        Agg::P50,
        Agg::P95,
        Agg::P99,
        Agg::Last,
        Agg::Rate,
        Agg::Increase,
        Agg::Delta,
        Agg::Deriv,
    ];

    /// Its word on the command line and in documents.
    pub fn name(self) -> &'static str {
        match self {
            Agg::Avg => "avg",
            Agg::Min => "min",
            Agg::Max => "max",
            Agg::Sum => "sum",
            Agg::Count => "count",
            Agg::P50 => "p50",
            Agg::P95 => "p95",
            Agg::P99 => "p99",
            Agg::Last => "last",
            Agg::Rate => "rate",
            Agg::Increase => "increase",
            Agg::Delta => "delta",
            Agg::Deriv => "deriv",
        }
    }

    /// What a reader expects when nothing was asked for: rates of counters, means of gauges.
    pub fn default_for(kind: Kind) -> Agg {
        match kind {
            Kind::Counter => Agg::Rate,
            Kind::Gauge => Agg::Avg,
        }
    }

    pub(super) fn quantile(self) -> Option<f64> {
        match self {
            Agg::P50 => Some(0.50),
            Agg::P95 => Some(0.95),
            Agg::P99 => Some(0.99),
            _ => None,
        }
    }

    /// Aggregates plain values; `None` when there are none or the word needs times.
    fn of(self, values: &[f64]) -> Option<f64> {
        if values.is_empty() {
            return None;
        }
        let sum = || values.iter().sum::<f64>();
        match self {
            Agg::Avg => Some(sum() / values.len() as f64),
            Agg::Sum => Some(sum()),
            Agg::Count => Some(values.len() as f64),
            Agg::Min => values.iter().copied().reduce(f64::min),
            Agg::Max => values.iter().copied().reduce(f64::max),
            Agg::Last => values.last().copied(),
            Agg::P50 | Agg::P95 | Agg::P99 => quantile(&mut values.to_vec(), self.quantile()?),
            Agg::Rate | Agg::Increase | Agg::Delta | Agg::Deriv => None,
        }
    }
}

impl fmt::Display for Agg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Agg {
    type Err = String;

    fn from_str(word: &str) -> Result<Agg, String> {
        Agg::ALL
            .into_iter()
            .find(|agg| agg.name() == word)
            .ok_or_else(|| {
                let known: Vec<&str> = Agg::ALL.iter().map(|agg| agg.name()).collect();
                format!("no aggregation {word:?}; there are {}", known.join(", "))
            })
    }
}

/// The `q`-quantile by linear interpolation between the two nearest order statistics (Hyndman and
/// Fan's type 7, the default of R, NumPy and PromQL). Reorders `values`; nothing of nothing.
pub fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let fraction = position - below as f64;
    if fraction == 0.0 {
        return Some(low);
    }
    let high = above.iter().copied().reduce(f64::min)?;
    Some(low + (high - low) * fraction)
}

/// Steps of equal length. A step is named by its start, which is a multiple of the length since
/// the Unix epoch, and holds the samples of `start..start + step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// First moment, included.
    pub from_ms: i64,
    /// Last moment, included.
    pub to_ms: i64,
    /// Length of a step, at least 1.
    pub step_ms: i64,
}

impl Grid {
    /// The start of the step that holds a moment.
    pub fn step_of(&self, time_ms: i64) -> i64 {
        let step_ms = self.step_ms.max(1);
        time_ms.div_euclid(step_ms) * step_ms
    }

    /// The starts of the steps that hold some moments.
    pub fn steps_of(&self, times_ms: &[i64]) -> Vec<i64> {
        let step_ms = self.step_ms.max(1);
        let (mut start, mut end) = (0, 0);
        let of = |time_ms: &i64| {
            // Neighbours share their step nearly always, and a division costs more than a sample.
            if !(start..end).contains(time_ms) {
                start = self.step_of(*time_ms);
                end = start.saturating_add(step_ms);
            }
            start
        };
        times_ms.iter().map(of).collect()
    }

    /// The starts of all steps, ascending.
    pub fn steps(&self) -> impl Iterator<Item = i64> + use<> {
        let step_ms = self.step_ms.max(1);
        let to_ms = self.to_ms;
        std::iter::successors(Some(self.step_of(self.from_ms)), move |t| {
            t.checked_add(step_ms)
        })
        .take_while(move |t| *t <= to_ms)
    }
}

/// A step a reader likes (1, 2, 5, 10, 15, 20, 30 of seconds, minutes; 1, 2, 3, 6, 12 hours;
/// days) that cuts a range into at most `steps_max` and is not finer than the sampling.
pub fn nice_step_ms(range_ms: i64, steps_max: i64, interval_ms: i64) -> i64 {
    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let wanted = (range_ms / steps_max.max(1)).max(interval_ms).max(1);
    let below_an_hour = [1, 2, 5, 10, 15, 20, 30];
    let hours = [1, 2, 3, 6, 12];
    let nice = below_an_hour
        .iter()
        .map(|n| n * SECOND)
        .chain(below_an_hour.iter().map(|n| n * MINUTE))
        .chain(hours.iter().map(|n| n * HOUR));
    nice.into_iter()
        .find(|step| *step >= wanted)
        .unwrap_or_else(|| (wanted + DAY - 1) / DAY * DAY)
}

impl Series {
    /// One value a step that has samples; steps without samples are missing in the answer. The
    /// result keeps the name and is a gauge. Only samples of the grid's own range are looked at.
    pub fn resample(&self, grid: Grid, agg: Agg, interval_ms: i64) -> Series {
        let counter = self.kind == Kind::Counter;
        let points = match agg {
            Agg::Rate | Agg::Avg | Agg::Increase | Agg::Sum if counter => {
                let wants_rate = matches!(agg, Agg::Rate | Agg::Avg);
                self.growth_steps(grid, interval_ms)
                    .into_iter()
                    .filter_map(|(t, g)| {
                        let value = if wants_rate {
                            g.rate()
                        } else {
                            Some(g.total())
                        };
                        value.map(|value| (t, value))
                    })
                    .collect()
            }
            Agg::Min | Agg::Max | Agg::P50 | Agg::P95 | Agg::P99 if counter => {
                let rates = self.rates(grid, interval_ms);
                steps_of((&rates.0, &rates.1), grid, |_, rates| agg.of(rates))
            }
            Agg::Deriv => self.lines(grid, interval_ms, |_, line| line.a_second),
            Agg::Rate | Agg::Increase | Agg::Delta => {
                steps_of(self.within(grid), grid, |times_ms, values| {
                    change_of(times_ms, values, agg == Agg::Rate)
                })
            }
            _ => steps_of(self.within(grid), grid, |_, values| agg.of(values)),
        };
        let (times_ms, values) = points.into_iter().unzip();
        Series {
            name: self.name.clone(),
            kind: Kind::Gauge,
            times_ms,
            values,
        }
    }

    /// Times and values of a grid's range.
    pub(super) fn within(&self, grid: Grid) -> (&[i64], &[f64]) {
        let start = self.times_ms.partition_point(|&t| t < grid.from_ms);
        let end = self
            .times_ms
            .partition_point(|&t| t <= grid.to_ms)
            .max(start);
        (&self.times_ms[start..end], &self.values[start..end])
    }

    /// The rates between neighbours within a grid's range, each at the time of the older one.
    pub fn rates(&self, grid: Grid, interval_ms: i64) -> (Vec<i64>, Vec<f64>) {
        let mut times_ms = Vec::with_capacity(self.times_ms.len());
        let mut rates = Vec::with_capacity(self.times_ms.len());
        for pair in self.pairs(grid.from_ms, grid.to_ms, interval_ms) {
            if let Some(rate) = pair.rate().filter(|_| pair.to_ms <= grid.to_ms) {
                times_ms.push(pair.from_ms);
                rates.push(rate);
            }
        }
        (times_ms, rates)
    }

    fn growth_steps(&self, grid: Grid, interval_ms: i64) -> Vec<(i64, Growth)> {
        let mut steps: Vec<(i64, Growth)> = Vec::new();
        let step_ms = grid.step_ms.max(1);
        for pair in self.pairs(grid.from_ms, grid.to_ms, interval_ms) {
            if pair.to_ms > grid.to_ms {
                break;
            }
            match steps.last_mut() {
                Some((start, growth)) if pair.from_ms < start.saturating_add(step_ms) => {
                    growth.add(pair);
                }
                _ => {
                    let mut growth = Growth::default();
                    growth.add(pair);
                    steps.push((grid.step_of(pair.from_ms), growth));
                }
            }
        }
        steps
    }
}

fn change_of(times_ms: &[i64], values: &[f64], each_second: bool) -> Option<f64> {
    let seconds = (times_ms.last()? - times_ms.first()?) as f64 / 1000.0;
    if seconds <= 0.0 {
        return None;
    }
    let change = values.last()? - values.first()?;
    Some(if each_second {
        change / seconds
    } else {
        change
    })
}

/// What `fold` makes of the samples of each step; their times ascend.
pub(super) fn steps_of(
    (mut times_ms, mut values): (&[i64], &[f64]),
    grid: Grid,
    fold: impl Fn(&[i64], &[f64]) -> Option<f64>,
) -> Vec<(i64, f64)> {
    let mut points = Vec::new();
    while let Some(first) = times_ms.first() {
        let start = grid.step_of(*first);
        let end = start.saturating_add(grid.step_ms.max(1));
        let within = match times_ms.last() {
            // One step for all of it needs no look at each.
            Some(last) if *last < end => times_ms.len(),
            _ => times_ms.iter().take_while(|time| **time < end).count(),
        };
        // At the very end of time a step would have nothing in it.
        let (here, later) = times_ms.split_at(within.max(1));
        let (of_step, rest) = values.split_at(here.len());
        points.extend(fold(here, of_step).map(|value| (start, value)));
        (times_ms, values) = (later, rest);
    }
    points
}

/// Combines series that stand on one grid (see [`Series::resample`]) into one series for each
/// combination of the labels in `by`; a series without such a label counts as having it empty.
/// At each time only the series that have a value take part. `Rate`, `Increase`, `Delta` and `Deriv`
/// are words about time: across series they mean the sum.
pub fn combine(series: &[Series], by: &[&str], agg: Agg) -> Vec<Series> {
    let agg = match agg {
        Agg::Rate | Agg::Increase | Agg::Delta | Agg::Deriv => Agg::Sum,
        other => other,
    };
    let mut groups: BTreeMap<SeriesName, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
    for one in series {
        let labels: Vec<(&str, &str)> = by
            .iter()
            .map(|name| (*name, one.label(name).unwrap_or("")))
            .collect();
        let group = groups
            .entry(SeriesName::new(&one.name.metric, &labels))
            .or_default();
        let mut values = one.values.as_slice();
        // Pooled samples stand side by side under the start of their step.
        for same in one.times_ms.chunk_by(|a, b| a == b) {
            let (here, rest) = values.split_at(same.len());
            group.entry(same[0]).or_default().extend_from_slice(here);
            values = rest;
        }
    }
    groups
        .into_iter()
        .map(|(name, steps)| {
            let (times_ms, values) = steps
                .into_iter()
                .filter_map(|(time, values)| agg.of(&values).map(|v| (time, v)))
                .unzip();
            Series {
                name,
                kind: Kind::Gauge,
                times_ms,
                values,
            }
        })
        .collect()
}
