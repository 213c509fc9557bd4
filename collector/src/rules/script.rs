//! Rule scripts: samples in, expected findings out, in a text an operator can read.
#![doc = include_str!("script/language.md")]

mod parse;
mod replay;
#[cfg(test)]
mod tests;

use super::{Agent, Carries, Finding, Outcome, Policy, Severity, State, Verdict};
use crate::series::Series;

/// The language, in Markdown.
pub(super) const LANGUAGE: &str = include_str!("script/language.md");

/// Most samples a script may make, over all its series.
const SAMPLES_MAX: usize = 1_000_000;

/// Most times a script may run the rules.
const RUNS_MAX: i64 = 20_000;

/// A script, read.
#[derive(Clone, Debug)]
pub struct Script {
    interval_ms: i64,
    every_ms: i64,
    /// Times from 0 on, by the host's clock.
    series: Vec<Series>,
    silent: Vec<(i64, i64)>,
    late: Vec<(i64, i64, i64)>,
    away: Vec<(i64, i64)>,
    skew_ms: i64,
    /// From when on the host has which agent.
    agents: Vec<(i64, Agent)>,
    /// From when on it is one of which hosts.
    groups: Vec<(i64, Beside)>,
    policy: Policy,
    expectations: Vec<Expectation>,
}

/// The other hosts of its role.
#[derive(Clone, Debug)]
struct Beside {
    name: String,
    /// How many they are, with it.
    hosts: usize,
    /// What others carry.
    carry: Vec<Carries>,
}

/// A line that expects something.
#[derive(Clone, Debug)]
struct Expectation {
    line: usize,
    text: String,
    at_ms: i64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Open {
        rule: String,
        severity: Option<Severity>,
        subject: Option<String>,
        within_ms: Option<i64>,
    },
    Pending(String),
    No(String),
    Nothing,
    Verdict(String, Verdict),
}

/// A line of a script that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}: {text}")]
pub struct ScriptError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
    /// The line.
    pub text: String,
}

/// An expectation that did not come true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Counted from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What was found instead.
    pub found: String,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// Names the first line that cannot be read, and why.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        parse::script(text)
    }

    /// Replays the samples and the rules; answers what did not come true.
    pub fn run(&self) -> Vec<Failure> {
        let mut failures = Vec::new();
        replay::run(self, |at_ms, findings, outcomes| {
            for expected in self.expectations.iter().filter(|e| e.at_ms == at_ms) {
                if !expected.what.holds(findings, outcomes) {
                    failures.push(Failure {
                        line: expected.line,
                        text: expected.text.clone(),
                        found: found(findings, outcomes, &expected.what),
                    });
                }
            }
        });
        failures
    }

    /// What the script expects: each line that says so, with its number.
    pub fn expectations(&self) -> impl Iterator<Item = (usize, &str)> {
        self.expectations
            .iter()
            .map(|expected| (expected.line, expected.text.as_str()))
    }

    /// Names of the rules that the script expects to find something.
    pub fn fires(&self) -> impl Iterator<Item = &str> {
        self.expectations.iter().filter_map(|e| match &e.what {
            What::Open { rule, .. } => Some(rule.as_str()),
            _ => None,
        })
    }

    /// Names of the rules that the script expects to find nothing.
    pub fn silences(&self) -> impl Iterator<Item = &str> {
        self.expectations.iter().filter_map(|e| match &e.what {
            What::No(rule) => Some(rule.as_str()),
            _ => None,
        })
    }
}

impl What {
    fn rule(&self) -> Option<&str> {
        match self {
            What::Open { rule, .. } | What::Pending(rule) | What::No(rule) => Some(rule),
            What::Verdict(rule, _) => Some(rule),
            What::Nothing => None,
        }
    }

    fn holds(&self, findings: &[Finding], outcomes: &[Outcome]) -> bool {
        let mut of_rule = findings
            .iter()
            .filter(|f| self.rule() == Some(f.rule.as_str()));
        match self {
            What::Open {
                severity,
                subject,
                within_ms,
                ..
            } => of_rule.any(|finding| {
                finding.state == State::Open
                    && severity.is_none_or(|wanted| finding.severity == wanted)
                    && subject
                        .as_ref()
                        .is_none_or(|wanted| finding.subject == *wanted)
                    && within_ms.is_none_or(|wanted| ends_within(finding, wanted))
            }),
            What::Pending(_) => of_rule.any(|finding| finding.state == State::Pending),
            What::No(_) => of_rule.next().is_none(),
            What::Nothing => findings.is_empty(),
            What::Verdict(rule, verdict) => outcomes
                .iter()
                .any(|outcome| outcome.rule == *rule && outcome.verdict == *verdict),
        }
    }
}

fn ends_within(finding: &Finding, within_ms: i64) -> bool {
    finding
        .evidence
        .iter()
        .any(|e| e.what == "time left" && e.value * 1000.0 <= within_ms as f64)
}

fn found(findings: &[Finding], outcomes: &[Outcome], what: &What) -> String {
    let concerns = |rule: &str| what.rule().is_none_or(|wanted| wanted == rule);
    let mut lines: Vec<String> = findings
        .iter()
        .filter(|finding| concerns(&finding.rule))
        .map(|f| {
            let state = format!("{:?}", f.state).to_lowercase();
            let severity = format!("{:?}", f.severity).to_lowercase();
            format!(
                "{state} {} {severity} on {:?}: {}",
                f.rule, f.subject, f.summary
            )
        })
        .collect();
    if let Some(rule) = what.rule() {
        let outcome = outcomes.iter().find(|outcome| outcome.rule == rule);
        lines.extend(outcome.map(|o| format!("{rule} is {:?}: {}", o.verdict, o.words)));
    }
    if lines.is_empty() {
        return "nothing".into();
    }
    lines.join("; ")
}
