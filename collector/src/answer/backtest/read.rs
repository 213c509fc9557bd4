//! A host's past, stretch by stretch, each as long as fits into memory.

use std::collections::HashSet;
use std::sync::Arc;

use super::AnswerError;
use crate::forecast::DAY_MS;
use crate::series::presence::PRESENCE_METRICS;
use crate::series::{SeriesName, Window, derived};
use crate::store::{Chosen, Store, StoreError, WindowQuery};
use crate::{anomaly, rules};

/// Most samples that are held of a host at a time: some tens of megabytes.
const SAMPLES_MAX: usize = 2_000_000;
/// The first stretch that is tried; it grows and shrinks with what it holds, …
const FIRST_MS: i64 = 8 * DAY_MS;
/// … but never beyond this: what is skipped where nothing is.
const LONGEST_MS: i64 = 128 * DAY_MS;
/// A stretch that holds too much even so is more than a host can mean.
const SHORTEST_MS: i64 = 60_000;

/// Reads a host's past.
pub(super) struct Stretches {
    store: Store,
    host: String,
    from_ms: i64,
    to_ms: i64,
    length_ms: i64,
    chosen: Chosen,
}

/// The series that anything here judges.
pub(super) fn judged() -> Chosen {
    let mut metrics: HashSet<&str> = rules::metrics().into_iter().collect();
    for hourly in rules::hourly() {
        metrics.insert(hourly.metric);
        metrics.extend(derived::inputs(hourly.metric));
    }
    Arc::new(move |_: &str, name: &SeriesName| {
        let metric = name.metric.as_str();
        metrics.contains(metric) || anomaly::wants(metric)
    })
}

/// The series that say what a host carried and that it was there.
pub(super) fn carried() -> Chosen {
    let mut metrics: HashSet<&str> = PRESENCE_METRICS.iter().copied().collect();
    for hourly in rules::Carries::hourly() {
        metrics.insert(hourly.metric);
        metrics.extend(derived::inputs(hourly.metric));
    }
    Arc::new(move |_: &str, name: &SeriesName| metrics.contains(name.metric.as_str()))
}

impl Stretches {
    /// Of the `chosen` series of a host, both ends of the range included.
    pub(super) fn new(
        store: Store,
        host: String,
        (from_ms, to_ms): (i64, i64),
        chosen: Chosen,
    ) -> Stretches {
        Stretches {
            store,
            host,
            from_ms,
            to_ms,
            length_ms: FIRST_MS,
            chosen,
        }
    }

    /// The next stretch and its last moment; nothing after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<(Window, i64)>, AnswerError> {
        while self.from_ms <= self.to_ms {
            let end_ms = self
                .from_ms
                .saturating_add(self.length_ms - 1)
                .min(self.to_ms);
            let query = WindowQuery {
                hosts: vec![self.host.clone()],
                metrics: Vec::new(),
                from_ms: self.from_ms,
                to_ms: end_ms,
                samples_max: SAMPLES_MAX,
            };
            let chosen = Arc::clone(&self.chosen);
            match self.store.chosen_windows(query, chosen).await {
                Ok(windows) => {
                    self.from_ms = end_ms + 1;
                    let Some(window) = windows.into_iter().next() else {
                        continue;
                    };
                    let samples: usize = window.series.iter().map(|s| s.times_ms.len()).sum();
                    if samples < SAMPLES_MAX / 4 {
                        self.length_ms = self.length_ms.saturating_mul(2).min(LONGEST_MS);
                    }
                    return Ok(Some((window, end_ms)));
                }
                Err(StoreError::Limit { .. }) if self.length_ms > SHORTEST_MS => {
                    self.length_ms /= 2;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}
