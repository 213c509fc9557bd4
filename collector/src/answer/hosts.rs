//! Every host in one line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AnswerError;
use crate::rules::{Finding, Severity, State};
use crate::store::{HostRecord, Store};

/// Where a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// Its data is fresh.
    Up,
    /// Its data is overdue.
    Down,
    /// Registered, and no sample has come yet.
    Waiting,
    /// Taken out by an operator.
    Retired,
}

/// The worst open finding of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// Its number in the register.
    pub id: i64,
    /// How bad.
    pub severity: Severity,
    /// Which rule.
    pub rule: String,
    /// One sentence with the number in it.
    pub summary: String,
}

/// One host in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostLine {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: HostState,
    /// The newest sample, milliseconds since the Unix epoch, host's clock.
    pub last_sample_ms: Option<i64>,
    /// How old that is.
    pub age_ms: Option<i64>,
    /// Declared sampling interval.
    pub interval_ms: i64,
    /// The operator's over the agent's.
    pub labels: BTreeMap<String, String>,
    /// How many findings are open.
    pub open_findings: usize,
    /// The worst of them.
    pub worst: Option<Worst>,
}

/// Every host, by name.
pub(super) async fn hosts(store: &Store, now_ms: i64) -> Result<Vec<HostLine>, AnswerError> {
    let records = store.hosts().await?;
    let findings = store.findings(None).await?;
    Ok(records
        .iter()
        .map(|record| line(record, &findings, now_ms))
        .collect())
}

fn line(record: &HostRecord, findings: &[Finding], now_ms: i64) -> HostLine {
    let open: Vec<&Finding> = findings
        .iter()
        .filter(|f| f.host_id == record.id && f.state == State::Open)
        .collect();
    HostLine {
        id: record.id.clone(),
        name: record.name.clone(),
        state: state(record, now_ms),
        last_sample_ms: record.last_sample_ms,
        age_ms: record.last_sample_ms.map(|ms| (now_ms - ms).max(0)),
        interval_ms: record.interval_ms,
        labels: record.labels.clone(),
        open_findings: open.len(),
        worst: worst(&open),
    }
}

/// Where a host stands at `now_ms`.
pub(super) fn state(record: &HostRecord, now_ms: i64) -> HostState {
    match record.last_sample_ms {
        _ if record.retired_ms.is_some() => HostState::Retired,
        None => HostState::Waiting,
        Some(last) if now_ms - last > (3 * record.interval_ms).max(90_000) => HostState::Down,
        Some(_) => HostState::Up,
    }
}

/// The most severe, and of those the oldest.
fn worst(open: &[&Finding]) -> Option<Worst> {
    open.iter()
        .max_by_key(|f| (f.severity, std::cmp::Reverse(f.since_ms)))
        .map(|f| Worst {
            id: f.id,
            severity: f.severity,
            rule: f.rule.clone(),
            summary: f.summary.clone(),
        })
}
