//! The journal: committed batches that are not sealed yet.

use hostwell_proto::id::SpoolId;
use rusqlite::{Connection, params};

use super::super::error::{Fault, StoreError};
use super::super::types::Append;
use super::super::writer::Ledger;
use super::checksum::verified;
use super::fold;
use super::head::Entry;
use super::parcel;

/// Most batches of a host that become one row.
const TOGETHER_MAX: usize = 64;

/// A batch made ready on its caller's thread, so that the writer only writes.
#[derive(Debug)]
pub(in crate::store) struct Ready {
    append_of: (hostwell_proto::id::HostId, SpoolId, u64),
    received_ms: i64,
    /// Times of the first and last tick; `None` for a batch without samples.
    span: Option<(i64, i64)>,
    samples: usize,
    crc32c: u32,
    payload: Vec<u8>,
}

impl Ready {
    /// Makes a parcel of a batch.
    pub(in crate::store) fn new(append: Append) -> Result<Ready, StoreError> {
        let series: Vec<i64> = append.series.into_iter().map(|s| s.0).collect();
        if append.block.numbers_end() as usize > series.len() {
            return Err(StoreError::Conflict(
                "a column of the batch names no series".into(),
            ));
        }
        let samples = append.block.samples();
        let payload = parcel::wrap(&series, append.block.bytes());
        Ok(Ready {
            append_of: (append.host_id, append.spool_id, append.sequence),
            received_ms: append.received_ms,
            span: append.block.span().filter(|_| samples > 0),
            samples,
            crc32c: crc32c::crc32c(&payload),
            payload,
        })
    }
}

/// A batch of a commit that has no row yet.
#[derive(Debug)]
pub(in crate::store) struct Unwritten {
    host: i64,
    crc32c: u32,
    entry: Entry,
}

/// What became of a batch.
#[derive(Debug)]
pub(in crate::store) enum Taken {
    /// A new one; without samples there is nothing to write.
    Fresh(Option<Unwritten>),
    /// Known before.
    Known,
}

/// Notes a batch's watermark, unless it is known. The batch itself is written by [`write`] in the
/// same commit.
pub(in crate::store) fn take(ledger: &mut Ledger, ready: Ready) -> Result<Taken, Fault> {
    let (host_id, spool_id, sequence) = ready.append_of;
    let host = ledger.host(host_id)?;
    let (spool, range) = ((host, spool_id), (sequence, sequence));
    if ledger.spools.holds(&ledger.conn, spool, range)? {
        return Ok(Taken::Known);
    }
    let seen = (ready.received_ms, ready.span.map(|s| s.1));
    ledger.spools.hold(&ledger.conn, spool, range, seen)?;
    let unwritten = |(start_ms, end_ms)| Unwritten {
        host,
        crc32c: ready.crc32c,
        entry: Entry {
            numbers: Vec::new(),
            start_ms,
            end_ms,
            received_ms: ready.received_ms,
            samples: ready.samples as u32,
            payload: ready.payload,
        },
    };
    Ok(Taken::Fresh(ready.span.map(unwritten)))
}

/// The highest number a row has had for all that is known: rows to come are above it.
pub(in crate::store) fn last_number(conn: &Connection) -> Result<i64, Fault> {
    let newest = "SELECT max(coalesce((SELECT max(number) FROM journal), 0),
                             coalesce((SELECT max(number) FROM sealed), 0))";
    Ok(conn.query_row(newest, [], |r| r.get(0))?)
}

