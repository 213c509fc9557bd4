//! The history beside VictoriaMetrics and Prometheus, on the same samples in the same run. See
//! docs/benchmarks.md.
//!
//! `HOSTWELL_CAPTURE` is the recording; `HOSTWELL_BENCH_HOSTS` (200), `HOSTWELL_BENCH_HOURS` (6, 0:
//! only the fleets), `HOSTWELL_BENCH_ROUNDS` (1), `HOSTWELL_BENCH_PACED` (none; 1000,5000,10000),
//! `HOSTWELL_BENCH_SECONDS` (60, a fleet's window), `HOSTWELL_BENCH_QUARTER` (0, hosts whose quarter is
//! asked for: 1000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on the terminal, and by panicking"
)]

mod cost;
mod judge;
mod ours;
mod paced;
mod peers;
mod quarter;
mod questions;
mod remote_write;
mod settings;

use std::path::Path;

use hostwell_tests::figures::{Figure, free, table};
use hostwell_tests::process::median;
use hostwell_tests::runs::{about, save};

use cost::{Asked, Cost, Price};
use judge::{Round, Run};
use peers::Kind;
use questions::{ALL, Ask};
use settings::{Samples, Settings};

/// Ticks that travel together when an agent samples every second.
const TICKS_BATCHED: u64 = 10;
/// What is in the journal when the collector is killed.
const KILLED: (usize, u64) = (1000, 360);

fn main() {
    let settings = match settings::read() {
        Ok(settings) => settings,
        Err(what) => {
            eprintln!("history: {what}");
            std::process::exit(2);
        }
    };
    if cfg!(debug_assertions) {
        eprintln!("history: without optimisation the figures mean nothing: cargo bench");
        std::process::exit(2);
    }
    let folder = tempfile::tempdir().unwrap();
    let rounds = if settings.stores { settings.rounds } else { 0 };
    let run = Run {
        rounds: (0..rounds)
            .map(|number| {
                let place = folder.path().join(format!("round{number}"));
                let round = round(&place, &settings.samples);
                std::fs::remove_dir_all(&place).unwrap();
                round
            })
            .collect(),
        paced: paced::all(folder.path(), &settings),
        quarter: quarter::measure(folder.path(), &settings.samples, settings.quarter),
        start: settings.paced.contains(&1000).then(|| {
            let (hosts, ticks) = KILLED;
            let end_ms = hostwell_tests::speaker::now_ms();
            let samples = settings.samples.with(hosts, ticks, end_ms);
            ours::start_after_kill(&folder.path().join("killed"), &samples)
        }),
    };
    let rows = run.figures();
    let report = report(&settings, &run, &rows);
    println!("{report}");
    println!("saved as {}", save("history", &report).display());
    let missed = rows.iter().filter(|r| r.is_missed()).count();
    if missed > 0 {
        println!("{missed} musts are missed");
        std::process::exit(1);
    }
}

/// Asks every store each question, and then the same ones again.
fn ask_in_turn(stores: &mut [(&mut Cost, &mut dyn Asked)], samples: &Samples) {
    for ask in ALL {
        let first = round_of(stores, ask, samples);
        let again = round_of(stores, ask, samples);
        for (((cost, _), first), again) in stores.iter_mut().zip(first).zip(again) {
            let spent = first.and_then(|first| again.map(|again| Price { first, again }));
            cost.questions.push((ask, spent));
        }
    }
}

/// Asks every store in turn, about another host each time; the median of each. A machine that is
/// faster for a moment is so for all.
fn round_of(
    stores: &mut [(&mut Cost, &mut dyn Asked)],
    ask: Ask,
    samples: &Samples,
) -> Vec<Result<f64, String>> {
    let mut spent: Vec<Result<Vec<f64>, String>> = vec![Ok(Vec::new()); stores.len()];
    for turn in 0..=ask.times() {
        for ((_, asked), spent) in stores.iter_mut().zip(&mut spent) {
            let Ok(all) = spent else { continue };
            match asked.ask(ask, samples, turn) {
                // The first one warms up.
                Ok(_) if turn == 0 => {}
                Ok(ms) => all.push(ms),
                Err(why) => *spent = Err(why),
            }
        }
    }
    let medians = spent.into_iter().map(|spent| spent.map(|ms| median(&ms)));
    medians.collect()
}

/// All stores filled one after the other, then asked in turn.
fn round(folder: &Path, samples: &Samples) -> Round {
    let say = |what: &str| eprintln!("history: {what}");
    say("packing the samples for the peers");
    let lanes = remote_write::lanes(samples);
    say("Hostwell");
    let ours = ours::measure(&folder.join("ours"), samples, 1);
    say("Hostwell, ten ticks a batch");
    let ours_batched = ours::measure(&folder.join("batched"), samples, TICKS_BATCHED);
    say("VictoriaMetrics");
    let (mut victoria, victoria_there) =
        peers::measure(Kind::Victoria, &folder.join("victoria"), samples, &lanes);
    say("Prometheus");
    let (mut prometheus, prometheus_there) = peers::measure(
        Kind::Prometheus,
        &folder.join("prometheus"),
        samples,
        &lanes,
    );
    drop(lanes);
    say("questions");
    // Connected only now: nobody keeps a connection that says nothing for minutes.
    let mut ours = ours.and_then(|(cost, there)| Ok((cost, ours::Asking::of(there)?)));
    let mut ours_batched =
        ours_batched.and_then(|(cost, there)| Ok((cost, ours::Asking::of(there)?)));
    let mut victoria_asked = peers::Asking::of(victoria_there);
    let mut prometheus_asked = peers::Asking::of(prometheus_there);
    let mut stores: Vec<(&mut Cost, &mut dyn Asked)> = Vec::new();
    for (cost, asked) in [&mut ours, &mut ours_batched].into_iter().flatten() {
        stores.push((cost, asked));
    }
    stores.push((&mut victoria, &mut victoria_asked));
    stores.push((&mut prometheus, &mut prometheus_asked));
    ask_in_turn(&mut stores, samples);
    drop((victoria_asked, prometheus_asked));
    let ours = ours.map(|(cost, _)| cost);
    let ours_batched = ours_batched.map(|(cost, _)| cost);
    say("the first hour");
    let hour = samples.first_hour();
    let lanes = remote_write::lanes(&hour);
    let first_hour = (
        ours::bytes(&folder.join("hour"), &hour),
        peers::flushed_bytes(&folder.join("victoria-hour"), &lanes),
    );
    Round {
        ours,
        ours_batched,
        victoria,
        prometheus,
        first_hour,
    }
}

