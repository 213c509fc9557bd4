//! What a target is told next: a pure function of the register, of what it was told before, and of
//! the moment. So a restart tells nothing twice and forgets nothing, a mute or a window that passes
//! needs nobody to notice it, and late data that changes an entry tells nothing by itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::rules::terms::HOSTS_MIN;
use crate::rules::{Severity, State};
use crate::store::{Entry, Told};

/// When a target is told what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// What is less bad is not told.
    pub severity: Severity,
    /// Least time between two messages that the same risk is open.
    pub floor_ms: i64,
    /// After so long it is reminded of what is open; 0: never.
    pub remind_ms: i64,
    /// The target is told all that is open again and again: what is muted has to be taken back.
    pub repeats: bool,
}

/// What is told of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    /// It is a risk.
    Firing,
    /// It is worse than was told.
    Worse,
    /// It still is.
    Reminder,
    /// It is over, or closed.
    Resolved,
    /// It is taken back, because it is muted.
    Muted,
}

/// One piece of news, and what the target knows afterwards.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change<'a> {
    pub entry: &'a Entry,
    pub news: News,
    pub told: Told,
}

/// What is told of resolved entries is forgotten after so long: nothing that is told depends on it.
const FORGET_MS: i64 = 8 * 86_400_000;

/// What the target is told now. `entries` are those that are live, and those it was told of.
pub(super) fn decide<'a>(
    entries: &'a [Entry],
    told: &BTreeMap<i64, Told>,
    terms: Terms,
    now_ms: i64,
) -> Vec<Change<'a>> {
    let changes = entries.iter().filter_map(|entry| {
        let before = told.get(&entry.finding.id);
        let news = news(entry, before, terms, now_ms)?;
        let firing = !matches!(news, News::Resolved | News::Muted);
        let told = Told {
            firing,
            severity: entry.finding.severity,
            at_ms: now_ms,
            fired_ms: match before {
                Some(before) if !firing => before.fired_ms,
                _ => now_ms,
            },
            fired: match firing {
                true => Told::fired_until(before, now_ms),
                false => Told::counted(before, now_ms),
            },
            labels: before.map(|b| b.labels.clone()).unwrap_or_default(),
            silenced: before.is_some_and(|b| b.silenced && firing),
        };
        Some(Change { entry, news, told })
    });
    changes.collect()
}

fn news(entry: &Entry, before: Option<&Told>, terms: Terms, now_ms: i64) -> Option<News> {
    let finding = &entry.finding;
    let open = finding.state == State::Open;
    let bad = open && finding.severity >= terms.severity;
    let maintained = entry
        .maintained_until_ms
        .is_some_and(|until| until > now_ms);
    let muted = maintained || entry.care.is_muted(now_ms);
    let Some(before) = before else {
        return (bad && !muted).then_some(News::Firing);
    };
    match (before.firing, bad) {
        (true, true) if muted => terms.repeats.then_some(News::Muted),
        (true, true) if finding.severity > before.severity => Some(News::Worse),
        (true, true) => {
            let due = terms.remind_ms > 0 && now_ms - before.at_ms >= terms.remind_ms;
            (due && entry.care.acknowledged.is_none()).then_some(News::Reminder)
        }
        // What has become less bad than is told is over for this target.
        (true, false) => Some(News::Resolved),
        (false, true) if muted => None,
        (false, true) => {
            let rested = now_ms - before.fired_ms >= terms.floor_ms;
            (rested || finding.severity > before.severity).then_some(News::Firing)
        }
        (false, false) => None,
    }
}

/// Numbers of what was told and needs no memory any more.
pub(super) fn forgotten(told: &BTreeMap<i64, Told>, now_ms: i64) -> Vec<i64> {
    let old = told
        .iter()
        .filter(|(_, t)| !t.firing && now_ms - t.at_ms > FORGET_MS);
    old.map(|(number, _)| *number).collect()
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// The same on several hosts: one cause, most likely.
    Rule(String),
    /// What is wrong with one host.
    Host(String),
}

/// News that belong into one message: the same of several hosts, or all of one host.
pub(super) fn groups<'a, 'b>(changes: &'b [Change<'a>]) -> Vec<(News, Group, Vec<&'b Change<'a>>)> {
    let mut hosts_of: BTreeMap<(News, &str), BTreeSet<&str>> = BTreeMap::new();
    for change in changes {
        let finding = &change.entry.finding;
        let hosts = hosts_of.entry((change.news, &finding.rule)).or_default();
        hosts.insert(&finding.host);
    }
    let mut groups: BTreeMap<(News, Group), Vec<&Change<'_>>> = BTreeMap::new();
    for change in changes {
        let finding = &change.entry.finding;
        let together = hosts_of
            .get(&(change.news, finding.rule.as_str()))
            .is_some_and(|hosts| hosts.len() >= HOSTS_MIN);
        let group = match together {
            true => Group::Rule(finding.rule.clone()),
            false => Group::Host(finding.host.clone()),
        };
        groups.entry((change.news, group)).or_default().push(change);
    }
    let groups = groups.into_iter();
    groups
        .map(|((news, group), of)| (news, group, of))
        .collect()
}

#[cfg(test)]
mod tests;
