//! Retention: whole blocks go, and their space is given back a little at a time.

use std::collections::HashSet;

use rusqlite::Connection;

use super::super::error::Fault;
use super::super::types::{Keeping, Tier};
use super::budget::{self, Budget, Held};
use super::series::FAMILIES;
use super::{rollup, spools};

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

/// Samples wait so long past the retention to be rolled up: a collector that was away for weeks
/// has much to catch up with.
const UNROLLED_GRACE_MS: i64 = 30 * 86_400_000;
/// That a block's days are rolled up, or that it has waited for it long enough (?2).
const ROLLED: &str = "(end_ms < ?2 OR NOT EXISTS (
    SELECT 1 FROM unrolled AS u WHERE u.host = block.host
      AND u.day BETWEEN block.start_ms / 86400000 AND block.end_ms / 86400000))";

/// What one call dropped.
#[derive(Debug, Default)]
pub(in crate::store) struct Pruned {
    /// Blocks of samples past the retention.
    pub blocks: usize,
    /// Before its age, for the disk budget.
    pub held: Held,
}

/// Drops what ended before the retention, counted back from `now_ms` or from the newest sample,
/// whichever is earlier: a clock that jumps ahead must not delete the history. Then what the disk
/// budget does not allow. The history of the hosts in `kept` stays.
pub(in crate::store) fn prune(
    conn: &Connection,
    now_ms: i64,
    (retention_ms, keeping): (i64, &Keeping),
    kept: &HashSet<i64>,
) -> Result<Pruned, Fault> {
    let mut pruned = Pruned::default();
    if let Some(until_ms) = by_samples(conn, now_ms)? {
        let cutoff = until_ms.saturating_sub(retention_ms);
        pruned.blocks = prune_blocks(conn, cutoff, kept)?;
        for step_ms in rollup::tiers(conn)? {
            // Steps of a length that is not wanted any more are not lost by a slip of the hand.
            let tiers = &keeping.tiers;
            let age_ms = tiers
                .iter()
                .find(|tier| tier.step_ms == step_ms)
                .map_or(Tier::longest_ms(tiers), |tier| tier.age_ms);
            prune_tier(conn, Tier { step_ms, age_ms }, until_ms, kept)?;
        }
        spools::prune(conn, cutoff.saturating_sub(SPOOL_GRACE_MS))?;
        if let Some(bytes_max) = keeping.bytes_max {
            pruned.held = budget::hold(conn, Budget { bytes_max, now_ms }, kept)?;
        }
        give_back(conn, keeping.bytes_max)?;
    }
    Ok(pruned)
}

fn prune_blocks(conn: &Connection, cutoff: i64, kept: &HashSet<i64>) -> Result<usize, Fault> {
    if !kept.is_empty() {
        return prune_others(conn, cutoff, kept);
    }
    let mut delete = conn.prepare_cached(&format!(
        "DELETE FROM block WHERE number IN
         (SELECT number FROM block WHERE end_ms < ?1 AND {ROLLED} ORDER BY end_ms LIMIT ?3)"
    ))?;
    Ok(delete.execute([cutoff, cutoff - UNROLLED_GRACE_MS, BLOCKS_AT_ONCE])?)
}

/// What counts as now for retention: the clock, or the newest sample where that is earlier;
/// nothing where there is no sample.
pub(in crate::store) fn by_samples(conn: &Connection, now_ms: i64) -> Result<Option<i64>, Fault> {
    Ok(newest_sample(conn)?.map(|newest| newest.min(now_ms)))
}

/// Drops the steps of a tier that are past its age.
fn prune_tier(
    conn: &Connection,
    tier: Tier,
    now_ms: i64,
    kept: &HashSet<i64>,
) -> Result<(), Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, host FROM rollup WHERE tier_ms = ?1 AND end_ms < ?2 ORDER BY end_ms",
    )?;
    let cutoff = now_ms.saturating_sub(tier.age_ms);
    let mut rows = select.query([tier.step_ms, cutoff])?;
    let mut old: Vec<i64> = Vec::new();
    while old.len() < BLOCKS_AT_ONCE as usize
        && let Some(r) = rows.next()?
    {
        if !kept.contains(&r.get(1)?) {
            old.push(r.get(0)?);
        }
    }
    let mut delete = conn.prepare_cached("DELETE FROM rollup WHERE number = ?1")?;
    for number in old {
        delete.execute([number])?;
    }
    Ok(())
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
    let mut delete = conn.prepare_cached(&format!(
        "DELETE FROM block WHERE number IN
         (SELECT number FROM block WHERE host = ?3 AND family = ?4 AND end_ms < ?1 AND {ROLLED}
          ORDER BY end_ms LIMIT ?5)"
    ))?;
    let mut dropped = 0;
    for host in hosts.into_iter().filter(|host| !kept.contains(host)) {
        for family in FAMILIES {
            let room = BLOCKS_AT_ONCE - dropped as i64;
            if room <= 0 {
                return Ok(dropped);
            }
            let grace = cutoff - UNROLLED_GRACE_MS;
            dropped += delete.execute([cutoff, grace, host, family, room])?;
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

/// Gives back free pages beyond what new data will soon use, and what the disk budget has room for.
fn give_back(conn: &Connection, bytes_max: Option<u64>) -> Result<(), Fault> {
    let pages: i64 = conn.pragma_query_value(None, "page_count", |r| r.get(0))?;
    let page: i64 = conn.pragma_query_value(None, "page_size", |r| r.get(0))?;
    let used = budget::used(conn)?;
    let room = bytes_max.map_or(i64::MAX, |max| {
        (max / 100 * 95).saturating_sub(used) as i64 / page.max(1)
    });
    let kept = PAGES_KEPT.max(pages / PART_KEPT).min(room);
    shrink(conn, kept, PAGES_AT_ONCE)
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
