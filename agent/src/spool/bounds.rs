//! When the spool is too much, and what becomes of what it drops.

use std::path::Path;
use std::time::Duration;

use hostwell_proto::id::SpoolId;
use hostwell_proto::wire;

use super::record::BatchHead;
use super::{Spool, remove};

/// More segments than this would take too long to open; a crash loop makes small ones.
const SEGMENTS_MAX: usize = 1000;
/// On a file system without room a segment takes no more batches than this, so that the spool can
/// shrink to little and still bridge a short break.
const SEGMENT_BYTES_TIGHT: u64 = 64 << 10;

/// Bounds of the spool; the first one reached drops the oldest batches.
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolConfig {
    /// Most bytes on disk.
    pub bytes_max: u64,
    /// Longest time a batch is kept.
    pub age_max: Duration,
    /// Free bytes of the file system that the spool leaves to others.
    pub free_bytes_min: u64,
    /// Free share of the file system that the spool leaves to others, 0 to 1.
    pub free_ratio_min: f64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        SpoolConfig {
            bytes_max: 256 << 20,
            age_max: Duration::from_secs(7 * 86_400),
            free_bytes_min: 1 << 30,
            free_ratio_min: 0.10,
        }
    }
}

/// Room on the spool's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes available to unprivileged users.
    pub bytes: u64,
    /// Size of the file system.
    pub total: u64,
}

/// Asks the file system; `None` when it does not say.
pub fn free_space(dir: &Path) -> Option<Free> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(dir).ok()?;
        Some(Free {
            bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

impl Spool {
    /// Largest segment: small enough that dropping one drops little, large enough to be few.
    fn segment_bytes_max(&self) -> u64 {
        if self.tight {
            return SEGMENT_BYTES_TIGHT;
        }
        (self.bounds.bytes_max / 16).clamp(64 << 10, 1 << 20)
    }

    /// Longest time one segment covers, for the same reason.
    fn segment_span_ms(&self) -> i64 {
        (self.bounds.age_max.as_millis() as i64 / 16).max(1)
    }

    pub(super) fn wants_rotation(&self, from_ms: i64) -> bool {
        self.segments.back().is_some_and(|live| {
            live.bytes - live.head_bytes >= self.segment_bytes_max()
                || (live.oldest_ms != i64::MAX
                    && from_ms.saturating_sub(live.oldest_ms) >= self.segment_span_ms())
        })
    }

    /// Drops the oldest segments until every bound holds. Called after each batch.
    pub fn enforce(&mut self, now_ms: i64, free: Option<Free>) {
        let mut free = free;
        self.tight = free.is_some_and(|free| free.bytes < self.free_bytes_wanted(free));
        while let Some(reason) = self.reached(now_ms, free) {
            if self.segments.len() == 1 {
                // The live one, too old: the next batch starts another.
                self.live = false;
            }
            let Some(mut oldest) = self.segments.pop_front() else {
                break;
            };
            if let Some(free) = &mut free {
                free.bytes = free.bytes.saturating_add(oldest.bytes);
            }
            let dropped = oldest.undone_heads();
            self.record_gap(oldest.spool, &dropped, reason);
            // The gap is on disk before its cause is gone; on a full disk it has to be after.
            self.save_gaps();
            remove(&mut oldest);
        }
        self.save_gaps();
    }

    fn free_bytes_wanted(&self, free: Free) -> u64 {
        let share = (free.total as f64 * self.bounds.free_ratio_min) as u64;
        self.bounds.free_bytes_min.max(share)
    }

    /// The bound that is reached, if any. The segment being written is dropped for its age only:
    /// its batches may be on their way at this moment.
    fn reached(&self, now_ms: i64, free: Option<Free>) -> Option<&'static str> {
        let oldest = self.segments.front()?;
        let bytes: u64 = self.segments.iter().map(|s| s.bytes).sum();
        let sealed = self.segments.len() > usize::from(self.live);
        if sealed && (bytes > self.bounds.bytes_max || self.segments.len() > SEGMENTS_MAX) {
            return Some("bytes");
        }
        // Counted from its oldest sample: nothing stays longer than the bound says.
        let age_max_ms = self.bounds.age_max.as_millis() as i64;
        if now_ms.saturating_sub(oldest.oldest_ms) > age_max_ms && oldest.oldest_ms != i64::MAX {
            return Some("age");
        }
        let free = free.filter(|_| sealed)?;
        (free.bytes < self.free_bytes_wanted(free)).then_some("free_space")
    }

    /// Counts dropped batches and reports them, one gap for each unbroken run.
    pub(super) fn record_gap(&mut self, spool: SpoolId, dropped: &[BatchHead], reason: &str) {
        let samples: u64 = dropped.iter().map(|h| u64::from(h.samples)).sum();
        match reason {
            "bytes" => self.counts.dropped_bytes += samples,
            "age" => self.counts.dropped_age += samples,
            "free_space" => self.counts.dropped_free_space += samples,
            _ => self.counts.damaged += dropped.len() as u64,
        }
        for head in dropped {
            self.gaps.add(wire::Gap {
                spool_id: spool.0.to_vec(),
                first_sequence: head.sequence,
                last_sequence: head.sequence,
                from_ms: head.from_ms,
                to_ms: head.to_ms,
                samples: u64::from(head.samples),
                reason: reason.to_string(),
            });
        }
        if !dropped.is_empty() {
            tracing::error!(
                "dropped {} batches ({samples} samples) from the spool: {reason}",
                dropped.len()
            );
        }
    }

    /// A batch that damage has taken.
    pub(super) fn lose_damaged(&mut self, spool: SpoolId, sequence: u64, about_ms: i64) {
        let about_ms = if about_ms == i64::MAX { 0 } else { about_ms };
        let head = BatchHead {
            sequence,
            from_ms: about_ms,
            to_ms: about_ms,
            samples: 0,
            series: 0,
        };
        self.record_gap(spool, &[head], "damaged");
    }

    pub(super) fn save_gaps(&mut self) {
        if let Err(error) = self.gaps.save() {
            tracing::debug!("cannot write the list of gaps yet: {error}");
        }
    }
}
