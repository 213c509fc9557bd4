//! A backtest: what the rules, the detector of the unusual and the forecast of what fills would have
//! told of a host's past, at the moments they would have told it. The core judges; here its past is
//! read, stretch by stretch, in bounded memory.

mod cases;
mod fellows;
mod judged;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::AnswerError;
use super::aside::aside;
use super::host::nearest;
use super::range::Moment;
use crate::forecast::DAY_MS;
use crate::rules::replay::{Fellows, Played, told};
use crate::rules::{self, Judging, Maintenance, Member, Roles, RolesById, Severity, Stretch};
use crate::store::{Chosen, HostRecord, Store, StoreError};

pub use cases::{Case, Cases};
use judged::{Judged, Quiet};
use read::Stretches;

/// Unless it is said how often, the rules run once in each minute in which a host was sampled.
pub const EVERY_MS: i64 = 60_000;

/// What is asked about a part of the past begins so long before it: the detector remembers two weeks,
/// the forecasts one.
const BEFORE_MS: i64 = 21 * DAY_MS;

/// A question for what would have been found.
#[derive(Clone, Debug)]
pub struct BacktestQuestion {
    /// By which levels.
    pub judging: Arc<Judging>,
    /// When nobody is told.
    pub maintenance: Arc<[Maintenance]>,
    /// How often the rules run, at most.
    pub every_ms: i64,
    /// Only what was on then or later.
    pub from: Option<Moment>,
    /// Nothing later is known.
    pub to: Option<Moment>,
}

/// What would have been found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The host; of a case, the case.
    pub host: String,
    /// What it was found about: what the series was called where it came from; of a rule, a selector
    /// of the samples it looked at.
    pub metric: String,
    /// The rule's name, or `anomaly`, or `exhaustion`.
    pub rule: String,
    /// What on the host, empty for the whole host.
    pub subject: String,
    /// The worst it was.
    pub severity: Severity,
    /// When it would have been raised, by the time of the data.
    pub start_ms: i64,
    /// When it would have been over; nothing where it was not.
    pub end_ms: Option<i64>,
    /// When it would be full, as was said when it was raised.
    pub eta_ms: Option<i64>,
    /// Whether a message would have begun with it, by default: at least a warning, at most once an
    /// hour while it comes and goes; the same on three hosts at once is one message, and so is all else
    /// of one host; never in a maintenance. Of a case whether there would have been a warning.
    pub notified: bool,
    /// When somebody would have been told, in that message or in another's; nothing where nobody would
    /// have been.
    pub told_ms: Option<i64>,
    /// What was said.
    pub summary: String,
}

/// What a host's past came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backtested {
    /// By when it was raised.
    pub found: Vec<Found>,
    /// Series that were read.
    pub series: usize,
    /// Samples that were read.
    pub samples: u64,
    /// How often the rules were run.
    pub turns: u64,
    /// The oldest and the newest sample read.
    pub span_ms: Option<(i64, i64)>,
}

/// A database whose past is replayed, host by host.
#[derive(Clone, Debug)]
pub struct Backtest {
    store: Store,
    question: BacktestQuestion,
    hosts: Arc<Vec<HostRecord>>,
    /// The oldest sample of all; nothing where there is none.
    oldest_ms: Option<i64>,
    /// Until then the collector was watching; nothing where none ever was.
    watched_ms: Option<i64>,
    /// What moments are counted back from.
    now_ms: i64,
    /// Hosts beside each other, as far as they were looked at.
    fellows: Arc<Fellows>,
}

impl Backtest {
    /// Looks at what there is. `now_ms` is the moment the database speaks for.
    ///
    /// # Errors
    /// `Asked` when the range ends before it begins; what the store says.
    pub async fn new(
        store: Store,
        question: BacktestQuestion,
        now_ms: i64,
    ) -> Result<Backtest, AnswerError> {
        let hosts = Arc::new(store.hosts().await?);
        let census = store.census().await?;
        let samples = census.rows.iter().filter(|row| row.tier_ms.is_none());
        let oldest_ms = samples.filter_map(|row| row.oldest_ms).min();
        let spans = store.watch_spans(0, i64::MAX).await?;
        let backtest = Backtest {
            store,
            question,
            hosts,
            oldest_ms,
            watched_ms: spans.iter().map(|span| span.to_ms).max(),
            now_ms,
            fellows: Arc::default(),
        };
        if let (Some(from_ms), Some(to_ms)) = (backtest.since_ms(), backtest.until_ms())
            && from_ms > to_ms
        {
            return Err(AnswerError::Asked("the range ends before it begins".into()));
        }
        Ok(backtest)
    }

    fn at(&self, moment: Moment) -> i64 {
        match moment {
            Moment::AgoMs(ago_ms) => self.now_ms.saturating_sub(ago_ms),
            Moment::AtMs(at_ms) => at_ms,
        }
    }

    fn since_ms(&self) -> Option<i64> {
        self.question.from.map(|from| self.at(from))
    }

    fn until_ms(&self) -> Option<i64> {
        self.question.to.map(|to| self.at(to))
    }

