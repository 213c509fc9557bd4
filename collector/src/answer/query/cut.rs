//! What becomes of samples: those of a step are one value, series of a group one series.
//!
//! A host's series are cut as soon as they are read, so that a fleet's samples are never all held
//! at once; only groups over several hosts wait for the last of them.

use super::{Plan, SampleQuestion};
use crate::series::{Agg, Grid, Kind, Series, combine};

/// What an aggregation means in time and then across the series of a group. Means, extremes and
/// quantiles are over all samples; everything else adds up: the sum of a group's rates, counts,
/// newest values, and of its mean values (adding one gauge's samples up means nothing).
pub(super) fn in_time_and_across(agg: Agg, kind: Kind) -> (Agg, Agg) {
    match agg {
        Agg::Sum if kind == Kind::Gauge => (Agg::Avg, Agg::Sum),
        Agg::Sum | Agg::Count | Agg::Last => (agg, Agg::Sum),
        Agg::Rate | Agg::Increase | Agg::Delta | Agg::Deriv => (agg, Agg::Sum),
        Agg::Avg | Agg::Min | Agg::Max | Agg::P50 | Agg::P95 | Agg::P99 => (agg, agg),
    }
}

/// How series are cut and grouped.
pub(super) struct Cut {
    grid: Grid,
    /// The whole range is one step, named by its beginning.
    whole: bool,
    by: Vec<String>,
    agg: Agg,
    ahead_ms: Option<i64>,
    /// The store did it already: each series has one sample, which is the answer.
    told: bool,
}

impl Cut {
    /// For a question that is aggregated by `agg`; `told`: the store gives one sample a series.
    pub(super) fn new(plan: &Plan, question: &SampleQuestion, agg: Agg, told: bool) -> Cut {
        Cut {
            grid: plan.grid,
            whole: plan.whole,
            by: question.by.clone(),
            agg,
            ahead_ms: question.ahead_ms,
            told,
        }
    }

    /// The steps of one host's series, grouped where a group is never larger than a host.
    pub(super) fn of_host(&self, series: Vec<Series>, interval_ms: i64) -> Vec<Series> {
        let cut = series.into_iter().map(|one| self.steps(one, interval_ms));
        match self.groups_are_within_hosts() {
            true => self.grouped(&cut.collect::<Vec<Series>>()),
            false => cut.collect(),
        }
    }

    /// The answer of all hosts' steps.
    pub(super) fn of_fleet(&self, mut steps: Vec<Series>) -> Vec<Series> {
        if self.groups_are_within_hosts() {
            steps.sort_by(|a, b| a.name.cmp(&b.name));
        } else if !self.by.is_empty() {
            steps = self.grouped(&steps);
        }
        steps.retain(|s| !s.times_ms.is_empty());
        if self.whole {
            for one in &mut steps {
                one.times_ms.fill(self.grid.from_ms);
            }
        }
        steps
    }

    fn groups_are_within_hosts(&self) -> bool {
        self.by.iter().any(|label| label == "host")
    }

    fn grouped(&self, steps: &[Series]) -> Vec<Series> {
        let by: Vec<&str> = self.by.iter().map(String::as_str).collect();
        // Across series the kind makes no difference.
        let (_, across) = in_time_and_across(self.agg, Kind::Gauge);
        combine(steps, &by, across)
    }

    fn steps(&self, series: Series, interval_ms: i64) -> Series {
        if self.told {
            return Series {
                kind: Kind::Gauge,
                ..series
            };
        }
        let quantile = matches!(self.agg, Agg::P50 | Agg::P95 | Agg::P99);
        match (self.ahead_ms, self.by.is_empty()) {
            (Some(ahead_ms), _) => series.ahead(self.grid, ahead_ms, interval_ms),
            (None, true) => series.resample(self.grid, self.agg, interval_ms),
            // A quantile of quantiles is no quantile.
            (None, false) if quantile => pooled(series, self.grid, interval_ms),
            (None, false) => {
                let (in_time, _) = in_time_and_across(self.agg, series.kind);
                series.resample(self.grid, in_time, interval_ms)
            }
        }
    }
}

/// Every sample (of a counter: every rate between neighbours) under the start of its step.
fn pooled(series: Series, grid: Grid, interval_ms: i64) -> Series {
    let (times_ms, values) = match series.kind {
        Kind::Counter => series.rates(grid, interval_ms),
        Kind::Gauge => (series.times_ms, series.values),
    };
    Series {
        name: series.name,
        kind: Kind::Gauge,
        times_ms: grid.steps_of(&times_ms),
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesName;

    fn series(host: &str, device: &str, values: &[f64]) -> Series {
        Series {
            name: SeriesName::new("g", &[("device", device), ("host", host)]),
            kind: Kind::Gauge,
            times_ms: (0..values.len() as i64).map(|n| n * 10_000).collect(),
            values: values.to_vec(),
        }
    }

    fn cut(by: &[&str], agg: Agg) -> Cut {
        Cut {
            grid: Grid {
                from_ms: 0,
                to_ms: 20_000,
                step_ms: 60_000,
            },
            whole: false,
            by: by.iter().map(|label| (*label).to_owned()).collect(),
            agg,
            ahead_ms: None,
            told: false,
        }
    }

    #[test]
    fn times_and_sums_across_a_group_are_what_they_say_within_a_host_and_over_several() {
        for (agg, value) in [
            (Agg::Sum, 17.0),
            (Agg::Avg, 8.5),
            (Agg::Max, 20.0),
            (Agg::Count, 4.0),
            (Agg::Last, 23.0),
            (Agg::P50, 6.5),
        ] {
            let within = cut(&["host"], agg);
            let one = vec![
                series("a", "x", &[1.0, 3.0]),
                series("a", "y", &[10.0, 20.0]),
            ];
            let groups = within.of_fleet(within.of_host(one, 10_000));
            assert_eq!(groups[0].values, [value], "{agg}");
            let over = cut(&["role"], agg);
            let mut steps = over.of_host(vec![series("a", "x", &[1.0, 3.0])], 10_000);
            steps.extend(over.of_host(vec![series("b", "x", &[10.0, 20.0])], 10_000));
            let groups = over.of_fleet(steps);
            assert_eq!(
                (groups.len(), &groups[0].values[..]),
                (1, &[value][..]),
                "{agg}"
            );
        }
    }

    #[test]
    fn groups_come_by_their_names_whatever_the_order_of_their_hosts() {
        let by_device = cut(&["device", "host"], Agg::Avg);
        let mut steps = by_device.of_host(vec![series("a", "y", &[1.0])], 10_000);
        steps.extend(by_device.of_host(vec![series("b", "x", &[2.0])], 10_000));
        let groups = by_device.of_fleet(steps);
        assert_eq!(groups[0].label("device"), Some("x"), "{groups:?}");
    }
}
