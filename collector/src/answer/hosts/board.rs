//! The indicators of a large fleet, kept for a moment.
//!
//! A thousand hosts' indicators are made of millions of samples, and an overview is asked for again
//! and again. What took long to make is shown for a while, and made anew in the background; what is
//! made quickly, and a host's state and age, are always of the moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{HOSTS_AT_ONCE, IndicatorLine, Moment, current};
use crate::answer::AnswerError;
use crate::answer::shelf::{Shelf, Shown, Worth};
use crate::store::{HostRecord, Store};

const WORTH: Worth = Worth {
    quick: Duration::from_millis(100),
    share: 20,
    age_max: Duration::from_secs(60),
};
/// In the background it rests for so many times what it worked, so that nobody waits for it.
const RESTS: u32 = 3;
/// Indicators by the hosts' ids.
type Standing = HashMap<String, Arc<[IndicatorLine]>>;

/// What the board says, and of hosts that it does not know yet, what was looked up. A fleet's lines
/// are not copied for each who asks: that took longer than all the rest of the answer.
pub(super) struct Shared {
    kept: Arc<Standing>,
    new: Standing,
}

impl Shared {
    /// The indicators of a host.
    pub(super) fn of(&self, id: &str) -> Option<&Arc<[IndicatorLine]>> {
        self.new.get(id).or_else(|| self.kept.get(id))
    }
}

/// The board.
#[derive(Debug)]
pub(crate) struct Board {
    kept: Shelf<Standing>,
    /// Held by the one who makes it while others, who find nothing, wait.
    making: tokio::sync::Mutex<()>,
}

impl Default for Board {
    fn default() -> Board {
        Board {
            kept: Shelf::new(WORTH),
            making: tokio::sync::Mutex::default(),
        }
    }
}

impl Board {
    /// Makes the indicators of all hosts and keeps them, resting for so many times what it worked.
    async fn make(
        &self,
        store: &Store,
        hosts: &[&HostRecord],
        (moment, rests): (Moment, u32),
    ) -> Result<Arc<Standing>, AnswerError> {
        let begun_making = self.kept.begin();
        let (mut standing, mut worked) = (Standing::new(), Duration::ZERO);
        for some in hosts.chunks(HOSTS_AT_ONCE) {
            let begun = Instant::now();
            standing.extend(of(store, some, moment).await?);
            worked += begun.elapsed();
            if rests > 0 {
                tokio::time::sleep(begun.elapsed() * rests).await;
            }
        }
        let standing = Arc::new(standing);
        self.kept
            .keep(begun_making, (moment.now_ms, worked), &standing);
        Ok(standing)
    }

    /// What another made meanwhile, or makes it.
    async fn wait_or_make(
        &self,
        store: &Store,
        hosts: &[&HostRecord],
        moment: Moment,
    ) -> Result<Arc<Standing>, AnswerError> {
        let _one_at_a_time = self.making.lock().await;
        match self.kept.shown(moment.now_ms) {
            Shown::Fresh(standing) => Ok(standing),
            Shown::Old(_) | Shown::Nothing => self.make(store, hosts, (moment, 0)).await,
        }
    }

    /// The indicators of some hosts, by their ids.
    ///
    /// # Errors
    /// What the store met.
    pub(super) async fn standing(
        self: &Arc<Self>,
        store: &Store,
        hosts: &[&HostRecord],
        moment: Moment,
    ) -> Result<Shared, AnswerError> {
        let kept = match self.kept.shown(moment.now_ms) {
            Shown::Fresh(standing) => standing,
            Shown::Nothing => self.wait_or_make(store, hosts, moment).await?,
            Shown::Old(standing) => {
                let (board, store) = (Arc::clone(self), store.clone());
                let hosts: Vec<HostRecord> = hosts.iter().map(|host| (*host).clone()).collect();
                tokio::spawn(async move {
                    let hosts: Vec<&HostRecord> = hosts.iter().collect();
                    if let Err(error) = board.make(&store, &hosts, (moment, RESTS)).await {
                        tracing::warn!(%error, "make the indicators of all hosts");
                        board.kept.clear();
                    }
                });
                standing
            }
        };
        // Hosts that came since are looked at.
        let is_new = |host: &&&HostRecord| !kept.contains_key(&host.id);
        let new: Vec<&HostRecord> = hosts.iter().filter(is_new).copied().collect();
        let new = of(store, &new, moment).await?;
        Ok(Shared { kept, new })
    }
}

/// The indicators of hosts at a moment.
async fn of(store: &Store, hosts: &[&HostRecord], moment: Moment) -> Result<Standing, AnswerError> {
    let mut standing = Standing::new();
    for some in hosts.chunks(HOSTS_AT_ONCE) {
        for (id, indicators) in current(store, some, moment).await? {
            let lines = indicators.all().map(IndicatorLine::from);
            standing.insert(id, Arc::from(lines));
        }
    }
    Ok(standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_find_nothing_wait_for_one_who_makes_it() {
        let (board, folder) = (Board::default(), tempfile::tempdir().unwrap());
        let (took, before) = (Duration::from_millis(500), Arc::default());
        let begun = board.kept.begin();
        board.kept.keep(begun, (1_000_000, took), &before);
        let store = Store::open(crate::store::StoreOptions {
            path: folder.path().join("hostwell.db"),
            retention_ms: i64::MAX / 4,
            series_per_host_max: 10,
            hosts_max: 10,
        });
        let store = store.await.unwrap();
        let moment = Moment {
            now_ms: 1_000_000,
            watching_since_ms: None,
            silence: crate::rules::host_down::Levels::default(),
        };
        let found = board.wait_or_make(&store, &[], moment).await.unwrap();
        assert!(Arc::ptr_eq(&found, &before), "made twice");
    }
}
