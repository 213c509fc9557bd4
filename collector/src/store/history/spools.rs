//! Watermarks: which batches of a spool are dealt with. Kept in memory by the writer, written in
//! the same transaction as the points.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use hostwell_proto::id::SpoolId;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::super::error::{Fault, StoreError};
use super::ranges::Ranges;

/// Most separate ranges of one spool: live data in front and backfill behind it need two.
const RANGES_MAX: usize = 4096;
/// Most spools the writer remembers; beyond that it reads them again.
const CACHED_MAX: usize = 50_000;

#[derive(Debug)]
struct Spool {
    number: i64,
    held: Ranges,
    last_received_ms: i64,
    last_sample_ms: Option<i64>,
}

/// The writer's view of all spools.
#[derive(Debug, Default)]
pub(in crate::store) struct Spools {
    known: HashMap<(i64, SpoolId), Spool>,
    changed: HashSet<(i64, SpoolId)>,
}

impl Spools {
    fn load(&mut self, conn: &Connection, host: i64, id: SpoolId) -> Result<&mut Spool, Fault> {
        match self.known.entry((host, id)) {
            Entry::Occupied(spool) => Ok(spool.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(read(conn, host, id)?)),
        }
    }

    /// Whether all of `first..=last` is dealt with; refuses numbers the file cannot hold.
    pub(in crate::store) fn holds(
        &mut self,
        conn: &Connection,
        (host, id): (i64, SpoolId),
        (first, last): (u64, u64),
    ) -> Result<bool, Fault> {
        if last > i64::MAX as u64 {
            return Err(StoreError::Limit {
                what: "sequence number",
                got: last,
                max: i64::MAX as u64,
                remedy: "start a new spool",
            }
            .into());
        }
        let held = &self.load(conn, host, id)?.held;
        if held.holds(first, last) {
            return Ok(true);
        }
        if held.as_slice().len() >= RANGES_MAX {
            return Err(StoreError::Limit {
                what: "separate ranges of batches in one spool",
                got: held.as_slice().len() as u64 + 1,
                max: RANGES_MAX as u64,
                remedy: "send the batches in between first",
            }
            .into());
        }
        Ok(false)
    }

    /// Notes `first..=last` as dealt with; durable with the transaction that calls `flush`.
    pub(in crate::store) fn hold(
        &mut self,
        conn: &Connection,
        (host, id): (i64, SpoolId),
        (first, last): (u64, u64),
        (received_ms, sample_ms): (i64, Option<i64>),
    ) -> Result<(), Fault> {
        let spool = self.load(conn, host, id)?;
        spool.held.add(first, last);
        spool.last_received_ms = spool.last_received_ms.max(received_ms);
        spool.last_sample_ms = spool.last_sample_ms.max(sample_ms);
        self.changed.insert((host, id));
        Ok(())
    }

    /// Writes what changed since the last flush.
    pub(in crate::store) fn flush(&mut self, conn: &Connection) -> Result<(), Fault> {
        let mut insert = conn.prepare_cached(
            "INSERT INTO spool (host, spool_id, held, last_received_ms, last_sample_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let mut update = conn.prepare_cached(
            "UPDATE spool SET held = ?1, last_received_ms = ?2, last_sample_ms = ?3
             WHERE number = ?4",
        )?;
        for (host, id) in self.changed.drain() {
            let Some(spool) = self.known.get_mut(&(host, id)) else {
                continue;
            };
            let (held, received, sample) = (
                spool.held.to_text(),
                spool.last_received_ms,
                spool.last_sample_ms,
            );
            if spool.number == 0 {
                insert.execute(params![host, id.to_string(), held, received, sample])?;
                spool.number = conn.last_insert_rowid();
            } else {
                update.execute(params![held, received, sample, spool.number])?;
            }
        }
        if self.known.len() > CACHED_MAX {
            self.forget();
        }
        Ok(())
    }

    /// After a rollback or a deletion the file knows better.
    pub(in crate::store) fn forget(&mut self) {
        self.known.clear();
        self.changed.clear();
    }
}

fn read(conn: &Connection, host: i64, id: SpoolId) -> Result<Spool, Fault> {
    let found = conn
        .prepare_cached(
            "SELECT number, held, last_received_ms, last_sample_ms FROM spool
             WHERE host = ?1 AND spool_id = ?2",
        )?
        .query_row(params![host, id.to_string()], |r| {
            Ok((r.get(0)?, r.get::<_, String>(1)?, r.get(2)?, r.get(3)?))
        })
        .optional()?;
    let (number, held, last_received_ms, last_sample_ms) = match found {
        Some((number, held, received, sample)) => (number, Ranges::parse(&held)?, received, sample),
        // Number 0: not in the table until the first flush.
        None => (0, Ranges::default(), i64::MIN, None),
    };
    Ok(Spool {
        number,
        held,
        last_received_ms,
        last_sample_ms,
    })
}

/// The committed ranges of a spool; empty when it is not known.
pub(in crate::store) fn held(
    conn: &Connection,
    host: i64,
    id: SpoolId,
) -> Result<Vec<(u64, u64)>, Fault> {
    let text: Option<String> = conn
        .prepare_cached("SELECT held FROM spool WHERE host = ?1 AND spool_id = ?2")?
        .query_row(params![host, id.to_string()], |r| r.get(0))
        .optional()?;
    match text {
        Some(text) => Ok(Ranges::parse(&text)?.as_slice().to_vec()),
        None => Ok(Vec::new()),
    }
}

/// When something was last received from each host, or from one, and the newest sample: from all
/// its spools.
pub(in crate::store) fn last_seen(
    conn: &Connection,
    only: Option<i64>,
) -> Result<HashMap<i64, (i64, Option<i64>)>, Fault> {
    const COLUMNS: &str = "SELECT host, max(last_received_ms), max(last_sample_ms) FROM spool";
    let read = |r: &Row<'_>| Ok((r.get(0)?, (r.get(1)?, r.get(2)?)));
    let mut select = conn.prepare_cached(&match only {
        Some(_) => format!("{COLUMNS} WHERE host = ?1 GROUP BY host"),
        None => format!("{COLUMNS} GROUP BY host"),
    })?;
    let rows = select.query_map(params_from_iter(only), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Drops watermarks of spools that have been silent since before `silent_since_ms`, always
/// keeping each host's latest one: it carries when the host was last seen.
pub(in crate::store) fn prune(conn: &Connection, silent_since_ms: i64) -> Result<usize, Fault> {
    Ok(conn
        .prepare_cached(
            "DELETE FROM spool WHERE last_received_ms < ?1 AND EXISTS
             (SELECT 1 FROM spool AS later WHERE later.host = spool.host
              AND (later.last_received_ms, later.number) > (spool.last_received_ms, spool.number))",
        )?
        .execute([silent_since_ms])?)
}
