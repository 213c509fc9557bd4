//! What the store costs by itself: CPU per sample appended durably, bytes per sample at rest, CPU
//! of a few questions. No network, no decoding of messages.
//!
//! `cargo bench -p hostwell-tests --bench store`. `HOSTWELL_CAPTURE` is the recording that every
//! host is derived from, as for `make bench-history`; without it one is made up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints its result and stops where it cannot go on"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hostwell::series::{Kind, SeriesName};
use hostwell::store::{Append, Greeting, HostFacts, SeriesId, Store, StoreOptions, WindowQuery};
use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_tests::load::capture::{Capture, Recorded};
use hostwell_tests::load::derive::{Host, Mould, Random};
use hostwell_tests::load::script::host_name;
use hostwell_tests::process::cpu_ns;

const HOSTS: u8 = 100;
const START_MS: i64 = 1_800_000_000_000;
const STEP_MS: i64 = 10_000;
const IN_FLIGHT: usize = 64;
/// Six hours at 10 s.
const TICKS: usize = 2160;
const HOUR_TICKS: usize = 360;
const HOUR_MS: i64 = 3_600_000;
/// Seconds of a recording that is made up.
const MADE_UP_ROWS: usize = 1500;

/// The values of every host: host, series, tick.
struct Fleet {
    names: Vec<(SeriesName, Kind)>,
    hosts: Vec<Vec<Vec<f64>>>,
}

impl Fleet {
    /// Every host derived from the capture.
    fn of(capture: Capture) -> Fleet {
        let named = |recorded: &Recorded| {
            let name = SeriesName {
                metric: recorded.metric.clone(),
                labels: recorded.labels.clone(),
            };
            let kind = match recorded.is_counter() {
                true => Kind::Counter,
                false => Kind::Gauge,
            };
            (name, kind)
        };
        let names = capture.series.iter().map(named).collect();
        let mould = Arc::new(Mould::new(capture));
        Fleet {
            names,
            hosts: (0..u64::from(HOSTS)).map(|n| columns(&mould, n)).collect(),
        }
    }
}

/// A host's values, one column for each series.
fn columns(mould: &Arc<Mould>, number: u64) -> Vec<Vec<f64>> {
    let mut host = Host::new(mould, 1, number, STEP_MS as u64);
    let mut columns = vec![Vec::with_capacity(TICKS); mould.capture().series.len()];
    let mut row = Vec::new();
    for _ in 0..TICKS {
        host.step(&mut row);
        for (column, value) in columns.iter_mut().zip(&row) {
            column.push(*value);
        }
    }
    columns
}

/// 60 series that move like a host's: 16 CPU counters, 12 memory gauges, 32 other counters, a
/// quarter of all constant.
fn make_up() -> Capture {
    let mut random = Random::new(1);
    let mut series = Vec::new();
    for i in 0..60u64 {
        let (metric, step, units) = match i {
            0..16 => ("node_cpu_seconds_total", 100, 100.0),
            16..28 => ("node_memory_MemFree_bytes", 1 << 22, 1.0),
            _ => ("node_network_receive_bytes_total", 10_000, 1.0),
        };
        let mut value = (random.bits() % (1 << 30)) as i64;
        let mut next = |_| {
            if i % 4 > 0 {
                value += (random.bits() % step) as i64;
            }
            value
        };
        series.push(Recorded {
            metric: metric.to_owned(),
            labels: vec![("n".to_owned(), i.to_string())],
            units,
            values: (0..MADE_UP_ROWS).map(&mut next).collect(),
        });
    }
    Capture { series }
}

