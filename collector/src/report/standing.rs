//! How each host stands, worst first: the order of everything in a report.

use std::collections::BTreeMap;

use super::document::Status;
use super::input::{HostInput, Input};
use super::words;
use crate::rules::{Finding, Severity, State};

/// A host with its verdict.
#[derive(Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) host: &'a HostInput,
    pub(crate) status: Status,
    pub(crate) reason: String,
    /// Worst first.
    pub(crate) open: Vec<&'a Finding>,
}

/// The hosts that are judged, worst first, and the findings in their order.
#[derive(Debug)]
pub(crate) struct Fleet<'a> {
    pub(crate) hosts: Vec<Standing<'a>>,
    /// Open findings, worst first.
    pub(crate) open: Vec<&'a Finding>,
    /// Findings that closed within the period, latest first.
    pub(crate) closed: Vec<&'a Finding>,
    /// Hosts that are retired and not judged.
    pub(crate) retired: usize,
}

impl<'a> Fleet<'a> {
    pub(crate) fn of(input: &'a Input) -> Fleet<'a> {
        let mut open: Vec<&Finding> = input
            .findings
            .iter()
            .filter(|f| f.state == State::Open)
            .collect();
        open.sort_by(|a, b| urgency(a).cmp(&urgency(b)));
        let mut closed: Vec<&Finding> = input
            .findings
            .iter()
            .filter(|f| f.state == State::Closed && f.opened_ms.is_some())
            .filter(|f| f.closed_ms.is_some_and(|at| at >= input.period.from_ms))
            .collect();
        closed.sort_by_key(|f| (std::cmp::Reverse(f.closed_ms), f.id));
        let mut by_host: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in &open {
            by_host.entry(&finding.host_id).or_default().push(finding);
        }
        let judged = input.hosts.iter().filter(|h| h.retired_ms.is_none());
        let mut hosts: Vec<Standing> = judged
            .map(|host| {
                let open = by_host.remove(host.id.as_str()).unwrap_or_default();
                let (status, reason) = judge(host, &open, input.now_ms);
                Standing {
                    host,
                    status,
                    reason,
                    open,
                }
            })
            .collect();
        hosts.sort_by(|a, b| rank(a).cmp(&rank(b)));
        let retired = input.hosts.len() - hosts.len();
        Fleet {
            hosts,
            open,
            closed,
            retired,
        }
    }

    pub(crate) fn count(&self, matches: impl Fn(Status) -> bool) -> usize {
        self.hosts.iter().filter(|h| matches(h.status)).count()
    }
}

/// A risk's colour and sign.
pub(crate) fn of_severity(severity: Severity) -> Status {
    match severity {
        Severity::Info => Status::Info,
        Severity::Warning => Status::Watch,
        Severity::Critical => Status::Risk,
    }
}

/// A severity as a word.
pub(crate) fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Info",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
    }
}

/// A sentence without its full stop, so that it can stand inside another.
pub(crate) fn clause(sentence: &str) -> &str {
    sentence.trim().trim_end_matches('.')
}

fn judge(host: &HostInput, open: &[&Finding], now_ms: i64) -> (Status, String) {
    if let Some(worst) = open.first().filter(|f| f.severity >= Severity::Warning) {
        let more = match open.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        return (
            of_severity(worst.severity),
            format!("{}{more}.", clause(&worst.summary)),
        );
    }
    let Some(last_ms) = host.last_sample_ms else {
        return (
            Status::Unknown,
            "It has never sent a sample: not enough data to judge.".into(),
        );
    };
    let silence_ms = now_ms - last_ms;
    if silence_ms > (3 * host.interval_ms).max(90_000) {
        let since = words::duration(silence_ms);
        return (
            Status::Unknown,
            format!("Its newest sample is {since} old: not enough data."),
        );
    }
    if host.indicators.iter().all(|i| i.now.is_none()) {
        return (
            Status::Unknown,
            "No indicator has a value yet: not enough data.".into(),
        );
    }
    let watched: Vec<&str> = host
        .indicators
        .iter()
        .filter(|i| i.status >= Status::Watch)
        .map(|i| i.name.as_str())
        .collect();
    let reason = match watched.as_slice() {
        [] => "No open risk.".into(),
        names => format!("No open risk; high right now: {}.", names.join(", ")),
    };
    (Status::Ok, reason)
}

fn urgency(finding: &Finding) -> (std::cmp::Reverse<Severity>, i64, &str, i64) {
    (
        std::cmp::Reverse(finding.severity),
        finding.since_ms,
        &finding.host,
        finding.id,
    )
}

fn rank<'a>(
    s: &Standing<'a>,
) -> (
    std::cmp::Reverse<Status>,
    std::cmp::Reverse<usize>,
    usize,
    &'a str,
) {
    let calm = s
        .host
        .indicators
        .iter()
        .filter(|i| i.status < Status::Watch)
        .count();
    (
        std::cmp::Reverse(s.status),
        std::cmp::Reverse(s.open.len()),
        calm,
        &s.host.name,
    )
}