    /// Of which role hosts are, by name, as far as they have one.
    pub fn roles(&self) -> RolesById {
        fn member(host: &HostRecord) -> Member<'_> {
            Member {
                labels: &host.labels,
                carries: None,
            }
        }
        let all = Roles::of(self.hosts.iter().map(member));
        all.names(self.hosts.iter().map(|host| (&*host.name, member(host))))
    }

    /// The names of the hosts that are there; retired ones too, their past is one.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.name.as_str())
    }

    fn named(&self, name: &str) -> Result<&HostRecord, AnswerError> {
        let found = self.hosts.iter().find(|host| host.name == name);
        found.ok_or_else(|| {
            AnswerError::Store(StoreError::NoHost {
                nearest: nearest(name, self.hosts()).map(str::to_owned),
                name: name.to_owned(),
            })
        })
    }

    /// What would have been found on a host; beside others of its role only after
    /// [`Backtest::look_beside`].
    ///
    /// # Errors
    /// `NoHost` with the nearest name; what the store says.
    pub async fn host(&self, name: &str) -> Result<Backtested, AnswerError> {
        let host = self.named(name)?;
        let Some(mut stretches) = self.stretches(host, read::judged()) else {
            return Ok(Backtested::default());
        };
        let played = Played {
            host_id: host.id.clone(),
            host: host.name.clone(),
            interval_ms: host.interval_ms,
            retired_ms: host.retired_ms,
            fellows: Arc::clone(&self.fellows),
        };
        let judging = &self.question.judging;
        let policy = judging.policy(&judging.chosen(&host.name, &host.labels));
        let policy = policy.map_err(|e| AnswerError::Asked(format!("an override: {e}")))?;
        let mut judged = Judged::new(played, Arc::new(policy), self.question.every_ms);
        while let Some((window, end_ms)) = stretches.next().await? {
            judged = off(move || {
                judged.take(window, end_ms);
                judged
            })
            .await?;
        }
        let from_ms = self.since_ms().unwrap_or(i64::MIN);
        let quiet = Quiet {
            maintenance: Arc::clone(&self.question.maintenance),
            labels: host.labels.clone(),
        };
        off(move || judged.finish(from_ms, &quiet)).await
    }

    /// The parts of a host's past, as far as they are asked for.
    fn stretches(&self, host: &HostRecord, chosen: Chosen) -> Option<Stretches> {
        let range = self.range(host)?;
        let (store, name) = (self.store.clone(), host.name.clone());
        Some(Stretches::new(store, name, range, chosen))
    }

    /// From when to when a host is looked at.
    fn range(&self, host: &HostRecord) -> Option<(i64, i64)> {
        let newest_ms = host.last_sample_ms?;
        // After its last sample a host was only silent while somebody was watching.
        let end_ms = newest_ms.max(self.watched_ms.unwrap_or(newest_ms));
        let to_ms = self.until_ms().map_or(end_ms, |to_ms| to_ms.min(end_ms));
        let oldest_ms = self.oldest_ms?;
        let from_ms = self
            .since_ms()
            .map_or(oldest_ms, |from_ms| from_ms.saturating_sub(BEFORE_MS));
        Some((from_ms.max(oldest_ms), to_ms))
    }
}

/// Makes one of the unusual that begins together on hosts of one role, as a collector does.
fn together(found: &mut Vec<Found>, roles: &RolesById) {
    let anomalies = found.iter().enumerate();
    let anomalies: Vec<usize> = anomalies
        .filter(|(_, one)| one.rule == judged::ANOMALY)
        .map(|(at, _)| at)
        .collect();
    let stretch = |at: &usize| Stretch {
        role: roles.get(&found[*at].host).cloned(),
        host: found[*at].host.clone(),
        start_ms: found[*at].start_ms,
    };
    let stretches: Vec<Stretch> = anomalies.iter().map(stretch).collect();
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (one, leader) in rules::entries(&stretches).into_iter().enumerate() {
        if let Some(leader) = leader {
            let of = parts.entry(anomalies[leader]).or_default();
            of.push(anomalies[one]);
        }
    }
    for (leader, of) in &parts {
        let ends = of.iter().chain([leader]).map(|at| found[*at].end_ms);
        let end_ms = ends.reduce(|a, b| Some(a?.max(b?))).flatten();
        let mut hosts: Vec<&str> = of.iter().map(|at| found[*at].host.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let role = roles.get(&found[*leader].host).map_or("", |role| role);
        let with_it = rules::with_it(role, &hosts);
        found[*leader].end_ms = end_ms;
        found[*leader].summary += &with_it;
    }
    let parts: BTreeSet<usize> = parts.into_values().flatten().collect();
    let mut at = 0;
    found.retain(|_| {
        at += 1;
        !parts.contains(&(at - 1))
    });
}

/// Puts what was found on the hosts of a fleet together: what is one entry of the register is one, and
/// of what is told is left marked what a message begins with. `roles` are the hosts that have one, by name.
pub fn group(found: &mut Vec<Found>, roles: &RolesById) {
    together(found, roles);
    let all = found.iter().enumerate();
    let mut told: Vec<(i64, usize)> = all.filter_map(|(at, f)| Some((f.told_ms?, at))).collect();
    told.sort_unstable();
    let news = told.iter().map(|(at_ms, at)| told::News {
        at_ms: *at_ms,
        host: &found[*at].host,
        rule: &found[*at].rule,
    });
    let begins = told::messages(&news.collect::<Vec<_>>());
    for ((_, at), begins) in told.into_iter().zip(begins) {
        found[at].notified = begins;
    }
}

/// Does what takes a while, which whoever reads for another host should not wait for.
async fn off<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AnswerError> {
    aside("the backtest", work).await
}
