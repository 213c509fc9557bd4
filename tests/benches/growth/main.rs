//! What grows with what: bytes, memory, start and questions against hosts and against age. See
//! docs/benchmarks.md.
//!
//! `HOSTWELL_CAPTURE` is the recording; `HOSTWELL_BENCH_GROWTH_HOSTS` (10,100,1000,10000) and
//! `HOSTWELL_BENCH_GROWTH_DAYS` (1,7,30,180,730).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on the terminal, and by panicking"
)]

#[path = "../history/cost.rs"]
#[allow(dead_code, reason = "benchmark `history` has more use for it")]
mod cost;
#[path = "../history/ours.rs"]
#[allow(dead_code, reason = "benchmark `history` has more use for it")]
mod ours;
#[path = "../history/questions.rs"]
#[allow(dead_code, reason = "benchmark `history` has more use for it")]
mod questions;
#[path = "../history/settings.rs"]
#[allow(dead_code, reason = "benchmark `history` has more use for it")]
mod settings;

use std::path::Path;
use std::time::{Duration, Instant};

use hostwell::store::{Store, StoreOptions};
use hostwell_tests::figures::free;
use hostwell_tests::process::{cpu_ns, folder_bytes, median, peak_mib, rss_mib};
use hostwell_tests::runs::{about, save};
use hostwell_tests::site::Collector;

use cost::Asked;
use ours::Asking;
use questions::Ask;
use settings::Samples;

/// Samples of a host travel together like this: how they came is not what is measured.
const TICKS: u64 = 60;
/// Between two samples where two years are to fit onto a disk.
const AGED_INTERVAL_MS: u64 = 60_000;
const AGED_HOSTS: usize = 10;
/// Within how many days of the newest sample a question about one series asks.
const LATELY_MS: u64 = 6 * 3_600_000;

/// One line of a table.
struct Grown {
    what: String,
    samples: u64,
    bytes: u64,
    /// CPU until all was sealed.
    stored_cpu_s: f64,
    /// The most that was resident until then.
    peak_mib: f64,
    rolled: Rolled,
    /// Started anew, and asked.
    rss_mib: f64,
    start_ms: f64,
    latest_ms: Result<f64, String>,
    one_ms: Result<f64, String>,
    fleet_ms: Result<f64, String>,
}

/// Days of hosts that became rollups.
struct Rolled {
    days: usize,
    cpu_s: f64,
}

fn main() {
    let settings = settings::read().unwrap_or_else(|what| {
        eprintln!("growth: {what}");
        std::process::exit(2);
    });
    if cfg!(debug_assertions) {
        eprintln!("growth: without optimisation the figures mean nothing: cargo bench");
        std::process::exit(2);
    }
    let (now_ms, folder) = (settings.samples.end_ms, tempfile::tempdir().unwrap());
    let (mut fleets, mut failed) = (Vec::new(), String::new());
    for hosts in list("HOSTWELL_BENCH_GROWTH_HOSTS", &[10, 100, 1000, 10_000]) {
        let samples = settings.samples.with(hosts as usize, 360, now_ms);
        let grown = grow(folder.path(), &format!("{hosts} hosts"), &samples);
        row(&mut fleets, &mut failed, grown);
    }
    let mut ages = Vec::new();
    for days in list("HOSTWELL_BENCH_GROWTH_DAYS", &[1, 7, 30, 180, 730]) {
        let samples = Samples {
            interval_ms: AGED_INTERVAL_MS,
            ..settings.samples.with(AGED_HOSTS, days * 1440, now_ms)
        };
        let grown = grow(folder.path(), &format!("{days} days"), &samples);
        row(&mut ages, &mut failed, grown);
    }
    let report = format!(
        "# What grows with what\n\n{}\n`make bench-growth`; median CPU ms a question, the call \
         included.\n\n## Hosts: an hour at 10 s of each\n\n{}\n## Age: {AGED_HOSTS} hosts at 60 s, \
         all samples kept\n\n{}{failed}",
        about(),
        tables(&fleets),
        tables(&ages),
    );
    println!("{report}");
    println!("saved as {}", save("growth", &report).display());
}

fn list(name: &str, default: &[u64]) -> Vec<u64> {
    let Ok(text) = std::env::var(name) else {
        return default.to_vec();
    };
    let number = |word: &str| match word.parse() {
        Ok(number) => number,
        Err(_) => panic!("{name}={text:?} is not a list like 10,100"),
    };
    text.split(',')
        .filter(|w| !w.is_empty())
        .map(number)
        .collect()
}

/// One line more, said at once: what comes after it may take hours, or fail.
fn row(into: &mut Vec<Grown>, failed: &mut String, grown: Result<Grown, String>) {
    match grown {
        Ok(grown) => {
            eprintln!("growth: {}", cells(&grown).join("  "));
            into.push(grown);
        }
        Err(why) => {
            eprintln!("growth: {why}");
            *failed += &format!("\nNot there: {why}\n");
        }
    }
}

/// Median CPU milliseconds of a question, the call included.
fn question(asking: &mut Asking, ask: Ask, samples: &Samples) -> Result<f64, String> {
    // The first one warms up.
    asking.ask(ask, samples, 0)?;
    let spent: Result<Vec<f64>, String> = (1..=ask.times())
        .map(|turn| asking.ask(ask, samples, turn))
        .collect();
    Ok(median(&spent?))
}

