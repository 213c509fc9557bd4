//! Retention: whole blocks go, and their space is given back a little at a time.

use std::collections::HashSet;

use hostwell_proto::metric::Family;
use rusqlite::{Connection, Params, Statement};

use super::super::error::Fault;
use super::super::types::{Keeping, Tier};
use super::budget::{self, Budget, Held};
use super::rollup::roll::tiers_of;
use super::rollup::{DERIVED_FROM, PRESENCE};
use super::{newest, rollup, spools};

/// Most blocks dropped in one go: the writer is busy for milliseconds, not seconds.
const BLOCKS_AT_ONCE: i64 = 256;
/// Most hosts looked at in one go, where each is looked at by itself.
const HOSTS_AT_ONCE: i64 = 256;
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

/// What is to stay.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Wanted<'a> {
    /// Samples for so long, where a family has no terms of its own.
    pub samples_ms: i64,
    pub keeping: &'a Keeping,
    /// Hosts whose history stays whatever its age.
    pub kept: &'a HashSet<i64>,
}

/// What one call dropped.
#[derive(Debug, Default)]
pub(in crate::store) struct Pruned {
    /// Blocks of samples past the retention.
    pub blocks: usize,
    /// Before its age, for the disk budget.
    pub held: Held,
    /// Where the next call goes on, hosts having their turns.
    pub last_host: i64,
}

/// Drops what ended before the retention, counted back from `now_ms` or from the newest sample,
/// whichever is earlier: a clock that jumps ahead must not delete the history. Then what the disk
/// budget does not allow. Where not all hosts and families are alike, the hosts after `after` have
/// their turn.
pub(in crate::store) fn prune(
    conn: &Connection,
    now_ms: i64,
    wanted: &Wanted<'_>,
    after: i64,
) -> Result<Pruned, Fault> {
    let mut pruned = Pruned::default();
    let Some(until_ms) = by_samples(conn, now_ms)? else {
        return Ok(pruned);
    };
    let keeping = wanted.keeping;
    if wanted.kept.is_empty() && keeping.classes.is_empty() {
        pruned.blocks = prune_blocks(conn, until_ms.saturating_sub(wanted.samples_ms))?;
        for step_ms in rollup::tiers(conn)? {
            let age_ms = age_of(step_ms, &keeping.tiers);
            prune_tier(conn, Tier { step_ms, age_ms }, until_ms)?;
        }
    } else {
        pruned = prune_some(conn, until_ms, wanted, after)?;
    }
    let families = Family::ALL.into_iter();
    let kept_ms = families.map(|family| keeping.samples_ms(family as i64, wanted.samples_ms));
    let cutoff = until_ms.saturating_sub(kept_ms.max().unwrap_or(wanted.samples_ms));
    spools::prune(conn, cutoff.saturating_sub(SPOOL_GRACE_MS))?;
    if let Some(bytes_max) = keeping.bytes_max {
        pruned.held = budget::hold(conn, Budget { bytes_max, now_ms }, wanted.kept)?;
    }
    give_back(conn, keeping.bytes_max)?;
    Ok(pruned)
}

/// How long steps of a length are kept. Those that are not wanted any more are not lost by a slip of
/// the hand.
fn age_of(step_ms: i64, tiers: &[Tier]) -> i64 {
    let same = tiers.iter().find(|tier| tier.step_ms == step_ms);
    let wanted = same.map(|tier| tier.age_ms).filter(|age_ms| *age_ms > 0);
    wanted.unwrap_or_else(|| Tier::longest_ms(tiers))
}

fn prune_blocks(conn: &Connection, cutoff: i64) -> Result<usize, Fault> {
    let mut delete = conn.prepare_cached(&format!(
        "DELETE FROM block WHERE number IN
         (SELECT number FROM block WHERE end_ms < ?1 AND {ROLLED} ORDER BY end_ms LIMIT ?3)
         RETURNING host, end_ms"
    ))?;
    let grace = cutoff - UNROLLED_GRACE_MS;
    drop_blocks(conn, &mut delete, [cutoff, grace, BLOCKS_AT_ONCE])
}

/// Runs a statement that drops blocks and answers their hosts and ends; answers how many went.
fn drop_blocks(
    conn: &Connection,
    delete: &mut Statement<'_>,
    bounds: impl Params,
) -> Result<usize, Fault> {
    let dropped = delete.query_map(bounds, |r| Ok((r.get(0)?, r.get(1)?)))?;
    let dropped: Vec<(i64, i64)> = dropped.collect::<Result<_, _>>()?;
    newest::went(conn, &dropped)?;
    Ok(dropped.len())
}

