//! What is found of hosts beside others of their role.

use super::*;

const HOUR_MS: i64 = 3_600_000;

async fn open(folder: &tempfile::TempDir, judging: Judging) -> Upkeep {
    let store = Store::open(StoreOptions {
        path: folder.path().join("hostwell.db"),
        retention_ms: 60 * 24 * HOUR_MS,
        series_per_host_max: 100,
        hosts_max: 10,
    });
    Upkeep::new(store.await.unwrap(), judging)
}

/// Host number `n` of a role has sent one CPU's time every hour of so many days, so busy.
async fn sends(upkeep: &Upkeep, n: u8, role: &str, days: i64, busy: f64) -> i64 {
    let store = &upkeep.store;
    let id = HostId([n; 16]);
    let now_ms = START_MS + days * 24 * HOUR_MS;
    let labels = [("role".to_owned(), role.to_owned())];
    let greeting = Greeting {
        host_id: id,
        host_name: format!("{role}-{n}"),
        interval_ms: HOUR_MS as u32,
        facts: HostFacts::default(),
        labels: labels.into_iter().filter(|(_, v)| !v.is_empty()).collect(),
        clock_skew_ms: 0,
        kept: false,
    };
    store.greet(greeting, now_ms).await.unwrap();
    let name = |mode| {
        let labels = [("cpu", "0"), ("mode", mode)];
        let name = SeriesName::new("node_cpu_seconds_total", &labels);
        (name, Kind::Counter)
    };
    let names = vec![name("idle"), name("user")];
    let series = store.series_ids(id, names).await.unwrap();
    let column = |number, part: f64| Column {
        number,
        ticks: None,
        values: (0..=days * 24).map(|h| h as f64 * 3600.0 * part).collect(),
    };
    let append = Append {
        host_id: id,
        spool_id: SpoolId([n; 16]),
        sequence: 1,
        received_ms: now_ms,
        block: Packed::of(&Block {
            times_ms: (0..=days * 24).map(|h| START_MS + h * HOUR_MS).collect(),
            columns: vec![column(0, 1.0 - busy), column(1, busy)],
        }),
        series,
    };
    store.append(append).await.unwrap();
    now_ms
}

/// (host, rule's subject, number) of what is open.
async fn open_of(upkeep: &Upkeep, rule: &str) -> Vec<(String, String, i64)> {
    let findings = upkeep.store.findings(None).await.unwrap();
    let open = findings
        .into_iter()
        .filter(|f| f.rule == rule && f.state == State::Open);
    open.map(|f| (f.host, f.subject, f.id)).collect()
}

async fn turn(upkeep: &mut Upkeep, now_ms: i64) {
    upkeep.rest_until = None;
    upkeep.turn(now_ms).await.unwrap();
}

#[tokio::test]
async fn a_host_that_carries_more_than_its_group_is_found_and_stays_found_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder, Judging::default()).await;
    let mut now_ms = 0;
    for (n, busy) in [(1, 0.2), (2, 0.25), (3, 0.7), (4, 0.2)] {
        now_ms = sends(&upkeep, n, "web", 9, busy).await;
    }
    // The same beside hosts without a role is nothing.
    sends(&upkeep, 5, "", 9, 0.9).await;
    // In the first turn the others are not known yet.
    turn(&mut upkeep, now_ms).await;
    assert_eq!(open_of(&upkeep, "group_imbalance").await, []);
    turn(&mut upkeep, now_ms + 60_000).await;
    turn(&mut upkeep, now_ms + 120_000).await;
    let found = open_of(&upkeep, "group_imbalance").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&*found[0].0, &*found[0].1), ("web-3", "cpu"));
    upkeep.store.close().await.unwrap();
    let mut upkeep = open(&folder, Judging::default()).await;
    for minute in 3..6 {
        turn(&mut upkeep, now_ms + minute * 60_000).await;
        assert_eq!(open_of(&upkeep, "group_imbalance").await, found);
    }
    // Of a group of three nobody can say who is the odd one.
    let store = upkeep.store.clone();
    let retire = crate::store::HostEdit::Retire;
    store.edit_host("web-1", retire, now_ms).await.unwrap();
    turn(&mut upkeep, now_ms + 360_000).await;
    assert_eq!(open_of(&upkeep, "group_imbalance").await, []);
}

#[tokio::test]
async fn an_override_of_a_group_decides_what_is_too_much_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let scope = crate::rules::Scope {
        hosts: Vec::new(),
        group: Some(("role".to_owned(), "web".to_owned())),
    };
    let levels = serde_json::json!({"group_imbalance": {"cpu_beyond": 0.6}});
    let judging = Judging {
        overrides: vec![(scope, levels)],
        ..Judging::default()
    };
    let mut upkeep = open(&folder, judging).await;
    let mut now_ms = 0;
    for (n, busy) in [(1, 0.2), (2, 0.25), (3, 0.7), (4, 0.2)] {
        now_ms = sends(&upkeep, n, "web", 9, busy).await;
    }
    for minute in 0..3 {
        turn(&mut upkeep, now_ms + minute * 60_000).await;
    }
    assert_eq!(open_of(&upkeep, "group_imbalance").await, []);
}

