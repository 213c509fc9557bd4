//! The way in for a stream: batches go in one after another, and what became of them comes back
//! for many at once, because every wake-up of a stream costs more than a batch.

use std::sync::{Arc, Mutex, PoisonError};

use hostwell_proto::id::SpoolId;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::error::StoreError;
use super::history::journal::Ready;
use super::types::{Append, Appended};
use super::writer::{Pending, Writer, closed};

/// A batch that was dealt with.
#[derive(Debug)]
pub struct Done {
    /// From which spool.
    pub spool_id: SpoolId,
    /// Which batch of it.
    pub sequence: u64,
    /// What the store did, durably.
    pub result: Result<Appended, StoreError>,
}

/// What comes back to one appender.
#[derive(Debug, Default)]
pub(super) struct Returns {
    done: Mutex<Vec<Done>>,
    bell: Notify,
}

impl Returns {
    fn take(&self) -> Vec<Done> {
        std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts something in; answers whether nothing was there before: then somebody must [`ring`].
    ///
    /// [`ring`]: Returns::ring
    fn put(&self, done: Done) -> bool {
        let mut all = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(done);
        all.len() == 1
    }

    /// Wakes the appender.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Owed to an appender: answered once, also when whoever owes it goes away.
#[derive(Debug)]
pub(super) struct Ticket {
    returns: Arc<Returns>,
    spool_id: SpoolId,
    sequence: u64,
    answered: bool,
    _waits: Option<OwnedSemaphorePermit>,
}

impl Ticket {
    /// Nothing is owed: the batch was not taken.
    pub(super) fn void(mut self) {
        self.answered = true;
    }

    /// Tells what became of the batch; whoever is handed something back has to wake its appender,
    /// when everybody has been told.
    pub(super) fn answer(mut self, result: Result<Appended, StoreError>) -> Option<Arc<Returns>> {
        self.put(result).then(|| Arc::clone(&self.returns))
    }

    fn put(&mut self, result: Result<Appended, StoreError>) -> bool {
        self.answered = true;
        self.returns.put(Done {
            spool_id: self.spool_id,
            sequence: self.sequence,
            result,
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered && self.put(Err(closed())) {
            self.returns.ring();
        }
    }
}

/// A batch for which there was no room: [`Appender::wait`]. Dropped, it was never put in.
#[derive(Debug)]
#[must_use = "the batch is not written"]
pub struct Late(Option<Pending>);

impl Drop for Late {
    fn drop(&mut self) {
        if let Some(pending) = self.0.take() {
            pending.ticket.void();
        }
    }
}

/// Appends batches, many at a time. What it was given is written also when it is dropped.
#[derive(Debug)]
pub struct Appender {
    writer: Writer,
    returns: Arc<Returns>,
    /// Whether somebody waits for each batch.
    urgent: bool,
    open: usize,
}

impl Appender {
    pub(super) fn new(writer: Writer, urgent: bool) -> Appender {
        Appender {
            writer,
            returns: Arc::default(),
            urgent,
            open: 0,
        }
    }

    /// Hands a batch to the writer; answers the batch where that has to be waited for. Batches are
    /// committed in the order they were given. `waits` is kept for as long as the batch waits for
    /// the disk.
    ///
    /// # Errors
    /// `Conflict` when the batch contradicts itself.
    pub fn put(
        &mut self,
        append: Append,
        waits: Option<OwnedSemaphorePermit>,
    ) -> Result<Option<Late>, StoreError> {
        let (spool_id, sequence) = (append.spool_id, append.sequence);
        let ready = Ready::new(append)?;
        let ticket = Ticket {
            returns: Arc::clone(&self.returns),
            spool_id,
            sequence,
            answered: false,
            _waits: waits,
        };
        let pending = Pending { ready, ticket };
        let late = self.writer.try_append(pending, self.urgent);
        self.open += usize::from(late.is_none());
        Ok(late.map(|pending| Late(Some(pending))))
    }

    /// Hands over what [`Appender::put`] could not; waits while too much waits for the writer.
    ///
    /// # Errors
    /// `Conflict` when the store is closed.
    pub async fn wait(&mut self, mut late: Late) -> Result<(), StoreError> {
        if let Some(pending) = late.0.take() {
            self.writer.append(pending, self.urgent).await?;
            self.open += 1;
        }
        Ok(())
    }

    /// How many batches were put in and did not come back yet.
    pub fn open(&self) -> usize {
        self.open
    }

    /// What was dealt with, once something is; each is durable. Nothing when nothing is open.
    pub async fn next(&mut self) -> Vec<Done> {
        while self.open > 0 {
            let done = self.returns.take();
            if !done.is_empty() {
                self.open = self.open.saturating_sub(done.len());
                return done;
            }
            self.returns.bell.notified().await;
        }
        Vec::new()
    }
}
