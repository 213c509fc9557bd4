//! The outlook of one level: by which method it goes on, when it meets a limit, and how well the same
//! method did on its own past.

use serde::{Deserialize, Serialize};

use super::hours::{DAY_MS, HOUR_MS};
use super::{Class, Fit, Hours};

/// A replay looks so far ahead, …
const AHEAD_MS: i64 = 7 * DAY_MS;
/// … the next one begins half a week earlier, …
const APART_MS: i64 = 84 * HOUR_MS;
/// … and there are at most so many: eight weeks.
const REPLAYS: i64 = 16;
/// Fewer say nothing.
const REPLAYS_MIN: usize = 4;
/// A method that misses by more than this many times what staying put misses by is not to be
/// believed here, …
const WORSE: f64 = 1.25;
/// … nor is a band that held the truth in fewer than half of the replays.
const COVERED_MIN: f64 = 0.5;
/// What a level misses by is nothing below this part of its limit.
const NOTHING: f64 = 0.001;

/// How the same method would have done on this level's past, a week ahead each time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// How often it was tried.
    pub replays: usize,
    /// Mean distance from the truth, in the level's unit.
    pub error: f64,
    /// The same had it been said that nothing changes.
    pub error_staying: f64,
    /// Part of the replays whose band held the truth; the aim is 0.8.
    pub covered: f64,
}

/// What a record is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The method did well.
    Good,
    /// It was tried too seldom.
    Short,
    /// It did worse than saying that nothing changes, or its band held too little.
    Bad,
}

impl Record {
    /// What it is worth, for a level that may reach `limit`.
    pub fn trust(&self, limit: f64) -> Trust {
        let worse = self.error > WORSE * self.error_staying + NOTHING * limit.abs();
        match self.replays {
            n if n < REPLAYS_MIN => Trust::Short,
            _ if worse || self.covered < COVERED_MIN => Trust::Bad,
            _ => Trust::Good,
        }
    }
}

/// Replays a class's method on the past of a level, without ever looking ahead.
pub fn record(hours: &Hours, class: Class, now_ms: i64) -> Record {
    let (mut replays, mut covered, mut error, mut error_staying) = (0usize, 0usize, 0.0, 0.0);
    for turn in 0..REPLAYS {
        let truth_ms = now_ms - turn * APART_MS;
        let made_ms = truth_ms - AHEAD_MS;
        let truth = hours.days(truth_ms, 1);
        let (Some((_, truth)), Some(fit)) = (truth.first(), class.fit(hours, made_ms)) else {
            continue;
        };
        let said = fit.at(AHEAD_MS);
        replays += 1;
        covered += usize::from((said.low80..=said.high80).contains(truth));
        error += (said.value - truth).abs();
        error_staying += (fit.level - truth).abs();
    }
    let n = replays.max(1) as f64;
    Record {
        replays,
        error: error / n,
        error_staying: error_staying / n,
        covered: covered as f64 / n,
    }
}

/// Nobody plans further ahead than this; what is later counts as never.
const FAR_DAYS: i64 = 730;

/// When a level meets a limit, milliseconds since the Unix epoch; `None`: not within two years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meets {
    /// As soon as it may: the band's upper end.
    pub earliest_ms: Option<i64>,
    /// As expected.
    pub expected_ms: Option<i64>,
    /// The band's lower end.
    pub latest_ms: Option<i64>,
}

