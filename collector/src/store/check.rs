//! Facts about the file, and the check that reads every byte of it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::error::{Fault, Trouble};
use super::history::budget;
use super::history::checksum::verified;
use super::history::parcel::Parcel;
use super::history::ranges::Ranges;
use super::history::rollup;
use super::history::total;
use super::history::{names, newest};
use super::notes::table;
use super::open::beside;
use super::types::StoreFacts;

/// Most problems told; a damaged file has thousands, and the first few say it.
const PROBLEMS_MAX: usize = 50;

/// Counts, without reading payloads.
pub(super) fn facts(conn: &Connection, path: &Path) -> Result<StoreFacts, Fault> {
    type Totals = (i64, Option<i64>, Option<i64>, i64);
    let totals = |sql: &str| -> rusqlite::Result<Totals> {
        conn.query_row(sql, [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
        })
    };
    let columns = "SELECT coalesce(sum(samples), 0), min(start_ms), max(end_ms), count(*)";
    let sealed = totals(&format!("{columns} FROM block INDEXED BY block_of"))?;
    let journal = totals(&format!("{columns} FROM waiting"))?;
    let count = |sql: &str| {
        conn.query_row(sql, [], |r| r.get::<_, i64>(0))
            .map(|n| n as u64)
    };
    let size = |p: &Path| std::fs::metadata(p).map_or(0, |m| m.len());
    Ok(StoreFacts {
        schema_version: conn.pragma_query_value(None, "user_version", |r| r.get(0))?,
        file_bytes: size(path) + size(&beside(path, "-wal")),
        samples: (sealed.0 + journal.0) as u64,
        series: count("SELECT count(*) FROM series")?,
        hosts: count("SELECT count(*) FROM host WHERE merged_into IS NULL")?,
        oldest_ms: [sealed.1, journal.1].into_iter().flatten().min(),
        newest_ms: sealed.2.max(journal.2),
        journal_batches: journal.3 as u64,
        dropped: budget::dropped(conn)?,
        bytes_max: None,
        problems: Vec::new(),
    })
}

/// Problems in plain words, at most [`PROBLEMS_MAX`].
#[derive(Debug, Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, text: String) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(text);
        } else if self.0.len() == PROBLEMS_MAX {
            self.0.push("and more".into());
        }
    }

    /// Runs one part; trouble that stops it is a problem too, the other parts still run.
    fn part(&mut self, name: &str, check: impl FnOnce(&mut Self) -> Result<(), Fault>) {
        match check(self) {
            Ok(()) => {}
            Err(Fault::Sql(Trouble::Damaged(what) | Trouble::Other(what))) => {
                self.add(format!("{name}: {what}"));
            }
            Err(Fault::Sql(Trouble::Full)) => self.add(format!("{name}: no space to check it")),
            Err(Fault::Ours(error)) => self.add(format!("{name}: {error}")),
        }
    }
}

/// Verifies SQLite's structure, every checksum, and what must be true between the tables.
pub(super) fn problems(conn: &Connection) -> Vec<String> {
    let mut problems = Problems::default();
    problems.part("file structure", |p| structure(conn, p));
    // Nobody reads what is sealed already, and the series it names may be gone.
    let waiting = ("journal", "waiting");
    problems.part("journal", |p| payloads(conn, waiting, Parcel::unpack, p));
    problems.part("what is sealed", |p| marks(conn, p));
    let blocks = ("block", "block");
    problems.part("blocks", |p| payloads(conn, blocks, Parcel::unseal, p));
    problems.part("totals", |p| totals(conn, p));
    problems.part("newest samples", |p| {
        newest::check(conn, |problem| p.add(problem))
    });
    problems.part("rollups", |p| rollups(conn, p));
    problems.part("notes of processes", |p| {
        table::check(conn, |problem| p.add(problem))
    });
    problems.part("repeated samples", |p| repeats(conn, p));
    problems.part("spools", |p| spools(conn, p));
    problems.part("names", |p| names(conn, p));
    problems.part("hosts", |p| hosts(conn, p));
    problems.0
}

/// A mark beyond the newest row would hide those that come.
fn marks(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    let mut select = conn.prepare(
        "SELECT host, number FROM sealed
         WHERE number > coalesce((SELECT max(number) FROM journal), -1)",
    )?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let (host, number): (i64, i64) = (r.get(0)?, r.get(1)?);
        problems.add(format!(
            "host {host} is sealed up to row {number} of the journal, which has none so high"
        ));
    }
    Ok(())
}

fn structure(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    let mut check = conn.prepare(&format!("PRAGMA integrity_check({PROBLEMS_MAX})"))?;
    let mut rows = check.query([])?;
    while let Some(r) = rows.next()? {
        let verdict: String = r.get(0)?;
        if verdict != "ok" {
            problems.add(format!("file structure: {verdict}"));
        }
    }
    let mut check = conn.prepare("PRAGMA foreign_key_check")?;
    let mut rows = check.query([])?;
    while let Some(r) = rows.next()? {
        let (table, row): (String, Option<i64>) = (r.get(0)?, r.get(1)?);
        problems.add(format!(
            "{table} {}: names a row that is gone",
            row.unwrap_or(0)
        ));
    }
    Ok(())
}