#[tokio::test]
async fn the_last_host_of_a_role_is_found_when_it_has_been_alone_for_long_enough() {
    let folder = tempfile::tempdir().unwrap();
    let mut judging = Judging::default();
    judging.base.single_of_role.for_seconds = 60;
    let mut upkeep = open(&folder, judging.clone()).await;
    let mut now_ms = 0;
    for n in 1..=2 {
        now_ms = sends(&upkeep, n, "db", 1, 0.2).await;
    }
    // The collector has watched for an hour.
    for minute in (1..=61).rev() {
        upkeep.store.beat(now_ms - minute * 60_000).await.unwrap();
    }
    turn(&mut upkeep, now_ms).await;
    let store = upkeep.store.clone();
    let edit = crate::store::HostEdit::Retire;
    store.edit_host("db-1", edit, now_ms).await.unwrap();
    turn(&mut upkeep, now_ms + 30_000).await;
    assert_eq!(open_of(&upkeep, "single_of_role").await, []);
    turn(&mut upkeep, now_ms + 90_000).await;
    let found = open_of(&upkeep, "single_of_role").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&*found[0].0, &*found[0].1), ("db-2", "role=db"));
    // A collector that has just started has heard of nobody; that closes nothing.
    upkeep.store.close().await.unwrap();
    let mut upkeep = open(&folder, judging).await;
    turn(&mut upkeep, now_ms + 120_000).await;
    assert_eq!(open_of(&upkeep, "single_of_role").await, found);
}

#[tokio::test]
async fn hosts_of_a_role_that_do_the_unusual_together_are_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder, Judging::default()).await;
    let hosts = [(1, "web-1", "web"), (2, "web-2", "web"), (3, "db-1", "")];
    let host = |(n, name, role)| (HostId([n; 16]), name, role);
    let quiet = 9 * 288 + 100;
    let mut now_ms = 0;
    for one in hosts {
        now_ms = weeks::sends_as(&upkeep, host(one), 1, 0..quiet, false).await;
    }
    for second in 0..4 {
        turn(&mut upkeep, now_ms + second).await;
    }
    assert_eq!(open_of(&upkeep, "anomaly").await, []);
    for one in hosts {
        now_ms = weeks::sends_as(&upkeep, host(one), 2, quiet..quiet + 2, true).await;
    }
    turn(&mut upkeep, now_ms).await;
    let findings = upkeep.store.findings(None).await.unwrap();
    let of = |host: &str| {
        let mut of = findings.iter().filter(|f| f.rule == "anomaly");
        of.find(|f| f.host == host)
    };
    let entry = of("web-1").unwrap();
    let with = " With it in role=web: web-2 (load 40, used memory 94 %).";
    assert!(entry.summary.contains(with), "{}", entry.summary);
    assert_eq!(of("web-2"), None);
    let alone = of("db-1").unwrap();
    assert!(!alone.summary.contains("With it"), "{}", alone.summary);
}

#[tokio::test]
async fn an_entry_of_a_role_goes_on_after_a_restart_when_only_another_host_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder, Judging::default()).await;
    let web = |n: u8| {
        let name = if n == 1 { "web-1" } else { "web-2" };
        (HostId([n; 16]), name, "web")
    };
    let quiet = 9 * 288 + 100;
    let mut now_ms = 0;
    for n in 1..=2 {
        now_ms = weeks::sends_as(&upkeep, web(n), 1, 0..quiet, false).await;
    }
    for second in 0..3 {
        turn(&mut upkeep, now_ms + second).await;
    }
    for n in 1..=2 {
        now_ms = weeks::sends_as(&upkeep, web(n), 2, quiet..quiet + 2, true).await;
    }
    turn(&mut upkeep, now_ms).await;
    let entry = open_of(&upkeep, "anomaly").await;
    assert_eq!(entry.len(), 1, "{entry:?}");
    assert_eq!(entry[0].0, "web-1");
    // Quiet for longer than an anomaly waits; the other one is not.
    for n in 1..=2 {
        let later = quiet + 2..quiet + 14;
        now_ms = weeks::sends_as(&upkeep, web(n), 3, later, n == 2).await;
    }
    turn(&mut upkeep, now_ms).await;
    assert_eq!(open_of(&upkeep, "anomaly").await, entry);
    upkeep.store.close().await.unwrap();
    let mut upkeep = open(&folder, Judging::default()).await;
    for minute in 1..6 {
        turn(&mut upkeep, now_ms + minute * 60_000).await;
        assert_eq!(open_of(&upkeep, "anomaly").await, entry, "minute {minute}");
    }
    for n in 1..=2 {
        let later = quiet + 14..quiet + 26;
        now_ms = weeks::sends_as(&upkeep, web(n), 4, later, false).await;
    }
    turn(&mut upkeep, now_ms).await;
    turn(&mut upkeep, now_ms + 60_000).await;
    assert_eq!(open_of(&upkeep, "anomaly").await, []);
}

#[tokio::test]
async fn what_came_out_is_known_of_hosts_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut upkeep = open(&folder, Judging::default()).await;
    let mut now_ms = 0;
    for n in 1..=2 {
        now_ms = sends(&upkeep, n, "web", 1, 0.2).await;
    }
    turn(&mut upkeep, now_ms).await;
    let store = upkeep.store.clone();
    let of = |n: u8, rule: &str| {
        let last = store.last_outcomes(&HostId([n; 16]).to_string())?;
        let verdict = last.each().find(|(name, _)| *name == rule);
        verdict.map(|(_, verdict)| verdict)
    };
    use crate::rules::Verdict;
    assert_eq!(of(1, "host_down"), Some(Verdict::Ok));
    assert_eq!(of(1, "host_idle"), Some(Verdict::NotEnoughData));
    // Not looked at within the hour: what came out then stays.
    turn(&mut upkeep, now_ms + 15_000).await;
    assert_eq!(of(1, "host_idle"), Some(Verdict::NotEnoughData));
    let into = "web-2".to_owned();
    let merge = crate::store::HostEdit::MergeInto { into };
    store.edit_host("web-1", merge, now_ms).await.unwrap();
    turn(&mut upkeep, now_ms + 30_000).await;
    assert_eq!(of(1, "host_down"), None);
    assert_eq!(of(2, "host_down"), Some(Verdict::Ok));
}
