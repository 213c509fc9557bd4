//! What survives an outage: a bounded, crash-safe queue of numbered batches.
//!
//! A batch is written (one `write`, no `fsync`) before it is sent, and forgotten when the collector
//! has it durably. Files are segments of up to 1 MiB, each complete in itself: it names its spool
//! and declares every series its batches use. The format: docs/format/spool.md.
//!
//! *Numbers.* A batch is (spool id, sequence). A clean stop ends the last segment with a marker and
//! an `fsync`; the next start goes on with the same id and the next number. Without that marker, or
//! with any damage, the next start draws a new spool id, because numbers may have been sent that
//! the disk has forgotten; what is left of the old spool is still delivered under its old id.
//!
//! *Bounds.* Bytes, age, free space, and a number of segments; whichever is reached first drops the
//! oldest segment. What was in it and not acknowledged becomes a gap: kept in the file `gaps` until
//! the collector has acknowledged that too.
//!
//! *A full disk.* A batch that cannot be written is still numbered and kept in memory, a bounded
//! number of them: a connected agent loses nothing, a disconnected one counts what it drops.
//!
//! Who was told what is not kept on disk: after a restart or a reconnect `Welcome` says what the
//! collector already holds.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hostwell_proto::id::SpoolId;
use hostwell_proto::wire;

use crate::sample::SeriesTable;

mod bits;
mod bounds;
mod declare;
mod gaps;
mod gather;
mod handoff;
mod open;
mod record;
mod segment;
mod waiting;

pub use bounds::{Free, SpoolConfig, free_space};
pub use declare::declarations;
use gaps::Gaps;
pub use handoff::{Handoff, Progress};
use record::BatchHead;
use segment::Segment;

/// Most batches kept in memory while the disk takes none.
const MEMORY_BATCHES_MAX: usize = 64;
/// Most bytes of them.
const MEMORY_BYTES_MAX: usize = 1 << 20;

/// A batch on its way out, numbered.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Which spool it belongs to.
    pub spool: SpoolId,
    /// Its number there.
    pub sequence: u64,
    /// Series `0..series` must be declared before it.
    pub series: u32,
    /// Packed samples.
    pub block: Vec<u8>,
}

/// Samples ready to be numbered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packed {
    /// Packed samples.
    pub block: Vec<u8>,
    /// First tick, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Last tick.
    pub to_ms: i64,
    /// How many values.
    pub samples: u32,
}

/// What the spool has lost since the process started, and how full it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Bytes on disk.
    pub bytes: u64,
    /// Batches not yet acknowledged, on disk and in memory.
    pub batches: u64,
    /// Time of the oldest sample not yet acknowledged, if any.
    pub oldest_ms: Option<i64>,
    /// Samples dropped because of the bound on bytes.
    pub dropped_bytes: u64,
    /// Samples dropped because of the bound on age.
    pub dropped_age: u64,
    /// Samples dropped because the disk was full or too full.
    pub dropped_free_space: u64,
    /// Batches lost by damage.
    pub damaged: u64,
    /// Batches the collector refused for good, by its reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Writes that failed.
    pub write_errors: u64,
}

#[derive(Debug)]
struct Held {
    head: BatchHead,
    block: Vec<u8>,
    sent: bool,
}

/// The queue. All its methods are quick; disk reads and writes happen in the caller's thread.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    bounds: SpoolConfig,
    segments: VecDeque<Segment>,
    /// The last segment takes new batches while this is set.
    live: bool,
    spool: SpoolId,
    next_sequence: u64,
    next_number: u64,
    memory: VecDeque<Held>,
    gaps: Gaps,
    counts: Counts,
    /// Where the search for unsent batches goes on: (segment number, index).
    cursor: (u64, usize),
    write_failing: bool,
    /// The file system has less room than it should: segments stay small.
    tight: bool,
    scratch: Vec<u8>,
}

