//! Where the sampler and the uplink meet: samples go in, numbered batches come out.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use anyhow::Context;
use hostwell_proto::id::SpoolId;
use hostwell_proto::wire;
use tokio::sync::Notify;

use super::gather::Gathered;
use super::waiting::Waiting;
use super::{Counts, Outgoing, Spool, declarations, free_space};
use crate::sample::{Sample, SeriesTable};

/// Fresh batches kept for sending without reading them back; a slower line reads them back.
const LIVE_MAX: usize = 8;
/// Found busy so often in a row, the spool does not just happen to be in use.
const BUSY_MAX: u32 = 3;

/// Shared by the thread that samples and the task that sends.
///
/// Two locks, so that a disk that does not answer stops no tick: `front` is never held while a file
/// is touched, and who samples takes `back` only when it is free. Where both are held, `back` was
/// taken first.
#[derive(Debug)]
pub struct Handoff {
    front: Mutex<Front>,
    back: Mutex<Back>,
    /// Rung when there is something new to send.
    pub wake: Notify,
    ticks_per_batch: usize,
    dir: PathBuf,
}

/// What the sampler fills.
#[derive(Debug)]
struct Front {
    gathered: Gathered,
    table: Arc<SeriesTable>,
    waiting: Waiting,
    first: bool,
    missed_ticks: u64,
    reconnects: u64,
    /// How often in a row the spool was busy; more than a few times is a disk that hangs.
    busy: u32,
    /// The spool's counts when it was last free.
    counts: Counts,
}

/// What is on disk: who holds this may hang with the disk.
#[derive(Debug)]
struct Back {
    spool: Spool,
    live: VecDeque<Outgoing>,
    connected: bool,
}

impl Front {
    fn pack(&mut self) {
        let packed = self.gathered.pack(&self.table);
        packed.into_iter().for_each(|p| self.waiting.push(p));
    }
}

