//! Hosts of one role that do at once what they never do: one cause, most likely, and one entry.
//!
//! Each host is judged by itself. What is new on a host while an entry of its role is young becomes a part
//! of that entry ([`Together::fold`]): it names the host, and stays open while one of its hosts goes on.
//! A host that has an entry of its own keeps it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::anomaly::{RULE, moved, value};
use super::{Assessment, Evidence, Finding, Outcome, State, Verdict};
use crate::series::{Matcher, Op, Selector};

/// What begins so soon after an entry did, or before it, belongs to it: as long as it is quiet before
/// an anomaly is over.
pub const TOGETHER_MS: i64 = 1_800_000;
/// So many hosts are named, the others counted, …
const NAMED_MAX: usize = 5;
/// … each with so much of what moved.
const SAID_MAX: usize = 2;

/// How an entry begins to speak of the others that belong to it, …
const WITH_IT: &str = " With it in ";
/// … and of those that do not.
const BESIDE_IT: &str = " Entries of their own in ";
/// The label that evidence of another host has.
const HOST: &str = "host";

/// What is unusual in the roles of a fleet, from turn to turn.
#[derive(Debug, Default)]
pub struct Together {
    /// By host id: those that do something unusual.
    movers: HashMap<String, Mover>,
    /// Roles with hosts of which it is not known yet what they do, …
    unknown: HashSet<Arc<str>>,
    /// … and with hosts of which it was not in the turn before: they are judged in this one.
    unknown_before: HashSet<Arc<str>>,
}

/// A host that does something unusual.
#[derive(Clone, Debug)]
struct Mover {
    host: String,
    role: Arc<str>,
    since_ms: i64,
    /// The host whose entry it belongs to; nothing where that is its own.
    leader: Option<String>,
    /// What moved most, each one number.
    moved: Vec<Evidence>,
    /// Its own entry as it was judged last, without what is said of others.
    own: Option<Finding>,
}

/// Of which role the hosts are that have one, by id.
pub type RolesById = HashMap<String, Arc<str>>;

