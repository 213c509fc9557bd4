//! What a level is like, told from its data alone: whether it keeps what it moves.
//!
//! What is stored stays: of all that a store's level moves within a day, most is still there at the
//! day's end. What comes and goes is by the evening where it was, however large its rhythm or its
//! noise. So a day's moves are summed up twice, with their signs and without, and one is divided by
//! the other: 1 for a day that only rose, -1 for one that only fell (the free side of a store), about
//! 0 for a day that returned. Days count alike, so that a clean-up is one odd day, and any unit will
//! do.

use serde::{Deserialize, Serialize};

use super::{Fit, Hours, storage, usage};
use crate::forecast::hours::{DAY_MS, HOUR_MS};

/// What a level is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It gathers: file systems, inodes.
    Store,
    /// It comes and goes: CPU, memory, network.
    Usage,
}

/// Days that are looked back, as far as a store's method looks.
const DAYS: i64 = 60;
/// A store keeps at least this part of what its days move: three steps ahead for one back.
const KEPT: f64 = 0.5;
/// So much more than the toss of a coin for each day would keep, in deviations of that toss: four
/// days that all went one way, or sixteen that kept half.
const DEVIATIONS: f64 = 2.0;
/// Sums of numbers are not exact; a unit must not decide.
const ROUNDING: f64 = 1e-9;

impl Class {
    /// What a level is like by what was known of it at `now_ms`; what never moved, or on too few days
    /// to tell, is no store.
    pub fn of(hours: &Hours, now_ms: i64) -> Class {
        let days: Vec<f64> = (0..DAYS)
            .filter_map(|ago| kept(hours, now_ms - ago * DAY_MS))
            .collect();
        let count = days.len().max(1) as f64;
        let kept = (days.iter().sum::<f64>() / count).abs() + ROUNDING;
        match kept >= KEPT && kept * count.sqrt() >= DEVIATIONS {
            true => Class::Store,
            false => Class::Usage,
        }
    }

    /// How a level of this class goes on from `now_ms`; `None` where too few days are known.
    pub fn fit(self, hours: &Hours, now_ms: i64) -> Option<Fit> {
        match self {
            Class::Store => storage(hours, now_ms),
            Class::Usage => usage(hours, now_ms),
        }
    }
}

/// What is left of the moves of the day that ends at a moment, -1 to 1; nothing of a day without.
fn kept(hours: &Hours, end_ms: i64) -> Option<f64> {
    let (mut left, mut moved, mut before) = (0.0, 0.0, None);
    // With the hour before, from which the day's first one moved.
    for (_, level) in hours.between(end_ms - DAY_MS - HOUR_MS, end_ms) {
        let step = level - before.unwrap_or(level);
        left += step;
        moved += step.abs();
        before = Some(level);
    }
    (moved > 0.0 && moved.is_finite()).then(|| left / moved)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A level by the hour.
    type Level<'a> = &'a dyn Fn(i64) -> f64;

    /// The class after so many days of a level by the hour.
    fn class(days: i64, level: impl Fn(i64) -> f64) -> Class {
        let hours = Hours::of((0..days * 24).map(|h| (h * HOUR_MS, level(h))));
        Class::of(&hours, days * DAY_MS)
    }

    /// Noise between -1 and 1, the same at every run.
    fn noise(hour: i64) -> f64 {
        let mixed = (hour as u64)
            .wrapping_add(1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed >> 11) as f64 / (1u64 << 52) as f64) - 1.0
    }

    #[test]
    fn what_keeps_what_it_moves_is_a_store() {
        let rhythm = |h: i64| (h as f64 / 24.0 * std::f64::consts::TAU).sin();
        let table: [(&str, Class, Level<'_>); 11] = [
            ("steady growth", Class::Store, &|h| 100.0 + h as f64),
            ("the free side of it", Class::Store, &|h| 9e3 - h as f64),
            ("growth in rare steps", Class::Store, &|h| (h / 50) as f64),
            ("growth and some noise", Class::Store, &|h| {
                h as f64 + 0.3 * noise(h)
            }),
            ("cleaned up each week", Class::Store, &|h| (h % 168) as f64),
            ("cleaned up once", Class::Store, &|h| {
                h as f64 - if h > 300 { 280.0 } else { 0.0 }
            }),
            ("a constant", Class::Usage, &|_| 42.0),
            ("noise", Class::Usage, &noise),
            ("a daily rhythm", Class::Usage, &|h| rhythm(h)),
            ("a rhythm on a slow climb", Class::Usage, &|h| {
                10.0 * rhythm(h) + 0.1 * h as f64
            }),
            ("emptied every night", Class::Usage, &|h| (h % 24) as f64),
        ];
        for (what, expected, level) in table {
            assert_eq!(class(28, level), expected, "{what}");
        }
    }

    #[test]
    fn a_walk_without_aim_is_no_store() {
        let mut level = 0.0;
        let walk: Vec<f64> = (0..60 * 24)
            .map(|h| {
                level += noise(h);
                level
            })
            .collect();
        assert_eq!(class(60, |h| walk[h as usize]), Class::Usage);
    }

    #[test]
    fn three_days_are_too_few_to_tell() {
        assert_eq!(class(3, |h| h as f64), Class::Usage);
        assert_eq!(class(4, |h| h as f64), Class::Store);
    }

    #[test]
    fn what_came_later_changes_nothing() {
        let level = |h: i64| match h {
            h if h < 28 * 24 => h as f64,
            _ => 500.0 * noise(h),
        };
        let until = |days: i64| Hours::of((0..days * 24).map(|h| (h * HOUR_MS, level(h))));
        let (past, more) = (until(28), until(100));
        for day in [10, 28] {
            let now_ms = day * DAY_MS;
            assert_eq!(Class::of(&past, now_ms), Class::Store);
            assert_eq!(Class::of(&more, now_ms), Class::Store);
        }
        assert_eq!(Class::of(&more, 100 * DAY_MS), Class::Usage);
    }

    proptest! {
        #[test]
        fn another_unit_changes_no_class(
            steps in prop::collection::vec(-1.0..2.0f64, 24 * 5..24 * 12), scale in 1e-6..1e9f64
        ) {
            let mut level = 0.0;
            let levels: Vec<f64> = steps.iter().map(|step| { level += step; level }).collect();
            let days = levels.len() as i64 / 24;
            let plain = class(days, |h| levels[h as usize]);
            let scaled = class(days, |h| levels[h as usize] * scale);
            let turned = class(days, |h| levels[h as usize] * -scale);
            prop_assert_eq!((plain, plain), (scaled, turned));
        }

        #[test]
        fn no_level_breaks_the_decision(points: Vec<(i32, f64)>, now_ms: i32) {
            let mut points: Vec<(i64, f64)> =
                points.into_iter().map(|(t, v)| (i64::from(t) * 1_000, v)).collect();
            points.sort_by_key(|p| p.0);
            let hours = Hours::of(points);
            let _ = Class::of(&hours, i64::from(now_ms) * 1_000);
        }
    }
}
