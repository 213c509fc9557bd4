//! Forecasts of hosts whose past is known.

use std::collections::BTreeMap;
use std::ops::Range;

use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};

use super::*;
use crate::answer::{Answer, Body, Question, Setup, answer};
use crate::series::Kind;
use crate::series::SeriesName;
use crate::store::{Append, Greeting, HostFacts, StoreOptions};

const START: i64 = 20_833 * DAY_MS;
const GIB: f64 = (1u64 << 30) as f64;

/// A host with a filesystem of 100 GiB and a memory of 8, sampled every hour for some days.
async fn add(store: &Store, n: u8, days: Range<i64>, left_gib: impl Fn(f64) -> f64) {
    let greeting = Greeting {
        host_id: HostId([n; 16]),
        host_name: format!("db-{n}"),
        interval_ms: HOUR_MS as u32,
        facts: HostFacts::default(),
        labels: BTreeMap::from([("role".into(), format!("role-{n}"))]),
        clock_skew_ms: 0,
        kept: true,
    };
    store.greet(greeting, START).await.unwrap();
    let disk = [
        ("device", "/dev/vda1"),
        ("fstype", "ext4"),
        ("mountpoint", "/var"),
    ];
    let names = [
        ("node_filesystem_size_bytes", &disk[..]),
        ("node_filesystem_avail_bytes", &disk[..]),
        ("node_memory_MemTotal_bytes", &[]),
        ("node_memory_MemAvailable_bytes", &[]),
    ];
    let names = names.map(|(metric, labels)| (SeriesName::new(metric, labels), Kind::Gauge));
    let host_id = HostId([n; 16]);
    let series = store.series_ids(host_id, names.to_vec()).await.unwrap();
    let hours = days.start * 24..days.end * 24;
    let times_ms: Vec<i64> = hours.clone().map(|h| START + h * HOUR_MS).collect();
    let column = |number, value: &dyn Fn(f64) -> f64| Column {
        number,
        ticks: None,
        values: hours
            .clone()
            .map(|h| value(h as f64 / 24.0).round())
            .collect(),
    };
    let columns = vec![
        column(0, &|_| 100.0 * GIB),
        column(1, &|day| left_gib(day) * GIB),
        column(2, &|_| 8.0 * GIB),
        column(3, &|day| (5.0 + (day * 6.3).sin()) * GIB),
    ];
    let append = Append {
        host_id,
        spool_id: SpoolId([n; 16]),
        sequence: 1,
        received_ms: START + days.end * DAY_MS,
        block: Packed::of(&Block { times_ms, columns }),
        series,
    };
    store.append(append).await.unwrap();
    store.seal_all().await.unwrap();
}

async fn open(folder: &std::path::Path) -> Store {
    let options = StoreOptions {
        path: folder.join("hostwell.db"),
        retention_ms: 15 * DAY_MS,
        series_per_host_max: 100,
        hosts_max: 10,
    };
    Store::open(options).await.unwrap()
}

async fn asked(store: &Store, question: ForecastQuestion, day: i64) -> Vec<ForecastLine> {
    let question = Question::Forecast(question);
    let answered = answer(store, &Setup::default(), question, START + day * DAY_MS).await;
    match answered.unwrap() {
        Answer {
            body: Body::Forecasts { forecasts },
            ..
        } => forecasts,
        other => panic!("{other:?}"),
    }
}

fn only(resource: Resource) -> ForecastQuestion {
    ForecastQuestion {
        resource: Some(resource),
        ..ForecastQuestion::default()
    }
}

#[tokio::test]
async fn a_filesystem_that_fills_by_one_percent_a_day_is_full_when_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    add(&store, 1, 0..60, |day| 80.0 - day).await;
    // Faster, but known for too short a time to be believed.
    add(&store, 2, 49..60, |day| 95.0 - 3.0 * (day - 49.0)).await;
    let lines = asked(&store, only(Resource::Disk), 60).await;
    let names: Vec<&str> = lines.iter().map(|l| l.host.as_str()).collect();
    assert_eq!(names, ["db-1", "db-2"]);
    let o = lines[0].outlook.as_ref().unwrap();
    assert_eq!(lines[0].subject, "/var");
    assert!((0.79..0.81).contains(&o.level), "{o:?}");
    assert!((o.a_day - 0.01).abs() < 1e-4, "{o:?}");
    let full_ms = o.full.unwrap().expected_ms.unwrap();
    let days = (full_ms - START) / DAY_MS - 60;
    assert!((20..=22).contains(&days), "{days}");
    assert!(o.warned.expected_ms.unwrap() < full_ms);
    assert_eq!(o.record.verdict, Trust::Good);
    assert_eq!((o.ahead[0].days, o.ahead[0].remaining), (30, 0.0));
    let o = lines[1].outlook.as_ref().unwrap();
    assert_eq!(o.record.verdict, Trust::Short);
    assert_eq!(o.full, None, "nobody should plan on it");
}

#[tokio::test]
async fn memory_is_forecast_where_it_is_with_the_band_of_its_last_weeks() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    add(&store, 1, 0..40, |_| 50.0).await;
    let lines = asked(&store, only(Resource::Memory), 40).await;
    let o = lines[0].outlook.as_ref().unwrap();
    assert_eq!((lines[0].subject.as_str(), o.a_day), ("", 0.0));
    let month = o.ahead[0];
    assert!(
        month.used.low80 < month.used.value && month.used.value < month.used.high80,
        "{month:?}"
    );
    assert_eq!(o.full.unwrap().expected_ms, None);
    assert!(o.past.len() >= 38, "{}", o.past.len());
}

#[tokio::test]
async fn a_few_days_give_a_reason_instead_of_a_forecast() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    add(&store, 1, 0..3, |_| 50.0).await;
    let lines = asked(&store, ForecastQuestion::default(), 3).await;
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line.outlook, None);
        assert!(line.why.unwrap().contains("4 days"), "{:?}", line.host);
    }
}

#[tokio::test]
async fn a_group_is_asked_for_by_its_label_and_one_that_there_is_not_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    add(&store, 1, 0..10, |_| 50.0).await;
    add(&store, 2, 0..10, |_| 50.0).await;
    let of = |value: &str| ForecastQuestion {
        group: Some(("role".into(), value.into())),
        ..only(Resource::Disk)
    };
    let lines = asked(&store, of("role-2"), 10).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].host, "db-2");
    let none = forecasts(&store, of("role-3"), START + 10 * DAY_MS).await;
    assert!(none.unwrap_err().to_string().contains("role=\"role-3\""));
    let misspelt = ForecastQuestion {
        hosts: vec!["db-11".into()],
        ..ForecastQuestion::default()
    };
    let none = forecasts(&store, misspelt, START + 10 * DAY_MS).await;
    assert!(none.unwrap_err().to_string().contains("db-1"));
}
