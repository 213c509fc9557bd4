//! One moment of the file: all that is read of it is as of the same commit.

use std::ops::Deref;

use rusqlite::Connection;

use super::error::Fault;

/// A reading transaction. Begun and ended by statements that are compiled once for a connection:
/// compiling them anew is a twentieth of a small question.
#[derive(Debug)]
pub(super) struct Moment<'a>(&'a Connection);

impl<'a> Moment<'a> {
    /// The moment at which the first read comes. A connection reads of one moment at a time.
    pub(super) fn of(conn: &'a Connection) -> Result<Moment<'a>, Fault> {
        conn.prepare_cached("BEGIN")?.execute([])?;
        Ok(Moment(conn))
    }
}

impl Deref for Moment<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        // Nothing was written. SQLite may have ended it itself where it failed.
        if !self.0.is_autocommit() {
            let ended = self.0.prepare_cached("COMMIT");
            let ended = ended.and_then(|mut commit| commit.execute([]));
            if let Err(error) = ended {
                tracing::error!(%error, "end a reading transaction");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_meanwhile_is_seen_by_the_next_moment_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("CREATE TABLE a (x)").unwrap();
        let reader = Connection::open(&path).unwrap();
        let count = |conn: &Connection| -> i64 {
            conn.query_row("SELECT count(*) FROM a", [], |r| r.get(0))
                .unwrap()
        };
        for so_far in 0..3 {
            let moment = Moment::of(&reader).unwrap();
            assert_eq!(count(&moment), so_far);
            writer.execute("INSERT INTO a VALUES (1)", []).unwrap();
            assert_eq!(count(&moment), so_far, "still the same moment");
        }
        assert_eq!(count(&reader), 3);
        let moment = Moment::of(&reader).unwrap();
        assert!(Moment::of(&reader).is_err(), "one at a time");
        drop(moment);
    }
}
