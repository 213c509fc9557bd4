//! Retention: whole blocks go, and their space is given back a little at a time.

use std::collections::HashSet;

use rusqlite::Connection;

use super::super::error::Fault;
use super::series::FAMILIES;
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
/// whichever is earlier: a clock that jumps ahead must not delete the history. The history of the
/// hosts in `kept` stays.
pub(in crate::store) fn prune(
    conn: &Connection,
    now_ms: i64,
    retention_ms: i64,
    kept: &HashSet<i64>,
) -> Result<usize, Fault> {
    let newest: Option<i64> = newest_sample(conn)?;
    let Some(newest) = newest else { return Ok(0) };
    let cutoff = now_ms.min(newest).saturating_sub(retention_ms);
    let dropped = if kept.is_empty() {
        conn.prepare_cached(
            "DELETE FROM block WHERE number IN
             (SELECT number FROM block WHERE end_ms < ?1 ORDER BY end_ms LIMIT ?2)",
        )?
        .execute([cutoff, BLOCKS_AT_ONCE])?
    } else {
        prune_others(conn, cutoff, kept)?
    };
    spools::prune(conn, cutoff.saturating_sub(SPOOL_GRACE_MS))?;
    give_back(conn)?;
    Ok(dropped)
}

/// Host by host: a walk over all old blocks would pass those that stay, again at every call.
fn prune_others(conn: &Connection, cutoff: i64, kept: &HashSet<i64>) -> Result<usize, Fault> {
    // One seek a host and family, however many blocks there are.
    let mut select = conn.prepare_cached(
        "WITH RECURSIVE of (host) AS (
           SELECT min(host) FROM block
           UNION ALL SELECT (SELECT min(host) FROM block WHERE host > of.host)
           FROM of WHERE of.host IS NOT NULL)
         SELECT host FROM of WHERE host IS NOT NULL",
    )?;
    let hosts = select.query_map([], |r| r.get(0))?;
    let hosts: Vec<i64> = hosts.collect::<Result<_, _>>()?;
    let mut delete = conn.prepare_cached(
        "DELETE FROM block WHERE number IN
         (SELECT number FROM block WHERE host = ?1 AND family = ?2 AND end_ms < ?3
          ORDER BY end_ms LIMIT ?4)",
    )?;
    let mut dropped = 0;
    for host in hosts.into_iter().filter(|host| !kept.contains(host)) {
        for family in FAMILIES {
            let room = BLOCKS_AT_ONCE - dropped as i64;
            if room <= 0 {
                return Ok(dropped);
            }
            dropped += delete.execute([host, family, cutoff, room])?;
        }
    }
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
