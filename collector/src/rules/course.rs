//! How a value went: what the rules hold against their levels. Rates and parts are averages over a
//! trailing span, so that a peak is not a risk.

use super::judge::Case;
use crate::series::Series;
use crate::series::derived::{
    Share, gauge_shares, growth_shares, sibling, time_shares, trailing, trailing_of,
};

/// A value over time.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// Ascending.
    pub(crate) points: Vec<(i64, f64)>,
    /// The newest value; nothing where it rests on too little, or is stale.
    pub(crate) now: Option<f64>,
}

impl Course {
    /// Each value changed: scaled, turned around.
    pub(crate) fn map(mut self, change: impl Fn(f64) -> f64) -> Course {
        for (_, value) in &mut self.points {
            *value = change(*value);
        }
        self.now = self.now.map(change);
        self
    }

    /// The larger of two at each moment: the busier direction, the hottest sensor.
    pub(crate) fn worse(self, other: Course) -> Course {
        let mut points = Vec::with_capacity(self.points.len().max(other.points.len()));
        let mut rest = other.points.iter().copied().peekable();
        for (time_ms, value) in self.points {
            while let Some(earlier) = rest.next_if(|(t, _)| *t < time_ms) {
                points.push(earlier);
            }
            let same = rest.next_if(|(t, _)| *t == time_ms);
            points.push((time_ms, same.map_or(value, |(_, v)| v.max(value))));
        }
        points.extend(rest);
        Course {
            points,
            now: match (self.now, other.now) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            },
        }
    }
}

/// Two counters of which one counts a part of what the other counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) part: &'static str,
    pub(crate) whole: &'static str,
    /// Less than this over the span is too little to say anything.
    pub(crate) whole_min: f64,
}

impl Case<'_> {
    /// How much a counter grew each second, averaged over a span of which at least half must be
    /// known. Of a counter of seconds that is the part of the time.
    pub(crate) fn rates(&self, series: &Series, span_seconds: i64) -> Course {
        if let Some(still) = self.stood_still(series, span_seconds) {
            return still;
        }
        let shares = time_shares(series, self.input.window.interval_ms);
        self.averages(series, &shares, span_seconds)
    }

    /// A gauge, averaged the same way.
    pub(crate) fn means(&self, series: &Series, span_seconds: i64) -> Course {
        let hole_ms = series.hole_ms(self.input.window.interval_ms);
        let points: Vec<(i64, f64)> = series.points().collect();
        self.averages(series, &gauge_shares(&points, hole_ms), span_seconds)
    }

    /// Shares of something, averaged the same way; `series` says how often they come.
    pub(crate) fn averages(&self, series: &Series, shares: &[Share], span_seconds: i64) -> Course {
        let span_ms = span_seconds * 1000;
        self.course(series, trailing(shares, span_ms, span_ms / 2))
    }

    /// What part of one counter's growth over a span another's is; 0 while the whole is below
    /// `whole_min`, which is too little to say.
    pub(crate) fn parts(
        &self,
        part: &Series,
        whole: &Series,
        span_seconds: i64,
        whole_min: f64,
    ) -> Course {
        if let Some(still) = self.stood_still(part, span_seconds) {
            return still;
        }
        let shares = growth_shares(part, whole, self.input.window.interval_ms);
        let span_ms = span_seconds * 1000;
        let points = trailing_of(&shares, span_ms, span_ms / 2, whole_min);
        let points = points.map(|(t, ratio)| (t, ratio.unwrap_or(0.0)));
        self.course(part, points.collect())
    }

    /// The worst of several parts of one device (reading and writing, both directions of a line),
    /// and which metric that is, as a selector. `of` is any series with the device's labels.
    pub(crate) fn worst_part(
        &self,
        of: &Series,
        parts: &[Part],
        span_seconds: i64,
    ) -> (Course, String) {
        let (mut worst, mut selector) = (Course::default(), of.name.to_string());
        for Part {
            part,
            whole,
            whole_min,
        } in parts
        {
            let find = |metric| sibling(&self.input.window, metric, of);
            let (Some(part), Some(whole)) = (find(part), find(whole)) else {
                continue;
            };
            let course = self.parts(part, whole, span_seconds, *whole_min);
            if course.now > worst.now {
                selector = part.name.to_string();
            }
            worst = worst.worse(course);
        }
        (worst, selector)
    }

    /// A counter that has not moved in all that is known of it, which most counters of trouble
    /// have not: 0, without asking what it is a part of.
    fn stood_still(&self, series: &Series, span_seconds: i64) -> Option<Course> {
        let (first_ms, last_ms) = (*series.times_ms.first()?, series.latest(self.now_ms)?.0);
        let is_known = last_ms - first_ms >= span_seconds * 500;
        let moved = || series.values.windows(2).any(|w| w[0] != w[1]);
        (is_known && !moved()).then(|| self.course(series, vec![(last_ms, 0.0)]))
    }

    /// A gauge as it is.
    pub(crate) fn values(&self, series: &Series) -> Course {
        self.course(series, series.points().collect())
    }

    fn course(&self, series: &Series, points: Vec<(i64, f64)>) -> Course {
        let stale_ms = series.stale_ms(self.input.window.interval_ms);
        let newest = points.iter().rfind(|(time_ms, _)| *time_ms <= self.now_ms);
        let now = newest
            .filter(|(time_ms, _)| self.now_ms - time_ms <= stale_ms)
            .map(|(_, value)| *value);
        Course { points, now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_courses_has_the_moments_of_both() {
        let course = |points: &[(i64, f64)]| Course {
            points: points.to_vec(),
            now: points.last().map(|(_, v)| *v),
        };
        let both =
            course(&[(1, 5.0), (3, 1.0)]).worse(course(&[(0, 2.0), (1, 4.0), (3, 2.0), (4, 0.0)]));
        assert_eq!(both.points, [(0, 2.0), (1, 5.0), (3, 2.0), (4, 0.0)]);
        assert_eq!(both.now, Some(1.0));
        let one = course(&[]).worse(course(&[(1, 1.0)]));
        assert_eq!((one.points.len(), one.now), (1, Some(1.0)));
    }
}