fn report(settings: &Settings, run: &Run, rows: &[Figure]) -> String {
    let samples = &settings.samples;
    let mut text = format!(
        "# The history beside its peers\n\n{}\n`make bench-history`, {} hosts × {} series × {} ticks at \
         {} s = {:.1} M samples, {} round(s), fleets of {:?} for {} s\n\n{}",
        about(),
        samples.hosts,
        samples.mould.capture().series.len(),
        samples.ticks,
        samples.interval_ms / 1000,
        samples.count() as f64 / 1e6,
        run.rounds.len(),
        settings.paced,
        settings.window_s,
        table(rows),
    );
    for round in &run.rounds {
        text += &round_tables(round);
    }
    if let Some(Ok(quarter)) = &run.quarter {
        text += &quarter.report();
    }
    if !run.paced.is_empty() {
        text += "\n## Paced fleets\n\n";
        text += &fleets(run);
    }
    text += &format!(
        "\nVictoriaMetrics runs with `{}`, for the rest with its defaults.\n",
        peers::VICTORIA.join(" ")
    );
    text
}

fn round_tables(round: &Round) -> String {
    let mut text = "\n## Stored\n\n".to_owned();
    let mut costs: Vec<&Cost> = Vec::new();
    for ours in [&round.ours, &round.ours_batched] {
        match ours {
            Ok(cost) => costs.push(cost),
            Err(why) => text += &format!("Hostwell: {why}\n\n"),
        }
    }
    costs.extend([&round.victoria, &round.prometheus]);
    let head = [
        "store",
        "CPU s until acknowledged",
        "CPU s until at rest",
        "M samples a CPU s, acknowledged",
        "the same, at rest",
        "seconds",
        "bytes a sample",
        "RSS MiB",
        "peak MiB",
    ];
    let cells = costs.iter().map(|c| {
        vec![
            c.name.to_owned(),
            format!("{:.2}", c.stored_cpu_s),
            format!("{:.2}", c.settled_cpu_s),
            format!("{:.2}", c.stored_rate() / 1e6),
            format!("{:.2}", c.rate() / 1e6),
            format!("{:.0}", c.wall_s),
            format!("{:.3}", c.bytes_per_sample()),
            format!("{:.0}", c.rss_mib),
            format!("{:.0}", c.peak_mib),
        ]
    });
    text += &free(&head, &cells.collect::<Vec<_>>());
    for cost in costs.iter().filter(|c| !c.note.is_empty()) {
        text += &format!("\n{}: {}.\n", cost.name, cost.note);
    }
    if let (Ok(ours), theirs) = &round.first_hour {
        text += &format!(
            "\nThe first hour: Hostwell {ours} bytes, VictoriaMetrics {theirs} after a flush.\n"
        );
    }
    text += "\n## Questions, median CPU ms, asked first and again\n\n";
    let head: Vec<&str> = std::iter::once("question")
        .chain(costs.iter().map(|c| c.name))
        .collect();
    let cells = ALL.map(|ask| {
        let answers = costs.iter().map(|c| match c.question(ask) {
            Ok(ms) => format!("{:.2}, {:.2}", ms.first, ms.again),
            Err(why) => why.lines().next().unwrap_or_default().to_owned(),
        });
        std::iter::once(ask.name().to_owned())
            .chain(answers)
            .collect()
    });
    text + &free(&head, &cells)
}

fn fleets(run: &Run) -> String {
    let head = [
        "store",
        "agents",
        "every",
        "messages",
        "of one CPU",
        "µs a message",
        "RSS MiB",
        "kB an agent",
        "grown, bytes a sample",
        "of it not sealed",
        "ack p50 / p99 ms",
        "readers p99 ms",
        "unanswered",
    ];
    let known = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let mut text = String::new();
    let mut cells = Vec::new();
    for fleet in &run.paced {
        match &fleet.went {
            Err(why) => text += &format!("{} agents: {why}\n\n", fleet.hosts),
            Ok(p) => cells.push(vec![
                p.name.to_owned(),
                p.hosts.to_string(),
                format!("{} s", p.interval_s),
                p.messages.to_string(),
                format!("{:.2}", p.cpu_share),
                format!("{:.1}", p.us_a_message),
                format!("{:.0}", p.rss_mib),
                format!("{:.1}", p.kb_an_agent),
                format!("{:.1}", p.grown_a_sample),
                known(p.held_a_sample.map(|bytes| format!("{bytes:.2}"))),
                known(p.ack_ms.map(|(p50, p99)| format!("{p50:.0} / {p99:.0}"))),
                known(p.reader_ms.map(|ms| format!("{ms:.0}"))),
                p.unanswered.to_string(),
            ]),
        }
    }
    text + &free(&head, &cells)
}