impl Together {
    /// Begins a turn over all hosts: with the entries that are open, and without hosts that have gone or
    /// are of another role now. After a restart hosts become known one by one; `unknown` are the roles of
    /// those that are not.
    pub fn begin<'a>(
        &mut self,
        open: impl IntoIterator<Item = &'a Finding>,
        roles: &RolesById,
        unknown: HashSet<Arc<str>>,
    ) {
        self.unknown_before = std::mem::replace(&mut self.unknown, unknown);
        let stays = |id: &String, mover: &mut Mover| roles.get(id) == Some(&mover.role);
        self.movers.retain(stays);
        for finding in open.into_iter().filter(|f| is_entry(f)) {
            let Some(role) = roles.get(&finding.host_id) else {
                continue;
            };
            let known = self.movers.get(&finding.host_id);
            if known.is_none_or(|mover| mover.leader.is_some()) {
                let mover = Mover::leading(&alone(finding), role);
                self.movers.insert(finding.host_id.clone(), mover);
            }
        }
    }

    /// Whether a host of a role has an entry.
    pub fn has_entry(&self, role: &str) -> bool {
        let mut entries = self.movers.values().filter(|m| m.leader.is_none());
        entries.any(|mover| &*mover.role == role)
    }

    /// Makes one entry of what moves together, in what came out for some hosts at `now_ms`. `previous`
    /// are their findings so far.
    pub fn fold(
        &mut self,
        found: &mut Assessment,
        previous: &[Finding],
        roles: &RolesById,
        now_ms: i64,
    ) {
        self.forget_the_quiet(found);
        let mut new = Vec::new();
        for (at, finding) in found.findings.iter_mut().enumerate() {
            // What was not judged now stays what it was.
            if finding.rule != RULE.name || finding.judged_ms != now_ms {
                continue;
            }
            let Some(role) = roles.get(&finding.host_id) else {
                continue;
            };
            let had_entry = |f: &Finding| is_entry(f) && f.host_id == finding.host_id;
            match finding.state {
                State::Open if previous.iter().any(had_entry) => {
                    let mover = Mover::leading(finding, role);
                    self.movers.insert(finding.host_id.clone(), mover);
                }
                State::Open => new.push(at),
                State::Closed => self.carry_on(finding, &found.outcomes),
                State::Pending => {}
            }
        }
        if !new.is_empty() {
            self.join(new, found, roles);
        }
        let judged = found.findings.iter_mut();
        self.tell(judged.filter(|f| is_entry(f) && f.judged_ms == now_ms));
    }

    /// An entry stays open while one of its hosts goes on or may do so, unless the rule is not to judge
    /// its host any more.
    fn carry_on(&mut self, finding: &mut Finding, outcomes: &[Outcome]) {
        let judged = !outcomes.iter().any(|o| {
            o.rule == finding.rule
                && o.host_id == finding.host_id
                && o.verdict == Verdict::NotApplicable
        });
        let others = self
            .movers
            .values()
            .any(|mover| mover.leader.as_ref() == Some(&finding.host_id));
        let own = self.movers.get(&finding.host_id);
        let others = others || own.is_some_and(|mover| self.is_unknown(&mover.role));
        match own.and_then(|mover| mover.own.clone()) {
            Some(own) if judged && others => {
                *finding = Finding {
                    judged_ms: finding.judged_ms,
                    id: finding.id,
                    ..own
                };
            }
            _ => drop(self.movers.remove(&finding.host_id)),
        }
    }

    fn is_unknown(&self, role: &str) -> bool {
        self.unknown.contains(role) || self.unknown_before.contains(role)
    }

    /// Hosts that were judged, and have nothing unusual any more, belong to no entry.
    fn forget_the_quiet(&mut self, found: &Assessment) {
        if self.movers.is_empty() {
            return;
        }
        let on = found.findings.iter().filter(|f| f.rule == RULE.name);
        let on: HashSet<&str> = on.map(|f| f.host_id.as_str()).collect();
        let judged = found.outcomes.iter().filter(|o| o.rule == RULE.name);
        for outcome in judged.filter(|o| !on.contains(o.host_id.as_str())) {
            self.movers.remove(&outcome.host_id);
        }
    }

    /// Gives what is new to entries that are young: then it is none of its own.
    fn join(&mut self, mut new: Vec<usize>, found: &mut Assessment, roles: &RolesById) {
        let key = |at: &usize| {
            let finding = &found.findings[*at];
            (finding.since_ms, finding.host_id.clone())
        };
        new.sort_by_cached_key(key);
        let mut entries: HashMap<Arc<str>, Vec<(i64, String)>> = HashMap::new();
        for (id, mover) in self.movers.iter().filter(|(_, m)| m.leader.is_none()) {
            let of_role = entries.entry(mover.role.clone()).or_default();
            of_role.push((mover.since_ms, id.clone()));
        }
        entries.values_mut().for_each(|all| all.sort());
        let mut parts: HashSet<String> = HashSet::new();
        for finding in new.into_iter().map(|at| &found.findings[at]) {
            let Some(role) = roles.get(&finding.host_id) else {
                continue;
            };
            let of_role = entries.entry(role.clone()).or_default();
            let near =
                |(since_ms, _): &&(i64, String)| (finding.since_ms - since_ms).abs() <= TOGETHER_MS;
            let leader = of_role.iter().find(near).map(|(_, id)| id.clone());
            let mover = match leader {
                Some(_) => {
                    parts.insert(finding.host_id.clone());
                    Mover {
                        leader,
                        ..Mover::of(finding, role)
                    }
                }
                None => {
                    of_role.push((finding.since_ms, finding.host_id.clone()));
                    Mover::leading(finding, role)
                }
            };
            self.movers.insert(finding.host_id.clone(), mover);
        }
        let is_part = |rule: &str, id: &String| rule == RULE.name && parts.contains(id);
        let findings = &mut found.findings;
        findings.retain(|f| !is_part(&f.rule, &f.host_id));
        let outcomes = found.outcomes.iter_mut();
        for outcome in outcomes.filter(|o| is_part(&o.rule, &o.host_id)) {
            outcome.verdict = Verdict::Silenced;
        }
    }

    /// Lets entries say which other hosts of their role move.
    fn tell<'a>(&self, entries: impl Iterator<Item = &'a mut Finding>) {
        for finding in entries {
            let Some(own) = self.movers.get(&finding.host_id) else {
                continue;
            };
            let mut with: Vec<&Mover> = Vec::new();
            let mut also: Vec<&Mover> = Vec::new();
            for (id, other) in self.movers.iter().filter(|(_, m)| m.role == own.role) {
                match &other.leader {
                    Some(leader) if *leader == finding.host_id => with.push(other),
                    None if *id != finding.host_id => also.push(other),
                    _ => {}
                }
            }
            for others in [&mut with, &mut also] {
                others.sort_by(|a, b| a.host.cmp(&b.host));
            }
            if !with.is_empty() {
                let named = named(with.iter().map(|m| m.words()));
                finding.summary += &format!("{WITH_IT}{}: {named}.", own.role);
            }
            if !also.is_empty() {
                let named = named(also.iter().map(|m| m.host.clone()));
                finding.summary += &format!("{BESIDE_IT}{}: {named}.", own.role);
            }
            let more = with.iter().take(NAMED_MAX).filter_map(|m| m.evidence());
            finding.evidence.extend(more);
        }
    }
}

