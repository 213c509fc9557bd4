//! Is it filling now? A straight line through the last week's hours, from where it stands, and how
//! long that takes to the limit.

use std::collections::VecDeque;

use super::{DAYS_MIN, Fit, Hours, Meets, median, storage};
use crate::forecast::hours::{DAY_MS, HOUR_MS};

/// The line is drawn through so much.
const WINDOW_MS: i64 = 7 * DAY_MS;
/// Part of the window's hours that must be there.
const HOURS_MIN: usize = DAYS_MIN * 24;

/// How it fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filling {
    /// Change of a day, in the series' unit.
    pub a_day: f64,
    /// Where it stands: the line's end, or the last day's median where that is more.
    pub level: f64,
    /// When it reaches the limit; `now` where it has, `None` where it does not grow.
    pub full_ms: Option<i64>,
}

/// How a level grows towards `limit`; `None` where too little of the last week is known.
pub fn filling(hours: &Hours, now_ms: i64, limit: f64) -> Option<Filling> {
    let week: Vec<(f64, f64)> = hours
        .between(now_ms - WINDOW_MS, now_ms)
        .map(|(end_ms, value)| ((end_ms - now_ms) as f64 / DAY_MS as f64, value))
        .collect();
    if week.len() < HOURS_MIN {
        return None;
    }
    let n = week.len() as f64;
    let mean_x = week.iter().map(|(x, _)| x).sum::<f64>() / n;
    let mean_y = week.iter().map(|(_, y)| y).sum::<f64>() / n;
    let over: f64 = week.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let under: f64 = week.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let a_day = if under > 0.0 { over / under } else { 0.0 };
    let last: Vec<f64> = week
        .iter()
        .filter(|(x, _)| *x > -1.0)
        .map(|(_, y)| *y)
        .collect();
    let end = mean_y - a_day * mean_x;
    let level = if last.is_empty() {
        end
    } else {
        end.max(median(&last))
    };
    let days = if level >= limit {
        Some(0.0)
    } else {
        // Slower than that is nobody's trouble, and no date that a calendar has.
        Some((limit - level) / a_day).filter(|days| (0.0..36_500.0).contains(days))
    };
    Some(Filling {
        a_day,
        level,
        full_ms: days.map(|days| now_ms + (days * DAY_MS as f64) as i64),
    })
}

/// Nobody asks for a date's band further ahead.
const BAND_HOURS: i64 = 90 * 24;

impl Filling {
    /// When it meets `limit`, to the hour, with the band of a random walk around the line whose steps
    /// are as large as the last days' changes. Three months ahead at most; without a band where too few
    /// days are known.
    pub fn dates(&self, hours: &Hours, now_ms: i64, limit: f64) -> Meets {
        let expected = Meets {
            expected_ms: self.full_ms,
            ..Meets::default()
        };
        let Some(fit) = storage(hours, now_ms) else {
            return expected;
        };
        let fit = Fit {
            level: self.level,
            a_day: self.a_day,
            ..fit
        };
        let first = |of: fn(&super::Forecast) -> f64| {
            let mut ahead = (0..=BAND_HOURS).map(|hour| hour * HOUR_MS);
            let met = ahead.find(|ahead_ms| of(&fit.at(*ahead_ms)) >= limit);
            met.map(|ahead_ms| now_ms + ahead_ms)
        };
        let earliest_ms = first(|f| f.high80);
        Meets {
            earliest_ms: earliest_ms.min(self.full_ms).or(earliest_ms),
            latest_ms: first(|f| f.low80),
            ..expected
        }
    }
}

/// The part of the last week's rise that is left without its largest step from one known hour to the
/// next, 0 to 1; 0 where it did not rise. What came at once is no pace.
pub fn steadiness(hours: &Hours, now_ms: i64) -> f64 {
    let week: Vec<f64> = hours
        .between(now_ms - WINDOW_MS, now_ms)
        .map(|(_, value)| value)
        .collect();
    let rise = match (week.first(), week.last()) {
        (Some(first), Some(last)) if last > first => last - first,
        _ => return 0.0,
    };
    let steps = week.windows(2).map(|two| two[1] - two[0]);
    let largest = steps.fold(0.0, f64::max);
    ((rise - largest) / rise).max(0.0)
}

/// A warning is raised when it is full within so long, …
pub const WARN_MS: i64 = 5 * DAY_MS;
/// … and taken back when it was not for so long.
pub const QUIET_MS: i64 = DAY_MS;

