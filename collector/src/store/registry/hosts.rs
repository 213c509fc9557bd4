//! Hosts: who introduced itself, what it is called, what it is part of.

use std::collections::{BTreeMap, HashMap, HashSet};

use hostwell_proto::id::HostId;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::error::{Fault, StoreError};
use super::super::types::{Greeting, HostFacts, HostRecord};

/// A row of the `host` table.
#[derive(Clone, Debug)]
pub(in crate::store) struct HostRow {
    pub number: i64,
    pub id: String,
    pub name: String,
    pub interval_ms: i64,
    pub facts: HostFacts,
    pub agent_labels: BTreeMap<String, String>,
    pub operator_labels: BTreeMap<String, String>,
    pub first_seen_ms: i64,
    pub greeted_ms: i64,
    pub clock_skew_ms: i64,
    pub retired_ms: Option<i64>,
    pub merged_into: Option<i64>,
    pub merged_ms: Option<i64>,
    pub kept: bool,
}

fn json<T: DeserializeOwned>(text: &str, number: i64) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|e| Fault::damaged(format!("host {number}: {e}")))
}

/// A value as the text of a JSON column.
pub(super) fn text<T: Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|e| {
        StoreError::Io {
            doing: "write a host",
            source: e.into(),
        }
        .into()
    })
}

const COLUMNS: &str = "SELECT number, id, name, interval_ms, facts, agent_labels, operator_labels,
    first_seen_ms, greeted_ms, clock_skew_ms, retired_ms, merged_into, merged_ms, kept FROM host";

fn host_row(r: &Row<'_>) -> Result<HostRow, Fault> {
    let number = r.get(0)?;
    Ok(HostRow {
        number,
        id: r.get(1)?,
        name: r.get(2)?,
        interval_ms: r.get(3)?,
        facts: json(&r.get::<_, String>(4)?, number)?,
        agent_labels: json(&r.get::<_, String>(5)?, number)?,
        operator_labels: json(&r.get::<_, String>(6)?, number)?,
        first_seen_ms: r.get(7)?,
        greeted_ms: r.get(8)?,
        clock_skew_ms: r.get(9)?,
        retired_ms: r.get(10)?,
        merged_into: r.get(11)?,
        merged_ms: r.get(12)?,
        kept: r.get(13)?,
    })
}

fn select(conn: &Connection, rest: &str, only: Option<i64>) -> Result<Vec<HostRow>, Fault> {
    let mut select = conn.prepare_cached(&format!("{COLUMNS} {rest}"))?;
    let mut rows = select.query(params_from_iter(only))?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(host_row(r)?);
    }
    Ok(found)
}

/// Every row, merged ones too, by name.
pub(in crate::store) fn all(conn: &Connection) -> Result<Fleet, Fault> {
    Fleet::new(conn, select(conn, "ORDER BY name, number", None)?, None)
}

/// Only the host that stands for a number and what is merged into it: a greeting costs the same
/// in a small fleet and in a large one.
pub(in crate::store) fn around(conn: &Connection, number: i64) -> Result<Fleet, Fault> {
    let one = |number: i64| select(conn, "WHERE number = ?1", Some(number));
    let mut rows = one(number)?;
    let mut climbed = vec![number];
    while let Some(into) = rows.first().and_then(|h| h.merged_into)
        && !climbed.contains(&into)
    {
        climbed.push(into);
        rows = one(into)?;
    }
    let mut at = 0;
    while let Some(parent) = rows.get(at).map(|h| h.number) {
        let parts = select(conn, "WHERE merged_into = ?1", Some(parent))?;
        rows.extend(
            parts
                .into_iter()
                .filter(|p| p.number != climbed[climbed.len() - 1]),
        );
        at += 1;
    }
    let numbers: Vec<i64> = rows.iter().map(|h| h.number).collect();
    Fleet::new(conn, rows, Some(&numbers))
}

/// Hosts at one moment, with who is part of whom.
#[derive(Clone, Debug)]
pub(in crate::store) struct Fleet {
    rows: Vec<HostRow>,
    places: HashMap<i64, usize>,
    /// Places of the hosts that stand.
    named: HashMap<String, usize>,
    /// Direct parts of a host, the earlier merged first.
    parts: HashMap<i64, Vec<i64>>,
    refusals: HashMap<i64, Vec<(String, u64)>>,
}

fn refusals(
    conn: &Connection,
    only: Option<i64>,
) -> Result<HashMap<i64, Vec<(String, u64)>>, Fault> {
    const COLUMNS: &str = "SELECT host, reason, count FROM refusal";
    let mut select = conn.prepare_cached(&match only {
        Some(_) => format!("{COLUMNS} WHERE host = ?1"),
        None => COLUMNS.to_owned(),
    })?;
    let mut rows = select.query(params_from_iter(only))?;
    let mut found: HashMap<i64, Vec<(String, u64)>> = HashMap::new();
    while let Some(r) = rows.next()? {
        found
            .entry(r.get(0)?)
            .or_default()
            .push((r.get(1)?, r.get::<_, i64>(2)? as u64));
    }
    Ok(found)
}

