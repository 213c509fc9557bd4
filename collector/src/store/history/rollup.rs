//! Rollups: what a day of raw samples came to, kept longer than the samples.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::super::error::Fault;
use super::series::FAMILIES;

/// Days are UTC's.
pub(in crate::store) const DAY_MS: i64 = 86_400_000;

/// Notes that a host's samples in some stretches changed: their days are rolled up again. Goes
/// into the transaction that seals them. Samples change the day before too when it ended with a
/// hole: what a counter grew over a hole belongs to the sample before it.
pub(in crate::store) fn mark(
    conn: &Connection,
    host: i64,
    stretches: impl Iterator<Item = (i64, i64)>,
) -> Result<(), Fault> {
    let mut days = BTreeSet::new();
    for (start_ms, end_ms) in stretches {
        days.extend(start_ms.div_euclid(DAY_MS)..=end_ms.div_euclid(DAY_MS));
    }
    let mut before = conn.prepare_cached(
        "SELECT max(end_ms) FROM block WHERE host = ?1 AND family = ?2 AND end_ms < ?3",
    )?;
    if let Some(first) = days.first().copied() {
        for family in FAMILIES {
            let row = params![host, family, first.saturating_mul(DAY_MS)];
            let end: Option<i64> = before.query_row(row, |r| r.get(0))?;
            days.extend(end.map(|ms| ms.div_euclid(DAY_MS)));
        }
    }
    let mut insert =
        conn.prepare_cached("INSERT OR IGNORE INTO unrolled (host, day) VALUES (?1, ?2)")?;
    for day in days {
        insert.execute([host, day])?;
    }
    Ok(())
}
