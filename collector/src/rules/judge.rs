//! What a rule is given and what it answers.

use std::cell::OnceCell;

use super::course::Course;
use super::level::{Band, Grade, Hold, Moment, held_since, hold};
use super::{Bilingual, Evidence, Finding, Policy, RuleInput, Severity, State};
use crate::series::Series;
use crate::series::derived::{CpuTime, Memory, cpu_times, memory};

/// One host before one rule.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) input: &'a RuleInput,
    pub(crate) policy: &'a Policy,
    /// The moment, by the host's own clock.
    pub(crate) now_ms: i64,
    /// This rule's pending and open findings on this host.
    pub(crate) previous: &'a [&'a Finding],
    /// What other rules have found on this host by now, pending and open.
    pub(crate) found: &'a [Finding],
    /// What several rules derive from the window, derived once.
    pub(crate) derived: &'a Derived,
}

/// What several rules derive from a host's window.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    cpu_times: OnceCell<Vec<CpuTime>>,
    memory: OnceCell<Vec<Memory>>,
}

/// What a rule says about a host.
#[derive(Debug)]
pub(crate) enum Judged {
    /// The host has nothing for this rule to judge; findings about it are over.
    NotApplicable(String),
    /// Not looked at in this turn; findings stay what they were.
    Kept,
    /// Cannot be said now; findings stay what they were.
    NotEnoughData(String),
    /// One entry for each thing looked at; findings about other things are over.
    Subjects(Vec<Subject>),
}

/// One thing a rule looked at: a filesystem, a device, the host itself.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Which, empty for the host itself.
    pub(crate) name: String,
    pub(crate) condition: Condition,
    /// One sentence with the number in it.
    pub(crate) summary: String,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) advice: Bilingual,
    /// Rules whose open finding on this host explains this one.
    pub(crate) silenced_by: &'static [&'static str],
}

/// How it stands with a subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Condition {
    Clear,
    Holds(Hold),
    /// Cannot be said now; a finding about it stays what it was.
    Unknown,
}

/// What was measured of one subject over time, the levels for it, and the words.
pub(crate) struct Measured<'a> {
    pub(crate) name: &'a str,
    pub(crate) course: Course,
    /// (severity, levels, seconds it must hold), the mildest first.
    pub(crate) grades: &'a [(Severity, Band, i64)],
    /// What the value is, in words, and its unit: see [`Evidence`].
    pub(crate) what: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) selector: String,
    /// The sentence about the newest value.
    pub(crate) words: &'a dyn Fn(f64) -> String,
    pub(crate) advice: Bilingual,
    pub(crate) silenced_by: &'static [&'static str],
}

