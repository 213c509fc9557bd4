//! Backup: a consistent copy in a new file while others write.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::error::{Fault, StoreError, io};
use super::history::retention;
use super::moment::Moment;
use super::open::beside;

/// Into how many steps a second of a paced copy is cut.
const STEPS_A_SECOND: u64 = 20;

/// Copies what is committed now to `to`, which must not exist; answers its size in bytes.
///
/// The copy appears under its name only when it is whole and durable; its journal is inside, no
/// log beside it is needed. It is compact: free pages are not copied.
///
/// With a rate (bytes a second) it is copied page by page with pauses, from one moment of the
/// file, so that a collector keeps the disk for itself; free pages are cut off afterwards.
pub(super) fn run(conn: &Connection, to: &Path, rate: Option<u64>) -> Result<u64, Fault> {
    // Claims the name, so that two backups cannot meet and nothing is ever overwritten.
    File::options()
        .write(true)
        .create_new(true)
        .open(to)
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::Conflict(format!(
                "{} exists; a backup overwrites nothing",
                to.display()
            )),
            _ => io("create the backup file", e),
        })?;
    let partial = beside(to, ".partial");
    let copied = copy(conn, to, &partial, rate);
    if copied.is_err() {
        // Best effort: the copy's own error is the one worth telling.
        let _ = std::fs::remove_file(&partial);
        let _ = std::fs::remove_file(to);
    }
    copied
}

/// Copies pages with pauses between them.
fn paced(conn: &Connection, partial: &Path, rate: u64) -> Result<(), Fault> {
    // One moment of the file for the whole copy, however long it takes.
    let moment = Moment::of(conn)?;
    // The moment begins with the first thing that is read.
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let page: u64 = moment.pragma_query_value(None, "page_size", |r| r.get::<_, i64>(0))? as u64;
    let mut target = Connection::open(partial)?;
    {
        let backup = Backup::new(&moment, &mut target)?;
        let pages = (rate / page / STEPS_A_SECOND).clamp(1, 1 << 20);
        let pause = Duration::from_secs_f64((pages * page) as f64 / rate.max(1) as f64);
        loop {
            let begun = Instant::now();
            match backup.step(pages as i32)? {
                StepResult::Done => break,
                StepResult::More => std::thread::sleep(pause.saturating_sub(begun.elapsed())),
                // Locked for a moment: the next try is soon enough.
                _ => std::thread::sleep(pause),
            }
        }
    }
    // The copy needs no log beside it and no room for what is to come.
    target.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    retention::shrink(&target, 0, i64::MAX)
}

fn copy(conn: &Connection, to: &Path, partial: &Path, rate: Option<u64>) -> Result<u64, Fault> {
    match std::fs::remove_file(partial) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(io("remove the rest of an earlier backup", e).into()),
    }
    match rate {
        None => {
            let target = partial.to_str().ok_or_else(|| {
                StoreError::Conflict("the backup's path is not valid UTF-8".into())
            })?;
            conn.execute("VACUUM INTO ?1", [target])?;
        }
        Some(rate) => paced(conn, partial, rate)?,
    }
    let file = File::open(partial).map_err(|e| io("open the backup", e))?;
    file.sync_all()
        .map_err(|e| io("make the backup durable", e))?;
    let bytes = file
        .metadata()
        .map_err(|e| io("measure the backup", e))?
        .len();
    std::fs::rename(partial, to).map_err(|e| io("name the backup", e))?;
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| io("make the backup's name durable", e))?;
    Ok(bytes)
}
