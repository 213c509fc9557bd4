//! Forecasts: where each resource of each host will be, when it runs out, and how well the same
//! method did on its past.

use hostwell_proto::metric::Metric;
use serde::{Deserialize, Serialize};

use super::AnswerError;
use super::host::record;
use crate::forecast::{
    self, Class, DAY_MS, DAYS_MIN, Forecast, HOUR_MS, Hours, Meets, Record, Trust,
};
use crate::rules::Policy;
use crate::series::{Agg, Grid, Series};
use crate::store::{AggregateQuery, Store, own_names};

/// How far is looked back: two months, and where replays of the last eight weeks look back from.
const BACK_MS: i64 = 130 * DAY_MS;
/// How far ahead is told.
const AHEAD_DAYS: [i64; 3] = [30, 90, 180];
/// Most samples that are read for one host: what is not rolled up yet.
const SAMPLES_MAX: usize = 20_000_000;

/// A part of a host that can run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Space of each writable filesystem.
    Disk,
    /// Memory.
    Memory,
    /// CPU time.
    Cpu,
    /// Each interface whose speed is known.
    Network,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Resource; 4] = [
        Resource::Disk,
        Resource::Memory,
        Resource::Cpu,
        Resource::Network,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Disk => "disk",
            Resource::Memory => "memory",
            Resource::Cpu => "cpu",
            Resource::Network => "network",
        }
    }
}

/// A question for forecasts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastQuestion {
    /// Names of hosts; none means all.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Only hosts that carry this label with this value.
    #[serde(default)]
    pub group: Option<(String, String)>,
    /// Only this resource.
    #[serde(default)]
    pub resource: Option<Resource>,
}

/// A level at a later moment; the truth lies in the band four times of five.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    /// Days from now.
    pub days: i64,
    /// The used part; beyond 1 when it would be full.
    #[serde(flatten)]
    pub used: Forecast,
    /// The part that is left then, 0 to 1.
    pub remaining: f64,
}

/// How the same method did on this level's past, a week ahead each time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastAccuracy {
    /// How far off it was, and how often its band held.
    #[serde(flatten)]
    pub record: Record,
    /// What that is worth.
    pub verdict: Trust,
}

/// The forecast itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Used part now: the median of the last day.
    pub level: f64,
    /// Expected change of a day.
    pub a_day: f64,
    /// The used part at which a warning would be raised.
    pub warning: f64,
    /// When the warning's level is met.
    pub warned: Meets,
    /// When it is full. Where the record is short or bad this is empty: nobody should plan on it.
    pub full: Option<Meets>,
    /// Later levels.
    pub ahead: Vec<Ahead>,
    /// How well this went so far.
    pub record: PastAccuracy,
    /// The medians of the last days, oldest first: (milliseconds since the Unix epoch, used part).
    pub past: Vec<(i64, f64)>,
}

/// One resource of one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastLine {
    /// The host.
    pub host: String,
    /// What may run out.
    pub resource: Resource,
    /// Which one: the mount point, the interface; empty where there is only one.
    pub subject: String,
    /// The forecast; none where there is too little history.
    pub outlook: Option<Outlook>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What is asked of the history for a resource.
struct Watched {
    resource: Resource,
    metric: Metric,
    class: Class,
    /// The label that tells one from the other.
    subject: Option<&'static str>,
    warning: fn(&Policy) -> f64,
}

/// A link this busy is looked at; no rule judges it.
const NETWORK_WARNING: f64 = 0.8;

const WATCHED: [Watched; 4] = [
    Watched {
        resource: Resource::Disk,
        metric: Metric::FilesystemUsedRatio,
        class: Class::Store,
        subject: Some("mountpoint"),
        warning: |policy| policy.disk_full.warning.raise,
    },
    Watched {
        resource: Resource::Memory,
        metric: Metric::MemoryUsedRatio,
        class: Class::Usage,
        subject: None,
        warning: |policy| policy.memory_low.warning.raise,
    },
    Watched {
        resource: Resource::Cpu,
        metric: Metric::CpuBusyRatio,
        class: Class::Usage,
        subject: None,
        warning: |policy| policy.cpu_saturation.warning.raise,
    },
    Watched {
        resource: Resource::Network,
        metric: Metric::NetSpeedRatio,
        class: Class::Usage,
        subject: Some("device"),
        warning: |_| NETWORK_WARNING,
    },
];

