//! `hostwell rules`.

use std::path::{Path, PathBuf};

use super::{Exit, Outcome, hostwell};
use crate::rules::RULES;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rules")
}

fn test(file: &Path) -> Outcome {
    hostwell(&["rules", "test", file.to_str().unwrap()])
}

#[test]
fn every_rule_is_listed_and_explained() {
    let list = hostwell(&["rules", "list"]);
    assert_eq!((list.exit, list.err.as_str()), (Exit::Fine, ""));
    for rule in RULES {
        assert!(list.out.contains(rule.title.en), "{}", rule.name);
        let page = hostwell(&["rules", "show", rule.name]).out;
        for part in [rule.title.en, "What to do", "Levels"] {
            assert!(page.contains(part), "{page}");
        }
    }
    for levels in [
        "critical 95 %→85 %, for_seconds 0 s, warning 85 %→75 %",
        "average_seconds 5 min, for_seconds 15 min, operations_min 1, warning_seconds 100 ms→50 ms",
        "critical_bytes_left 8 GiB",
        "memory_bytes 48 MiB→40 MiB",
        "warning 500 a second→400 a second",
        "days_min 5, info_days 30 d, rise 5 %→3 %",
        "network_beyond_bytes 5 MB/s, spreads 3.5, times 1.5",
    ] {
        let words = list.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(levels), "{levels}: {}", list.out);
    }
}

#[test]
fn rules_are_printed_for_programs() {
    let csv = hostwell(&["rules", "list", "-o", "csv"]).out;
    assert!(csv.starts_with("id,title,what,"), "{csv}");
    let json = hostwell(&["rules", "show", "disk_full", "-o", "json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rules"][0]["id"], "disk_full");
    let levels = &json["rules"][0]["levels"];
    assert_eq!(
        (&levels["warning"]["raise"], &levels["for_seconds"]),
        (&0.8.into(), &300.into())
    );
    let lines = hostwell(&["rules", "list", "-o", "jsonl"]).out;
    assert_eq!(lines.lines().count(), RULES.len());
}

#[test]
fn a_rule_that_is_not_there_is_an_error_that_names_its_neighbours() {
    let wrong = hostwell(&["rules", "show", "disk_ful"]);
    assert_eq!(wrong.exit, Exit::Failed);
    assert!(wrong.err.contains("disk_full"), "{}", wrong.err);
    let wrong = hostwell(&["rules", "show", "zzz"]);
    assert!(wrong.err.contains("rules list"), "{}", wrong.err);
}

#[test]
fn a_script_passes_line_by_line_and_fails_with_what_was_found() {
    let passed = test(&scripts().join("disk_full.fires.script"));
    assert_eq!(
        (passed.exit, passed.err.as_str()),
        (Exit::Fine, ""),
        "{}",
        passed.out
    );
    assert_eq!(passed.out.lines().count(), 5, "{}", passed.out);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.script");
    std::fs::write(
        &file,
        "load 1m node_load1 1x90\nat 1h expect no host_down\nat 1h expect host_down critical\n",
    )
    .unwrap();
    let failed = test(&file);
    assert_eq!(failed.exit, Exit::Found, "{}", failed.err);
    let lines: Vec<&str> = failed.out.lines().collect();
    assert!(
        lines[0].starts_with("pass") && lines[0].contains(":2 "),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("FAIL") && lines[1].contains(":3 "),
        "{lines:?}"
    );
    assert!(lines[2].contains("found: host_down is Ok"), "{lines:?}");
}

#[test]
fn a_script_that_cannot_be_played_is_an_error_that_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.script");
    for (text, expected) in [
        (
            "load 1m node_load1 1x9\nlod 1m a 1\n",
            "line 2: no command \"lod\"",
        ),
        ("load 1m node_load1 1x9\n", "expects nothing"),
        ("", "nothing is loaded"),
    ] {
        std::fs::write(&file, text).unwrap();
        let wrong = test(&file);
        assert_eq!(wrong.exit, Exit::Failed, "{text}");
        assert!(wrong.err.contains(expected), "{}", wrong.err);
    }
    let wrong = test(&folder.path().join("none.script"));
    assert!(wrong.err.contains("none.script"), "{}", wrong.err);
}
