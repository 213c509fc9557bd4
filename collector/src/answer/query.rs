//! Samples by selector: which series are meant, and what becomes of them.

use std::collections::BTreeMap;

use hostwell_proto::metric::{CATALOGUE, Metric, Unit};
use serde::{Deserialize, Serialize};

use super::AnswerError;
use super::host::nearest;
use super::range::Range;
use crate::series::{
    Agg, Grid, Kind, Matcher, Selector, SelectorError, Series, SeriesName, combine,
};
use crate::store::{HostRecord, Store, WindowQuery};

/// Most samples one query reads.
const READ_MAX: usize = 5_000_000;
/// Most samples one query answers.
const ANSWERED_MAX: usize = 500_000;
/// Most steps a series is cut into.
const STEPS_MAX: i64 = 100_000;
/// Most labels to group by.
const BY_MAX: usize = 8;

/// A question for samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleQuestion {
    /// `metric{label="value",…}`; `host` and the hosts' own labels count as labels.
    pub selector: String,
    /// Over which time.
    pub range: Range,
    /// Length of a step in milliseconds; without one, and with `agg` or `by`, the whole range is
    /// one step.
    #[serde(default)]
    pub step_ms: Option<i64>,
    /// What becomes of the samples of a step; without step and `by` none means: as they are.
    #[serde(default)]
    pub agg: Option<Agg>,
    /// One series for each combination of these labels.
    #[serde(default)]
    pub by: Vec<String>,
}

/// Samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// The selector as it was understood.
    pub selector: String,
    /// First moment, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Last moment.
    pub to_ms: i64,
    /// Length of a step; none for samples as they are and for the whole range as one.
    pub step_ms: Option<i64>,
    /// What became of the samples of a step; none for samples as they are.
    pub agg: Option<Agg>,
    /// "seconds", "bytes", "bytes/s", …; empty for a metric that is not in the catalogue.
    pub unit: String,
    /// By host and labels.
    pub series: Vec<SampleSeries>,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleSeries {
    /// Its labels, `host` among them unless it was grouped away.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since the Unix epoch; a step is named by its start.
    pub times_ms: Vec<i64>,
    /// One a time.
    pub values: Vec<f64>,
}

/// Answers a question for samples.
pub(super) async fn samples(
    store: &Store,
    question: SampleQuestion,
    now_ms: i64,
) -> Result<Samples, AnswerError> {
    let (from_ms, to_ms) = question.range.resolve(now_ms).map_err(AnswerError::Asked)?;
    let plan = plan(&question, from_ms, to_ms)?;
    let hosts = store.hosts().await?;
    let found = read(store, &plan, &question.by, &hosts).await?;
    let kind = found.first().map(|(series, _)| series.kind);
    let agg = match (question.agg, kind) {
        (None, Some(kind)) if plan.aggregates => Some(Agg::default_for(kind)),
        (asked, _) => asked,
    };
    let series = match agg {
        Some(agg) => aggregate(found, &plan, &question.by, agg),
        None => found.into_iter().map(|(series, _)| series).collect(),
    };
    let total: usize = series.iter().map(|s| s.times_ms.len()).sum();
    if total > ANSWERED_MAX {
        return Err(AnswerError::Asked(format!(
            "that is {total} samples, more than {ANSWERED_MAX}; shorten the range, narrow the \
             selector, or take --step"
        )));
    }
    Ok(Samples {
        selector: plan.selector.to_string(),
        from_ms,
        to_ms,
        step_ms: question.step_ms,
        agg,
        unit: unit(&plan.selector.metric, agg),
        series: series.into_iter().map(answered).collect(),
    })
}

/// What to read, and how to cut it.
struct Plan {
    selector: Selector,
    grid: Grid,
    aggregates: bool,
    whole: bool,
}

