//! The one writer: a thread that owns the writing connection and commits in groups.
//!
//! Whatever is queued when it is free goes into one transaction and one `fsync`; with nothing
//! queued a lone batch waits for nobody, and batches of streams are gathered for a moment (`queue`).
//! The queue is bounded: callers wait when it is full.
//! A job never sees half of another one: refusals write nothing, and a job that writes more than
//! one row has a savepoint. When SQLite itself fails (disk full), the whole group is rolled back
//! and each of its callers is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostwell_proto::id::HostId;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::appender::Ticket;
use super::error::{Fault, StoreError, Trouble, io};
use super::history::head::{Entry, Head};
use super::history::journal::{self, Ready, Taken, Unwritten};
use super::history::retention;
use super::history::spools::Spools;
use super::pulse::{Counts, Pulse};
use super::queue::Queue;
use super::registry::hosts;
use super::types::Appended;

/// How long a reader of another process may keep us from leaving write-ahead mode.
const PATIENCE_AT_THE_END: Duration = Duration::from_millis(300);

/// Most free pages given back at the end: 128 MiB take a second or two.
const PAGES_AT_THE_END: i64 = 32_768;

/// What jobs work on: the connection and the writer's caches of it.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The only connection that writes.
    pub conn: Connection,
    /// Watermarks.
    pub spools: Spools,
    /// The newest number given to a row of the journal. None is given twice, also not one of a group
    /// that was rolled back: the head knows by it what is sealed.
    pub last_row: i64,
    hosts: std::collections::HashMap<HostId, i64>,
}

impl Ledger {
    /// The registry's number of a host that has introduced itself.
    pub(super) fn host(&mut self, id: HostId) -> Result<i64, Fault> {
        if let Some(number) = self.hosts.get(&id) {
            return Ok(*number);
        }
        let number = hosts::number_of(&self.conn, id)?;
        let number = number.ok_or(StoreError::NoHost {
            name: id.to_string(),
            nearest: None,
        })?;
        self.hosts.insert(id, number);
        Ok(number)
    }

    /// Drops what it remembers of the file.
    pub(super) fn forget(&mut self) {
        self.spools.forget();
        self.hosts.clear();
    }
}

/// How a job went, before the commit.
enum Verdict {
    /// Commit what it wrote.
    Keep,
    /// It refused: undo what it wrote.
    Undo,
    /// SQLite failed: nothing of this group can be committed.
    Void(Trouble),
}

/// Tells the caller, knowing how the commit went.
type Tell = Box<dyn FnOnce(Result<(), &Trouble>) + Send>;

type Run = Box<dyn FnOnce(Result<&mut Ledger, Trouble>) -> (Verdict, Tell) + Send>;

/// One unit of writing.
struct Job {
    savepoint: bool,
    /// Given the trouble instead of the ledger when the group is void already.
    run: Run,
}

/// Who asked the thread to stop, and what folding the log met.
type Stopped = (
    oneshot::Sender<Result<(), StoreError>>,
    Result<(), StoreError>,
);

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Pending {
    /// What to write.
    pub ready: Ready,
    /// Who is told.
    pub ticket: Ticket,
}

enum Message {
    Job(Job),
    Batch(Pending),
    Stop(oneshot::Sender<Result<(), StoreError>>),
}

/// The way to the writer; dropping the last one ends the thread.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    way: Arc<Way>,
}

#[derive(Debug)]
struct Way {
    queue: Arc<Queue<Message>>,
    path: Arc<PathBuf>,
    head: Arc<Head>,
    counts: Arc<Counts>,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Message::Job(_) => "Job",
            Message::Batch(_) => "Batch",
            Message::Stop(_) => "Stop",
        })
    }
}

