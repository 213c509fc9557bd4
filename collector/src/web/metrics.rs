//! The collector about itself, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{Pages, failed};
use crate::answer::AnswerError;
use crate::rules::{Severity, State as RiskState};
use crate::store::{Store, StoreError};

/// Samples of one metric: labels and value.
type Samples = Vec<(Vec<(&'static str, String)>, f64)>;

/// Metrics as they are printed.
#[derive(Default)]
struct Page(String);

impl Page {
    fn put(&mut self, name: &str, kind: &str, help: &str, samples: Samples) {
        // Writing into a string does not fail.
        let text = &mut self.0;
        let name = format!("hostwell_collector_{name}");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = match labels.is_empty() {
                true => String::new(),
                false => format!("{{{}}}", labels.join(",")),
            };
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<Option<f64>>) {
        let samples = value.into().map(|value| (Vec::new(), value));
        self.put(name, "gauge", help, samples.into_iter().collect());
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.put(name, "counter", help, vec![(Vec::new(), value)]);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// All of them.
pub(super) async fn page(State(pages): State<Pages>) -> Response {
    let mut page = Page::default();
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    page.put(
        "info",
        "gauge",
        "Which collector this is.",
        vec![(version, 1.0)],
    );
    let healthy = f64::from(u8::from(pages.healthy.load(Ordering::Relaxed)));
    page.gauge("healthy", "Whether the periodic work goes well.", healthy);
    let agents = (pages.agents)() as f64;
    page.gauge("agents_connected", "Agents that are connected.", agents);
    process(&mut page);
    writer(&mut page, &pages.store);
    let read = async {
        fleet(&mut page, &pages.store).await?;
        targets(&mut page, &pages.store).await
    };
    if let Err(error) = read.await {
        return failed(AnswerError::Store(error));
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], page.0).into_response()
}

/// What the process takes.
fn process(page: &mut Page) {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    page.counter(
        "cpu_seconds_total",
        "CPU time this process has used.",
        seconds,
    );
    // Where there is no such file nothing is said.
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|w| w.parse::<f64>().ok());
    let bytes = pages.map(|pages| pages * rustix::param::page_size() as f64);
    page.gauge("resident_bytes", "Memory this process has resident.", bytes);
}

/// How the database is written.
fn writer(page: &mut Page, store: &Store) {
    let pulse = store.pulse();
    let commits = pulse.commits as f64;
    page.counter(
        "commits_total",
        "Transactions committed, each with an fsync.",
        commits,
    );
    let help = "Transactions rolled back because the disk or SQLite failed.";
    page.counter("commits_failed_total", help, pulse.failed as f64);
    let help = "Seconds since the last fsync of a commit.";
    page.gauge("last_commit_age_seconds", help, pulse.last_commit_age_s);
    let help = "Messages that wait for the writer of the database.";
    page.gauge("writer_queue", help, pulse.waiting as f64);
    let help = "Samples in memory that are in no block yet.";
    page.gauge("head_samples", help, pulse.head_samples as f64);
    let help = "Bytes these samples take.";
    page.gauge("head_bytes", help, pulse.head_bytes as f64);
    let bytes = |size: Option<u64>| size.map(|bytes| bytes as f64);
    let help = "Size of the database file.";
    page.gauge("database_bytes", help, bytes(pulse.database_bytes));
    let help = "Size of SQLite's log beside it.";
    page.gauge("database_log_bytes", help, bytes(pulse.log_bytes));
}

/// What agents sent and what was refused, and what is at risk.
async fn fleet(page: &mut Page, store: &Store) -> Result<(), StoreError> {
    let hosts = store.hosts().await?;
    let standing = hosts.iter().filter(|h| h.retired_ms.is_none()).count();
    page.gauge("hosts", "Hosts that are not retired.", standing as f64);
    let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in hosts.iter().flat_map(|h| &h.refused) {
        *refused.entry(reason).or_default() += count;
    }
    let refused = refused.into_iter();
    let refused = refused.map(|(reason, n)| (vec![("reason", reason.to_owned())], n as f64));
    let help = "What agents sent and the collector refused, by reason.";
    page.put("refusals_total", "counter", help, refused.collect());
    let dropped: u64 = hosts.iter().map(|h| h.dropped_samples).sum();
    let help = "Samples that agents say they dropped from their spools.";
    page.counter("agent_dropped_samples_total", help, dropped as f64);
    let findings = store.findings(None).await?;
    let open = Severity::ALL.map(|level| {
        let is = |f: &&crate::rules::Finding| f.state == RiskState::Open && f.severity == level;
        let count = findings.iter().filter(is).count();
        (vec![("severity", level.name().to_owned())], count as f64)
    });
    page.put(
        "open_risks",
        "gauge",
        "Open risks, by severity.",
        open.into(),
    );
    Ok(())
}

/// How notifications go.
async fn targets(page: &mut Page, store: &Store) -> Result<(), StoreError> {
    let targets = store.targets().await?;
    let by = |value: fn(&crate::store::TargetState) -> u64| -> Samples {
        let each = targets.iter();
        each.map(|t| (vec![("target", t.target.clone())], value(t) as f64))
            .collect()
    };
    let help = "Messages that wait for a target of notifications.";
    page.put("outbox_waiting", "gauge", help, by(|t| t.waiting));
    let help = "Messages that a target has taken.";
    page.put(
        "notifications_delivered_total",
        "counter",
        help,
        by(|t| t.delivery.delivered),
    );
    let help = "Tries to tell a target that failed.";
    page.put(
        "notifications_failed_total",
        "counter",
        help,
        by(|t| t.delivery.failed),
    );
    let mut lost: Samples = Vec::new();
    for target in &targets {
        for (reason, count) in &target.delivery.lost {
            let labels = vec![
                ("target", target.target.clone()),
                ("reason", reason.clone()),
            ];
            lost.push((labels, *count as f64));
        }
    }
    let help = "Messages that a target will never have, by reason.";
    page.put("notifications_lost_total", "counter", help, lost);
    Ok(())
}
