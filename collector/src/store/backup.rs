//! Backup: a consistent copy in a new file while others write.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;

use super::error::{Fault, StoreError, io};
use super::open::beside;

/// Copies what is committed now to `to`, which must not exist; answers its size in bytes.
///
/// The copy appears under its name only when it is whole and durable; its journal is inside, no
/// log beside it is needed. It is compact: free pages are not copied.
pub(super) fn run(conn: &Connection, to: &Path) -> Result<u64, Fault> {
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
    let copied = copy(conn, to, &partial);
    if copied.is_err() {
        // Best effort: the copy's own error is the one worth telling.
        let _ = std::fs::remove_file(&partial);
        let _ = std::fs::remove_file(to);
    }
    copied
}

fn copy(conn: &Connection, to: &Path, partial: &Path) -> Result<u64, Fault> {
    match std::fs::remove_file(partial) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(io("remove the rest of an earlier backup", e).into()),
    }
    let target = partial
        .to_str()
        .ok_or_else(|| StoreError::Conflict("the backup's path is not valid UTF-8".into()))?;
    conn.execute("VACUUM INTO ?1", [target])?;
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
