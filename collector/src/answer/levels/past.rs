//! The hours of a host's series, up to the last moment that is asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::host::nearest;
use super::super::{AnswerError, query};
use super::LevelQuestion;
use crate::forecast::{DAY_MS, HOUR_MS, Hours};
use crate::series::{Grid, Kind, Selector, Series, SeriesName, derived};
use crate::store::{AggregateQuery, Chosen, HostNames, Store, StoreError, WindowQuery};

/// A forecast looks back two months; a day more for the day that is cut.
const BACK_MS: i64 = 61 * DAY_MS;
/// Most samples that are held at a time: some tens of megabytes.
const SAMPLES_MAX: usize = 4_000_000;
/// Most samples that are read in place of rollups that are not made yet.
const UNROLLED_MAX: usize = 20_000_000;
/// The first stretch that is tried; it grows and shrinks with what it holds.
const FIRST_MS: i64 = 8 * DAY_MS;

/// What is read of a host.
struct Reading<'a> {
    store: &'a Store,
    host: &'a str,
    selector: Arc<Selector>,
    chosen: Chosen,
    /// The metrics to read; none: all.
    metrics: Vec<String>,
    found: BTreeMap<SeriesName, Hours>,
}

/// The series that are meant and have samples before the last moment, by name.
pub(super) async fn read(
    store: &Store,
    question: &LevelQuestion,
    moments: &[i64],
) -> Result<Vec<(SeriesName, Hours)>, AnswerError> {
    let mut selector = query::parse(&question.selector)?;
    let hosts = store.host_names().await?;
    if hosts.named(&question.host).is_none() {
        let near = nearest(&question.host, hosts.iter().map(|h| h.name.as_str()));
        return Err(AnswerError::Store(StoreError::NoHost {
            nearest: near.map(str::to_owned),
            name: question.host.clone(),
        }));
    }
    let about_hosts = selector.take("host");
    let (Some(first_ms), Some(last_ms)) = (moments.first(), moments.last()) else {
        return Ok(Vec::new());
    };
    if !about_hosts.iter().all(|m| m.matches(&question.host)) {
        return Ok(Vec::new());
    }
    let mut reading = Reading::of(store, &question.host, selector, hosts);
    let (from_ms, to_ms) = (first_ms.saturating_sub(BACK_MS), *last_ms);
    let samples_ms = reading.before_samples(from_ms, to_ms).await?;
    reading.samples(samples_ms, to_ms).await?;
    let found = reading.found.into_iter().map(|(name, mut hours)| {
        hours.close();
        (name, hours)
    });
    Ok(found.collect())
}