/// Checksums, codecs and the columns that repeat what is inside, of the rows `from` a table.
fn payloads(
    conn: &Connection,
    (table, from): (&str, &str),
    open: impl Fn(&[u8]) -> Result<Parcel, Fault>,
    problems: &mut Problems,
) -> Result<(), Fault> {
    let mut owners: HashMap<i64, i64> = HashMap::new();
    let mut select = conn.prepare("SELECT id, host FROM series")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        owners.insert(r.get(0)?, r.get(1)?);
    }
    let mut select = conn.prepare(&format!(
        "SELECT number, host, start_ms, end_ms, samples, crc32c, payload FROM {from}"
    ))?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let (number, host): (i64, i64) = (r.get(0)?, r.get(1)?);
        let said: (i64, i64, i64) = (r.get(2)?, r.get(3)?, r.get(4)?);
        let payload = r.get_ref(6)?.as_blob().map_err(rusqlite::Error::from)?;
        if crc32c::crc32c(payload) != r.get::<_, u32>(5)? {
            problems.add(format!("{table} {number}: its checksum is wrong"));
            continue;
        }
        let parcel = match open(payload) {
            Ok(parcel) => parcel,
            Err(Fault::Sql(Trouble::Damaged(what))) => {
                problems.add(format!("{table} {number}: {what}"));
                continue;
            }
            Err(other) => return Err(other),
        };
        let (start_ms, end_ms) = parcel.span().unwrap_or((0, 0));
        if said != (start_ms, end_ms, parcel.block.samples() as i64) {
            problems.add(format!(
                "{table} {number}: its times or count are not what it holds"
            ));
        }
        if parcel.series.iter().any(|id| owners.get(id) != Some(&host)) {
            problems.add(format!(
                "{table} {number}: holds a series that is not its host's"
            ));
        }
    }
    Ok(())
}

/// Whether what stands beside the blocks is what their samples come to.
fn totals(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    let mut gauges: HashSet<i64> = HashSet::new();
    let mut select = conn.prepare(
        "SELECT s.id FROM series AS s JOIN metric AS m ON m.id = s.metric WHERE m.kind = 'gauge'",
    )?;
    for id in select.query_map([], |r| r.get(0))? {
        gauges.insert(id?);
    }
    let mut select = conn.prepare(
        "SELECT t.block, t.crc32c, t.payload, b.payload FROM total AS t
         JOIN block AS b ON b.number = t.block",
    )?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let number: i64 = r.get(0)?;
        let told = r.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        let read = total::verified(number, r.get(1)?, told).and_then(|()| total::decode(told));
        let told = match read {
            Ok(told) => told,
            Err(Fault::Sql(Trouble::Damaged(what))) => {
                problems.add(what);
                continue;
            }
            Err(other) => return Err(other),
        };
        let payload = r.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        // What does not open was told about already.
        let holds = Parcel::unseal(payload).ok();
        let held = holds.map(|p| total::of_parcel(&p, |id| gauges.contains(&id)));
        if held.is_some_and(|held| !total::agrees(&told, &held)) {
            problems.add(format!(
                "block {number}: its totals are not what its samples come to"
            ));
        }
    }
    Ok(())
}

