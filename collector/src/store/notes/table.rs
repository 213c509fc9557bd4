//! The table of process notes: all its SQL.

use rusqlite::{Connection, params};

use super::super::error::Fault;
use super::super::history::checksum::verified;
use super::super::types::NotesHeld;
use super::codec;
use crate::processes::ProcessNote;

/// So many single notes of a host become one row.
const FOLD_AT: usize = 120;
/// No row spans more: a question about a moment looks no further than this behind it.
const SPAN_MAX_MS: i64 = 6 * 3_600_000;
/// Most rows dropped in one go.
const ROWS_AT_ONCE: i64 = 1024;

struct Row {
    number: i64,
    notes: Vec<ProcessNote>,
}

/// Adds a note of a host. One note more may put the host's single ones together and drop what is
/// older than `kept_ms` before it.
pub(super) fn add(
    conn: &Connection,
    host: i64,
    note: &ProcessNote,
    kept_ms: i64,
) -> Result<(), Fault> {
    insert(conn, host, false, std::slice::from_ref(note))?;
    let single: i64 = conn
        .prepare_cached("SELECT count(*) FROM process_note WHERE host = ?1 AND folded = 0")?
        .query_row([host], |r| r.get(0))?;
    if (single as usize) < FOLD_AT {
        return Ok(());
    }
    fold(conn, host)?;
    prune(conn, host, note.at_ms.saturating_sub(kept_ms))
}

fn insert(conn: &Connection, host: i64, folded: bool, notes: &[ProcessNote]) -> Result<(), Fault> {
    let (Some(first), Some(last)) = (notes.first(), notes.last()) else {
        return Ok(());
    };
    let payload = codec::encode(notes)?;
    conn.prepare_cached(
        "INSERT INTO process_note (host, folded, start_ms, end_ms, notes, crc32c, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        host,
        folded,
        first.at_ms,
        last.at_ms,
        notes.len() as i64,
        crc32c::crc32c(&payload),
        payload
    ])?;
    Ok(())
}

/// Puts the single notes of a host together.
fn fold(conn: &Connection, host: i64) -> Result<(), Fault> {
    let single = rows(
        conn,
        "SELECT number, crc32c, payload FROM process_note
         WHERE host = ?1 AND folded = 0 AND end_ms BETWEEN ?2 AND ?3",
        (host, i64::MIN, i64::MAX),
    )?;
    let mut delete = conn.prepare_cached("DELETE FROM process_note WHERE number = ?1")?;
    for row in &single {
        delete.execute([row.number])?;
    }
    let mut notes: Vec<ProcessNote> = single.into_iter().flat_map(|row| row.notes).collect();
    notes.sort_by_key(|note| note.at_ms);
    let mut rest = &notes[..];
    while let Some(first) = rest.first() {
        let fits = |note: &&ProcessNote| note.at_ms.saturating_sub(first.at_ms) <= SPAN_MAX_MS;
        let count = rest.iter().take(codec::NOTES_MAX).take_while(fits).count();
        let (together, later) = rest.split_at(count);
        insert(conn, host, true, together)?;
        rest = later;
    }
    Ok(())
}

/// Drops what of a host ended before a moment.
fn prune(conn: &Connection, host: i64, before_ms: i64) -> Result<(), Fault> {
    conn.prepare_cached(
        "DELETE FROM process_note WHERE host = ?1 AND folded IN (0, 1) AND end_ms < ?2",
    )?
    .execute([host, before_ms])?;
    Ok(())
}

/// Drops what of any host ended before a moment; some of it, the rest at the next call. Hosts that
/// send drop their own; this is for those that do not any more.
pub(super) fn prune_all(conn: &Connection, before_ms: i64) -> Result<usize, Fault> {
    let mut delete = conn.prepare_cached(
        "DELETE FROM process_note WHERE number IN
         (SELECT number FROM process_note INDEXED BY process_note_of WHERE end_ms < ?1 LIMIT ?2)",
    )?;
    Ok(delete.execute([before_ms, ROWS_AT_ONCE])?)
}

