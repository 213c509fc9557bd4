//! Series of a host: name ↔ the store's id. An id never means another series.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hostwell_proto::metric::Family;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::error::{Fault, StoreError};
use super::names::{self, NameId, Names};
use super::newest;
use crate::series::{Kind, SeriesName};

/// Every family there is: see [`Family`].
pub(in crate::store) const FAMILIES: std::ops::RangeInclusive<i64> =
    Family::Cpu as i64..=Family::Other as i64;

/// A series of a host.
#[derive(Clone, Debug)]
pub(in crate::store) struct SeriesRow {
    pub id: i64,
    pub family: i64,
    pub name: Arc<SeriesName>,
    pub kind: Kind,
}

/// The id of a series that is known already.
pub(in crate::store) fn find(
    conn: &Connection,
    host: i64,
    name: &SeriesName,
) -> Result<Option<i64>, Fault> {
    Ok(conn
        .prepare_cached(
            "SELECT id FROM named WHERE host = ?1 AND name = ?2
               AND labels = (SELECT id FROM labels WHERE text = ?3)",
        )?
        .query_row(params![host, name.metric, names::labels_text(name)], |r| {
            r.get(0)
        })
        .optional()?)
}

/// The ids of all names, new ones added; all or none, within the host's limit.
pub(in crate::store) fn find_or_add(
    conn: &Connection,
    host: i64,
    names: &[(SeriesName, Kind)],
    per_host_max: usize,
) -> Result<Vec<i64>, Fault> {
    let known: i64 = conn
        .prepare_cached("SELECT count(*) FROM series WHERE host = ?1")?
        .query_row([host], |r| r.get(0))?;
    let room = per_host_max.saturating_sub(known as usize);
    let mut last = names::last_given(conn, "series")?;
    let mut added: HashMap<&SeriesName, i64> = HashMap::new();
    let mut rows = Vec::new();
    let mut ids = Vec::with_capacity(names.len());
    for (name, kind) in names {
        let found = match added.get(name) {
            Some(id) => Some(*id),
            None if known == 0 => None,
            None => find(conn, host, name)?,
        };
        if let Some(id) = found {
            ids.push(id);
            continue;
        }
        if rows.len() >= room {
            return Err(StoreError::Limit {
                what: "series of one host",
                got: per_host_max as u64 + 1,
                max: per_host_max as u64,
                remedy: "exclude devices on the agent, or raise the collector's limit",
            }
            .into());
        }
        last += 1;
        rows.push((names::take(conn, name, *kind)?, last));
        added.insert(name, last);
        ids.push(last);
    }
    // In the order of the table its pages are filled to the end.
    rows.sort_unstable();
    let mut add = conn
        .prepare_cached("INSERT INTO series (host, metric, labels, id) VALUES (?1, ?2, ?3, ?4)")?;
    for (name, id) in &rows {
        add.execute([host, name.metric, name.labels, *id])?;
    }
    if !rows.is_empty() {
        names::give(conn, "series", last)?;
    }
    Ok(ids)
}

/// Forgets a host's series of which it is said so, and what nobody is called any more; answers
/// how many.
pub(in crate::store) fn forget(
    conn: &Connection,
    host: i64,
    gone: impl Fn(i64) -> bool,
) -> Result<usize, Fault> {
    let mut all: Vec<(i64, NameId)> = stored(conn, host)?;
    all.retain(|(id, _)| gone(*id));
    newest::forget(conn, host)?;
    let mut delete =
        conn.prepare_cached("DELETE FROM series WHERE host = ?1 AND metric = ?2 AND labels = ?3")?;
    for (_, name) in &all {
        delete.execute([host, name.metric, name.labels])?;
        names::release(conn, *name)?;
    }
    Ok(all.len())
}

fn row(r: &Row<'_>) -> rusqlite::Result<(i64, NameId)> {
    let name = NameId {
        metric: r.get(1)?,
        labels: r.get(2)?,
    };
    Ok((r.get(0)?, name))
}

fn stored(conn: &Connection, host: i64) -> Result<Vec<(i64, NameId)>, Fault> {
    let mut all = conn.prepare_cached("SELECT id, metric, labels FROM series WHERE host = ?1")?;
    let rows = all.query_map([host], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A host's series, all or those of some metrics.
pub(in crate::store) fn of_host(
    conn: &Connection,
    names: &Names,
    host: i64,
    metrics: &[String],
) -> Result<Vec<SeriesRow>, Fault> {
    let mut found = Vec::new();
    if metrics.is_empty() {
        found = stored(conn, host)?;
    } else {
        let mut some = conn
            .prepare_cached("SELECT id, metric, labels FROM named WHERE host = ?1 AND name = ?2")?;
        let wanted: BTreeSet<&String> = metrics.iter().collect();
        for metric in wanted {
            for one in some.query_map(params![host, metric], row)? {
                found.push(one?);
            }
        }
    }
    let called = names.of(conn, found.iter().map(|(_, name)| *name))?;
    let rows = found.into_iter().zip(called);
    Ok(rows
        .filter_map(|((id, _), called)| {
            called.map(|named| SeriesRow {
                id,
                family: named.family,
                name: named.name,
                kind: named.kind,
            })
        })
        .collect())
}
