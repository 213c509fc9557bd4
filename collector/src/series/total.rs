//! What the samples of a gauge come to: enough for means and extremes without them.

use super::Agg;

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
}

impl Total {
    /// Whether an aggregation of a gauge can be told from totals.
    pub fn can_tell(agg: Agg) -> bool {
        matches!(agg, Agg::Avg | Agg::Min | Agg::Max | Agg::Sum | Agg::Count)
    }

    /// What some samples come to; `None` where there are none. A value that is no number makes the
    /// sum none either.
    pub fn of(values: &[f64]) -> Option<Total> {
        let (first, rest) = values.split_first()?;
        let mut total = Total {
            samples: values.len() as u64,
            sum: *first,
            min: *first,
            max: *first,
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
        self.samples += other.samples;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// What an aggregation says; `None` where totals do not tell.
    pub fn value(&self, agg: Agg) -> Option<f64> {
        match agg {
            // Rounding must not push it out of what was measured.
            Agg::Avg => Some((self.sum / self.samples as f64).max(self.min).min(self.max)),
            Agg::Min => Some(self.min),
            Agg::Max => Some(self.max),
            Agg::Sum => Some(self.sum),
            Agg::Count => Some(self.samples as f64),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_comes_to_nothing_and_one_sample_to_itself() {
        assert_eq!(Total::of(&[]), None);
        let one = Total::of(&[0.1]).unwrap();
        for agg in Agg::ALL.into_iter().filter(|agg| Total::can_tell(*agg)) {
            let wanted = if agg == Agg::Count { 1.0 } else { 0.1 };
            assert_eq!(one.value(agg), Some(wanted), "{agg}");
        }
        assert_eq!(one.value(Agg::P95), None);
    }

    #[test]
    fn small_values_beside_large_ones_are_not_lost() {
        let total = Total::of(&[1.0, 1e100, 1.0, -1e100]).unwrap();
        assert_eq!(total.sum, 2.0);
    }

    proptest! {
        #[test]
        fn parts_come_to_the_same_as_all(
            values in prop::collection::vec(-1e6f64..1e6, 2..80), at in any::<prop::sample::Index>()
        ) {
            let whole = Total::of(&values).unwrap();
            let (left, right) = values.split_at(1 + at.index(values.len() - 1));
            let mut parts = Total::of(left).unwrap();
            if let Some(right) = Total::of(right) {
                parts.merge(&right);
            }
            prop_assert_eq!((parts.samples, parts.min, parts.max), (whole.samples, whole.min, whole.max));
            prop_assert!((parts.sum - whole.sum).abs() <= 1e-9 * (1.0 + whole.sum.abs()));
        }
    }
}