impl Writer {
    /// Starts the thread. `lock` is held until the connection is closed.
    pub(super) fn start(
        conn: Connection,
        lock: std::fs::File,
        path: PathBuf,
        head: Arc<Head>,
    ) -> Result<Writer, StoreError> {
        let queue = Arc::new(Queue::new());
        let last_row = journal::last_number(&conn);
        let ledger = Ledger {
            conn,
            spools: Spools::default(),
            last_row: last_row.map_err(|fault| fault.at(&path, "look at the journal"))?,
            hosts: Default::default(),
        };
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let (file, jobs, shelves) = (path.clone(), Arc::clone(&queue), Arc::clone(&head));
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                let stopped = work(ledger, &jobs, &counted, (&shelves, &file));
                // Nobody is left waiting, however it ended.
                jobs.end();
                drop(lock);
                // Told last: whoever waits for it may open the file again at once.
                if let Some((answer, folded)) = stopped {
                    let _ = answer.send(folded);
                }
            })
            .map_err(|e| io("start the writer thread", e))?;
        let path = Arc::new(path);
        Ok(Writer {
            way: Arc::new(Way {
                queue,
                path,
                head,
                counts,
            }),
        })
    }

    /// Runs `job` in the next commit; answers when that is durable. After the commit and before
    /// the answer, `then` brings the head up to date.
    pub(super) async fn submit<T: Send + 'static, U: Send + 'static>(
        &self,
        doing: &'static str,
        savepoint: bool,
        job: impl FnOnce(&mut Ledger) -> Result<T, Fault> + Send + 'static,
        then: impl FnOnce(T, &Head) -> U + Send + 'static,
    ) -> Result<U, StoreError> {
        self.queued(doing, (savepoint, true), job, then).await
    }

    /// Runs `job` in the next commit that batches of streams make: it makes none for itself alone
    /// before they would.
    pub(super) async fn join<T: Send + 'static>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&mut Ledger) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queued(doing, (true, false), job, |value, _| value)
            .await
    }

    async fn queued<T: Send + 'static, U: Send + 'static>(
        &self,
        doing: &'static str,
        (savepoint, urgent): (bool, bool),
        job: impl FnOnce(&mut Ledger) -> Result<T, Fault> + Send + 'static,
        then: impl FnOnce(T, &Head) -> U + Send + 'static,
    ) -> Result<U, StoreError> {
        let (answer, wait) = oneshot::channel();
        let (path, head) = (Arc::clone(&self.way.path), Arc::clone(&self.way.head));
        let run = move |ledger: Result<&mut Ledger, Trouble>| -> (Verdict, Tell) {
            let (verdict, outcome) = match ledger.map_err(Fault::Sql).and_then(job) {
                Ok(value) => (Verdict::Keep, Ok(value)),
                Err(Fault::Ours(error)) => (Verdict::Undo, Err(error)),
                Err(Fault::Sql(trouble)) => {
                    let error = trouble.at(&path, doing);
                    (Verdict::Void(trouble), Err(error))
                }
            };
            let tell = move |commit: Result<(), &Trouble>| {
                let outcome = match (outcome, commit) {
                    (Ok(_), Err(trouble)) => Err(trouble.at(&path, doing)),
                    (Ok(value), Ok(())) => Ok(then(value, &head)),
                    (Err(error), _) => Err(error),
                };
                // A caller that went away does not mind: what it asked for is done.
                let _ = answer.send(outcome);
            };
            (verdict, Box::new(tell))
        };
        let job = Job {
            savepoint,
            run: Box::new(run),
        };
        let sent = self.way.queue.send(Message::Job(job), urgent).await;
        sent.map_err(|_| closed())?;
        wait.await.map_err(|_| closed())?
    }

    /// How it does.
    pub(super) fn pulse(&self) -> Pulse {
        self.way.counts.pulse(self.way.queue.len())
    }

    /// Puts a batch into one of the next commits; its ticket hears when that is durable.
    pub(super) async fn append(&self, pending: Pending, urgent: bool) -> Result<(), StoreError> {
        match self.way.queue.send(Message::Batch(pending), urgent).await {
            Ok(()) => Ok(()),
            Err(message) => {
                if let Message::Batch(pending) = message {
                    pending.ticket.void();
                }
                Err(closed())
            }
        }
    }

    /// The same where there is room for it at once; gives it back where there is none.
    pub(super) fn try_append(&self, pending: Pending, urgent: bool) -> Option<Pending> {
        match self.way.queue.try_send(Message::Batch(pending), urgent) {
            Err(Message::Batch(pending)) => Some(pending),
            // What comes back is what was sent.
            Ok(()) | Err(Message::Job(_) | Message::Stop(_)) => None,
        }
    }

    /// Folds the log into the file and ends the thread. Jobs queued before are done first.
    pub(super) async fn stop(&self) -> Result<(), StoreError> {
        let (answer, wait) = oneshot::channel();
        let queue = &self.way.queue;
        if queue.send(Message::Stop(answer), true).await.is_err() {
            return Ok(());
        }
        wait.await.unwrap_or(Ok(()))
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Conflict("the store is closed".into())
}

