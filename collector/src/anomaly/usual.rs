//! What is usual for one series: where it is, what it does at this hour, and how far it strays on an
//! ordinary day. Bounded state, one sample at a time, nothing known that comes later.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::series;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The day is cut into parts of ten minutes.
const SLOT_MS: i64 = 10 * MINUTE_MS;
const SLOTS: usize = (DAY_MS / SLOT_MS) as usize;
/// After so long half of what was known of the level is forgotten, …
const LEVEL_HALF_MS: i64 = 6 * HOUR_MS;
/// … and half of what was known of the scatter around level and daily course.
const SCATTER_HALF_MS: i64 = DAY_MS;
/// Part of a new day in the daily course.
const COURSE_GAIN: f64 = 0.2;
/// Days whose extremes are remembered: each weekday twice, …
const DAYS: usize = 14;
/// … how many there must be before anything is judged, …
const DAYS_MIN: usize = 2;
/// … and which quantile of the extremes is the usual one.
const USUAL: f64 = 0.75;
/// A usual extreme is at least so many deviations: less is no extreme.
const EXTREME_MIN: f64 = 3.0;
/// A deviation is at least this part of a day's range.
const DEVIATION_MIN: f64 = 0.01;
/// After a longer silence than this a sample counts as one after this.
const SILENCE_MS: i64 = DAY_MS;

/// A day's extremes, in deviations, and its range, in the series' unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Day {
    number: i64,
    /// Largest deviation from the level.
    level: f64,
    /// Largest deviation from level and daily course.
    course: f64,
    low: f64,
    high: f64,
}

/// How unusual a sample is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strays {
    /// The deviation in the series' own usual daily extremes: 1 is what happens on most days.
    pub times: f64,
    /// What the series usually is at this hour.
    pub usual: f64,
}

/// What deviations are held against; the same all day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Yardstick {
    /// Usual extreme of a day around the level, in deviations, …
    level: f64,
    /// … and around level and course.
    course: f64,
    /// Below this a deviation is nothing, in the series' unit: a series that hardly moves has none to
    /// be held against.
    least: f64,
}

/// The usual of one series. About 80 numbers and the daily course.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    last_ms: i64,
    mean: f64,
    variance: f64,
    level: f64,
    /// Mean square around level and course.
    scatter: f64,
    course: Vec<f32>,
    today: Day,
    days: VecDeque<Day>,
    /// Of those days; made when one ends.
    yardstick: Option<Yardstick>,
}

/// How much of the old is left after `elapsed_ms`.
fn left(elapsed_ms: i64, half_ms: i64) -> f64 {
    (-(elapsed_ms as f64) / half_ms as f64).exp2()
}

/// Deviations; 0 where there is nothing to hold it against.
fn deviations(distance: f64, scale: f64) -> f64 {
    match scale > 0.0 {
        true => distance.abs() / scale,
        false => 0.0,
    }
}

impl Usual {
    /// Begins with a first sample.
    pub fn begin(time_ms: i64, value: f64) -> Usual {
        Usual {
            last_ms: time_ms,
            mean: value,
            variance: 0.0,
            level: value,
            scatter: 0.0,
            course: vec![0.0; SLOTS],
            today: Day::of(time_ms, value),
            days: VecDeque::with_capacity(DAYS),
            yardstick: None,
        }
    }

    /// When its last sample was taken.
    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// Whether enough is known to judge it.
    pub fn is_known(&self) -> bool {
        self.judged_by().is_some()
    }

    fn judged_by(&self) -> Option<Yardstick> {
        self.yardstick
            .filter(|y| y.least > 0.0 && self.days.len() >= DAYS_MIN)
    }

    /// Takes a sample; answers how unusual it is by what was known before it. Nothing while too
    /// little is known, and for one that is not later than the last.
    pub fn note(&mut self, time_ms: i64, value: f64) -> Option<Strays> {
        if time_ms <= self.last_ms || !value.is_finite() {
            return None;
        }
        let elapsed_ms = (time_ms - self.last_ms).min(SILENCE_MS);
        self.last_ms = time_ms;
        if time_ms.div_euclid(DAY_MS) != self.today.number {
            self.end_day(time_ms, value);
        }
        let slot = (time_ms.rem_euclid(DAY_MS) / SLOT_MS) as usize;
        let usual = self.level + f64::from(self.course[slot]);
        let least = self.yardstick.map_or(0.0, |y| y.least);
        let from_level = deviations(value - self.mean, self.variance.sqrt().max(least));
        let from_course = deviations(value - usual, self.scatter.sqrt().max(least));
        let strays = self.judged_by().map(|y| Strays {
            times: (from_level / y.level).max(from_course / y.course),
            usual,
        });
        self.today.note(value, (from_level, from_course));
        self.learn(elapsed_ms, slot, value);
        strays
    }

