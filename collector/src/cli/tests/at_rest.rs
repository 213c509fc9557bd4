//! Commands about the file itself: import, verify, stats.

use super::fixture::{Fleet, NOW_MS};
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
    let rollups = fine(&["verify", "--rollups", "--repair", "--db", db]);
    assert!(
        rollups.out.starts_with("rollups of 0 days were computed"),
        "{}",
        rollups.out
    );
    let alone = hostwell(&["verify", "--repair", "--db", db]);
    assert_eq!(alone.exit, Exit::Failed, "{}", alone.out);
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

/// A database in which people were told: of two findings of web-1 together thrice, of one of them to a
/// second target too; of one of db-1 once in the week, and often before it.
async fn told(db: &str) {
    use crate::rules::{Finding, Severity, State};
    use crate::store::{Store, Telling, Told};
    let finding = |(rule, host): (&str, &str)| Finding {
        id: 0,
        rule: rule.into(),
        host_id: host.into(),
        host: host.into(),
        subject: String::new(),
        severity: Severity::Warning,
        state: State::Open,
        since_ms: NOW_MS,
        opened_ms: Some(NOW_MS),
        closed_ms: None,
        judged_ms: NOW_MS,
        summary: "It is full.".into(),
        evidence: Vec::new(),
        advice: "Make room.".into(),
        advice_zh: "清理空间。".into(),
        held_ms: Default::default(),
    };
    let told = |hours: &[i64]| {
        Some(Told {
            firing: true,
            severity: Severity::Warning,
            at_ms: NOW_MS,
            fired_ms: NOW_MS,
            fired: hours.iter().map(|h| NOW_MS - h * 3_600_000).collect(),
            labels: Default::default(),
            silenced: false,
        })
    };
    let options = crate::cli::at_rest::options(db.into());
    let store = Store::open(options).await.unwrap();
    let all = [("a", "web-1"), ("b", "web-1"), ("a", "db-1")];
    let all = all.map(finding).to_vec();
    store.save_findings(all, NOW_MS).await.unwrap();
    let mut ids = store.verdicts().await.unwrap().into_iter().map(|f| f.id);
    let mut next = || ids.next_back().unwrap();
    let (of_db, b, a) = (next(), next(), next());
    let telling = |told: Vec<(i64, Option<Told>)>| Telling {
        told: told.into_iter().collect(),
        messages: Vec::new(),
    };
    let hook = vec![
        (a, told(&[50, 3, 1])),
        (b, told(&[3, 1])),
        (of_db, told(&[300, 200, 169, 2])),
    ];
    store.tell("hook", telling(hook), NOW_MS).await.unwrap();
    let other = vec![(a, told(&[50]))];
    store.tell("am", telling(other), NOW_MS).await.unwrap();
    store.close().await.unwrap();
}

