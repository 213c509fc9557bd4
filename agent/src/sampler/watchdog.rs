//! Who looks after the sampling thread: leaves one behind that hangs and starts another.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::round::{SPOOL, Stuck};
use super::{Control, spawn_worker};
use crate::probe::PROBES;

/// Half of the shortest interval: a disk that does not answer costs no tick.
pub(super) const SPOOL_DEADLINE: Duration = Duration::from_millis(500);

/// How long a probe, or the spool's disk, may keep the sampler.
pub(super) fn deadline(part: usize) -> Duration {
    if part == SPOOL {
        return SPOOL_DEADLINE;
    }
    let spec = PROBES.get(part);
    Duration::from_millis(spec.map_or(1000, |spec| spec.deadline_ms))
}

/// Sleeps until the handle goes off; then somebody has to be looked at.
pub(super) fn watch(control: &Arc<Control>) {
    let mut stuck = Stuck::new();
    let mut tick = 0;
    loop {
        control.handle.wait();
        if control.stop.load(Ordering::Acquire) {
            return;
        }
        let watch = {
            let current = control
                .current
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            current.as_ref().map(|(_, watch)| watch.clone())
        };
        let Some(watch) = watch else { return };
        match watch.running() {
            Some((part, ran)) if ran >= deadline(part) => {
                watch.abandon();
                if part == SPOOL {
                    tracing::warn!(
                        "the spool's disk does not answer; sampling goes on, batches wait in memory"
                    );
                } else {
                    let name = PROBES.get(part).map_or("?", |spec| spec.name);
                    tracing::warn!(
                        "probe {name} does not come back; sampling goes on without it until it does"
                    );
                    // The tick that it was in is lost; what hangs in the spool is not.
                    control.handoff.missed(1);
                    stuck.insert(part, watch);
                }
                stuck.retain(|_, watch| watch.running().is_some());
                tick += 1_000_000;
                if let Err(error) = spawn_worker(control, tick, stuck.clone()) {
                    tracing::error!("cannot start another sampler, trying again: {error}");
                }
                control.handle.push(deadline(part));
            }
            Some((part, ran)) => control.handle.push(deadline(part) - ran),
            // It overslept: a busy machine, or a clock that was set back.
            None => control
                .handle
                .push(control.rhythm.interval + Duration::from_secs(1)),
        }
    }
}
