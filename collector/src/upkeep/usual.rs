//! What is usual on each host: learned once from what is stored, then followed as samples come.
//!
//! Held in memory, at most 256 series a host and 1.5 kB a series, and made anew after a restart: so there is no
//! second copy of it on disk that would have to be right.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::anomaly::{self, Course, STEP_MS};
use crate::rules::{PAST_MS, Unusual};
use crate::series::{Agg, Grid, Window};
use crate::store::{AggregateQuery, HostRecord, Store, StoreError, own_names};

/// Who was silent for so long is learned anew.
const SILENT_MS: i64 = 3_600_000;
/// What may be read of a host in place of rollups that are not made yet.
const SAMPLES_MAX: usize = 8_000_000;

/// Of each turn, so much is taken for learning.
const LEARN_MAX: Duration = Duration::from_millis(500);

/// By host id.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_host: HashMap<String, Course>,
    /// The ids of hosts that are learned before others.
    waited_for: HashSet<String>,
}

impl Watches {
    /// Forgets hosts that are retired, gone or silent.
    pub(super) fn keep(&mut self, hosts: &[HostRecord], now_ms: i64) {
        let heard = hosts
            .iter()
            .filter(|host| host.is_heard_since(now_ms - SILENT_MS));
        let mut kept = HashMap::with_capacity(self.by_host.len());
        for host in heard {
            kept.extend(self.by_host.remove_entry(&host.id));
        }
        self.by_host = kept;
    }

    /// The hosts that are not known yet, and sent samples lately.
    pub(super) fn unknown<'a>(
        &self,
        hosts: &'a [HostRecord],
        now_ms: i64,
    ) -> impl Iterator<Item = &'a HostRecord> {
        let heard = hosts
            .iter()
            .filter(move |host| host.is_heard_since(now_ms - SILENT_MS));
        let sampled = heard.filter(|host| host.last_sample_ms.is_some());
        sampled.filter(|host| !self.by_host.contains_key(&host.id))
    }

    /// Lets hosts be learned before others, by their ids.
    pub(super) fn wait_for(&mut self, ids: HashSet<String>) {
        self.waited_for = ids;
    }

    /// Learns what is usual on hosts that are not known yet, for so long, at least on one.
    pub(super) async fn learn(&mut self, store: &Store, hosts: &[HostRecord], now_ms: i64) {
        let begun = Instant::now();
        let mut unknown: Vec<&HostRecord> = self.unknown(hosts, now_ms).collect();
        unknown.sort_by_key(|host| !self.waited_for.contains(&host.id));
        for host in unknown {
            if let Err(error) = self.learn_one(store, host).await {
                tracing::error!(%error, host = host.name, "learn what is usual");
                // Tried again when it was silent, or after a restart.
                self.by_host.insert(host.id.clone(), Course::default());
            }
            if begun.elapsed() > LEARN_MAX {
                return;
            }
        }
    }

    async fn learn_one(&mut self, store: &Store, host: &HostRecord) -> Result<(), StoreError> {
        // By its own clock.
        let Some(now_ms) = host.last_sample_ms else {
            return Ok(());
        };
        let until_ms = now_ms.div_euclid(STEP_MS) * STEP_MS;
        let mut steps = Vec::new();
        for metric in anomaly::watches() {
            let query = AggregateQuery {
                hosts: vec![host.name.clone()],
                metric: metric.name().to_owned(),
                grid: Grid {
                    from_ms: until_ms - PAST_MS,
                    to_ms: until_ms - 1,
                    step_ms: STEP_MS,
                },
                agg: Some(Agg::Avg),
                under: own_names(),
                samples_max: SAMPLES_MAX,
            };
            steps.extend(store.aggregate(query).await?.series);
        }
        let course = tokio::task::spawn_blocking(move || {
            let mut course = Course::default();
            course.recall(&steps, until_ms);
            course
        });
        match course.await {
            Ok(course) => drop(self.by_host.insert(host.id.clone(), course)),
            Err(error) => tracing::error!(%error, host = host.name, "learn what is usual"),
        }
        Ok(())
    }

    /// Follows a host through its newest samples; nothing while it is not known what is usual.
    pub(super) fn follow(&mut self, host_id: &str, window: &Window) -> Option<Unusual> {
        let course = self.by_host.get_mut(host_id)?;
        course.follow(window);
        Some(Unusual {
            known: course.known(),
            on: course.on().cloned(),
        })
    }
}