/// What the history half adds to a host's record.
#[derive(Debug, Default)]
pub(in crate::store) struct Seen {
    /// When something was last received, and the newest sample.
    pub last: HashMap<i64, (i64, Option<i64>)>,
    /// Samples dropped from spools.
    pub dropped: HashMap<i64, u64>,
}

impl Fleet {
    fn new(conn: &Connection, rows: Vec<HostRow>, only: Option<&[i64]>) -> Result<Fleet, Fault> {
        let mut parts: HashMap<i64, Vec<(Option<i64>, i64)>> = HashMap::new();
        for host in &rows {
            if let Some(into) = host.merged_into {
                parts
                    .entry(into)
                    .or_default()
                    .push((host.merged_ms, host.number));
            }
        }
        let in_order = |(into, mut parts): (i64, Vec<(Option<i64>, i64)>)| {
            parts.sort_unstable();
            (into, parts.into_iter().map(|p| p.1).collect())
        };
        let refusals = match only {
            None => refusals(conn, None)?,
            Some(numbers) => {
                let mut found = HashMap::new();
                for number in numbers {
                    found.extend(refusals(conn, Some(*number))?);
                }
                found
            }
        };
        Ok(Fleet {
            places: rows
                .iter()
                .enumerate()
                .map(|(i, h)| (h.number, i))
                .collect(),
            named: rows
                .iter()
                .enumerate()
                .filter(|(_, h)| h.merged_into.is_none())
                .map(|(i, h)| (h.name.clone(), i))
                .collect(),
            parts: parts.into_iter().map(in_order).collect(),
            refusals,
            rows,
        })
    }

    /// Every row, merged ones too.
    pub(in crate::store) fn rows(&self) -> &[HostRow] {
        &self.rows
    }

    /// The row of a number.
    pub(in crate::store) fn row(&self, number: i64) -> Option<&HostRow> {
        self.rows.get(*self.places.get(&number)?)
    }

    /// Hosts that are not part of another one, by name.
    pub(in crate::store) fn standing(&self) -> impl Iterator<Item = &HostRow> {
        self.rows.iter().filter(|h| h.merged_into.is_none())
    }

    /// The host with this name, or the error that names the nearest one.
    pub(in crate::store) fn named(&self, name: &str) -> Result<&HostRow, StoreError> {
        self.named
            .get(name)
            .map(|place| &self.rows[*place])
            .ok_or_else(|| StoreError::NoHost {
                name: name.to_owned(),
                nearest: self.nearest(name),
            })
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let wanted = name.to_lowercase();
        // More than a third of the letters wrong is another word.
        let worst = wanted.chars().count().div_ceil(3);
        self.standing()
            .map(|h| {
                (
                    strsim::damerau_levenshtein(&h.name.to_lowercase(), &wanted),
                    &h.name,
                )
            })
            .filter(|(distance, known)| *distance <= worst || known.starts_with(name))
            .min()
            .map(|(_, known)| known.clone())
    }

    /// The host that stands for a row: itself, or what it was merged into.
    pub(in crate::store) fn standing_for(&self, number: i64) -> Option<&HostRow> {
        let mut row = self.row(number)?;
        // A merge never makes a ring; the bound keeps a damaged file from making one either.
        for _ in 0..self.rows.len() {
            match row.merged_into {
                None => return Some(row),
                Some(into) => row = self.row(into)?,
            }
        }
        None
    }

    /// A host's own number, then those merged into it, nearer ones and earlier merged ones first.
    pub(in crate::store) fn numbers(&self, number: i64) -> Vec<i64> {
        let mut numbers = vec![number];
        let mut at = 0;
        while let Some(parent) = numbers.get(at).copied() {
            for part in self.parts.get(&parent).into_iter().flatten() {
                if !numbers.contains(part) {
                    numbers.push(*part);
                }
            }
            at += 1;
        }
        numbers
    }

