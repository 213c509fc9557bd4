//! Runs every rule over every host and lives the findings.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Derived, Judged, Subject};
use super::level::Hold;
use super::{
    Agent, Finding, Group, Past, Policy, RULES, Rule, Severity, State, Unusual, WhenDown,
    clone_suspected, data_gaps, host_down,
};
use crate::series::Window;
use crate::words;

/// A skew below this is the network's and the batches' doing, not the clock's.
const SKEW_MIN_MS: i64 = 60_000;

/// Rules whose findings cast doubt on all that a host sends.
const DOUBTS: &[&str] = &[clone_suspected::RULE.name, data_gaps::RULE.name];

/// A host as the rules see it.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleInput {
    /// 32 hexadecimal digits.
    pub host_id: String,
    /// The last [`super::WINDOW_MS`] of the metrics in [`metrics`], and
    /// [`super::LONG_MS`] of [`super::LONG_METRIC`] where [`super::wants_long`]; its `host` is the host's name.
    pub window: Window,
    /// Its last weeks, where it is their turn: rules that need them keep what they found without.
    pub past: Option<Past>,
    /// What is unusual on it; nothing while it is not known what is usual.
    pub unusual: Option<Unusual>,
    /// Its agent beside others, where its version is known.
    pub agent: Option<Agent>,
    /// It among the hosts of its role, where it has one.
    pub group: Option<Group>,
    /// First sample or greeting, collector's clock, milliseconds since the Unix epoch.
    pub first_seen_ms: i64,
    /// The newest sample's time, host's clock, however old.
    pub last_sample_ms: Option<i64>,
    /// When anything was last received, collector's clock.
    pub last_received_ms: Option<i64>,
    /// The host's clock minus the collector's, measured at the last greeting.
    pub clock_skew_ms: i64,
    /// Since when the collector has been watching without interruption, collector's clock;
    /// nothing when it is not.
    pub watching_since_ms: Option<i64>,
    /// Set when retired: findings about it are closed, nothing is judged.
    pub retired_ms: Option<i64>,
}

impl RuleInput {
    /// The host's clock minus the collector's, as far as both the greeting and the arriving
    /// samples say so; 0 when it is within a minute. The greeting alone is not believed: the
    /// clock may have been set right since.
    pub fn skew_ms(&self) -> i64 {
        let apparent = match (self.last_sample_ms, self.last_received_ms) {
            (Some(sample), Some(received)) => sample - received,
            _ => self.clock_skew_ms,
        };
        // Samples from the future need no second witness.
        if apparent > SKEW_MIN_MS {
            return apparent;
        }
        let greeted = self.clock_skew_ms;
        if greeted < -SKEW_MIN_MS && apparent < greeted / 2 {
            return greeted;
        }
        0
    }
}

/// What came out for one rule on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Judged, nothing found.
    Ok,
    /// The host has nothing for this rule to judge.
    NotApplicable,
    /// Not looked at now, because it changes slowly: what was found stays.
    Kept,
    /// Cannot be judged now.
    NotEnoughData,
    /// Judged, nothing found, and the data is doubtful: the host's clock is wrong, two machines
    /// send as one, or too much is missing.
    DataSuspect,
    /// Another finding explains why this rule cannot say anything or need not.
    Silenced,
    /// Something is pending or open.
    Risk,
}

/// What came out for one rule on one host, in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The rule's name.
    pub rule: String,
    /// 32 hexadecimal digits.
    pub host_id: String,
    /// The host's name.
    pub host: String,
    /// What came out.
    pub verdict: Verdict,
    /// Why.
    pub words: String,
}

/// What [`assess`] answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assessment {
    /// Every finding that is pending or open now or has closed just now, to be saved. Those of
    /// hosts that were not among the inputs are not here and stay what they were.
    pub findings: Vec<Finding>,
    /// One for each rule and host.
    pub outcomes: Vec<Outcome>,
}

/// Every metric a rule looks at, sorted: what the windows must hold.
pub fn metrics() -> Vec<&'static str> {
    let mut metrics: Vec<&str> = RULES
        .iter()
        .flat_map(|r| r.watches.iter().copied())
        .collect();
    metrics.sort_unstable();
    metrics.dedup();
    metrics
}

/// Judges every host by every rule at the moment `now_ms` (collector's clock). `previous` are the
/// findings so far; closed ones among them are ignored.
pub fn assess(
    inputs: &[RuleInput],
    previous: &[Finding],
    policy: &Policy,
    now_ms: i64,
) -> Assessment {
    let mut by_host: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in previous.iter().filter(|f| f.state != State::Closed) {
        by_host.entry(&finding.host_id).or_default().push(finding);
    }
    let mut assessment = Assessment::default();
    for input in inputs {
        let previous = by_host
            .get(input.host_id.as_str())
            .map_or(&[][..], Vec::as_slice);
        let host = Host {
            input,
            policy,
            now_ms,
            previous,
            derived: Derived::default(),
            stale: stale(&input.window, now_ms + input.skew_ms()),
        };
        host.assess(&mut assessment);
    }
    assessment
}