/// Whether to warn, from one moment to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    /// Since when it is on, and when it would be full as it was first said.
    pub on: Option<(i64, i64)>,
    last_near_ms: i64,
}

impl Alarm {
    /// Takes note of how it fills at a moment; answers a warning that ended with it, as
    /// (raised, full as it was first said).
    pub fn note(&mut self, now_ms: i64, filling: Option<Filling>) -> Option<(i64, i64)> {
        let full_ms = filling.and_then(|f| f.full_ms);
        if let Some(full_ms) = full_ms.filter(|full| full - now_ms <= WARN_MS) {
            self.last_near_ms = now_ms;
            self.on.get_or_insert((now_ms, full_ms));
            return None;
        }
        let quiet = now_ms - self.last_near_ms > QUIET_MS;
        if quiet { self.on.take() } else { None }
    }
}

/// What of the past is kept for the next hour: the window, and a day.
const KEPT_MS: i64 = WINDOW_MS + DAY_MS;

/// Watches a series whether it fills, hour by hour, as its samples come.
#[derive(Clone, Debug)]
pub struct Warned {
    limit: f64,
    /// Samples of the hour that is running, and later ones.
    coming: VecDeque<(i64, f64)>,
    hours: Hours,
    alarm: Alarm,
    /// The end of the hour that is running.
    next_ms: Option<i64>,
}

impl Warned {
    /// Of a series that is full at `limit`, in its unit.
    pub fn new(limit: f64) -> Warned {
        Warned {
            limit,
            coming: VecDeque::new(),
            hours: Hours::default(),
            alarm: Alarm::default(),
            next_ms: None,
        }
    }

    /// Takes samples, ascending and later than all before.
    pub fn take(&mut self, points: impl IntoIterator<Item = (i64, f64)>) {
        self.coming.extend(points);
        let first = self.coming.front().map(|(first_ms, _)| *first_ms);
        self.next_ms = self
            .next_ms
            .or(first.map(|first_ms| (first_ms.div_euclid(HOUR_MS) + 1) * HOUR_MS));
    }

    /// Judges at the end of every hour up to a moment up to which all samples were taken; adds the
    /// warnings that ended, as ((raised, full as it was first said), end).
    pub fn advance(&mut self, to_ms: i64, ended: &mut Vec<((i64, i64), i64)>) {
        while let Some(now_ms) = self.next_ms.filter(|now_ms| *now_ms <= to_ms) {
            while let Some((time_ms, value)) = self.coming.front().copied() {
                if time_ms >= now_ms {
                    break;
                }
                self.hours.push(time_ms, value);
                self.coming.pop_front();
            }
            // The hour that ends now is over.
            self.hours.close();
            self.hours.forget_until(now_ms - KEPT_MS);
            let filling = filling(&self.hours, now_ms, self.limit);
            if let Some(warning) = self.alarm.note(now_ms, filling) {
                ended.push((warning, now_ms));
            }
            self.next_ms = Some(now_ms + HOUR_MS);
        }
    }