fn plan(question: &SampleQuestion, from_ms: i64, to_ms: i64) -> Result<Plan, AnswerError> {
    let selector: Selector = question
        .selector
        .parse()
        .map_err(|e| AnswerError::Asked(pointed(&e)))?;
    let asked = |text: String| Err(AnswerError::Asked(text));
    let step_ms = match question.step_ms {
        Some(step) if step <= 0 => return asked("a step must be longer than nothing".into()),
        Some(step) if (to_ms - from_ms) / step > STEPS_MAX => {
            return asked(format!(
                "that is {} steps, more than {STEPS_MAX}; take a longer --step or a shorter range",
                (to_ms - from_ms) / step
            ));
        }
        Some(step) => step,
        // A step begins at a multiple of its length since 1970: one so long holds every moment.
        None => i64::MAX / 4,
    };
    if question.by.len() > BY_MAX {
        return asked(format!("more than {BY_MAX} labels to group by"));
    }
    Ok(Plan {
        selector,
        grid: Grid {
            from_ms,
            to_ms,
            step_ms,
        },
        aggregates: question.step_ms.is_some() || !question.by.is_empty(),
        whole: question.step_ms.is_none(),
    })
}

/// The error with the selector below it and a mark where it is wrong.
fn pointed(error: &SelectorError) -> String {
    format!(
        "{error}\n  {}\n  {}^",
        error.text,
        " ".repeat(error.at.saturating_sub(1))
    )
}

/// Reads the series that are meant, each with its host's interval. A series carries its host as
/// the label `host`.
async fn read(
    store: &Store,
    plan: &Plan,
    by: &[String],
    hosts: &[HostRecord],
) -> Result<Vec<(Series, i64)>, AnswerError> {
    let mut selector = plan.selector.clone();
    let about_hosts = selector.take("host");
    let meant: Vec<&HostRecord> = hosts
        .iter()
        .filter(|host| about_hosts.iter().all(|m| m.matches(&host.name)))
        .collect();
    if meant.is_empty() {
        return match hosts.is_empty() {
            true => Ok(Vec::new()),
            false => Err(AnswerError::Asked(
                "no host matches the selector; `hostwell hosts` lists them".into(),
            )),
        };
    }
    let windows = store
        .windows(WindowQuery {
            hosts: meant.iter().map(|host| host.name.clone()).collect(),
            metrics: vec![selector.metric.clone()],
            from_ms: plan.grid.from_ms,
            to_ms: plan.grid.to_ms,
            samples_max: READ_MAX,
        })
        .await?;
    let mut found = Vec::new();
    let mut seen = false;
    for window in windows {
        let Some(host) = meant.iter().find(|host| host.name == window.host) else {
            continue;
        };
        seen |= !window.series.is_empty();
        let interval_ms = window.interval_ms;
        found.extend(
            window
                .series
                .into_iter()
                .filter(|series| is_meant(&selector.matchers, &series.name, host))
                .map(|series| (with_host(series, host, by), interval_ms)),
        );
    }
    if !seen {
        known(&selector.metric)?;
    }
    Ok(found)
}

/// A series' own label wins over its host's label of the same name.
fn is_meant(matchers: &[Matcher], name: &SeriesName, host: &HostRecord) -> bool {
    matchers.iter().all(|matcher| {
        let own = name.label(&matcher.label);
        let value = own.or_else(|| host.labels.get(&matcher.label).map(String::as_str));
        matcher.matches(value.unwrap_or(""))
    })
}

/// The series with its host's name as a label, and those of the host's labels it is grouped by.
fn with_host(mut series: Series, host: &HostRecord, by: &[String]) -> Series {
    let labels = &mut series.name.labels;
    for (name, value) in host.labels.iter().filter(|(name, _)| by.contains(name)) {
        if !labels.iter().any(|(known, _)| known == name) {
            labels.push((name.clone(), value.clone()));
        }
    }
    labels.retain(|(name, _)| name != "host");
    labels.push(("host".into(), host.name.clone()));
    labels.sort();
    series
}

/// A metric without a single sample is a slip of the hand unless the catalogue has it.
fn known(metric: &str) -> Result<(), AnswerError> {
    if Metric::by_name(metric).is_some() {
        return Ok(());
    }
    let near = nearest(metric, CATALOGUE.iter().map(|row| row.name));
    Err(AnswerError::Asked(match near {
        Some(near) => format!("no samples of a metric {metric:?}; did you mean {near:?}?"),
        None => format!("no samples of a metric {metric:?}; docs/metrics.md lists the catalogue"),
    }))
}

