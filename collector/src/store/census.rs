//! What takes how much room: payload bytes and samples by family and tier.

use std::path::Path;

use hostwell_proto::metric::Family;
use rusqlite::{Connection, Row};

use super::error::Fault;
use super::history::budget;
use super::history::rollup::{DERIVED_FROM, PRESENCE};
use super::notes::table;
use super::open::beside;
use super::types::{Census, CensusRow};

/// The name of a number in the column `family`.
fn family_name(number: i64) -> String {
    let known = |number| Family::ALL.into_iter().find(|f| *f as i64 == number);
    match (known(number), known(number - DERIVED_FROM)) {
        (Some(family), _) => family.name().into(),
        (_, Some(family)) => format!("{}, derived", family.name()),
        _ if number == PRESENCE => "presence".into(),
        _ => format!("family {number}"),
    }
}

/// Counts; reads sizes, not payloads.
pub(super) fn census(conn: &Connection, path: &Path) -> Result<Census, Fault> {
    let size = |p: &Path| std::fs::metadata(p).map_or(0, |m| m.len());
    let count = |sql: &str| conn.query_row(sql, [], |r| r.get::<_, i64>(0));
    let page: i64 = conn.pragma_query_value(None, "page_size", |r| r.get(0))?;
    let free: i64 = conn.pragma_query_value(None, "freelist_count", |r| r.get(0))?;
    let mut rows = Vec::new();
    let mut gather = |sql: &str, row: fn(&Row<'_>) -> rusqlite::Result<CensusRow>| {
        let mut select = conn.prepare(sql)?;
        for found in select.query_map([], row)? {
            rows.push(found?);
        }
        Ok::<(), Fault>(())
    };
    gather(
        "SELECT 0, 0, count(*), coalesce(sum(samples), 0), coalesce(sum(length(payload)), 0),
                min(start_ms), max(end_ms)
         FROM waiting HAVING count(*) > 0",
        |r| {
            Ok(CensusRow {
                family: "not sealed yet".into(),
                ..row(r)?
            })
        },
    )?;
    gather(
        "SELECT family, 0, count(*), sum(samples),
                sum(length(block.payload) + coalesce(length(total.payload), 0)),
                min(start_ms), max(end_ms)
         FROM block LEFT JOIN total ON total.block = block.number
         GROUP BY family ORDER BY family",
        row,
    )?;
    gather(
        "SELECT family, tier_ms, count(*), sum(samples), sum(length(payload)), min(start_ms),
                max(end_ms)
         FROM rollup GROUP BY tier_ms, family ORDER BY tier_ms, family",
        row,
    )?;
    Ok(Census {
        schema_version: conn.pragma_query_value(None, "user_version", |r| r.get(0))?,
        file_bytes: size(path),
        log_bytes: size(&beside(path, "-wal")),
        free_bytes: (page * free) as u64,
        hosts: count("SELECT count(*) FROM host WHERE merged_into IS NULL")? as u64,
        series: count("SELECT count(*) FROM series")? as u64,
        rows,
        dropped: budget::dropped(conn)?,
        processes: table::held(conn)?,
    })
}

fn row(r: &Row<'_>) -> rusqlite::Result<CensusRow> {
    let tier_ms: i64 = r.get(1)?;
    Ok(CensusRow {
        family: family_name(r.get(0)?),
        tier_ms: (tier_ms > 0).then_some(tier_ms),
        blocks: r.get::<_, i64>(2)? as u64,
        samples: r.get::<_, i64>(3)? as u64,
        bytes: r.get::<_, i64>(4)? as u64,
        oldest_ms: r.get(5)?,
        newest_ms: r.get(6)?,
    })
}
