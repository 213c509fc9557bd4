//! `hostwell rules backtest`: the same as live, and clear answers where there is nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};
use serde_json::Value;

use super::{Exit, Outcome, hostwell};
use crate::rules::{Judging, State};
use crate::series::{Kind, SeriesName};
use crate::store::{Append, Greeting, HostFacts, Store, StoreOptions};
use crate::upkeep::Upkeep;

const HOST: HostId = HostId([5; 16]);
const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_800_000_000_000;
const MINUTES: i64 = 343;

/// Raised and over, by rule and subject.
type Told = Vec<(String, String, i64, Option<i64>)>;

fn at(minute: i64) -> i64 {
    START_MS + minute * MINUTE_MS
}

/// Five minutes of silence, two boots after shorter ones.
fn silent(minute: i64) -> bool {
    (200..206).contains(&minute) || [250, 251, 299, 300, 301].contains(&minute)
}

fn names() -> Vec<(SeriesName, Kind)> {
    let root = [
        ("device", "/dev/sda1"),
        ("fstype", "ext4"),
        ("mountpoint", "/"),
    ];
    let cpu = |mode| SeriesName::new("node_cpu_seconds_total", &[("cpu", "0"), ("mode", mode)]);
    vec![
        (SeriesName::new("hostwell_uptime_seconds", &[]), Kind::Gauge),
        (SeriesName::new("node_load1", &[]), Kind::Gauge),
        (cpu("idle"), Kind::Counter),
        (cpu("user"), Kind::Counter),
        (
            SeriesName::new("node_filesystem_avail_bytes", &root),
            Kind::Gauge,
        ),
        (
            SeriesName::new("node_filesystem_size_bytes", &root),
            Kind::Gauge,
        ),
    ]
}

/// What the host measures: its CPU is busy in the second hour and its disk fills from the third on.
fn values(minute: i64) -> Vec<f64> {
    let boots = [-5_000, 206, 252, 302];
    let boot = boots.iter().rev().find(|boot| **boot <= minute);
    let busy = (minute - 60).clamp(0, 45) as f64 * 58.0;
    vec![
        (minute - boot.unwrap_or(&0)) as f64 * 60.0 + 10.0,
        0.5,
        minute as f64 * 60.0 - busy,
        busy,
        3e11 - (minute - 120).max(0) as f64 * 1.2e9,
        5e11,
    ]
}

async fn store(folder: &tempfile::TempDir, name: &str) -> (Store, PathBuf) {
    let path = folder.path().join(name);
    let options = StoreOptions {
        path: path.clone(),
        retention_ms: 15 * 86_400_000,
        series_per_host_max: 100,
        hosts_max: 10,
    };
    (Store::open(options).await.unwrap(), path)
}

async fn greet(store: &Store, now_ms: i64) {
    let greeting = Greeting {
        host_id: HOST,
        host_name: "web-1".into(),
        interval_ms: MINUTE_MS as u32,
        facts: HostFacts::default(),
        labels: Default::default(),
        clock_skew_ms: 0,
        kept: false,
    };
    store.greet(greeting, now_ms).await.unwrap();
}

async fn sample(store: &Store, minute: i64) {
    let series = store.series_ids(HOST, names()).await.unwrap();
    let columns = (0..).zip(values(minute)).map(|(number, value)| Column {
        number,
        ticks: None,
        values: vec![value],
    });
    let append = Append {
        host_id: HOST,
        spool_id: SpoolId([6; 16]),
        sequence: minute as u64 + 1,
        received_ms: at(minute),
        block: Packed::of(&Block {
            times_ms: vec![at(minute)],
            columns: columns.collect(),
        }),
        series,
    };
    store.append(append).await.unwrap();
}

/// What a collector told while it ran, its clock being the samples'.
async fn live(folder: &tempfile::TempDir) -> (Told, PathBuf) {
    let (store, path) = store(folder, "live.db").await;
    greet(&store, START_MS).await;
    let (mut last_ms, mut on, mut told) = (START_MS, BTreeMap::new(), Told::new());
    for minute in 0..MINUTES {
        if !silent(minute) {
            sample(&store, minute).await;
            last_ms = at(minute);
        }
        for now_ms in [at(minute), last_ms + 3 * MINUTE_MS + 1] {
            if (at(minute)..at(minute + 1)).contains(&now_ms) {
                // A new one has not worked yet, and needs no rest.
                let mut upkeep = Upkeep::new(store.clone(), Judging::default());
                upkeep.turn(now_ms).await.unwrap();
                let findings = store.findings(None).await.unwrap().into_iter();
                let open = findings.filter(|finding| finding.state == State::Open);
                let open: BTreeSet<_> = open.map(|f| (f.rule, f.subject)).collect();
                let over = on.extract_if(.., |key, _| !open.contains(key));
                told.extend(over.map(|((rule, on), begun)| (rule, on, begun, Some(now_ms))));
                for key in open {
                    on.entry(key).or_insert(now_ms);
                }
            }
        }
    }
    told.extend(
        on.into_iter()
            .map(|((rule, on), begun)| (rule, on, begun, None)),
    );
    told.sort();
    store.close().await.unwrap();
    (told, path)
}

