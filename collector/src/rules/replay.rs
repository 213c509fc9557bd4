//! The past of one host, judged as a collector that watched all the time would have judged it: the
//! same rules on the same windows, the clock taken from the samples.

mod fellows;
mod past;
pub mod told;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{
    About, Evidence, FUTURE_MS, Finding, Group, Maintenance, Policy, RuleInput, Severity, State,
    WINDOW_MS, WhenDown, assess, past::Gathered, rule, told_from_ms, whole_hours_ms,
};
use crate::series::{Window, union_times_ms};
pub use fellows::{Fellow, Fellows, Track};
use past::Past;

/// Whether a finding may be over although its host is down.
fn passes(finding: &Finding) -> bool {
    rule(&finding.rule).is_some_and(|rule| rule.when_down == WhenDown::Passes)
}

/// A host as its past is replayed.
#[derive(Clone, Debug)]
pub struct Played {
    /// 32 hexadecimal digits.
    pub host_id: String,
    /// Its name.
    pub host: String,
    /// How often it was sampled, declared or found out.
    pub interval_ms: i64,
    /// Since when it is retired.
    pub retired_ms: Option<i64>,
    /// The hosts of its role, and of others.
    pub fellows: Arc<Fellows>,
}

/// A finding that was open for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Spell {
    /// The rule's name.
    pub rule: String,
    /// What on the host, empty for the whole host.
    pub subject: String,
    /// The worst it was.
    pub severity: Severity,
    /// When it was raised.
    pub start_ms: i64,
    /// When it was over; nothing where it was not.
    pub end_ms: Option<i64>,
    /// When it would have run out, as was said when it was raised.
    pub eta_ms: Option<i64>,
    /// When somebody would have been told, alone or in a message with others; nothing where nobody
    /// would have been.
    pub told_ms: Option<i64>,
    /// What it was raised about, in a sentence.
    pub summary: String,
    /// A selector of the samples it was raised about.
    pub selector: String,
}

/// Replays one host. Samples are taken in stretches, one after the other in time; between them the
/// clock advances.
#[derive(Debug)]
pub struct Replay {
    played: Played,
    policy: Arc<Policy>,
    /// A turn in each part of the clock of this length.
    every_ms: i64,
    past: Past,
    weeks: Gathered,
    /// The last hour whose end the rules were given the weeks before of.
    hour_ms: Option<i64>,
    /// It among the hosts of its role, as in that hour.
    group: Option<Group>,
    /// When the host was sampled and the clock has not been yet.
    ticks: VecDeque<i64>,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    turned_ms: Option<i64>,
    /// The moment up to which there were turns.
    advanced_ms: Option<i64>,
    /// The last turn that was at a sample.
    sampled_ms: Option<i64>,
    findings: Vec<Finding>,
    /// By rule and subject.
    on: BTreeMap<(String, String), Spell>,
    over: Vec<Spell>,
    turns: u64,
}

impl Replay {
    /// Begins before a host's first sample; the rules are run at most once in `every_ms`.
    pub fn new(played: Played, policy: Arc<Policy>, every_ms: i64) -> Replay {
        Replay {
            played,
            policy,
            every_ms: every_ms.max(1),
            past: Past::default(),
            weeks: Gathered::default(),
            hour_ms: None,
            group: None,
            ticks: VecDeque::new(),
            first_ms: None,
            last_ms: None,
            turned_ms: None,
            advanced_ms: None,
            sampled_ms: None,
            findings: Vec::new(),
            on: BTreeMap::new(),
            over: Vec::new(),
            turns: 0,
        }
    }

    /// Takes the samples of a stretch, later than all before. Those of any series say that the host
    /// was there; the rules look at theirs.
    pub fn take(&mut self, window: Window) {
        let fresh = union_times_ms(&window.series);
        self.first_ms = self.first_ms.or(fresh.first().copied());
        self.ticks.extend(fresh);
        self.weeks.take(&window);
        self.past.take(window.series);
    }

    /// Runs every turn up to a moment, up to which all samples were taken.
    pub fn advance(&mut self, to_ms: i64) {
        self.advanced_ms = self.advanced_ms.max(Some(to_ms));
        while let Some(now_ms) = self.next_turn(to_ms) {
            self.turn(now_ms);
        }
    }

    /// What was raised, in that order; with what is still on. `maintenance` is when nobody is told, and
    /// `labels` are those of the host.
    pub fn finish(
        self,
        maintenance: &[Maintenance],
        labels: &BTreeMap<String, String>,
    ) -> Vec<Spell> {
        let mut all = self.over;
        all.extend(self.on.into_values());
        all.sort_by(|a, b| {
            let (a, b) = [a, b].map(|s| (s.start_ms, &s.rule, &s.subject)).into();
            a.cmp(&b)
        });
        let free_ms = |spell: &Spell| {
            let about = About {
                rule: &spell.rule,
                host: &self.played.host,
                labels: Some(labels),
            };
            let end_ms = spell.end_ms.or(self.advanced_ms).unwrap_or(i64::MAX);
            // What is on at the end is told at the very end, too.
            let end_ms = end_ms.saturating_add(i64::from(spell.end_ms.is_none()));
            told_from_ms(maintenance, &about, (spell.start_ms, end_ms))
        };
        told::mark(&mut all, free_ms);
        all
    }