fn batch(fleet: &Fleet, host: u8, ids: &[SeriesId], first: usize, ticks: usize) -> Append {
    let columns = fleet.hosts[usize::from(host)]
        .iter()
        .enumerate()
        .map(|(s, values)| Column {
            number: s as u32,
            ticks: None,
            values: values[first..first + ticks].to_vec(),
        })
        .collect();
    let time = |t: usize| START_MS + t as i64 * STEP_MS;
    Append {
        host_id: HostId([host; 16]),
        spool_id: SpoolId([host; 16]),
        sequence: (first / ticks) as u64 + 1,
        received_ms: time(first + ticks),
        block: Packed::of(&Block {
            times_ms: (first..first + ticks).map(time).collect(),
            columns,
        }),
        series: ids.to_vec(),
    }
}

/// User and system seconds of this process.
fn cpu_seconds() -> f64 {
    cpu_ns(std::process::id()) as f64 / 1e9
}

/// Registers all hosts; answers their series.
async fn register(store: &Store, fleet: &Fleet) -> Vec<Vec<SeriesId>> {
    let mut ids = Vec::new();
    for host in 0..HOSTS {
        store.greet(greeting(host), START_MS).await.unwrap();
        let names = fleet.names.clone();
        ids.push(store.series_ids(HostId([host; 16]), names).await.unwrap());
    }
    ids
}

/// The batches of some ticks in the order of time.
fn batches(
    fleet: &Fleet,
    ids: &[Vec<SeriesId>],
    ticks: std::ops::Range<usize>,
    each: usize,
) -> Vec<Append> {
    ticks
        .step_by(each)
        .flat_map(|first| (0..HOSTS).map(move |host| (first, host)))
        .map(|(first, host)| batch(fleet, host, &ids[usize::from(host)], first, each))
        .collect()
}

async fn append_all(store: &Store, batches: Vec<Append>) {
    let mut tasks = tokio::task::JoinSet::new();
    for batch in batches {
        if tasks.len() >= IN_FLIGHT {
            tasks.join_next().await;
        }
        let store = store.clone();
        tasks.spawn(async move { store.append(batch).await.unwrap() });
    }
    tasks.join_all().await;
}

async fn run(fleet: &Fleet, ticks_per_batch: usize) {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let store = Store::open(options.clone()).await.unwrap();
    let ids = register(&store, fleet).await;
    let batches = batches(fleet, &ids, 0..HOUR_TICKS, ticks_per_batch);
    let samples = batches.iter().map(|b| b.block.samples()).sum::<usize>() as f64;
    let count = batches.len() as f64;
    println!("{samples} samples in {count} batches of {ticks_per_batch} ticks:");
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    append_all(&store, batches).await;
    let (wall, spent) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "  append, durable   {:.2} M samples per CPU-second, {:.0} batches/s, {:.1} us CPU a batch",
        samples / spent / 1e6,
        count / wall,
        spent / count * 1e6
    );
    let journal = store.facts(false).await.unwrap().file_bytes as f64;
    println!(
        "  journal and log   {:.2} bytes per sample",
        journal / samples
    );
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    drop(store);
    let store = reopened(options.clone()).await;
    let (wall, spent) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("  start with that   {wall:.2} s, {spent:.2} s CPU");
    ask(&store, "with the head").await;
    let cpu = cpu_seconds();
    store.close().await.unwrap();
    println!(
        "  sealed            {:.2} M samples per CPU-second",
        samples / (cpu_seconds() - cpu) / 1e6
    );
    let store = Store::open_read_only(&options.path).await.unwrap();
    at_rest(&store, folder.path(), samples).await;
    ask(&store, "sealed").await;
}

fn options(folder: &Path) -> StoreOptions {
    StoreOptions {
        path: folder.join("hostwell.db"),
        retention_ms: i64::MAX / 4,
        series_per_host_max: 2000,
        hosts_max: 1000,
    }
}

async fn at_rest(store: &Store, folder: &Path, samples: f64) {
    let copy = folder.join("compact.db");
    let bytes = store.backup(&copy, None).await.unwrap() as f64;
    std::fs::remove_file(copy).unwrap();
    println!(
        "  at rest           {:.3} bytes per sample, everything included",
        bytes / samples
    );
}