impl Spool {
    /// Numbers a batch and writes it down. Never fails: what the disk refuses stays in memory, and
    /// what that cannot hold either is dropped, counted and reported as a gap.
    pub fn push(&mut self, table: &SeriesTable, packed: Packed, now_ms: i64) -> Outgoing {
        let head = BatchHead {
            sequence: self.next_sequence,
            from_ms: packed.from_ms,
            to_ms: packed.to_ms,
            samples: packed.samples,
            series: table.len() as u32,
        };
        let outgoing = Outgoing {
            spool: self.spool,
            sequence: head.sequence,
            series: head.series,
            block: packed.block,
        };
        let written = self.write(table, &head, &outgoing.block, now_ms);
        self.next_sequence += 1;
        match written {
            Ok(()) if self.write_failing => {
                self.write_failing = false;
                tracing::info!("the spool can be written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.counts.write_errors += 1;
                if !self.write_failing {
                    self.write_failing = true;
                    tracing::warn!(
                        "cannot write to the spool, keeping batches in memory: {error}; \
                         make room in {}",
                        self.dir.display()
                    );
                }
                self.hold(head, outgoing.block.clone());
            }
        }
        outgoing
    }

    /// Numbers samples that were dropped before they could be written: they are counted and
    /// reported as a gap.
    pub(crate) fn lose(&mut self, lost: &Packed) {
        let head = BatchHead {
            sequence: self.next_sequence,
            from_ms: lost.from_ms,
            to_ms: lost.to_ms,
            samples: lost.samples,
            series: 0,
        };
        self.next_sequence += 1;
        self.record_gap(self.spool, &[head], "free_space");
    }

    fn write(
        &mut self,
        table: &SeriesTable,
        head: &BatchHead,
        block: &[u8],
        now_ms: i64,
    ) -> io::Result<()> {
        if !self.live || self.wants_rotation(head.from_ms) {
            self.rotate(table, head.sequence, now_ms)?;
        }
        let Some(segment) = self.segments.back_mut() else {
            return Err(io::Error::other("no segment"));
        };
        // Sequences that went to memory while this file could not be written.
        while segment.next_sequence() < head.sequence {
            segment.absent();
        }
        let series = declarations(table, segment.declared..head.series);
        let result = segment.push(&mut self.scratch, series, head, block);
        self.live = segment.is_open();
        result
    }

    /// Starts a new segment; the old one is complete.
    fn rotate(&mut self, table: &SeriesTable, sequence: u64, now_ms: i64) -> io::Result<()> {
        if let Some(last) = self.segments.back_mut() {
            last.seal();
        }
        self.live = false;
        let series = declarations(table, 0..table.len() as u32);
        let name = (self.spool, sequence);
        let segment = Segment::create(&self.dir, self.next_number, name, series, now_ms);
        // Even a failed attempt may have left a file under this number.
        self.next_number += 1;
        self.segments.push_back(segment?);
        self.live = true;
        self.collect();
        Ok(())
    }

    fn hold(&mut self, head: BatchHead, block: Vec<u8>) {
        self.memory.push_back(Held {
            head,
            block,
            sent: false,
        });
        let bytes = |memory: &VecDeque<Held>| memory.iter().map(|h| h.block.len()).sum::<usize>();
        while self.memory.len() > MEMORY_BATCHES_MAX || bytes(&self.memory) > MEMORY_BYTES_MAX {
            let Some(oldest) = self.memory.pop_front() else {
                break;
            };
            self.record_gap(self.spool, &[oldest.head], "free_space");
        }
    }

    /// Marks a batch as sent; `false` when it already is, or needs no sending.
    pub fn mark_sent(&mut self, spool: SpoolId, sequence: u64) -> bool {
        if let Some((segment, index)) = self.find(spool, sequence) {
            let segment = &mut self.segments[segment];
            return !segment.done.has(index) && segment.sent.set(index);
        }
        let held = self.memory.iter_mut().find(|h| h.head.sequence == sequence);
        match held {
            Some(held) if spool == self.spool && !held.sent => {
                held.sent = true;
                true
            }
            _ => false,
        }
    }

    /// Forgets that a batch was sent: it will be handed out again.
    pub fn release(&mut self, spool: SpoolId, sequence: u64) {
        if let Some((segment, index)) = self.find(spool, sequence) {
            self.segments[segment].sent.unset(index);
            self.cursor = (0, 0);
        } else if spool == self.spool {
            let held = self.memory.iter_mut().find(|h| h.head.sequence == sequence);
            held.into_iter().for_each(|h| h.sent = false);
        }
    }

    /// Forgets everything that was sent and not answered: the connection is gone.
    pub fn requeue(&mut self) {
        self.segments.iter_mut().for_each(|s| s.sent.clear());
        self.memory.iter_mut().for_each(|h| h.sent = false);
        self.gaps.requeue();
        self.cursor = (0, 0);
    }

    /// The segment of this sequence that really has it, and its place there.
    fn find(&self, spool: SpoolId, sequence: u64) -> Option<(usize, usize)> {
        self.segments.iter().enumerate().rev().find_map(|(i, s)| {
            let index = s.index(sequence).filter(|_| s.spool == spool)?;
            (!s.done.has(index)).then_some((i, index))
        })
    }

    /// The oldest batch that is neither sent nor done, marked as sent. A batch that cannot be read
    /// back becomes a gap.
    pub fn take_next(&mut self) -> Option<Outgoing> {
        loop {
            let (position, index) = self.seek()?;
            let segment = &mut self.segments[position];
            segment.sent.set(index);
            let (spool, sequence) = (segment.spool, segment.first_sequence + index as u64);
            match segment.read(index) {
                Ok(Some((head, block))) if head.sequence == sequence => {
                    return Some(Outgoing {
                        spool,
                        sequence,
                        series: head.series,
                        block,
                    });
                }
                read => {
                    let why = read.err().map_or("damaged".into(), |e| e.to_string());
                    tracing::error!("batch {sequence} of spool {spool} is lost: {why}");
                    segment.done.set(index);
                    self.lose_damaged(spool, sequence, self.segments[position].oldest_ms);
                }
            }
        }
    }

    /// The next unsent batch on disk, else in memory.
    fn seek(&mut self) -> Option<(usize, usize)> {
        for (position, segment) in self.segments.iter().enumerate() {
            if segment.number < self.cursor.0 {
                continue;
            }
            let from = match segment.number == self.cursor.0 {
                true => self.cursor.1,
                false => 0,
            };
            let unsent = |i: &usize| !segment.done.has(*i) && !segment.sent.has(*i);
            if let Some(index) = (from..segment.len()).find(unsent) {
                self.cursor = (segment.number, index);
                return Some((position, index));
            }
        }
        None
    }

    /// The next unsent batch that only memory holds, marked as sent.
    pub fn take_held(&mut self) -> Option<Outgoing> {
        let held = self.memory.iter_mut().find(|h| !h.sent)?;
        held.sent = true;
        Some(Outgoing {
            spool: self.spool,
            sequence: held.head.sequence,
            series: held.head.series,
            block: held.block.clone(),
        })
    }

    /// The next gap to report, marked as sent.
    pub fn take_gap(&mut self) -> Option<wire::Gap> {
        self.gaps.take_next()
    }

    /// The declarations `from..` that the batches of this spool need, read from the segment that
    /// holds the given sequence.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub fn declarations_of(
        &self,
        spool: SpoolId,
        sequence: u64,
    ) -> io::Result<Vec<wire::SeriesDeclaration>> {
        match self.find(spool, sequence) {
            Some((segment, _)) => self.segments[segment].declarations(),
            None => Ok(Vec::new()),
        }
    }

