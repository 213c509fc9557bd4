//! `hostwell rules backtest` of days and weeks: hosts of a role beside each other, maintenance, what fills.

use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};
use serde_json::Value;

use super::{Exit, hostwell};
use crate::series::{Kind, SeriesName};
use crate::store::{Append, Greeting, HostFacts, Store, StoreOptions};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-03-28T00:00:00Z, the day before clocks in Berlin are set forward.
const START_MS: i64 = 1_774_656_000_000;
/// Most ticks of a batch.
const TICKS_MAX: usize = 500;

/// A host that is sampled every few minutes.
struct Machine {
    name: &'static str,
    role: &'static str,
    every_ms: i64,
    /// For so many days.
    days: f64,
    /// Used part of its memory, by the day.
    memory: fn(f64) -> f64,
    /// Used part of its disk, by the day.
    disk: fn(f64) -> f64,
}

/// One of five minutes that is well.
const WELL: Machine = Machine {
    name: "",
    role: "",
    every_ms: 5 * MINUTE_MS,
    days: 10.0,
    memory: |_| 0.2,
    disk: |_| 0.1,
};

impl Machine {
    fn names() -> Vec<(SeriesName, Kind)> {
        let root = [
            ("device", "/dev/sda1"),
            ("fstype", "ext4"),
            ("mountpoint", "/"),
        ];
        let gauge = |name: &str, labels: &[_]| (SeriesName::new(name, labels), Kind::Gauge);
        vec![
            gauge("hostwell_uptime_seconds", &[]),
            gauge("node_memory_MemTotal_bytes", &[]),
            gauge("node_memory_MemAvailable_bytes", &[]),
            gauge("node_filesystem_size_bytes", &root),
            gauge("node_filesystem_avail_bytes", &root),
        ]
    }

    fn values(&self, day: f64) -> [f64; 5] {
        let (memory, disk) = (16e9, 500e9);
        [
            1e6 + day * 86_400.0,
            memory,
            memory * (1.0 - (self.memory)(day)),
            disk,
            disk * (1.0 - (self.disk)(day)),
        ]
    }

    async fn send(&self, store: &Store, number: u8) {
        let host_id = HostId([number; 16]);
        let role = (!self.role.is_empty()).then(|| ("role".to_owned(), self.role.to_owned()));
        let greeting = Greeting {
            host_id,
            host_name: self.name.into(),
            interval_ms: self.every_ms as u32,
            facts: HostFacts::default(),
            labels: role.into_iter().collect(),
            clock_skew_ms: 0,
            kept: false,
        };
        store.greet(greeting, START_MS).await.unwrap();
        let last = (self.days * DAY_MS as f64) as i64 / self.every_ms;
        let times_ms: Vec<i64> = (0..last).map(|n| START_MS + n * self.every_ms).collect();
        for (sequence, times_ms) in (1..).zip(times_ms.chunks(TICKS_MAX)) {
            let day = |time_ms: &i64| (time_ms - START_MS) as f64 / DAY_MS as f64;
            let rows: Vec<[f64; 5]> = times_ms.iter().map(|t| self.values(day(t))).collect();
            let columns = (0..5).map(|number| Column {
                number,
                ticks: None,
                values: rows.iter().map(|row| row[number as usize]).collect(),
            });
            let append = Append {
                host_id,
                spool_id: SpoolId([number; 16]),
                sequence,
                received_ms: times_ms[times_ms.len() - 1],
                block: Packed::of(&Block {
                    times_ms: times_ms.to_vec(),
                    columns: columns.collect(),
                }),
                series: store.series_ids(host_id, Self::names()).await.unwrap(),
            };
            store.append(append).await.unwrap();
        }
    }
}

/// A database of these hosts.
struct Past {
    folder: tempfile::TempDir,
}

