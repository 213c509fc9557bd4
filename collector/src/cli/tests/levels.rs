//! Forecasts of any series, at any moment of its past.

use serde_json::{Value, json};

use super::fixture::Fleet;
use super::{Outcome, hostwell};
use crate::cli::Exit;
use crate::forecast::{DAY_MS, HOUR_MS};

/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

/// A database of hosts whose tables have a store that grows by 24 a day, a busy part that returns, and
/// a counter of one a second that begins anew each day.
struct Imported {
    folder: tempfile::TempDir,
}

impl Imported {
    /// Hosts with so many days.
    fn of(hosts: &[(&str, i64)]) -> Imported {
        let imported = Imported {
            folder: tempfile::tempdir().unwrap(),
        };
        for (host, days) in hosts {
            let mut text = String::from("unix_ms,used,busy %,hits_total\n");
            for hour in 0..days * 24 {
                let time_ms = START_MS + hour * HOUR_MS + 1;
                let (used, busy, hits) = (500 + hour, 40 + hour * 7 % 24, hour % 24 * 3_600);
                text += &format!("{time_ms},{used},{busy},{hits}\n");
            }
            let file = imported.folder.path().join(format!("{host}.csv"));
            std::fs::write(&file, text).unwrap();
            let words = ["import", "csv", file.to_str().unwrap(), "--host", host];
            let done = imported.ask(&words);
            assert_eq!(done.exit, Exit::Fine, "{}", done.err);
        }
        imported
    }

    fn ask(&self, words: &[&str]) -> Outcome {
        let db = self.folder.path().join("h.db");
        let db = db.to_str().unwrap();
        let mut outcome = hostwell(&[words, &["--db", db]].concat());
        outcome.err = outcome.err.replace(db, "DB");
        outcome
    }