fn work(
    mut ledger: Ledger,
    queue: &Queue<Message>,
    counts: &Counts,
    (head, path): (&Head, &Path),
) -> Option<Stopped> {
    let mut rested = Instant::now();
    loop {
        let mut group = queue.take(rested);
        if group.is_empty() {
            return None;
        }
        let stop = group
            .iter()
            .position(|message| matches!(message, Message::Stop(_)));
        let behind = stop.map(|at| group.split_off(at));
        if !group.is_empty() {
            counts.committed(commit(&mut ledger, group, (head, path)));
        }
        if let Some(Message::Stop(answer)) = behind.and_then(|b| b.into_iter().next()) {
            queue.close();
            let folded = fold(&ledger.conn, path);
            drop(ledger);
            return Some((answer, folded));
        }
        rested = Instant::now();
    }
}

/// What has to be said when the commit is over.
enum Owed {
    Job(Tell),
    Batch(Ticket, Result<Appended, StoreError>),
}

/// One transaction for everything; every caller is told, whatever happens. Answers whether it went
/// well.
fn commit(ledger: &mut Ledger, group: Vec<Message>, (head, path): (&Head, &Path)) -> bool {
    let mut owed = Vec::with_capacity(group.len());
    let (mut waiting, mut entries) = (Vec::with_capacity(group.len()), Vec::new());
    let mut trouble = ledger
        .conn
        .execute_batch("BEGIN IMMEDIATE")
        .err()
        .map(|e| Trouble::from(&e));
    for message in group {
        let (one, met) = match message {
            Message::Job(job) => {
                // A job sees what came before it.
                trouble = trouble.or_else(|| write(ledger, &mut waiting, &mut entries));
                let (tell, met) = run(ledger, job, trouble.as_ref());
                (Owed::Job(tell), met)
            }
            Message::Batch(Pending { ready, ticket }) => {
                let void = trouble.as_ref();
                let (outcome, met) = take(ledger, ready, void, &mut waiting);
                (Owed::Batch(ticket, outcome), met)
            }
            Message::Stop(_) => continue,
        };
        owed.push(one);
        trouble = trouble.or(met);
    }
    trouble = trouble.or_else(|| write(ledger, &mut waiting, &mut entries));
    if trouble.is_none() {
        trouble = finish(ledger).err();
    }
    match &trouble {
        None => head.extend(entries),
        Some(_) => {
            if !ledger.conn.is_autocommit() {
                // It fails only when SQLite has already rolled back.
                let _ = ledger.conn.execute_batch("ROLLBACK");
            }
            ledger.forget();
        }
    }
    tell(owed, trouble.as_ref(), path);
    trouble.is_none()
}

/// Takes one batch, unless the group is void already; what has to be written is added to `waiting`.
fn take(
    ledger: &mut Ledger,
    ready: Ready,
    void: Option<&Trouble>,
    waiting: &mut Vec<Unwritten>,
) -> (Result<Appended, StoreError>, Option<Trouble>) {
    if void.is_some() {
        // Its caller is told of the trouble.
        return (Ok(Appended::Stored), None);
    }
    match journal::take(ledger, ready) {
        Ok(Taken::Known) => (Ok(Appended::Duplicate), None),
        Ok(Taken::Fresh(batch)) => {
            waiting.extend(batch);
            (Ok(Appended::Stored), None)
        }
        Err(Fault::Ours(error)) => (Err(error), None),
        Err(Fault::Sql(trouble)) => (Ok(Appended::Stored), Some(trouble)),
    }
}

