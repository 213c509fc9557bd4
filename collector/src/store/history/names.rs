//! What series are called: a metric and a set of labels, each stored once for all hosts.
//!
//! Every row counts the series that use it and goes with the last one; its id never means anything
//! else. So what was read once holds for good, and is kept parsed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use hostwell_proto::metric::{Family, Metric};
use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::Fault;
use crate::series::{Kind, SeriesName};

/// Most names kept parsed; beyond it all are read anew.
const NAMES_MAX: usize = 100_000;

/// Where a name is stored: the ids of its metric and of its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) struct NameId {
    pub metric: i64,
    pub labels: i64,
}

/// What is known of a series by its name alone.
#[derive(Clone, Debug)]
pub(in crate::store) struct Named {
    pub name: Arc<SeriesName>,
    pub kind: Kind,
    pub family: i64,
}

/// Names that were read, parsed. Kept from one question to the next only by the handle that writes: a
/// file that somebody else brings forward from before format 4, or replaces, gives ids another meaning.
#[derive(Debug, Default)]
pub(in crate::store) struct Names(RwLock<HashMap<NameId, Named>>);

impl Names {
    /// What these are called, in the same order. None where the name is gone: whoever asked saw
    /// the series before it was forgotten.
    pub(in crate::store) fn of(
        &self,
        conn: &Connection,
        ids: impl Iterator<Item = NameId>,
    ) -> Result<Vec<Option<Named>>, Fault> {
        let mut missing = Vec::new();
        let mut found: Vec<Option<Named>> = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let look = |(at, id): (usize, NameId)| {
                let named = known.get(&id).cloned();
                if named.is_none() {
                    missing.push((at, id));
                }
                named
            };
            ids.enumerate().map(look).collect()
        };
        if missing.is_empty() {
            return Ok(found);
        }
        for (at, id) in &missing {
            found[*at] = read(conn, *id)?;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + missing.len() > NAMES_MAX {
            known.clear();
        }
        for (at, id) in missing {
            known.extend(found[at].clone().map(|named| (id, named)));
        }
        Ok(found)
    }
}

fn read(conn: &Connection, id: NameId) -> Result<Option<Named>, Fault> {
    let metric = conn
        .prepare_cached("SELECT name, kind, family FROM metric WHERE id = ?1")?
        .query_row([id.metric], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()?;
    let labels: Option<String> = conn
        .prepare_cached("SELECT text FROM labels WHERE id = ?1")?
        .query_row([id.labels], |r| r.get(0))
        .optional()?;
    let (Some((metric, kind, family)), Some(labels)) = (metric, labels) else {
        return Ok(None);
    };
    let kind: String = kind;
    let name = SeriesName {
        metric,
        labels: labels_of(&labels, id.labels)?,
    };
    Ok(Some(Named {
        name: Arc::new(name),
        kind: kind_of(&kind, id.metric)?,
        family,
    }))
}

fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    }
}

/// The kind a metric's row tells.
pub(in crate::store) fn kind_of(text: &str, id: i64) -> Result<Kind, Fault> {
    match text {
        "counter" => Ok(Kind::Counter),
        "gauge" => Ok(Kind::Gauge),
        other => Err(Fault::damaged(format!("metric {id} is of kind {other:?}"))),
    }
}

/// Labels as they are stored.
pub(in crate::store) fn labels_text(name: &SeriesName) -> String {
    let labels: BTreeMap<&str, &str> = name
        .labels
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    serde_json::to_string(&labels).unwrap_or_default()
}

/// The labels that a row tells, by name.
pub(in crate::store) fn labels_of(text: &str, id: i64) -> Result<Vec<(String, String)>, Fault> {
    let labels: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|e| Fault::damaged(format!("labels {id}: {e}")))?;
    Ok(labels.into_iter().collect())
}

/// The highest id of a table that was given out.
pub(in crate::store) fn last_given(conn: &Connection, what: &str) -> Result<i64, Fault> {
    let mut select = conn.prepare_cached("SELECT last FROM given WHERE what = ?1")?;
    Ok(select.query_row([what], |r| r.get(0))?)
}

/// Notes that ids up to this one are given out.
pub(in crate::store) fn give(conn: &Connection, what: &str, last: i64) -> Result<(), Fault> {
    let mut update = conn.prepare_cached("UPDATE given SET last = ?2 WHERE what = ?1")?;
    update.execute(params![what, last])?;
    Ok(())
}

/// Where the name of one more series is stored, from now on if need be.
pub(in crate::store) fn take(
    conn: &Connection,
    name: &SeriesName,
    kind: Kind,
) -> Result<NameId, Fault> {
    let family = Metric::by_name(&name.metric).map_or(Family::Other, |m| m.descriptor().family);
    let metric = params![name.metric, kind_text(kind), family as u8];
    let known = conn
        .prepare_cached(
            "UPDATE metric SET uses = uses + 1 WHERE name = ?1 AND kind = ?2 AND family = ?3
             RETURNING id",
        )?
        .query_row(metric, |r| r.get(0))
        .optional()?;
    let metric = match known {
        Some(id) => id,
        None => {
            let id = last_given(conn, "metric")? + 1;
            conn.prepare_cached(
                "INSERT INTO metric (name, kind, family, uses, id) VALUES (?1, ?2, ?3, 1, ?4)",
            )?
            .execute(params![name.metric, kind_text(kind), family as u8, id])?;
            give(conn, "metric", id)?;
            id
        }
    };
    let text = labels_text(name);
    let known = conn
        .prepare_cached("UPDATE labels SET uses = uses + 1 WHERE text = ?1 RETURNING id")?
        .query_row([&text], |r| r.get(0))
        .optional()?;
    let labels = match known {
        Some(id) => id,
        None => {
            let id = last_given(conn, "labels")? + 1;
            conn.prepare_cached("INSERT INTO labels (text, uses, id) VALUES (?1, 1, ?2)")?
                .execute(params![text, id])?;
            give(conn, "labels", id)?;
            id
        }
    };
    Ok(NameId { metric, labels })
}

/// One series less is called so.
pub(in crate::store) fn release(conn: &Connection, name: NameId) -> Result<(), Fault> {
    for (fewer, remove, id) in [
        (
            "UPDATE metric SET uses = uses - 1 WHERE id = ?1",
            "DELETE FROM metric WHERE id = ?1 AND uses < 1",
            name.metric,
        ),
        (
            "UPDATE labels SET uses = uses - 1 WHERE id = ?1",
            "DELETE FROM labels WHERE id = ?1 AND uses < 1",
            name.labels,
        ),
    ] {
        conn.prepare_cached(fewer)?.execute([id])?;
        conn.prepare_cached(remove)?.execute([id])?;
    }
    Ok(())
}