/// What counts as now for retention: the clock, or the newest sample where that is earlier;
/// nothing where there is no sample.
pub(in crate::store) fn by_samples(conn: &Connection, now_ms: i64) -> Result<Option<i64>, Fault> {
    Ok(newest_sample(conn)?.map(|newest| newest.min(now_ms)))
}

/// Drops the steps of a tier that are past its age.
fn prune_tier(conn: &Connection, tier: Tier, now_ms: i64) -> Result<(), Fault> {
    let cutoff = now_ms.saturating_sub(tier.age_ms);
    conn.prepare_cached(
        "DELETE FROM rollup WHERE number IN
         (SELECT number FROM rollup WHERE tier_ms = ?1 AND end_ms < ?2 ORDER BY end_ms LIMIT ?3)",
    )?
    .execute([tier.step_ms, cutoff, BLOCKS_AT_ONCE])?;
    Ok(())
}

/// Host by host and family by family: a walk over everything that is old would pass what stays,
/// again at every call.
fn prune_some(
    conn: &Connection,
    until_ms: i64,
    wanted: &Wanted<'_>,
    after: i64,
) -> Result<Pruned, Fault> {
    let mut select =
        conn.prepare_cached("SELECT number FROM host WHERE number > ?1 ORDER BY number LIMIT ?2")?;
    let hosts = select.query_map([after, HOSTS_AT_ONCE], |r| r.get(0))?;
    let hosts: Vec<i64> = hosts.collect::<Result<_, _>>()?;
    let mut pruned = Pruned {
        // The last turn is followed by the first.
        last_host: match hosts.last() {
            Some(last) if hosts.len() == HOSTS_AT_ONCE as usize => *last,
            _ => i64::MIN,
        },
        ..Pruned::default()
    };
    let steps_ms = rollup::tiers(conn)?;
    for host in hosts.into_iter().filter(|host| !wanted.kept.contains(host)) {
        pruned.blocks += prune_host(conn, host, until_ms, wanted)?;
        for family in Family::ALL {
            let family = family as i64;
            for of in [family, family + DERIVED_FROM] {
                prune_steps(conn, (host, of, until_ms), &steps_ms, wanted)?;
            }
        }
        prune_steps(conn, (host, PRESENCE, until_ms), &steps_ms, wanted)?;
        if pruned.blocks as i64 >= BLOCKS_AT_ONCE {
            // Whoever comes first has more of it, perhaps: it is looked at again.
            pruned.last_host = host - 1;
            break;
        }
    }
    Ok(pruned)
}

/// The blocks of one host, each family for its time.
fn prune_host(
    conn: &Connection,
    host: i64,
    until_ms: i64,
    wanted: &Wanted<'_>,
) -> Result<usize, Fault> {
    let mut delete = conn.prepare_cached(&format!(
        "DELETE FROM block WHERE number IN
         (SELECT number FROM block WHERE host = ?3 AND family = ?4 AND end_ms < ?1 AND {ROLLED}
          ORDER BY end_ms LIMIT ?5)
         RETURNING host, end_ms"
    ))?;
    let mut dropped = 0;
    for family in Family::ALL {
        let family = family as i64;
        let kept_ms = wanted.keeping.samples_ms(family, wanted.samples_ms);
        let cutoff = until_ms.saturating_sub(kept_ms);
        let grace = cutoff.saturating_sub(UNROLLED_GRACE_MS);
        let room = BLOCKS_AT_ONCE - dropped as i64;
        let bounds = [cutoff, grace, host, family, room.max(0)];
        dropped += drop_blocks(conn, &mut delete, bounds)?;
    }
    Ok(dropped)
}

/// The steps of one family of a host, each tier for its time.
fn prune_steps(
    conn: &Connection,
    (host, family, until_ms): (i64, i64, i64),
    steps_ms: &[i64],
    wanted: &Wanted<'_>,
) -> Result<(), Fault> {
    let tiers = tiers_of(family, wanted.keeping);
    // What ends before has begun before: the index knows the latter.
    let mut delete = conn.prepare_cached(
        "DELETE FROM rollup WHERE number IN
         (SELECT number FROM rollup WHERE host = ?1 AND family = ?2 AND tier_ms = ?3
            AND start_ms < ?4 AND end_ms < ?4 ORDER BY start_ms LIMIT ?5)",
    )?;
    for step_ms in steps_ms {
        let cutoff = until_ms.saturating_sub(age_of(*step_ms, &tiers));
        delete.execute([host, family, *step_ms, cutoff, BLOCKS_AT_ONCE])?;
    }
    Ok(())
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