    /// The record of a standing host; what is merged into it counts with it.
    pub(in crate::store) fn record(&self, host: &HostRow, seen: &Seen) -> HostRecord {
        let mut labels = host.agent_labels.clone();
        labels.extend(host.operator_labels.clone());
        let mut record = HostRecord {
            id: host.id.clone(),
            name: host.name.clone(),
            facts: host.facts.clone(),
            labels,
            interval_ms: host.interval_ms,
            first_seen_ms: host.first_seen_ms,
            last_received_ms: None,
            last_sample_ms: None,
            clock_skew_ms: host.clock_skew_ms,
            retired_ms: host.retired_ms,
            refused: BTreeMap::new(),
            dropped_samples: 0,
            kept: host.kept,
        };
        for number in self.numbers(host.number) {
            if let Some(part) = self.row(number) {
                record.first_seen_ms = record.first_seen_ms.min(part.first_seen_ms);
                record.last_received_ms = record.last_received_ms.max(Some(part.greeted_ms));
            }
            if let Some((received, sample)) = seen.last.get(&number) {
                record.last_received_ms = record.last_received_ms.max(Some(*received));
                record.last_sample_ms = record.last_sample_ms.max(*sample);
            }
            record.dropped_samples += seen.dropped.get(&number).copied().unwrap_or(0);
            for (reason, count) in self.refusals.get(&number).into_iter().flatten() {
                *record.refused.entry(reason.clone()).or_default() += count;
            }
        }
        record
    }
}

/// Registers or refreshes a host; answers its number.
pub(in crate::store) fn greet(
    conn: &Connection,
    greeting: &Greeting,
    hosts_max: usize,
    now_ms: i64,
) -> Result<i64, Fault> {
    let id = greeting.host_id.to_string();
    let wanted = match greeting.host_name.trim() {
        "" => format!("host-{}", &id[..8]),
        name => name.to_owned(),
    };
    let (facts, labels) = (text(&greeting.facts)?, text(&greeting.labels)?);
    let interval = i64::from(greeting.interval_ms);
    let known: Option<(i64, String, bool)> = conn
        .prepare_cached("SELECT number, agent_name, renamed FROM host WHERE id = ?1")?
        .query_row([&id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()?;
    let Some((number, agent_name, renamed)) = known else {
        let count: i64 = conn.query_row("SELECT count(*) FROM host", [], |r| r.get(0))?;
        if count as usize >= hosts_max {
            return Err(StoreError::Limit {
                what: "hosts",
                got: count as u64 + 1,
                max: hosts_max as u64,
                remedy: "raise the collector's limit of hosts",
            }
            .into());
        }
        let name = free_name(conn, &wanted, 0)?;
        conn.prepare_cached(
            "INSERT INTO host (id, name, agent_name, renamed, interval_ms, facts, agent_labels,
                operator_labels, first_seen_ms, greeted_ms, clock_skew_ms, kept)
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, '{}', ?7, ?7, ?8, ?9)",
        )?
        .execute(params![
            id,
            name,
            wanted,
            interval,
            facts,
            labels,
            now_ms,
            greeting.clock_skew_ms,
            greeting.kept
        ])?;
        return Ok(conn.last_insert_rowid());
    };
    conn.prepare_cached(
        "UPDATE host SET agent_name = ?2, interval_ms = ?3, facts = ?4, agent_labels = ?5,
            greeted_ms = ?6, clock_skew_ms = ?7 WHERE number = ?1",
    )?
    .execute(params![
        number,
        wanted,
        interval,
        facts,
        labels,
        now_ms,
        greeting.clock_skew_ms
    ])?;
    if !renamed && agent_name != wanted {
        let name = free_name(conn, &wanted, number)?;
        conn.prepare_cached("UPDATE host SET name = ?1 WHERE number = ?2")?
            .execute(params![name, number])?;
    }
    Ok(number)
}

/// Whether a standing host other than `except` has this name.
pub(super) fn is_taken(conn: &Connection, name: &str, except: i64) -> Result<bool, Fault> {
    Ok(conn
        .prepare_cached(
            "SELECT 1 FROM host WHERE name = ?1 AND merged_into IS NULL AND number <> ?2",
        )?
        .exists(params![name, except])?)
}

/// The name, or the name with the first free number from 2.
fn free_name(conn: &Connection, wanted: &str, except: i64) -> Result<String, Fault> {
    let mut name = wanted.to_owned();
    let mut next = 2u64;
    while is_taken(conn, &name, except)? {
        name = format!("{wanted}-{next}");
        next += 1;
    }
    Ok(name)
}

/// The number of a host that has introduced itself.
pub(in crate::store) fn number_of(conn: &Connection, id: HostId) -> Result<Option<i64>, Fault> {
    Ok(conn
        .prepare_cached("SELECT number FROM host WHERE id = ?1")?
        .query_row([id.to_string()], |r| r.get(0))
        .optional()?)
}

/// Numbers of the hosts whose history no age prunes.
pub(in crate::store) fn kept(conn: &Connection) -> Result<HashSet<i64>, Fault> {
    let mut select = conn.prepare_cached("SELECT number FROM host WHERE kept")?;
    let rows = select.query_map([], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Counts a refusal of a host.
pub(in crate::store) fn count_refusal(
    conn: &Connection,
    host: i64,
    reason: &str,
) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO refusal (host, reason, count) VALUES (?1, ?2, 1)
         ON CONFLICT (host, reason) DO UPDATE SET count = count + 1",
    )?
    .execute(params![host, reason])?;
    Ok(())
}
