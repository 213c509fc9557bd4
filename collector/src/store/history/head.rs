//! The head: what the journal holds, in memory, packed as it arrived, or tighter: batches of a tick
//! or two are mostly names and lengths, so those of a host are folded into longer ones (`fold`).
//!
//! Only the collector's own process has one; others read the journal table. An entry leaves the
//! head after the block that replaces it is committed, so a reader that looks at the head *first*
//! and at the blocks *afterwards* meets every sample at least once; merging makes that once.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc,
};

use tokio::sync::Notify;

use super::{fold, parcel, seal};

/// So many batches of a host are folded into one.
const FOLDED_AT: usize = 32;
/// Short ones before that: what waits for its fold takes four times as much as what is folded. Not
/// much earlier: every fold costs as much as some batches.
const SHORT_FOLDED_AT: usize = 8;
/// Short are batches with fewer ticks than this on average.
const SHORT_TICKS: usize = 4;
/// Hosts that may wait to be folded while the journal is read: more, and reading waits.
const HOSTS_WAITING_MAX: usize = 64;

/// So many sealed rows may be kept back whatever else there is, …
const KEPT_BACK_MIN: i64 = 1 << 16;
/// … of so many packed bytes: those of a host that catches up are large.
const KEPT_BACK_BYTES_MIN: usize = 32 << 20;

/// A committed batch, or several that were folded.
#[derive(Debug)]
pub(in crate::store) struct Entry {
    /// Their rows in the journal, in the order of commits, at least one.
    pub numbers: Vec<i64>,
    /// Oldest sample.
    pub start_ms: i64,
    /// Newest sample.
    pub end_ms: i64,
    /// When it arrived (the first of them), collector's clock.
    pub received_ms: i64,
    /// How many samples.
    pub samples: u32,
    /// A packed parcel.
    pub payload: Vec<u8>,
}

/// Samples in memory, and the bytes they take with everything around them but what the allocator adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Held {
    pub samples: usize,
    pub bytes: usize,
}

impl Held {
    fn add(&mut self, entry: &Entry) {
        self.samples += entry.samples as usize;
        self.bytes += entry.bytes();
    }
}

impl Entry {
    /// What it takes, the counts of its [`Arc`] too.
    fn bytes(&self) -> usize {
        let counts = 2 * size_of::<usize>();
        let numbers = self.numbers.capacity() * size_of::<i64>();
        size_of::<Entry>() + counts + numbers + self.payload.capacity()
    }

    fn oldest(&self) -> i64 {
        self.numbers.first().copied().unwrap_or(i64::MAX)
    }

    pub(super) fn newest(&self) -> i64 {
        self.numbers.last().copied().unwrap_or(i64::MIN)
    }
}

/// A host's entries, in the order of commits.
#[derive(Debug, Default)]
struct Shelf {
    entries: Vec<Arc<Entry>>,
    bytes: usize,
    ticks: usize,
    /// Rows of the journal.
    rows: usize,
    /// What the entries hold, and what they take but for their places in the list.
    held: Held,
    /// The entries before this place were folded, or cannot be.
    folded: usize,
    /// Those from there to this place were folded from short ones, and are once more.
    halfway: usize,
}

/// Which entries of a shelf become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fold {
    /// The short ones that came last.
    Short,
    /// All that were not folded for good.
    Whole,
}

impl Fold {
    /// Where these entries begin.
    fn begin(self, shelf: &Shelf) -> usize {
        match self {
            Fold::Short => shelf.halfway,
            Fold::Whole => shelf.folded,
        }
    }
}

