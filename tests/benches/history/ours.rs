//! Our collector: started, loaded by `hostwell-load`, stopped, started again and asked.

use std::path::Path;
use std::time::{Duration, Instant};

use hostwell::answer::{Answer, Body, Samples as Answered};
use hostwell::api::Client;
use hostwell::auth::ClientTls;
use hostwell_tests::process::{cpu_ns, cpu_spent_ns, folder_bytes, peak_mib, rests, rss_mib};
use hostwell_tests::program::{command, run};
use hostwell_tests::site::Collector;
use hostwell_tests::wait::seconds;
use rustix::process::Signal;
use serde_json::Value;

use crate::cost::{Asked, Cost};
use crate::questions::Ask;
use crate::settings::Samples;

/// How a collector without TLS is called in the table.
const NAME: &str = "Hostwell";

/// Runs `hostwell-load`; answers its summary.
pub(crate) fn load(arguments: &[String]) -> Result<Value, String> {
    let output = run(command(env!("CARGO_BIN_EXE_hostwell-load"))
        .args(arguments)
        .arg("--json"));
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let summary: Value = serde_json::from_slice(&output.stdout).map_err(|_| told)?;
    match output.status.success() {
        true => Ok(summary),
        false => Err(format!(
            "refused {}, not acknowledged {}: {}",
            summary["refusals"], summary["unanswered"], summary["trouble"]
        )),
    }
}

/// Sends all samples as fast as they are acknowledged.
pub(crate) fn saturate(
    collector: &Collector,
    samples: &Samples,
    ticks: u64,
) -> Result<Value, String> {
    let words = [
        ("--capture", samples.capture.display().to_string()),
        ("--url", collector.url()),
        ("--hosts", samples.hosts.to_string()),
        ("--interval", format!("{}ms", samples.interval_ms)),
        ("--ticks", ticks.to_string()),
        ("--backfill", samples.span()),
        ("--end-ms", samples.end_ms.to_string()),
        ("--seed", samples.seed.to_string()),
        ("--ramp", "2s".to_owned()),
        ("--server-pid", collector.program.pid().to_string()),
    ];
    let mut arguments: Vec<String> = words
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
    arguments.push("--saturate".to_owned());
    let summary = load(&arguments)?;
    let sent = summary["samples"].as_u64();
    if sent != Some(samples.count()) {
        return Err(format!("{sent:?} samples were sent of {}", samples.count()));
    }
    Ok(summary)
}

