//! Commands about the file itself: import, verify, stats.

use super::fixture::Fleet;
use super::{Outcome, hostwell};
use crate::cli::Exit;

fn fine(words: &[&str]) -> Outcome {
    let outcome = hostwell(words);
    assert_eq!(outcome.exit, Exit::Fine, "{words:?}: {}", outcome.err);
    outcome
}

const TABLE: &str = "unix_ms,node_load1,\"node_disk_io_time_seconds_total{device=sda} [ms]\"\n\
    1600000000000,0.5,1500\n1600000010000,0.25,\n1600000020000,nan,2500\n";

#[test]
fn an_imported_table_answers_like_what_an_agent_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (file, db) = (folder.path().join("t.csv"), folder.path().join("new/h.db"));
    std::fs::write(&file, TABLE).unwrap();
    let (file, db) = (file.to_str().unwrap(), db.to_str().unwrap());
    let import = ["import", "csv", file, "--host", "old-1", "--db", db];
    let first = fine(&import);
    assert!(
        first
            .out
            .contains("4 samples of 2 series, 2020-09-13 12:26:40")
            && first
                .out
                .contains("every 10 s; 1 values are no finite numbers"),
        "{}",
        first.out
    );
    let again = fine(&import);
    assert!(
        again.out.contains("4 were stored by an earlier"),
        "{}",
        again.out
    );
    let asked = fine(&[
        "query",
        "node_disk_io_time_seconds_total",
        "--since",
        "1h",
        "-o",
        "csv",
        "--db",
        db,
    ]);
    let lines: Vec<&str> = asked.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", asked.out);
    assert!(lines[1].ends_with("old-1,sda,1.5"), "{}", asked.out);
    fine(&["report", "--db", db, "--format", "md", "--since", "1h"]);
    let sound = fine(&["verify", "--db", db]);
    assert!(sound.out.contains("is sound: 4 samples"), "{}", sound.out);
}

#[test]
fn a_dry_run_shows_what_a_file_would_become_and_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, db) = (folder.path().join("t.csv"), folder.path().join("h.db"));
    std::fs::write(&file, "unix_ms,CPU Busy %\n1600000000000,50\n").unwrap();
    let map = folder.path().join("map.toml");
    let text = "[[series]]\nfrom = \"CPU Busy %\"\nmetric = \"cpu_busy_ratio\"\nunit = \"%\"\n";
    std::fs::write(&map, text).unwrap();
    let tried = fine(&[
        "import",
        "csv",
        file.to_str().unwrap(),
        "--host",
        "old-1",
        "--db",
        db.to_str().unwrap(),
        "--dry-run",
        "--map",
        map.to_str().unwrap(),
    ]);
    assert!(tried.out.contains("nothing stored"), "{}", tried.out);
    let row = tried.out.lines().last().unwrap();
    assert!(
        row.contains("CPU Busy %") && row.contains("cpu_busy_ratio"),
        "{row}"
    );
    assert!(!db.exists());
}

#[test]
fn a_file_that_does_not_fit_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (file, db) = (folder.path().join("t.csv"), folder.path().join("h.db"));
    std::fs::write(&file, "unix_ms,node_load1\n1600000000000,much\n").unwrap();
    let refused = hostwell(&[
        "import",
        "csv",
        file.to_str().unwrap(),
        "--host",
        "old-1",
        "--db",
        db.to_str().unwrap(),
    ]);
    assert_eq!(refused.exit, Exit::Failed);
    assert!(
        refused
            .err
            .contains("t.csv:2:15: expected a number or nothing, found \"much\""),
        "{}",
        refused.err
    );
    assert!(
        refused.err.contains("0 samples of it are stored"),
        "{}",
        refused.err
    );
}

#[test]
fn the_room_that_things_take_is_shown_by_family_and_for_programs() {
    let fleet = Fleet::new();
    let db = fleet.db();
    let db = db.to_str().unwrap();
    let table = fine(&["stats", "--db", db]).out;
    for word in ["6 hosts", "TIER", "raw", "cpu", "filesystem"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    let json = fine(&["stats", "--db", db, "-o", "json"]).out;
    let stats: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(stats["schema_version"], 1);
    let parts = stats["parts"].as_array().unwrap();
    let raw: u64 = parts
        .iter()
        .filter(|p| p["tier"] == "raw")
        .map(|p| p["samples"].as_u64().unwrap())
        .sum();
    assert_eq!(stats["samples"].as_u64(), Some(raw));
    let csv = fine(&["stats", "--db", db, "-o", "csv"]).out;
    assert!(csv.starts_with("tier,family,blocks,samples,bytes"), "{csv}");
}

#[test]
fn one_wrong_byte_in_a_file_is_found() {
    let fleet = Fleet::new();
    let db = fleet.db();
    let words = ["verify", "--db", db.to_str().unwrap()];
    fine(&words);
    let mut bytes = std::fs::read(&db).unwrap();
    // The last page of a fresh file holds a block's payload.
    let at = bytes.len() - 2048;
    bytes[at] ^= 1;
    std::fs::write(&db, bytes).unwrap();
    let found = hostwell(&words);
    assert_eq!(found.exit, Exit::Found, "{}{}", found.out, found.err);
    assert!(found.out.contains("is damaged"), "{}", found.out);
    let json = hostwell(&["verify", "--db", db.to_str().unwrap(), "-o", "json"]);
    let verified: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(verified["sound"], false);
    assert_eq!(json.exit, Exit::Found);
}

#[test]
fn a_file_that_is_no_database_is_damaged_and_one_that_is_not_there_cannot_be_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    let words = ["verify", "--db", path.to_str().unwrap()];
    let absent = hostwell(&words);
    assert_eq!(absent.exit, Exit::Failed);
    assert!(absent.err.contains("--db FILE"), "{}", absent.err);
    std::fs::write(&path, "no database at all, just some text".repeat(300)).unwrap();
    assert_eq!(hostwell(&words).exit, Exit::Found);
}
