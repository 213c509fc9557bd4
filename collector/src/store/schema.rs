//! The file's format: pragmas, and migrations that are only ever appended to.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::error::{Fault, StoreError, Trouble};

/// "HWel" in the file's header: this SQLite file is ours.
pub(super) const APPLICATION_ID: i64 = 0x4857_656c;

/// Position in this list = `PRAGMA user_version` after it. Released entries never change.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_v1.sql"),
    include_str!("schema_v2.sql"),
    include_str!("schema_v3.sql"),
    include_str!("schema_v4.sql"),
    include_str!("schema_v5.sql"),
    include_str!("schema_v6.sql"),
    include_str!("schema_v7.sql"),
    include_str!("schema_v8.sql"),
    include_str!("schema_v9.sql"),
    include_str!("schema_v10.sql"),
];

/// What makes an older file look like the newest format to one reading connection, by the file's
/// format: things of its temporary schema, which hide those of the file. A file at rest, a backup on
/// a read-only disk, is read as it is; only a collector migrates.
const READ_AS: &[&[&str]] = &[
    &[],
    &[
        NO_ROLLUPS,
        NOTHING_DROPPED,
        NAMES_OF_THEIR_OWN,
        NOBODY_CARED,
        NO_TOTALS,
        NO_NOTES,
        ALL_WAITS,
        NONE_KNOWN,
    ],
    &[
        NOTHING_DROPPED,
        NAMES_OF_THEIR_OWN,
        NOBODY_CARED,
        NO_TOTALS,
        NO_NOTES,
        ALL_WAITS,
        NONE_KNOWN,
    ],
    &[
        NAMES_OF_THEIR_OWN,
        NOBODY_CARED,
        NO_TOTALS,
        NO_NOTES,
        ALL_WAITS,
        NONE_KNOWN,
    ],
    &[NOBODY_CARED, NO_TOTALS, NO_NOTES, ALL_WAITS, NONE_KNOWN],
    &[NO_TOTALS, NO_NOTES, ALL_WAITS, NONE_KNOWN],
    &[NO_NOTES, ALL_WAITS, NONE_KNOWN],
    // Before format 8 totals said nothing of time; they are read as they are.
    &[ALL_WAITS, NONE_KNOWN],
    &[ALL_WAITS, NONE_KNOWN],
    &[NONE_KNOWN],
];

/// Before format 2.
const NO_ROLLUPS: &str = "CREATE TEMP VIEW host AS SELECT *, 0 AS kept FROM main.host;
     CREATE TEMP TABLE rollup (number, host, family, tier_ms, start_ms, end_ms, samples, crc32c, payload);
     CREATE TEMP TABLE unrolled (host, day);";
/// Before format 3.
const NOTHING_DROPPED: &str =
    "CREATE TEMP TABLE dropped (tier_ms, rows, bytes, until_ms, at_ms, bytes_max);";
/// Before format 4: every series is called something that no other one is called.
const NAMES_OF_THEIR_OWN: &str = "
     CREATE TEMP VIEW metric AS SELECT id, metric AS name, kind, family, 1 AS uses FROM main.series;
     CREATE TEMP VIEW labels AS SELECT id, labels AS text, 1 AS uses FROM main.series;
     CREATE TEMP VIEW named AS
       SELECT host, metric AS name, id, id AS metric, id AS labels FROM main.series;
     CREATE TEMP VIEW series AS SELECT host, id AS metric, id AS labels, id FROM main.series;
     CREATE TEMP TABLE given (what, last);";
/// Before format 5: nobody decided anything about findings, and nobody was told.
const NOBODY_CARED: &str = "
     CREATE TEMP VIEW finding_event AS
       SELECT *, NULL AS edit, NULL AS who, NULL AS note FROM main.finding_event;
     CREATE TEMP TABLE care (finding, body);
     CREATE TEMP TABLE outbox (number, target, made_ms, next_ms, tries, body);
     CREATE TEMP TABLE told (target, finding, body);
     CREATE TEMP TABLE delivery (target, body);";

/// Before format 6.
const NO_TOTALS: &str = "CREATE TEMP TABLE total (block, crc32c, payload);";
/// Before format 7.
const NO_NOTES: &str = "CREATE TEMP TABLE process_note (number, host, folded, start_ms, end_ms, notes, crc32c, payload);";

/// Before format 9 rows of the journal went as soon as they were in blocks.
const ALL_WAITS: &str = "CREATE TEMP TABLE sealed (host, number);
     CREATE TEMP VIEW waiting AS SELECT * FROM main.journal;";

/// Before format 10 the newest samples were looked for in blocks.
const NONE_KNOWN: &str = "CREATE TEMP TABLE newest (host, oldest_ms, crc32c, payload);";

