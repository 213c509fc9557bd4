//! Reading much with little memory: one window after the other, each as long as fits.

use std::collections::BTreeSet;

use super::Export;
use crate::series::{Kind, SeriesName, Window};
use crate::store::{Store, StoreError, WindowQuery};

/// Samples of one window: some tens of megabytes.
const SAMPLES_MAX: usize = 2_000_000;
/// The first window tried; it grows and shrinks with what it holds.
const FIRST_MS: i64 = 6 * 3_600_000;

/// A series that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    pub name: SeriesName,
    pub host: String,
    pub counter: bool,
}

/// Every series that is asked for, by metric, labels, then host.
pub(super) async fn list(store: &Store, export: &Export) -> anyhow::Result<Vec<Listed>> {
    let mut listed: Vec<Listed> = store
        .series(export.hosts.clone())
        .await?
        .into_iter()
        .filter(|(host, name, _)| {
            export.choices.is_empty() || export.choices.iter().any(|c| c.matches(host, name))
        })
        .map(|(host, name, kind)| Listed {
            name,
            host,
            counter: kind == Kind::Counter,
        })
        .collect();
    listed.sort();
    listed.dedup_by(|a, b| (&a.name, &a.host) == (&b.name, &b.host));
    Ok(listed)
}

/// The windows of some hosts and metrics, from the first to the last moment.
pub(super) struct Pages<'a> {
    store: &'a Store,
    hosts: Vec<String>,
    metrics: Vec<String>,
    /// Where the next window begins; past `to_ms` when there is none.
    from_ms: i64,
    to_ms: i64,
    length_ms: i64,
    done: bool,
}

impl<'a> Pages<'a> {
    /// Over these hosts and metrics; with `whole` everything is tried as one window first.
    pub(super) fn new(
        store: &'a Store,
        export: &Export,
        hosts: BTreeSet<&str>,
        metrics: BTreeSet<&str>,
        whole: bool,
    ) -> Pages<'a> {
        let length_ms = export.to_ms.saturating_sub(export.from_ms);
        Pages {
            store,
            done: hosts.is_empty() || metrics.is_empty() || length_ms < 0,
            hosts: hosts.into_iter().map(str::to_owned).collect(),
            metrics: metrics.into_iter().map(str::to_owned).collect(),
            from_ms: export.from_ms,
            to_ms: export.to_ms,
            length_ms: if whole { length_ms } else { FIRST_MS },
        }
    }

    /// The next window of each host, or nothing when all were read.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Window>>, StoreError> {
        while !self.done {
            let end_ms = self.from_ms.saturating_add(self.length_ms).min(self.to_ms);
            let query = WindowQuery {
                hosts: self.hosts.clone(),
                metrics: self.metrics.clone(),
                from_ms: self.from_ms,
                to_ms: end_ms,
                samples_max: SAMPLES_MAX,
            };
            match self.store.windows(query).await {
                Ok(windows) => {
                    self.done = end_ms >= self.to_ms;
                    self.from_ms = end_ms.saturating_add(1);
                    let samples: usize = windows
                        .iter()
                        .flat_map(|w| &w.series)
                        .map(|s| s.times_ms.len())
                        .sum();
                    if samples < SAMPLES_MAX / 4 {
                        self.length_ms = self.length_ms.max(1).saturating_mul(2);
                    }
                    return Ok(Some(windows));
                }
                Err(StoreError::Limit { .. }) if self.length_ms > 1 => {
                    self.length_ms = self.length_ms.min(end_ms - self.from_ms) / 2;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
