//! Compacting a file at rest, and installing a copy as a new database.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;

use super::error::{Fault, Trouble, io};
use super::open::{beside, lock};
use super::types::{StoreFacts, StoreOptions};
use super::{Store, StoreError, blocking};

impl Store {
    /// Seals and folds everything into the one file and writes that anew without free pages;
    /// answers its size before and after. Nothing else may have the file open for writing.
    ///
    /// # Errors
    /// `Absent`, `Busy`, `Damaged`; `Full`: it needs as much space again while it works.
    pub async fn compact(options: StoreOptions) -> Result<(u64, u64), StoreError> {
        let path = options.path.clone();
        if !path.is_file() {
            return Err(StoreError::Absent(path));
        }
        let size = |p: &Path| std::fs::metadata(p).map_or(0, |m| m.len());
        let before = size(&path) + size(&beside(&path, "-wal"));
        Store::open(options).await?.close().await?;
        blocking("compact the database", move || {
            let lock = lock(&path)?;
            vacuum(&path, size(&path)).map_err(|fault| fault.at(&path, "compact the database"))?;
            drop(lock);
            Ok((before, size(&path)))
        })
        .await
    }

    /// Makes a new database of a copy, and answers what it holds. The copy is read from `from`,
    /// brought to the format of this program, and checked, all beside its new place; only then it
    /// gets its name.
    ///
    /// # Errors
    /// `Conflict` when there is a database already, `Damaged` when the copy is not sound.
    pub async fn install(
        mut from: impl std::io::Read + Send + 'static,
        options: StoreOptions,
    ) -> Result<StoreFacts, StoreError> {
        let path = options.path.clone();
        let partial = beside(&path, ".restoring");
        let target = partial.clone();
        blocking("write the database", move || {
            vacant(&options.path)?;
            if let Some(folder) = options.path.parent().filter(|f| !f.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder)
                    .map_err(|e| io("create the database's folder", e))?;
            }
            remove(&target);
            let copied = File::create_new(&target).and_then(|mut file| {
                std::io::copy(&mut from, &mut file)?;
                file.sync_all()
            });
            copied.map_err(|e| {
                remove(&target);
                match e.kind() {
                    std::io::ErrorKind::StorageFull => StoreError::Full(target.clone()),
                    _ => io("copy the backup", e),
                }
            })
        })
        .await?;
        let checked = check(StoreOptions {
            path: partial.clone(),
            retention_ms: i64::MAX,
            series_per_host_max: usize::MAX,
            hosts_max: usize::MAX,
        })
        .await;
        blocking("name the database", move || {
            let named = checked.and_then(|facts| {
                // A link, unlike a rename, never takes the place of another file.
                std::fs::hard_link(&partial, &path).map_err(|e| match e.kind() {
                    std::io::ErrorKind::AlreadyExists => occupied(&path),
                    _ => io("name the database", e),
                })?;
                Ok(facts)
            });
            remove(&partial);
            if named.is_ok()
                && let Some(folder) = path.parent()
            {
                let folder = match folder.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => folder,
                };
                File::open(folder)
                    .and_then(|f| f.sync_all())
                    .map_err(|e| io("make the database's name durable", e))?;
            }
            named
        })
        .await
    }
}

/// Below this, a quarter of a file would be the rest of the last page of each table and index.
const SMALL_BYTES: u64 = 4 << 20;
/// Bytes of a page of a small file, and of any other.
const PAGE_BYTES: [u32; 2] = [1024, 4096];

/// Writes the file anew, in pages that fit its size. SQLite changes them only outside of
/// write-ahead mode, to which the next writer returns.
fn vacuum(path: &Path, bytes: u64) -> Result<(), Fault> {
    let conn = Connection::open(path)?;
    let page = PAGE_BYTES[usize::from(bytes >= SMALL_BYTES)];
    conn.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    conn.execute_batch(&format!("PRAGMA page_size = {page}; VACUUM"))?;
    Ok(())
}

fn occupied(path: &Path) -> StoreError {
    StoreError::Conflict(format!(
        "{} exists; a restore overwrites nothing: move it away, or choose another folder",
        path.display()
    ))
}

/// Refuses when a database, or a log that would be taken for its own, is in the way.
fn vacant(path: &Path) -> Result<(), StoreError> {
    for there in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        if there.exists() {
            return Err(occupied(&there));
        }
    }
    Ok(())
}

/// Removes a partial copy and what lies beside it. What is not there need not go.
fn remove(partial: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        let _ = std::fs::remove_file(beside(partial, suffix));
    }
}

/// Brings a copy to the current format and reads every byte of it.
async fn check(options: StoreOptions) -> Result<StoreFacts, StoreError> {
    let path = options.path.clone();
    let store = Store::open(options).await?;
    let facts = store.facts(true).await;
    store.close().await?;
    let facts = facts?;
    if facts.problems.is_empty() {
        return Ok(facts);
    }
    Err(Trouble::Damaged(facts.problems.join("; ")).at(&path, ""))
}
