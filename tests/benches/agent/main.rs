//! The agent beside its peers, on one machine in one window. See docs/benchmarks.md.
//!
//! `HOSTWELL_BENCH_SECONDS` (120) is the window, `HOSTWELL_BENCH_ROUNDS` (1) how often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark reports on the terminal, and by panicking"
)]

mod calls;
mod hot;
mod ours;
mod peers;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hostwell_tests::figures::{self, Figure};
use hostwell_tests::process::{cpu_ns, median, pss_mib};
use hostwell_tests::runs::{about, save, setting};
use hostwell_tests::wait::seconds;

use ours::Ours;
use peers::Peer;

/// What one program cost in one window.
struct Cost {
    name: &'static str,
    cpu_ms: f64,
    pss_mib: f64,
    bytes: u64,
    values: u64,
}

/// A whole run.
#[derive(Default)]
struct Run {
    /// By round: windows with our agent over TLS, and without.
    tls: Vec<Vec<Cost>>,
    plain: Vec<Vec<Cost>>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, settle, window] = &arguments[..]
        && flag == "--calls"
    {
        let folder = tempfile::tempdir().unwrap();
        let c = ours::system_calls(folder.path(), number(settle), number(window));
        let calls::Calls {
            ticks,
            median,
            mean,
            most,
            process_scan,
            fsync,
        } = c;
        println!("{ticks} {median} {mean} {most} {process_scan} {fsync}");
        return;
    }
    if arguments.iter().any(|flag| flag == "--hot") {
        let folder = tempfile::tempdir().unwrap();
        println!("{}", hot::measure(folder.path()).table());
        return;
    }
    let window = setting("HOSTWELL_BENCH_SECONDS", 120);
    let rounds = setting("HOSTWELL_BENCH_ROUNDS", 1);
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::default();
    for round in 0..rounds {
        let place = |kind: &str| folder.path().join(format!("{kind}{round}"));
        run.tls.push(measure(&place("tls"), true, window));
        run.plain.push(measure(&place("plain"), false, window));
    }
    let hot = hot::measure(folder.path());
    let few = ours::system_calls(&folder.path().join("calls"), 15, 60);
    let many = ours::system_calls_among(200, 15, 60);
    let rows = judge(&run, &hot, &few, many.as_ref());
    let report = report(&run, &hot, &few, many.as_ref(), &rows, window);
    println!("{report}");
    let path = save("agent", &report);
    println!("saved as {}", path.display());
    if rows.iter().any(Figure::is_missed) {
        std::process::exit(1);
    }
}

/// The wall clock, milliseconds since the Unix epoch.
fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_millis() as i64
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// One window with everybody in it.
fn measure(folder: &Path, tls: bool, window: u64) -> Vec<Cost> {
    let inner = |name: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let ours = ours::start(&inner("ours"), tls);
    let mut peers = Vec::new();
    // Staggered, so that they do not wake up together.
    let stagger = || std::thread::sleep(Duration::from_millis(180));
    stagger();
    peers.push(peers::node_exporter(&inner("six"), true));
    stagger();
    peers.push(peers::node_exporter(&inner("all"), false));
    stagger();
    peers.push(peers::collectd(&inner("collectd"), seconds(1)));
    stagger();
    peers.push(peers::pcp(&inner("pcp")));
    std::thread::sleep(seconds(15));

    let (from_ms, start) = (now_ms(), Instant::now());
    let before = reading(&ours, &peers);
    std::thread::sleep(seconds(window));
    let after = reading(&ours, &peers);
    let (to_ms, cycles) = (now_ms(), start.elapsed().as_secs_f64());
    // What was sampled last travels with the next batch.
    std::thread::sleep(seconds(12));
    let values = ours.values(from_ms, to_ms);
    let mut costs = Vec::new();
    let names = std::iter::once(ours.name).chain(peers.iter().map(|p| p.name));
    for (i, name) in names.enumerate() {
        costs.push(Cost {
            name,
            cpu_ms: (after[i].0 - before[i].0) as f64 / 1e6 / cycles,
            pss_mib: after[i].1,
            bytes: after[i].2 - before[i].2,
            values: if i == 0 {
                values
            } else {
                after[i].3 - before[i].3
            },
        });
    }
    costs
}

