use std::collections::BTreeMap;
use std::path::Path;

use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};

use super::*;
use crate::rules::{Language, Severity, State};
use crate::series::Window;

mod bad_input;
mod budget;
mod care;
mod conformance;
mod crash;
mod formats;
mod hosts;
mod ingest;
mod merging;
mod model;
mod names;
mod newest;
mod notes;
mod planner;
mod register;
mod rollups;
mod sealing;
mod whole;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const T0: i64 = 1_800_000_000_000;

fn options(folder: &Path) -> StoreOptions {
    StoreOptions {
        path: folder.join("hostwell.db"),
        retention_ms: 15 * DAY,
        series_per_host_max: 100,
        hosts_max: 20,
    }
}

async fn open(folder: &Path) -> Store {
    Store::open(options(folder)).await.unwrap()
}

fn host(n: u8) -> HostId {
    HostId([n; 16])
}

fn spool(n: u8) -> SpoolId {
    SpoolId([n; 16])
}

fn greeting(n: u8, name: &str) -> Greeting {
    Greeting {
        host_id: host(n),
        host_name: name.into(),
        interval_ms: 10_000,
        facts: HostFacts {
            kernel: "6.1".into(),
            cpus: 2,
            ..HostFacts::default()
        },
        labels: BTreeMap::from([("role".into(), "db".into()), ("site".into(), "a".into())]),
        clock_skew_ms: 3,
        kept: false,
    }
}

fn gauge(metric: &str) -> (SeriesName, Kind) {
    (
        SeriesName {
            metric: metric.into(),
            labels: Vec::new(),
        },
        Kind::Gauge,
    )
}

/// A batch in which every series has every value: `values[tick]` for all of them.
fn batch(n: u8, sequence: u64, ids: &[SeriesId], points: &[(i64, f64)]) -> Append {
    let columns = (0..ids.len() as u32)
        .map(|number| Column {
            number,
            ticks: None,
            values: points.iter().map(|p| p.1).collect(),
        })
        .collect();
    Append {
        host_id: host(n),
        spool_id: spool(n),
        sequence,
        received_ms: points.last().map_or(T0, |p| p.0),
        block: Packed::of(&Block {
            times_ms: points.iter().map(|p| p.0).collect(),
            columns,
        }),
        series: ids.to_vec(),
    }
}

fn all() -> WindowQuery {
    WindowQuery {
        from_ms: i64::MIN,
        to_ms: i64::MAX,
        samples_max: 1 << 24,
        ..Default::default()
    }
}

/// The points of one host's metric.
async fn points(store: &Store, name: &str, metric: &str) -> Vec<(i64, f64)> {
    let query = WindowQuery {
        hosts: vec![name.into()],
        metrics: vec![metric.into()],
        ..all()
    };
    let windows = store.windows(query).await.unwrap();
    assert_eq!(windows.len(), 1);
    let Some(series) = windows[0].series.first() else {
        return Vec::new();
    };
    series
        .times_ms
        .iter()
        .copied()
        .zip(series.values.iter().copied())
        .collect()
}

/// A store with one host "web" that has the series node_load1 and custom_level.
async fn with_host(folder: &Path) -> (Store, Vec<SeriesId>) {
    let store = open(folder).await;
    store.greet(greeting(1, "web"), T0).await.unwrap();
    let names = vec![gauge("node_load1"), gauge("custom_level")];
    let ids = store.series_ids(host(1), names).await.unwrap();
    (store, ids)
}
