//! From what the store remembers to what the rules judge, and the findings back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{past, roles, usual};
use crate::rules::{
    self, Agent, Assessment, Chosen, FUTURE_MS, Finding, Judging, LONG_METRIC, LONG_MS, Roles,
    RolesById, RuleInput, State, Together, Version, WINDOW_MS,
};
use crate::series::Window;
use crate::store::{HostRecord, Store, StoreError, WindowQuery};

/// Samples held in memory at a time, about 4 MB; hosts are judged in parts of that size.
const SAMPLES_PART: i64 = 250_000;
/// What a host is expected to have of the series that rules watch.
const SERIES_EXPECTED: i64 = 200;
/// What a part may hold, where hosts have more than was expected, before the store refuses it.
const SAMPLES_MAX: usize = 40_000_000;
/// How far back the beginning of the current watch is looked for.
const WATCH_MS: i64 = 86_400_000;
/// A beat older than this does not count as watching.
const BEAT_MS: i64 = 60_000;

/// One round.
pub(super) struct Turn<'a> {
    pub(super) now_ms: i64,
    /// The ids of the hosts that are judged by their weeks too.
    pub(super) weeks: HashSet<String>,
    /// What is usual on whom.
    pub(super) watches: &'a mut usual::Watches,
    /// What each carries.
    pub(super) loads: &'a mut roles::Loads,
    /// What is unusual in which role.
    pub(super) together: &'a mut Together,
}

impl Turn<'_> {
    /// Adds what takes more than the last hour. Where it cannot be read, rules that need it keep what
    /// they found, and others do not wait for it.
    async fn add_past(&mut self, store: &Store, host: &HostRecord, input: &mut RuleInput) {
        let now_ms = self.now_ms + input.skew_ms();
        if self.weeks.contains(&host.id) {
            match past::read(store, &host.name, now_ms).await {
                Ok(past) => {
                    self.loads.note(&host.id, &past);
                    input.past = Some(past);
                }
                Err(error) => tracing::error!(%error, host = host.name, "read its last weeks"),
            }
        }
        input.unusual = self.watches.follow(&host.id, &input.window);
    }
}

/// What a turn knows of all hosts before it looks at one.
struct Fleet<'a> {
    watching_since_ms: Option<i64>,
    newest: Option<Version>,
    roles: Roles<'a>,
    role_of: RolesById,
}

impl<'a> Fleet<'a> {
    async fn of(
        store: &Store,
        hosts: &'a [HostRecord],
        turn: &mut Turn<'_>,
    ) -> Result<Fleet<'a>, StoreError> {
        let now_ms = turn.now_ms;
        let spans = store.watch_spans(now_ms - WATCH_MS, now_ms).await?;
        let watched = spans
            .last()
            .filter(|span| now_ms - span.to_ms <= BEAT_MS)
            .map(|span| span.from_ms);
        let roles = turn.loads.roles(hosts, now_ms);
        let judged = hosts.iter().filter(|host| host.retired_ms.is_none());
        let role_of = roles.names(judged.map(|host| (&*host.id, turn.loads.member(host))));
        Ok(Fleet {
            watching_since_ms: watched,
            newest: newest_agent(hosts, now_ms),
            role_of,
            roles,
        })
    }

    /// A host among all.
    fn input(&self, host: &HostRecord, window: Window, loads: &roles::Loads) -> RuleInput {
        let agent = Version::parse(&host.facts.agent_version).zip(self.newest);
        RuleInput {
            host_id: host.id.clone(),
            window,
            past: None,
            unusual: None,
            agent: agent.map(|(own, newest)| Agent { own, newest }),
            group: self.roles.group(loads.member(host)),
            first_seen_ms: host.first_seen_ms,
            last_sample_ms: host.last_sample_ms,
            last_received_ms: host.last_received_ms,
            clock_skew_ms: host.clock_skew_ms,
            watching_since_ms: self.watching_since_ms,
            retired_ms: host.retired_ms,
        }
    }
}

