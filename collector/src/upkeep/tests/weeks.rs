//! What rules find in weeks that are stored.

use super::*;
use crate::rules::Severity;

const HOUR_MS: i64 = 3_600_000;

async fn open(folder: &tempfile::TempDir) -> Upkeep {
    let store = Store::open(StoreOptions {
        path: folder.path().join("hostwell.db"),
        retention_ms: 60 * 24 * HOUR_MS,
        series_per_host_max: 100,
        hosts_max: 10,
    });
    Upkeep::new(store.await.unwrap(), Judging::default())
}

/// A host that has sent so many days of a filesystem of 500 GB, every hour, and the moment they end.
async fn days(upkeep: &Upkeep, days: i64, left: impl Fn(f64) -> f64) -> i64 {
    let end_ms = START_MS + days * 24 * HOUR_MS;
    let store = &upkeep.store;
    let greeting = Greeting {
        host_id: HOST,
        host_name: "db-1".to_owned(),
        interval_ms: HOUR_MS as u32,
        facts: HostFacts::default(),
        labels: BTreeMap::new(),
        clock_skew_ms: 0,
        kept: false,
    };
    store.greet(greeting, end_ms).await.unwrap();
    let var = [("mountpoint", "/var")];
    let names = ["node_filesystem_size_bytes", "node_filesystem_avail_bytes"];
    let names = names.map(|metric| (SeriesName::new(metric, &var), Kind::Gauge));
    let series = store.series_ids(HOST, names.to_vec()).await.unwrap();
    let column = |number, value: &dyn Fn(f64) -> f64| Column {
        number,
        ticks: None,
        values: (0..=days * 24).map(|h| value(h as f64 / 24.0)).collect(),
    };
    let columns = vec![column(0, &|_| 500e9), column(1, &|day| left(day).round())];
    let append = Append {
        host_id: HOST,
        spool_id: SpoolId([6; 16]),
        sequence: 1,
        received_ms: end_ms,
        block: Packed::of(&Block {
            times_ms: (0..=days * 24).map(|h| START_MS + h * HOUR_MS).collect(),
            columns,
        }),
        series,
    };
    store.append(append).await.unwrap();
    end_ms
}

async fn filling(upkeep: &Upkeep) -> Option<Finding> {
    let findings = upkeep.store.findings(None).await.unwrap();
    let mut open = findings
        .into_iter()
        .filter(|f| f.rule == "filesystem_filling" && f.state == State::Open);
    open.next()
}

#[tokio::test]
async fn a_filesystem_that_fills_within_days_is_found_in_what_is_stored_and_stays_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder).await;
    // 40 GB a day; 140 GB are left, so it is full in three and a half days.
    let now_ms = days(&upkeep, 9, |day| 500e9 - 40e9 * day).await;
    upkeep.turn(now_ms).await.unwrap();
    let found = filling(&upkeep).await.unwrap();
    assert_eq!(found.severity, Severity::Warning);
    assert_eq!(
        (found.host.as_str(), found.subject.as_str()),
        ("db-1", "/var")
    );
    let left = found.evidence.iter().find(|e| e.what == "time left");
    let left_days = left.unwrap().value / 86_400.0;
    assert!((3.3..3.6).contains(&left_days), "{left_days} days");
    // In the turns between, and after a restart, it is the same entry.
    upkeep.rest_until = None;
    upkeep.turn(now_ms + 15_000).await.unwrap();
    assert_eq!(filling(&upkeep).await.unwrap().id, found.id);
    upkeep.store.close().await.unwrap();
    let mut upkeep = open(&folder).await;
    upkeep.turn(now_ms + 30_000).await.unwrap();
    let again = filling(&upkeep).await.unwrap();
    assert_eq!((again.id, again.since_ms), (found.id, found.since_ms));
}

#[tokio::test]
async fn three_days_are_too_few_to_say_that_it_fills() {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder).await;
    let now_ms = days(&upkeep, 3, |day| 500e9 - 100e9 * day).await;
    upkeep.turn(now_ms).await.unwrap();
    assert_eq!(filling(&upkeep).await, None);
}