impl Shelf {
    /// Adds a batch; answers what it is time to fold. A fold takes all there is: those that come
    /// while one is made are folded by the next.
    fn push(&mut self, entry: Entry) -> Option<Fold> {
        self.bytes += entry.payload.len();
        self.ticks += parcel::ticks(&entry.payload);
        self.rows += entry.numbers.len();
        self.held.add(&entry);
        self.entries.push(Arc::new(entry));
        let waiting = &self.entries[self.halfway..];
        let ticks = || waiting.iter().map(|e| parcel::ticks(&e.payload));
        if (self.entries.len() - self.folded).is_multiple_of(FOLDED_AT) {
            return Some(Fold::Whole);
        }
        let is_short = waiting.len().is_multiple_of(SHORT_FOLDED_AT)
            && ticks().sum::<usize>() < SHORT_TICKS * waiting.len();
        is_short.then_some(match self.halfway - self.folded {
            // This is the last of as many as are folded into one.
            before if (before + 1) * SHORT_FOLDED_AT >= FOLDED_AT => Fold::Whole,
            _ => Fold::Short,
        })
    }

    /// Puts a fold, or the entries as they are where there is none, behind what was folded.
    fn settle(&mut self, fold: Fold, count: usize, folded: Option<Entry>) {
        let begin = fold.begin(self);
        let is_one = folded.is_some();
        if let Some(folded) = folded {
            let place = begin..begin + count;
            self.entries.splice(place, [Arc::new(folded)]);
            self.count();
        }
        let end = begin + if is_one { 1 } else { count };
        self.halfway = end;
        if fold == Fold::Whole || !is_one {
            self.folded = end;
        }
    }

    fn count(&mut self) {
        self.bytes = self.entries.iter().map(|e| e.payload.len()).sum();
        self.ticks = self.entries.iter().map(|e| parcel::ticks(&e.payload)).sum();
        self.rows = self.entries.iter().map(|e| e.numbers.len()).sum();
        self.held = Held::default();
        self.entries.iter().for_each(|e| self.held.add(e));
    }
}

/// Every host's journal in memory.
#[derive(Debug, Default)]
pub(in crate::store) struct Head {
    shelves: RwLock<HashMap<i64, Shelf>>,
    /// Rows up to which a host was sealed while another one waited for longer, and how many packed
    /// bytes left the head then.
    kept_back: Mutex<BTreeMap<i64, usize>>,
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
    /// The oldest row.
    pub oldest: i64,
}

