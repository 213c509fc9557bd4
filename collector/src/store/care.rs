//! The handle's care of the file: sealing, retention, backup, check, a clean stop.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::error::StoreError;
use super::history::head::{Due, Head, hold};
use super::history::seal::{self, Sealed};
use super::history::{budget, churn, merge, retention};
use super::registry::hosts;
use super::types::{Census, StoreFacts, Written};
use super::writer::Ledger;
use super::{Store, backup, census, check};

/// How long one call of [`Store::upkeep`] seals before it leaves the rest to the next one.
const UPKEEP_TIME_MAX: Duration = Duration::from_millis(250);
/// How long it merges; one merge more may be begun.
const MERGE_TIME_MAX: Duration = Duration::from_millis(100);
/// How long it rolls days up; one day more may be begun.
const ROLL_UP_TIME_MAX: Duration = Duration::from_millis(500);
/// How often it is said that the disk budget cannot be held.
const COMPLAIN_MS: i64 = 600_000;
/// Packed bytes the head may hold: above it the largest journals are sealed early.
const HEAD_BYTES_MAX: usize = 256 << 20;
/// Packed bytes of journals that are sealed in one commit.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// What is sealed in one commit: bounded by its bytes in the head.
fn groups(due: &[Due]) -> impl Iterator<Item = &[Due]> {
    let mut bytes = 0;
    due.chunk_by(move |_, next| {
        bytes += next.bytes;
        let joins = bytes <= GROUP_BYTES_MAX;
        if !joins {
            bytes = 0;
        }
        joins
    })
}