/// One host before all rules.
struct Host<'a> {
    input: &'a RuleInput,
    policy: &'a Policy,
    now_ms: i64,
    previous: &'a [&'a Finding],
    derived: Derived,
    /// Why the host cannot be judged at all: then what a rule does not see says nothing.
    stale: Option<String>,
}

impl Host<'_> {
    fn assess(&self, out: &mut Assessment) {
        let begin = out.findings.len();
        for rule in RULES {
            let previous: Vec<&Finding> = self
                .previous
                .iter()
                .copied()
                .filter(|f| f.rule == rule.name)
                .collect();
            // Pending causes count: their symptoms often hold for long enough before they do.
            let causes: Vec<String> = out.findings[begin..]
                .iter()
                .filter(|f| f.state != State::Closed)
                .map(|f| f.rule.clone())
                .collect();
            let judged = self.judge(rule, &previous, &out.findings[begin..], &causes);
            let (verdict, words) = self.live(rule, judged, &previous, &causes, &mut out.findings);
            out.outcomes.push(Outcome {
                rule: rule.name.to_owned(),
                host_id: self.input.host_id.clone(),
                host: self.input.window.host.clone(),
                verdict,
                words,
            });
        }
        // A rule that this program no longer has leaves nothing open behind.
        for finding in self.previous {
            if super::rule(&finding.rule).is_none() {
                out.findings.push(self.closed(finding));
            }
        }
    }

    fn judge(
        &self,
        rule: &Rule,
        previous: &[&Finding],
        found: &[Finding],
        causes: &[String],
    ) -> Judged {
        if self
            .input
            .retired_ms
            .is_some_and(|at_ms| at_ms <= self.now_ms)
        {
            return Judged::NotApplicable("the host is retired".into());
        }
        if self.policy.disabled.iter().any(|name| name == rule.name) {
            return Judged::NotApplicable("the rule is disabled by the policy".into());
        }
        let case = Case {
            input: self.input,
            policy: self.policy,
            now_ms: self.now_ms + self.input.skew_ms(),
            previous,
            found,
            derived: &self.derived,
        };
        let passes = rule.when_down == WhenDown::Passes && !previous.is_empty();
        if rule.name != host_down::RULE.name {
            if is_down(causes) && !passes {
                return Judged::NotEnoughData("the host is down".into());
            }
            if let Some(why) = &self.stale
                && !(passes && is_down(causes))
            {
                return Judged::NotEnoughData(why.clone());
            }
        }
        (rule.judge)(&case)
    }

    /// Carries findings on into `findings`; answers the outcome.
    fn live(
        &self,
        rule: &Rule,
        judged: Judged,
        previous: &[&Finding],
        causes: &[String],
        findings: &mut Vec<Finding>,
    ) -> (Verdict, String) {
        let subjects = match judged {
            Judged::NotApplicable(why) => {
                findings.extend(previous.iter().map(|finding| self.closed(finding)));
                return (Verdict::NotApplicable, why);
            }
            Judged::Kept => {
                findings.extend(previous.iter().map(|finding| (*finding).clone()));
                return (Verdict::Kept, "it is looked at once an hour".into());
            }
            Judged::NotEnoughData(why) => {
                let down = is_down(causes) && rule.name != host_down::RULE.name;
                let over = down && rule.when_down == WhenDown::Over;
                findings.extend(previous.iter().map(|finding| match over {
                    true => self.closed(finding),
                    false => (*finding).clone(),
                }));
                let verdict = if down {
                    Verdict::Silenced
                } else {
                    Verdict::NotEnoughData
                };
                return (verdict, why);
            }
            Judged::Subjects(subjects) => subjects,
        };
        for finding in previous {
            if !subjects.iter().any(|s| s.name == finding.subject) {
                findings.push(self.closed(finding));
            }
        }
        let mut worst: Option<(Verdict, Severity, String)> = None;
        for subject in subjects {
            let before = previous.iter().copied().find(|f| f.subject == subject.name);
            let (verdict, finding) = self.step(rule, &subject, before, causes);
            let severity = finding.as_ref().map_or(Severity::Info, |f| f.severity);
            findings.extend(finding);
            if worst
                .as_ref()
                .is_none_or(|w| (verdict, severity) > (w.0, w.1))
            {
                worst = Some((verdict, severity, subject.summary));
            }
        }
        match worst {
            Some((verdict, _, words)) => (verdict, words),
            None => (Verdict::NotApplicable, "nothing to judge".into()),
        }
    }

    /// One subject's next state.
    fn step(
        &self,
        rule: &Rule,
        subject: &Subject,
        before: Option<&Finding>,
        causes: &[String],
    ) -> (Verdict, Option<Finding>) {
        let hold = match subject.condition {
            Condition::Clear => {
                let verdict = match self.is_suspect(causes) {
                    true => Verdict::DataSuspect,
                    false => Verdict::Ok,
                };
                return (verdict, before.map(|finding| self.closed(finding)));
            }
            Condition::Unknown => return (Verdict::NotEnoughData, before.cloned()),
            Condition::Holds(hold) => hold,
        };
        let silenced = subject
            .silenced_by
            .iter()
            .any(|by| causes.iter().any(|o| o == by));
        let finding = self.finding(rule, subject, hold, silenced, before);
        let verdict = match finding.state {
            State::Pending if silenced => Verdict::Silenced,
            _ => Verdict::Risk,
        };
        (verdict, Some(finding))
    }

    /// Whether what the host sends is doubtful.
    fn is_suspect(&self, causes: &[String]) -> bool {
        self.input.skew_ms() != 0 || causes.iter().any(|cause| DOUBTS.contains(&cause.as_str()))
    }

    fn finding(
        &self,
        rule: &Rule,
        subject: &Subject,
        hold: Hold,
        silenced: bool,
        before: Option<&Finding>,
    ) -> Finding {
        // What is open stays open while its condition holds, also when a cause turns up later:
        // closing it would be news about nothing.
        let was_open = before.is_some_and(|finding| finding.state == State::Open);
        let open = was_open || (hold.matured && !silenced);
        let severity = match self.policy.severity.get(rule.name) {
            Some(other) => *other,
            None => hold.severity,
        };
        let mut held_ms = hold.held_ms(severity);
        for since_ms in held_ms.values_mut() {
            *since_ms -= self.input.skew_ms();
        }
        Finding {
            id: before.map_or(0, |finding| finding.id),
            rule: rule.name.to_owned(),
            host_id: self.input.host_id.clone(),
            host: self.input.window.host.clone(),
            subject: subject.name.clone(),
            severity,
            state: if open { State::Open } else { State::Pending },
            since_ms: hold.since_ms - self.input.skew_ms(),
            opened_ms: match before.and_then(|finding| finding.opened_ms) {
                Some(opened_ms) => Some(opened_ms),
                None => open.then_some(self.now_ms),
            },
            closed_ms: None,
            judged_ms: self.now_ms,
            summary: subject.summary.clone(),
            evidence: subject.evidence.clone(),
            advice: subject.advice.en.clone(),
            advice_zh: subject.advice.zh.clone(),
            held_ms,
        }
    }

    fn closed(&self, finding: &Finding) -> Finding {
        Finding {
            state: State::Closed,
            closed_ms: Some(self.now_ms),
            judged_ms: self.now_ms,
            host: self.input.window.host.clone(),
            ..finding.clone()
        }
    }
}