/// A panic elsewhere cannot leave it half changed: every change is one step.
pub(in crate::store) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            many.extend(shelf.push(entry).map(|fold| (host, fold)));
            full |= seal::is_full(host, shelf.ticks);
        }
        drop(shelves);
        if full {
            self.full.notify_one();
        }
        many.into_iter()
            .for_each(|(host, fold)| self.fold(host, fold));
    }

    /// Adds what `each` visits, the journal at a start. Hosts are folded on all processors meanwhile.
    pub(in crate::store) fn fill<E>(
        &self,
        each: impl FnOnce(&mut dyn FnMut(i64, Entry)) -> Result<(), E>,
    ) -> Result<(), E> {
        let (many, hosts) = mpsc::sync_channel::<(i64, Fold)>(HOSTS_WAITING_MAX);
        let hosts = Mutex::new(hosts);
        let next = || hold(&hosts).recv();
        let folds = || std::iter::from_fn(|| next().ok());
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| folds().for_each(|(host, fold)| self.fold(host, fold)));
            }
            let filled = each(&mut |host, entry| {
                let due = self.write().entry(host).or_default().push(entry);
                if let Some(fold) = due {
                    // Only fails once nobody folds any more, which costs memory and nothing else.
                    let _ = many.send((host, fold));
                }
            });
            drop(many);
            filled
        })
    }

    /// Folds the newest entries of a host. Readers are not kept waiting for it.
    fn fold(&self, host: i64, fold: Fold) {
        let newest = |shelf: &Shelf| shelf.entries[fold.begin(shelf)..].to_vec();
        let Some(entries) = self.read().get(&host).map(newest) else {
            return;
        };
        let folded = fold::fold(&entries);
        let mut shelves = self.write();
        let Some(shelf) = shelves.get_mut(&host) else {
            return;
        };
        // Sealing may have taken some away meanwhile.
        let begin = fold.begin(shelf);
        let same = shelf.entries.len() >= begin + entries.len()
            && entries
                .iter()
                .zip(&shelf.entries[begin..])
                .all(|(a, b)| Arc::ptr_eq(a, b));
        if same {
            shelf.settle(fold, entries.len(), folded);
        }
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

    /// All batches of a host, to be sealed. None of them is folded any more: what is folded with
    /// a batch that came meanwhile would not leave with what was sealed, and be sealed again.
    pub(in crate::store) fn sealing(&self, host: i64) -> Vec<Arc<Entry>> {
        let mut shelves = self.write();
        let Some(shelf) = shelves.get_mut(&host) else {
            return Vec::new();
        };
        (shelf.folded, shelf.halfway) = (shelf.entries.len(), shelf.entries.len());
        shelf.entries.clone()
    }

    /// The oldest sample time among a host's batches.
    pub(in crate::store) fn oldest(&self, host: i64) -> Option<i64> {
        let shelves = self.read();
        let entries = &shelves.get(&host)?.entries;
        entries.iter().map(|e| e.start_ms).min()
    }

    /// Forgets what was sealed: the batches of a host up to a number.
    pub(in crate::store) fn remove(&self, host: i64, to: i64) {
        let mut shelves = self.write();
        if let Some(shelf) = shelves.get_mut(&host) {
            // One that holds more than was sealed stays: what is in both places counts once.
            let stays = |entry: &Arc<Entry>| entry.newest() > to;
            let kept = |before: usize| {
                let entries = shelf.entries[..before].iter();
                entries.filter(|e| stays(e)).count()
            };
            let (folded, halfway) = (kept(shelf.folded), kept(shelf.halfway));
            shelf.entries.retain(stays);
            (shelf.folded, shelf.halfway) = (folded, halfway);
            let before = shelf.bytes;
            shelf.count();
            let sealed = before.saturating_sub(shelf.bytes);
            if shelf.entries.is_empty() {
                shelves.remove(&host);
            }
            let mut kept_back = hold(&self.kept_back);
            kept_back.insert(to, sealed);
            if shelves.is_empty() {
                kept_back.clear();
            }
        }
    }

    /// The oldest batch there is but for those that are sealed: of a host up to `sealed_to` it.
    pub(in crate::store) fn oldest_row(
        &self,
        sealed_to: impl Fn(i64) -> Option<i64>,
    ) -> Option<i64> {
        let of_shelf = |(host, shelf): (&i64, &Shelf)| {
            let sealed_to = sealed_to(*host).unwrap_or(i64::MIN);
            let stays = |entry: &&Arc<Entry>| entry.newest() > sealed_to;
            Some(shelf.entries.iter().find(stays)?.oldest())
        };
        self.read().iter().filter_map(of_shelf).min()
    }

    /// The batch before which none should wait any more: so much came since that what is sealed of it,
    /// but kept back by one that is not, would be most of the journal, in rows or in bytes.
    pub(in crate::store) fn kept_since(&self) -> i64 {
        let shelves = self.read();
        let waiting: usize = shelves.values().map(|shelf| shelf.rows).sum();
        let last = shelves.values().filter_map(|shelf| shelf.entries.last());
        let newest = last.map(|entry| entry.newest()).max().unwrap_or(0);
        let by_rows = newest.saturating_sub(2 * waiting as i64 + KEPT_BACK_MIN);
        let first = shelves.values().filter_map(|shelf| shelf.entries.first());
        let oldest = first.map(|entry| entry.oldest()).min();
        let bytes: usize = shelves.values().map(|shelf| shelf.bytes).sum();
        let (mut kept, most) = (0, (2 * bytes).max(KEPT_BACK_BYTES_MIN));
        let mut kept_back = hold(&self.kept_back);
        // What is before the oldest goes with the next seal.
        *kept_back = kept_back.split_off(&oldest.unwrap_or(i64::MAX));
        let too_much = kept_back.iter().rev().find(|(_, bytes)| {
            kept += **bytes;
            kept > most
        });
        too_much.map_or(by_rows, |(row, _)| by_rows.max(*row))
    }

    /// Hosts for which `is_due`, the largest first.
    pub(in crate::store) fn due(&self, is_due: impl Fn(&Due) -> bool) -> Vec<Due> {
        let waiting = |(host, shelf): (&i64, &Shelf)| {
            Some(Due {
                host: *host,
                received_ms: shelf.entries.first()?.received_ms,
                bytes: shelf.bytes,
                ticks: shelf.ticks,
                oldest: shelf.entries.first()?.oldest(),
            })
        };
        let shelves = self.read();
        let mut due: Vec<Due> = shelves.iter().filter_map(waiting).filter(is_due).collect();
        due.sort_by_key(|d| (std::cmp::Reverse(d.bytes), d.host));
        due
    }

    /// What all of it takes: counted batch by batch as they come and go, so that who asks keeps no
    /// commit waiting.
    pub(in crate::store) fn held(&self) -> Held {
        let shelves = self.read();
        let mut held = Held::default();
        for shelf in shelves.values() {
            let places = shelf.entries.capacity() * size_of::<Arc<Entry>>();
            held.bytes += size_of::<Shelf>() + places + shelf.held.bytes;
            held.samples += shelf.held.samples;
        }
        held
    }

    /// Payload bytes of all hosts.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.read().values().map(|s| s.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parcel::Parcel;
    use super::*;

    fn entry(number: i64, ticks: i64) -> Entry {
        let at = |tick: i64| (number * 1000 + tick, (number + tick) as f64);
        let samples: Vec<(i64, f64)> = (0..ticks).map(at).collect();
        Entry {
            numbers: vec![number],
            start_ms: samples[0].0,
            end_ms: samples[samples.len() - 1].0,
            received_ms: number,
            samples: 2 * samples.len() as u32,
            payload: Parcel::of(&[(7, samples.as_slice()), (9, samples.as_slice())]).pack(),
        }
    }

    fn entries(head: &Head) -> Vec<Arc<Entry>> {
        head.entries(1, i64::MIN, i64::MAX)
    }

    fn ticks(head: &Head) -> Vec<usize> {
        let entries = entries(head);
        entries.iter().map(|e| parcel::ticks(&e.payload)).collect()
    }

    #[test]
    fn of_a_host_that_sends_each_second_few_batches_wait_alone() {
        let head = Head::default();
        for number in 1..=200 {
            head.extend(vec![(1, entry(number, 1))]);
            let alone = ticks(&head).into_iter().filter(|t| *t == 1).count();
            assert!(alone < SHORT_FOLDED_AT, "{number}: {:?}", ticks(&head));
        }
        assert_eq!(ticks(&head), [32, 32, 32, 32, 32, 32, 8]);
        let numbers: Vec<i64> = entries(&head)
            .iter()
            .flat_map(|e| e.numbers.clone())
            .collect();
        assert_eq!(numbers, (1..=200).collect::<Vec<i64>>());
        assert_eq!(head.due(|_| true)[0].ticks, 200);
    }

    #[test]
    fn long_batches_are_folded_once() {
        let head = Head::default();
        for number in 1..=FOLDED_AT as i64 {
            assert_eq!(entries(&head).len() as i64, number - 1);
            head.extend(vec![(1, entry(number, 10))]);
        }
        assert_eq!(ticks(&head), [10 * FOLDED_AT]);
    }

    #[test]
    fn what_is_held_is_counted_with_what_is_around_it() {
        let head = Head::default();
        for number in 1..=40 {
            head.extend(vec![(1, entry(number, 1)), (2, entry(number, 1))]);
        }
        let held = head.held();
        assert_eq!(held.samples, 2 * 40 * 2);
        assert!(held.bytes > head.bytes() + 2 * size_of::<Entry>());
        head.remove(1, 40);
        assert_eq!(head.held().samples, 40 * 2);
    }

    #[test]
    fn the_oldest_row_is_that_of_whoever_waits_longest() {
        let head = Head::default();
        assert_eq!(head.oldest_row(|_| None), None);
        head.extend(vec![(1, entry(1, 1)), (2, entry(2, 1)), (1, entry(3, 1))]);
        assert_eq!(head.oldest_row(|_| None), Some(1));
        assert_eq!(head.oldest_row(|host| (host == 1).then_some(1)), Some(2));
        assert_eq!(head.oldest_row(|_| Some(2)), Some(3));
        assert_eq!(head.oldest_row(|_| Some(3)), None);
    }

    #[test]
    fn who_keeps_back_more_than_waits_is_sealed_early() {
        let head = Head::default();
        head.extend(vec![(1, entry(1, 1))]);
        let kept_back = |head: &Head| head.due(|due| due.oldest < head.kept_since());
        head.extend(vec![(2, entry(KEPT_BACK_MIN + 4, 1))]);
        assert_eq!(kept_back(&head), [], "{}", head.kept_since());
        head.extend(vec![(2, entry(KEPT_BACK_MIN + 8, 1))]);
        let hosts: Vec<i64> = kept_back(&head).iter().map(|due| due.host).collect();
        assert_eq!(hosts, [1]);
    }

    #[test]
    fn who_keeps_back_large_rows_is_sealed_early_too() {
        let head = Head::default();
        head.extend(vec![(1, entry(1, 1)), (2, entry(2, 1))]);
        let due = |head: &Head| -> Vec<i64> {
            let due = head.due(|due| due.oldest < head.kept_since());
            due.iter().map(|due| due.host).collect()
        };
        let large = |number: i64| Entry {
            payload: vec![0; 1 << 20],
            ..entry(number, 1)
        };
        for number in 3..=34 {
            head.extend(vec![(3, large(number))]);
            head.remove(3, number);
            assert_eq!(due(&head), [0; 0], "{number}");
        }
        head.extend(vec![(4, entry(35, 1)), (3, large(36))]);
        head.remove(3, 36);
        assert_eq!(due(&head), [1, 2], "not who came after the most of it");
        head.remove(1, 1);
        head.remove(2, 2);
        assert_eq!(due(&head), [0; 0], "all but the newest rows can go");
    }

    #[test]
    fn what_is_being_sealed_is_not_folded_with_what_comes_meanwhile() {
        let head = Head::default();
        for number in 1..=50 {
            head.extend(vec![(1, entry(number, 1))]);
        }
        let sealing = head.sealing(1);
        let numbers: Vec<i64> = sealing.iter().flat_map(|e| e.numbers.clone()).collect();
        assert_eq!(numbers, (1..=50).collect::<Vec<i64>>());
        for number in 51..=75 {
            head.extend(vec![(1, entry(number, 1))]);
        }
        head.remove(1, 50);
        assert_eq!(ticks(&head), [8, 8, 8, 1]);
        for number in 76..=82 {
            head.extend(vec![(1, entry(number, 1))]);
        }
        assert_eq!(
            ticks(&head),
            [32],
            "folded on as if nothing had been before"
        );
    }

    #[test]
    fn what_was_sealed_leaves_and_the_rest_is_folded_on() {
        let head = Head::default();
        for number in 1..=50 {
            head.extend(vec![(1, entry(number, 1))]);
        }
        assert_eq!(ticks(&head), [32, 8, 8, 1, 1]);
        head.remove(1, 32);
        assert_eq!(ticks(&head), [8, 8, 1, 1]);
        for number in 51..=80 {
            head.extend(vec![(1, entry(number, 1))]);
        }
        assert_eq!(ticks(&head), [32, 8, 8]);
    }
}