/// Judges every host and saves what was found.
pub(super) async fn assess(
    store: &Store,
    hosts: &[HostRecord],
    judging: &Judging,
    turn: &mut Turn<'_>,
) -> Result<(), StoreError> {
    let now_ms = turn.now_ms;
    let fleet = Fleet::of(store, hosts, turn).await?;
    // By host: a part must not look through the findings of all others.
    let mut verdicts: HashMap<String, Vec<Finding>> = HashMap::new();
    for finding in store.verdicts().await? {
        let of_host = verdicts.entry(finding.host_id.clone()).or_default();
        of_host.push(finding);
    }
    store.keep_outcomes(&hosts.iter().map(|host| host.id.as_str()).collect());
    begin_together(turn, &fleet.role_of, hosts, verdicts.values().flatten());
    for part in parts(hosts) {
        let of_host = |host: &HostRecord| verdicts.remove(&host.id).unwrap_or_default();
        let previous: Vec<Finding> = part.iter().flat_map(of_host).collect();
        let mut windows = windows(store, part, &previous, now_ms).await?;
        // Hosts of one policy are judged together.
        let mut inputs: BTreeMap<Chosen, Vec<RuleInput>> = BTreeMap::new();
        for host in part {
            let window = windows.remove(&host.name);
            let window = window.unwrap_or_else(|| empty(host, now_ms));
            let mut input = fleet.input(host, window, turn.loads);
            turn.add_past(store, host, &mut input).await;
            let chosen = judging.chosen(&host.name, &host.labels);
            inputs.entry(chosen).or_default().push(input);
        }
        let mut found = judge(&inputs, &previous, judging, now_ms);
        turn.together
            .fold(&mut found, &previous, &fleet.role_of, now_ms);
        store.note_outcomes(&found.outcomes, now_ms);
        announce(&found.findings, &previous);
        if !found.findings.is_empty() {
            store.save_findings(found.findings, now_ms).await?;
        }
    }
    Ok(())
}

/// Begins with the entries that are open. What may still belong to one is to be known soon.
fn begin_together<'a>(
    turn: &mut Turn<'_>,
    role_of: &RolesById,
    hosts: &[HostRecord],
    open: impl Iterator<Item = &'a Finding>,
) {
    let unknown = turn.watches.unknown(hosts, turn.now_ms);
    let unknown: Vec<(&HostRecord, &Arc<str>)> = unknown
        .filter_map(|host| Some((host, role_of.get(&host.id)?)))
        .collect();
    let roles = unknown.iter().map(|(_, role)| Arc::clone(role));
    turn.together.begin(open, role_of, roles.collect());
    let of_entries = unknown
        .iter()
        .filter(|(_, role)| turn.together.has_entry(role));
    let ids = of_entries.map(|(host, _)| host.id.clone()).collect();
    turn.watches.wait_for(ids);
}

/// Judges hosts by the policies that are chosen for them.
fn judge(
    inputs: &BTreeMap<Chosen, Vec<RuleInput>>,
    previous: &[Finding],
    judging: &Judging,
    now_ms: i64,
) -> Assessment {
    let mut found = Assessment::default();
    for (chosen, inputs) in inputs {
        let policy = judging.policy(chosen).unwrap_or_else(|error| {
            // The configuration was held against this when it was read.
            tracing::error!(%error, "an override cannot be used: judging without it");
            judging.base.clone()
        });
        found.add(rules::assess(inputs, previous, &policy, now_ms));
    }
    found
}

/// The newest agent of hosts that were heard of within a day, or the collector's own version.
fn newest_agent(hosts: &[HostRecord], now_ms: i64) -> Option<Version> {
    let heard = hosts
        .iter()
        .filter(|host| host.is_heard_since(now_ms - WATCH_MS));
    let agents = heard.map(|host| host.facts.agent_version.as_str());
    agents
        .chain([env!("CARGO_PKG_VERSION")])
        .filter_map(Version::parse)
        .max()
}

