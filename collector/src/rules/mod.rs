//! Judges a window against a policy and says why, in evidence a human can check.
//!
//! A rule is one file: what it watches, its levels, how it judges, its title and its advice in
//! every language ([`Bilingual`]), and its documentation; and one row in [`RULES`]. [`assess`] runs
//! them all and lives the findings: pending while the condition has not held for long enough, open,
//! closed. Everything is a pure function of stored samples, the findings so far, the policy and the
//! moment, so a collector that was away neither forgets nor invents, and a replay of the past says
//! what would have been.
//!
//! Adding a rule: its file here, a row in [`RULES`], a field in [`Policy`], a script that fires
//! and one that stays silent in `testdata/rules/`, and `docs/rules.md` printed anew.

mod assess;
mod boots;
mod course;
mod devices;
mod docs;
mod group;
mod judge;
mod judging;
mod language;
mod level;
mod limits;
mod maintenance;
mod outcomes;
mod past;
mod policy;

mod agent_outdated;
mod agent_over_budget;
mod anomaly;
mod bond_degraded;
mod clock_off;
mod clone_suspected;
mod conntrack_full;
mod cpu_iowait;
mod cpu_saturation;
mod cpu_steal;
mod data_gaps;
mod disk_busy;
mod disk_full;
mod disk_queue;
mod disk_slow;
mod file_handles_full;
mod filesystem_filling;
mod filesystem_readonly;
mod filesystem_stuck;
mod flapping;
mod group_imbalance;
pub mod host_down;
mod host_idle;
mod host_over_provisioned;
mod inodes_full;
mod interface_drops;
mod interface_errors;
mod kernel_changed;
mod link_busy;
mod link_degraded;
mod listen_overflows;
mod load_high;
mod major_faults;
mod memory_broken;
mod memory_leak;
mod memory_low;
mod oom_kill;
mod pids_full;
mod pressure_high;
mod raid_degraded;
mod reboot;
pub mod replay;
pub mod script;
mod single_of_role;
mod swap_full;
mod swap_thrashing;
mod tasks_blocked;
mod tcp_retransmits;
mod temperature_high;
pub mod terms;
mod together;
mod weeks;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use agent_outdated::{Agent, Version};
pub use anomaly::Unusual;
pub use assess::{Assessment, Outcome, RuleInput, Verdict, assess, metrics};
pub use boots::wants_long;
pub use docs::{default_levels, markdown};
pub use group::{Carries, Group, HEARD_MS, Member, Roles};
pub use judging::{Chosen, Judging};
pub use language::{Bilingual, Language};
pub use level::Band;
pub use maintenance::{About, Maintenance, Scope, maintained_until_ms, told_from_ms};
pub use outcomes::LastOutcomes;
pub use past::{Hour, Hourly, PAST_MS, Past, hourly, whole_hours_ms};
pub use policy::{Policy, told_in};
pub use together::{RolesById, Stretch, TOGETHER_MS, Together, entries, with_it};

/// How much of the past the rules look at: fill [`RuleInput::window`] with this much, up to
/// [`FUTURE_MS`] after now.
pub const WINDOW_MS: i64 = 3_600_000;

/// The metric of which the rules about boots want more, where [`wants_long`] says so of a window:
/// over [`LONG_MS`].
pub const LONG_METRIC: &str = "hostwell_uptime_seconds";

/// How much of [`LONG_METRIC`]: two days.
pub const LONG_MS: i64 = 172_800_000;

/// How far ahead of the collector's clock samples may lie: hosts whose clock is fast are judged
/// by their own clock.
pub const FUTURE_MS: i64 = 600_000;

/// A rule: what it watches, how it judges, what it tells the reader.
#[derive(Debug)]
pub struct Rule {
    /// Its name, in findings and in the policy.
    pub name: &'static str,
    /// A short title for people.
    pub title: Bilingual<&'static str>,
    /// The metrics it looks at.
    pub watches: &'static [&'static str],
    /// Its documentation.
    pub doc: Doc,
    /// What it looks at over weeks, by the hour.
    pub past: &'static [Hourly],
    /// What its findings do while the host is down.
    pub when_down: WhenDown,
    pub(crate) judge: fn(&judge::Case<'_>) -> judge::Judged,
}

