//! The disk budget: when the file is too large the oldest of the finest tier goes first, before
//! its age and before the disk is full.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::super::error::Fault;
use super::super::types::Dropped;
use super::newest;
use super::rollup::{self, DAY_MS};

/// So much of the newest samples stays whatever it takes: a day, and the time until it is rolled up.
const SAMPLES_KEPT_MS: i64 = DAY_MS + 6 * 3_600_000;
/// Most rows of a tier dropped in one go: the writer is busy for milliseconds, not seconds.
const ROWS_AT_ONCE: usize = 256;
/// Samples are the tier without steps.
const SAMPLES: i64 = 0;

/// A limit for the file's size, and when it is held.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Budget {
    pub bytes_max: u64,
    pub now_ms: i64,
}

/// What the budget took in one go, and by how much the file is still too large.
#[derive(Debug, Default)]
pub(in crate::store) struct Held {
    pub dropped: Vec<Dropped>,
    pub over_bytes: u64,
}

/// Bytes of the file that are in use.
pub(in crate::store) fn used(conn: &Connection) -> Result<u64, Fault> {
    let page: i64 = conn.pragma_query_value(None, "page_size", |r| r.get(0))?;
    let pages: i64 = conn.pragma_query_value(None, "page_count", |r| r.get(0))?;
    let free: i64 = conn.pragma_query_value(None, "freelist_count", |r| r.get(0))?;
    Ok((pages.saturating_sub(free) * page) as u64)
}

/// Drops what the budget does not allow, a bounded amount at a time: samples that are rolled up,
/// then samples that are not, then the steps of each tier, each time the oldest. The newest samples
/// and the hosts in `kept` are spared.
pub(in crate::store) fn hold(
    conn: &Connection,
    budget: Budget,
    kept: &HashSet<i64>,
) -> Result<Held, Fault> {
    // A tenth is for free pages that wait for new data.
    let allowed = budget.bytes_max / 10 * 9;
    let mut held = Held {
        dropped: Vec::new(),
        over_bytes: used(conn)?.saturating_sub(allowed),
    };
    if held.over_bytes == 0 {
        return Ok(held);
    }
    let newest: Option<i64> = conn
        .prepare_cached("SELECT max(end_ms) FROM block")?
        .query_row([], |r| r.get(0))?;
    let until_ms = newest
        .unwrap_or(budget.now_ms)
        .saturating_sub(SAMPLES_KEPT_MS);
    let rolled = "block WHERE NOT EXISTS (SELECT 1 FROM unrolled AS u WHERE u.host = block.host
        AND u.day BETWEEN block.start_ms / 86400000 AND block.end_ms / 86400000)";
    let mut passes = vec![
        (SAMPLES, rolled.to_owned()),
        (SAMPLES, "block WHERE true".to_owned()),
    ];
    for step_ms in rollup::tiers(conn)? {
        passes.push((step_ms, format!("rollup WHERE tier_ms = {step_ms}")));
    }
    for (step_ms, from) in passes {
        if held.over_bytes == 0 {
            break;
        }
        let mut dropped = Dropped {
            step_ms,
            at_ms: budget.now_ms,
            bytes_max: budget.bytes_max,
            ..Dropped::default()
        };
        let numbers = oldest(conn, (&from, until_ms), kept, (&mut held, &mut dropped))?;
        let table = if step_ms == SAMPLES {
            "block"
        } else {
            "rollup"
        };
        let mut delete = conn.prepare_cached(&format!("DELETE FROM {table} WHERE number = ?1"))?;
        for (number, _) in &numbers {
            delete.execute([number])?;
        }
        if step_ms == SAMPLES {
            let went: Vec<(i64, i64)> = numbers.iter().map(|(_, of)| *of).collect();
            newest::went(conn, &went)?;
        }
        if !numbers.is_empty() {
            record(conn, &dropped)?;
            held.dropped.push(dropped);
        }
    }
    Ok(held)
}

/// A row that goes: its number, its host and its end.
type Going = (i64, (i64, i64));

/// The rows that go, as many as are too many, counted as dropped.
fn oldest(
    conn: &Connection,
    (from, until_ms): (&str, i64),
    kept: &HashSet<i64>,
    (held, dropped): (&mut Held, &mut Dropped),
) -> Result<Vec<Going>, Fault> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT number, host, length(payload), end_ms FROM {from} AND end_ms < ?1 ORDER BY end_ms"
    ))?;
    let mut rows = select.query([until_ms])?;
    let mut numbers = Vec::new();
    while held.over_bytes > 0
        && numbers.len() < ROWS_AT_ONCE
        && let Some(r) = rows.next()?
    {
        if kept.contains(&r.get(1)?) {
            continue;
        }
        numbers.push((r.get(0)?, (r.get(1)?, r.get(3)?)));
        let bytes = r.get::<_, i64>(2)? as u64;
        dropped.rows += 1;
        dropped.bytes += bytes;
        dropped.until_ms = dropped.until_ms.max(r.get(3)?);
        held.over_bytes = held.over_bytes.saturating_sub(bytes);
    }
    Ok(numbers)
}

/// Remembers what was dropped, for whoever asks why it is not there.
fn record(conn: &Connection, dropped: &Dropped) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO dropped (tier_ms, rows, bytes, until_ms, at_ms, bytes_max)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (tier_ms) DO UPDATE SET rows = rows + excluded.rows,
           bytes = bytes + excluded.bytes, until_ms = max(until_ms, excluded.until_ms),
           at_ms = excluded.at_ms, bytes_max = excluded.bytes_max",
    )?
    .execute(params![
        dropped.step_ms,
        dropped.rows as i64,
        dropped.bytes as i64,
        dropped.until_ms,
        dropped.at_ms,
        dropped.bytes_max as i64
    ])?;
    Ok(())
}

/// Samples that ended before may have been taken.
pub(in crate::store) fn samples_until(conn: &Connection) -> Result<i64, Fault> {
    let until = conn
        .prepare_cached("SELECT max(until_ms) FROM dropped WHERE tier_ms = ?1")?
        .query_row([SAMPLES], |r| r.get::<_, Option<i64>>(0))?;
    Ok(until.map_or(i64::MIN, |ms| ms.saturating_add(1)))
}

/// What the budget took so far, the finest tier first.
pub(in crate::store) fn dropped(conn: &Connection) -> Result<Vec<Dropped>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT tier_ms, rows, bytes, until_ms, at_ms, bytes_max FROM dropped ORDER BY tier_ms",
    )?;
    let rows = select.query_map([], |r| {
        Ok(Dropped {
            step_ms: r.get(0)?,
            rows: r.get::<_, i64>(1)? as u64,
            bytes: r.get::<_, i64>(2)? as u64,
            until_ms: r.get(3)?,
            at_ms: r.get(4)?,
            bytes_max: r.get::<_, i64>(5)? as u64,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