/// Hosts in parts that fit in memory.
fn parts(hosts: &[HostRecord]) -> Vec<&[HostRecord]> {
    let mut parts = Vec::new();
    let (mut begin, mut samples) = (0, 0);
    for (i, host) in hosts.iter().enumerate() {
        let expected = WINDOW_MS / host.interval_ms.max(1) * SERIES_EXPECTED;
        if samples + expected > SAMPLES_PART && i > begin {
            parts.push(&hosts[begin..i]);
            (begin, samples) = (i, 0);
        }
        samples += expected;
    }
    if begin < hosts.len() {
        parts.push(&hosts[begin..]);
    }
    parts
}

async fn windows(
    store: &Store,
    part: &[HostRecord],
    previous: &[Finding],
    now_ms: i64,
) -> Result<BTreeMap<String, Window>, StoreError> {
    let judged = part.iter().filter(|host| host.retired_ms.is_none());
    let hosts: Vec<String> = judged.map(|host| host.name.clone()).collect();
    if hosts.is_empty() {
        // No names would mean all hosts.
        return Ok(BTreeMap::new());
    }
    let query = WindowQuery {
        hosts,
        metrics: rules::metrics().into_iter().map(str::to_owned).collect(),
        from_ms: now_ms - WINDOW_MS,
        to_ms: now_ms + FUTURE_MS,
        samples_max: SAMPLES_MAX,
    };
    let windows = store.windows(query).await?;
    let mut windows = windows.into_iter().map(|w| (w.host.clone(), w)).collect();
    lengthen(store, &mut windows, previous, now_ms).await?;
    Ok(windows)
}

/// Gives the hosts that have booted lately what rules about boots look at.
async fn lengthen(
    store: &Store,
    windows: &mut BTreeMap<String, Window>,
    previous: &[Finding],
    now_ms: i64,
) -> Result<(), StoreError> {
    let booted = windows.values().filter(|w| rules::wants_long(w, previous));
    let hosts: Vec<String> = booted.map(|w| w.host.clone()).collect();
    if hosts.is_empty() {
        return Ok(());
    }
    let query = WindowQuery {
        hosts,
        metrics: vec![LONG_METRIC.to_owned()],
        from_ms: now_ms - LONG_MS,
        to_ms: now_ms + FUTURE_MS,
        samples_max: SAMPLES_MAX,
    };
    for long in store.windows(query).await? {
        let Some(window) = windows.get_mut(&long.host) else {
            continue;
        };
        window.series.retain(|s| s.name.metric != LONG_METRIC);
        window.series.extend(long.series);
        window.series.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(())
}

/// What is known of a host that has sent nothing.
fn empty(host: &HostRecord, now_ms: i64) -> Window {
    Window {
        host: host.name.clone(),
        from_ms: now_ms - WINDOW_MS,
        to_ms: now_ms + FUTURE_MS,
        interval_ms: host.interval_ms,
        series: Vec::new(),
    }
}

/// Tells the log what opened and what closed.
fn announce(found: &[Finding], previous: &[Finding]) {
    let same = |a: &Finding, b: &Finding| {
        a.rule == b.rule
            && a.host_id == b.host_id
            && a.subject == b.subject
            && a.since_ms == b.since_ms
    };
    for finding in found.iter().filter(|f| f.state != State::Pending) {
        let before = previous.iter().find(|p| same(p, finding)).map(|p| p.state);
        let was_open = before == Some(State::Open);
        let (host, rule, subject) = (&finding.host, &finding.rule, &finding.subject);
        match finding.state {
            State::Open if !was_open => {
                tracing::warn!(host, rule, subject, severity = ?finding.severity, "risk: {}", finding.summary);
            }
            State::Closed if was_open => {
                tracing::info!(host, rule, subject, "risk closed: {}", finding.summary);
            }
            _ => {}
        }
    }
}
