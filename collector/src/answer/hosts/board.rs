//! The indicators of a large fleet, kept for a moment.
//!
//! A thousand hosts' indicators are made of millions of samples, and an overview is asked for again
//! and again. What took long to make is shown for a while, and made anew in the background; what is
//! made quickly, and a host's state and age, are always of the moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{HOSTS_AT_ONCE, IndicatorLine, Moment, current};
use crate::answer::AnswerError;
use crate::store::{HostRecord, Store};

/// What is made faster than this is not kept.
const QUICK: Duration = Duration::from_millis(100);
/// Making the indicators takes at most one part in so many of the time.
const SHARE: u32 = 20;
/// In the background it rests for so many times what it worked, so that nobody waits for it.
const RESTS: u32 = 3;
/// Older indicators than this are not shown.
const AGE_MAX: Duration = Duration::from_secs(60);

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

/// What was made last.
#[derive(Debug)]
struct Kept {
    /// The moment it is for, collector's clock.
    at_ms: i64,
    /// How long it is shown.
    shown: Duration,
    standing: Arc<Standing>,
    /// Somebody makes it anew.
    renewed: bool,
}

impl Kept {
    /// How old it is at a moment; none before it.
    fn age(&self, now_ms: i64) -> Option<Duration> {
        let age_ms = u64::try_from(now_ms - self.at_ms).ok()?;
        Some(Duration::from_millis(age_ms))
    }
}

/// The board.
#[derive(Debug, Default)]
pub(crate) struct Board {
    kept: Mutex<Option<Kept>>,
    /// Held by the one who makes it while others, who find nothing, wait.
    making: tokio::sync::Mutex<()>,
}

/// What is to be done about a board.
enum Shown {
    /// It is good enough.
    Fresh(Arc<Standing>),
    /// It is shown once more, and whoever asked has it made anew.
    Old(Arc<Standing>),
    Nothing,
}

impl Board {
    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        // Every change is one step.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, now_ms: i64) -> Shown {
        let mut kept = self.kept();
        let Some(kept) = kept.as_mut() else {
            return Shown::Nothing;
        };
        let standing = Arc::clone(&kept.standing);
        match kept.age(now_ms) {
            Some(age) if age <= kept.shown => Shown::Fresh(standing),
            Some(age) if age > AGE_MAX => Shown::Nothing,
            Some(_) if kept.renewed => Shown::Fresh(standing),
            Some(_) => {
                kept.renewed = true;
                Shown::Old(standing)
            }
            None => Shown::Nothing,
        }
    }

    fn keep(&self, at_ms: i64, took: Duration, standing: &Arc<Standing>) {
        *self.kept() = (took >= QUICK).then(|| Kept {
            at_ms,
            // Half of its age is left to make it anew.
            shown: (took * SHARE).min(AGE_MAX / 2),
            standing: Arc::clone(standing),
            renewed: false,
        });
    }

    /// Makes the indicators of all hosts and keeps them, resting for so many times what it worked.
    async fn make(
        &self,
        store: &Store,
        hosts: &[&HostRecord],
        (moment, rests): (Moment, u32),
    ) -> Result<Arc<Standing>, AnswerError> {
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
        self.keep(moment.now_ms, worked, &standing);
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
        match self.shown(moment.now_ms) {
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
        let kept = match self.shown(moment.now_ms) {
            Shown::Fresh(standing) => standing,
            Shown::Nothing => self.wait_or_make(store, hosts, moment).await?,
            Shown::Old(standing) => {
                let (board, store) = (Arc::clone(self), store.clone());
                let hosts: Vec<HostRecord> = hosts.iter().map(|host| (*host).clone()).collect();
                tokio::spawn(async move {
                    let hosts: Vec<&HostRecord> = hosts.iter().collect();
                    if let Err(error) = board.make(&store, &hosts, (moment, RESTS)).await {
                        tracing::warn!(%error, "make the indicators of all hosts");
                        *board.kept() = None;
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

    fn board(took_ms: u64) -> Board {
        let board = Board::default();
        board.keep(1_000_000, Duration::from_millis(took_ms), &Arc::default());
        board
    }

    fn shown(board: &Board, after_ms: i64) -> &'static str {
        match board.shown(1_000_000 + after_ms) {
            Shown::Fresh(_) => "as it is",
            Shown::Old(_) => "once more",
            Shown::Nothing => "not",
        }
    }

    #[test]
    fn what_is_made_quickly_is_made_each_time() {
        assert_eq!(shown(&board(99), 0), "not");
    }

    #[test]
    fn what_took_long_is_shown_for_a_while_and_made_anew_by_one_who_asks() {
        let board = board(500);
        assert_eq!(shown(&board, 10_000), "as it is");
        assert_eq!(shown(&board, 10_001), "once more");
        assert_eq!(shown(&board, 10_002), "as it is", "somebody is making it");
        assert_eq!(shown(&board, 60_001), "not", "too old");
        assert_eq!(shown(&board, -1), "not", "the clock was turned back");
    }

    #[test]
    fn what_takes_very_long_is_made_anew_before_it_is_too_old() {
        let board = board(10_000);
        assert_eq!(shown(&board, 30_000), "as it is");
        assert_eq!(shown(&board, 30_001), "once more");
    }

    #[tokio::test]
    async fn those_who_find_nothing_wait_for_one_who_makes_it() {
        let (board, folder) = (board(500), tempfile::tempdir().unwrap());
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
        let before = Arc::clone(&board.kept().as_ref().unwrap().standing);
        let found = board.wait_or_make(&store, &[], moment).await.unwrap();
        assert!(Arc::ptr_eq(&found, &before), "made twice");
    }
}
