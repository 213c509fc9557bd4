//! How an indicator went over a report's range: put together from samples, or told by rollups.

use std::sync::Arc;

use super::{AnswerError, SAMPLES_MAX};
use crate::indicators::{Indicator, Indicators};
use crate::plan::availability::Span;
use crate::report;
use crate::series::{Agg, Grid, Series, SeriesName, combine};
use crate::store::{AggregateQuery, HostRecord, Store, Under, own_names};

/// Longest steps whose means make the band of a sum: the extremes of parts do not add up.
const SUM_STEP_MS: i64 = 3_600_000;

/// An indicator's course over the whole range, put together from those of its pieces.
pub(super) struct Course {
    from_ms: i64,
    step_ms: i64,
    /// (smallest, sum of means, how many, largest) of each step.
    steps: Vec<Option<(f64, f64, u32, f64)>>,
}

impl Course {
    pub(super) fn new(span: Span, step_ms: i64) -> Course {
        let from_ms = span.from_ms.div_euclid(step_ms) * step_ms;
        let count = (span.to_ms - from_ms).div_euclid(step_ms) + 1;
        Course {
            from_ms,
            step_ms,
            steps: vec![None; count as usize],
        }
    }

    pub(super) fn add(&mut self, indicator: &Indicator) {
        let Some(trend) = &indicator.trend else {
            return;
        };
        for (i, point) in trend.points.iter().enumerate() {
            if let Some(band) = *point {
                self.put(trend.from_ms + i as i64 * trend.step_ms, band);
            }
        }
    }

    /// Takes a (smallest, mean, largest) in.
    fn put(&mut self, time_ms: i64, [min, mean, max]: [f64; 3]) {
        let at = (time_ms - self.from_ms).div_euclid(self.step_ms);
        // A piece's first step may begin a little before the range.
        let at = (at.max(0) as usize).min(self.steps.len() - 1);
        let step = &mut self.steps[at];
        *step = Some(match *step {
            None => (min, mean, 1, max),
            Some((low, sum, count, high)) => (low.min(min), sum + mean, count + 1, high.max(max)),
        });
    }

    /// How many steps lie between two that have a value, usually: a subject that is read every
    /// n-th tick has no holes, it has longer steps.
    fn cadence(&self) -> usize {
        let filled = (0..self.steps.len()).filter(|i| self.steps[*i].is_some());
        let filled: Vec<usize> = filled.collect();
        let mut distances: Vec<usize> = filled.windows(2).map(|w| w[1] - w[0]).collect();
        distances.sort_unstable();
        let middle = distances.len().saturating_sub(1) / 2;
        distances.get(middle).copied().unwrap_or(1)
    }

    pub(super) fn trend(self) -> Option<report::Trend> {
        if self.steps.iter().all(Option::is_none) {
            return None;
        }
        let every = self.cadence();
        let points = self.steps.chunks(every).map(|some| {
            let merged = some
                .iter()
                .copied()
                .flatten()
                .reduce(|a, b| (a.0.min(b.0), a.1 + b.1, a.2 + b.2, a.3.max(b.3)));
            merged.map(|(low, sum, count, high)| [low, sum / f64::from(count), high])
        });
        let points: Vec<Option<[f64; 3]>> = points.collect();
        Some(report::Trend {
            from_ms: self.from_ms,
            to_ms: self.from_ms + points.len() as i64 * every as i64 * self.step_ms,
            points,
        })
    }
}

/// The courses of the five by rollups, in their order.
pub(super) async fn from_rollups(
    store: &Store,
    record: &HostRecord,
    (span, step_ms): (Span, i64),
    found: &Indicators,
) -> Result<Vec<Course>, AnswerError> {
    let cores = f64::from(record.facts.cpus.max(1));
    let fullest = found.disk.figures.first().map(|figure| figure.of.clone());
    let ask = Ask {
        store,
        record,
        span,
        step_ms,
    };
    Ok(vec![
        ask.one("hostwell_cpu_busy_ratio", None, 1.0).await?,
        ask.one("node_load1", None, cores).await?,
        ask.one("hostwell_memory_used_ratio", None, 1.0).await?,
        ask.traffic().await?,
        ask.one("hostwell_filesystem_used_ratio", fullest, 1.0)
            .await?,
    ])
}