/// Checksums and codec of the rollups. Whether they say what the samples say: `verify_rollups`.
fn rollups(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    let mut select = conn.prepare("SELECT number, crc32c, payload FROM rollup")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let payload = r.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        let read = verified("rollup", r.get(0)?, r.get(1)?, payload)
            .and_then(|()| rollup::payload::decode(payload, |_| true));
        match read {
            Ok(_) => {}
            Err(Fault::Sql(Trouble::Damaged(what))) => problems.add(what),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Pairs of blocks of one family that overlap in time, the older one first.
fn overlaps(conn: &Connection) -> Result<Vec<(i64, i64)>, Fault> {
    let mut select = conn.prepare(
        "SELECT number, host, family, start_ms, end_ms FROM block
         ORDER BY host, family, start_ms",
    )?;
    let mut rows = select.query([])?;
    let mut pairs = Vec::new();
    let mut family: Option<(i64, i64)> = None;
    let mut reaching: Vec<(i64, i64)> = Vec::new();
    while let Some(r) = rows.next()? {
        let (number, start_ms, end_ms): (i64, i64, i64) = (r.get(0)?, r.get(3)?, r.get(4)?);
        let of = Some((r.get(1)?, r.get(2)?));
        if family != of {
            family = of;
            reaching.clear();
        }
        reaching.retain(|(_, end)| *end >= start_ms);
        pairs.extend(
            reaching
                .iter()
                .map(|(other, _)| (number.min(*other), number.max(*other))),
        );
        reaching.push((number, end_ms));
    }
    Ok(pairs)
}

/// No sample may be in two blocks. Only blocks that overlap in time can hold one twice.
fn repeats(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    let mut one = conn.prepare("SELECT payload FROM block WHERE number = ?1")?;
    let mut open = |number: i64| -> Result<Option<HashSet<(i64, i64)>>, Fault> {
        let payload: Vec<u8> = one.query_row([number], |r| r.get(0))?;
        // What does not open was told about already.
        Ok(Parcel::unseal(&payload).ok().map(|parcel| {
            let mut samples = HashSet::new();
            parcel.each(|id, time, _| {
                samples.insert((id, time));
            });
            samples
        }))
    };
    for (a, b) in overlaps(conn)? {
        if let (Some(first), Some(second)) = (open(a)?, open(b)?) {
            let twice = first.intersection(&second).count();
            if twice > 0 {
                problems.add(format!("block {b}: repeats {twice} samples of block {a}"));
            }
        }
    }
    Ok(())
}

fn spools(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    let mut select = conn.prepare("SELECT number, held FROM spool")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let held: String = r.get(1)?;
        if let Err(Fault::Sql(Trouble::Damaged(what))) = Ranges::parse(&held) {
            problems.add(format!("spool {}: {what}", r.get::<_, i64>(0)?));
        }
    }
    Ok(())
}

/// Every series has a name and an id of its own, names make sense, and none is there for nobody.
fn names(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    for (sql, what) in [
        (
            "SELECT id FROM series WHERE metric NOT IN (SELECT id FROM metric)
               OR labels NOT IN (SELECT id FROM labels)",
            "has no name",
        ),
        (
            "SELECT max(s.id) FROM series AS s JOIN metric AS m ON m.id = s.metric
             GROUP BY s.host, m.name, s.labels HAVING count(*) > 1",
            "is called like another one of its host",
        ),
        (
            "SELECT id FROM series GROUP BY id HAVING count(*) > 1",
            "is there twice",
        ),
    ] {
        let mut select = conn.prepare(sql)?;
        for id in select.query_map([], |r| r.get::<_, i64>(0))? {
            problems.add(format!("series {}: {what}", id?));
        }
    }
    for table in ["metric", "labels"] {
        let mut select = conn.prepare(&format!(
            "SELECT id, uses, coalesce(there, 0) FROM {table}
             LEFT JOIN (SELECT {table} AS used, count(*) AS there FROM series GROUP BY 1) ON used = id
             WHERE there IS NULL OR uses <> there"
        ))?;
        let mut rows = select.query([])?;
        while let Some(r) = rows.next()? {
            let (id, uses, there): (i64, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
            problems.add(format!(
                "{table} {id}: {there} series have it, not {uses} as it says"
            ));
        }
    }
    for table in ["series", "metric", "labels"] {
        let sql = format!(
            "SELECT last FROM given WHERE what = '{table}' AND last < (SELECT max(id) FROM {table})"
        );
        if let Some(last) = conn
            .query_row(&sql, [], |r| r.get::<_, i64>(0))
            .optional()?
        {
            problems.add(format!("{table}: ids above {last} were never given out"));
        }
    }
    texts(conn, problems)
}

/// What metrics and labels say can be read.
fn texts(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    let mut told = |read: Result<(), Fault>| match read {
        Err(Fault::Sql(Trouble::Damaged(what))) => {
            problems.add(what);
            Ok(())
        }
        other => other,
    };
    let mut select = conn.prepare("SELECT id, kind FROM metric")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let kind: String = r.get(1)?;
        told(names::kind_of(&kind, r.get(0)?).map(drop))?;
    }
    let mut select = conn.prepare("SELECT id, text FROM labels")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let text: String = r.get(1)?;
        told(names::labels_of(&text, r.get(0)?).map(drop))?;
    }
    Ok(())
}

/// The history half names hosts by number only: each number must be somebody.
fn hosts(conn: &Connection, problems: &mut Problems) -> Result<(), Fault> {
    let mut known: HashSet<i64> = HashSet::new();
    let mut select = conn.prepare("SELECT number FROM host")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        known.insert(r.get(0)?);
    }
    for table in [
        "series",
        "spool",
        "gap",
        "journal",
        "block",
        "newest",
        "rollup",
        "unrolled",
        "process_note",
    ] {
        let mut select = conn.prepare(&format!("SELECT DISTINCT host FROM {table}"))?;
        let mut rows = select.query([])?;
        while let Some(r) = rows.next()? {
            let host: i64 = r.get(0)?;
            if !known.contains(&host) {
                problems.add(format!("{table}: host number {host} is nobody"));
            }
        }
    }
    Ok(())
}