/// What an aggregation means in time and then across the series of a group. Means, extremes and
/// quantiles are over all samples; everything else adds up: the sum of a group's rates, counts,
/// newest values, and of its mean values (adding one gauge's samples up means nothing).
fn in_time_and_across(agg: Agg, kind: Kind) -> (Agg, Agg) {
    match agg {
        Agg::Sum if kind == Kind::Gauge => (Agg::Avg, Agg::Sum),
        Agg::Sum | Agg::Count | Agg::Last | Agg::Rate | Agg::Increase | Agg::Delta => {
            (agg, Agg::Sum)
        }
        Agg::Avg | Agg::Min | Agg::Max | Agg::P50 | Agg::P95 | Agg::P99 => (agg, agg),
    }
}

fn aggregate(found: Vec<(Series, i64)>, plan: &Plan, by: &[String], agg: Agg) -> Vec<Series> {
    let mut series: Vec<Series> = if by.is_empty() {
        found
            .iter()
            .map(|(series, interval_ms)| series.resample(plan.grid, agg, *interval_ms))
            .collect()
    } else {
        grouped(&found, plan, by, agg)
    };
    series.retain(|s| !s.times_ms.is_empty());
    if plan.whole {
        for one in &mut series {
            one.times_ms.fill(plan.grid.from_ms);
        }
    }
    series
}

fn grouped(found: &[(Series, i64)], plan: &Plan, by: &[String], agg: Agg) -> Vec<Series> {
    let kind = found.first().map_or(Kind::Gauge, |(series, _)| series.kind);
    let (in_time, across) = in_time_and_across(agg, kind);
    let quantile = matches!(agg, Agg::P50 | Agg::P95 | Agg::P99);
    let cut: Vec<Series> = found
        .iter()
        .map(|(series, interval_ms)| match quantile {
            // A quantile of quantiles is no quantile.
            true => pooled(series, plan.grid, *interval_ms),
            false => series.resample(plan.grid, in_time, *interval_ms),
        })
        .collect();
    let by: Vec<&str> = by.iter().map(String::as_str).collect();
    combine(&cut, &by, across)
}

/// Every sample (of a counter: every rate between neighbours) under the start of its step.
fn pooled(series: &Series, grid: Grid, interval_ms: i64) -> Series {
    let samples: Vec<(i64, f64)> = match series.kind {
        Kind::Counter => series
            .pairs(grid.from_ms, grid.to_ms, interval_ms)
            .filter_map(|pair| pair.rate().map(|rate| (pair.from_ms, rate)))
            .collect(),
        Kind::Gauge => series.points().collect(),
    };
    let (times_ms, values) = samples
        .into_iter()
        .map(|(time, value)| (grid.step_of(time), value))
        .unzip();
    Series {
        name: series.name.clone(),
        kind: Kind::Gauge,
        times_ms,
        values,
    }
}

fn unit(metric: &str, agg: Option<Agg>) -> String {
    let Some(metric) = Metric::by_name(metric) else {
        return String::new();
    };
    let row = metric.descriptor();
    let unit = match row.unit {
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes/s",
        Unit::Ratio => "ratio",
        Unit::Count => "count",
        Unit::Celsius => "celsius",
        Unit::Flag => "flag",
    };
    let rates = row.kind == Kind::Counter;
    match agg {
        Some(Agg::Count) => "count".into(),
        Some(Agg::Rate) => format!("{unit}/s"),
        Some(Agg::Avg | Agg::Min | Agg::Max | Agg::P50 | Agg::P95 | Agg::P99) if rates => {
            format!("{unit}/s")
        }
        _ => unit.into(),
    }
}

fn answered(series: Series) -> SampleSeries {
    SampleSeries {
        labels: series.name.labels.into_iter().collect(),
        times_ms: series.times_ms,
        values: series.values,
    }
}