    fn learn(&mut self, elapsed_ms: i64, slot: usize, value: f64) {
        let kept = left(elapsed_ms, LEVEL_HALF_MS);
        let distance = value - self.mean;
        let step = (1.0 - kept) * distance;
        self.mean += step;
        self.variance = kept * (self.variance + distance * step);
        let course = f64::from(self.course[slot]);
        let distance = value - self.level - course;
        let kept_scatter = left(elapsed_ms, SCATTER_HALF_MS);
        self.scatter = kept_scatter * self.scatter + (1.0 - kept_scatter) * distance * distance;
        self.level += (1.0 - kept) * distance;
        // A slot is met once a day, by one sample or by many.
        let met = (elapsed_ms as f64 / SLOT_MS as f64).min(1.0);
        let gain = 1.0 - (1.0 - COURSE_GAIN).powf(met);
        self.course[slot] += (gain * (value - self.level - course)) as f32;
    }

    fn end_day(&mut self, time_ms: i64, value: f64) {
        if self.days.len() == DAYS {
            self.days.pop_front();
        }
        let today = Day::of(time_ms, value);
        self.days
            .push_back(std::mem::replace(&mut self.today, today));
        self.yardstick = self.measure();
    }

    /// What the remembered days give to hold deviations against.
    fn measure(&self) -> Option<Yardstick> {
        let quantile = |of: fn(&Day) -> f64, q: f64| {
            let mut all: Vec<f64> = self.days.iter().map(of).collect();
            series::quantile(&mut all, q)
        };
        Some(Yardstick {
            level: quantile(|d| d.level, USUAL)?.max(EXTREME_MIN),
            course: quantile(|d| d.course, USUAL)?.max(EXTREME_MIN),
            least: quantile(|d| d.high - d.low, 0.5)? * DEVIATION_MIN,
        })
    }
}

impl Day {
    fn of(time_ms: i64, value: f64) -> Day {
        Day {
            number: time_ms.div_euclid(DAY_MS),
            level: 0.0,
            course: 0.0,
            low: value,
            high: value,
        }
    }

    fn note(&mut self, value: f64, (level, course): (f64, f64)) {
        self.low = self.low.min(value);
        self.high = self.high.max(value);
        self.level = self.level.max(level);
        self.course = self.course.max(course);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Noise that is the same each time, between -1 and 1.
    fn noise(n: i64) -> f64 {
        let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Five-minute samples of so many days; the furthest stray from `from` on.
    fn furthest(days: i64, from: i64, value: impl Fn(i64) -> f64) -> Option<f64> {
        let mut usual = Usual::begin(0, value(0));
        (1..days * 288)
            .filter_map(|n| Some((n, usual.note(n * 5 * MINUTE_MS, value(n))?)))
            .filter(|(n, _)| *n >= from)
            .map(|(_, strays)| strays.times)
            .reduce(f64::max)
    }

    fn busy(n: i64) -> f64 {
        let hour = (n % 288) as f64 / 12.0;
        40.0 + 20.0 * (hour / 24.0 * std::f64::consts::TAU).sin() + 3.0 * noise(n)
    }

    #[test]
    fn an_ordinary_day_holds_nothing_that_strays_far() {
        let found = furthest(14, 7 * 288, busy).unwrap();
        assert!(found < 1.75, "{found}");
    }

    #[test]
    fn what_never_happened_strays_by_many_usual_extremes() {
        let spike = |n| if n == 13 * 288 { 100.0 } else { busy(n) };
        let found = furthest(14, 7 * 288, spike).unwrap();
        assert!(found > 1.75, "{found}");
    }

    #[test]
    fn what_happens_every_day_is_usual() {
        let nightly = |n| if n % 288 < 6 { 95.0 } else { 20.0 + noise(n) };
        let found = furthest(14, 10 * 288, nightly).unwrap();
        assert!(found < 1.75, "{found}");
    }

    #[test]
    fn a_series_that_never_moves_has_no_usual_extreme_and_never_strays() {
        assert_eq!(furthest(14, 0, |_| 7.0), None);
    }

    #[test]
    fn two_days_are_too_little_to_judge_by() {
        assert_eq!(furthest(2, 0, busy), None);
    }

    proptest! {
        #[test]
        fn another_unit_changes_no_verdict(power in -6i32..12, at in 288i64..2000) {
            let scale = 2f64.powi(power);
            let value = |n| if n == at { 90.0 } else { busy(n) };
            let (plain, scaled) = (furthest(8, 0, value), furthest(8, 0, |n| scale * value(n)));
            prop_assert!((plain.unwrap() / scaled.unwrap() - 1.0).abs() < 1e-3);
        }
    }
}
