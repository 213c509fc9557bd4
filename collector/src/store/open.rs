//! Opening: the lock, the first look at the file, migration, the head rebuilt from the journal.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::error::{Fault, StoreError, Trouble, io};
use super::history::head::Head;
use super::history::journal;
use super::readers::{self, Access};
use super::schema;

/// How long the writer waits for a reader of a file that is not in write-ahead mode yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a writer starts with.
#[derive(Debug)]
pub(super) struct Opened {
    pub conn: Connection,
    pub lock: File,
    pub head: Head,
    pub reader: Connection,
}

/// `hostwell.db` → `hostwell.db.lock`, and so on.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the writer's lock. The kernel lets go of it however the process ends, so a file that
/// was left behind means nothing; it is a file of its own because closing *any* descriptor of the
/// database would drop SQLite's own locks on it.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(beside(path, ".lock"))
        .map_err(|e| io("create the lock file beside the database", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy(path.to_owned())),
        Err(TryLockError::Error(e)) => Err(io("lock the database", e)),
    }
}

/// Opens for writing: creates, checks, migrates.
pub(super) fn writer(path: &Path) -> Result<Opened, StoreError> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|e| io("create the database's folder", e))?;
    }
    let lock = lock(path)?;
    let (conn, head) = prepare(path).map_err(|f| explain(f, path, "open the database"))?;
    let reader = readers::connect(path, Access::Shared)
        .map_err(|e| Trouble::from(&e).at(path, "open the database for reading"))?;
    Ok(Opened {
        conn,
        lock,
        head,
        reader,
    })
}

fn prepare(path: &Path) -> Result<(Connection, Head), Fault> {
    let mut conn = Connection::open(path)?;
    conn.busy_timeout(PATIENCE)?;
    let found = schema::readable(schema::format(&conn)?, path)?;
    schema::prepare_writer(&conn)?;
    schema::migrate(&mut conn, found)?;
    quick_check(&conn)?;
    let head = Head::default();
    head.fill(|put| {
        journal::each(&conn, |host, entry| {
            put(host, entry);
            Ok(())
        })
    })?;
    Ok((conn, head))
}

/// Looks at the structure of everything but the blocks, which carry checksums of their own and
/// may be many gigabytes: `doctor` reads those.
fn quick_check(conn: &Connection) -> Result<(), Fault> {
    for table in [
        "host",
        "refusal",
        "watch",
        "finding",
        "finding_event",
        "care",
        "outbox",
        "told",
        "delivery",
        "series",
        "metric",
        "labels",
        "given",
        "spool",
        "gap",
        "journal",
        "sealed",
    ] {
        let verdict: String =
            conn.query_row(&format!("PRAGMA quick_check('{table}')"), [], |r| r.get(0))?;
        if verdict != "ok" {
            return Err(Fault::damaged(format!("table {table}: {verdict}")));
        }
    }
    Ok(())
}

/// Opens for reading. A folder where nothing may be created is fine as long as no log lies there.
pub(super) fn reader(path: &Path) -> Result<(Connection, Access), StoreError> {
    if !path.is_file() {
        return Err(StoreError::Absent(path.to_owned()));
    }
    let shared = look(path, Access::Shared);
    let outcome = match shared {
        Err(Look::NotHere) if !has_log(path) => look(path, Access::Immutable),
        other => other,
    };
    outcome.map_err(|look| match look {
        Look::NotHere => io(
            "open the database for reading: its folder is read-only and a log lies beside the \
             file; copy both to a folder you may write to",
            std::io::ErrorKind::PermissionDenied.into(),
        ),
        Look::Failed(fault) => explain(fault, path, "open the database for reading"),
    })
}

enum Look {
    /// SQLite may not create what it needs beside the file.
    NotHere,
    Failed(Fault),
}

impl From<rusqlite::Error> for Look {
    fn from(error: rusqlite::Error) -> Look {
        match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Look::NotHere,
            _ => Look::Failed(error.into()),
        }
    }
}

fn look(path: &Path, access: Access) -> Result<(Connection, Access), Look> {
    let conn = readers::connect(path, access)?;
    // The first read of a page is where SQLite finds out what it may do here.
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let checked = schema::format(&conn).and_then(|format| {
        let found = schema::readable(format, path)?;
        if found == 0 {
            return Err(Fault::damaged(
                "it is empty: no collector has finished creating it",
            ));
        }
        Ok(())
    });
    checked.map_err(Look::Failed)?;
    Ok((conn, access))
}

fn has_log(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-wal")).is_ok_and(|m| m.len() > 0)
}

/// Adds to SQLite's terse words what an operator can see and do.
fn explain(fault: Fault, path: &Path, doing: &'static str) -> StoreError {
    match fault {
        Fault::Sql(Trouble::Damaged(what)) => {
            let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
            let what = format!(
                "{what} (the file has {bytes} bytes; it was cut, overwritten, or is something \
                 else). Restore a backup, or move it away to start anew"
            );
            StoreError::Damaged {
                path: path.to_owned(),
                what,
            }
        }
        other => other.at(path, doing),
    }
}