fn is_down(causes: &[String]) -> bool {
    causes.iter().any(|cause| cause == host_down::RULE.name)
}

fn stale(window: &Window, now_ms: i64) -> Option<String> {
    match window.newest_ms(now_ms) {
        None => Some("no sample in the last hour".into()),
        Some(newest) if now_ms - newest > window.stale_ms() => Some(format!(
            "the newest sample is {} old",
            words::duration(now_ms - newest)
        )),
        Some(_) => None,
    }
}

/// "3 of 12 judged": what the outcomes add up to, for logs and the register's footer.
impl Assessment {
    /// Adds what came out for other hosts.
    pub fn add(&mut self, more: Assessment) {
        self.findings.extend(more.findings);
        self.outcomes.extend(more.outcomes);
    }

    /// How many outcomes have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.outcomes
            .iter()
            .filter(|o| o.verdict == verdict)
            .count()
    }

    /// One line: how many rules judged, found, could not say.
    pub fn words(&self) -> String {
        let open = self
            .findings
            .iter()
            .filter(|f| f.state == State::Open)
            .count();
        format!(
            "{} open; {} fine, {} not enough data, {} not applicable, {} data suspect, {} silenced",
            words::number(open as f64),
            self.count(Verdict::Ok),
            self.count(Verdict::NotEnoughData),
            self.count(Verdict::NotApplicable),
            self.count(Verdict::DataSuspect),
            self.count(Verdict::Silenced),
        )
    }
}