/// Answers a question for forecasts, what runs out first first.
pub(super) async fn forecasts(
    store: &Store,
    question: ForecastQuestion,
    now_ms: i64,
) -> Result<Vec<ForecastLine>, AnswerError> {
    let hosts = chosen(store, &question).await?;
    let mut lines = Vec::new();
    for host in hosts {
        let wanted = |of: &&Watched| question.resource.is_none_or(|only| only == of.resource);
        for watched in WATCHED.iter().filter(wanted) {
            lines.extend(of_host(store, &host, watched, now_ms).await?);
        }
    }
    let soonest = |line: &ForecastLine| {
        let full = line.outlook.as_ref().and_then(|o| o.full);
        let dates = full.unwrap_or_default();
        let far = |ms: Option<i64>| ms.unwrap_or(i64::MAX);
        (far(dates.expected_ms), far(dates.earliest_ms))
    };
    lines.sort_by_cached_key(|line| {
        let of = (line.host.clone(), line.resource, line.subject.clone());
        (line.outlook.is_none(), soonest(line), of)
    });
    Ok(lines)
}

/// The hosts that are meant, by name; retired ones only when they are named.
async fn chosen(store: &Store, question: &ForecastQuestion) -> Result<Vec<String>, AnswerError> {
    let mut records = Vec::new();
    if question.hosts.is_empty() {
        records = store.hosts().await?;
        records.retain(|r| r.retired_ms.is_none());
    }
    for name in &question.hosts {
        records.push(record(store, name).await?);
    }
    if let Some((label, value)) = &question.group {
        records.retain(|r| r.labels.get(label) == Some(value));
    }
    let names: Vec<String> = records.into_iter().map(|r| r.name).collect();
    match (&question.group, names.is_empty()) {
        (Some((label, value)), true) => Err(AnswerError::Asked(format!(
            "no host has the label {label}=\"{value}\""
        ))),
        _ => Ok(names),
    }
}

/// The lines of one resource of a host.
async fn of_host(
    store: &Store,
    host: &str,
    watched: &Watched,
    now_ms: i64,
) -> Result<Vec<ForecastLine>, AnswerError> {
    let query = AggregateQuery {
        hosts: vec![host.to_owned()],
        metric: watched.metric.name().to_owned(),
        grid: Grid {
            from_ms: now_ms.saturating_sub(BACK_MS),
            to_ms: now_ms,
            step_ms: HOUR_MS,
        },
        agg: Some(Agg::Avg),
        under: own_names(),
        samples_max: SAMPLES_MAX,
    };
    let found = store.aggregate(query).await?;
    let mut lines: Vec<ForecastLine> = Vec::new();
    for series in &found.series {
        let subject = watched.subject.and_then(|label| series.name.label(label));
        let subject = subject.unwrap_or_default().to_owned();
        // A filesystem that is mounted twice runs out once.
        if lines.iter().any(|line| line.subject == subject) {
            continue;
        }
        let outlook = outlook(series, watched, now_ms);
        lines.push(ForecastLine {
            host: host.to_owned(),
            resource: watched.resource,
            subject,
            why: outlook.is_none().then(|| {
                format!("a forecast needs {DAYS_MIN} days of history, the last of them until now")
            }),
            outlook,
        });
    }
    Ok(lines)
}

/// The outlook of hourly means, each named by the hour's beginning.
fn outlook(series: &Series, watched: &Watched, now_ms: i64) -> Option<Outlook> {
    const FULL: f64 = 1.0;
    let hours = Hours::of(series.points());
    let fit = watched.class.fit(&hours, now_ms)?;
    let record = forecast::record(&hours, watched.class, now_ms);
    let trust = record.trust(FULL);
    let warning = (watched.warning)(&Policy::default());
    let ahead = AHEAD_DAYS.map(|days| {
        let at = fit.at(days * DAY_MS);
        Ahead {
            days,
            used: at,
            remaining: (FULL - at.value).clamp(0.0, FULL),
        }
    });
    Some(Outlook {
        level: fit.level,
        a_day: fit.a_day,
        warning,
        warned: forecast::meets(&fit, now_ms, warning),
        full: (trust == Trust::Good).then(|| forecast::meets(&fit, now_ms, FULL)),
        ahead: ahead.to_vec(),
        record: PastAccuracy {
            record,
            verdict: trust,
        },
        past: hours.past_days(now_ms),
    })
}

#[cfg(test)]
mod tests;