    /// How often the rules were run.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// When something can be news next: at the first sample in a part of the clock; and without one
    /// while something is pending or open, or a sample is overdue, until the host counts as down.
    fn next_turn(&self, to_ms: i64) -> Option<i64> {
        let part = |ms: i64| ms.div_euclid(self.every_ms);
        let (Some(turned_ms), Some(sampled_ms)) = (self.turned_ms, self.sampled_ms) else {
            return self.ticks.front().copied().filter(|tick| *tick <= to_ms);
        };
        let mut last_ms = self.last_ms.unwrap_or(turned_ms);
        for tick in self.ticks.iter().copied().take_while(|tick| *tick <= to_ms) {
            if let Some(at_ms) = self.in_silence(last_ms, turned_ms, tick) {
                return Some(at_ms);
            }
            let overdue = tick - last_ms > self.played.interval_ms * 3 / 2;
            if overdue || part(tick) > part(sampled_ms) {
                return Some(tick);
            }
            last_ms = tick;
        }
        self.in_silence(last_ms, turned_ms, to_ms.saturating_add(1))
    }

    /// The next turn in a silence that began at `last_ms` and ends at `end_ms`. Once the host is down
    /// all wait for its next sample but the rule that forgets its boots.
    fn in_silence(&self, last_ms: i64, turned_ms: i64, end_ms: i64) -> Option<i64> {
        let grace_ms = self.policy.host_down.grace_ms(self.played.interval_ms);
        let down_ms = last_ms.saturating_add(grace_ms).saturating_add(1);
        let awaited_ms = match self.findings.is_empty() {
            true => self.played.interval_ms,
            false => self.every_ms,
        };
        let next_ms = turned_ms
            .saturating_add(self.every_ms)
            .max(last_ms.saturating_add(awaited_ms * 3 / 2));
        let at_ms = match turned_ms < down_ms {
            true => next_ms.min(down_ms),
            false if self.findings.iter().any(passes) => next_ms,
            false => return None,
        };
        (at_ms > turned_ms && at_ms < end_ms).then_some(at_ms)
    }

    /// Judges the host at a moment.
    fn turn(&mut self, now_ms: i64) {
        while let Some(tick) = self.ticks.front().copied().filter(|tick| *tick <= now_ms) {
            self.last_ms = Some(tick);
            self.ticks.pop_front();
        }
        let first_ms = self.first_ms.unwrap_or(now_ms);
        let window = Window {
            host: self.played.host.clone(),
            from_ms: now_ms - WINDOW_MS,
            to_ms: now_ms + FUTURE_MS,
            interval_ms: self.played.interval_ms,
            series: Vec::new(),
        };
        let hour_ms = whole_hours_ms(now_ms);
        let turns = self.hour_ms.replace(hour_ms) != Some(hour_ms);
        if turns {
            self.group = self.played.fellows.group(&self.played.host_id, now_ms);
        }
        let input = [RuleInput {
            host_id: self.played.host_id.clone(),
            window: self.past.window(window, &self.findings, now_ms),
            // A backtest has its own watch, over series that no rule knows too.
            unusual: None,
            // Which version an agent was is not recorded.
            agent: None,
            group: self.group.clone(),
            past: turns.then(|| self.weeks.past(hour_ms)),
            first_seen_ms: first_ms,
            last_sample_ms: self.last_ms,
            last_received_ms: self.last_ms,
            clock_skew_ms: 0,
            watching_since_ms: Some(first_ms),
            retired_ms: self.played.retired_ms,
        }];
        let found = assess(&input, &self.findings, &self.policy, now_ms).findings;
        let [input] = input;
        self.past.put_back(input.window);
        for finding in &found {
            self.note(finding, now_ms);
        }
        self.findings = found;
        self.findings.retain(|f| f.state != State::Closed);
        self.turned_ms = Some(now_ms);
        if self.last_ms == Some(now_ms) {
            self.sampled_ms = Some(now_ms);
        }
        self.turns += 1;
    }

    /// What a finding's state means for its spell.
    fn note(&mut self, finding: &Finding, now_ms: i64) {
        let key = (finding.rule.clone(), finding.subject.clone());
        match (finding.state, self.on.get_mut(&key)) {
            (State::Open, Some(spell)) => spell.severity = spell.severity.max(finding.severity),
            (State::Open, None) => {
                self.on.insert(key, Spell::begin(finding, now_ms));
            }
            (State::Closed, Some(_)) => {
                if let Some(spell) = self.on.remove(&key) {
                    self.over.push(Spell {
                        end_ms: Some(now_ms),
                        ..spell
                    });
                }
            }
            _ => {}
        }
    }
}

impl Spell {
    fn begin(finding: &Finding, now_ms: i64) -> Spell {
        let left = |e: &&Evidence| e.what == "time left" && e.value.is_finite();
        let left_ms = finding.evidence.iter().find(left);
        let selector = finding.evidence.first().map(|e| e.selector.clone());
        Spell {
            rule: finding.rule.clone(),
            subject: finding.subject.clone(),
            severity: finding.severity,
            start_ms: now_ms,
            end_ms: None,
            eta_ms: left_ms.map(|e| now_ms.saturating_add((e.value * 1000.0) as i64)),
            told_ms: None,
            summary: finding.summary.clone(),
            selector: selector.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
