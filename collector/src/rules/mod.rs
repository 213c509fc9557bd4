//! Judges a window against a policy and says why, in evidence a human can check.

use serde::{Deserialize, Serialize};

/// How bad a finding is. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Needs planning.
    Warning,
    /// Needs somebody now.
    Critical,
}

/// A number a human can check: what was measured, against what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was measured, in words ("available space").
    pub what: String,
    /// The measured value, in `unit`.
    pub value: f64,
    /// "ratio", "bytes", "seconds", "count", ….
    pub unit: String,
    /// The level it was held against, where there is one.
    pub threshold: Option<f64>,
    /// A selector that shows the samples: `hostwell query '…'`.
    pub selector: String,
}

/// Where a finding stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The condition holds, not yet for long enough.
    Pending,
    /// A risk.
    Open,
    /// Over.
    Closed,
}

/// A rule's verdict on a host, with its life. Identity: (rule, host id, subject).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Register number, given by the store; 0 before it is stored.
    pub id: i64,
    /// The rule's name ("disk_full").
    pub rule: String,
    /// The host's id, 32 hexadecimal digits.
    pub host_id: String,
    /// The host's name when last judged.
    pub host: String,
    /// What on the host, empty for the whole host ("/", "sda").
    pub subject: String,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub state: State,
    /// When the condition began to hold, milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// When it became open, if it did.
    pub opened_ms: Option<i64>,
    /// When it closed, if it did.
    pub closed_ms: Option<i64>,
    /// When it was last judged.
    pub judged_ms: i64,
    /// One sentence with the number in it.
    pub summary: String,
    /// What was measured.
    pub evidence: Vec<Evidence>,
    /// What to do, in plain words.
    pub advice: String,
}