/// The notes of some hosts (one host and its parts) within a range, the oldest first.
pub(super) fn within(
    conn: &Connection,
    hosts: &[i64],
    (from_ms, to_ms): (i64, i64),
) -> Result<Vec<ProcessNote>, Fault> {
    let mut notes = Vec::new();
    for host in hosts {
        let found = rows(
            conn,
            "SELECT number, crc32c, payload FROM process_note
             WHERE host = ?1 AND folded IN (0, 1) AND end_ms BETWEEN ?2 AND ?3",
            (*host, from_ms, to_ms.saturating_add(SPAN_MAX_MS)),
        )?;
        notes.extend(found.into_iter().flat_map(|row| row.notes));
    }
    notes.retain(|note| (from_ms..=to_ms).contains(&note.at_ms));
    notes.sort_by_key(|note| note.at_ms);
    Ok(notes)
}

/// The newest note of some hosts (one host and its parts).
pub(super) fn newest(conn: &Connection, hosts: &[i64]) -> Result<Option<ProcessNote>, Fault> {
    let mut newest: Option<ProcessNote> = None;
    for host in hosts {
        for folded in [0, 1] {
            let last: Option<i64> = conn
                .prepare_cached(
                    "SELECT max(end_ms) FROM process_note WHERE host = ?1 AND folded = ?2",
                )?
                .query_row([*host, folded], |r| r.get(0))?;
            let Some(last) = last.filter(|last| newest.as_ref().is_none_or(|n| n.at_ms < *last))
            else {
                continue;
            };
            newest = within(conn, &[*host], (last, last))?.pop().or(newest);
        }
    }
    Ok(newest)
}

fn rows(
    conn: &Connection,
    sql: &str,
    (host, from_ms, to_ms): (i64, i64, i64),
) -> Result<Vec<Row>, Fault> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([host, from_ms, to_ms])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let number = r.get(0)?;
        let payload = r.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        verified("process_note", number, r.get(1)?, payload)?;
        let notes = codec::decode(payload)?;
        found.push(Row { number, notes });
    }
    Ok(found)
}

/// What is held of them all.
pub(in crate::store) fn held(conn: &Connection) -> Result<NotesHeld, Fault> {
    let counted = conn.query_row(
        "SELECT count(*), coalesce(sum(notes), 0), coalesce(sum(length(payload)), 0),
                min(start_ms), max(end_ms) FROM process_note",
        [],
        |r| {
            Ok(NotesHeld {
                rows: r.get::<_, i64>(0)? as u64,
                notes: r.get::<_, i64>(1)? as u64,
                bytes: r.get::<_, i64>(2)? as u64,
                oldest_ms: r.get(3)?,
                newest_ms: r.get(4)?,
            })
        },
    )?;
    Ok(counted)
}

/// The newest note of any host.
pub(super) fn newest_ms(conn: &Connection) -> Result<Option<i64>, Fault> {
    Ok(conn.query_row("SELECT max(end_ms) FROM process_note", [], |r| r.get(0))?)
}

/// What is wrong with rows, in words: checksums, contents, and the columns that repeat them.
pub(in crate::store) fn check(
    conn: &Connection,
    mut problem: impl FnMut(String),
) -> Result<(), Fault> {
    let mut select = conn.prepare(
        "SELECT number, start_ms, end_ms, notes, crc32c, payload, folded FROM process_note",
    )?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let number: i64 = r.get(0)?;
        let said: (i64, i64, i64, bool) = (r.get(1)?, r.get(2)?, r.get(3)?, r.get(6)?);
        let payload = r.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
        let read = verified("process_note", number, r.get(4)?, payload)
            .and_then(|()| codec::decode(payload));
        let notes = match read {
            Ok(notes) => notes,
            Err(Fault::Sql(super::super::error::Trouble::Damaged(what))) => {
                problem(format!("process_note {number}: {what}"));
                continue;
            }
            Err(other) => return Err(other),
        };
        let edge = |note: Option<&ProcessNote>| note.map_or(0, |note| note.at_ms);
        let holds = (edge(notes.first()), edge(notes.last()), notes.len() as i64);
        let ordered = notes.is_sorted_by_key(|note| note.at_ms);
        if (said.0, said.1, said.2) != holds || !ordered || (!said.3 && notes.len() != 1) {
            problem(format!(
                "process_note {number}: its times or count are not what it holds"
            ));
        }
    }
    Ok(())
}
