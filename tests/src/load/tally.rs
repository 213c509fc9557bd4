//! What all simulated agents together have seen.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::latency::Latency;

/// Agents share this many histograms, so that they seldom wait for each other.
const SHARDS: usize = 16;

/// Counters of a run; those of batches count only while measuring.
#[derive(Debug, Default)]
pub struct Tally {
    measuring: AtomicBool,
    batches: AtomicU64,
    bytes: AtomicU64,
    acknowledged: AtomicU64,
    connected: AtomicU64,
    connects: AtomicU64,
    finished: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
    trouble: Mutex<Option<String>>,
    shards: [Mutex<Shard>; SHARDS],
}

/// How long acknowledgements took.
#[derive(Clone, Debug, Default)]
pub struct Shard {
    /// Of every batch.
    pub all: Latency,
    /// Of the youngest batch in each answer: without the time answers are gathered.
    pub youngest: Latency,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Batches sent.
    pub batches: u64,
    /// Bytes of their blocks.
    pub bytes: u64,
    /// Batches acknowledged.
    pub acknowledged: u64,
    /// Agents that are connected and welcome.
    pub connected: u64,
    /// Greetings that were answered by a welcome.
    pub connects: u64,
    /// Agents that have nothing left to send.
    pub finished: u64,
}

impl Tally {
    /// Begins or ends to count batches.
    pub fn measure(&self, on: bool) {
        self.measuring.store(on, Ordering::Release);
    }

    /// Whether a batch sent now counts.
    pub fn is_measuring(&self) -> bool {
        self.measuring.load(Ordering::Acquire)
    }

    /// A batch left.
    pub fn sent(&self, bytes: usize) {
        if self.is_measuring() {
            self.batches.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// An answer came for batches that were sent so long ago, the youngest last.
    pub fn acknowledged(&self, agent: usize, took: &[Duration]) {
        let Some(youngest) = took.last() else {
            return;
        };
        self.acknowledged
            .fetch_add(took.len() as u64, Ordering::Relaxed);
        let mut shard = self.shards[agent % SHARDS].lock().unwrap();
        took.iter().for_each(|t| shard.all.note(*t));
        shard.youngest.note(*youngest);
    }

    /// Somebody was welcomed.
    pub fn welcomed(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody lost its connection.
    pub fn parted(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    /// Somebody has nothing left to send.
    pub fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was refused.
    pub fn refused(&self, reason: &str) {
        let mut refused = self.refused.lock().unwrap();
        *refused.entry(reason.to_owned()).or_default() += 1;
    }

    /// Something went wrong; the last one is kept.
    pub fn trouble(&self, what: String) {
        *self.trouble.lock().unwrap() = Some(what);
    }

    /// The last thing that went wrong.
    pub fn last_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap().clone()
    }

    /// Refusals by reason.
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        self.refused.lock().unwrap().clone()
    }

    /// All counters.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            batches: read(&self.batches),
            bytes: read(&self.bytes),
            acknowledged: read(&self.acknowledged),
            connected: read(&self.connected),
            connects: read(&self.connects),
            finished: read(&self.finished),
        }
    }

    /// All latencies.
    pub fn latency(&self) -> Shard {
        let mut sum = Shard::default();
        for shard in &self.shards {
            let shard = shard.lock().unwrap();
            sum.all.add(&shard.all);
            sum.youngest.add(&shard.youngest);
        }
        sum
    }
}