impl<'a> Reading<'a> {
    fn of(store: &'a Store, host: &'a str, selector: Selector, hosts: HostNames) -> Reading<'a> {
        let selector = Arc::new(selector);
        let own = selector.metric.as_str();
        let metrics = match own {
            "" => Vec::new(),
            metric => [metric]
                .into_iter()
                .chain(derived::inputs(metric).iter().copied())
                .map(str::to_owned)
                .collect(),
        };
        let (only, meant) = (own.to_owned(), query::chosen(Arc::clone(&selector), hosts));
        Reading {
            store,
            host,
            selector,
            chosen: Arc::new(move |host: &str, name: &SeriesName| {
                (only.is_empty() || name.metric == only) && meant(host, name)
            }),
            metrics,
            found: BTreeMap::new(),
        }
    }

    /// Hourly means of what there are no samples of any more; since when there are.
    async fn before_samples(&mut self, from_ms: i64, to_ms: i64) -> Result<i64, AnswerError> {
        let hosts = vec![self.host.to_owned()];
        let since_ms = self.store.samples_since(hosts.clone()).await?;
        let Some(since_ms) = since_ms.filter(|since_ms| *since_ms > from_ms) else {
            return Ok(from_ms);
        };
        let end_ms = since_ms.min(to_ms).div_euclid(HOUR_MS) * HOUR_MS;
        let named = |name: &SeriesName| (self.chosen)(self.host, name);
        let metrics: BTreeSet<String> = match self.selector.metric.as_str() {
            "" => {
                let listed = self.store.series(hosts.clone()).await?;
                let names = listed.into_iter().map(|(_, name, _)| name);
                names.filter(named).map(|name| name.metric).collect()
            }
            metric => BTreeSet::from([metric.to_owned()]),
        };
        for metric in metrics {
            let (host, chosen) = (self.host.to_owned(), Arc::clone(&self.chosen));
            let query = AggregateQuery {
                hosts: hosts.clone(),
                metric,
                grid: Grid {
                    from_ms,
                    to_ms: end_ms - 1,
                    step_ms: HOUR_MS,
                },
                agg: None,
                under: Arc::new(move |_: &str, name: &SeriesName| {
                    chosen(&host, name).then(|| name.clone())
                }),
                samples_max: UNROLLED_MAX,
            };
            for series in self.store.aggregate(query).await?.series {
                let hours = self.found.entry(series.name.clone()).or_default();
                for (start_ms, mean) in series.points() {
                    hours.push(start_ms, mean);
                }
            }
        }
        Ok(end_ms.max(from_ms))
    }

    /// Stretch by stretch, each as long as fits.
    async fn samples(&mut self, mut from_ms: i64, to_ms: i64) -> Result<(), AnswerError> {
        let mut length_ms = FIRST_MS;
        while from_ms < to_ms {
            let end_ms = from_ms.saturating_add(length_ms).min(to_ms);
            match self.stretch(from_ms, end_ms - 1).await {
                Ok(samples) => {
                    from_ms = end_ms;
                    if samples < SAMPLES_MAX / 4 {
                        length_ms = length_ms.saturating_mul(2);
                    }
                }
                Err(StoreError::Limit { .. }) if length_ms > HOUR_MS => length_ms /= 2,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Adds the samples of a stretch, both ends included; answers how many were read.
    async fn stretch(&mut self, from_ms: i64, to_ms: i64) -> Result<usize, StoreError> {
        let query = WindowQuery {
            hosts: vec![self.host.to_owned()],
            metrics: self.metrics.clone(),
            from_ms,
            to_ms,
            samples_max: SAMPLES_MAX,
        };
        let sampled = derived::inputs(&self.selector.metric).is_empty();
        let windows = match sampled {
            true => {
                let chosen = Arc::clone(&self.chosen);
                self.store.chosen_windows(query, chosen).await?
            }
            false => self.store.windows(query).await?,
        };
        let mut read = 0;
        for mut window in windows {
            read += window
                .series
                .iter()
                .map(|s| s.times_ms.len())
                .sum::<usize>();
            if !sampled {
                derived::derive(&mut window, &self.selector.metric);
            }
            for series in &window.series {
                if !(self.chosen)(self.host, &series.name) {
                    continue;
                }
                let hours = self.found.entry(series.name.clone()).or_default();
                match (series.kind, sampled) {
                    (Kind::Counter, _) => {
                        rates(series, (from_ms, to_ms), window.interval_ms, hours)
                    }
                    (Kind::Gauge, true) => series.points().for_each(|(t, v)| hours.push(t, v)),
                    // A share is named by its beginning and known at its end.
                    (Kind::Gauge, false) => series
                        .points()
                        .for_each(|(t, v)| hours.push(t.saturating_add(window.interval_ms), v)),
                }
            }
        }
        Ok(read)
    }
}

/// Adds what a counter grew a second, each at the moment it was known.
fn rates(series: &Series, (from_ms, to_ms): (i64, i64), interval_ms: i64, into: &mut Hours) {
    let grid = Grid {
        from_ms,
        to_ms,
        step_ms: HOUR_MS,
    };
    let (begins_ms, rates) = series.rates(grid, interval_ms);
    for (begin_ms, rate) in begins_ms.into_iter().zip(rates) {
        let next = series.times_ms.partition_point(|t| *t <= begin_ms);
        if let Some(end_ms) = series.times_ms.get(next) {
            into.push(*end_ms, rate);
        }
    }
}
