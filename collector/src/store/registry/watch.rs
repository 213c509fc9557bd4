//! Watch spans: when a collector was alive. An outage counts only while somebody was watching.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::Fault;
use super::super::types::WatchSpan;

/// Longer than this between two beats (a machine asleep, a stalled disk) nobody was watching.
const BEAT_GAP_MAX_MS: i64 = 90_000;

/// Extends the span of this handle or starts a new one; answers the span's number.
pub(in crate::store) fn beat(
    conn: &Connection,
    span: Option<i64>,
    now_ms: i64,
) -> Result<i64, Fault> {
    if let Some(number) = span {
        let last: Option<i64> = conn
            .prepare_cached("SELECT to_ms FROM watch WHERE number = ?1")?
            .query_row([number], |r| r.get(0))
            .optional()?;
        // A clock set back starts a span too: the old one must not claim time it did not see.
        if last.is_some_and(|to| (to..=to.saturating_add(BEAT_GAP_MAX_MS)).contains(&now_ms)) {
            conn.prepare_cached("UPDATE watch SET to_ms = ?1 WHERE number = ?2")?
                .execute([now_ms, number])?;
            return Ok(number);
        }
    }
    conn.prepare_cached("INSERT INTO watch (from_ms, to_ms) VALUES (?1, ?1)")?
        .execute([now_ms])?;
    Ok(conn.last_insert_rowid())
}

/// Spans that overlap a range, ascending.
pub(in crate::store) fn spans(
    conn: &Connection,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<WatchSpan>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT from_ms, to_ms FROM watch WHERE to_ms >= ?1 AND from_ms <= ?2
         ORDER BY from_ms, number",
    )?;
    let rows = select.query_map(params![from_ms, to_ms], |r| {
        Ok(WatchSpan {
            from_ms: r.get(0)?,
            to_ms: r.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
