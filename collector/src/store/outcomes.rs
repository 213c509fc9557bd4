//! What came out for each rule on each host at its last look. Held in memory, a byte a rule and host: it
//! is made anew with every turn, and a file at rest has none.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::Store;
use crate::rules::{LastOutcomes, Outcome};

/// By host id.
#[derive(Debug, Default)]
pub(super) struct Outcomes(Mutex<HashMap<String, LastOutcomes>>);

impl Store {
    /// Notes what came out on some hosts at `now_ms`, those of a host behind one another.
    pub fn note_outcomes(&self, outcomes: &[Outcome], now_ms: i64) {
        let mut all = self.outcomes();
        for of_host in outcomes.chunk_by(|a, b| a.host_id == b.host_id) {
            let Some(first) = of_host.first() else {
                continue;
            };
            match all.get_mut(&first.host_id) {
                Some(last) => last.note(of_host, now_ms),
                None => {
                    let mut last = LastOutcomes::new();
                    last.note(of_host, now_ms);
                    all.insert(first.host_id.clone(), last);
                }
            }
        }
    }

    /// Forgets all hosts but those with these ids.
    pub fn keep_outcomes(&self, ids: &HashSet<&str>) {
        self.outcomes().retain(|id, _| ids.contains(id.as_str()));
    }

    /// What came out last on a host; nothing where nobody judged it since the store was opened.
    pub fn last_outcomes(&self, host_id: &str) -> Option<LastOutcomes> {
        self.outcomes().get(host_id).cloned()
    }

    fn outcomes(&self) -> std::sync::MutexGuard<'_, HashMap<String, LastOutcomes>> {
        let Outcomes(all) = &self.inner.outcomes;
        all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
