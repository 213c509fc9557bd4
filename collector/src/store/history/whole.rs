//! What all samples of each series in a range come to, as one: means and extremes of a fleet.
//!
//! A sealed block says beside it what its gauges come to, so only the edges of the range and what is
//! not sealed are read sample by sample. Where a batch that waits overlaps a block it may repeat
//! samples of it, and the block is read too; so are blocks of hosts that are made of several, and of
//! those that were sealed before totals were kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::Connection;

use super::super::error::Fault;
use super::super::types::{Chosen, WindowQuery};
use super::head::Entry;
use super::seal::Passed;
use super::series::SeriesRow;
use super::total;
use super::window::{self, Ask, Part, Room, Source};
use crate::series::{Kind, Series, SeriesName, Total, Whole, Window};

/// One window for each ask, in the same order: each series that is chosen and has samples in the
/// range has one, at the range's beginning, which is what is asked of all of them.
pub(in crate::store) fn read(
    from: Source<'_>,
    asks: Vec<Ask>,
    (query, chosen, asked): (&WindowQuery, &Chosen, Whole),
    room: &Room,
) -> Result<Vec<Window>, Fault> {
    let (moment, recent) = window::begin(from, &asks, (query.from_ms, query.to_ms))?;
    let mut windows = Vec::with_capacity(asks.len());
    for ask in asks {
        let of = (&ask, query, Some(chosen));
        let parts = window::parts(&moment, from.names, of, &recent)?;
        let totals = match parts.as_slice() {
            [part] if asked.is_told() && is_all_gauges(part) => {
                told(&moment, part, (query.from_ms, query.to_ms), asked)?
            }
            _ => Told::default(),
        };
        let rest = window::of_parts(&moment, ask, parts, (query, room, &totals.passed))?;
        windows.push(joined(rest, totals.by_name, asked));
    }
    Ok(windows)
}

fn is_all_gauges(part: &Part<'_>) -> bool {
    part.rows.iter().all(|row| row.kind == Kind::Gauge)
}

/// What blocks told without being read.
#[derive(Default)]
struct Told {
    passed: Passed,
    by_name: HashMap<Arc<SeriesName>, Total>,
}

/// Adds up what the blocks that lie within the range say.
fn told(
    conn: &Connection,
    part: &Part<'_>,
    (from_ms, to_ms): (i64, i64),
    asked: Whole,
) -> Result<Told, Fault> {
    let tells = |total: &Option<Total>| {
        let enough = |total: &Total| total.trend.is_some() || !asked.needs_trend();
        total.as_ref().is_some_and(enough)
    };
    let mut select = conn.prepare_cached(
        "SELECT b.number, b.start_ms, b.end_ms, t.crc32c, t.payload
         FROM block AS b INDEXED BY block_of JOIN total AS t ON t.block = b.number
         WHERE b.host = ?1 AND b.family = ?2 AND b.end_ms BETWEEN ?3 AND ?4 AND b.start_ms >= ?3",
    )?;
    let by_id: HashMap<i64, &SeriesRow> = part.rows.iter().map(|row| (row.id, row)).collect();
    let families: BTreeSet<i64> = part.rows.iter().map(|row| row.family).collect();
    let mut told = Told::default();
    for family in families {
        let mut rows = select.query([part.number, family, from_ms, to_ms])?;
        while let Some(r) = rows.next()? {
            if overlaps(part.fresh, (r.get(1)?, r.get(2)?)) {
                continue;
            }
            let number = r.get(0)?;
            let payload = r.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
            total::verified(number, r.get(3)?, payload)?;
            let mut totals = total::decode(payload)?;
            totals.retain(|(id, _)| by_id.contains_key(id));
            if !totals.iter().all(|(_, total)| tells(total)) {
                continue;
            }
            told.passed.insert(number);
            for (id, total) in totals {
                let (Some(row), Some(total)) = (by_id.get(&id), total) else {
                    continue;
                };
                let all = told.by_name.entry(Arc::clone(&row.name));
                all.and_modify(|all| all.merge(&total)).or_insert(total);
            }
        }
    }
    Ok(told)
}

/// Whether what waits may repeat samples of a stretch.
fn overlaps(fresh: &[Arc<Entry>], (start_ms, end_ms): (i64, i64)) -> bool {
    let touches = |entry: &Arc<Entry>| entry.start_ms <= end_ms && entry.end_ms >= start_ms;
    fresh.iter().any(touches)
}

/// The samples that were read and what was told, as one sample a series.
fn joined(rest: Window, mut told: HashMap<Arc<SeriesName>, Total>, asked: Whole) -> Window {
    let range = (rest.from_ms, rest.to_ms);
    let mut found = Vec::new();
    for series in &rest.series {
        let read = match told.remove(&series.name) {
            Some(mut all) => Total::of(&series.times_ms, &series.values).and_then(|read| {
                all.merge(&read);
                all.value(asked, range.1)
            }),
            None => asked.of(series, range, rest.interval_ms),
        };
        found.extend(read.map(|value| (series.name.clone(), value)));
    }
    let only_told = told.into_iter();
    found.extend(only_told.filter_map(|(name, total)| {
        let value = total.value(asked, range.1)?;
        Some((Arc::unwrap_or_clone(name), value))
    }));
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let series = found.into_iter().map(|(name, value)| Series {
        name,
        kind: Kind::Gauge,
        times_ms: vec![rest.from_ms],
        values: vec![value],
    });
    Window {
        series: series.collect(),
        ..rest
    }
}
