//! The clockwork: everything periodic, in a fixed order, at its own pace.
//!
//! beat (the collector is watching) → seal and prune → assess → save the findings → learn what is
//! usual. A step that fails is logged and tried again at the next turn; nothing here ends the
//! collector. Between the turns hosts are sealed that catch up, so that their past does not wait in
//! memory.

mod assess;
mod past;
mod roles;
mod usual;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::rules::{self, Judging, Together};
use crate::store::{HostRecord, Store, StoreError};

/// Time between two turns. Well below the 90 s after which a silent host is down.
pub const EVERY: Duration = Duration::from_millis(rules::terms::TURN_MS);
/// Assessing takes at most one part in so many of the time: a large fleet is judged less often.
const SHARE: u32 = 20;

/// The clockwork of one collector.
#[derive(Debug)]
pub struct Upkeep {
    store: Store,
    judging: Judging,
    weeks: past::Turns,
    watches: usual::Watches,
    loads: roles::Loads,
    together: Together,
    /// Where the store is kept in order: what comes in may have to wait for that. Judging may wait
    /// itself.
    urgent: Handle,
    /// No assessment before this moment.
    rest_until: Option<Instant>,
}

impl Upkeep {
    /// A clockwork that judges by `judging`. To be made in the runtime that agents are served in,
    /// and to be run in one whose threads may come after it.
    pub fn new(store: Store, judging: Judging) -> Self {
        Upkeep {
            store,
            judging,
            weeks: past::Turns::default(),
            watches: usual::Watches::default(),
            loads: roles::Loads::default(),
            together: Together::default(),
            urgent: Handle::current(),
            rest_until: None,
        }
    }

    /// Turns until `shutdown`; `after` hears how each turn went.
    pub async fn run(
        mut self,
        clock: Clock,
        shutdown: CancellationToken,
        mut after: impl FnMut(Result<Vec<HostRecord>, StoreError>),
    ) {
        let mut turns = interval(EVERY);
        // After a stall one turn is enough.
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seals = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = turns.tick() => {
                    after(self.turn(clock.now_ms()).await);
                    seals = true;
                }
                () = self.store.full(), if seals => {
                    let store = self.store.clone();
                    let sealed = self.urgent(async move { store.seal_full().await });
                    if let Err(error) = sealed.await {
                        tracing::error!(%error, "seal what hosts that catch up sent");
                        // Nothing is lost; tried again at the next turn.
                        seals = false;
                    }
                }
            }
        }
    }

    /// A step on the threads that agents are served by.
    async fn urgent<T: Send + 'static>(
        &self,
        step: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.urgent.spawn(step).await;
        done.unwrap_or_else(|ended| {
            Err(StoreError::Io {
                doing: "keep the store in order",
                source: ended.into(),
            })
        })
    }

    /// One turn; answers the hosts it looked at.
    ///
    /// # Errors
    /// The first step that failed; later steps are tried nevertheless.
    pub async fn turn(&mut self, now_ms: i64) -> Result<Vec<HostRecord>, StoreError> {
        let beaten = self.store.beat(now_ms).await;
        let store = self.store.clone();
        let sealed = self.urgent(async move { store.upkeep(now_ms).await }).await;
        let hosts = self.store.hosts().await?;
        let begun = Instant::now();
        let assessed = if self.rest_until.is_none_or(|until| until <= begun) {
            self.watches.keep(&hosts, now_ms);
            let mut turn = assess::Turn {
                now_ms,
                weeks: self.weeks.due(&hosts, now_ms),
                watches: &mut self.watches,
                loads: &mut self.loads,
                together: &mut self.together,
            };
            let assessed = assess::assess(&self.store, &hosts, &self.judging, &mut turn).await;
            self.rest_until = Some(begun + begun.elapsed() * SHARE);
            assessed
        } else {
            Ok(())
        };
        // Not a part of assessing, which would rest for it.
        self.watches.learn(&self.store, &hosts, now_ms).await;
        beaten.and(sealed).and(assessed).map(|()| hosts)
    }
}

#[cfg(test)]
mod tests;