    /// The collector has these batches and gaps durably, or never will: they are forgotten.
    pub fn ack(&mut self, spool: SpoolId, first: u64, last: u64) {
        for segment in self.segments.iter_mut().filter(|s| s.spool == spool) {
            let from = first.max(segment.first_sequence);
            let to = last.min(segment.next_sequence().saturating_sub(1));
            for sequence in from..=to {
                if let Some(index) = segment.index(sequence) {
                    segment.done.set(index);
                    segment.sent.unset(index);
                }
            }
        }
        if spool == self.spool {
            self.memory
                .retain(|h| h.head.sequence < first || h.head.sequence > last);
        }
        self.gaps.ack(spool, first, last);
        self.collect();
        self.save_gaps();
    }

    /// The collector will never take this batch: it is forgotten and counted.
    pub fn refuse(&mut self, spool: SpoolId, sequence: u64, reason: &'static str) {
        let refused = &mut self.counts.refused;
        match refused.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => refused.push((reason, 1)),
        }
        self.gaps.refuse(spool, sequence);
        self.ack(spool, sequence, sequence);
    }

    /// Deletes segments with nothing left to deliver, except the one being written.
    fn collect(&mut self) {
        let keep = usize::from(self.live);
        let mut position = 0;
        while position + keep < self.segments.len() {
            if self.segments[position].undone() > 0 {
                position += 1;
                continue;
            }
            if let Some(mut segment) = self.segments.remove(position) {
                remove(&mut segment);
            }
        }
    }

    /// The spool that new batches belong to.
    pub fn id(&self) -> SpoolId {
        self.spool
    }

    /// The spools that still hold something, oldest first, the live one last.
    pub fn spool_ids(&self) -> Vec<SpoolId> {
        let mut ids: Vec<SpoolId> = Vec::new();
        let all = self
            .gaps
            .spools()
            .chain(self.segments.iter().map(|s| s.spool));
        for id in all.filter(|id| *id != self.spool) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids.push(self.spool);
        ids
    }

    /// What was lost and how full it is.
    pub fn counts(&self) -> Counts {
        let undone = self.segments.iter().map(|s| s.undone() as u64).sum::<u64>();
        let waiting = self.segments.iter().filter(|s| s.undone() > 0);
        let oldest = waiting
            .map(|s| s.oldest_ms)
            .chain(self.memory.iter().map(|h| h.head.from_ms));
        Counts {
            bytes: self.segments.iter().map(|s| s.bytes).sum(),
            batches: undone + self.memory.len() as u64,
            oldest_ms: oldest.min(),
            ..self.counts.clone()
        }
    }

    /// Marks a clean stop: the next start goes on with this spool.
    ///
    /// # Errors
    /// When the marker cannot be written; the next start then uses a new spool id, nothing is lost.
    pub fn close(&mut self) -> anyhow::Result<()> {
        let held: Vec<BatchHead> = self.memory.drain(..).map(|h| h.head).collect();
        self.record_gap(self.spool, &held, "free_space");
        self.save_gaps();
        match self.segments.back_mut() {
            Some(segment) if self.live => segment
                .close(self.next_sequence)
                .context("write the spool's clean-stop marker"),
            _ => Ok(()),
        }
    }
}

fn remove(segment: &mut Segment) {
    if let Err(error) = segment.remove() {
        tracing::warn!(
            "cannot delete spool segment {:016x}: {error}",
            segment.number
        );
    }
}

/// Opens the spool in this folder, recovering what an earlier process left.
///
/// Returns the spool and the series that numbers already stand for.
///
/// # Errors
/// When the folder cannot be made or listed.
pub fn open(dir: &Path, bounds: SpoolConfig, now_ms: i64) -> anyhow::Result<(Spool, SeriesTable)> {
    open::open(dir, bounds, now_ms)
}

#[cfg(test)]
mod tests;