    /// What is warned of now: since when, and when it would be full as it was first said.
    pub fn on(&self) -> Option<(i64, i64)> {
        self.alarm.on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(level: impl Fn(f64) -> f64) -> (Hours, i64) {
        let points = (0..7 * 24).map(|h| (h * HOUR_MS, level((h + 1) as f64 / 24.0)));
        (Hours::of(points), 7 * DAY_MS)
    }

    #[test]
    fn a_steady_climb_meets_the_limit_when_it_should() {
        let (hours, now_ms) = week(|day| 50.0 + 5.0 * day);
        let found = filling(&hours, now_ms, 100.0).unwrap();
        assert!((found.a_day - 5.0).abs() < 1e-9);
        let full_days = (found.full_ms.unwrap() - now_ms) as f64 / DAY_MS as f64;
        assert!((full_days - 3.0).abs() < 0.01, "{full_days} days");
    }

    #[test]
    fn what_does_not_grow_never_fills_and_what_is_over_is_full_now() {
        let (hours, now_ms) = week(|_| 50.0);
        assert_eq!(filling(&hours, now_ms, 100.0).unwrap().full_ms, None);
        assert_eq!(filling(&hours, now_ms, 50.0).unwrap().full_ms, Some(now_ms));
        let (hours, now_ms) = week(|day| 90.0 - day);
        assert_eq!(filling(&hours, now_ms, 100.0).unwrap().full_ms, None);
    }

    #[test]
    fn a_jump_of_the_last_hours_counts_from_where_it_stands() {
        let (hours, now_ms) = week(|day| if day > 6.2 { 80.0 } else { 10.0 });
        assert!(filling(&hours, now_ms, 100.0).unwrap().level >= 80.0);
    }

    #[test]
    fn what_came_at_once_is_no_pace() {
        let (hours, now_ms) = week(|day| 50.0 + 5.0 * day);
        assert!(steadiness(&hours, now_ms) > 0.99);
        let (hours, now_ms) = week(|day| day + if day > 3.0 { 40.0 } else { 10.0 });
        assert!(steadiness(&hours, now_ms) < 0.25);
        let (hours, now_ms) = week(|day| 5.0 * (day + 0.01).floor());
        assert!(steadiness(&hours, now_ms) > 0.8, "a step each night is one");
        let (hours, now_ms) = week(|day| 90.0 - day);
        assert_eq!(steadiness(&hours, now_ms), 0.0);
    }

    #[test]
    fn the_band_of_a_date_lies_around_it_and_widens_with_what_wavers() {
        let width = |by: f64| {
            let (hours, now_ms) = week(|day| 50.0 + 5.0 * day + by * (day.floor() * 2.4).sin());
            let found = filling(&hours, now_ms, 100.0).unwrap();
            let dates = found.dates(&hours, now_ms, 100.0);
            let (earliest, latest) = (dates.earliest_ms.unwrap(), dates.latest_ms.unwrap());
            let expected = dates.expected_ms.unwrap();
            assert!(
                earliest <= expected && expected <= latest + HOUR_MS,
                "{dates:?}"
            );
            latest - earliest
        };
        assert!(width(0.0) <= 2 * HOUR_MS, "it never wavered");
        assert!(width(1.0) > 12 * HOUR_MS);
        assert!(width(2.0) > width(1.0));
    }

    #[test]
    fn a_warning_stays_until_a_day_was_quiet() {
        let full_in = |now_ms: i64, days: i64| {
            Some(Filling {
                a_day: 1.0,
                level: 0.0,
                full_ms: Some(now_ms + days * DAY_MS),
            })
        };
        let mut alarm = Alarm::default();
        alarm.note(0, full_in(0, 6));
        assert_eq!(alarm.on, None);
        alarm.note(HOUR_MS, full_in(HOUR_MS, 4));
        let said = (HOUR_MS, HOUR_MS + 4 * DAY_MS);
        assert_eq!(alarm.on, Some(said));
        assert_eq!(alarm.note(2 * HOUR_MS, None), None);
        assert_eq!(alarm.note(20 * HOUR_MS, full_in(20 * HOUR_MS, 1)), None);
        assert_eq!(alarm.note(44 * HOUR_MS, None), None);
        assert_eq!(alarm.note(45 * HOUR_MS, None), Some(said));
        assert_eq!(alarm.on, None);
    }

    #[test]
    fn samples_that_come_in_parts_are_warned_of_as_if_they_came_at_once() {
        let points: Vec<(i64, f64)> = (0..40 * 24)
            .map(|h| (h * HOUR_MS + 7, if h < 600 { h as f64 } else { 0.0 }))
            .collect();
        let warnings = |cuts: &[usize]| {
            let (mut warned, mut ended, mut from) = (Warned::new(500.0), Vec::new(), 0);
            for to in cuts.iter().copied().chain([points.len()]) {
                warned.take(points[from..to].iter().copied());
                warned.advance(points[to - 1].0, &mut ended);
                from = to;
            }
            (ended, warned.on())
        };
        let whole = warnings(&[]);
        assert_eq!(whole.0.len(), 1, "{whole:?}");
        let ((raised_ms, full_ms), _) = whole.0[0];
        // The line through the ends of hours meets 500 at the 501st; five days before it is said.
        assert!((full_ms - 501 * HOUR_MS).abs() < HOUR_MS, "{whole:?}");
        assert!((full_ms - raised_ms - WARN_MS).abs() <= HOUR_MS);
        for cut in [1, 24, 377, 401, 700] {
            assert_eq!(warnings(&[cut]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn little_history_says_nothing() {
        let (hours, now_ms) = week(|day| day);
        assert_eq!(filling(&hours, now_ms + 5 * DAY_MS, 100.0), None);
    }
}