/// Writes batches, given in the order they came, and answers what goes to the head once it is
/// durable. A host that catches up sends many at once: those that follow each other become one row.
pub(in crate::store) fn write(
    ledger: &mut Ledger,
    mut waiting: Vec<Unwritten>,
) -> Result<Vec<(i64, Entry)>, Fault> {
    // Stable: of one host the order stays. What is sealed together then lies together.
    waiting.sort_by_key(|batch| batch.host);
    let follows =
        |a: &Unwritten, b: &Unwritten| a.host == b.host && a.entry.end_ms < b.entry.start_ms;
    let mut written = Vec::with_capacity(waiting.len());
    let mut rest = waiting.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut run = vec![first];
        while run.len() < TOGETHER_MAX
            && let Some(next) = rest.next_if(|next| run.last().is_some_and(|l| follows(l, next)))
        {
            run.push(next);
        }
        for mut batch in together(run) {
            // Not left to SQLite, which begins anew where a seal has just emptied the table: what is
            // written behind it in the same commit would pass for what was sealed.
            ledger.last_row = ledger.last_row.saturating_add(1);
            insert(&ledger.conn, ledger.last_row, &batch)?;
            batch.entry.numbers = vec![ledger.last_row];
            written.push((batch.host, batch.entry));
        }
    }
    Ok(written)
}

/// One batch instead of several that follow each other, or as they are where that cannot be.
fn together(run: Vec<Unwritten>) -> Vec<Unwritten> {
    let entries: Vec<&Entry> = run.iter().map(|batch| &batch.entry).collect();
    let folded = match entries.len() {
        0 | 1 => None,
        _ => fold::fold(&entries),
    };
    match (folded, run.first()) {
        (Some(entry), Some(first)) => vec![Unwritten {
            host: first.host,
            crc32c: crc32c::crc32c(&entry.payload),
            entry,
        }],
        _ => run,
    }
}

/// Adds a row.
fn insert(conn: &Connection, number: i64, batch: &Unwritten) -> Result<(), Fault> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO journal (number, host, received_ms, start_ms, end_ms, samples, crc32c, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert.execute(params![
        number,
        batch.host,
        batch.entry.received_ms,
        batch.entry.start_ms,
        batch.entry.end_ms,
        batch.entry.samples,
        batch.crc32c,
        batch.entry.payload
    ])?;
    Ok(())
}

/// Notes that the rows of a host up to a number are in blocks. They stay for [`drop_before`].
pub(in crate::store) fn mark_sealed(conn: &Connection, host: i64, to: i64) -> Result<(), Fault> {
    let mut mark = conn.prepare_cached(
        "INSERT INTO sealed (host, number) VALUES (?1, ?2)
         ON CONFLICT (host) DO UPDATE SET number = max(number, excluded.number)",
    )?;
    mark.execute([host, to])?;
    Ok(())
}

/// The newest row of any host that is in blocks.
pub(in crate::store) fn sealed_to(conn: &Connection) -> Result<i64, Fault> {
    let newest = "SELECT coalesce(max(number), -1) FROM sealed";
    Ok(conn.query_row(newest, [], |r| r.get(0))?)
}

/// Drops rows before a number; all of them have to be in blocks. At most `rows_max`: the rest by a
/// later call. Marks that speak only of rows that are gone go too, so that none is left when numbers
/// begin anew.
pub(in crate::store) fn drop_before(
    conn: &Connection,
    number: i64,
    rows_max: i64,
) -> Result<(), Fault> {
    let oldest = "SELECT min(number) FROM journal";
    let oldest: Option<i64> = conn.prepare_cached(oldest)?.query_row([], |r| r.get(0))?;
    let Some(oldest) = oldest else {
        return Ok(());
    };
    let before = number.min(oldest.saturating_add(rows_max));
    if before <= oldest {
        return Ok(());
    }
    conn.prepare_cached("DELETE FROM journal WHERE number < ?1")?
        .execute([before])?;
    conn.prepare_cached("DELETE FROM sealed WHERE number < ?1")?
        .execute([before])?;
    Ok(())
}

/// Drops all rows before the first one that is in no block, where nothing is being written. All of it
/// or nothing: marks without their rows would hide rows to come.
pub(in crate::store) fn drop_sealed(conn: &Connection) -> Result<(), Fault> {
    let change = conn.unchecked_transaction()?;
    let first = "SELECT min(number) FROM (SELECT number FROM waiting ORDER BY number LIMIT 1)";
    let first: Option<i64> = change.query_row(first, [], |r| r.get(0))?;
    drop_before(&change, first.unwrap_or(i64::MAX), i64::MAX)?;
    Ok(change.commit()?)
}

