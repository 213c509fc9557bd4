//! The hosts as they were read last, for as long as nothing about them changed: nearly every
//! question begins with them, and reading all of them takes longer than most answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::super::error::Fault;
use super::super::types::HostName;
use super::hosts::{self, Fleet};

/// One moment of the registry.
#[derive(Debug)]
pub(in crate::store) struct Moment {
    pub fleet: Fleet,
    /// The hosts that stand, by name.
    pub names: Vec<HostName>,
}

/// What was read last, and how often the registry changed.
#[derive(Debug, Default)]
pub(in crate::store) struct Known {
    changes: AtomicU64,
    last: Mutex<Option<(u64, Arc<Moment>)>>,
}

impl Known {
    /// To be called behind every commit that may have changed the registry, before anybody is told.
    pub(in crate::store) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// What was read last, if it still holds.
    pub(in crate::store) fn now(&self) -> Option<Arc<Moment>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, moment) = last.as_ref()?;
        (*at == self.changes.load(Ordering::Acquire)).then(|| Arc::clone(moment))
    }

    /// What holds now, read if need be.
    pub(in crate::store) fn moment(&self, conn: &Connection) -> Result<Arc<Moment>, Fault> {
        if let Some(moment) = self.now() {
            return Ok(moment);
        }
        // Asked before reading: what changes meanwhile is read again by whoever comes next.
        let at = self.changes.load(Ordering::Acquire);
        let moment = Arc::new(read(conn)?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, Arc::clone(&moment)));
        Ok(moment)
    }
}

/// Reads the registry.
pub(in crate::store) fn read(conn: &Connection) -> Result<Moment, Fault> {
    let fleet = hosts::all(conn)?;
    let named = |host: &hosts::HostRow| {
        let mut labels: BTreeMap<String, String> = host.agent_labels.clone();
        labels.extend(host.operator_labels.clone());
        HostName {
            name: host.name.clone(),
            labels,
        }
    };
    Ok(Moment {
        names: fleet.standing().map(named).collect(),
        fleet,
    })
}
