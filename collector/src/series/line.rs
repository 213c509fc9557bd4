//! The straight line nearest to samples: how fast they change, and where that leads.

use super::resample::steps_of;
use super::{Grid, Kind, Series};

/// A straight line through samples, by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// The middle of the samples' times, milliseconds since the Unix epoch.
    at_ms: f64,
    /// The line's value there: the samples' mean.
    level: f64,
    /// Change each second.
    pub(super) a_second: f64,
}

/// What the straight line nearest to samples needs to know of them beside their mean. That of two
/// parts is made of theirs, by the pairwise formulas for co-moments (Chan, Golub and LeVeque, 1983).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// The first sample's time, milliseconds since the Unix epoch.
    pub first_ms: i64,
    /// So long after it is the mean of all samples' times, milliseconds.
    pub middle_ms: f64,
    /// Distances in time from that mean, squared and added up, ms².
    pub under: f64,
    /// The same distances times those of the values from their mean, added up, ms × the unit.
    pub over: f64,
}

impl Trend {
    /// Of these samples, whose times ascend, with the mean of their values; `None` of none.
    fn through(times_ms: &[i64], values: &[f64]) -> Option<(Trend, f64)> {
        let (first_ms, first) = (*times_ms.first()?, *values.first()?);
        let n = times_ms.len().min(values.len());
        let middle_ms = middle(&times_ms[..n]);
        // From the first one: what is left is small, and keeps its digits. The distances from the
        // middle come to nothing together, so the values need not be taken from their mean.
        let [above, over, under] = sums(n, |at| {
            let aside = times_ms[at].wrapping_sub(first_ms) as f64 - middle_ms;
            let rise = values[at] - first;
            [rise, aside * rise, aside * aside]
        });
        let trend = Trend {
            first_ms,
            middle_ms,
            under,
            over,
        };
        Some((trend, first + above / n as f64))
    }

    /// Of these samples, whose times ascend; `None` of none, and where it is no finite number.
    pub(super) fn of(times_ms: &[i64], values: &[f64]) -> Option<Trend> {
        let (trend, _) = Trend::through(times_ms, values)?;
        (trend.over.is_finite() && trend.under.is_finite()).then_some(trend)
    }

    /// Of two parts with their numbers of samples and their means.
    pub(super) fn joined(
        (a, samples_a, mean_a): (Trend, f64, f64),
        (b, samples_b, mean_b): (Trend, f64, f64),
    ) -> Trend {
        let samples = samples_a + samples_b;
        let apart_ms = b.first_ms.wrapping_sub(a.first_ms) as f64 + b.middle_ms - a.middle_ms;
        let weight = samples_a * samples_b / samples;
        let first_ms = a.first_ms.min(b.first_ms);
        let of_a_ms = a.first_ms.wrapping_sub(first_ms) as f64 + a.middle_ms;
        Trend {
            first_ms,
            middle_ms: of_a_ms + apart_ms * samples_b / samples,
            under: a.under + b.under + apart_ms * apart_ms * weight,
            over: a.over + b.over + apart_ms * (mean_b - mean_a) * weight,
        }
    }
}

/// Three sums over `0..n`, in lanes: an addition that waits for the one before takes four times as
/// long.
fn sums(n: usize, of: impl Fn(usize) -> [f64; 3]) -> [f64; 3] {
    const LANES: usize = 4;
    let (mut first, mut second, mut third) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let whole = n - n % LANES;
    for begin in (0..whole).step_by(LANES) {
        for lane in 0..LANES {
            let [a, b, c] = of(begin + lane);
            first[lane] += a;
            second[lane] += b;
            third[lane] += c;
        }
    }
    for at in whole..n {
        let [a, b, c] = of(at);
        first[0] += a;
        second[0] += b;
        third[0] += c;
    }
    [first, second, third].map(|sums| sums.iter().sum())
}