impl Mover {
    fn of(finding: &Finding, role: &Arc<str>) -> Mover {
        Mover {
            host: finding.host.clone(),
            role: role.clone(),
            since_ms: finding.since_ms,
            leader: None,
            moved: moved(finding).cloned().collect(),
            own: None,
        }
    }

    /// With an entry of its own, just judged.
    fn leading(finding: &Finding, role: &Arc<str>) -> Mover {
        Mover {
            own: Some(finding.clone()),
            ..Mover::of(finding, role)
        }
    }

    /// "web-2 (load 40, used memory 94 %)".
    fn words(&self) -> String {
        let moved = self.moved.iter().take(SAID_MAX);
        let said: Vec<String> = moved
            .map(|e| format!("{} {}", e.what, value(&e.unit, e.value)))
            .collect();
        format!("{} ({})", self.host, said.join(", "))
    }

    /// What moved most on it, as evidence of another host's entry.
    fn evidence(&self) -> Option<Evidence> {
        let first = self.moved.first()?;
        let mut selector: Selector = first.selector.parse().ok()?;
        selector.matchers.push(Matcher {
            label: HOST.to_owned(),
            op: Op::Equal(self.host.clone()),
        });
        Some(Evidence {
            what: format!("{}, {}", self.host, first.what),
            selector: selector.to_string(),
            ..first.clone()
        })
    }
}

/// An entry of the register as it was before others were said to belong to it.
fn alone(finding: &Finding) -> Finding {
    let mut own = finding.clone();
    let others = [WITH_IT, BESIDE_IT];
    let end = others.iter().filter_map(|words| own.summary.find(words));
    if let Some(end) = end.min() {
        own.summary.truncate(end);
    }
    own.evidence.retain(|evidence| {
        let selector: Result<Selector, _> = evidence.selector.parse();
        !selector.is_ok_and(|s| s.matchers.iter().any(|m| m.label == HOST))
    });
    own
}

fn is_entry(finding: &Finding) -> bool {
    finding.rule == RULE.name && finding.state == State::Open
}

/// The first of them, and how many more.
fn named(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMED_MAX);
    let named: Vec<String> = all.take(NAMED_MAX).collect();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Something unusual on a host of a role, from the past.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Its role; nothing where it has none.
    pub role: Option<Arc<str>>,
    /// The host.
    pub host: String,
    /// When it began.
    pub start_ms: i64,
}

/// What many stretches come to: of each whose entry it belongs to, where that is not its own.
pub fn entries(stretches: &[Stretch]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..stretches.len()).collect();
    order.sort_by_key(|at| (stretches[*at].start_ms, &stretches[*at].host));
    let mut young: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut of = vec![None; stretches.len()];
    for at in order {
        let one = &stretches[at];
        let Some(role) = one.role.as_deref() else {
            continue;
        };
        let leaders = young.entry(role).or_default();
        leaders.retain(|l| one.start_ms - stretches[*l].start_ms <= TOGETHER_MS);
        // What comes again on the leader itself is another entry.
        of[at] = leaders
            .iter()
            .copied()
            .find(|l| stretches[*l].host != one.host);
        if of[at].is_none() {
            leaders.push(at);
        }
    }
    of
}

/// What the entry of a host says of the others that belong to it.
pub fn with_it(role: &str, hosts: &[&str]) -> String {
    let named = named(hosts.iter().map(|host| (*host).to_owned()));
    format!("{WITH_IT}{role}: {named}.")
}

#[cfg(test)]
mod tests;
