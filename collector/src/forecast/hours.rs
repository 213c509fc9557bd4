//! Hourly medians: what forecasts look at. A median forgives the night's backup.

use std::collections::VecDeque;

use super::median;

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Hours of a day that must have a median for the day to have one.
const HOURS_MIN: usize = 6;

/// The medians of whole hours (UTC), ascending; hours without samples are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hours {
    /// (end of the hour in milliseconds since the Unix epoch, median)
    medians: VecDeque<(i64, f64)>,
    /// The hour that is not over, by its end, and its values.
    open: Option<(i64, Vec<f64>)>,
}

impl Hours {
    /// From samples, ascending in time; the last hour counts as over.
    pub fn of(points: impl IntoIterator<Item = (i64, f64)>) -> Hours {
        let mut hours = Hours::default();
        for (time_ms, value) in points {
            hours.push(time_ms, value);
        }
        hours.close();
        hours
    }

    /// Adds a sample that is not older than the ones before; others and values that are not finite
    /// are left out. An hour counts once a later one begins.
    pub fn push(&mut self, time_ms: i64, value: f64) {
        let end_ms = (time_ms.div_euclid(HOUR_MS) + 1).saturating_mul(HOUR_MS);
        if !value.is_finite() || self.medians.back().is_some_and(|(last, _)| *last >= end_ms) {
            return;
        }
        match &mut self.open {
            Some((open_ms, values)) if *open_ms == end_ms => values.push(value),
            Some((open_ms, _)) if *open_ms > end_ms => {}
            _ => {
                self.close();
                self.open = Some((end_ms, vec![value]));
            }
        }
    }

    /// Counts the hour that is not over as one.
    pub fn close(&mut self) {
        if let Some((end_ms, values)) = self.open.take() {
            self.medians.push_back((end_ms, median(&values)));
        }
    }

    /// Forgets hours that ended at or before a moment.
    pub fn forget_until(&mut self, time_ms: i64) {
        while self.medians.front().is_some_and(|(end, _)| *end <= time_ms) {
            self.medians.pop_front();
        }
    }

    /// (end, median) of the hours that ended after `from_ms` and at or before `to_ms`.
    pub fn between(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, f64)> + '_ {
        let from = self.medians.partition_point(|(end, _)| *end <= from_ms);
        let to = self.medians.partition_point(|(end, _)| *end <= to_ms);
        self.medians.range(from..to.max(from)).copied()
    }

    /// The medians of the two months that end at `now_ms`: (end of the day, median), oldest first.
    pub fn past_days(&self, now_ms: i64) -> Vec<(i64, f64)> {
        let days = self.days(now_ms, 60).into_iter();
        days.map(|(ago, median)| (now_ms - i64::from(ago) * DAY_MS, median))
            .collect()
    }

    /// The medians of the `count` days that end at `now_ms`: (days ago, median), oldest first. Days
    /// with few hours are left out.
    pub(super) fn days(&self, now_ms: i64, count: u16) -> Vec<(u16, f64)> {
        (0..count)
            .rev()
            .filter_map(|ago| {
                let end_ms = now_ms - i64::from(ago) * DAY_MS;
                let day: Vec<f64> = self
                    .between(end_ms - DAY_MS, end_ms)
                    .map(|(_, v)| v)
                    .collect();
                (day.len() >= HOURS_MIN).then(|| (ago, median(&day)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_is_its_median_and_hours_without_samples_are_left_out() {
        let hours = Hours::of([
            (0, 1.0),
            (1, 9.0),
            (HOUR_MS - 1, 2.0),
            (5 * HOUR_MS, 7.0),
            (5 * HOUR_MS + 1, f64::NAN),
        ]);
        let all: Vec<_> = hours.between(i64::MIN, i64::MAX).collect();
        assert_eq!(all, [(HOUR_MS, 2.0), (6 * HOUR_MS, 7.0)]);
        assert_eq!(hours.between(HOUR_MS, 6 * HOUR_MS).count(), 1);
    }

    #[test]
    fn a_day_with_few_hours_has_no_median() {
        let hour = |h: i64| (h * HOUR_MS, h as f64);
        let hours = Hours::of((0..24).chain(43..48).map(hour));
        assert_eq!(hours.days(2 * DAY_MS, 3), [(1, 11.5)]);
    }

    #[test]
    fn an_hour_that_is_not_over_does_not_count_yet() {
        let mut hours = Hours::default();
        hours.push(10, 1.0);
        assert_eq!(hours.between(i64::MIN, i64::MAX).count(), 0);
        hours.push(HOUR_MS, 2.0);
        hours.push(20, 5.0);
        assert_eq!(hours.between(i64::MIN, i64::MAX).count(), 1);
        hours.forget_until(HOUR_MS);
        hours.close();
        assert_eq!(hours.between(i64::MIN, i64::MAX).count(), 1);
    }

    proptest! {
        #[test]
        fn hours_ascend_whatever_comes(points: Vec<(i64, f64)>) {
            let hours = Hours::of(points);
            let ends: Vec<i64> = hours.between(i64::MIN, i64::MAX).map(|(end, _)| end).collect();
            prop_assert!(ends.is_sorted_by(|a, b| a < b));
        }
    }
}
