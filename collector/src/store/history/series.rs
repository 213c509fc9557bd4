//! Series of a host: name ↔ the store's id. An id never means another series.

use std::collections::BTreeMap;

use hostwell_proto::metric::{Family, Metric};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::error::{Fault, StoreError};
use crate::series::{Kind, SeriesName};

/// Every family there is: see [`Family`].
pub(in crate::store) const FAMILIES: std::ops::RangeInclusive<i64> =
    Family::Cpu as i64..=Family::Other as i64;

/// A row of the `series` table.
#[derive(Clone, Debug)]
pub(in crate::store) struct SeriesRow {
    pub id: i64,
    pub family: i64,
    pub name: SeriesName,
    pub kind: Kind,
}

fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    }
}

fn labels_text(name: &SeriesName) -> String {
    let labels: BTreeMap<&str, &str> = name
        .labels
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    serde_json::to_string(&labels).unwrap_or_default()
}

/// The id of a series that is known already.
pub(in crate::store) fn find(
    conn: &Connection,
    host: i64,
    name: &SeriesName,
) -> Result<Option<i64>, Fault> {
    Ok(conn
        .prepare_cached("SELECT id FROM series WHERE host = ?1 AND metric = ?2 AND labels = ?3")?
        .query_row(params![host, name.metric, labels_text(name)], |r| r.get(0))
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
    let mut room = per_host_max.saturating_sub(known as usize);
    let mut add = conn.prepare_cached(
        "INSERT INTO series (host, metric, labels, kind, family) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut ids = Vec::with_capacity(names.len());
    for (name, kind) in names {
        if let Some(id) = find(conn, host, name)? {
            ids.push(id);
            continue;
        }
        if room == 0 {
            return Err(StoreError::Limit {
                what: "series of one host",
                got: per_host_max as u64 + 1,
                max: per_host_max as u64,
                remedy: "exclude devices on the agent, or raise the collector's limit",
            }
            .into());
        }
        room -= 1;
        let family = Metric::by_name(&name.metric).map_or(Family::Other, |m| m.descriptor().family);
        let labels = labels_text(name);
        add.execute(params![
            host,
            name.metric,
            labels,
            kind_text(*kind),
            family as u8
        ])?;
        ids.push(conn.last_insert_rowid());
    }
    Ok(ids)
}

fn row(r: &Row<'_>) -> rusqlite::Result<(i64, i64, String, String, String)> {
    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
}

/// A host's series, all or those of some metrics.
pub(in crate::store) fn of_host(
    conn: &Connection,
    host: i64,
    metrics: &[String],
) -> Result<Vec<SeriesRow>, Fault> {
    const COLUMNS: &str = "SELECT id, family, metric, labels, kind FROM series WHERE host = ?1";
    let mut rows = Vec::new();
    if metrics.is_empty() {
        let mut all = conn.prepare_cached(COLUMNS)?;
        for found in all.query_map([host], row)? {
            rows.push(series_row(found?)?);
        }
    } else {
        let mut some = conn.prepare_cached(&format!("{COLUMNS} AND metric = ?2"))?;
        let wanted: std::collections::BTreeSet<&String> = metrics.iter().collect();
        for metric in wanted {
            for found in some.query_map(params![host, metric], row)? {
                rows.push(series_row(found?)?);
            }
        }
    }
    Ok(rows)
}

fn series_row(
    (id, family, metric, labels, kind): (i64, i64, String, String, String),
) -> Result<SeriesRow, Fault> {
    let labels: BTreeMap<String, String> = serde_json::from_str(&labels)
        .map_err(|e| Fault::damaged(format!("labels of series {id}: {e}")))?;
    let kind = match kind.as_str() {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        other => return Err(Fault::damaged(format!("series {id} is of kind {other:?}"))),
    };
    let name = SeriesName {
        metric,
        labels: labels.into_iter().collect(),
    };
    Ok(SeriesRow {
        id,
        family,
        name,
        kind,
    })
}