/// What every course of a host has in common.
struct Ask<'a> {
    store: &'a Store,
    record: &'a HostRecord,
    span: Span,
    step_ms: i64,
}

impl Ask<'_> {
    async fn series(
        &self,
        metric: &str,
        (agg, step_ms): (Agg, i64),
        under: Under,
    ) -> Result<Vec<Series>, AnswerError> {
        let query = AggregateQuery {
            hosts: vec![self.record.name.clone()],
            metric: metric.to_owned(),
            grid: Grid {
                from_ms: self.span.from_ms,
                to_ms: self.span.to_ms,
                step_ms,
            },
            agg: Some(agg),
            under,
            samples_max: SAMPLES_MAX,
        };
        Ok(self.store.aggregate(query).await?.series)
    }

    /// A gauge, of the filesystem mounted there where one is named, over a divisor.
    async fn one(
        &self,
        metric: &str,
        mountpoint: Option<String>,
        over: f64,
    ) -> Result<Course, AnswerError> {
        let meant = move |_: &str, name: &SeriesName| {
            let mounted = mountpoint.as_deref();
            let is_meant = mounted.is_none_or(|at| name.label("mountpoint") == Some(at));
            is_meant.then(|| name.clone())
        };
        let under: Under = Arc::new(meant);
        let mut course = Course::new(self.span, self.step_ms);
        let mut bands = Vec::new();
        for agg in [Agg::Min, Agg::Avg, Agg::Max] {
            let found = self.series(metric, (agg, self.step_ms), Arc::clone(&under));
            bands.push(found.await?.into_iter().next());
        }
        let [Some(min), Some(mean), Some(max)] = &bands[..] else {
            return Ok(course);
        };
        for (i, (time_ms, mean)) in mean.points().enumerate() {
            if let (Some(min), Some(max)) = (min.at(time_ms, i), max.at(time_ms, i)) {
                course.put(time_ms, [min / over, mean / over, max / over]);
            }
        }
        Ok(course)
    }

    /// Bytes in and out over all interfaces but those whose bytes others count already.
    async fn traffic(&self) -> Result<Course, AnswerError> {
        let step_ms = self.step_ms.min(SUM_STEP_MS);
        let bonds = self.series("node_bonding_slaves", (Agg::Max, self.step_ms), own_names());
        let bonds = bonds.await?;
        let is_bond = |device: &str| bonds.iter().any(|b| b.label("master") == Some(device));
        let mut all = Vec::new();
        for metric in [
            "hostwell_network_receive_bytes_per_second",
            "hostwell_network_transmit_bytes_per_second",
        ] {
            let mut found = self
                .series(metric, (Agg::Avg, step_ms), own_names())
                .await?;
            let devices: Vec<String> = found
                .iter()
                .filter_map(|s| s.label("device").map(str::to_owned))
                .collect();
            let is_part = |device: &str| {
                let parent = device.split_once('.').map(|(parent, _)| parent);
                device == "lo"
                    || is_bond(device)
                    || parent.is_some_and(|parent| devices.iter().any(|d| d == parent))
            };
            found.retain(|s| !is_part(s.label("device").unwrap_or("")));
            all.extend(found.into_iter().map(|mut series| {
                series.name.metric = "traffic".into();
                series
            }));
        }
        let mut course = Course::new(self.span, self.step_ms);
        for total in combine(&all, &[], Agg::Sum) {
            for (time_ms, value) in total.points() {
                course.put(time_ms, [value; 3]);
            }
        }
        Ok(course)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_subject_has_longer_steps_and_no_holes() {
        let mut course = Course::new(Span::new(0, 5_999), 1_000);
        for at in [0, 3] {
            course.steps[at] = Some((1.0, 4.0, 2, 3.0));
        }
        let trend = course.trend().unwrap();
        assert_eq!((trend.from_ms, trend.to_ms), (0, 6_000));
        assert_eq!(trend.points, [Some([1.0, 2.0, 3.0]); 2]);
    }

    #[test]
    fn a_real_hole_stays_a_hole() {
        let mut course = Course::new(Span::new(0, 5_999), 1_000);
        for at in [0, 1, 2, 5] {
            course.steps[at] = Some((1.0, 1.0, 1, 1.0));
        }
        let holes = course
            .trend()
            .unwrap()
            .points
            .iter()
            .filter(|p| p.is_none())
            .count();
        assert_eq!(holes, 2);
    }
}