/// What becomes of a rule's findings while their host is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// They wait: of what a host has nobody knows until it is back.
    Waits,
    /// They are over, and begin anew where it goes on: they are about what a host does, and one that is
    /// down does nothing.
    Over,
    /// They pass with time: that something is long ago is known without a sample.
    Passes,
}

/// A rule's documentation.
#[derive(Debug)]
pub struct Doc {
    /// What it does: when it opens and when it closes.
    pub what: &'static str,
    /// Why it matters: what ignoring it costs.
    pub why: &'static str,
    /// What to do.
    pub todo: &'static str,
    /// A finding as it reads.
    pub example: &'static str,
    /// Where the thresholds come from.
    pub source: &'static str,
}

/// Every rule, causes before their symptoms.
pub static RULES: &[Rule] = &[
    host_down::RULE,
    clone_suspected::RULE,
    data_gaps::RULE,
    reboot::RULE,
    flapping::RULE,
    kernel_changed::RULE,
    filesystem_stuck::RULE,
    filesystem_readonly::RULE,
    disk_full::RULE,
    inodes_full::RULE,
    filesystem_filling::RULE,
    raid_degraded::RULE,
    disk_slow::RULE,
    disk_queue::RULE,
    disk_busy::RULE,
    memory_broken::RULE,
    memory_low::RULE,
    memory_leak::RULE,
    oom_kill::RULE,
    swap_thrashing::RULE,
    swap_full::RULE,
    major_faults::RULE,
    cpu_saturation::RULE,
    cpu_steal::RULE,
    pressure_high::RULE,
    cpu_iowait::RULE,
    tasks_blocked::RULE,
    load_high::RULE,
    link_degraded::RULE,
    bond_degraded::RULE,
    link_busy::RULE,
    interface_errors::RULE,
    interface_drops::RULE,
    tcp_retransmits::RULE,
    listen_overflows::RULE,
    conntrack_full::RULE,
    file_handles_full::RULE,
    pids_full::RULE,
    temperature_high::RULE,
    clock_off::RULE,
    agent_over_budget::RULE,
    agent_outdated::RULE,
    host_idle::RULE,
    host_over_provisioned::RULE,
    group_imbalance::RULE,
    single_of_role::RULE,
    anomaly::RULE,
];

/// The rule of this name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

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

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// Its word in answers, files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// A number a human can check: what was measured, against what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was measured, in words ("available space").
    pub what: String,
    /// The measured value, in `unit`.
    pub value: f64,
    /// "ratio", "bytes", "bytes_per_second", "seconds", "per_second", "count", "°C".
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
    /// Over. One that never opened was only pending and needs no memory.
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
    /// What to do, in plain words: in English, or in the language that was asked for.
    pub advice: String,
    /// The same in Chinese; empty, and not written, where it was found by a program that had none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice_zh: String,
    /// Since when each severity's condition holds. Empty, and not written, where `severity` and
    /// `since_ms` say it: all up to that one hold since then, and no worse one does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held_ms: BTreeMap<Severity, i64>,
}

impl Finding {
    /// Since when the condition of a severity holds.
    fn held_since_ms(&self, severity: Severity) -> Option<i64> {
        match self.held_ms.is_empty() {
            true => (severity <= self.severity).then_some(self.since_ms),
            false => self.held_ms.get(&severity).copied(),
        }
    }

    /// What to do, in a language; in English where it is not known in that one.
    pub fn advice_in(&self, language: Language) -> &str {
        match language {
            Language::Zh if !self.advice_zh.is_empty() => &self.advice_zh,
            _ => &self.advice,
        }
    }

    /// It, on a host with these labels, as a maintenance may be about it.
    pub fn about<'a>(&'a self, labels: Option<&'a BTreeMap<String, String>>) -> About<'a> {
        About {
            rule: &self.rule,
            host: &self.host,
            labels,
        }
    }

    /// Lets `advice` be in a language.
    pub fn speak(&mut self, language: Language) {
        self.advice = self.advice_in(language).to_owned();
    }
}
