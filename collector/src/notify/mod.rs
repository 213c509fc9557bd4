//! Tells others of risks: webhooks a message a change, Alertmanagers all that is open again and again.
//!
//! A [`Courier`] looks at the register every few seconds, decides what each target is told next
//! (`decide`, a pure function of the register and of what the target was told), writes messages into
//! the outbox together with that, and then delivers what is there. So a message is written exactly
//! once and delivered at least once, whatever is killed when: it leaves the outbox when the target
//! has answered. A target that does not answer delays nobody else.

mod alertmanager;
mod decide;
mod http;
mod message;
mod target;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Notify;
use crate::rules::Maintenance;
use crate::store::{Store, StoreError};

pub use target::{Target, targets};

/// Time between two looks at the register.
const EVERY: Duration = Duration::from_secs(5);

/// Tells all targets.
#[derive(Debug)]
pub struct Courier {
    store: Store,
    targets: Vec<Target>,
    maintenance: Arc<[Maintenance]>,
}

impl Courier {
    /// A courier to the targets of a configuration, which tells nothing in a maintenance.
    ///
    /// # Errors
    /// A template that cannot be filled, a secret that cannot be read.
    pub fn new(
        store: Store,
        config: &Notify,
        maintenance: Vec<Maintenance>,
    ) -> anyhow::Result<Courier> {
        Ok(Courier {
            store,
            targets: targets(config)?,
            maintenance: maintenance.into(),
        })
    }

    /// Tells until `shutdown`. A target's trouble is its own.
    pub async fn run(self, clock: Clock, shutdown: CancellationToken) {
        let names = self.targets.iter().map(|t| t.name().to_owned()).collect();
        if let Err(error) = self.store.keep_targets(names).await {
            tracing::error!(%error, "forget targets that are no more");
        }
        let mut rounds = JoinSet::new();
        for target in self.targets {
            let (store, clock) = (self.store.clone(), clock.clone());
            let shutdown = shutdown.clone();
            let maintenance = Arc::clone(&self.maintenance);
            rounds.spawn(async move {
                let tell = rounds_of(target, &store, &maintenance, &clock);
                shutdown.run_until_cancelled(tell).await;
            });
        }
        while let Some(ended) = rounds.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a target is told nothing more");
            }
        }
        shutdown.cancelled().await;
    }
}

async fn rounds_of(mut target: Target, store: &Store, maintenance: &[Maintenance], clock: &Clock) {
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if let Err(error) = target.round(store, maintenance, clock).await {
            report(target.name(), error);
        }
    }
}

fn report(target: &str, error: StoreError) {
    let error = anyhow::Error::new(error);
    tracing::error!(target, "tell a target of risks: {error:#}");
}

#[cfg(test)]
mod tests;
