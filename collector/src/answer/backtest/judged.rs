//! One host before everything that judges it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Backtested, Found};
use crate::anomaly::{Anomaly, Course};
use crate::rules::replay::{Played, Replay, Spell};
use crate::rules::{Maintenance, Policy, Severity};
use crate::series::{Selector, SeriesName, Window};
use crate::words;

/// What the detector of the unusual tells is called.
pub(super) const ANOMALY: &str = "anomaly";

/// When nobody is told of a host.
pub(super) struct Quiet {
    /// All there is.
    pub(super) maintenance: Arc<[Maintenance]>,
    /// The host's.
    pub(super) labels: BTreeMap<String, String>,
}

/// One host, as far as its past was read.
pub(super) struct Judged {
    host: String,
    rules: Replay,
    unusual: Course,
    anomalies: Vec<(Anomaly, Option<i64>)>,
    series: BTreeSet<SeriesName>,
    samples: u64,
    span_ms: Option<(i64, i64)>,
}

impl Judged {
    pub(super) fn new(played: Played, policy: Arc<Policy>, every_ms: i64) -> Judged {
        Judged {
            host: played.host.clone(),
            rules: Replay::new(played, policy, every_ms),
            unusual: Course::default(),
            anomalies: Vec::new(),
            series: BTreeSet::new(),
            samples: 0,
            span_ms: None,
        }
    }

    /// Takes a stretch and lets the clock run to its end.
    pub(super) fn take(&mut self, window: Window, end_ms: i64) {
        for series in &window.series {
            let times_ms = &series.times_ms;
            self.samples += times_ms.len() as u64;
            if let (Some(first), Some(last)) = (times_ms.first(), times_ms.last()) {
                let (from_ms, to_ms) = self.span_ms.unwrap_or((*first, *last));
                self.span_ms = Some((from_ms.min(*first), to_ms.max(*last)));
            }
            if !self.series.contains(&series.name) {
                self.series.insert(series.name.clone());
            }
        }
        let ended = self.unusual.take(window.clone()).into_iter();
        self.anomalies
            .extend(ended.map(|(anomaly, end_ms)| (anomaly, Some(end_ms))));
        self.rules.take(window);
        self.rules.advance(end_ms);
    }

    /// What was found that was on at `from_ms` or later.
    pub(super) fn finish(mut self, from_ms: i64, quiet: &Quiet) -> Backtested {
        if let Some(on) = self.unusual.on() {
            self.anomalies.push((on.clone(), None));
        }
        let turns = self.rules.turns();
        let spells = self.rules.finish(&quiet.maintenance, &quiet.labels);
        let spells = spells.into_iter();
        let mut found: Vec<Found> = spells.map(|spell| of_rule(&self.host, spell)).collect();
        let anomalies = self.anomalies.into_iter();
        found.extend(anomalies.map(|(anomaly, end_ms)| of_anomaly(&self.host, anomaly, end_ms)));
        found.retain(|one| one.end_ms.is_none_or(|end_ms| end_ms >= from_ms));
        found.sort_by(|a, b| {
            let (a, b) = [a, b].map(|f| (f.start_ms, &f.rule, &f.subject)).into();
            a.cmp(&b)
        });
        Backtested {
            found,
            series: self.series.len(),
            samples: self.samples,
            turns,
            span_ms: self.span_ms,
        }
    }
}

fn of_rule(host: &str, spell: Spell) -> Found {
    Found {
        host: host.to_owned(),
        metric: metric(&spell.selector),
        rule: spell.rule,
        subject: spell.subject,
        severity: spell.severity,
        start_ms: spell.start_ms,
        end_ms: spell.end_ms,
        eta_ms: spell.eta_ms,
        notified: spell.told_ms.is_some(),
        told_ms: spell.told_ms,
        summary: spell.summary,
    }
}

/// The metric of a selector.
fn metric(selector: &str) -> String {
    let parsed: Result<Selector, _> = selector.parse();
    parsed.map_or_else(|_| selector.to_owned(), |selector| selector.metric)
}

fn of_anomaly(host: &str, anomaly: Anomaly, end_ms: Option<i64>) -> Found {
    let moved = anomaly.moved.iter().map(|moved| {
        let (value, usual) = (words::number(moved.value), words::number(moved.usual));
        let times = words::number(moved.times);
        format!(
            "{} is {value}, usually {usual} ({times} of its usual extremes)",
            moved.series
        )
    });
    Found {
        host: host.to_owned(),
        metric: anomaly
            .moved
            .first()
            .map_or(String::new(), |moved| moved.series.clone()),
        rule: ANOMALY.to_owned(),
        subject: String::new(),
        severity: Severity::Info,
        start_ms: anomaly.start_ms,
        end_ms,
        eta_ms: None,
        notified: false,
        told_ms: None,
        summary: moved.collect::<Vec<_>>().join("; "),
    }
}
