//! Every host in one line.

mod board;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use board::Board;

use super::{AnswerError, Setup};
use crate::indicators::{self, Indicator, Indicators, Verdict};
use crate::rules::{Finding, RuleInput, Severity, State, host_down};
use crate::series::Window;
use crate::store::{HostRecord, Store, WindowQuery};

/// Where a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// Its data is fresh.
    Up,
    /// Its data is overdue, and the collector was watching all the while.
    Down,
    /// No sample has come yet, or none since the collector is back.
    Waiting,
    /// Taken out by an operator.
    Retired,
}

/// The worst open finding of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// Its number in the register.
    pub id: i64,
    /// How bad.
    pub severity: Severity,
    /// Which rule.
    pub rule: String,
    /// One sentence with the number in it.
    pub summary: String,
}

/// One of the five indicators, as much as fits a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndicatorLine {
    /// "CPU", "Load", "Memory", "Network", "Disk".
    pub name: String,
    /// How it stands.
    pub verdict: Verdict,
    /// The headline as a cell ("42 %"); "-" when unknown.
    pub short: String,
    /// The headline, in `unit`.
    pub value: Option<f64>,
    /// "ratio", "count" (load a core), "bytes_per_second".
    pub unit: String,
    /// One sentence with the numbers in it, or why there are none.
    pub words: String,
}

impl From<&Indicator> for IndicatorLine {
    fn from(indicator: &Indicator) -> IndicatorLine {
        IndicatorLine {
            name: indicator.name.clone(),
            verdict: indicator.verdict,
            short: indicator.short.clone(),
            value: indicator.value,
            unit: indicator.unit.clone(),
            words: indicator.words.clone(),
        }
    }
}

/// One host in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostLine {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: HostState,
    /// The newest sample, milliseconds since the Unix epoch, host's clock.
    pub last_sample_ms: Option<i64>,
    /// How old that is, a wrong clock of the host allowed for.
    pub age_ms: Option<i64>,
    /// Declared sampling interval.
    pub interval_ms: i64,
    /// The operator's over the agent's.
    pub labels: BTreeMap<String, String>,
    /// CPU, load, memory, network, disk; empty for a retired host.
    pub indicators: Arc<[IndicatorLine]>,
    /// How many findings are open.
    pub open_findings: usize,
    /// The worst of them.
    pub worst: Option<Worst>,
}

/// Samples of so many hosts are held at a time.
const HOSTS_AT_ONCE: usize = 100;
/// Most samples of those: a few minutes of a few hundred series each.
const SAMPLES_MAX: usize = 20_000_000;
/// What "now" needs behind it at least; slow subjects are read once a minute.
const RECENT_MS: i64 = 180_000;
/// And so many intervals.
const RECENT_INTERVALS: i64 = 13;
/// A longer interval than this is no reason to read more.
const RECENT_MS_MAX: i64 = 3_600_000;

/// What a state is judged by, beside the host itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The moment of the answer, collector's clock.
    pub(super) now_ms: i64,
    /// Since when the collector has been watching; none when it is not.
    pub(super) watching_since_ms: Option<i64>,
    /// When silence means down.
    pub(super) silence: host_down::Levels,
}

impl Moment {
    /// Asks the store.
    pub(super) async fn of(
        store: &Store,
        setup: &Setup,
        now_ms: i64,
    ) -> Result<Moment, AnswerError> {
        let spans = store.watch_spans(now_ms - RECENT_MS, now_ms).await?;
        Ok(Moment {
            now_ms,
            watching_since_ms: spans.last().map(|span| span.from_ms),
            silence: setup.silence,
        })
    }

    /// This moment by the host's clock.
    pub(super) fn by_clock_of(&self, host: &HostRecord) -> i64 {
        self.now_ms + rule_input(host, self.watching_since_ms).skew_ms()
    }

    /// How old the newest sample is.
    pub(super) fn age_ms(&self, host: &HostRecord) -> Option<i64> {
        let last_ms = host.last_sample_ms?;
        Some((self.by_clock_of(host) - last_ms).max(0))
    }

    /// How long a host may be silent before it counts as down.
    pub(super) fn grace_ms(&self, host: &HostRecord) -> i64 {
        self.silence.grace_ms(host.interval_ms)
    }

