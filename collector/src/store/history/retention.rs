//! Retention: whole blocks go, and their space is given back a little at a time.

use rusqlite::Connection;

use super::super::error::Fault;
use super::spools;

/// Most blocks dropped in one go: the writer is busy for milliseconds, not seconds.
const BLOCKS_AT_ONCE: i64 = 256;
/// Most pages given back in one go.
const PAGES_AT_ONCE: i64 = 512;
/// Free pages that are kept for new data instead of shrinking the file and growing it again: at
/// least these, …
const PAGES_KEPT: i64 = 256;
/// … or this part of the file: each hour's journal uses the pages of the hour before.
const PART_KEPT: i64 = 5;
/// An agent keeps a batch at most a week; a spool silent for longer will not speak again.
const SPOOL_GRACE_MS: i64 = 8 * 86_400_000;

/// Drops what ended before the retention, counted back from `now_ms` or from the newest sample,
/// whichever is earlier: a clock that jumps ahead must not delete the history.
pub(in crate::store) fn prune(
    conn: &Connection,
    now_ms: i64,
    retention_ms: i64,
) -> Result<usize, Fault> {
    let newest: Option<i64> = newest_sample(conn)?;
    let Some(newest) = newest else { return Ok(0) };
    let cutoff = now_ms.min(newest).saturating_sub(retention_ms);
    let dropped = conn
        .prepare_cached(
            "DELETE FROM block WHERE number IN
             (SELECT number FROM block WHERE end_ms < ?1 ORDER BY end_ms LIMIT ?2)",
        )?
        .execute([cutoff, BLOCKS_AT_ONCE])?;
    spools::prune(conn, cutoff.saturating_sub(SPOOL_GRACE_MS))?;
    give_back(conn)?;
    Ok(dropped)
}

fn newest_sample(conn: &Connection) -> Result<Option<i64>, Fault> {
    let sealed: Option<i64> = conn
        .prepare_cached("SELECT max(end_ms) FROM block")?
        .query_row([], |r| r.get(0))?;
    let seen: Option<i64> = conn
        .prepare_cached("SELECT max(last_sample_ms) FROM spool")?
        .query_row([], |r| r.get(0))?;
    Ok(sealed.max(seen))
}

/// Gives back free pages beyond what new data will soon use.
fn give_back(conn: &Connection) -> Result<(), Fault> {
    let pages: i64 = conn.pragma_query_value(None, "page_count", |r| r.get(0))?;
    shrink(conn, PAGES_KEPT.max(pages / PART_KEPT), PAGES_AT_ONCE)
}

/// Gives back at most `at_once` free pages, keeping `kept`.
pub(in crate::store) fn shrink(conn: &Connection, kept: i64, at_once: i64) -> Result<(), Fault> {
    let free: i64 = conn.pragma_query_value(None, "freelist_count", |r| r.get(0))?;
    if free > kept {
        let pages = (free - kept).min(at_once);
        // Each step of this statement frees one page.
        let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
    }
    Ok(())
}