/// The newest format this program reads and writes.
pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// What the file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// No tables yet.
    Empty,
    /// Ours, at this version.
    Ours(i64),
    /// A SQLite database of some other program.
    Foreign(i64),
}

/// Reads the header. The first touch of the file: a cut or foreign one fails here.
pub(super) fn format(conn: &Connection) -> Result<Format, Fault> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    let application: i64 = conn.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |r| r.get(0))?;
    Ok(if application == APPLICATION_ID {
        Format::Ours(version)
    } else if tables == 0 && application == 0 {
        Format::Empty
    } else {
        Format::Foreign(application)
    })
}

/// Refuses what this program cannot read.
pub(super) fn readable(format: Format, path: &std::path::Path) -> Result<i64, StoreError> {
    match format {
        Format::Empty => Ok(0),
        Format::Ours(found) if found > KNOWN => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: KNOWN,
        }),
        Format::Ours(found) => Ok(found),
        Format::Foreign(id) => Err(Trouble::Damaged(format!(
            "it is a SQLite database of another program (application id {id:#x})"
        ))
        .at(path, "")),
    }
}

/// Lets a reading connection see an older file of ours in the newest format.
pub(super) fn read_as_newest(conn: &Connection) -> rusqlite::Result<()> {
    let application: i64 = conn.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let scripts = usize::try_from(version).ok().and_then(|v| READ_AS.get(v));
    match scripts {
        Some(scripts) if application == APPLICATION_ID => {
            scripts.iter().try_for_each(|s| conn.execute_batch(s))
        }
        _ => Ok(()),
    }
}

/// Statements that a connection keeps compiled: more than any of them uses again and again.
const STATEMENTS_MAX: usize = 64;

/// What a statement is compiled to stays: else SQLite looks at the values it is given, and compiles a
/// statement anew whenever one of them changes, which takes longer than most statements.
pub(super) fn compile_once(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}

/// Settings of the writing connection. The first two only take effect in an empty file.
pub(super) fn prepare_writer(conn: &Connection) -> Result<(), Fault> {
    compile_once(conn)?;
    conn.pragma_update(None, "page_size", 4096)?;
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Sql(Trouble::Other(format!(
            "this file system does not allow SQLite's write-ahead log (got {mode})"
        ))));
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // The log is folded in every 16 MiB and cut back after a burst.
    conn.pragma_update(None, "wal_autocheckpoint", 4096)?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(())
}

/// Brings the file up to [`KNOWN`], one transaction for each step.
pub(super) fn migrate(conn: &mut Connection, from: i64) -> Result<(), Fault> {
    migrate_with(conn, from, MIGRATIONS)
}

fn migrate_with(conn: &mut Connection, from: i64, steps: &[&str]) -> Result<(), Fault> {
    let done = usize::try_from(from).unwrap_or(0);
    for (i, step) in steps.iter().enumerate().skip(done) {
        let change = conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        change.execute_batch(step)?;
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.pragma_update(None, "user_version", i as i64 + 1)?;
        change.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, 0).unwrap();
        assert_eq!(format(&conn).unwrap(), Format::Ours(KNOWN));
        migrate(&mut conn, KNOWN).unwrap();
        assert_eq!(format(&conn).unwrap(), Format::Ours(KNOWN));
    }

    #[test]
    fn every_older_format_can_be_read_without_migrating_it() {
        assert_eq!(READ_AS.len(), MIGRATIONS.len());
        let columns = |conn: &Connection, table: &str| -> Vec<String> {
            let select = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
            select.column_names().map(str::to_owned).collect()
        };
        let mut newest = Connection::open_in_memory().unwrap();
        migrate(&mut newest, 0).unwrap();
        let tables: Vec<String> = newest
            .prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
            .unwrap()
            .query_map([], |r| r.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for format in 1..MIGRATIONS.len() {
            let mut older = Connection::open_in_memory().unwrap();
            migrate_with(&mut older, 0, &MIGRATIONS[..format]).unwrap();
            read_as_newest(&older).unwrap();
            for table in &tables {
                assert_eq!(columns(&older, table), columns(&newest, table), "{table}");
            }
        }
    }

    #[test]
    fn a_failing_step_leaves_the_format_before_it() {
        let mut conn = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); SELECT nonsense"];
        assert!(migrate_with(&mut conn, 0, &steps).is_err());
        assert_eq!(format(&conn).unwrap(), Format::Ours(1));
        let b: i64 = conn
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'b'",
                [],
                |r| r.get(0),
            )
            .unwrap();
        assert_eq!(b, 0, "half a step is no step");
    }

    #[test]
    fn another_programs_database_is_named_as_such() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let refused = readable(format(&conn).unwrap(), std::path::Path::new("x.db"));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("another program"), "{text}");
    }
}
