//! When a host was sampled: from rollups where its days are rolled up, from samples elsewhere.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::super::error::Fault;
use super::super::types::{WindowQuery, as_it_is};
use super::aggregate::{day_of, unrolled};
use super::checksum::verified;
use super::rollup::payload::{self, Key};
use super::rollup::{DAY_MS, PRESENCE, PRESENCE_NAME};
use super::window::{self, Ask, Room, Source};
use crate::series::presence::{PRESENCE_METRICS, PRESENCE_STEP_MS, Run, run_of, runs};
use crate::series::union_times_ms;

/// The runs of ticks of a host that lie within a range, or of whose day some part does; ascending.
pub(in crate::store) fn read(
    from: Source<'_>,
    ask: &Ask,
    (from_ms, to_ms, samples_max): (i64, i64, usize),
) -> Result<Vec<Run>, Fault> {
    let Source { conn, head, .. } = from;
    let (mut found, mut rolled) = (Vec::new(), BTreeSet::new());
    for number in &ask.numbers {
        let fresh = unrolled(conn, head, (*number, None), (from_ms, to_ms))?;
        for (day, of_day) in stored(conn, *number, (from_ms, to_ms))? {
            // What changed since is told by samples, where they are all still there.
            if !fresh.contains(&day) || !has_samples(conn, *number, day)? {
                rolled.insert(day);
                found.extend(of_day);
            }
        }
    }
    let mut at = from_ms;
    while at <= to_ms {
        let day = day_of(at);
        let mut end = day;
        while rolled.contains(&end) == rolled.contains(&day) && end * DAY_MS <= to_ms {
            end += 1;
        }
        let end_ms = end.saturating_mul(DAY_MS);
        if !rolled.contains(&day) {
            let query = WindowQuery {
                hosts: Vec::new(),
                metrics: PRESENCE_METRICS.iter().map(|m| (*m).to_owned()).collect(),
                from_ms: at,
                to_ms: to_ms.min(end_ms - 1),
                samples_max,
            };
            let room = Room::new(samples_max);
            for window in window::read(from, vec![ask.clone()], (&query, None, &as_it_is()), &room)?
            {
                found.extend(runs(&union_times_ms(&window.series), ask.interval_ms));
            }
        }
        at = end_ms;
    }
    found.sort_by_key(|run| (run.from_ms, run.to_ms));
    Ok(found)
}

/// The runs of a host's days that are rolled up.
fn stored(
    conn: &Connection,
    number: i64,
    (from_ms, to_ms): (i64, i64),
) -> Result<Vec<(i64, Vec<Run>)>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, crc32c, payload, start_ms FROM rollup
         WHERE host = ?1 AND family = ?2 AND tier_ms = ?3 AND start_ms BETWEEN ?4 AND ?5",
    )?;
    let first_ms = day_of(from_ms).saturating_mul(DAY_MS);
    let mut rows = select.query([number, PRESENCE, PRESENCE_STEP_MS, first_ms, to_ms])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let bytes = r.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        verified("rollup", r.get(0)?, r.get(1)?, bytes)?;
        let ours = |key: &Key| matches!(key, Key::Named(name) if name.metric == PRESENCE_NAME);
        let lines = payload::decode(bytes, ours)?;
        let runs = lines.iter().flat_map(|line| &line.steps).map(run_of);
        found.push((day_of(r.get(3)?), runs.collect()));
    }
    Ok(found)
}

/// Whether samples of a day are there from its beginning: blocks go whole, the oldest first.
fn has_samples(conn: &Connection, number: i64, day: i64) -> Result<bool, Fault> {
    let mut before =
        conn.prepare_cached("SELECT 1 FROM block WHERE host = ?1 AND start_ms <= ?2")?;
    Ok(before.exists([number, day.saturating_mul(DAY_MS)])?)
}