/// The mean distance of ascending times from the first.
fn middle(times_ms: &[i64]) -> f64 {
    let (Some(first_ms), Some(last_ms)) = (times_ms.first(), times_ms.last()) else {
        return 0.0;
    };
    let n = times_ms.len();
    let away = |time_ms: &i64| time_ms.wrapping_sub(*first_ms);
    let largest = last_ms.checked_sub(*first_ms);
    let sum = match largest.and_then(|span_ms| span_ms.checked_mul(n as i64)) {
        // Whole numbers are added several at a time, and exactly.
        Some(_) => times_ms.iter().map(away).sum::<i64>() as f64,
        None => times_ms.iter().map(|t| *t as f64 - *first_ms as f64).sum(),
    };
    sum / n as f64
}

impl Line {
    /// Through these samples, whose times ascend; `None` of fewer than two moments.
    fn through(times_ms: &[i64], values: &[f64]) -> Option<Line> {
        let (trend, mean) = Trend::through(times_ms, values)?;
        Line::of(&trend, mean)
    }

    /// Of what is known of samples with this mean; `None` of fewer than two moments, and where its
    /// slope is no finite number.
    pub(super) fn of(trend: &Trend, mean: f64) -> Option<Line> {
        let a_second = trend.over / trend.under * 1000.0;
        (trend.under > 0.0 && a_second.is_finite()).then_some(Line {
            at_ms: trend.first_ms as f64 + trend.middle_ms,
            level: mean,
            a_second,
        })
    }

    /// Its value at a moment.
    pub(super) fn at(&self, time_ms: i64) -> f64 {
        self.level + self.a_second * (time_ms as f64 - self.at_ms) / 1000.0
    }
}

impl Series {
    /// Where the line nearest to the samples of each step leads, so long after the step's end (or
    /// the grid's, where that is earlier), in the series' unit. Steps with fewer than two moments,
    /// or a value that is no finite number, are missing.
    pub fn ahead(&self, grid: Grid, ahead_ms: i64, interval_ms: i64) -> Series {
        let points = self.lines(grid, interval_ms, |start_ms, line| {
            let end_ms = start_ms.saturating_add(grid.step_ms).min(grid.to_ms);
            line.at(end_ms.saturating_add(ahead_ms))
        });
        let (times_ms, values) = points.into_iter().unzip();
        Series {
            name: self.name.clone(),
            kind: Kind::Gauge,
            times_ms,
            values,
        }
    }

    /// What `tell` makes of the line nearest to the samples of each step.
    pub(super) fn lines(
        &self,
        grid: Grid,
        interval_ms: i64,
        tell: impl Fn(i64, &Line) -> f64,
    ) -> Vec<(i64, f64)> {
        let told = |times_ms: &[i64], values: &[f64]| {
            let start_ms = grid.step_of(*times_ms.first()?);
            Some(tell(start_ms, &Line::through(times_ms, values)?))
        };
        match self.kind {
            Kind::Gauge => steps_of(self.within(grid), grid, told),
            Kind::Counter => {
                let (times_ms, values) = self.unbroken(grid, interval_ms);
                steps_of((&times_ms, &values), grid, told)
            }
        }
    }