impl Case<'_> {
    /// How the CPUs spent their time over the window.
    pub(crate) fn cpu_times(&self) -> &[CpuTime] {
        self.derived
            .cpu_times
            .get_or_init(|| cpu_times(&self.input.window))
    }

    /// Memory at every sample.
    pub(crate) fn memory(&self) -> &[Memory] {
        let window = &self.input.window;
        self.derived.memory.get_or_init(|| memory(window))
    }

    /// A series' newest value, unless it is stale.
    pub(crate) fn current(&self, series: &Series) -> Option<f64> {
        series.current(self.now_ms, self.input.window.interval_ms)
    }

    /// The newest of derived values, unless it is stale.
    pub(crate) fn fresh(&self, points: &[(i64, f64)]) -> Option<f64> {
        let (time_ms, value) = *points.last()?;
        (self.now_ms - time_ms <= self.input.window.stale_ms()).then_some(value)
    }

    /// This rule's finding about a subject, pending or open.
    pub(crate) fn previous(&self, subject: &str) -> Option<&Finding> {
        self.previous
            .iter()
            .copied()
            .find(|finding| finding.subject == subject && finding.state != State::Closed)
    }

    /// Since when a condition has held, going on from the finding so far.
    pub(crate) fn held(
        &self,
        subject: &str,
        severity: Severity,
        moments: impl IntoIterator<Item = Moment>,
    ) -> Option<i64> {
        let before = self
            .previous(subject)
            .and_then(|finding| finding.held_since_ms(severity))
            .map(|since_ms| since_ms + self.input.skew_ms());
        held_since(moments, before)
    }

    /// How a severity stands that must hold for so long.
    pub(crate) fn grade(
        &self,
        subject: &str,
        severity: Severity,
        for_seconds: i64,
        moments: impl IntoIterator<Item = Moment>,
    ) -> Grade {
        Grade {
            severity,
            since_ms: self.held(subject, severity, moments),
            for_ms: for_seconds * 1000,
        }
    }

    /// Judges values against a warning and a critical band.
    pub(crate) fn against(
        &self,
        subject: &str,
        points: &[(i64, f64)],
        grades: &[(Severity, Band, i64)],
    ) -> Condition {
        let grades: Vec<Grade> = grades
            .iter()
            .map(|(severity, band, for_seconds)| {
                let moments = points.iter().map(|(at_ms, value)| band.at(*at_ms, *value));
                self.grade(subject, *severity, *for_seconds, moments)
            })
            .collect();
        self.condition(&grades)
    }

    /// What a counter counted in the span before now, holes included, and when it first did.
    pub(crate) fn happened(&self, series: &Series, span_ms: i64) -> (f64, Option<i64>) {
        let interval_ms = self.input.window.interval_ms;
        let pairs = series.pairs(self.now_ms - span_ms, self.now_ms, interval_ms);
        pairs
            .filter(|pair| pair.increase > 0.0)
            .fold((0.0, None), |(sum, first_ms), pair| {
                (sum + pair.increase, first_ms.or(Some(pair.to_ms)))
            })
    }

    /// A subject for each of these series that reports; `absent` says why a host that has none of
    /// them is not judged.
    pub(crate) fn each<'s>(
        &self,
        all: impl IntoIterator<Item = &'s Series>,
        absent: &str,
        subject: impl Fn(&'s Series) -> Subject,
    ) -> Judged {
        let (mut subjects, mut seen) = (Vec::new(), false);
        for series in all {
            seen = true;
            if self.current(series).is_some() {
                subjects.push(subject(series));
            }
        }
        match (subjects.is_empty(), seen) {
            (false, _) => Judged::Subjects(subjects),
            (true, true) => Judged::NotEnoughData("it has not been reported lately".into()),
            (true, false) => Judged::NotApplicable(absent.to_owned()),
        }
    }

    /// Holds a course against its levels.
    pub(crate) fn measured(&self, measured: Measured<'_>) -> Subject {
        let Measured { name, course, .. } = measured;
        let raise = measured.grades.first().map(|(_, band, _)| band.raise);
        let (condition, summary, evidence) = match course.now {
            Some(now) => (
                self.against(name, &course.points, measured.grades),
                (measured.words)(now),
                vec![Evidence {
                    threshold: raise,
                    ..Evidence::new(measured.what, now, measured.unit, measured.selector)
                }],
            ),
            None => {
                let whose = if name.is_empty() { "" } else { " of " };
                let summary = format!("Too few samples{whose}{name} lately to judge it.");
                (Condition::Unknown, summary, Vec::new())
            }
        };
        Subject {
            name: name.to_owned(),
            condition,
            summary,
            evidence,
            advice: measured.advice,
            silenced_by: measured.silenced_by,
        }
    }

    /// The condition that grades make.
    pub(crate) fn condition(&self, grades: &[Grade]) -> Condition {
        hold(grades, self.now_ms).map_or(Condition::Clear, Condition::Holds)
    }
}

impl Evidence {
    /// A measured number without a level.
    pub(crate) fn new(what: &str, value: f64, unit: &str, selector: impl ToString) -> Evidence {
        Evidence {
            what: what.to_owned(),
            value,
            unit: unit.to_owned(),
            threshold: None,
            selector: selector.to_string(),
        }
    }

    /// Held against a level.
    pub(crate) fn against(mut self, threshold: f64) -> Evidence {
        self.threshold = Some(threshold);
        self
    }
}