/// What the agent knows about its own work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The spool's counts, as last seen.
    pub spool: Counts,
    /// The spool's disk does not answer: batches wait in memory.
    pub stalled: bool,
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
            front: Mutex::new(Front {
                gathered: Gathered::default(),
                table: Arc::new(table),
                waiting: Waiting::default(),
                first: true,
                missed_ticks: 0,
                reconnects: 0,
                busy: 0,
                counts: spool.counts(),
            }),
            back: Mutex::new(Back {
                spool,
                live: VecDeque::new(),
                connected: false,
            }),
            wake: Notify::new(),
            ticks_per_batch,
        }
    }

    // A panic elsewhere must not stop the sampling: every field is valid between statements.

    fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn back(&self) -> MutexGuard<'_, Back> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_back(&self) -> Option<MutexGuard<'_, Back>> {
        match self.back.try_lock() {
            Ok(back) => Some(back),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The series that numbers stand for.
    pub fn table(&self) -> Arc<SeriesTable> {
        self.front().table.clone()
    }

    /// Takes one tick; a full batch is numbered, written down and offered to the uplink, now or at
    /// the first tick that finds the spool free.
    pub fn add(&self, table: &SeriesTable, sample: &Sample, now_ms: i64) {
        let mut front = self.front();
        if front.gathered.refuses(sample) {
            front.pack();
        }
        if table.len() > front.table.len() {
            front.table = Arc::new(table.clone());
        }
        front.gathered.add(sample);
        // The first tick goes alone: whoever installs an agent waits for it.
        if front.first || front.gathered.ticks() >= self.ticks_per_batch {
            front.first = false;
            front.pack();
        }
        drop(front);
        self.spool(now_ms);
    }

    /// How many ticks wait to become a batch.
    #[cfg(test)]
    pub(crate) fn ticks(&self) -> usize {
        self.front().gathered.ticks()
    }

    /// Ends the batch before the next tick.
    pub fn cut(&self) {
        self.front().pack();
    }

    /// Numbers what waits, complete batch or not, however long the disk takes.
    pub fn flush(&self, now_ms: i64) {
        self.front().pack();
        self.deliver(self.back(), now_ms);
    }

    /// Puts what waits into the spool, unless that is busy: then the next tick tries again.
    fn spool(&self, now_ms: i64) {
        if self.front().waiting.is_empty() {
            return;
        }
        match self.try_back() {
            Some(back) => self.deliver(back, now_ms),
            None => self.front().busy += 1,
        }
    }

    fn deliver(&self, mut back: MutexGuard<'_, Back>, now_ms: i64) {
        let (waiting, table) = {
            let mut front = self.front();
            front.busy = 0;
            (std::mem::take(&mut front.waiting), front.table.clone())
        };
        if waiting.is_empty() {
            return;
        }
        if let Some(lost) = waiting.lost {
            back.spool.lose(&lost);
        }
        for packed in waiting.batches {
            let outgoing = back.spool.push(&table, packed, now_ms);
            if back.connected {
                if back.live.len() == LIVE_MAX {
                    back.live.pop_front();
                }
                back.live.push_back(outgoing);
            }
        }
        back.spool.enforce(now_ms, free_space(&self.dir));
        if back.connected {
            self.wake.notify_one();
        }
    }

    /// Counts ticks that were not sampled.
    pub fn missed(&self, ticks: u64) {
        if ticks > 0 {
            self.front().missed_ticks += ticks;
        }
    }

    /// How the work goes.
    pub fn progress(&self) -> Progress {
        let counts = self.try_back().map(|back| back.spool.counts());
        let mut front = self.front();
        if let Some(counts) = counts {
            front.counts = counts;
        }
        Progress {
            spool: front.counts.clone(),
            stalled: front.busy >= BUSY_MAX,
            missed_ticks: front.missed_ticks,
            reconnects: front.reconnects,
        }
    }

    /// The spools that still hold something, oldest first, the live one last.
    pub fn spool_ids(&self) -> Vec<SpoolId> {
        self.back().spool.spool_ids()
    }

    /// A connection begins: nothing counts as sent, fresh batches are offered from now on.
    pub fn connected(&self, again: bool) {
        let mut back = self.back();
        back.spool.requeue();
        back.connected = true;
        self.front().reconnects += u64::from(again);
    }

    /// The connection is gone.
    pub fn disconnected(&self) {
        let mut back = self.back();
        back.connected = false;
        back.live.clear();
        back.spool.requeue();
    }

    /// The next fresh batch.
    pub fn next_live(&self) -> Option<Outgoing> {
        let mut back = self.back();
        while let Some(outgoing) = back.live.pop_front() {
            if back.spool.mark_sent(outgoing.spool, outgoing.sequence) {
                return Some(outgoing);
            }
        }
        None
    }

    /// The next batch of the past.
    pub fn next_backfill(&self) -> Option<Outgoing> {
        let mut back = self.back();
        back.spool.take_next().or_else(|| back.spool.take_held())
    }

    /// The next gap to report.
    pub fn next_gap(&self) -> Option<wire::Gap> {
        self.back().spool.take_gap()
    }

    /// The declarations from number `from` on that this batch needs.
    pub fn declarations(&self, batch: &Outgoing, from: u32) -> Vec<wire::SeriesDeclaration> {
        let back = self.back();
        if batch.spool == back.spool.id() {
            return declarations(&self.table(), from..batch.series);
        }
        let declared = back.spool.declarations_of(batch.spool, batch.sequence);
        let mut declared = declared.unwrap_or_else(|error| {
            tracing::warn!("cannot read declarations of spool {}: {error}", batch.spool);
            Vec::new()
        });
        declared.retain(|series| series.number >= from);
        declared
    }

    /// Batches or gaps are dealt with.
    pub fn ack(&self, spool: SpoolId, first: u64, last: u64) {
        self.back().spool.ack(spool, first, last);
    }

    /// A batch or gap will never be taken.
    pub fn refuse(&self, spool: SpoolId, sequence: u64, reason: &'static str) {
        self.back().spool.refuse(spool, sequence, reason);
    }

    /// A batch is to be sent again later.
    pub fn release(&self, spool: SpoolId, sequence: u64) {
        self.back().spool.release(spool, sequence);
    }

    /// Marks a clean stop.
    ///
    /// # Errors
    /// When the marker cannot be written, or the disk does not answer.
    pub fn close(&self) -> anyhow::Result<()> {
        let back = self.try_back();
        let mut back = back.context("the spool's disk does not answer")?;
        back.spool.close()
    }
}
