//! Rollups: what a day of raw samples came to, kept longer than the samples.

pub(in crate::store) mod payload;
pub(in crate::store) mod roll;

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::super::error::Fault;
use super::super::types::Keeping;
use super::seal::HOLE_MS;
use super::series::FAMILIES;
use crate::series::presence::{PRESENCE_METRICS, PRESENCE_STEP_MS};

/// Days are UTC's.
pub(in crate::store) const DAY_MS: i64 = 86_400_000;

/// The family of a derived metric's rollup: this more than that of what it is computed from, so
/// that a question about CPU busy does not read what each mode of each CPU did.
pub(in crate::store) const DERIVED_FROM: i64 = 100;
/// The family of a host's presence, which all of its samples tell together.
pub(in crate::store) const PRESENCE: i64 = DERIVED_FROM;
/// What its lines are called; their label `run` counts the runs of an hour.
pub(in crate::store) const PRESENCE_NAME: &str = "hostwell_presence";

/// Steps of a day and longer share a row for so many days.
const DAYS_IN_A_ROW: i64 = 32;

/// Where the row that holds a moment begins and where the next one does.
pub(in crate::store) fn chunk_of(tier_ms: i64, time_ms: i64) -> (i64, i64) {
    let length_ms = match tier_ms < DAY_MS {
        true => DAY_MS,
        false => DAYS_IN_A_ROW * DAY_MS,
    };
    let start_ms = time_ms.div_euclid(length_ms) * length_ms;
    (start_ms, start_ms + length_ms)
}

/// The lengths of steps that there are.
pub(in crate::store) fn tiers(conn: &Connection) -> Result<Vec<i64>, Fault> {
    // One seek a length, however many rows there are.
    let mut select = conn.prepare_cached(
        "WITH RECURSIVE of (tier_ms) AS (
           SELECT min(tier_ms) FROM rollup
           UNION ALL SELECT (SELECT min(tier_ms) FROM rollup WHERE tier_ms > of.tier_ms)
           FROM of WHERE of.tier_ms IS NOT NULL)
         SELECT tier_ms FROM of WHERE tier_ms IS NOT NULL",
    )?;
    let rows = select.query_map([], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether steps are wanted of a family that has none of their length, though it has samples.
fn lacks_steps(conn: &Connection, wanted: &Keeping) -> Result<bool, Fault> {
    // A seek a host, however many rows there are.
    let mut rolled = conn.prepare_cached(
        "SELECT 1 FROM host WHERE EXISTS
           (SELECT 1 FROM rollup WHERE host = host.number AND family = ?1 AND tier_ms = ?2) LIMIT 1",
    )?;
    let mut sampled = conn.prepare_cached(
        "SELECT 1 FROM host WHERE EXISTS
           (SELECT 1 FROM block WHERE host = host.number AND family = ?1) LIMIT 1",
    )?;
    for (family, class) in &wanted.classes {
        let family = *family as i64;
        for tier in class.tiers.iter().flatten() {
            if !rolled.exists([family, tier.step_ms])? && sampled.exists([family])? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Marks every day that has samples where steps of a new length are wanted: what was rolled up
/// before knows nothing of them. Answers whether there were any.
pub(in crate::store) fn mark_for_new(conn: &Connection, wanted: &Keeping) -> Result<bool, Fault> {
    let known = tiers(conn)?;
    let is_new = wanted
        .tiers
        .iter()
        .any(|tier| !known.contains(&tier.step_ms));
    // Files of before presence was rolled up have none; nor have hosts that tell no presence.
    let presence = conn
        .prepare_cached("SELECT 1 FROM rollup WHERE family = ?1 AND tier_ms = ?2 LIMIT 1")?
        .exists([PRESENCE, PRESENCE_STEP_MS])?;
    let mut told = conn.prepare_cached("SELECT 1 FROM metric WHERE name = ?1")?;
    let mut lacks_presence = false;
    for metric in PRESENCE_METRICS {
        lacks_presence |= !presence && told.exists([metric])?;
    }
    if known.is_empty() || !(lacks_presence || is_new || lacks_steps(conn, wanted)?) {
        return Ok(false);
    }
    conn.execute(
        "WITH RECURSIVE span(host, day, last) AS (
           SELECT DISTINCT host, (start_ms - ((start_ms % ?1) + ?1) % ?1) / ?1,
                  (end_ms - ((end_ms % ?1) + ?1) % ?1) / ?1
           FROM block INDEXED BY block_of
           UNION
           SELECT host, day + 1, last FROM span WHERE day < last
         )
         INSERT OR IGNORE INTO unrolled (host, day) SELECT host, day FROM span",
        [DAY_MS],
    )?;
    Ok(true)
}

/// A host, and its declared interval.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Whose {
    pub host: i64,
    pub interval_ms: i64,
}

/// Every day of a host that has rollups, is not marked, and has samples to compute them from anew.
pub(in crate::store) fn recomputable<'a>(
    conn: &Connection,
    Whose { host, interval_ms }: Whose,
    keeping: &'a Keeping,
) -> Result<Vec<roll::Task<'a>>, Fault> {
    let mut oldest =
        conn.prepare_cached("SELECT min(start_ms) FROM block WHERE host = ?1 AND family = ?2")?;
    let mut since: Option<i64> = None;
    for family in FAMILIES {
        let start: Option<i64> = oldest.query_row([host, family], |r| r.get(0))?;
        since = since.into_iter().chain(start).min();
    }
    let Some(since) = since else {
        return Ok(Vec::new());
    };
    let mut select = conn.prepare_cached(
        "SELECT DISTINCT start_ms / ?3 FROM rollup WHERE host = ?1 AND tier_ms < ?3
           AND start_ms >= ?2
         EXCEPT SELECT day FROM unrolled WHERE host = ?1 ORDER BY 1",
    )?;
    let first_ms = since.div_euclid(DAY_MS) * DAY_MS;
    let days = select.query_map([host, first_ms, DAY_MS], |r| r.get(0))?;
    let task = |day| roll::Task {
        due: roll::Due { host, day },
        interval_ms,
        keeping,
        // What was dropped of the oldest day went with its blocks.
        raw_since_ms: first_ms + DAY_MS,
        now_ms: None,
    };
    Ok(days.map(|day| day.map(task)).collect::<Result<_, _>>()?)
}

