//! What comes and goes: series and hosts that no sample is left of make room for new ones.
//!
//! A host that gives every container a device of its own would meet its limit of series for good.
//! So when it introduces itself, and most of what it once declared is not in its newest blocks,
//! what no block, no rollup and no journal speaks of is forgotten. Hosts are forgotten the same way
//! when there is no room for another one. What no series is called any more goes with them. An id is
//! never given out twice: the highest of series and names are remembered, the newest host stays.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::error::Fault;
use super::checksum::verified;
use super::head::Entry;
use super::parcel::Parcel;
use super::rollup::payload::{self, Key};
use super::series;

/// So many series are nobody's trouble.
const SERIES_MIN: i64 = 256;
/// An agent keeps a batch at most a week: a host silent for longer sends nothing of before.
const HOST_SILENT_MS: i64 = 8 * 86_400_000;

/// Series that the host's journal speaks of.
pub(in crate::store) fn in_journal(entries: &[Arc<Entry>]) -> Result<HashSet<i64>, Fault> {
    let mut found = HashSet::new();
    for entry in entries {
        found.extend(Parcel::unpack(&entry.payload)?.series);
    }
    Ok(found)
}

/// The series of a host that no sample is left of; none where most of its series are in use.
pub(in crate::store) fn unused(
    conn: &Connection,
    host: i64,
    journal: impl FnOnce() -> Result<HashSet<i64>, Fault>,
) -> Result<Vec<i64>, Fault> {
    let known: i64 = conn
        .prepare_cached("SELECT count(*) FROM series WHERE host = ?1")?
        .query_row([host], |r| r.get(0))?;
    if known < SERIES_MIN {
        return Ok(Vec::new());
    }
    let mut newest = in_blocks(
        conn,
        host,
        "SELECT payload, crc32c, number FROM block AS b WHERE host = ?1 AND end_ms =
           (SELECT max(end_ms) FROM block WHERE host = ?1 AND family = b.family)",
    )?;
    if (known as usize) < 2 * newest.len() {
        return Ok(Vec::new());
    }
    let journal = journal()?;
    newest.extend(&journal);
    if (known as usize) < 2 * newest.len() {
        return Ok(Vec::new());
    }
    let mut used = in_blocks(
        conn,
        host,
        "SELECT payload, crc32c, number FROM block WHERE host = ?1",
    )?;
    used.extend(journal);
    used.extend(in_rollups(conn, host)?);
    let mut select = conn.prepare_cached("SELECT id FROM series WHERE host = ?1")?;
    let ids = select.query_map([host], |r| r.get(0))?;
    let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
    Ok(ids.into_iter().filter(|id| !used.contains(id)).collect())
}

/// Forgets series that [`unused`] found, but for those that were written since.
pub(in crate::store) fn forget_series(
    conn: &Connection,
    host: i64,
    unused: &[i64],
    journal: &HashSet<i64>,
) -> Result<usize, Fault> {
    let unused: HashSet<i64> = unused.iter().copied().collect();
    series::forget(conn, host, |id| {
        unused.contains(&id) && !journal.contains(&id)
    })
}

/// Forgets hosts that nothing is left of: no sample, no rollup, no finding, nobody heard them for a
/// while, and no operator put a name or a label on them.
pub(in crate::store) fn forget_hosts(conn: &Connection, now_ms: i64) -> Result<usize, Fault> {
    let mut select = conn.prepare(
        "SELECT number FROM host WHERE kept = 0 AND renamed = 0 AND operator_labels = '{}'
           AND retired_ms IS NULL AND merged_into IS NULL
           AND greeted_ms < ?1 AND number < (SELECT max(number) FROM host)
           AND NOT EXISTS (SELECT 1 FROM host AS part WHERE part.merged_into = host.number)
           AND NOT EXISTS (SELECT 1 FROM block WHERE block.host = host.number)
           AND NOT EXISTS (SELECT 1 FROM rollup WHERE rollup.host = host.number)
           AND number NOT IN (SELECT host FROM journal)
           AND NOT EXISTS (SELECT 1 FROM spool WHERE spool.host = host.number
                           AND spool.last_received_ms >= ?1)
           AND id NOT IN (SELECT host_id FROM finding)",
    )?;
    let silent_since_ms = now_ms.saturating_sub(HOST_SILENT_MS);
    let numbers = select.query_map([silent_since_ms], |r| r.get(0))?;
    let numbers: BTreeSet<i64> = numbers.collect::<Result<_, _>>()?;
    for number in &numbers {
        series::forget(conn, *number, |_| true)?;
    }
    for table in ["spool", "gap", "unrolled", "process_note", "refusal"] {
        let mut delete = conn.prepare(&format!("DELETE FROM {table} WHERE host = ?1"))?;
        for number in &numbers {
            delete.execute([number])?;
        }
    }
    let mut delete = conn.prepare("DELETE FROM host WHERE number = ?1")?;
    for number in &numbers {
        delete.execute([number])?;
    }
    Ok(numbers.len())
}

fn in_blocks(conn: &Connection, host: i64, select: &str) -> Result<HashSet<i64>, Fault> {
    let mut select = conn.prepare_cached(select)?;
    let mut rows = select.query([host])?;
    let mut found = HashSet::new();
    while let Some(r) = rows.next()? {
        let payload = r.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        verified("block", r.get(2)?, r.get(1)?, payload)?;
        found.extend(Parcel::series_of(payload)?);
    }
    Ok(found)
}

fn in_rollups(conn: &Connection, host: i64) -> Result<HashSet<i64>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, crc32c, payload FROM rollup WHERE host = ?1 AND family < ?2",
    )?;
    let mut rows = select.query(params![host, super::rollup::DERIVED_FROM])?;
    let mut found = HashSet::new();
    while let Some(r) = rows.next()? {
        let payload = r.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        verified("rollup", r.get(0)?, r.get(1)?, payload)?;
        for line in payload::decode(payload, |_| true)? {
            if let Key::Id(id) = line.key {
                found.insert(id);
            }
        }
    }
    Ok(found)
}