    /// The lines of a forecast.
    fn lines(&self, words: &[&str]) -> Vec<Value> {
        let outcome = self.ask(&[&["forecast", "-o", "jsonl"], words].concat());
        assert_eq!(outcome.exit, Exit::Fine, "{}", outcome.err);
        let lines = outcome.out.lines();
        lines.map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

const ALL: &str = "{__name__=~\".+\"}";

#[test]
fn each_series_has_a_line_for_each_moment_and_horizon() {
    let imported = Imported::of(&[("a", 20), ("b", 20)]);
    let range = ["--from", "2026-01-11", "--to", "2026-01-18T00:00:00Z"];
    let ahead = ["--every", "84h", "--horizon", "84h,168h"];
    let words = [&["--metric", ALL][..], &range, &ahead].concat();
    let lines = imported.lines(&words);
    let of = |key: &str| lines.iter().map(|l| l[key].clone()).collect::<Vec<_>>();
    assert_eq!(lines.len(), 2 * 3 * 3 * 2);
    assert_eq!(
        (&of("host")[0], &of("host")[18]),
        (&json!("a"), &json!("b"))
    );
    let first = START_MS + 10 * DAY_MS;
    assert_eq!(
        of("made_at_ms")[..6],
        [0, 0, 84, 84, 168, 168].map(|h| json!(first + h * HOUR_MS))
    );
    assert_eq!(of("horizon_ms")[..2], [84, 168].map(|h| json!(h * HOUR_MS)));
    // Ten days in, the last day's median is 500 + 9 days and a half; 84 and 168 more come.
    let store: Vec<&Value> = lines.iter().filter(|l| l["metric"] == "used").collect();
    assert_eq!(store[0]["class"], "store");
    assert_eq!(store[0]["value"], json!(500.0 + 227.5 + 84.0));
    assert_eq!(store[1]["value"], json!(500.0 + 227.5 + 168.0));
    let busy: Vec<&Value> = lines.iter().filter(|l| l["metric"] == "busy %").collect();
    assert_eq!((busy.len(), &busy[0]["class"]), (12, &json!("usage")));
    let hits: Vec<&Value> = lines
        .iter()
        .filter(|l| l["metric"] == "hits_total")
        .collect();
    assert_eq!(
        (&hits[0]["value"], &hits[0]["class"]),
        (&json!(1.0), &json!("usage"))
    );
    assert!(lines.iter().all(|l| {
        let of = |key: &str| l[key].as_f64().unwrap();
        of("lo80") <= of("value") && of("value") <= of("hi80")
    }));
    let only = imported.lines(&[&words[..], &["--host", "b"]].concat());
    assert_eq!(only, lines[18..]);
}

#[test]
fn what_came_after_the_moment_changes_no_line() {
    let (until, more) = (Imported::of(&[("a", 12)]), Imported::of(&[("a", 30)]));
    for at in ["2026-01-12T18:20:00Z", "2026-01-13", "2026-01-06T01:00:00Z"] {
        let words = ["--metric", ALL, "--at", at, "--horizon", "1d,30d"];
        let lines = until.lines(&words);
        assert_eq!(lines.len(), 6, "{at}");
        assert_eq!(lines, more.lines(&words), "{at}");
    }
}

#[test]
fn tables_documents_and_spreadsheets_say_the_same() {
    let imported = Imported::of(&[("a", 9), ("b", 2)]);
    let words = ["forecast", "--metric", "used", "--at", "2026-01-10", "-o"];
    let printed = |format| {
        let outcome = imported.ask(&[&words[..], &[format]].concat());
        assert_eq!(outcome.exit, Exit::Fine, "{}", outcome.err);
        assert!(
            outcome.err.contains("1 times a series of 2 had too little"),
            "{}",
            outcome.err
        );
        outcome.out
    };
    let table = printed("table");
    let cells: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
    let expected = "a used 2026-01-10 00:00:00Z 7 d 871.5 871.5 871.5";
    assert_eq!(cells.join(" "), expected);
    let csv = printed("csv");
    let made = START_MS + 9 * DAY_MS;
    let row = format!("a,used,{made},604800000,871.5,871.5,871.5,store");
    assert_eq!(csv.lines().skip(1).collect::<Vec<_>>(), [row]);
    let document: Value = serde_json::from_str(&printed("json")).unwrap();
    assert_eq!(
        (&document["kind"], &document["series"]),
        (&json!("levels"), &json!(2))
    );
    assert_eq!(document["levels"][0]["value"], json!(871.5));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_way_out() {
    let imported = Imported::of(&[("a", 6)]);
    let metric = ["--metric", "used"];
    let cases: [(&[&str], &str); 11] = [
        (&["--horizon", "7d"], "--metric <SELECTOR>"),
        (&["--at", "6h"], "--metric <SELECTOR>"),
        (
            &["--metric", "used", "--resource", "disk"],
            "cannot be used with",
        ),
        (&["--metric", "used", "--every", "84h"], "--from <T>"),
        (&["--metric", "used", "--from", "3d"], "--every <DURATION>"),
        (&["--metric", "used{"], "used{"),
        (&["--metric", "unused"], "no series fits unused"),
        (&["--metric", "used", "--host", "aa"], "\"aa\""),
        (
            &["--metric", "used", "--horizon", "1m"],
            "an hour to two years",
        ),
        (
            &["--metric", "used", "-o", "chart"],
            "table, json, jsonl or csv",
        ),
        (
            &["--metric", "used", "--from", "9w", "--every", "1s"],
            "take a longer --every",
        ),
    ];
    for (words, told) in cases {
        let outcome = imported.ask(&[&["forecast"], words].concat());
        assert_eq!(
            (outcome.exit, outcome.out.as_str()),
            (Exit::Failed, ""),
            "{words:?}"
        );
        assert!(outcome.err.contains(told), "{words:?}: {}", outcome.err);
    }
    let fine = imported.ask(&[&["forecast"], &metric[..]].concat());
    assert_eq!(fine.exit, Exit::Fine, "{}", fine.err);
}

#[test]
fn half_an_hour_is_no_history_also_of_counters_and_derived_metrics() {
    let fleet = Fleet::new();
    let db = fleet.db();
    for metric in [
        "node_network_receive_bytes_total",
        "hostwell_cpu_busy_ratio",
    ] {
        let words = ["forecast", "--metric", metric, "--db", db.to_str().unwrap()];
        let outcome = hostwell(&words);
        assert_eq!(outcome.exit, Exit::Fine, "{}", outcome.err);
        assert!(
            outcome.err.contains("had too little history"),
            "{}",
            outcome.err
        );
    }
}
