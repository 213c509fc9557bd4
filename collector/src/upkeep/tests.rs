//! A host that falls silent, by a clock that is turned by hand.

mod order;
mod roles;
mod weeks;

use super::*;
use crate::rules::{Finding, State};
use crate::series::{Kind, SeriesName};
use crate::store::{Append, Greeting, HostFacts, StoreOptions};
use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};
use std::collections::BTreeMap;

const HOST: HostId = HostId([5; 16]);
const START_MS: i64 = 1_800_000_000_000;

/// A collector without doors.
struct House {
    folder: tempfile::TempDir,
    upkeep: Upkeep,
    now_ms: i64,
    booted_ms: i64,
    sequence: u64,
}

async fn open(folder: &tempfile::TempDir) -> Upkeep {
    let store = Store::open(StoreOptions {
        path: folder.path().join("hostwell.db"),
        retention_ms: 86_400_000,
        series_per_host_max: 100,
        hosts_max: 10,
    });
    Upkeep::new(store.await.unwrap(), Judging::default())
}

/// What the one host says of itself.
fn greeting() -> Greeting {
    Greeting {
        host_id: HOST,
        host_name: "web-1".to_owned(),
        interval_ms: 10_000,
        facts: HostFacts::default(),
        labels: BTreeMap::new(),
        clock_skew_ms: 0,
        kept: false,
    }
}

impl House {
    async fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        House {
            upkeep: open(&folder).await,
            folder,
            now_ms: START_MS,
            booted_ms: START_MS - 864_000_000,
            sequence: 0,
        }
    }

    /// One sample now.
    async fn sample(&mut self) {
        let store = self.upkeep.store.clone();
        store.greet(greeting(), self.now_ms).await.unwrap();
        let name = SeriesName {
            metric: "hostwell_uptime_seconds".to_owned(),
            labels: Vec::new(),
        };
        let series = store
            .series_ids(HOST, vec![(name, Kind::Gauge)])
            .await
            .unwrap();
        self.sequence += 1;
        let column = Column {
            number: 0,
            ticks: None,
            values: vec![(self.now_ms - self.booted_ms) as f64 / 1000.0],
        };
        let append = Append {
            host_id: HOST,
            spool_id: SpoolId([6; 16]),
            sequence: self.sequence,
            received_ms: self.now_ms,
            block: Packed::of(&Block {
                times_ms: vec![self.now_ms],
                columns: vec![column],
            }),
            series,
        };
        store.append(append).await.unwrap();
    }

    /// So many seconds pass with a turn every 15 s; a sample too where the host is alive.
    async fn pass(&mut self, seconds: i64, alive: bool) {
        for _ in 0..seconds / 15 {
            self.now_ms += 15_000;
            if alive {
                self.sample().await;
            }
            self.upkeep.rest_until = None;
            self.upkeep.turn(self.now_ms).await.unwrap();
        }
    }

    /// The collector is away for so many seconds.
    async fn away(&mut self, seconds: i64) {
        self.upkeep.store.close().await.unwrap();
        self.now_ms += seconds * 1_000;
        self.upkeep = open(&self.folder).await;
    }

    async fn open(&self, rule: &str) -> Option<Finding> {
        let findings = self.upkeep.store.findings(None).await.unwrap();
        let mut open = findings
            .into_iter()
            .filter(|f| f.rule == rule && f.state == State::Open);
        open.next()
    }

    async fn down(&self) -> Option<Finding> {
        self.open("host_down").await
    }
}

#[tokio::test]
async fn a_silent_host_is_down_after_ninety_seconds_and_up_with_its_next_sample() {
    let mut house = House::new().await;
    house.pass(60, true).await;
    house.pass(75, false).await;
    assert_eq!(house.down().await, None);
    house.pass(60, false).await;
    assert_eq!(house.down().await.unwrap().host, "web-1");
    house.pass(30, true).await;
    assert_eq!(house.down().await, None);
}

#[tokio::test]
async fn a_restart_invents_no_outage() {
    let mut house = House::new().await;
    house.pass(60, true).await;
    house.away(3_600).await;
    house.pass(75, false).await;
    assert_eq!(
        house.down().await,
        None,
        "the collector has not watched for long enough"
    );
    house.pass(60, false).await;
    assert!(house.down().await.is_some());
}

#[tokio::test]
async fn a_restart_forgets_no_outage() {
    let mut house = House::new().await;
    house.pass(60, true).await;
    house.pass(150, false).await;
    let before = house.down().await.unwrap();
    house.away(600).await;
    house.pass(15, false).await;
    let after = house.down().await.unwrap();
    assert_eq!((after.id, after.since_ms), (before.id, before.since_ms));
}

#[tokio::test]
async fn boots_are_counted_over_a_day_although_other_rules_see_an_hour() {
    let mut house = House::new().await;
    house.pass(60, true).await;
    for boots in 1..=3 {
        house.now_ms += 3 * 3_600_000;
        house.booted_ms = house.now_ms;
        house.pass(60, true).await;
        assert!(house.open("reboot").await.is_some(), "boot {boots}");
        assert_eq!(house.open("flapping").await.is_some(), boots == 3);
    }
}

#[tokio::test]
async fn a_large_fleet_is_judged_less_often_but_every_beat_is_noted() {
    let mut house = House::new().await;
    house.pass(30, true).await;
    house.upkeep.rest_until = Some(Instant::now() + Duration::from_secs(3_600));
    let store = house.upkeep.store.clone();
    let turn = house.upkeep.turn(house.now_ms + 500_000).await;
    assert_eq!(turn.unwrap().len(), 1);
    assert_eq!(house.down().await, None, "it rests");
    let spans = store.watch_spans(0, i64::MAX).await.unwrap();
    assert_eq!(spans.last().unwrap().to_ms, house.now_ms + 500_000);
}

#[tokio::test]
async fn an_override_holds_for_the_hosts_that_it_is_about() {
    let mut house = House::new().await;
    let disabled = serde_json::json!({"disabled": ["host_down"]});
    let scope = |name: &str| crate::rules::Scope {
        hosts: vec![name.to_owned()],
        group: None,
    };
    house.upkeep.judging.overrides = vec![(scope("web-*"), disabled.clone())];
    house.pass(60, true).await;
    house.pass(150, false).await;
    assert_eq!(house.down().await, None);
    house.upkeep.judging.overrides = vec![(scope("db-*"), disabled)];
    house.pass(15, false).await;
    assert!(house.down().await.is_some());
    let severity = serde_json::json!({"severity": {"host_down": "info"}});
    house.upkeep.judging.overrides = vec![(scope("web-1"), severity)];
    house.pass(15, false).await;
    let found = house.down().await.unwrap();
    assert_eq!(found.severity, crate::rules::Severity::Info);
}
