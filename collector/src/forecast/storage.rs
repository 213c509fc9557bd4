//! What grows like a store of data: file systems, inodes, append-only files.
//!
//! The level of the last day, and from there the typical change of a day: the mean of the last two
//! months' changes, newer ones weighing more, each held to three typical deviations from their
//! median. So a clean-up or a restored backup counts as little more than an odd day. On real growth
//! that beats a straight line through the level, which a single step bends, and Theil-Sen's slope
//! (docs/forecast.md has the figures).

use super::{DAYS_MIN, Fit, Hours, deviation, median, student_90};

/// Days that are looked back.
const DAYS: u16 = 60;
/// A change this old weighs half of today's.
const HALF_LIFE_DAYS: f64 = 30.0;
/// A day's change is held to so many typical deviations from the median.
const HELD_DEVIATIONS: f64 = 3.0;
/// From the median deviation to the standard one of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;
/// Changes that the band is taken from: what was quiet in spring says little of today.
const BAND_DAYS: usize = 30;
/// What the band of a drift must be widened by to cover 80 %, learned on real stores.
const BAND_FACTOR: f64 = 1.2;

/// How the level goes on from `now_ms`; `None` where too few days are known. The band is that of a
/// random walk with drift.
pub fn storage(hours: &Hours, now_ms: i64) -> Option<Fit> {
    let days = hours.days(now_ms, DAYS);
    let (ago, level) = *days.last()?;
    if days.len() < DAYS_MIN || ago > 0 {
        return None;
    }
    let changes: Vec<(f64, f64)> = days
        .windows(2)
        .map(|pair| {
            let apart = f64::from(pair[0].0 - pair[1].0);
            (f64::from(pair[1].0), (pair[1].1 - pair[0].1) / apart)
        })
        .collect();
    let newest: Vec<f64> = changes[changes.len().saturating_sub(BAND_DAYS)..]
        .iter()
        .map(|(_, change)| *change)
        .collect();
    Some(Fit {
        level,
        a_day: typical(&changes),
        changes: newest.len(),
        walk: BAND_FACTOR * student_90(newest.len() - 1) * deviation(&newest),
        half_min: 0.0,
    })
}

/// The typical change of a day, of (days ago, change).
fn typical(changes: &[(f64, f64)]) -> f64 {
    let values: Vec<f64> = changes.iter().map(|(_, change)| *change).collect();
    let middle = median(&values);
    let distances: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    let held = HELD_DEVIATIONS * MAD_TO_SIGMA * median(&distances);
    let (mut sum, mut weights) = (0.0, 0.0);
    for (ago, change) in changes {
        let weight = 0.5f64.powf(ago / HALF_LIFE_DAYS);
        sum += weight * change.clamp(middle - held, middle + held);
        weights += weight;
    }
    sum / weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::hours::DAY_MS;
    use crate::forecast::tests::history;

    #[test]
    fn steady_growth_goes_on() {
        let (hours, now_ms) = history(30, |day| 100.0 + 2.0 * day);
        let week = storage(&hours, now_ms).unwrap().at(7 * DAY_MS);
        let last_day = 100.0 + 2.0 * (29.0 + 11.5 / 24.0);
        assert!((week.value - (last_day + 14.0)).abs() < 1e-9, "{week:?}");
        assert!(week.high80 - week.low80 < 1e-9, "it never wavered");
    }

    #[test]
    fn a_clean_up_is_no_trend() {
        let clean = |day: f64| 100.0 + day + if day >= 20.0 { -60.0 } else { 0.0 };
        let (hours, now_ms) = history(30, clean);
        let week = storage(&hours, now_ms).unwrap().at(7 * DAY_MS);
        let grows = week.value - clean(29.48);
        assert!((6.5..7.5).contains(&grows), "{grows} in a week");
    }

    #[test]
    fn the_band_widens_with_the_horizon_and_with_what_wavers() {
        let wavers = |by: f64| move |day: f64| 100.0 + day + by * (day.floor() * 2.4).sin();
        let width = |by: f64, ahead: i64| {
            let (hours, now_ms) = history(30, wavers(by));
            let f = storage(&hours, now_ms).unwrap().at(ahead * DAY_MS);
            f.high80 - f.low80
        };
        assert!(width(1.0, 7) > 2.0 * width(1.0, 1));
        assert!(width(2.0, 7) > 1.9 * width(1.0, 7));
    }

    #[test]
    fn a_few_days_or_a_silent_last_day_give_no_forecast() {
        let (hours, now_ms) = history(3, |day| day);
        assert_eq!(storage(&hours, now_ms), None);
        let (hours, now_ms) = history(30, |day| day);
        assert_eq!(storage(&hours, now_ms + 2 * DAY_MS), None);
    }

    #[test]
    fn samples_of_the_future_change_nothing() {
        let (past, now_ms) = history(30, |day| 3.0 * day);
        let (more, _) = history(40, |day| if day < 30.0 { 3.0 * day } else { 0.0 });
        let ahead = |hours| storage(hours, now_ms);
        assert_eq!(ahead(&past), ahead(&more));
    }
}