/// Six hours as they come: sealed hour by hour, then merged as far as upkeep does.
async fn run_hours(fleet: &Fleet) {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let store = Store::open(options.clone()).await.unwrap();
    let ids = register(&store, fleet).await;
    let (mut samples, mut sealing) = (0.0, 0.0);
    for first in (0..TICKS).step_by(HOUR_TICKS) {
        let batches = batches(fleet, &ids, first..first + HOUR_TICKS, 6);
        samples += batches.iter().map(|b| b.block.samples()).sum::<usize>() as f64;
        append_all(&store, batches).await;
        let cpu = cpu_seconds();
        let now_ms = START_MS + (first + HOUR_TICKS) as i64 * STEP_MS + HOUR_MS;
        while store.facts(false).await.unwrap().journal_batches > 0 {
            store.upkeep(now_ms).await.unwrap();
        }
        sealing += cpu_seconds() - cpu;
    }
    println!("{samples} samples in six hours, sealed as they come:");
    println!(
        "  sealed            {:.2} M samples per CPU-second",
        samples / sealing / 1e6
    );
    at_rest(&store, folder.path(), samples).await;
    let cpu = cpu_seconds();
    let now_ms = START_MS + TICKS as i64 * STEP_MS + 2 * HOUR_MS;
    for _ in 0..100 {
        store.upkeep(now_ms).await.unwrap();
    }
    println!(
        "  and merged        {:.2} M samples per CPU-second",
        samples / (cpu_seconds() - cpu) / 1e6
    );
    at_rest(&store, folder.path(), samples).await;
    ask(&store, "merged").await;
    store.close().await.unwrap();
}

/// The writer thread lets go of the file shortly after its last handle is dropped.
async fn reopened(options: StoreOptions) -> Store {
    loop {
        if let Ok(store) = Store::open(options.clone()).await {
            return store;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

async fn ask(store: &Store, how: &str) {
    let all = WindowQuery {
        from_ms: 0,
        to_ms: i64::MAX,
        samples_max: usize::MAX,
        ..WindowQuery::default()
    };
    let hosts = store.hosts().await.unwrap();
    let one = WindowQuery {
        hosts: vec![hosts[7].name.clone()],
        metrics: vec!["node_memory_MemFree_bytes".into()],
        ..all.clone()
    };
    let cpu_metric = WindowQuery {
        metrics: vec!["node_cpu_seconds_total".into()],
        ..all.clone()
    };
    for (what, query, times) in [
        ("one metric of one host", one, 20),
        ("CPU of all hosts", cpu_metric, 3),
        ("everything", all, 1),
    ] {
        let cpu = cpu_seconds();
        let mut samples = 0;
        for _ in 0..times {
            let windows = store.windows(query.clone()).await.unwrap();
            samples = windows
                .iter()
                .flat_map(|w| &w.series)
                .map(|s| s.values.len())
                .sum();
        }
        let ms = (cpu_seconds() - cpu) * 1e3 / f64::from(times);
        println!("  {how}: {what}: {ms:.1} ms CPU for {samples} samples");
    }
}

fn greeting(host: u8) -> Greeting {
    Greeting {
        host_id: HostId([host; 16]),
        host_name: host_name(host.into()),
        interval_ms: STEP_MS as u32,
        facts: HostFacts::default(),
        labels: BTreeMap::new(),
        clock_skew_ms: 0,
        kept: false,
    }
}

fn main() {
    let capture = match std::env::var_os("HOSTWELL_CAPTURE") {
        Some(path) => Capture::read(Path::new(&path)).unwrap(),
        None => make_up(),
    };
    let fleet = Fleet::of(capture);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for ticks_per_batch in [1, 6] {
        runtime.block_on(run(&fleet, ticks_per_batch));
    }
    runtime.block_on(run_hours(&fleet));
}