    /// A counter as if it had never begun anew.
    fn unbroken(&self, grid: Grid, interval_ms: i64) -> (Vec<i64>, Vec<f64>) {
        let (times_ms, values) = self.within(grid);
        let mut sum = values.first().copied().unwrap_or(0.0);
        let pairs = self.pairs(grid.from_ms, grid.to_ms, interval_ms);
        let within = pairs.take_while(|pair| pair.to_ms <= grid.to_ms);
        let later = within.map(|pair| {
            sum += pair.increase;
            sum
        });
        let unbroken = values.first().copied().into_iter().chain(later).collect();
        (times_ms.to_vec(), unbroken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Agg, SeriesName};
    use super::*;
    use proptest::prelude::*;

    const WHOLE: i64 = i64::MAX / 4;

    fn series(kind: Kind, points: &[(i64, f64)]) -> Series {
        Series {
            name: SeriesName::new("m", &[]),
            kind,
            times_ms: points.iter().map(|p| p.0).collect(),
            values: points.iter().map(|p| p.1).collect(),
        }
    }

    fn grid(to_ms: i64, step_ms: i64) -> Grid {
        Grid {
            from_ms: 0,
            to_ms,
            step_ms,
        }
    }

    #[test]
    fn a_gauge_that_climbs_is_met_where_its_line_leads() {
        let points: Vec<(i64, f64)> = (0..10).map(|i| (i * 10_000, 5.0 + i as f64)).collect();
        let climbing = series(Kind::Gauge, &points);
        let whole = grid(90_000, WHOLE);
        let slope = climbing.resample(whole, Agg::Deriv, 10_000);
        assert!((slope.values[0] - 0.1).abs() < 1e-12, "{slope:?}");
        let end = climbing.ahead(whole, 60_000, 10_000);
        assert!((end.values[0] - 20.0).abs() < 1e-9, "{end:?}");
        // From each step's own samples, to its own end and further.
        let steps = climbing.ahead(grid(90_000, 50_000), 10_000, 10_000);
        assert_eq!(steps.times_ms, [0, 50_000]);
        assert!((steps.values[0] - 11.0).abs() < 1e-9, "{steps:?}");
        assert!((steps.values[1] - 15.0).abs() < 1e-9, "{steps:?}");
    }

    #[test]
    fn one_sample_has_no_line() {
        let alone = series(Kind::Gauge, &[(10_000, 5.0)]);
        let whole = grid(90_000, WHOLE);
        assert!(alone.resample(whole, Agg::Deriv, 10_000).values.is_empty());
    }

    #[test]
    fn what_is_no_number_has_no_line() {
        for odd in [f64::NAN, f64::INFINITY, 1e305] {
            let points = [(0, 1.0), (10_000, odd), (20_000, -odd)];
            let odd = series(Kind::Gauge, &points);
            let whole = grid(90_000, WHOLE);
            assert!(odd.resample(whole, Agg::Deriv, 10_000).values.is_empty());
            assert!(odd.ahead(whole, 10_000, 10_000).values.is_empty());
        }
    }

    #[test]
    fn a_counter_that_began_anew_climbs_on() {
        let points = [(0, 100.0), (10_000, 110.0), (20_000, 10.0), (30_000, 20.0)];
        let restarted = series(Kind::Counter, &points);
        let whole = grid(30_000, WHOLE);
        let slope = restarted.resample(whole, Agg::Deriv, 10_000);
        assert!((slope.values[0] - 1.0).abs() < 1e-12, "{slope:?}");
        let end = restarted.ahead(whole, 10_000, 10_000);
        assert!((end.values[0] - 140.0).abs() < 1e-9, "{end:?}");
    }

    proptest! {
        #[test]
        fn no_other_line_is_nearer(
            steps in prop::collection::vec((1i64..100_000, -1e3..1e3f64), 2..40),
            other in (-1.0..1.0f64, -1.0..1.0f64)
        ) {
            let mut time_ms = 1_700_000_000_000;
            let points: Vec<(i64, f64)> = steps
                .iter()
                .map(|(later_ms, value)| { time_ms += later_ms; (time_ms, *value) })
                .collect();
            let (times_ms, values): (Vec<i64>, Vec<f64>) = points.iter().copied().unzip();
            let line = Line::through(&times_ms, &values).unwrap();
            let squares = |line: &Line| -> f64 {
                points.iter().map(|(t, v)| (line.at(*t) - v).powi(2)).sum()
            };
            let moved = Line { level: line.level + other.0, a_second: line.a_second + other.1, ..line };
            prop_assert!(squares(&line) <= squares(&moved) * (1.0 + 1e-9) + 1e-6);
        }
    }
}