/// When a level that goes on from `now_ms` meets a limit that lies above, to the day; at once where it
/// stands above it.
pub fn meets(fit: &Fit, now_ms: i64, limit: f64) -> Meets {
    if fit.level >= limit {
        let now = Some(now_ms);
        return Meets {
            earliest_ms: now,
            expected_ms: now,
            latest_ms: now,
        };
    }
    let first = |of: fn(&super::Forecast) -> f64| {
        let day = (1..=FAR_DAYS).find(|day| of(&fit.at(day * DAY_MS)) >= limit);
        day.map(|day| now_ms + day * DAY_MS)
    };
    Meets {
        earliest_ms: first(|f| f.high80),
        expected_ms: first(|f| f.value),
        latest_ms: first(|f| f.low80),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::forecast::storage;
    use crate::forecast::tests::history;

    #[test]
    fn steady_growth_has_a_good_record_and_meets_its_limit_when_it_should() {
        let (hours, now_ms) = history(60, |day| 40.0 + day / 2.0);
        let kept = record(&hours, Class::Store, now_ms);
        assert!(kept.replays >= 14 && kept.error < 0.01, "{kept:?}");
        assert!((3.4..3.6).contains(&kept.error_staying), "{kept:?}");
        assert_eq!(kept.trust(100.0), Trust::Good);
        let met = meets(&storage(&hours, now_ms).unwrap(), now_ms, 100.0);
        let days = (met.expected_ms.unwrap() - now_ms) / DAY_MS;
        assert!((60..=62).contains(&days), "{days}");
        assert_eq!(met.earliest_ms, met.expected_ms, "it never wavered");
    }

    #[test]
    fn a_short_past_is_no_record() {
        let (hours, now_ms) = history(14, |day| day);
        let kept = record(&hours, Class::Store, now_ms);
        assert!((1..REPLAYS_MIN).contains(&kept.replays), "{kept:?}");
        assert_eq!(kept.trust(100.0), Trust::Short);
    }

    #[test]
    fn what_turns_back_each_week_is_not_to_be_believed_as_a_trend() {
        // A week up, a week down: whoever prolongs the last days is wrong by twice as much.
        let turns = |day: f64| 40.0 + 3.0 * ((day % 14.0) - 7.0).abs();
        let (hours, now_ms) = history(70, turns);
        let trust = |class| record(&hours, class, now_ms).trust(100.0);
        assert_eq!(trust(Class::Usage), Trust::Good);
        let kept = Record {
            replays: 9,
            error: 2.0,
            error_staying: 1.0,
            covered: 0.9,
        };
        assert_eq!(kept.trust(100.0), Trust::Bad);
        let narrow = Record {
            error: 0.5,
            covered: 0.4,
            ..kept
        };
        assert_eq!(narrow.trust(100.0), Trust::Bad);
    }

    #[test]
    fn what_stands_still_never_meets_its_limit_and_what_is_above_has() {
        let (hours, now_ms) = history(30, |_| 50.0);
        let fit = storage(&hours, now_ms).unwrap();
        assert_eq!(meets(&fit, now_ms, 60.0), Meets::default());
        assert_eq!(meets(&fit, now_ms, 50.0).latest_ms, Some(now_ms));
    }

    proptest! {
        #[test]
        fn the_band_of_a_date_holds_what_is_expected(
            level in 0.0..90.0f64, a_day in -1.0..2.0f64, walk in 0.0..3.0f64, n in 3usize..30
        ) {
            let fit = Fit { level, a_day, changes: n, walk, half_min: 0.0 };
            let met = meets(&fit, 0, 100.0);
            let far = |ms: Option<i64>| ms.unwrap_or(i64::MAX);
            prop_assert!(far(met.earliest_ms) <= far(met.expected_ms));
            prop_assert!(far(met.expected_ms) <= far(met.latest_ms));
        }

        #[test]
        fn another_unit_changes_no_verdict(
            steps in prop::collection::vec(-3.0..4.0f64, 30..60), scale in 1e-3..1e6f64
        ) {
            let of = |scale: f64| {
                let mut level = 50.0;
                let days: Vec<f64> = steps.iter().map(|step| { level += step; level }).collect();
                let point = |h: i64| (h * HOUR_MS, days[h as usize / 24] * scale);
                let now_ms = days.len() as i64 * DAY_MS;
                let hours = Hours::of((0..days.len() as i64 * 24).map(point));
                let trust = record(&hours, Class::Store, now_ms).trust(200.0 * scale);
                let fit = storage(&hours, now_ms).unwrap();
                (trust, meets(&fit, now_ms, 200.0 * scale).expected_ms)
            };
            let (ours, theirs) = (of(1.0), of(scale));
            prop_assert_eq!(ours.0, theirs.0);
            let apart = ours.1.unwrap_or(0) - theirs.1.unwrap_or(0);
            prop_assert!(apart.abs() <= DAY_MS, "{:?} {:?}", ours, theirs);
        }
    }
}