#[test]
fn hosts_that_people_are_told_of_too_often_are_listed() {
    let fleet = Fleet::new();
    let db = fleet.db();
    let db = db.to_str().unwrap();
    assert!(!fine(&["stats", "--db", db]).out.contains("were told of"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(told(db));
    let table = fine(&["stats", "--db", db]).out;
    let expected = "people were told of 2 hosts in 7 days, of 1 more often than 2 times:\n  web-1: 3 \
                    messages\n";
    assert!(table.contains(expected), "{table}");
    let table = fine(&["stats", "--db", db, "--alert-budget", "3"]).out;
    assert!(table.contains("of each at most 3 times"), "{table}");
    let json = fine(&["stats", "--db", db, "-o", "json"]).out;
    let stats: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!({
        "days": 7, "budget": 2, "over": 1,
        "hosts": [{"host": "web-1", "messages": 3}, {"host": "db-1", "messages": 1}]
    });
    assert_eq!(stats["alerts"], expected);
}

/// A byte of a file that belongs to packed samples: text has no byte above 127, and what is unused
/// is zero.
fn within_a_payload(bytes: &[u8]) -> usize {
    const NEAR: usize = 64;
    let packed = |some: &[u8]| some.iter().filter(|b| **b > 127).count() > NEAR / 4;
    let at = bytes.windows(NEAR).rposition(packed).unwrap();
    at + NEAR / 2
}

#[test]
fn one_wrong_byte_in_a_file_is_found() {
    let fleet = Fleet::new();
    let db = fleet.db();
    let words = ["verify", "--db", db.to_str().unwrap()];
    fine(&words);
    let mut bytes = std::fs::read(&db).unwrap();
    let at = within_a_payload(&bytes);
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

#[test]
fn a_backup_becomes_a_database_again_and_nothing_is_overwritten() {
    let fleet = Fleet::new();
    let db = fleet.db();
    for (name, extra) in [("a", &[][..]), ("b", &["--rate", "1000"][..])] {
        let copy = fleet.beside(&format!("{name}.db"));
        let copy = copy.to_str().unwrap();
        let words = ["backup", copy, "--db", db.to_str().unwrap()];
        fine(&[&words[..], extra].concat());
        let folder = fleet.beside(name);
        let restore = ["restore", copy, "--data", folder.to_str().unwrap()];
        let restored = fine(&restore);
        assert!(restored.out.contains("6 hosts"), "{}", restored.out);
        let restored = folder.join("hostwell.db");
        let hosts = |db: &std::path::Path| fine(&["hosts", "--db", db.to_str().unwrap()]).out;
        assert_eq!(hosts(&restored), hosts(&db));
        let before = std::fs::read(&restored).unwrap();
        let again = hostwell(&restore);
        assert_eq!(again.exit, Exit::Failed);
        assert!(again.err.contains("overwrites nothing"), "{}", again.err);
        assert_eq!(std::fs::read(&restored).unwrap(), before);
        let left: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["hostwell.db"]);
    }
}

#[test]
fn a_damaged_backup_is_not_installed() {
    let fleet = Fleet::new();
    let (copy, folder) = (fleet.beside("copy.db"), fleet.beside("new"));
    let mut bytes = std::fs::read(fleet.db()).unwrap();
    let at = within_a_payload(&bytes);
    bytes[at] ^= 1;
    std::fs::write(&copy, bytes).unwrap();
    let refused = hostwell(&[
        "restore",
        copy.to_str().unwrap(),
        "--data",
        folder.to_str().unwrap(),
    ]);
    assert_eq!(refused.exit, Exit::Failed);
    assert!(refused.err.contains("is damaged"), "{}", refused.err);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_compacted_file_answers_as_before_and_has_no_room_to_spare() {
    let fleet = Fleet::new();
    let db = fleet.db();
    let db = db.to_str().unwrap();
    let ask = || {
        fine(&[
            "query",
            "node_load1",
            "--since",
            "20m",
            "-o",
            "csv",
            "--db",
            db,
        ])
        .out
    };
    let before = ask();
    fine(&["compact", "--db", db]);
    assert_eq!(ask(), before);
    let stats = fine(&["stats", "--db", db, "-o", "json"]).out;
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["free_bytes"], 0);
    fine(&["verify", "--db", db]);
    let absent = fleet.beside("none.db");
    let refused = hostwell(&["compact", "--db", absent.to_str().unwrap()]);
    assert_eq!(refused.exit, Exit::Failed);
    assert!(!absent.exists());
}

#[test]
fn an_export_is_imported_again_and_a_wrong_question_is_refused() {
    let fleet = Fleet::new();
    let db = fleet.db();
    let db = db.to_str().unwrap();
    for format in ["openmetrics", "csv"] {
        let out = fleet.beside(&format!("{format}.txt"));
        let out = out.to_str().unwrap();
        let words = [
            "export", format, "--host", "web-1", "--db", db, "--out", out,
        ];
        let told = fine(&words);
        assert!(told.err.contains("of 17 series into"), "{}", told.err);
        let again = hostwell(&words);
        assert!(again.err.contains("overwrites nothing"), "{}", again.err);
        let copy = fleet.beside(&format!("{format}.db"));
        let copy = copy.to_str().unwrap();
        fine(&["import", format, out, "--host", "web-1", "--db", copy]);
        let ask = |db: &str| {
            let range = [
                "--from",
                "2026-11-21T19:40:00Z",
                "--to",
                "2026-11-21T19:50:00Z",
            ];
            let cpu = [
                "query",
                "node_cpu_seconds_total{host=\"web-1\"}",
                "-o",
                "csv",
            ];
            let asked = fine(&[&cpu[..], &range[..], &["--db", db]].concat());
            // Labels of the host are not exported.
            asked.out.replace(",role", "").replace(",web,", ",")
        };
        assert_eq!(ask(db), ask(copy));
    }
    let none = hostwell(&["export", "csv", "no_such_metric", "--db", db]);
    assert_eq!(none.exit, Exit::Failed);
    let wrong = hostwell(&["export", "csv", "a{", "--db", db]);
    assert_eq!(wrong.exit, Exit::Failed);
    let piped = fine(&[
        "export",
        "openmetrics",
        "node_load1",
        "--since",
        "1m",
        "--db",
        db,
    ]);
    assert!(piped.out.ends_with("# EOF\n"), "{}", piped.out);
}
