//! What the store costs by itself: CPU per sample appended durably, bytes per sample at rest, CPU
//! of a few questions. No network, no decoding of messages.
//!
//! `cargo bench -p hostwell --bench store`; with `HOSTWELL_CAPTURE=FILE.csv` (first line the
//! series, first column seconds, `[ticks…]` and `[ms]` naming native units) every host is derived
//! from that capture (`derived`) instead of being made up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints its result and stops where it cannot go on"
)]

mod derived;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use hostwell::series::{Kind, SeriesName};
use hostwell::store::{Append, Greeting, HostFacts, SeriesId, Store, StoreOptions, WindowQuery};
use hostwell_proto::column::{Block, Column, Packed};
use hostwell_proto::id::{HostId, SpoolId};

const HOSTS: u8 = 100;
const START_MS: i64 = 1_800_000_000_000;
const STEP_MS: i64 = 10_000;
const IN_FLIGHT: usize = 64;
/// Six hours at 10 s.
const TICKS: usize = 2160;
const HOUR_TICKS: usize = 360;
const HOUR_MS: i64 = 3_600_000;

/// Columns of values, one for each series, all of the same length.
struct Capture {
    names: Vec<SeriesName>,
    columns: Vec<Vec<f64>>,
    /// What a value is multiplied with to be in the unit the kernel counts in.
    units: Vec<f64>,
}

/// The values of every host: host, series, tick.
struct Fleet {
    names: Vec<SeriesName>,
    hosts: Vec<Vec<Vec<f64>>>,
}

fn series_name(text: &str) -> SeriesName {
    let (metric, labels) = text.split_once('{').unwrap_or((text, ""));
    let mut labels: Vec<(String, String)> = labels
        .trim_end_matches('}')
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    labels.sort();
    SeriesName {
        metric: metric.to_owned(),
        labels,
    }
}

/// Splits a line at commas outside quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

fn read_capture(path: &Path) -> Capture {
    let text = std::fs::read_to_string(path).expect("read the capture");
    let mut lines = text.lines();
    let head = fields(lines.next().expect("a first line"));
    let native: Vec<(SeriesName, f64)> = head[1..]
        .iter()
        .map(|name| match name.split_once(" [") {
            Some((name, unit)) if unit.starts_with("ticks") => (series_name(name), 100.0),
            Some((name, _)) => (series_name(name), 1000.0),
            None => (series_name(name), 1.0),
        })
        .collect();
    let mut columns = vec![Vec::new(); native.len()];
    for line in lines {
        for (i, field) in line.split(',').skip(1).enumerate() {
            columns[i].push(field.parse::<f64>().expect("a number") / native[i].1);
        }
    }
    let (names, units) = native.into_iter().unzip();
    Capture {
        names,
        columns,
        units,
    }
}

/// Every host derived from the capture.
fn derive(capture: Capture) -> Fleet {
    Fleet {
        hosts: (0..u64::from(HOSTS))
            .map(|host| derived::host(&capture, host + 1, TICKS))
            .collect(),
        names: capture.names,
    }
}

/// 60 series that move like a host's: 16 CPU counters, 12 memory gauges, 32 other counters, a
/// quarter of all constant.
fn make_up() -> Fleet {
    let mut state = 1u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let (mut names, mut columns) = (Vec::new(), Vec::<Vec<f64>>::new());
    for i in 0..60u64 {
        let (metric, step, unit) = match i {
            0..16 => ("node_cpu_seconds_total", 1000, 100.0),
            16..28 => ("node_memory_MemFree_bytes", 1 << 12, 1.0 / 4096.0),
            _ => ("node_network_receive_bytes_total", 100_000, 1.0),
        };
        names.push(SeriesName {
            metric: metric.into(),
            labels: vec![("n".into(), i.to_string())],
        });
        let mut value = random(1 << 30);
        let column = (0..TICKS).map(|_| {
            if i % 4 > 0 {
                value += random(step);
            }
            value as f64 / unit
        });
        columns.push(column.collect());
    }
    let turned = |host: usize| -> Vec<Vec<f64>> {
        let mut columns = columns.clone();
        for column in &mut columns {
            column.rotate_left(host * 7);
        }
        columns
    };
    Fleet {
        names,
        hosts: (0..usize::from(HOSTS)).map(turned).collect(),
    }
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
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|n| n.parse::<u64>().unwrap())
        .sum();
    ticks as f64 / 100.0
}

/// Registers all hosts; answers their series.
async fn register(store: &Store, fleet: &Fleet) -> Vec<Vec<SeriesId>> {
    let mut ids = Vec::new();
    for host in 0..HOSTS {
        store.greet(greeting(host), START_MS).await.unwrap();
        let names = fleet
            .names
            .iter()
            .map(|n| (n.clone(), Kind::Counter))
            .collect();
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
        host_name: format!("host{host:03}"),
        interval_ms: STEP_MS as u32,
        facts: HostFacts::default(),
        labels: BTreeMap::new(),
        clock_skew_ms: 0,
        kept: false,
    }
}

fn main() {
    let fleet = match std::env::var_os("HOSTWELL_CAPTURE") {
        Some(path) => derive(read_capture(Path::new(&path))),
        None => make_up(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for ticks_per_batch in [1, 6] {
        runtime.block_on(run(&fleet, ticks_per_batch));
    }
    runtime.block_on(run_hours(&fleet));
}