/// Adds samples of load and memory of a host, one each five minutes; `jumps`: where both never were.
pub(super) async fn sends_as(
    upkeep: &Upkeep,
    (id, host_name, role): (HostId, &str, &str),
    sequence: u64,
    numbers: std::ops::Range<i64>,
    jumps: bool,
) -> i64 {
    let store = &upkeep.store;
    let at_ms = |n: i64| START_MS + n * 300_000;
    let now_ms = at_ms(numbers.end - 1);
    let greeting = Greeting {
        host_id: id,
        host_name: host_name.to_owned(),
        interval_ms: 300_000,
        facts: HostFacts::default(),
        labels: roles(role),
        clock_skew_ms: 0,
        kept: false,
    };
    store.greet(greeting, now_ms).await.unwrap();
    let names = [
        "node_load1",
        "node_memory_MemTotal_bytes",
        "node_memory_MemAvailable_bytes",
    ];
    let names = names.map(|metric| (SeriesName::new(metric, &[]), Kind::Gauge));
    let series = store.series_ids(id, names.to_vec()).await.unwrap();
    let wave = |n: i64| ((n % 288) as f64 / 288.0 * std::f64::consts::TAU).sin();
    let rough = |n: i64| (n * 7_919 % 288) as f64 / 288.0;
    let column = |number, value: &dyn Fn(i64) -> f64| Column {
        number,
        ticks: None,
        values: numbers.clone().map(value).collect(),
    };
    let load = |n| {
        if jumps {
            40.0
        } else {
            3.0 + wave(n) + rough(n)
        }
    };
    let left = |n| {
        if jumps {
            1e9
        } else {
            9e9 + 1e9 * wave(n) + 1e8 * rough(n)
        }
    };
    let columns = vec![
        column(0, &load),
        column(1, &|_| 16e9),
        column(2, &|n| left(n).round()),
    ];
    let append = Append {
        host_id: id,
        spool_id: SpoolId(id.0),
        sequence,
        received_ms: now_ms,
        block: Packed::of(&Block {
            times_ms: numbers.clone().map(at_ms).collect(),
            columns,
        }),
        series,
    };
    store.append(append).await.unwrap();
    now_ms
}

/// The same of one without a role.
async fn sends(upkeep: &Upkeep, sequence: u64, numbers: std::ops::Range<i64>, jumps: bool) -> i64 {
    sends_as(upkeep, (HOST, "db-1", ""), sequence, numbers, jumps).await
}

fn roles(role: &str) -> BTreeMap<String, String> {
    let labels = [("role".to_owned(), role.to_owned())];
    labels.into_iter().filter(|(_, v)| !v.is_empty()).collect()
}

async fn anomaly(upkeep: &Upkeep) -> Option<Finding> {
    let findings = upkeep.store.findings(None).await.unwrap();
    let mut open = findings
        .into_iter()
        .filter(|f| f.rule == "anomaly" && f.state == State::Open);
    open.next()
}

#[tokio::test]
async fn what_a_host_never_did_is_found_by_what_is_stored_of_it_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder).await;
    let quiet = 9 * 288 + 100;
    let now_ms = sends(&upkeep, 1, 0..quiet, false).await;
    upkeep.turn(now_ms).await.unwrap();
    assert_eq!(anomaly(&upkeep).await, None);
    let now_ms = sends(&upkeep, 2, quiet..quiet + 2, true).await;
    upkeep.rest_until = None;
    upkeep.turn(now_ms).await.unwrap();
    let found = anomaly(&upkeep).await.unwrap();
    assert_eq!(found.severity, Severity::Info);
    for what in ["load 40 (usually ", "used memory 94 % (usually "] {
        assert!(found.summary.contains(what), "{}", found.summary);
    }
    upkeep.store.close().await.unwrap();
    let mut upkeep = open(&folder).await;
    upkeep.turn(now_ms + 15_000).await.unwrap();
    let again = anomaly(&upkeep).await.unwrap();
    assert_eq!((again.id, again.since_ms), (found.id, found.since_ms));
    // Half an hour after the last unusual sample it is over.
    let now_ms = sends(&upkeep, 3, quiet + 2..quiet + 9, false).await;
    upkeep.rest_until = None;
    upkeep.turn(now_ms).await.unwrap();
    assert_eq!(anomaly(&upkeep).await, None);
}

#[tokio::test]
async fn two_days_are_too_few_to_know_what_is_usual() {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder).await;
    let now_ms = sends(&upkeep, 1, 0..288 + 100, false).await;
    upkeep.turn(now_ms).await.unwrap();
    let now_ms = sends(&upkeep, 2, 388..392, true).await;
    upkeep.rest_until = None;
    upkeep.turn(now_ms).await.unwrap();
    assert_eq!(anomaly(&upkeep).await, None);
}
