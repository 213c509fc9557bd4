//! Where the sampler and the uplink meet: samples go in, numbered batches come out.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostwell_proto::id::SpoolId;
use hostwell_proto::wire;
use tokio::sync::Notify;

use super::gather::Gathered;
use super::{Counts, Outgoing, Spool, declarations, free_space};
use crate::sample::{Sample, SeriesTable};

/// Fresh batches kept for sending without reading them back; a slower line reads them back.
const LIVE_MAX: usize = 8;

/// Shared by the thread that samples and the task that sends.
#[derive(Debug)]
pub struct Handoff {
    inner: Mutex<Inner>,
    /// Rung when there is something new to send.
    pub wake: Notify,
    ticks_per_batch: usize,
    dir: PathBuf,
}

#[derive(Debug)]
struct Inner {
    spool: Spool,
    gathered: Gathered,
    table: Arc<SeriesTable>,
    live: VecDeque<Outgoing>,
    connected: bool,
    first: bool,
    missed_ticks: u64,
    reconnects: u64,
}

/// What the agent knows about its own work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The spool's counts.
    pub spool: Counts,
    /// Ticks that were slept through.
    pub missed_ticks: u64,
    /// Connections after the first one.
    pub reconnects: u64,
}

impl Handoff {
    /// Starts with an opened spool and the series its numbers already stand for.
    pub fn new(spool: Spool, table: SeriesTable, ticks_per_batch: usize) -> Handoff {
        Handoff {
            dir: spool.dir.clone(),
            inner: Mutex::new(Inner {
                spool,
                gathered: Gathered::default(),
                table: Arc::new(table),
                live: VecDeque::new(),
                connected: false,
                first: true,
                missed_ticks: 0,
                reconnects: 0,
            }),
            wake: Notify::new(),
            ticks_per_batch,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere must not stop the sampling: every field is valid between statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The series that numbers stand for.
    pub fn table(&self) -> Arc<SeriesTable> {
        self.lock().table.clone()
    }

    /// Takes one tick; a full batch is numbered, written down and offered to the uplink.
    pub fn add(&self, table: &SeriesTable, sample: &Sample, now_ms: i64) {
        let mut inner = self.lock();
        if inner.gathered.refuses(sample) {
            self.seal(&mut inner, now_ms);
        }
        if table.len() > inner.table.len() {
            inner.table = Arc::new(table.clone());
        }
        inner.gathered.add(sample);
        // The first tick goes alone: whoever installs an agent waits for it.
        if inner.first || inner.gathered.ticks() >= self.ticks_per_batch {
            inner.first = false;
            self.seal(&mut inner, now_ms);
        }
    }

    /// How many ticks wait to become a batch.
    #[cfg(test)]
    pub(crate) fn ticks(&self) -> usize {
        self.lock().gathered.ticks()
    }

    /// Numbers what waits, complete batch or not.
    pub fn flush(&self, now_ms: i64) {
        self.seal(&mut self.lock(), now_ms);
    }

    fn seal(&self, inner: &mut Inner, now_ms: i64) {
        let table = inner.table.clone();
        let packed = inner.gathered.pack(&table);
        if packed.is_empty() {
            return;
        }
        for packed in packed {
            let outgoing = inner.spool.push(&table, packed, now_ms);
            if inner.connected {
                if inner.live.len() == LIVE_MAX {
                    inner.live.pop_front();
                }
                inner.live.push_back(outgoing);
            }
        }
        inner.spool.enforce(now_ms, free_space(&self.dir));
        if inner.connected {
            self.wake.notify_one();
        }
    }

    /// Counts ticks that were not sampled.
    pub fn missed(&self, ticks: u64) {
        if ticks > 0 {
            self.lock().missed_ticks += ticks;
        }
    }

    /// How the work goes.
    pub fn progress(&self) -> Progress {
        let inner = self.lock();
        Progress {
            spool: inner.spool.counts(),
            missed_ticks: inner.missed_ticks,
            reconnects: inner.reconnects,
        }
    }

    /// The spools that still hold something, oldest first, the live one last.
    pub fn spool_ids(&self) -> Vec<SpoolId> {
        self.lock().spool.spool_ids()
    }

    /// A connection begins: nothing counts as sent, fresh batches are offered from now on.
    pub fn connected(&self, again: bool) {
        let mut inner = self.lock();
        inner.spool.requeue();
        inner.connected = true;
        inner.reconnects += u64::from(again);
    }

    /// The connection is gone.
    pub fn disconnected(&self) {
        let mut inner = self.lock();
        inner.connected = false;
        inner.live.clear();
        inner.spool.requeue();
    }

    /// The next fresh batch.
    pub fn next_live(&self) -> Option<Outgoing> {
        let mut inner = self.lock();
        while let Some(outgoing) = inner.live.pop_front() {
            if inner.spool.mark_sent(outgoing.spool, outgoing.sequence) {
                return Some(outgoing);
            }
        }
        None
    }

    /// The next batch of the past.
    pub fn next_backfill(&self) -> Option<Outgoing> {
        let mut inner = self.lock();
        inner.spool.take_next().or_else(|| inner.spool.take_held())
    }

    /// The next gap to report.
    pub fn next_gap(&self) -> Option<wire::Gap> {
        self.lock().spool.take_gap()
    }

    /// The declarations from number `from` on that this batch needs.
    pub fn declarations(&self, batch: &Outgoing, from: u32) -> Vec<wire::SeriesDeclaration> {
        let inner = self.lock();
        if batch.spool == inner.spool.id() {
            return declarations(&inner.table, from..batch.series);
        }
        let declared = inner.spool.declarations_of(batch.spool, batch.sequence);
        let mut declared = declared.unwrap_or_else(|error| {
            tracing::warn!("cannot read declarations of spool {}: {error}", batch.spool);
            Vec::new()
        });
        declared.retain(|series| series.number >= from);
        declared
    }

    /// Batches or gaps are dealt with.
    pub fn ack(&self, spool: SpoolId, first: u64, last: u64) {
        self.lock().spool.ack(spool, first, last);
    }

    /// A batch or gap will never be taken.
    pub fn refuse(&self, spool: SpoolId, sequence: u64, reason: &'static str) {
        self.lock().spool.refuse(spool, sequence, reason);
    }

    /// A batch is to be sent again later.
    pub fn release(&self, spool: SpoolId, sequence: u64) {
        self.lock().spool.release(spool, sequence);
    }

    /// Marks a clean stop.
    ///
    /// # Errors
    /// When the marker cannot be written.
    pub fn close(&self) -> anyhow::Result<()> {
        self.lock().spool.close()
    }
}
