//! What the samples of a step come to: enough to answer coarse questions without them.
//!
//! The rules at the top of [`super`] hold here too: what a counter grew belongs to the step that
//! holds the older sample, a hole has a sum and no rate, and a step without samples is missing.
//! Steps add up: [`Step::merge`] of the minutes of an hour says what the hour says.

use super::sketch::Sketch;
use super::{Agg, Growth, Kind, Series};

/// One step of one series.
///
/// *Values* are what minimum, mean, maximum and quantiles speak of: the samples of a gauge, the
/// rates between neighbouring samples of a counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where it begins, milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// How many samples.
    pub samples: u64,
    /// How many values.
    pub values: u64,
    /// Smallest value; means nothing without values.
    pub min: f64,
    /// Mean of the values (of a counter: growth over covered time).
    pub mean: f64,
    /// Largest value.
    pub max: f64,
    /// What a counter counted between neighbours without a hole.
    pub increase: f64,
    /// What it counted across holes.
    pub in_holes: f64,
    /// Time without holes that a counter's growth is over, milliseconds.
    pub covered_ms: i64,
    /// The values, for quantiles; steps of less than an hour have none.
    pub sketch: Option<Sketch>,
}

/// Significant digits that means and rates keep: five more than anybody reads, and few enough to
/// pack well.
const DIGITS: i32 = 6;
/// Sums of counters keep so many decimals, which is below what any kernel counts in.
const SUM_DECIMALS: f64 = 1e6;
/// Doubles above are whole numbers anyway when multiplied so.
const EXACT_MAX: f64 = 9e15;

/// A number with six significant digits and at most nine decimals.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let decimals = DIGITS - 1 - value.abs().log10().floor() as i32;
    if decimals >= 0 {
        let ten = 10f64.powi(decimals.min(9));
        (value * ten).round() / ten
    } else {
        let ten = 10f64.powi(-decimals);
        (value / ten).round() * ten
    }
}

fn sum_rounded(sum: f64) -> f64 {
    if (sum * SUM_DECIMALS).abs() < EXACT_MAX {
        (sum * SUM_DECIMALS).round() / SUM_DECIMALS
    } else {
        sum.round()
    }
}

/// What a counter grew each second, as a step says it.
pub fn mean_rate(increase: f64, covered_ms: i64, (min, max): (f64, f64)) -> f64 {
    if covered_ms <= 0 {
        return f64::NAN;
    }
    let rate = rounded(increase * 1000.0 / covered_ms as f64);
    rate.max(min).min(max)
}

impl Step {
    /// A step without anything in it.
    pub fn empty(start_ms: i64) -> Step {
        Step {
            start_ms,
            samples: 0,
            values: 0,
            min: f64::NAN,
            mean: f64::NAN,
            max: f64::NAN,
            increase: 0.0,
            in_holes: 0.0,
            covered_ms: 0,
            sketch: None,
        }
    }

    fn of(kind: Kind, step: &Gathered, sketched: bool) -> Step {
        let finite = || step.values.iter().copied().filter(|v| v.is_finite());
        let values = finite().count() as u64;
        let exact = |value: f64| match kind {
            Kind::Gauge => value,
            Kind::Counter => rounded(value),
        };
        let min = exact(finite().reduce(f64::min).unwrap_or(f64::NAN));
        let max = exact(finite().reduce(f64::max).unwrap_or(f64::NAN));
        let increase = sum_rounded(step.growth.increase);
        let mean = match kind {
            // Rounding must not push it out of what was measured.
            Kind::Gauge if values > 0 => rounded(finite().sum::<f64>() / values as f64)
                .max(min)
                .min(max),
            Kind::Gauge => f64::NAN,
            Kind::Counter => mean_rate(increase, step.growth.covered_ms, (min, max)),
        };
        Step {
            start_ms: step.start_ms,
            samples: step.samples,
            values,
            min,
            mean,
            max,
            increase,
            in_holes: sum_rounded(step.growth.in_holes),
            covered_ms: step.growth.covered_ms,
            sketch: (sketched && values > 0).then(|| match min == max {
                // The values as they are told, not as they were before rounding: they may lie
                // in another bucket.
                true => Sketch::repeated(min, values),
                false => Sketch::of(finite()),
            }),
        }
    }