impl Store {
    /// Seals what is due (staggered), merges small blocks, rolls up the days that are over, drops
    /// what is past retention. Short; call it often.
    ///
    /// # Errors
    /// `Full`, `Damaged`, `Io`: what was not done is done by a later call.
    pub async fn upkeep(&self, now_ms: i64) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let begun = Instant::now();
        let crowded = writing.head.bytes() > HEAD_BYTES_MAX;
        let kept_since = writing.head.kept_since();
        let due = writing
            .head
            .due(|journal| crowded || journal.oldest < kept_since || seal::is_due(journal, now_ms));
        let mut over = writing.head.bytes().saturating_sub(HEAD_BYTES_MAX / 4 * 3);
        let enough = |one: &Due| {
            let enough = crowded && over == 0;
            over = over.saturating_sub(one.bytes);
            !enough
        };
        let due: Vec<Due> = due.into_iter().take_while(enough).collect();
        let until = begun + UPKEEP_TIME_MAX;
        for group in groups(&due) {
            if Instant::now() >= until {
                break;
            }
            self.seal(group, Some(until)).await?;
        }
        let merged = self.merge(Instant::now() + MERGE_TIME_MAX).await;
        let rolled = self.roll_up(now_ms, ROLL_UP_TIME_MAX).await;
        let (retention_ms, keeping) = (writing.options.retention_ms, Arc::clone(&writing.keeping));
        let bytes_max = keeping.bytes_max;
        let after = writing.pruned_host.load(Ordering::Relaxed);
        let pruned = self
            .write("drop what is past the retention", move |ledger| {
                let kept = hosts::kept(&ledger.conn)?;
                let wanted = retention::Wanted {
                    samples_ms: retention_ms,
                    keeping: &keeping,
                    kept: &kept,
                };
                retention::prune(&ledger.conn, now_ms, &wanted, after)
            })
            .await;
        if let Ok(pruned) = &pruned {
            writing
                .pruned_host
                .store(pruned.last_host, Ordering::Relaxed);
            if pruned.blocks > 0 {
                tracing::info!(blocks = pruned.blocks, "dropped blocks past the retention");
            }
            self.say(&pruned.held, bytes_max.unwrap_or_default(), now_ms)?;
        }
        let noted = self.prune_process_notes(now_ms).await;
        merged
            .and(rolled.map(drop))
            .and(pruned.map(drop))
            .and(noted)
    }

    /// Says what the disk budget took, and when it cannot be held.
    fn say(&self, held: &budget::Held, bytes_max: u64, now_ms: i64) -> Result<(), StoreError> {
        for one in &held.dropped {
            tracing::warn!(
                bytes_max,
                rows = one.rows,
                bytes = one.bytes,
                step_ms = one.step_ms,
                until_ms = one.until_ms,
                "the database has reached retention.max_bytes: the oldest of its finest tier was \
                 dropped before its age"
            );
        }
        let mut complained_ms = hold(&self.writing()?.complained_ms);
        let lately = now_ms.saturating_sub(*complained_ms) < COMPLAIN_MS;
        if held.over_bytes > 0 && held.dropped.is_empty() && !lately {
            *complained_ms = now_ms;
            tracing::error!(
                bytes_max,
                over_bytes = held.over_bytes,
                "retention.max_bytes cannot be held: what is left is the newest samples and the \
                 hosts that are kept"
            );
        }
        Ok(())
    }

    /// Makes room among the series of a host that introduces itself: see [`churn`].
    pub(super) async fn forget_series(&self, host: i64) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let look = || {
            let head = writing.head.clone();
            let journal = move || churn::in_journal(&head.entries(host, i64::MIN, i64::MAX));
            let look = move |conn: &rusqlite::Connection| churn::unused(conn, host, journal);
            self.inner.readers.snapshot("look for unused series", look)
        };
        if look().await?.is_empty() {
            return Ok(());
        }
        // A seal moves samples out of the journal: looked at again while none can.
        let _one_at_a_time = writing.sealing.lock().await;
        let unused = look().await?;
        let head = writing.head.clone();
        let forgotten = self
            .write("forget series", move |ledger| {
                let journal = churn::in_journal(&head.entries(host, i64::MIN, i64::MAX))?;
                churn::forget_series(&ledger.conn, host, &unused, &journal)
            })
            .await?;
        tracing::info!(
            host,
            series = forgotten,
            "forgot series of which no sample is left"
        );
        Ok(())
    }

    /// Waits until so much of a host came in that it should be sealed at once: [`Store::seal_full`].
    pub async fn full(&self) {
        match &self.inner.writing {
            Some(writing) => writing.head.full.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Seals hosts that sent so much that good blocks can be made of it. Short; what is left to do
    /// is told by [`Store::full`].
    ///
    /// # Errors
    /// `Full`, `Damaged`, `Io`: what is not sealed stays in the journal.
    pub async fn seal_full(&self) -> Result<(), StoreError> {
        let head = &self.writing()?.head;
        let is_full = |journal: &Due| seal::is_full(journal.host, journal.ticks);
        let until = Instant::now() + UPKEEP_TIME_MAX;
        if let Some(group) = groups(&head.due(is_full)).next() {
            self.seal(group, Some(until)).await?;
        }
        if !head.due(is_full).is_empty() {
            head.full.notify_one();
        }
        Ok(())
    }

    /// Seals every host's journal now, whatever its turn: after much came in at once.
    ///
    /// # Errors
    /// `Full`, `Damaged`, `Io`: what is not sealed stays in the journal.
    pub async fn seal_all(&self) -> Result<(), StoreError> {
        let due = self.writing()?.head.due(|_| true);
        let mut sealed = Ok(());
        for group in groups(&due) {
            sealed = sealed.and(self.seal(group, None).await);
        }
        sealed
    }

    /// Seals all of some hosts' journals, until it is time to stop. One commit for all of them:
    /// a page of the journal has batches of many hosts, and is written whenever one of them goes.
    async fn seal(&self, group: &[Due], until: Option<Instant>) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let _one_at_a_time = writing.sealing.lock().await;
        let (mut sealed, mut met) = (Vec::new(), Ok(()));
        for Due { host, .. } in group.iter().copied() {
            let entries = writing.head.sealing(host);
            if entries.is_empty() {
                continue;
            }
            let relations = Arc::clone(&writing.relations);
            let prepare =
                move |conn: &rusqlite::Connection| seal::prepare(conn, host, &entries, &relations);
            match self.inner.readers.snapshot("make blocks", prepare).await {
                Ok(one) => sealed.push(one),
                Err(error) => met = met.and(Err(error)),
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
        }
        if sealed.is_empty() {
            return met;
        }
        let spans: Vec<_> = sealed.iter().map(|s| (s.host, s.span())).collect();
        let samples: usize = sealed.iter().map(Sealed::samples).sum();
        let head = Arc::clone(&writing.head);
        let commit = move |ledger: &mut Ledger| seal::commit(ledger, &head, sealed);
        let forget = |sealed_to: HashMap<i64, i64>, head: &Head| {
            for (host, to) in sealed_to {
                head.remove(host, to);
            }
        };
        writing
            .writer
            .submit("write blocks", true, commit, forget)
            .await?;
        for (host, span) in spans {
            hold(&writing.changed).add(host, span);
        }
        hold(&writing.written).sealed_samples += samples as u64;
        met
    }

    /// Merges small blocks where blocks were sealed, until it is time to stop.
    async fn merge(&self, until: Instant) -> Result<(), StoreError> {
        let writing = self.writing()?;
        if hold(&writing.changed).wants_list() {
            let newest = self.inner.readers.snapshot("list blocks", merge::newest);
            let newest = newest.await?;
            hold(&writing.changed).list(newest);
        }
        while Instant::now() < until {
            let next = hold(&writing.changed).next();
            let Some((host, around)) = next else {
                break;
            };
            let families = move |conn: &rusqlite::Connection| merge::families(conn, host);
            let readers = &self.inner.readers;
            let families = readers.snapshot("list families", families).await?;
            let mut families = families.into_iter().peekable();
            while let Some(family) = families.peek().copied() {
                if !self.merge_once((host, family), around).await? {
                    families.next();
                }
                if Instant::now() >= until && families.peek().is_some() {
                    hold(&writing.changed).add(host, Some(around));
                    break;
                }
            }
        }
        Ok(())
    }

    /// The next merge of a family; whether there was one.
    async fn merge_once(&self, of: (i64, i64), around: (i64, i64)) -> Result<bool, StoreError> {
        let writing = self.writing()?;
        // A block must not be sealed against blocks that are being replaced.
        let _one_at_a_time = writing.sealing.lock().await;
        let relations = Arc::clone(&writing.relations);
        let prepare =
            move |conn: &rusqlite::Connection| merge::prepare(conn, of, around, &relations);
        let readers = &self.inner.readers;
        let Some(merged) = readers.snapshot("merge blocks", prepare).await? else {
            return Ok(false);
        };
        let samples = merged.samples() as u64;
        let done = self
            .write("write merged blocks", move |ledger| {
                merge::commit(ledger, &merged)
            })
            .await?;
        if done {
            hold(&writing.written).merged_samples += samples;
        }
        Ok(done)
    }

    /// What sealing and merging wrote since the store was opened.
    ///
    /// # Errors
    /// `Conflict` when it is open for reading only.
    pub fn written(&self) -> Result<Written, StoreError> {
        Ok(*hold(&self.writing()?.written))
    }

    /// Writes a consistent copy of the database to a new file while others write; answers its
    /// size in bytes. The copy alone is whole. `rate` bounds the bytes written in a second.
    ///
    /// # Errors
    /// `Conflict` when the file exists; `Full`, `Io`.
    pub async fn backup(&self, to: &Path, rate: Option<u64>) -> Result<u64, StoreError> {
        let to = to.to_owned();
        self.inner
            .readers
            .with("write the backup", move |conn| backup::run(conn, &to, rate))
            .await
    }

    /// Counts; with `check` also verifies every checksum and invariant.
    ///
    /// # Errors
    /// `Damaged` only when not even the counts can be read.
    pub async fn facts(&self, check: bool) -> Result<StoreFacts, StoreError> {
        let path = self.inner.path.clone();
        let writing = self.inner.writing.as_ref();
        let bytes_max = writing.and_then(|w| w.keeping.bytes_max);
        let read = move |conn: &rusqlite::Connection| {
            let mut facts = check::facts(conn, &path)?;
            facts.bytes_max = bytes_max;
            if check {
                facts.problems = check::problems(conn);
            }
            Ok(facts)
        };
        self.inner
            .readers
            .snapshot("check the database", read)
            .await
    }

    /// What takes how much room, by family and tier.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub async fn census(&self) -> Result<Census, StoreError> {
        let path = self.inner.path.clone();
        self.inner
            .readers
            .snapshot("measure the database", move |conn| {
                census::census(conn, &path)
            })
            .await
    }

    /// Seals the journal and closes; the one file is then the whole history. Every other clone of
    /// the handle answers `Conflict` afterwards. Closing twice is fine.
    ///
    /// # Errors
    /// What sealing met; the file is closed all the same, and the journal keeps what is not sealed.
    pub async fn close(&self) -> Result<(), StoreError> {
        let sealed = match &self.inner.writing {
            Some(_) => self.seal_all().await,
            None => Ok(()),
        };
        self.inner.readers.close().await;
        match &self.inner.writing {
            Some(writing) => sealed.and(writing.writer.stop().await),
            None => Ok(()),
        }
    }
}
