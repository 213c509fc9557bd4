//! The head: what the journal holds, in memory, packed as it arrived.
//!
//! Only the collector's own process has one; others read the journal table. An entry leaves the
//! head after the block that replaces it is committed, so a reader that looks at the head *first*
//! and at the blocks *afterwards* meets every sample at least once; merging makes that once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One committed batch.
#[derive(Debug)]
pub(in crate::store) struct Entry {
    /// Its row in the journal; ascending in the order of commits.
    pub number: i64,
    /// Oldest sample.
    pub start_ms: i64,
    /// Newest sample.
    pub end_ms: i64,
    /// When it arrived, collector's clock.
    pub received_ms: i64,
    /// A packed parcel.
    pub payload: Vec<u8>,
}

/// A host's entries, in the order of commits.
#[derive(Debug, Default)]
struct Shelf {
    entries: Vec<Arc<Entry>>,
    bytes: usize,
}

/// Every host's journal in memory.
#[derive(Debug, Default)]
pub(in crate::store) struct Head {
    shelves: RwLock<HashMap<i64, Shelf>>,
}

/// A host whose entries should be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Due {
    /// The host's number.
    pub host: i64,
    /// How much it keeps in memory.
    pub bytes: usize,
}

impl Head {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<i64, Shelf>> {
        // A panic elsewhere cannot leave a shelf half changed: every change is one push or retain.
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<i64, Shelf>> {
        self.shelves.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a committed batch.
    pub(in crate::store) fn push(&self, host: i64, entry: Entry) {
        let mut shelves = self.write();
        let shelf = shelves.entry(host).or_default();
        shelf.bytes += entry.payload.len();
        shelf.entries.push(Arc::new(entry));
    }

    /// A host's batches that touch a range, in the order of commits.
    pub(in crate::store) fn entries(&self, host: i64, from_ms: i64, to_ms: i64) -> Vec<Arc<Entry>> {
        let shelves = self.read();
        let Some(shelf) = shelves.get(&host) else {
            return Vec::new();
        };
        let touches = |e: &&Arc<Entry>| e.end_ms >= from_ms && e.start_ms <= to_ms;
        shelf.entries.iter().filter(touches).cloned().collect()
    }

    /// The oldest sample time among a host's batches.
    pub(in crate::store) fn oldest(&self, host: i64) -> Option<i64> {
        let shelves = self.read();
        let entries = &shelves.get(&host)?.entries;
        entries.iter().map(|e| e.start_ms).min()
    }

    /// Forgets what was sealed.
    pub(in crate::store) fn remove(&self, host: i64, numbers: &HashSet<i64>) {
        let mut shelves = self.write();
        if let Some(shelf) = shelves.get_mut(&host) {
            shelf.entries.retain(|e| !numbers.contains(&e.number));
            shelf.bytes = shelf.entries.iter().map(|e| e.payload.len()).sum();
            if shelf.entries.is_empty() {
                shelves.remove(&host);
            }
        }
    }

    /// Hosts for which `is_due(host, arrival of the oldest entry, bytes)`, the largest first.
    pub(in crate::store) fn due(&self, is_due: impl Fn(i64, i64, usize) -> bool) -> Vec<Due> {
        let mut due: Vec<Due> = self
            .read()
            .iter()
            .filter(|(host, shelf)| {
                shelf
                    .entries
                    .first()
                    .is_some_and(|e| is_due(**host, e.received_ms, shelf.bytes))
            })
            .map(|(host, shelf)| Due {
                host: *host,
                bytes: shelf.bytes,
            })
            .collect();
        due.sort_by_key(|d| (std::cmp::Reverse(d.bytes), d.host));
        due
    }

    /// Payload bytes of all hosts.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.read().values().map(|s| s.bytes).sum()
    }
}
