//! What is known of a host before anything is read for an answer.

use std::collections::{BTreeSet, HashMap};

use hostwell_proto::metric::{Family, Metric};
use rusqlite::Connection;

use super::super::super::error::Fault;
use super::super::super::types::AggregateQuery;
use super::super::budget;
use super::super::head::Head;
use super::super::rollup::{DAY_MS, DERIVED_FROM, day_before};
use super::super::seal::HOLE_MS;
use super::super::series::{self, FAMILIES, SeriesRow};
use super::super::window::{Ask, Source};
use super::plan::joined;
use crate::series::{Kind, derived};

/// Where a host's samples begin, and where its rollups do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// The oldest sample.
    pub(super) raw_since_ms: i64,
    /// Where the disk budget stopped taking samples, if that is later.
    pub(super) whole_since_ms: i64,
    /// The oldest day that was rolled up.
    pub(super) rolled_since_ms: i64,
}

impl Past {
    fn of(
        conn: &Connection,
        head: Option<&Head>,
        ask: &Ask,
        families: &[(i64, i64)],
        tiers: &[i64],
    ) -> Result<Past, Fault> {
        // Not that of the block that ends first: late data may begin before it and end behind it.
        let mut raw =
            conn.prepare_cached("SELECT min(start_ms) FROM block WHERE host = ?1 AND family = ?2")?;
        let mut journal =
            conn.prepare_cached("SELECT min(start_ms) FROM waiting WHERE host = ?1")?;
        let mut rolled = conn.prepare_cached(
            "SELECT min(start_ms) FROM rollup WHERE host = ?1 AND family = ?2 AND tier_ms = ?3",
        )?;
        let (mut raw_since, mut rolled_since) = (Vec::new(), Vec::new());
        for number in &ask.numbers {
            let waiting: Option<i64> = match head {
                Some(head) => head.oldest(*number),
                None => journal.query_row([number], |r| r.get(0))?,
            };
            raw_since.extend(waiting);
            for (blocks, rollups) in families {
                raw_since.extend(raw.query_row([number, blocks], |r| r.get::<_, Option<i64>>(0))?);
                for step_ms in tiers.iter().filter(|step_ms| **step_ms < DAY_MS) {
                    let row = [number, rollups, step_ms];
                    rolled_since.extend(rolled.query_row(row, |r| r.get::<_, Option<i64>>(0))?);
                }
            }
        }
        let raw_since_ms = raw_since.into_iter().min().unwrap_or(i64::MAX);
        let whole_since_ms = match ask.kept {
            true => raw_since_ms,
            false => raw_since_ms.max(budget::samples_until(conn)?),
        };
        Ok(Past {
            raw_since_ms,
            whole_since_ms,
            rolled_since_ms: rolled_since.into_iter().min().unwrap_or(i64::MAX),
        })
    }

    /// The moment before which samples are gone, where they are for a range that begins there.
    pub(super) fn gone_before(&self, from_ms: i64) -> Option<i64> {
        let first_day_ms = day_of(self.whole_since_ms).saturating_mul(DAY_MS);
        (from_ms < self.whole_since_ms && self.rolled_since_ms < first_day_ms)
            .then_some(self.whole_since_ms)
    }
}

/// Since when hosts have samples, where what was before is only known by rollups.
pub(in crate::store) fn samples_since(
    conn: &Connection,
    head: Option<&Head>,
    ask: &Ask,
    tiers: &[i64],
) -> Result<Option<i64>, Fault> {
    let families: Vec<(i64, i64)> = FAMILIES.map(|family| (family, family)).collect();
    let past = Past::of(conn, head, ask, &families, tiers)?;
    Ok(past.gone_before(i64::MIN))
}

/// What is known of one host before anything is read.
pub(super) struct Host<'a> {
    pub(super) ask: &'a Ask,
    /// The series that are stored, by number and id.
    pub(super) rows: HashMap<i64, Vec<SeriesRow>>,
    /// Which blocks hold the metric, or what it is derived from, …
    pub(super) blocks: i64,
    /// … and which rollups.
    pub(super) family: i64,
    pub(super) kind: Kind,
    /// Days with samples that no rollup knows of.
    pub(super) fresh: BTreeSet<i64>,
    pub(super) past: Past,
}