    /// Where a host stands.
    pub(super) fn state(&self, host: &HostRecord) -> HostState {
        let Some(age_ms) = self.age_ms(host) else {
            return match host.retired_ms {
                Some(_) => HostState::Retired,
                None => HostState::Waiting,
            };
        };
        let grace_ms = self.grace_ms(host);
        let watched_ms = self
            .watching_since_ms
            .map_or(0, |since| self.now_ms - since);
        if host.retired_ms.is_some() {
            HostState::Retired
        } else if age_ms <= grace_ms {
            HostState::Up
        } else if watched_ms > grace_ms {
            HostState::Down
        } else {
            HostState::Waiting
        }
    }
}

/// The host as the rules see it, without samples.
fn rule_input(host: &HostRecord, watching_since_ms: Option<i64>) -> RuleInput {
    RuleInput {
        past: None,
        unusual: None,
        agent: None,
        group: None,
        host_id: host.id.clone(),
        window: Window {
            host: host.name.clone(),
            from_ms: 0,
            to_ms: 0,
            interval_ms: host.interval_ms,
            series: Vec::new(),
        },
        first_seen_ms: host.first_seen_ms,
        last_sample_ms: host.last_sample_ms,
        last_received_ms: host.last_received_ms,
        clock_skew_ms: host.clock_skew_ms,
        watching_since_ms,
        retired_ms: host.retired_ms,
    }
}

/// Every host, by name.
pub(super) async fn hosts(
    store: &Store,
    setup: &Setup,
    now_ms: i64,
) -> Result<Vec<HostLine>, AnswerError> {
    let records = store.hosts().await?;
    let findings = store.findings(None).await?;
    let moment = Moment::of(store, setup, now_ms).await?;
    let mut open: HashMap<&str, Vec<&Finding>> = HashMap::new();
    for finding in findings.iter().filter(|f| f.state == State::Open) {
        open.entry(&finding.host_id).or_default().push(finding);
    }
    let judged: Vec<&HostRecord> = records.iter().filter(|h| h.retired_ms.is_none()).collect();
    let standing = setup.board.standing(store, &judged, moment).await?;
    let of = |host: &HostRecord| open.get(host.id.as_str()).map_or(&[][..], Vec::as_slice);
    Ok(records
        .iter()
        .map(|host| line(host, standing.of(&host.id), of(host), moment))
        .collect())
}

/// The indicators of some hosts now, by their ids.
async fn current(
    store: &Store,
    hosts: &[&HostRecord],
    moment: Moment,
) -> Result<Vec<(String, Indicators)>, AnswerError> {
    let interval_ms = hosts.iter().map(|h| h.interval_ms).max().unwrap_or(0);
    let recent_ms = (RECENT_INTERVALS * interval_ms).clamp(RECENT_MS, RECENT_MS_MAX);
    // Hosts with a wrong clock are judged by their own.
    let clocks = hosts.iter().map(|host| moment.by_clock_of(host));
    let (from_ms, to_ms) = clocks.fold((moment.now_ms, moment.now_ms), |(from, to), at| {
        (from.min(at), to.max(at))
    });
    let windows = store
        .windows(WindowQuery {
            hosts: hosts.iter().map(|host| host.name.clone()).collect(),
            metrics: owned(indicators::metrics()),
            from_ms: from_ms - recent_ms,
            to_ms,
            samples_max: SAMPLES_MAX,
        })
        .await?;
    Ok(windows
        .into_iter()
        .filter_map(|window| {
            let host = hosts.iter().find(|host| host.name == window.host)?;
            let indicators = indicators::indicators(&window, moment.by_clock_of(host));
            Some((host.id.clone(), indicators))
        })
        .collect())
}

/// Names of metrics as a query takes them.
pub(super) fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn line(
    host: &HostRecord,
    indicators: Option<&Arc<[IndicatorLine]>>,
    open: &[&Finding],
    moment: Moment,
) -> HostLine {
    HostLine {
        id: host.id.clone(),
        name: host.name.clone(),
        state: moment.state(host),
        last_sample_ms: host.last_sample_ms,
        age_ms: moment.age_ms(host),
        interval_ms: host.interval_ms,
        labels: host.labels.clone(),
        indicators: indicators.map_or_else(Arc::default, Arc::clone),
        open_findings: open.len(),
        worst: worst(open),
    }
}

/// The most severe, and of those the oldest.
fn worst(open: &[&Finding]) -> Option<Worst> {
    open.iter()
        .max_by_key(|f| (f.severity, std::cmp::Reverse(f.since_ms)))
        .map(|f| Worst {
            id: f.id,
            severity: f.severity,
            rule: f.rule.clone(),
            summary: f.summary.clone(),
        })
}
