//! Reading connections: a small pool. Readers see one moment of the file and never wait for the
//! writer, nor it for them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{Fault, StoreError, Trouble, io};
use super::moment::Moment;
use super::schema;

/// Most questions read at the same time; more wait for their turn.
const AT_ONCE_MAX: usize = 8;
/// How long a reader waits where the file is not in write-ahead mode and somebody commits.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the file is opened for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Beside a writer, or where one may come.
    Shared,
    /// In a folder where SQLite may create nothing, with no log beside the file: nobody writes.
    Immutable,
}

/// The pool.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    access: Access,
    turns: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

/// Opens one reading connection.
pub(super) fn connect(path: &Path, access: Access) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match access {
        Access::Shared => Connection::open_with_flags(path, flags)?,
        Access::Immutable => {
            let uri = format!("file:{}?immutable=1", escaped(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
        }
    };
    schema::compile_once(&conn)?;
    conn.busy_timeout(PATIENCE)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    schema::read_as_newest(&conn)?;
    Ok(conn)
}

/// A path inside a `file:` URI: SQLite decodes %XX and ends the path at `?` or `#`.
fn escaped(path: &Path) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

impl Readers {
    /// A pool with one connection that was already tried.
    pub(super) fn new(path: PathBuf, access: Access, first: Connection) -> Arc<Readers> {
        let turns = Semaphore::new(AT_ONCE_MAX);
        Arc::new(Readers {
            path,
            access,
            turns,
            idle: Mutex::new(vec![first]),
        })
    }

    /// Runs `read` on a connection, on a thread where blocking is fine.
    pub(super) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turn().await?;
        let pool = Arc::clone(self);
        let outcome = tokio::task::spawn_blocking(move || pool.run(doing, read)).await;
        drop(turn);
        outcome.map_err(|e| io(doing, std::io::Error::other(e)))?
    }

    /// Runs a short `read` where it is asked for: waking a thread that may block costs more than
    /// reading a few blocks.
    pub(super) async fn here<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let _turn = self.turn().await?;
        self.run(doing, read)
    }

    /// Waits until one of those who read at once may be begun.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let closed = |_| StoreError::Conflict("the store is closed".into());
        self.turns.acquire().await.map_err(closed)
    }

    /// Runs `read` inside one transaction: everything it reads is of one moment.
    pub(super) async fn snapshot<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.with(doing, move |conn| {
            let moment = Moment::of(conn)?;
            read(&moment)
        })
        .await
    }

    fn run<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let conn = match idle {
            Some(conn) => conn,
            None => connect(&self.path, self.access)
                .map_err(|e| Trouble::from(&e).at(&self.path, doing))?,
        };
        let outcome = read(&conn).map_err(|fault| fault.at(&self.path, doing));
        if !self.turns.is_closed() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(conn);
        }
        outcome
    }

    /// Lets nobody read any more and closes the connections once the running reads are over.
    pub(super) async fn close(&self) {
        let all = self.turns.acquire_many(AT_ONCE_MAX as u32).await;
        self.turns.close();
        drop(all);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_nobody_writes_is_read_without_touching_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("an odd? name%41#1 ü.db");
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        conn.execute_batch("CREATE TABLE a (x); INSERT INTO a VALUES (7)")
            .unwrap();
        drop(conn);
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files(), 1);
        let conn = connect(&path, Access::Immutable).unwrap();
        let x: i64 = conn.query_row("SELECT x FROM a", [], |r| r.get(0)).unwrap();
        assert_eq!((x, files()), (7, 1));
    }
}