/// Writes what was taken. What goes to the head after the commit is added to `entries`.
fn write(
    ledger: &mut Ledger,
    waiting: &mut Vec<Unwritten>,
    entries: &mut Vec<(i64, Entry)>,
) -> Option<Trouble> {
    match journal::write(ledger, std::mem::take(waiting)) {
        Ok(written) => {
            entries.extend(written);
            None
        }
        Err(fault) => Some(whole(fault)),
    }
}

/// A fault that ends the whole group.
fn whole(fault: Fault) -> Trouble {
    match fault {
        Fault::Sql(trouble) => trouble,
        Fault::Ours(error) => Trouble::Other(error.to_string()),
    }
}

/// Tells everybody how it went, and wakes the streams when all is said.
fn tell(owed: Vec<Owed>, trouble: Option<&Trouble>, path: &Path) {
    let mut waiting = Vec::new();
    for one in owed {
        match one {
            Owed::Job(tell) => tell(trouble.map_or(Ok(()), Err)),
            Owed::Batch(ticket, outcome) => {
                let outcome = match trouble {
                    Some(trouble) => outcome.and(Err(trouble.at(path, "append a batch"))),
                    None => outcome,
                };
                waiting.extend(ticket.answer(outcome));
            }
        }
    }
    waiting.iter().for_each(|returns| returns.ring());
}

/// Runs one job of a group, unless the group is void already.
fn run(ledger: &mut Ledger, job: Job, void: Option<&Trouble>) -> (Tell, Option<Trouble>) {
    let opened = match (void, job.savepoint) {
        (Some(trouble), _) => Err(trouble.clone()),
        (None, false) => Ok(()),
        (None, true) => ledger
            .conn
            .execute_batch("SAVEPOINT job")
            .map_err(|e| Trouble::from(&e)),
    };
    let (verdict, tell) = match opened {
        Ok(()) => (job.run)(Ok(ledger)),
        Err(trouble) => (job.run)(Err(trouble)),
    };
    let end = match (verdict, job.savepoint) {
        (Verdict::Void(trouble), _) => return (tell, Some(trouble)),
        (_, false) => Ok(()),
        (Verdict::Keep, true) => ledger.conn.execute_batch("RELEASE job"),
        (Verdict::Undo, true) => ledger.conn.execute_batch("ROLLBACK TO job; RELEASE job"),
    };
    (tell, end.err().map(|e| Trouble::from(&e)))
}

/// Watermarks go with the points they speak of; then one `fsync`.
fn finish(ledger: &mut Ledger) -> Result<(), Trouble> {
    ledger.spools.flush(&ledger.conn).map_err(whole)?;
    ledger
        .conn
        .execute_batch("COMMIT")
        .map_err(|e| Trouble::from(&e))
}

/// Folds the log into the file and leaves write-ahead mode, so that the one file is everything
/// and can be read where nothing may be created beside it. A reader that is still there may
/// prevent the latter; then the log stays, folded and empty.
fn fold(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let fault = |e: rusqlite::Error| Trouble::from(&e).at(path, "fold the log into the database");
    journal::drop_sealed(conn).map_err(|e| e.at(path, "drop what is sealed"))?;
    if let Err(fault) = retention::shrink(conn, 0, PAGES_AT_THE_END) {
        // The file is larger than it must be, and right all the same.
        tracing::warn!(?fault, "could not give free pages back");
    }
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .map_err(fault)?;
    conn.flush_prepared_statement_cache();
    conn.busy_timeout(PATIENCE_AT_THE_END).map_err(fault)?;
    let left = conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()));
    tracing::debug!(left = left.is_ok(), "log folded into the database");
    Ok(())
}
