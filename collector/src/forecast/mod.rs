//! Foresight: where a level will be, and when it runs out. Pure; no look-ahead.
//!
//! Everything works on [`Hours`], the hourly medians of one series up to now. By class, as the
//! evidence on real hosts says (docs/forecast.md): what grows like a store of data is extrapolated
//! ([`storage`]); CPU, memory, load and network mostly return, so their honest forecast is where they
//! are ([`usage`]). Where nobody knows the class it is told from the data ([`Class::of`]). *Is it filling now* is another question, with a shorter window ([`filling`]).

mod class;
mod fill;
mod hours;
mod outlook;
mod storage;
mod usage;

pub use class::Class;
pub use fill::{Alarm, Filling, QUIET_MS, WARN_MS, Warned, filling, steadiness};
pub use hours::{DAY_MS, HOUR_MS, Hours};
pub use outlook::{Meets, Record, Trust, meets, record};
pub use storage::storage;
pub use usage::usage;

use serde::{Deserialize, Serialize};

use crate::series;

/// What is expected, with a band that the truth lies in four times of five.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The level, in the series' unit.
    pub value: f64,
    /// Lower end of the 80 % band.
    pub low80: f64,
    /// Upper end of the 80 % band.
    pub high80: f64,
}

/// How a level goes on from a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The median of the last day.
    pub level: f64,
    /// Expected change of a day.
    pub a_day: f64,
    /// Daily changes that the band is taken from.
    pub changes: usize,
    /// Half the band of a random walk after one day.
    pub walk: f64,
    /// At least so much on both sides.
    pub half_min: f64,
}

impl Fit {
    /// The level after `horizon_ms`. The band of a random walk widens with `√(d (1 + d / n))`, where
    /// `d` is the horizon in days and `n` the number of daily changes: the drift is not known either.
    pub fn at(&self, horizon_ms: i64) -> Forecast {
        let ahead = horizon_ms.max(0) as f64 / DAY_MS as f64;
        let spread = (ahead * (1.0 + ahead / self.changes.max(1) as f64)).sqrt();
        let half = (self.walk * spread).max(self.half_min);
        let value = self.level + self.a_day * ahead;
        Forecast {
            value,
            low80: value - half,
            high80: value + half,
        }
    }
}

/// A forecast needs the medians of so many days.
pub const DAYS_MIN: usize = 4;

/// 90 % quantile of the normal distribution: both sides beyond it leave 80 %.
const NORMAL_90: f64 = 1.2816;

/// 90 % quantile of Student's t with `freedom` degrees of freedom, by Hill's series (G. W. Hill,
/// Algorithm 396, 1970) to its third term: within 1 % from 3 degrees on.
fn student_90(freedom: usize) -> f64 {
    let n = freedom.max(1) as f64;
    let z = NORMAL_90;
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * n)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * n * n)
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * n.powi(3))
}

/// Sample standard deviation; 0 of fewer than two values.
fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares / (n - 1.0)).sqrt()
}

/// The middle value, or the mean of the two; 0 of none.
fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// By linear interpolation between the sorted values; 0 of none.
fn quantile(values: &[f64], q: f64) -> f64 {
    series::quantile(&mut values.to_vec(), q).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours of so many days by a function of the day, and the moment they end.
    pub(super) fn history(days: i64, level: impl Fn(f64) -> f64) -> (Hours, i64) {
        let points = (0..days * 24).map(|h| (h * HOUR_MS, level(h as f64 / 24.0)));
        (Hours::of(points), days * DAY_MS)
    }

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        for (freedom, table) in [(3, 1.638), (5, 1.476), (13, 1.350), (30, 1.310)] {
            let ours = student_90(freedom);
            assert!((ours / table - 1.0).abs() < 0.01, "{freedom}: {ours}");
        }
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0, 4.0], 0.5), 2.5);
        assert_eq!(quantile(&[5.0], 0.9), 5.0);
        assert_eq!(median(&[]), 0.0);
        assert!((deviation(&[1.0, 3.0]) - 2f64.sqrt()).abs() < 1e-12);
    }
}
