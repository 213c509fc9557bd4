//! CPU, memory, load, network: what comes and goes. The honest forecast is where it is; what would
//! have been a trend on real hosts turned back more often than not (docs/forecast.md).

use super::{DAYS_MIN, Fit, Hours, deviation, quantile, student_90};

/// Days that are looked back: two weeks have each weekday twice.
const DAYS: u16 = 14;
/// A random walk's band is this much too wide for what returns, learned on real hosts.
const WALK_FACTOR: f64 = 0.305;
/// Part of the days that lay within the band around today's level.
const WITHIN: f64 = 0.8;

/// How the level goes on from `now_ms`; `None` where too few days are known.
///
/// The band reaches as far as four of five of the last days lay from today, and at least as far as
/// a part of a random walk with the days' changes would.
pub fn usage(hours: &Hours, now_ms: i64) -> Option<Fit> {
    let days = hours.days(now_ms, DAYS);
    let (ago, level) = *days.last()?;
    if days.len() < DAYS_MIN || ago > 0 {
        return None;
    }
    let changes: Vec<f64> = days.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    let distances: Vec<f64> = days.iter().map(|(_, day)| (day - level).abs()).collect();
    Some(Fit {
        level,
        a_day: 0.0,
        changes: changes.len(),
        walk: WALK_FACTOR * student_90(changes.len() - 1) * deviation(&changes),
        half_min: quantile(&distances, WITHIN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::hours::DAY_MS;
    use crate::forecast::tests::history;

    #[test]
    fn it_stays_where_it_is_with_the_band_of_the_last_days() {
        let (hours, now_ms) = history(14, |day| 40.0 + day.floor() % 5.0);
        let week = usage(&hours, now_ms).unwrap().at(7 * DAY_MS);
        assert_eq!(week.value, 43.0);
        assert!(week.low80 <= 41.0 && week.high80 >= 45.0, "{week:?}");
    }

    #[test]
    fn a_climb_widens_the_band_and_is_not_prolonged() {
        let (hours, now_ms) = history(14, f64::floor);
        let week = usage(&hours, now_ms).unwrap().at(7 * DAY_MS);
        assert_eq!(week.value, 13.0);
        assert!(week.high80 > 20.0, "{week:?}");
    }

    #[test]
    fn a_few_days_give_no_forecast() {
        let (hours, now_ms) = history(3, f64::floor);
        assert_eq!(usage(&hours, now_ms), None);
    }
}