/// (CPU ns, PSS MiB, bytes, values) of everybody, ours first.
fn reading(ours: &Ours, peers: &[Peer]) -> Vec<(u64, f64, u64, u64)> {
    let (up, down) = ours.proxy.bytes();
    let pid = ours.agent.program.pid();
    let mut readings = vec![(cpu_ns(pid), pss_mib(pid), up + down, 0)];
    for peer in peers {
        let pids = || {
            peer.programs
                .iter()
                .map(hostwell_tests::program::Program::pid)
        };
        readings.push((
            pids().map(cpu_ns).sum(),
            pids().map(pss_mib).sum(),
            peer.bytes.load(Ordering::Relaxed),
            peer.values.load(Ordering::Relaxed),
        ));
    }
    readings
}

/// The median over rounds of something about our row and the row called `peer`.
fn over(windows: &[Vec<Cost>], peer: &str, of: impl Fn(&Cost, &Cost) -> f64) -> f64 {
    let values = windows.iter().map(|costs| {
        let other = costs.iter().find(|c| c.name == peer).unwrap_or(&costs[0]);
        of(&costs[0], other)
    });
    median(&values.collect::<Vec<f64>>())
}

fn judge(
    run: &Run,
    hot: &hot::Hot,
    few: &calls::Calls,
    many: Option<&calls::Calls>,
) -> Vec<Figure> {
    let ratio = |peer: &str| over(&run.tls, peer, |us, them| us.cpu_ms / them.cpu_ms);
    let pss = over(&run.tls, "", |us, _| us.pss_mib);
    let bytes = over(&run.tls, "", |us, _| us.bytes as f64 / us.values as f64);
    vec![
        Figure::below(
            "hot tick ÷ collectd → UDP hot",
            (0.10, 0.05),
            hot.ours_ms / hot.collectd_ms,
        ),
        Figure::below(
            "paced, TLS ÷ collectd → UDP",
            (0.60, 0.45),
            ratio("collectd → UDP"),
        ),
        Figure::below(
            "paced, TLS ÷ pcp",
            (0.75, 0.55),
            ratio("pcp pmcd + pmlogger"),
        ),
        Figure::below(
            "paced, TLS ÷ node_exporter (6)",
            (0.22, 0.17),
            ratio("node_exporter (6)"),
        ),
        Figure::below("median system calls a tick, TLS", (40.0, 25.0), few.median),
        Figure::below(
            "the same with 200 interfaces",
            (50.0, 28.0),
            many.map_or(f64::NAN, |m| m.median),
        ),
        Figure::below("PSS with TLS, MiB", (6.0, 4.0), pss),
        Figure::below(
            "TCP payload bytes a value, both directions, TLS",
            (3.0, 1.5),
            bytes,
        ),
    ]
}

fn report(
    run: &Run,
    hot: &hot::Hot,
    few: &calls::Calls,
    many: Option<&calls::Calls>,
    rows: &[Figure],
    window: u64,
) -> String {
    let mut text = format!(
        "# The agent beside its peers\n\n{}\n`make bench-agent`, windows of {window} s\n\n{}\n",
        about(),
        figures::table(rows)
    );
    for (title, windows) in [("TLS", &run.tls), ("plain", &run.plain)] {
        for costs in windows {
            let rows: Vec<Vec<String>> = costs
                .iter()
                .map(|c| {
                    let known = |text: String| if c.values > 0 { text } else { "–".into() };
                    let ratio = costs[0].cpu_ms / c.cpu_ms;
                    vec![
                        c.name.to_owned(),
                        format!("{:.3}", c.cpu_ms),
                        format!("{ratio:.2}"),
                        format!("{:.2}", c.pss_mib),
                        known((c.values / window).to_string()),
                        known(format!("{:.2}", c.bytes as f64 / c.values as f64)),
                    ]
                })
                .collect();
            text += &format!("\n## Paced at 1 s, our agent {title}\n\n");
            text += &figures::free(
                &[
                    "program",
                    "CPU ms a cycle",
                    "ours ÷ it",
                    "PSS MiB",
                    "values a cycle",
                    "bytes a value",
                ],
                &rows,
            );
        }
    }
    text += "\n## Hot\n\n";
    text += &hot.table();
    text += "\n## System calls a tick, TLS\n\n";
    let rows = [("this machine", Some(few)), ("200 interfaces", many)];
    let rows = rows.iter().filter_map(|(name, calls)| {
        let c = (*calls)?;
        let figures = [c.median, c.mean, c.most as f64, c.process_scan, c.fsync];
        let cells = figures.iter().map(|f| format!("{f:.1}"));
        Some(std::iter::once((*name).to_owned()).chain(cells).collect())
    });
    text += &figures::free(
        &[
            "where",
            "median",
            "mean",
            "most",
            "process scan apart",
            "fsync apart",
        ],
        &rows.collect::<Vec<Vec<String>>>(),
    );
    text
}
