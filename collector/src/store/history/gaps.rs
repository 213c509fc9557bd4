//! Gaps: batches that will never come. Recorded once each, and then dealt with like received ones.

use std::collections::HashMap;

use hostwell_proto::id::{HostId, SpoolId};
use rusqlite::{Connection, params, params_from_iter};

use super::super::error::{Fault, StoreError};
use super::super::types::{Appended, GapRecord};
use super::super::writer::Ledger;

/// Records a gap, unless all its batches are dealt with already (they arrived after all, or the
/// same gap was told before).
pub(in crate::store) fn append(
    ledger: &mut Ledger,
    host_id: HostId,
    gap: &GapRecord,
    received_ms: i64,
) -> Result<Appended, Fault> {
    let wrong = |what: &str| Fault::from(StoreError::Conflict(what.into()));
    let spool_id: SpoolId = gap
        .spool_id
        .parse()
        .map_err(|_| wrong("the gap names no spool"))?;
    let range = (gap.first_sequence, gap.last_sequence);
    if range.0 > range.1 {
        return Err(wrong("the gap ends before it begins"));
    }
    let host = ledger.host(host_id)?;
    if ledger.spools.holds(&ledger.conn, (host, spool_id), range)? {
        return Ok(Appended::Duplicate);
    }
    let mut insert = ledger.conn.prepare_cached(
        "INSERT INTO gap (host, spool_id, first_sequence, last_sequence, from_ms, to_ms, samples,
                          reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert.execute(params![
        host,
        gap.spool_id,
        range.0 as i64,
        range.1 as i64,
        gap.from_ms,
        gap.to_ms,
        i64::try_from(gap.samples).unwrap_or(i64::MAX),
        gap.reason
    ])?;
    ledger
        .spools
        .hold(&ledger.conn, (host, spool_id), range, (received_ms, None))?;
    Ok(Appended::Stored)
}

/// Gaps that overlap a range, oldest first, with their host's number.
pub(in crate::store) fn overlapping(
    conn: &Connection,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<(i64, GapRecord)>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT host, spool_id, first_sequence, last_sequence, from_ms, to_ms, samples, reason
         FROM gap WHERE to_ms >= ?1 AND from_ms <= ?2 ORDER BY from_ms, number",
    )?;
    let rows = select.query_map([from_ms, to_ms], |r| {
        let gap = GapRecord {
            spool_id: r.get(1)?,
            first_sequence: r.get::<_, i64>(2)? as u64,
            last_sequence: r.get::<_, i64>(3)? as u64,
            from_ms: r.get(4)?,
            to_ms: r.get(5)?,
            samples: r.get::<_, i64>(6)? as u64,
            reason: r.get(7)?,
        };
        Ok((r.get(0)?, gap))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Samples that each host's agent, or one host's, reported as dropped.
pub(in crate::store) fn dropped(
    conn: &Connection,
    only: Option<i64>,
) -> Result<HashMap<i64, u64>, Fault> {
    const COLUMNS: &str = "SELECT host, total(samples) FROM gap";
    let mut select = conn.prepare_cached(&match only {
        Some(_) => format!("{COLUMNS} WHERE host = ?1 GROUP BY host"),
        None => format!("{COLUMNS} GROUP BY host"),
    })?;
    let rows = select.query_map(params_from_iter(only), |r| {
        Ok((r.get(0)?, r.get::<_, f64>(1)? as u64))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