/// Visits the rows that are not sealed in the order of commits: (host, entry), checksum verified.
pub(in crate::store) fn each(
    conn: &Connection,
    mut visit: impl FnMut(i64, Entry) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut select = conn.prepare(
        "SELECT number, host, received_ms, start_ms, end_ms, crc32c, payload, samples
         FROM waiting ORDER BY number",
    )?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let (number, crc): (i64, u32) = (r.get(0)?, r.get(5)?);
        let payload: Vec<u8> = r.get(6)?;
        verified("journal entry", number, crc, &payload)?;
        let entry = Entry {
            numbers: vec![number],
            received_ms: r.get(2)?,
            start_ms: r.get(3)?,
            end_ms: r.get(4)?,
            samples: r.get(7)?,
            payload,
        };
        visit(r.get(1)?, entry)?;
    }
    Ok(())
}

/// Reads the journal of some hosts where there is no head: at rest, or beside a collector.
pub(in crate::store) fn of_hosts(
    conn: &Connection,
    hosts: &std::collections::HashSet<i64>,
    (from_ms, to_ms): (i64, i64),
) -> Result<std::collections::HashMap<i64, Vec<Entry>>, Fault> {
    let mut found: std::collections::HashMap<i64, Vec<Entry>> = Default::default();
    let mut numbers = Vec::new();
    {
        let mut select = conn.prepare_cached(
            "SELECT number, host FROM waiting WHERE end_ms >= ?1 AND start_ms <= ?2
             ORDER BY number",
        )?;
        let mut rows = select.query([from_ms, to_ms])?;
        while let Some(r) = rows.next()? {
            let (number, host): (i64, i64) = (r.get(0)?, r.get(1)?);
            if hosts.contains(&host) {
                numbers.push((number, host));
            }
        }
    }
    let mut one = conn.prepare_cached(
        "SELECT received_ms, start_ms, end_ms, crc32c, payload, samples FROM journal
         WHERE number = ?1",
    )?;
    for (number, host) in numbers {
        let entry = one.query_row([number], |r| {
            let entry = Entry {
                numbers: vec![number],
                received_ms: r.get(0)?,
                start_ms: r.get(1)?,
                end_ms: r.get(2)?,
                samples: r.get(5)?,
                payload: r.get(4)?,
            };
            Ok((r.get::<_, u32>(3)?, entry))
        })?;
        verified("journal entry", number, entry.0, &entry.1.payload)?;
        found.entry(host).or_default().push(entry.1);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::super::schema;
    use super::*;

    #[test]
    fn rows_go_with_the_marks_that_speak_of_them_or_not_at_all() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        conn.execute_batch(
            "INSERT INTO journal VALUES (7, 1, 0, 0, 0, 1, 0, x''), (8, 2, 0, 0, 0, 1, 0, x'');
             INSERT INTO sealed VALUES (1, 7), (2, 8);
             CREATE TRIGGER cut BEFORE DELETE ON sealed BEGIN SELECT RAISE(ABORT, 'cut'); END",
        )
        .unwrap();
        let rows = |conn: &Connection| -> (i64, i64) {
            let sql = "SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM sealed)";
            conn.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?)))
                .unwrap()
        };
        assert!(drop_sealed(&conn).is_err());
        assert_eq!(rows(&conn), (2, 2));
        assert_eq!(last_number(&conn).unwrap(), 8);
        conn.execute_batch("DROP TRIGGER cut").unwrap();
        drop_sealed(&conn).unwrap();
        assert_eq!(rows(&conn), (0, 0));
        conn.execute_batch("INSERT INTO sealed VALUES (1, 9)")
            .unwrap();
        assert_eq!(last_number(&conn).unwrap(), 9, "above every mark");
    }
}