impl Past {
    fn of(machines: &[Machine]) -> Past {
        let past = Past {
            folder: tempfile::tempdir().unwrap(),
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let options = StoreOptions {
                path: past.folder.path().join("h.db"),
                retention_ms: 30 * DAY_MS,
                series_per_host_max: 100,
                hosts_max: 20,
            };
            let store = Store::open(options).await.unwrap();
            for (number, machine) in (1..).zip(machines) {
                machine.send(&store, number).await;
            }
            store.close().await.unwrap();
        });
        past
    }

    fn ask(&self, words: &[&str]) -> String {
        let db = self.folder.path().join("h.db");
        let outcome = hostwell(&[words, &["--db", db.to_str().unwrap()]].concat());
        assert_eq!(outcome.exit, Exit::Fine, "{}", outcome.err);
        outcome.out
    }

    fn found(&self, words: &[&str]) -> Vec<Value> {
        let out = self.ask(&[&["rules", "backtest", "-o", "jsonl"], words].concat());
        let lines = out.lines();
        lines.map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

/// Host, rule, subject, and the hours from the beginning to when it was raised, and to its end.
fn brief(found: &[Value]) -> Vec<(&str, &str, &str, f64, Option<f64>)> {
    let hours = |ms: i64| (ms - START_MS) as f64 / HOUR_MS as f64;
    let brief = found.iter().map(|line| {
        let text = |key: &str| line[key].as_str().unwrap();
        let (start_ms, end_ms) = (line["start_ms"].as_i64(), line["end_ms"].as_i64());
        let start = hours(start_ms.unwrap());
        let (host, rule, subject) = (text("host"), text("rule"), text("subject"));
        (host, rule, subject, start, end_ms.map(hours))
    });
    brief.collect()
}

#[test]
fn a_host_is_judged_beside_the_others_of_its_role_as_they_were_then() {
    let web = |name, memory| Machine {
        name,
        memory,
        role: "web",
        ..WELL
    };
    let single = |name, role, days| Machine {
        name,
        role,
        days,
        ..WELL
    };
    let past = Past::of(&[
        // Until the fifth day is over.
        web("web-1", |day| if day < 5.0 { 0.6 } else { 0.2 }),
        web("web-2", |_| 0.2),
        web("web-3", |_| 0.22),
        web("web-4", |_| 0.2),
        single("db-1", "db", 10.0),
        single("db-2", "db", 3.0),
        single("cache-1", "cache", 10.0),
        single("other-1", "", 10.0),
    ]);
    let found = past.found(&[]);
    let expected = [
        // After an hour of watching and a day.
        ("cache-1", "single_of_role", "role=cache", 25.0, None),
        // A day after the other was heard of for the last time, and one day more.
        ("db-1", "single_of_role", "role=db", 120.0, None),
    ];
    let (web, single): (Vec<_>, Vec<_>) = brief(&found)
        .into_iter()
        .partition(|(host, ..)| host.starts_with("web"));
    assert_eq!(single, expected);
    // As soon as five of its days are known; until its week's mean is near the others' again.
    let [("web-1", "group_imbalance", "memory", 120.0, Some(end))] = web[..] else {
        panic!("{web:?}")
    };
    assert!((200.0..230.0).contains(&end), "{web:?}");
    let summary = found.iter().find(|line| line["host"] == "web-1").unwrap()["summary"].as_str();
    let words = "Its memory was 60 % used in the mean of 7 days; the 4 hosts of role=web are at";
    assert!(summary.unwrap().starts_with(words), "{summary:?}");
    // Alone it is held against all the same.
    let alone = past.found(&["--host", "web-1"]);
    assert_eq!(brief(&alone), web);
    // What came later is not known.
    let before = past.found(&["--host", "db-1", "--to", "2026-04-01T23:00:00Z"]);
    assert_eq!(brief(&before), []);
    // Of another one, which was there for three days, nothing is known but a table of its own.
    let hours = (0..72).map(|hour| format!("{},7\n", START_MS + hour * HOUR_MS));
    let file = past.folder.path().join("table.csv");
    std::fs::write(
        &file,
        format!("unix_ms,hits\n{}", hours.collect::<String>()),
    )
    .unwrap();
    past.ask(&["import", "csv", file.to_str().unwrap(), "--host", "table-1"]);
    past.ask(&["host", "label", "table-1", "role=cache"]);
    let later = past.found(&["--host", "cache-1"]);
    let at_ms = ("cache-1", "single_of_role", "role=cache", 119.0, None);
    assert_eq!(brief(&later), [at_ms]);
}

/// Minutes from the beginning in which memory is short: in the night in which clocks are set forward
/// (from half past midnight UTC, and once more to the morning), and twice in the night after it.
fn short_at_night(day: f64) -> f64 {
    let minute = (day * 1_440.0).round() as i64;
    let short = [1_470..1_590, 1_600..1_800, 2_830..2_870, 3_070..3_110];
    match short.iter().any(|span| span.contains(&minute)) {
        true => 0.95,
        false => 0.2,
    }
}

#[test]
fn in_a_maintenance_that_comes_again_nobody_is_told_and_what_outlasts_it_is_told_then() {
    let machine = |name| Machine {
        name,
        every_ms: MINUTE_MS,
        days: 2.5,
        memory: short_at_night,
        ..WELL
    };
    let past = Past::of(&[machine("db-1"), machine("web-1")]);
    let told = |rules: &str| -> Vec<(String, i64, Option<i64>)> {
        // From midnight to three UTC in the first night, from eleven to three in the second one.
        let config = format!(
            "[[maintenance]]\nname = \"nightly\"\nhosts = [\"web-*\"]\n{rules}from = \"01:00\"\n\
             to = \"05:00\"\nzone = \"Europe/Berlin\"\n"
        );
        let file = past.folder.path().join("maintenance.toml");
        std::fs::write(&file, config).unwrap();
        let found = past.found(&["--config", file.to_str().unwrap()]);
        let minutes = |ms: i64| (ms - START_MS) / MINUTE_MS;
        let told = found.iter().map(|line| {
            let told_ms = line["told_ms"].as_i64();
            assert_eq!(line["rule"], "memory_low");
            assert_eq!(line["notified"], told_ms.is_some(), "{line}");
            let start_ms = line["start_ms"].as_i64().unwrap();
            let host = line["host"].as_str().unwrap().to_owned();
            (host, minutes(start_ms), told_ms.map(minutes))
        });
        told.collect()
    };
    let at = |host: &str, start: i64, told: Option<i64>| (host.to_owned(), start, told);
    let all = |host| [1_475, 1_605, 2_835, 3_075].map(|minute| at(host, minute, Some(minute)));
    let web = [
        at("web-1", 1_475, None),
        at("web-1", 1_605, Some(1_620)),
        at("web-1", 2_835, None),
        at("web-1", 3_075, Some(3_075)),
    ];
    assert_eq!(told(""), [all("db-1"), web].concat());
    let of_others = told("rules = [\"disk_full\"]\n");
    assert_eq!(of_others, [all("db-1"), all("web-1")].concat());
}

#[test]
fn what_fills_on_a_host_is_found_with_the_day_it_is_full() {
    let machine = |name| Machine {
        name,
        days: 11.9,
        ..WELL
    };
    let past = Past::of(&[
        Machine {
            // Full after 16 days: said five days before.
            disk: |day| 0.2 + 0.05 * day,
            ..machine("fills")
        },
        Machine {
            // Used up after 23 days: worth knowing a month before.
            memory: |day| 0.3 + 0.03 * day,
            ..machine("leaks")
        },
        machine("steady"),
    ]);
    let found = past.found(&[]);
    let eta = |line: &Value| (line["eta_ms"].as_i64().unwrap() - START_MS) as f64 / DAY_MS as f64;
    let [disk, memory] = &found[..] else {
        panic!("{found:?}")
    };
    let brief = brief(&found);
    let [("fills", "filesystem_filling", "/", said, None), rest] = brief[..] else {
        panic!("{brief:?}")
    };
    assert!((said / 24.0 - 11.0).abs() < 0.2, "{brief:?}");
    assert!((eta(disk) - 16.0).abs() < 0.2, "{disk}");
    assert_eq!(
        (&disk["severity"], &disk["notified"]),
        (&"warning".into(), &true.into())
    );
    let ("leaks", "memory_leak", "", said, None) = rest else {
        panic!("{brief:?}")
    };
    assert!((4.0..6.0).contains(&(said / 24.0)), "{brief:?}");
    assert!((22.0..27.0).contains(&eta(memory)), "{memory}");
    assert_eq!(memory["notified"], false, "it is only worth knowing");
}