fn backtest(words: &[&str]) -> Outcome {
    hostwell(&[&["rules", "backtest"], words].concat())
}

fn lines(words: &[&str]) -> Vec<Value> {
    let outcome = backtest(&[words, &["-o", "jsonl"]].concat());
    assert_eq!(outcome.exit, Exit::Fine, "{}", outcome.err);
    let lines = outcome.out.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn told(words: &[&str]) -> Told {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let mut told: Told = lines(words)
        .iter()
        .map(|line| {
            (
                text(line, "rule"),
                text(line, "subject"),
                line["start_ms"].as_i64().unwrap(),
                line["end_ms"].as_i64(),
            )
        })
        .collect();
    told.sort();
    told
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_backtest_tells_what_the_collector_told_in_whatever_order_samples_came() {
    let folder = tempfile::tempdir().unwrap();
    let (told_live, path) = runtime().block_on(live(&folder));
    let rules: Vec<&str> = told_live.iter().map(|(rule, ..)| rule.as_str()).collect();
    for rule in [
        "cpu_saturation",
        "disk_full",
        "flapping",
        "host_down",
        "reboot",
    ] {
        assert!(rules.contains(&rule), "{told_live:?}");
    }
    assert_eq!(told(&["--db", path.to_str().unwrap()]), told_live);

    let mixed = runtime().block_on(async {
        let (store, path) = store(&folder, "mixed.db").await;
        greet(&store, START_MS).await;
        // 241 and 343 have no common divisor: each minute once, near ones far apart.
        for minute in (0..MINUTES).map(|n| n * 241 % MINUTES) {
            if !silent(minute) {
                sample(&store, minute).await;
            }
        }
        store.close().await.unwrap();
        path
    });
    assert_eq!(told(&["--db", mixed.to_str().unwrap()]), told_live);
}

/// A database of hosts with a table each: two columns that jump on the eleventh day, and a third that
/// grows by 24 a day.
fn imported(folder: &tempfile::TempDir, hosts: &[&str]) -> String {
    let db = folder.path().join("h.db").to_str().unwrap().to_owned();
    for host in hosts {
        let mut text = String::from("unix_ms,used,busy %,hits\n");
        for n in 0..12 * 288 {
            let time_ms = START_MS + n * 300_000;
            let jump = |phase: i64| match (3_000..3_006).contains(&n) {
                true => 900,
                false => 40 + (n + phase) * 7_919 % 288 / 10,
            };
            let used = 500.0 + n as f64 / 12.0;
            text += &format!("{time_ms},{used},{},{}\n", jump(0), jump(5));
        }
        let file = folder.path().join(format!("{host}.csv"));
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let done = hostwell(&["import", "csv", file, "--host", host, "--db", &db]);
        assert_eq!(done.exit, Exit::Fine, "{}", done.err);
    }
    db
}

#[test]
fn what_is_unusual_is_found_under_the_names_the_table_had() {
    let folder = tempfile::tempdir().unwrap();
    let db = imported(&folder, &["a", "b"]);
    let found = lines(&["--db", &db]);
    assert_eq!(found.len(), 2, "{found:?}");
    for (line, host) in found.iter().zip(["a", "b"]) {
        assert_eq!(
            (&line["host"], &line["rule"]),
            (&host.into(), &"anomaly".into())
        );
        assert!(["busy %", "hits"].contains(&line["metric"].as_str().unwrap()));
        assert_eq!(line["start_ms"], START_MS + 3_000 * 300_000);
    }
    assert_eq!(lines(&["--db", &db, "--host", "b"]).len(), 1);
    // Ten days and ten hours after the beginning it happens: before nobody knew, later it was over.
    let to = ["--db", &db, "--to", "2027-01-25T10:00:00Z"];
    assert_eq!(lines(&to), [] as [Value; 0]);
    let from = ["--db", &db, "--from", "2027-01-26"];
    assert_eq!(lines(&from), [] as [Value; 0]);
    let table = backtest(&["--db", &db]);
    assert!(table.out.contains("usual extremes"), "{}", table.out);
    assert!(
        table.err.contains("2 hosts, 6 series, 20736 samples"),
        "{}",
        table.err
    );
}

#[test]
fn a_case_is_warned_of_before_its_capacity_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let db = imported(&folder, &["a"]);
    let file = folder.path().join("cases.csv");
    // 740 are reached after 10 days.
    std::fs::write(
        &file,
        format!(
            "case,series,capacity,from,to\nsmall,used,740,,\nlarge,\"used{{host=\"\"a\"\"}}\",1e6,,\n\
             cut,used,740,,{}\n",
            START_MS + 5 * 86_400_000 - 1
        ),
    )
    .unwrap();
    let words = ["--db", &db, "--cases", file.to_str().unwrap()];
    let found = lines(&words);
    assert_eq!(found.len(), 1, "{found:?}");
    let line = &found[0];
    assert_eq!(
        (&line["host"], &line["rule"], &line["metric"]),
        (&"small".into(), &"exhaustion".into(), &"used".into())
    );
    let of = |key: &str| (line[key].as_i64().unwrap() - START_MS) as f64 / 86_400_000.0;
    assert!((of("eta_ms") - 10.0).abs() < 0.1, "{line}");
    assert!((of("start_ms") - 5.0).abs() < 0.1, "{line}");
    assert!(line["end_ms"].is_null(), "{line}");
    for (text, expected) in [
        ("x,unused,1,,", "case \"x\": no series fits unused"),
        ("x,{host=\"a\"},1,,", "names no metric"),
        (
            "x,\"{host=\"\"a\"\",__name__!=\"\"b\"\"}\",1,,",
            "fits more than one series",
        ),
        ("x,us ed,1,,", "case \"x\": no host is called \"us ed\""),
    ] {
        std::fs::write(&file, format!("case,series,capacity,from,to\n{text}\n")).unwrap();
        let wrong = backtest(&words);
        assert_eq!(wrong.exit, Exit::Failed, "{text}: {}", wrong.out);
        assert!(wrong.err.contains(expected), "{text}: {}", wrong.err);
    }
}

#[test]
fn where_there_is_nothing_to_replay_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let db = imported(&folder, &["web-1"]);
    let wrong = backtest(&["--db", &db, "--host", "web-2"]);
    assert_eq!(wrong.exit, Exit::Failed);
    assert!(wrong.err.contains("web-1"), "{}", wrong.err);
    let before = backtest(&["--db", &db, "--to", "2020-01-01"]);
    assert_eq!(before.exit, Exit::Fine);
    assert!(
        before.out.contains("Nothing would have been found"),
        "{}",
        before.out
    );
    assert!(before.err.contains("0 samples"), "{}", before.err);
    let turned = ["--db", &db, "--from", "2027-01-02", "--to", "2027-01-01"];
    let turned = backtest(&turned);
    assert!(
        turned.err.contains("ends before it begins"),
        "{}",
        turned.err
    );
    let (_, empty) = runtime().block_on(async {
        let (store, path) = store(&folder, "empty.db").await;
        store.close().await.unwrap();
        (0, path)
    });
    let nobody = backtest(&["--db", empty.to_str().unwrap()]);
    assert_eq!(nobody.exit, Exit::Failed);
    assert!(nobody.err.contains("there is no host"), "{}", nobody.err);
    let absent = backtest(&["--db", "/nowhere/h.db"]);
    assert!(
        absent.err.contains("no database at /nowhere/h.db"),
        "{}",
        absent.err
    );
}

#[test]
fn the_unusual_that_begins_together_on_hosts_of_one_role_is_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    let db = imported(&folder, &["a", "b", "c"]);
    for host in ["a", "b"] {
        let done = hostwell(&["host", "label", host, "role=web", "--db", &db]);
        assert_eq!(done.exit, Exit::Fine, "{}", done.err);
    }
    let found = lines(&["--db", &db]);
    let hosts: Vec<&str> = found
        .iter()
        .filter_map(|line| line["host"].as_str())
        .collect();
    assert_eq!(hosts, ["a", "c"], "{found:?}");
    let summary = |at: usize| found[at]["summary"].as_str().unwrap();
    assert!(
        summary(0).ends_with(" With it in role=web: b."),
        "{found:?}"
    );
    assert!(!summary(1).contains("With it"), "{found:?}");
    let alone = lines(&["--db", &db, "--host", "b"]);
    assert_eq!(
        alone.len(),
        1,
        "asked for by itself it is an entry: {alone:?}"
    );
}
