//! The newest sealed sample of each series of a host, in one row: what live views ask for is found
//! without opening a block.
//!
//! What a row says of a series is right: no block holds a newer sample of it, and one block holds
//! this one. Of a series that it does not name it says nothing, and blocks are read. So a row may
//! always be dropped, and is where blocks go or series are forgotten; the next seal makes it anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hostwell_proto::column::{Block, Column};
use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::{Fault, Trouble};
use super::checksum::verified;
use super::parcel::{Newest, Opener, Parcel};
use super::seal::Fresh;

/// Most different times in a row; series that were silent for longest are left out beyond it.
const TIMES_MAX: usize = 1000;

/// Samples by the ids of their series.
type Samples = BTreeMap<i64, (i64, f64)>;

/// Calls back for every sample of a host's row: series id, time and value.
pub(in crate::store) fn each(
    conn: &Connection,
    host: i64,
    mut take: impl FnMut(i64, (i64, f64)),
) -> Result<(), Fault> {
    let mut select = conn.prepare_cached("SELECT crc32c, payload FROM newest WHERE host = ?1")?;
    let mut rows = select.query([host])?;
    let Some(r) = rows.next()? else {
        return Ok(());
    };
    let payload = r.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    verified("the newest samples of host", host, r.get(0)?, payload)?;
    Opener::default().each(
        payload,
        |_| true,
        |id, times_ms, room| {
            for (tick, value) in room.samples() {
                take(id, (times_ms[tick], value));
            }
        },
    )
}

fn read(conn: &Connection, host: i64) -> Result<Samples, Fault> {
    let mut samples = Samples::new();
    each(conn, host, |id, newest| {
        samples.insert(id, newest);
    })?;
    Ok(samples)
}

/// Brings the row of a host forward by blocks that are about to be written.
pub(in crate::store) fn note(conn: &Connection, host: i64, blocks: &[Fresh]) -> Result<(), Fault> {
    let mut samples = match read(conn, host) {
        // Sealing goes on; `verify` tells, and what the new row does not name is read from blocks.
        Err(Fault::Sql(Trouble::Damaged(_))) => Samples::new(),
        other => other?,
    };
    let mut end =
        conn.prepare_cached("SELECT max(end_ms) FROM block WHERE host = ?1 AND family = ?2")?;
    let mut ends_ms: HashMap<i64, Option<i64>> = HashMap::new();
    for block in blocks {
        let end_ms = match ends_ms.get(&block.family) {
            Some(end_ms) => *end_ms,
            None => {
                let end_ms = end.query_row([host, block.family], |r| r.get(0))?;
                ends_ms.insert(block.family, end_ms);
                end_ms
            }
        };
        for (id, newest) in &block.newest {
            match samples.get_mut(id) {
                Some(known) if newest.0 > known.0 => *known = *newest,
                Some(_) => {}
                // Late data of a series that the row did not name may be older than what blocks hold.
                None if end_ms.is_none_or(|end_ms| newest.0 > end_ms) => {
                    samples.insert(*id, *newest);
                }
                None => {}
            }
        }
    }
    write(conn, host, samples)
}

fn write(conn: &Connection, host: i64, mut samples: Samples) -> Result<(), Fault> {
    let mut times: BTreeSet<i64> = samples.values().map(|newest| newest.0).collect();
    if times.len() > TIMES_MAX {
        times = times.into_iter().rev().take(TIMES_MAX).collect();
        samples.retain(|_, newest| times.contains(&newest.0));
    }
    let Some(oldest_ms) = times.first().copied() else {
        return forget(conn, host);
    };
    let payload = parcel(&samples, times.into_iter().collect()).pack();
    conn.prepare_cached(
        "INSERT OR REPLACE INTO newest (host, oldest_ms, crc32c, payload) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![host, oldest_ms, crc32c::crc32c(&payload), payload])?;
    Ok(())
}

fn parcel(samples: &Samples, times_ms: Vec<i64>) -> Parcel {
    let column = |(number, (time_ms, value)): (u32, &(i64, f64))| Column {
        number,
        ticks: (times_ms.len() > 1)
            .then(|| vec![times_ms.partition_point(|time| time < time_ms) as u16]),
        values: vec![*value],
    };
    Parcel {
        series: samples.keys().copied().collect(),
        block: Block {
            columns: (0..).zip(samples.values()).map(column).collect(),
            times_ms,
        },
    }
}

/// Drops the row of a host.
pub(in crate::store) fn forget(conn: &Connection, host: i64) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM newest WHERE host = ?1")?
        .execute([host])?;
    Ok(())
}

/// Drops the rows that may say what was in blocks that are gone: their hosts and their ends.
pub(in crate::store) fn went(conn: &Connection, blocks: &[(i64, i64)]) -> Result<(), Fault> {
    let mut delete =
        conn.prepare_cached("DELETE FROM newest WHERE host = ?1 AND oldest_ms <= ?2")?;
    for (host, end_ms) in blocks {
        delete.execute([host, end_ms])?;
    }
    Ok(())
}

/// Tells where a row and the blocks differ.
pub(in crate::store) fn check(
    conn: &Connection,
    mut problem: impl FnMut(String),
) -> Result<(), Fault> {
    let mut select = conn.prepare("SELECT host, oldest_ms FROM newest")?;
    let mut blocks = conn.prepare("SELECT payload FROM block WHERE host = ?1")?;
    let mut owner = conn.prepare("SELECT 1 FROM series WHERE host = ?1 AND id = ?2")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let (host, oldest_ms): (i64, i64) = (r.get(0)?, r.get(1)?);
        let told = match read(conn, host) {
            Err(Fault::Sql(Trouble::Damaged(what))) => {
                problem(what);
                continue;
            }
            other => other?,
        };
        let mut held = Samples::new();
        let mut payloads = blocks.query([host])?;
        while let Some(r) = payloads.next()? {
            let payload = r.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            // What does not open was told about already.
            let newest = Parcel::newest_within(payload, |_| true, (i64::MIN, i64::MAX));
            for (id, newest) in newest.unwrap_or_default() {
                let known = held.entry(id).or_insert(newest);
                if newest.0 > known.0 {
                    *known = newest;
                }
            }
        }
        let bits = |(time_ms, value): (i64, f64)| (time_ms, value.to_bits());
        for (id, newest) in &told {
            if held.get(id).copied().map(bits) != Some(bits(*newest)) {
                problem(format!(
                    "host {host}: the newest sample of series {id} is not what blocks hold"
                ));
            }
            let own: Option<i64> = owner.query_row([host, *id], |r| r.get(0)).optional()?;
            if own.is_none() {
                problem(format!(
                    "host {host}: a newest sample is of series {id}, which is not its own"
                ));
            }
        }
        if told.values().map(|newest| newest.0).min() != Some(oldest_ms) {
            problem(format!(
                "host {host}: the oldest of its newest samples is another one"
            ));
        }
    }
    Ok(())
}

/// The newest sample of each series of a table.
pub(super) fn of_table(table: &super::table::Table<'_>) -> Vec<Newest> {
    let columns = table.series.iter().zip(&table.columns);
    columns
        .filter_map(|(id, column)| {
            let tick = match &column.ticks {
                Some(ticks) => usize::from(*ticks.last()?),
                None => table.times_ms.len().checked_sub(1)?,
            };
            Some((*id, (*table.times_ms.get(tick)?, column.row.last()?)))
        })
        .collect()
}