/// Fills a collector, stops it, and looks at it anew.
fn grow(folder: &Path, what: &str, samples: &Samples) -> Result<Grown, String> {
    eprintln!(
        "growth: {what}, {:.1} M samples",
        samples.count() as f64 / 1e6
    );
    let place = folder.join(what.replace(' ', "-"));
    let more = "[retention]\nraw_days = 760\n[limits]\nhosts = 20000\nconnections = 20000\n";
    let mut collector = Collector::start_with(&place, more);
    ours::saturate(&collector, samples, TICKS).map_err(|why| format!("{what}: {why}"))?;
    let peak_mib = peak_mib(collector.program.pid());
    let stored_cpu_s = ours::stop(&mut collector) as f64 / 1e9;
    let rolled = roll_up(&collector.database(), samples.end_ms)
        .map_err(|why| format!("{what}: roll up: {why:#}"))?;
    let bytes = folder_bytes(&place.join("data"));
    let begun = Instant::now();
    collector.start_again();
    let start_ms = begun.elapsed().as_secs_f64() * 1e3;
    let lately = samples.with(
        samples.hosts,
        samples.ticks.min(LATELY_MS / samples.interval_ms),
        samples.end_ms,
    );
    let mut asking = Asking::of(collector)?;
    let grown = Grown {
        what: what.to_owned(),
        samples: samples.count(),
        bytes,
        stored_cpu_s,
        peak_mib,
        rolled,
        start_ms,
        latest_ms: question(&mut asking, Ask::Latest, &lately),
        one_ms: question(&mut asking, Ask::One, &lately),
        fleet_ms: question(&mut asking, Ask::Top, samples),
        rss_mib: rss_mib(asking.pid()),
    };
    drop(asking);
    std::fs::remove_dir_all(&place).unwrap();
    Ok(grown)
}

/// Rolls up what is due at once: a collector takes its time for it, years would take it hours.
fn roll_up(database: &Path, now_ms: i64) -> anyhow::Result<Rolled> {
    let runtime = tokio::runtime::Runtime::new()?;
    let options = StoreOptions {
        path: database.to_owned(),
        retention_ms: i64::MAX / 4,
        series_per_host_max: 2000,
        hosts_max: 20_000,
    };
    runtime.block_on(async {
        let store = Store::open(options).await?;
        let before = cpu_ns(std::process::id());
        let days = store.roll_up(now_ms, Duration::MAX).await?;
        let cpu_s = (cpu_ns(std::process::id()) - before) as f64 / 1e9;
        store.close().await?;
        Ok(Rolled { days, cpu_s })
    })
}

/// The figures, and how each grew against the samples.
fn tables(rows: &[Grown]) -> String {
    let head = [
        "",
        "M samples",
        "MiB on disk",
        "bytes a sample",
        "CPU s until sealed",
        "peak MiB",
        "days rolled up, CPU s",
        "RSS MiB, started anew",
        "start ms",
        "latest of a host",
        "one series, 6 h at most",
        "ten hosts with the least memory, all of the time",
    ];
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let table = free(&head, &cells);
    format!("{table}\n```text\n{}```\n", chart(rows))
}

/// One line of a table.
fn cells(grown: &Grown) -> Vec<String> {
    let ms = |answer: &Result<f64, String>| match answer {
        Ok(ms) => format!("{ms:.2}"),
        Err(why) => why.lines().next().unwrap_or_default().to_owned(),
    };
    vec![
        grown.what.clone(),
        format!("{:.2}", grown.samples as f64 / 1e6),
        format!("{:.2}", grown.bytes as f64 / f64::from(1 << 20)),
        format!("{:.3}", grown.bytes as f64 / grown.samples as f64),
        format!("{:.1}", grown.stored_cpu_s),
        format!("{:.0}", grown.peak_mib),
        format!("{}, {:.1}", grown.rolled.days, grown.rolled.cpu_s),
        format!("{:.0}", grown.rss_mib),
        format!("{:.0}", grown.start_ms),
        ms(&grown.latest_ms),
        ms(&grown.one_ms),
        ms(&grown.fleet_ms),
    ]
}

/// A bar for each figure of the last row: how many times the first row's, on a logarithmic scale,
/// beside the same of the samples.
fn chart(rows: &[Grown]) -> String {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return String::new();
    };
    let times = |of: fn(&Grown) -> f64| of(last) / of(first);
    let figures = [
        ("samples", times(|r| r.samples as f64)),
        ("bytes on disk", times(|r| r.bytes as f64)),
        ("CPU until sealed", times(|r| r.stored_cpu_s)),
        ("peak memory", times(|r| r.peak_mib)),
        ("resident memory", times(|r| r.rss_mib)),
        ("start", times(|r| r.start_ms)),
        ("latest of a host", times(|r| known(&r.latest_ms))),
        ("one series", times(|r| known(&r.one_ms))),
        ("fleet", times(|r| known(&r.fleet_ms))),
    ];
    let bar = |times: f64| "#".repeat((times.max(1.0).log10() * 20.0).round() as usize);
    figures
        .iter()
        .map(|(name, times)| format!("{name:<18}{times:>9.1} × {}\n", bar(*times)))
        .collect()
}

fn known(answer: &Result<f64, String>) -> f64 {
    answer.as_ref().copied().unwrap_or(f64::NAN)
}
