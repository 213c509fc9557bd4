//! One host in depth.

use serde::{Deserialize, Serialize};

use super::range::Range;
use super::{AnswerError, HostState, hosts};
use crate::rules::{Finding, State};
use crate::store::{GapRecord, HostRecord, Store, StoreError};

/// One host in depth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostInDepth {
    /// What the registry knows.
    pub host: HostRecord,
    /// Where it stands.
    pub state: HostState,
    /// First moment looked at.
    pub from_ms: i64,
    /// Last moment looked at.
    pub to_ms: i64,
    /// Pending and open findings, the worst first.
    pub findings: Vec<Finding>,
    /// What its agent had to drop in that time.
    pub gaps: Vec<GapRecord>,
}

/// The record of the host with this name.
pub(super) async fn record(store: &Store, name: &str) -> Result<HostRecord, AnswerError> {
    let hosts = store.hosts().await?;
    if let Some(found) = hosts.iter().find(|h| h.name == name) {
        return Ok(found.clone());
    }
    let known: Vec<&str> = hosts.iter().map(|h| h.name.as_str()).collect();
    Err(AnswerError::Store(StoreError::NoHost {
        name: name.to_string(),
        nearest: nearest(name, known).map(str::to_string),
    }))
}

/// The known word nearest to what was typed, if one is near.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(typed, word), word))
        .filter(|(near, _)| *near > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// One host over a range.
pub(super) async fn host(
    store: &Store,
    name: &str,
    range: Range,
    now_ms: i64,
) -> Result<HostInDepth, AnswerError> {
    let (from_ms, to_ms) = range.resolve(now_ms).map_err(AnswerError::Asked)?;
    let record = record(store, name).await?;
    let mut findings: Vec<Finding> = store
        .findings(None)
        .await?
        .into_iter()
        .filter(|f| f.host_id == record.id && f.state != State::Closed)
        .collect();
    findings.sort_by_key(|f| (std::cmp::Reverse(f.severity), f.since_ms));
    let gaps = store.gaps(Some(name), from_ms, to_ms).await?;
    Ok(HostInDepth {
        state: hosts::state(&record, now_ms),
        host: record,
        from_ms,
        to_ms,
        findings,
        gaps: gaps.into_iter().map(|(_, gap)| gap).collect(),
    })
}
