//! What the samples of a gauge come to: enough for means and extremes without them.

use super::line::{Line, Trend};
use super::{Agg, Grid, Series};

/// Samples of one series, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Total {
    /// How many, at least one.
    pub samples: u64,
    /// All of them added up.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How they lie in time, where that is known.
    pub trend: Option<Trend>,
}

/// What is asked of all samples of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Their aggregation.
    Agg(Agg),
    /// Where the straight line nearest to them leads, so long after the end of the range.
    Ahead {
        /// Milliseconds.
        ahead_ms: i64,
    },
}

impl From<Agg> for Whole {
    fn from(agg: Agg) -> Whole {
        Whole::Agg(agg)
    }
}

impl Whole {
    /// Whether totals of gauges can tell it.
    pub fn is_told(self) -> bool {
        let told = [Agg::Avg, Agg::Min, Agg::Max, Agg::Sum, Agg::Count];
        match self {
            Whole::Agg(agg) => told.contains(&agg) || self.needs_trend(),
            Whole::Ahead { .. } => true,
        }
    }

    /// Whether it takes totals that know how their samples lie in time.
    pub fn needs_trend(self) -> bool {
        matches!(self, Whole::Agg(Agg::Deriv) | Whole::Ahead { .. })
    }

    /// What is asked of samples that are all at hand, in a range.
    pub fn of(self, series: &Series, range: (i64, i64), interval_ms: i64) -> Option<f64> {
        let grid = Grid {
            from_ms: range.0,
            to_ms: range.1,
            // A step begins at a multiple of its length since 1970: one so long holds every moment.
            step_ms: i64::MAX / 4,
        };
        let one = match self {
            Whole::Agg(agg) => series.resample(grid, agg, interval_ms),
            Whole::Ahead { ahead_ms } => series.ahead(grid, ahead_ms, interval_ms),
        };
        one.values.first().copied()
    }
}

impl Total {
    /// What some samples come to, whose times ascend; `None` where there are none. A value that is no
    /// number makes the sum none either.
    pub fn of(times_ms: &[i64], values: &[f64]) -> Option<Total> {
        let total = Total::of_values(values)?;
        Some(Total {
            trend: Trend::of(times_ms, values),
            ..total
        })
    }

    fn of_values(values: &[f64]) -> Option<Total> {
        let (first, rest) = values.split_first()?;
        let mut total = Total {
            samples: values.len() as u64,
            sum: *first,
            min: *first,
            max: *first,
            trend: None,
        };
        // Neumaier's sum: what each addition loses is added at the end, so that the order in which
        // parts are added up does not show.
        let mut lost = 0.0;
        for value in rest {
            let sum = total.sum + value;
            lost += match total.sum.abs() >= value.abs() {
                true => (total.sum - sum) + value,
                false => (value - sum) + total.sum,
            };
            total.sum = sum;
            total.min = total.min.min(*value);
            total.max = total.max.max(*value);
        }
        // Beyond the largest double there is nothing to mend.
        if total.sum.is_finite() {
            total.sum += lost;
        }
        Some(total)
    }

    /// Takes other samples of the same series in.
    pub fn merge(&mut self, other: &Total) {
        let part = |total: &Total| Some((total.trend?, total.samples as f64, total.mean()));
        let parts = part(self).zip(part(other));
        self.trend = parts.map(|(one, two)| Trend::joined(one, two));
        self.samples += other.samples;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn mean(&self) -> f64 {
        // Rounding must not push it out of what was measured.
        (self.sum / self.samples as f64).max(self.min).min(self.max)
    }

    fn line(&self) -> Option<Line> {
        Line::of(&self.trend?, self.mean())
    }

    /// What is asked of a range that ends at a moment; `None` where totals do not tell, or there is no
    /// such number.
    pub fn value(&self, whole: Whole, to_ms: i64) -> Option<f64> {
        match whole {
            Whole::Agg(Agg::Avg) => Some(self.mean()),
            Whole::Agg(Agg::Min) => Some(self.min),
            Whole::Agg(Agg::Max) => Some(self.max),
            Whole::Agg(Agg::Sum) => Some(self.sum),
            Whole::Agg(Agg::Count) => Some(self.samples as f64),
            Whole::Agg(Agg::Deriv) => Some(self.line()?.a_second),
            Whole::Agg(_) => None,
            Whole::Ahead { ahead_ms } => Some(self.line()?.at(to_ms.saturating_add(ahead_ms))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Kind, SeriesName};
    use proptest::prelude::*;

    /// Every ten seconds.
    fn total(values: &[f64]) -> Option<Total> {
        let times_ms: Vec<i64> = (0..values.len() as i64).map(|n| n * 10_000).collect();
        Total::of(&times_ms, values)
    }

    #[test]
    fn nothing_comes_to_nothing_and_one_sample_to_itself() {
        assert_eq!(total(&[]), None);
        let one = total(&[0.1]).unwrap();
        for agg in Agg::ALL {
            let wanted = match agg {
                Agg::Count => Some(1.0),
                Agg::Avg | Agg::Min | Agg::Max | Agg::Sum => Some(0.1),
                _ => None,
            };
            assert_eq!(one.value(Whole::Agg(agg), 0), wanted, "{agg}");
        }
    }

    #[test]
    fn small_values_beside_large_ones_are_not_lost() {
        let total = total(&[1.0, 1e100, 1.0, -1e100]).unwrap();
        assert_eq!(total.sum, 2.0);
    }

    #[test]
    fn where_distances_are_too_large_to_multiply_there_is_no_trend() {
        let total = total(&[1e308, -1e308]).unwrap();
        assert_eq!((total.trend, total.sum), (None, 0.0));
    }

    /// Times since 2023 with steps of up to an hour, and values.
    fn samples() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
        let one = (1_000i64..3_600_000, -1e6f64..1e6);
        prop::collection::vec(one, 2..80).prop_map(|steps| {
            let mut time_ms = 1_700_000_000_000;
            let timed = steps.into_iter().map(|(step_ms, value)| {
                time_ms += step_ms;
                (time_ms, value)
            });
            timed.unzip()
        })
    }

    proptest! {
        #[test]
        fn parts_come_to_the_same_as_all(
            (times_ms, values) in samples(), at in any::<prop::sample::Index>(), later in any::<bool>()
        ) {
            let whole = Total::of(&times_ms, &values).unwrap();
            let at = 1 + at.index(values.len() - 1);
            let left = Total::of(&times_ms[..at], &values[..at]).unwrap();
            let right = Total::of(&times_ms[at..], &values[at..]).unwrap();
            let (mut parts, other) = if later { (right, left) } else { (left, right) };
            parts.merge(&other);
            prop_assert_eq!((parts.samples, parts.min, parts.max), (whole.samples, whole.min, whole.max));
            prop_assert!((parts.sum - whole.sum).abs() <= 1e-9 * (1.0 + whole.sum.abs()));
            let to_ms = *times_ms.last().unwrap();
            let series = Series { name: SeriesName::new("m", &[]), kind: Kind::Gauge, times_ms, values };
            // Of the steepest line there could be: over a second, and over a day.
            let day = Whole::Ahead { ahead_ms: 86_400_000 };
            for (asked, seconds) in [(Whole::Agg(Agg::Deriv), 1.0), (day, 86_401.0)] {
                let told = parts.value(asked, to_ms).unwrap();
                let read = asked.of(&series, (0, to_ms), 10_000).unwrap();
                let near = 1e-9 * 2e6 * seconds;
                prop_assert!((told - read).abs() <= near, "{asked:?}: {told} and {read}");
            }
        }
    }
}