/// Stops a collector; answers what it had spent in nanoseconds at its very end.
pub(crate) fn stop(collector: &mut Collector) -> u64 {
    let pid = collector.program.pid();
    let mut spent = cpu_ns(pid);
    collector.program.signal(Signal::TERM);
    let begun = Instant::now();
    // Read until it is gone: nobody can say afterwards.
    while collector.program.is_alive() {
        spent = cpu_spent_ns(pid).unwrap_or(spent).max(spent);
        assert!(
            begun.elapsed() < seconds(600),
            "the collector does not stop"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    spent
}

/// Everything about our collector but its questions, and the collector, at rest; `ticks` samples of
/// each series travel in one batch.
pub(crate) fn measure(
    folder: &Path,
    samples: &Samples,
    ticks: u64,
) -> Result<(Cost, Collector), String> {
    let mut collector = Collector::start(folder);
    let pid = collector.program.pid();
    let (base, begun) = (cpu_ns(pid), Instant::now());
    let summary = saturate(&collector, samples, ticks)?;
    let (stored, wall_s) = (cpu_ns(pid), begun.elapsed().as_secs_f64());
    let (rss, peak) = (rss_mib(pid), peak_mib(pid));
    let settled = stop(&mut collector);
    let bytes = folder_bytes(&folder.join("data"));
    collector.start_again();
    // What a start does once is no part of a question.
    if !rests(collector.program.pid()) {
        return Err("it does not come to rest after its start".to_owned());
    }
    let latency = &summary["latency"];
    let cost = Cost {
        name: NAME,
        samples: samples.count(),
        stored_cpu_s: (stored - base) as f64 / 1e9,
        settled_cpu_s: (settled - base) as f64 / 1e9,
        wall_s,
        rss_mib: rss,
        peak_mib: peak.max(peak_mib(collector.program.pid())),
        bytes,
        questions: Vec::new(),
        note: format!(
            "{ticks} ticks a batch: {:.1} µs of CPU a batch while they came, {:.2} bytes a sample \
             on the wire, acknowledged after p50 {:.0} ms, p99 {:.0} ms",
            summary["server"]["cpu_s"].as_f64().unwrap_or(f64::NAN) * 1e6
                / summary["batches"].as_f64().unwrap_or(f64::NAN),
            summary["bytes"].as_f64().unwrap_or(f64::NAN) / samples.count() as f64,
            latency["p50_ms"].as_f64().unwrap_or(f64::NAN),
            latency["p99_ms"].as_f64().unwrap_or(f64::NAN),
        ),
    };
    Ok((cost, collector))
}

/// Bytes of our files after these samples and a clean stop.
pub(crate) fn bytes(folder: &Path, samples: &Samples) -> Result<u64, String> {
    let mut collector = Collector::start(folder);
    saturate(&collector, samples, 1)?;
    stop(&mut collector);
    Ok(folder_bytes(&folder.join("data")))
}

/// Seconds from the start after `kill -9` until the first answer, with these samples just come.
pub(crate) fn start_after_kill(folder: &Path, samples: &Samples) -> Result<f64, String> {
    let mut collector = Collector::start(folder);
    saturate(&collector, samples, 1)?;
    collector.program.kill();
    let begun = Instant::now();
    collector.start_again();
    let line = Line::to(&collector.url(), &ClientTls::default())?;
    line.ask(&Ask::One.ours(samples, 1)?)?;
    Ok(begun.elapsed().as_secs_f64())
}

/// A collector and a kept connection of an operator, as with the peers.
pub(crate) struct Asking {
    collector: Collector,
    line: Line,
}

impl Asking {
    /// Connects.
    pub(crate) fn of(collector: Collector) -> Result<Asking, String> {
        let line = Line::to(&collector.url(), &ClientTls::default())?;
        Ok(Asking { collector, line })
    }

    /// The collector's process.
    pub(crate) fn pid(&self) -> u32 {
        self.collector.program.pid()
    }
}

impl Asked for Asking {
    fn ask(&mut self, ask: Ask, samples: &Samples, turn: usize) -> Result<f64, String> {
        let pid = self.pid();
        let question = ask.ours(samples, turn)?;
        let before = cpu_ns(pid);
        let answer = self.line.ask_text(&question)?;
        let after = cpu_ns(pid);
        let told = answered(&answer)?;
        let told: usize = told.series.iter().map(|one| one.values.len()).sum();
        let least = match ask {
            Ask::One => samples.ticks as usize,
            _ => 1,
        };
        match told >= least {
            true => Ok((after - before) as f64 / 1e6),
            false => Err(format!("{told} samples in the answer instead of {least}")),
        }
    }
}

/// The samples of an answer.
fn answered(json: &str) -> Result<Answered, String> {
    match Answer::from_json(json).map_err(|e| e.to_string())?.body {
        Body::Samples(samples) => Ok(samples),
        other => Err(format!("no samples: {other:?}")),
    }
}

/// A kept connection of an operator.
pub(crate) struct Line {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Line {
    /// Connects.
    pub(crate) fn to(url: &str, tls: &ClientTls) -> Result<Line, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        let client = runtime.block_on(Client::connect(url, tls));
        let client = client.map_err(|e| format!("{:#}", anyhow::Error::new(e)))?;
        Ok(Line { runtime, client })
    }

    /// Asks for samples.
    pub(crate) fn ask(&self, question: &str) -> Result<Answered, String> {
        answered(&self.ask_text(question)?)
    }

    /// Asks a question; what a reader makes of the text is their own affair.
    pub(crate) fn ask_text(&self, question: &str) -> Result<String, String> {
        let answer = self.runtime.block_on(self.client.ask(question));
        answer.map_err(|e| format!("{e:#}"))
    }
}
