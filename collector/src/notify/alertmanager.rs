//! Alertmanager's API v2: alerts out, silences in.
//!
//! An alert is known by its labels, so only what identifies a risk is one; numbers are annotations.
//! What is open is told again and again with an end a little ahead: when the collector falls silent,
//! Alertmanager ends the alerts by itself. What is over is told once, through the outbox.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::store::Entry;
use crate::words;

/// Where alerts are posted.
pub(super) const ALERTS: &str = "/api/v2/alerts";
/// Our alerts, as Alertmanager holds them.
pub(super) const OURS: &str = "/api/v2/alerts?filter=source%3D%22hostwell%22";
/// The label that holds a risk's number.
const NUMBER: &str = "risk";
/// Most bytes of a label's value or an annotation.
const TEXT_BYTES_MAX: usize = 1_024;

/// An alert as it is posted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Alert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    #[serde(rename = "startsAt", skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    #[serde(rename = "endsAt")]
    ends_at: String,
}

/// What identifies a risk. Labels of the host that have other names come along.
pub(super) fn labels(
    entry: &Entry,
    of_host: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let finding = &entry.finding;
    let mut labels = BTreeMap::new();
    for (name, value) in of_host.into_iter().flatten() {
        if is_legal(name) && !value.is_empty() {
            labels.insert(name.clone(), cut(value));
        }
    }
    for (name, value) in [
        ("alertname", finding.rule.as_str()),
        ("host", &finding.host),
        ("instance", &finding.host),
        (NUMBER, &finding.id.to_string()),
        ("severity", finding.severity.name()),
        ("source", "hostwell"),
        ("subject", &finding.subject),
    ] {
        // Alertmanager drops empty labels: ours would not be found again.
        if !value.is_empty() {
            labels.insert(name.to_owned(), cut(value));
        }
    }
    labels
}

/// Whether every Alertmanager takes a label of this name.
fn is_legal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// A risk that is open, until told otherwise or `ends_ms`.
pub(super) fn firing(entry: &Entry, labels: BTreeMap<String, String>, ends_ms: i64) -> Alert {
    let finding = &entry.finding;
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), cut(&finding.summary)),
        ("description".to_owned(), cut(&finding.advice)),
    ]);
    annotations.extend(
        entry
            .care
            .owner
            .as_ref()
            .map(|o| ("owner".to_owned(), cut(o))),
    );
    Alert {
        labels,
        annotations,
        starts_at: Some(words::rfc3339(finding.since_ms)),
        ends_at: words::rfc3339(ends_ms),
    }
}

/// What was told under these labels is over.
pub(super) fn resolved(labels: &BTreeMap<String, String>, at_ms: i64) -> Alert {
    Alert {
        labels: labels.clone(),
        annotations: BTreeMap::new(),
        starts_at: None,
        ends_at: words::rfc3339(at_ms),
    }
}

/// The alert that always fires: when it is gone, the collector is.
pub(super) fn heartbeat(ends_ms: i64) -> Alert {
    let labels = [
        ("alertname", "HostwellHeartbeat"),
        ("severity", "none"),
        ("source", "hostwell"),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let summary = "The collector lives. Route this to whatever notices that it stops.";
    Alert {
        labels: labels.map(own).into(),
        annotations: [("summary", summary)].map(own).into(),
        starts_at: None,
        ends_at: words::rfc3339(ends_ms),
    }
}

/// An alert to try with; it ends by itself after a minute.
pub(super) fn test(summary: &str, now_ms: i64) -> Alert {
    let labels = [
        ("alertname", "HostwellTest"),
        ("severity", "info"),
        ("source", "hostwell"),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Alert {
        labels: labels.map(own).into(),
        annotations: [("summary", summary)].map(own).into(),
        starts_at: Some(words::rfc3339(now_ms)),
        ends_at: words::rfc3339(now_ms + 60_000),
    }
}

#[derive(Deserialize)]
struct Held {
    labels: BTreeMap<String, String>,
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default, rename = "silencedBy")]
    silenced_by: Vec<String>,
}

/// Numbers of the risks that somebody silenced there.
///
/// # Errors
/// When the answer is not Alertmanager's.
pub(super) fn silenced(answer: &[u8]) -> anyhow::Result<BTreeSet<i64>> {
    let held: Vec<Held> = serde_json::from_slice(answer).context("read Alertmanager's alerts")?;
    let silenced = held
        .into_iter()
        .filter(|h| !h.status.silenced_by.is_empty());
    let numbers = silenced.filter_map(|h| h.labels.get(NUMBER)?.parse().ok());
    Ok(numbers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_carries_a_risks_number_and_is_silenced_counts() {
        let answer = br#"[
            {"labels": {"risk": "7"}, "status": {"state": "suppressed", "silencedBy": ["a"], "inhibitedBy": []}},
            {"labels": {"risk": "8"}, "status": {"state": "active", "silencedBy": []}},
            {"labels": {"risk": "9"}, "status": {"state": "suppressed", "silencedBy": [], "inhibitedBy": ["x"]}},
            {"labels": {"alertname": "Other"}, "status": {"silencedBy": ["b"]}}
        ]"#;
        assert_eq!(silenced(answer).unwrap(), BTreeSet::from([7]));
        assert!(silenced(b"<html>").is_err());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut(&"ä".repeat(600)).chars().count(), 512);
        assert!(is_legal("_site1") && !is_legal("1site") && !is_legal("a-b"));
    }
}
