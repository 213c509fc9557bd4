//! The head: what the journal holds, in memory, packed as it arrived, or tighter: batches of a tick
//! or two are mostly names and lengths, so those of a host are folded into longer ones (`fold`).
//!
//! Only the collector's own process has one; others read the journal table. An entry leaves the
//! head after the block that replaces it is committed, so a reader that looks at the head *first*
//! and at the blocks *afterwards* meets every sample at least once; merging makes that once.

use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};

use tokio::sync::Notify;

use super::{fold, parcel, seal};

/// So many batches of a host are folded into one.
const FOLDED_AT: usize = 32;
/// Hosts that may wait to be folded while the journal is read: more, and reading waits.
const HOSTS_WAITING_MAX: usize = 64;

/// A committed batch, or several that were folded.
#[derive(Debug)]
pub(in crate::store) struct Entry {
    /// Their rows in the journal, in the order of commits.
    pub numbers: Vec<i64>,
    /// Oldest sample.
    pub start_ms: i64,
    /// Newest sample.
    pub end_ms: i64,
    /// When it arrived (the first of them), collector's clock.
    pub received_ms: i64,
    /// A packed parcel.
    pub payload: Vec<u8>,
}

/// A host's entries, in the order of commits.
#[derive(Debug, Default)]
struct Shelf {
    entries: Vec<Arc<Entry>>,
    bytes: usize,
    ticks: usize,
    /// The entries before this place were folded, or cannot be.
    folded: usize,
}

impl Shelf {
    /// Adds a batch; answers whether it is time to fold. A fold takes all there is: those that come
    /// while one is made are folded by the next.
    fn push(&mut self, entry: Entry) -> bool {
        self.bytes += entry.payload.len();
        self.ticks += parcel::ticks(&entry.payload);
        self.entries.push(Arc::new(entry));
        (self.entries.len() - self.folded).is_multiple_of(FOLDED_AT)
    }

    fn count(&mut self) {
        self.bytes = self.entries.iter().map(|e| e.payload.len()).sum();
        self.ticks = self.entries.iter().map(|e| parcel::ticks(&e.payload)).sum();
    }
}

/// Every host's journal in memory.
#[derive(Debug, Default)]
pub(in crate::store) struct Head {
    shelves: RwLock<HashMap<i64, Shelf>>,
    /// Rung when a host waits that should be sealed at once.
    pub full: Notify,
}

/// A host's entries that are not sealed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Due {
    /// The host's number.
    pub host: i64,
    /// When the oldest arrived, collector's clock.
    pub received_ms: i64,
    /// How much they take in memory.
    pub bytes: usize,
    /// Ticks in them.
    pub ticks: usize,
}

impl Head {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<i64, Shelf>> {
        // A panic elsewhere cannot leave a shelf half changed: every change is one push or retain.
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<i64, Shelf>> {
        self.shelves.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds committed batches, in the order of commits. Only one thread may add.
    pub(in crate::store) fn extend(&self, entries: Vec<(i64, Entry)>) {
        let (mut many, mut full) = (Vec::new(), false);
        let mut shelves = self.write();
        for (host, entry) in entries {
            let shelf = shelves.entry(host).or_default();
            if shelf.push(entry) {
                many.push(host);
            }
            full |= seal::is_full(host, shelf.ticks);
        }
        drop(shelves);
        if full {
            self.full.notify_one();
        }
        many.into_iter().for_each(|host| self.fold(host));
    }

    /// Adds what `each` visits, the journal at a start. Hosts are folded on all processors meanwhile.
    pub(in crate::store) fn fill<E>(
        &self,
        each: impl FnOnce(&mut dyn FnMut(i64, Entry)) -> Result<(), E>,
    ) -> Result<(), E> {
        let (many, hosts) = mpsc::sync_channel::<i64>(HOSTS_WAITING_MAX);
        let hosts = Mutex::new(hosts);
        let next = || hosts.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let folds = || std::iter::from_fn(|| next().ok());
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| folds().for_each(|host| self.fold(host)));
            }
            let filled = each(&mut |host, entry| {
                let is_much = self.write().entry(host).or_default().push(entry);
                if is_much {
                    // Only fails once nobody folds any more, which costs memory and nothing else.
                    let _ = many.send(host);
                }
            });
            drop(many);
            filled
        })
    }

    /// Folds the newest entries of a host. Readers are not kept waiting for it.
    fn fold(&self, host: i64) {
        let newest = |shelf: &Shelf| shelf.entries[shelf.folded..].to_vec();
        let Some(entries) = self.read().get(&host).map(newest) else {
            return;
        };
        let folded = fold::fold(&entries);
        let mut shelves = self.write();
        let Some(shelf) = shelves.get_mut(&host) else {
            return;
        };
        // Sealing may have taken some away meanwhile.
        let begin = shelf.folded;
        let same = shelf.entries.len() >= begin + entries.len()
            && entries
                .iter()
                .zip(&shelf.entries[begin..])
                .all(|(a, b)| Arc::ptr_eq(a, b));
        if !same {
            return;
        }
        shelf.folded += match folded {
            Some(folded) => {
                let place = begin..begin + entries.len();
                shelf.entries.splice(place, [Arc::new(folded)]);
                shelf.count();
                1
            }
            None => entries.len(),
        };
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
            // One that holds more than was sealed stays: what is in both places counts once.
            let sealed = |e: &Arc<Entry>| e.numbers.iter().all(|n| numbers.contains(n));
            let kept = shelf.entries[..shelf.folded].iter().filter(|e| !sealed(e));
            let folded = kept.count();
            shelf.entries.retain(|e| !sealed(e));
            shelf.folded = folded;
            shelf.count();
            if shelf.entries.is_empty() {
                shelves.remove(&host);
            }
        }
    }

    /// Hosts for which `is_due`, the largest first.
    pub(in crate::store) fn due(&self, is_due: impl Fn(&Due) -> bool) -> Vec<Due> {
        let waiting = |(host, shelf): (&i64, &Shelf)| {
            Some(Due {
                host: *host,
                received_ms: shelf.entries.first()?.received_ms,
                bytes: shelf.bytes,
                ticks: shelf.ticks,
            })
        };
        let shelves = self.read();
        let mut due: Vec<Due> = shelves.iter().filter_map(waiting).filter(is_due).collect();
        due.sort_by_key(|d| (std::cmp::Reverse(d.bytes), d.host));
        due
    }

    /// Payload bytes of all hosts.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.read().values().map(|s| s.bytes).sum()
    }
}