/// The day of a moment, counted from the Unix epoch.
pub(in crate::store) fn day_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(DAY_MS)
}

impl<'a> Host<'a> {
    pub(super) fn of(
        from: Source<'_>,
        ask: &'a Ask,
        (query, tiers): (&AggregateQuery, &[i64]),
    ) -> Result<Option<Host<'a>>, Fault> {
        let Source { conn, head, names } = from;
        let inputs = derived::inputs(&query.metric);
        let (mut rows, mut stored) = (HashMap::new(), Vec::new());
        let mut fresh = BTreeSet::new();
        for number in &ask.numbers {
            let of = series::of_host(conn, names, *number, std::slice::from_ref(&query.metric))?;
            stored.extend(of.iter().map(|r| (r.family, r.kind)));
            rows.insert(*number, of);
        }
        let catalogued = Metric::by_name(&query.metric).map(|m| m.descriptor());
        let (family, kind) = match (stored.first(), catalogued) {
            (Some(found), _) if inputs.is_empty() => *found,
            (_, Some(row)) if !inputs.is_empty() => (row.family as i64 + DERIVED_FROM, row.kind),
            (_, Some(row)) => (row.family as i64, row.kind),
            (_, None) => return Ok(None),
        };
        let blocks = match family {
            derived if derived > DERIVED_FROM => derived - DERIVED_FROM,
            family if (1..=Family::Other as i64).contains(&family) => family,
            _ => return Ok(None),
        };
        for number in &ask.numbers {
            let range = (query.grid.from_ms, query.grid.to_ms);
            fresh.extend(unrolled(conn, head, (*number, Some(blocks)), range)?);
        }
        Ok(Some(Host {
            ask,
            rows,
            blocks,
            family,
            kind,
            fresh,
            past: Past::of(conn, head, ask, &[(blocks, family)], tiers)?,
        }))
    }

    /// Whether samples of a stretch may be there.
    pub(super) fn has_samples(&self, end_ms: i64) -> bool {
        end_ms > self.past.raw_since_ms
    }

    /// Whether rollups of any length know of a day.
    pub(super) fn is_rolled(
        &self,
        conn: &Connection,
        day: i64,
        tiers: &[i64],
    ) -> Result<bool, Fault> {
        let mut there = conn.prepare_cached(
            "SELECT 1 FROM rollup WHERE host = ?1 AND family = ?2 AND tier_ms = ?3 AND start_ms = ?4",
        )?;
        for step_ms in tiers.iter().filter(|step_ms| **step_ms < DAY_MS) {
            for number in &self.ask.numbers {
                if there.exists([*number, self.family, *step_ms, day * DAY_MS])? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Days of a host number that are marked, or have batches that are not sealed; with a family also
/// the days whose last pairs end with these.
pub(in crate::store) fn unrolled(
    conn: &Connection,
    head: Option<&Head>,
    (number, family): (i64, Option<i64>),
    (from_ms, to_ms): (i64, i64),
) -> Result<BTreeSet<i64>, Fault> {
    // First what is not sealed: sealing marks the days before it takes the batches away.
    let mut spans: Vec<(i64, i64)> = match head {
        Some(head) => {
            let entries = head.entries(number, i64::MIN, i64::MAX);
            entries.iter().map(|e| (e.start_ms, e.end_ms)).collect()
        }
        None => {
            let mut select =
                conn.prepare_cached("SELECT start_ms, end_ms FROM waiting WHERE host = ?1")?;
            let rows = select.query_map([number], |r| Ok((r.get(0)?, r.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        }
    };
    let mut select = conn.prepare_cached("SELECT day FROM unrolled WHERE host = ?1")?;
    let days = select.query_map([number], |r| r.get(0))?;
    let mut days: BTreeSet<i64> = days.collect::<Result<_, _>>()?;
    spans.sort_unstable();
    for (start_ms, end_ms) in joined(&spans, HOLE_MS) {
        days.extend(day_of(start_ms.max(from_ms))..=day_of(end_ms.min(to_ms)));
        if let Some(family) = family {
            days.extend(day_before(conn, (number, family), start_ms)?);
        }
    }
    Ok(days)
}
