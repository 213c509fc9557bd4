//! How the writer does: counted where it commits, read by whoever watches the collector.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Counts of one writer.
#[derive(Debug, Default)]
pub(super) struct Counts {
    commits: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Counts {
    /// A commit is over; it was an `fsync` if it went well.
    pub(super) fn committed(&self, well: bool) {
        if !well {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn pulse(&self, waiting: usize) -> Pulse {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        Pulse {
            commits: self.commits.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            last_commit_age_s: last.map(|at| at.elapsed().as_secs_f64()),
            waiting: waiting as u64,
            ..Pulse::default()
        }
    }
}

/// How the writer does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pulse {
    /// Transactions committed, each with an `fsync`, since the store was opened.
    pub commits: u64,
    /// Transactions that were rolled back because the disk or SQLite failed.
    pub failed: u64,
    /// Seconds since the last commit; none before the first.
    pub last_commit_age_s: Option<f64>,
    /// Messages that wait for the writer.
    pub waiting: u64,
    /// Samples that are in no block yet, and the bytes they take in memory.
    pub head_samples: u64,
    /// See there.
    pub head_bytes: u64,
    /// Size of the database file.
    pub database_bytes: Option<u64>,
    /// Size of SQLite's log beside it.
    pub log_bytes: Option<u64>,
}