    /// Takes another step of the same series (or group) in; the start stays.
    pub fn merge(&mut self, other: &Step) {
        let all = self.values + other.values;
        if other.values > 0 {
            let share = other.values as f64 / all as f64;
            if self.values == 0 {
                (self.min, self.mean, self.max) = (other.min, other.mean, other.max);
            } else {
                self.min = self.min.min(other.min);
                self.max = self.max.max(other.max);
                self.mean += (other.mean - self.mean) * share;
            }
            match (&mut self.sketch, &other.sketch) {
                (Some(ours), Some(theirs)) => ours.merge(theirs),
                (ours, theirs) if self.values == 0 => ours.clone_from(theirs),
                // A sketch of a part of the values would tell another quantile.
                (ours, _) => *ours = None,
            }
        }
        self.samples += other.samples;
        self.values = all;
        self.increase += other.increase;
        self.in_holes += other.in_holes;
        self.covered_ms += other.covered_ms;
        if self.covered_ms > 0 {
            self.mean = self.increase * 1000.0 / self.covered_ms as f64;
        }
    }

    /// What an aggregation says of the step; `None` where it cannot be told from a rollup or
    /// there was nothing.
    pub fn value(&self, kind: Kind, agg: Agg) -> Option<f64> {
        let counter = kind == Kind::Counter;
        let any = |value: f64| (self.values > 0).then_some(value);
        match agg {
            Agg::Count => (self.samples > 0).then_some(self.samples as f64),
            Agg::Min => any(self.min),
            Agg::Max => any(self.max),
            Agg::Avg => any(self.mean),
            Agg::Rate if counter => any(self.mean),
            Agg::Increase | Agg::Sum if counter => (self.covered_ms > 0 || self.in_holes > 0.0)
                .then_some(self.increase + self.in_holes),
            Agg::Sum => any(self.mean * self.values as f64),
            Agg::P50 | Agg::P95 | Agg::P99 => {
                let told = self.sketch.as_ref()?.quantile(agg.quantile()?)?;
                Some(told.clamp(self.min, self.max))
            }
            Agg::Rate | Agg::Increase | Agg::Last | Agg::Delta | Agg::Deriv => None,
        }
    }
}

/// Whether rollups can answer an aggregation at all.
pub fn can_tell(kind: Kind, agg: Agg) -> bool {
    match agg {
        Agg::Last | Agg::Delta | Agg::Deriv => false,
        Agg::Rate | Agg::Increase => kind == Kind::Counter,
        _ => true,
    }
}

/// A step while its samples come in.
#[derive(Debug, Default)]
struct Gathered {
    start_ms: i64,
    samples: u64,
    values: Vec<f64>,
    growth: Growth,
}

/// The steps of a series from `from_ms` until before `end_ms`, ascending, those without samples
/// left out. The sample at or after `end_ms`, where there is one, ends the last pair of a counter.
pub fn steps(
    series: &Series,
    (from_ms, end_ms): (i64, i64),
    step_ms: i64,
    interval_ms: i64,
    sketched: bool,
) -> Vec<Step> {
    let step_ms = step_ms.max(1);
    let start_of = |time_ms: i64| time_ms.div_euclid(step_ms) * step_ms;
    let begin = series.times_ms.partition_point(|t| *t < from_ms);
    let end = series.times_ms.partition_point(|t| *t < end_ms).max(begin);
    let mut pairs = (series.kind == Kind::Counter)
        .then(|| series.pairs(from_ms, end_ms, interval_ms))
        .into_iter()
        .flatten()
        .peekable();
    let mut found = Vec::new();
    let mut now = Gathered::default();
    for at in begin..end {
        // Neighbours share their step nearly always, and a division costs more than a sample.
        let time_ms = series.times_ms[at];
        let start_ms = match now.samples {
            1.. if time_ms < now.start_ms.saturating_add(step_ms) => now.start_ms,
            _ => start_of(time_ms),
        };
        if now.samples > 0 && start_ms != now.start_ms {
            found.push(Step::of(series.kind, &now, sketched));
            now.values.clear();
            (now.samples, now.growth) = (0, Growth::default());
        }
        now.start_ms = start_ms;
        now.samples += 1;
        match series.kind {
            Kind::Gauge => now.values.push(series.values[at]),
            Kind::Counter => {
                if let Some(pair) = pairs.next_if(|p| p.from_ms == series.times_ms[at]) {
                    now.values.extend(pair.rate());
                    now.growth.add(pair);
                }
            }
        }
    }
    if now.samples > 0 {
        found.push(Step::of(series.kind, &now, sketched));
    }
    found
}

#[cfg(test)]
mod tests;