/// Notes that a family's samples in a stretch changed: its days are rolled up again. Goes into the
/// transaction that seals them, behind the blocks. The first samples after a day change that day
/// too: what a counter grew between two samples belongs to the older one.
pub(in crate::store) fn mark(
    conn: &Connection,
    (host, family): (i64, i64),
    (start_ms, end_ms): (i64, i64),
) -> Result<(), Fault> {
    let mut days: BTreeSet<i64> =
        (start_ms.div_euclid(DAY_MS)..=end_ms.div_euclid(DAY_MS)).collect();
    days.extend(day_before(conn, (host, family), start_ms)?);
    let mut insert =
        conn.prepare_cached("INSERT OR IGNORE INTO unrolled (host, day) VALUES (?1, ?2)")?;
    for day in days {
        insert.execute([host, day])?;
    }
    Ok(())
}

/// The day whose last pairs may end with a family's samples from `start_ms` on, when it is another.
pub(in crate::store) fn day_before(
    conn: &Connection,
    (host, family): (i64, i64),
    start_ms: i64,
) -> Result<Option<i64>, Fault> {
    let midnight_ms = start_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS);
    // As far behind the day as it was looked for samples, and a hole within a block (see `roll`).
    let near_ms = start_ms.saturating_sub(2 * HOLE_MS);
    let earlier = conn
        .prepare_cached(
            "SELECT 1 FROM (SELECT start_ms FROM block WHERE host = ?1 AND family = ?2
               AND end_ms >= ?3 ORDER BY end_ms LIMIT 16) WHERE max(start_ms, ?3) < ?4",
        )?
        .exists(params![host, family, midnight_ms, near_ms])?;
    if earlier {
        return Ok(None);
    }
    let before: Option<i64> = conn
        .prepare_cached(
            "SELECT max(end_ms) FROM block WHERE host = ?1 AND family = ?2 AND end_ms < ?3",
        )?
        .query_row(params![host, family, midnight_ms], |r| r.get(0))?;
    Ok(before.map(|ms| ms.div_euclid(DAY_MS)))
}
