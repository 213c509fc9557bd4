//! The one writer: a thread that owns the writing connection and commits in groups.
//!
//! Whatever is queued when it is free goes into one transaction and one `fsync`; with nothing
//! queued a lone batch waits for nobody. The queue is bounded: callers wait when it is full.
//! A job never sees half of another one: refusals write nothing, and a job that writes more than
//! one row has a savepoint. When SQLite itself fails (disk full), the whole group is rolled back
//! and each of its callers is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostwell_proto::id::HostId;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::{Fault, StoreError, Trouble, io};
use super::history::head::Head;
use super::history::retention;
use super::history::spools::Spools;
use super::registry::hosts;

/// Most jobs that wait for the writer; callers beyond wait to be queued.
const QUEUE_MAX: usize = 1024;
/// Most jobs in one commit: bounds what one rollback costs.
const GROUP_MAX: usize = 1024;

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

enum Message {
    Job(Job),
    Stop(oneshot::Sender<Result<(), StoreError>>),
}

/// The way to the writer; dropping the last one ends the thread.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    path: Arc<PathBuf>,
    head: Arc<Head>,
}

impl Writer {
    /// Starts the thread. `lock` is held until the connection is closed.
    pub(super) fn start(
        conn: Connection,
        lock: std::fs::File,
        path: PathBuf,
        head: Arc<Head>,
    ) -> Result<Writer, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let ledger = Ledger {
            conn,
            spools: Spools::default(),
            hosts: Default::default(),
        };
        let file = path.clone();
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                let stopped = work(ledger, jobs, &file);
                drop(lock);
                // Told last: whoever waits for it may open the file again at once.
                if let Some((answer, folded)) = stopped {
                    let _ = answer.send(folded);
                }
            })
            .map_err(|e| io("start the writer thread", e))?;
        Ok(Writer {
            queue,
            path: Arc::new(path),
            head,
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
        let (answer, wait) = oneshot::channel();
        let (path, head) = (Arc::clone(&self.path), Arc::clone(&self.head));
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
        self.queue
            .send(Message::Job(job))
            .await
            .map_err(|_| closed())?;
        wait.await.map_err(|_| closed())?
    }

    /// Folds the log into the file and ends the thread. Jobs queued before are done first.
    pub(super) async fn stop(&self) -> Result<(), StoreError> {
        let (answer, wait) = oneshot::channel();
        if self.queue.send(Message::Stop(answer)).await.is_err() {
            return Ok(());
        }
        wait.await.unwrap_or(Ok(()))
    }
}

fn closed() -> StoreError {
    StoreError::Conflict("the store is closed".into())
}

fn work(mut ledger: Ledger, mut jobs: mpsc::Receiver<Message>, path: &Path) -> Option<Stopped> {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = Vec::new();
        let mut stop = None;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Job(job) => group.push(job),
                Message::Stop(answer) => stop = Some(answer),
            }
            let full = stop.is_some() || group.len() >= GROUP_MAX;
            next = if full { None } else { jobs.try_recv().ok() };
        }
        commit(&mut ledger, group);
        if let Some(answer) = stop {
            jobs.close();
            let folded = fold(&ledger.conn, path);
            drop(ledger);
            return Some((answer, folded));
        }
    }
    None
}

/// One transaction for all jobs; every caller is told, whatever happens.
fn commit(ledger: &mut Ledger, group: Vec<Job>) {
    if group.is_empty() {
        return;
    }
    let mut tells = Vec::with_capacity(group.len());
    let mut trouble = ledger
        .conn
        .execute_batch("BEGIN IMMEDIATE")
        .err()
        .map(|e| Trouble::from(&e));
    for job in group {
        let (tell, met) = run(ledger, job, trouble.as_ref());
        tells.push(tell);
        trouble = trouble.or(met);
    }
    if trouble.is_none() {
        trouble = finish(ledger).err();
    }
    if trouble.is_some() {
        if !ledger.conn.is_autocommit() {
            // It fails only when SQLite has already rolled back.
            let _ = ledger.conn.execute_batch("ROLLBACK");
        }
        ledger.forget();
    }
    for tell in tells {
        tell(trouble.as_ref().map_or(Ok(()), Err));
    }
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
    match ledger.spools.flush(&ledger.conn) {
        Ok(()) => {}
        Err(Fault::Sql(trouble)) => return Err(trouble),
        Err(Fault::Ours(error)) => return Err(Trouble::Other(error.to_string())),
    }
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
