//! What a report is built from: plain values, gathered by whoever asks for the report.

use std::collections::BTreeMap;

use super::document::{Period, Status, Unit};
use crate::rules::{Finding, host_down};

/// Everything a report needs. Nothing in it is computed by the report but order and words.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Which hosts were asked for, in words ("all hosts", "role=db").
    pub scope: String,
    /// The time asked for.
    pub period: Period,
    /// The moment of judgement, milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Every host in scope, in any order.
    pub hosts: Vec<HostInput>,
    /// Open findings, and those that closed within the period. Pending ones are left out.
    pub findings: Vec<Finding>,
    /// Who used most of what a finding is about when it began, in words, by the finding's number;
    /// none where nobody noted it.
    pub who: BTreeMap<i64, String>,
    /// What people decided about findings, by number; none where nobody did.
    pub care: BTreeMap<i64, Care>,
    /// What was behind the numbers.
    pub collector: CollectorInput,
    /// The rules that judged, for the appendix and for what ignoring a finding costs.
    pub rules: Vec<RuleNote>,
}

/// What people decided about a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Care {
    /// Whose it is; empty where nobody's.
    pub owner: String,
    /// In words ("acknowledged by anna", "muted until …"); empty where it is just open or over.
    pub standing: String,
}

/// A host and what is known about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostInput {
    /// Its name.
    pub name: String,
    /// 32 hexadecimal digits, as in findings.
    pub id: String,
    /// Merged labels.
    pub labels: BTreeMap<String, String>,
    /// PRETTY_NAME of os-release.
    pub os: String,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// Logical CPUs, 0 when not known.
    pub cpus: u32,
    /// Memory in bytes, 0 when not known.
    pub memory_bytes: u64,
    /// When it booted, milliseconds since the Unix epoch, 0 when not known.
    pub boot_time_ms: i64,
    /// Version of its agent.
    pub agent_version: String,
    /// Declared sampling interval.
    pub interval_ms: i64,
    /// When it was first seen.
    pub first_seen_ms: i64,
    /// Its newest sample.
    pub last_sample_ms: Option<i64>,
    /// Set when retired: not judged from then on.
    pub retired_ms: Option<i64>,
    /// CPU, load, memory, network, disk, in this order; what is missing counts as unknown.
    pub indicators: Vec<IndicatorInput>,
    /// What came out for the rules at their last look, counted, in words; empty where it is not known.
    pub outcomes: String,
    /// How much of the period it was up.
    pub availability: AvailabilityInput,
    /// How much of its data arrived.
    pub coverage: CoverageInput,
}

/// One of the five indicators of a host.
#[derive(Clone, Debug, PartialEq)]
pub struct IndicatorInput {
    /// "CPU", "Load", "Memory", "Network", "Disk".
    pub name: String,
    /// How it stands now.
    pub status: Status,
    /// Its value now, in `unit`.
    pub now: Option<f64>,
    /// What the value measures.
    pub unit: Unit,
    /// What it means, in plain words with the numbers in them.
    pub words: String,
    /// The level it is watched against, where there is one.
    pub threshold: Option<f64>,
    /// Which levels decide its verdict and where they come from; empty when there are none.
    pub levels: String,
    /// How it went over the period.
    pub trend: Option<Trend>,
}

/// A value over time in equal steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Left edge, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Right edge.
    pub to_ms: i64,
    /// [min, mean, max] a step, nothing where nothing was measured.
    pub points: Vec<Option<[f64; 3]>>,
}

/// How much of the period a host was up. The three spans add up to the accounted time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AvailabilityInput {
    /// It was sending.
    pub up_ms: i64,
    /// It was not, while the collector was watching.
    pub down_ms: i64,
    /// Nobody can say: the collector was not watching, or the host was not known yet.
    pub unknown_ms: i64,
    /// When it was down, ascending.
    pub outages: Vec<(i64, i64)>,
    /// How much silence counted as down.
    pub silence: host_down::Levels,
}

/// How much of a host's data arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoverageInput {
    /// Sampling ticks that should have arrived since the host is known, within the period.
    pub expected: u64,
    /// Ticks that did.
    pub received: u64,
    /// Stretches without data, ascending.
    pub gaps: Vec<GapInput>,
}

/// A stretch without data.
#[derive(Clone, Debug, PartialEq)]
pub struct GapInput {
    /// Its start, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
    /// Why, in words.
    pub reason: String,
}

/// What was behind the numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectorInput {
    /// "collector at …" or "database file … as of …".
    pub source: String,
    /// Version of this program.
    pub version: String,
    /// When the collector was watching within the period, ascending.
    pub watched: Vec<(i64, i64)>,
    /// Samples held.
    pub samples: u64,
    /// Series held.
    pub series: u64,
    /// Size of the database.
    pub file_bytes: u64,
    /// Oldest sample held.
    pub oldest_ms: Option<i64>,
}

/// What a rule looks at, for readers.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleNote {
    /// Its name ("disk_full").
    pub rule: String,
    /// What it watches and when it opens, with the levels.
    pub opens_when: String,
    /// What ignoring its findings costs.
    pub if_ignored: String,
}
