//! Long ranges: answered in steps by the store, which need not read samples for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Plan, READ_MAX, SampleQuestion, in_time_and_across, is_meant, known, meant, with_host,
};
use crate::answer::AnswerError;
use crate::series::{Agg, Grid, Kind, Selector, Series, SeriesName, combine};
use crate::store::{AggregateQuery, Aggregated, HostName, Store, Under};
use hostwell_proto::metric::Metric;

/// Up to here samples are read: exact, and no slower.
const SAMPLES_RANGE_MS: i64 = 2 * 86_400_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// A group's mean is taken minute by minute while that is at most so many values.
const MEANS_MAX: i64 = 5_000_000;

/// A kind for what is not known yet: by the catalogue, else by the name.
fn kind_of(metric: &str) -> Kind {
    match Metric::by_name(metric) {
        Some(metric) => metric.descriptor().kind,
        None if metric.ends_with("_total") => Kind::Counter,
        None => Kind::Gauge,
    }
}

fn is_quantile(agg: Agg) -> bool {
    matches!(agg, Agg::P50 | Agg::P95 | Agg::P99)
}

/// Whether the question is one that steps can answer, and samples not, or not as well.
fn suits(plan: &Plan, question: &SampleQuestion, gone: bool) -> bool {
    let long = gone || plan.grid.to_ms.saturating_sub(plan.grid.from_ms) > SAMPLES_RANGE_MS;
    let told = match question.agg {
        None => plan.aggregates,
        Some(Agg::Last | Agg::Delta | Agg::Deriv) => false,
        Some(Agg::Rate | Agg::Increase) => kind_of(&plan.selector.metric) == Kind::Counter,
        Some(_) => true,
    };
    question.of_mean || (long && told && !plan.selector.metric.is_empty())
}

/// The answer from steps; nothing when samples answer better. `since_ms`: samples begin there, and
/// the range before.
pub(super) async fn answer(
    store: &Store,
    plan: &Plan,
    question: &SampleQuestion,
    (hosts, since_ms): (&[HostName], Option<i64>),
) -> Result<Option<Aggregated>, AnswerError> {
    let quantile = question.agg.is_some_and(is_quantile);
    if question.of_mean && (!quantile || plan.selector.metric.is_empty()) {
        return Err(AnswerError::Asked(
            "the quantile of a group's mean needs --agg p50, p95 or p99, --by, and one metric"
                .into(),
        ));
    }
    if !suits(plan, question, since_ms.is_some()) {
        return Ok(None);
    }
    let (selector, meant) = meant(plan, hosts)?;
    let by: Vec<&str> = question.by.iter().map(String::as_str).collect();
    let pooled = quantile && !by.is_empty() && !question.of_mean;
    let (in_time, across) = match question.agg {
        _ if question.of_mean => (Some(Agg::Avg), Agg::Avg),
        Some(agg) if !by.is_empty() && !pooled => {
            let (in_time, across) = in_time_and_across(agg, kind_of(&selector.metric));
            (Some(in_time), across)
        }
        other => (
            other,
            other.unwrap_or(Agg::default_for(kind_of(&selector.metric))),
        ),
    };
    let grid = match question.of_mean {
        true => means_of(plan.grid, meant.len()),
        false => plan.grid,
    };
    let query = AggregateQuery {
        hosts: meant.iter().map(|host| host.name.clone()).collect(),
        metric: selector.metric.clone(),
        grid,
        agg: in_time,
        under: under(selector, &meant, &question.by, pooled),
        samples_max: READ_MAX,
    };
    let mut found = store.aggregate(query).await?;
    if found.series.is_empty() {
        known(&plan.selector.metric)?;
    }
    if !by.is_empty() && !pooled {
        found.series = combine(&found.series, &by, across);
    }
    if let (true, Some(agg)) = (question.of_mean, question.agg) {
        let of_means = |s: &Series| s.resample(plan.grid, agg, grid.step_ms);
        found.series = found.series.iter().map(of_means).collect();
    }
    found.agg = question.agg.or(found.agg);
    if plan.whole {
        for one in &mut found.series {
            one.times_ms.fill(plan.grid.from_ms);
        }
    }
    Ok(Some(found))
}

/// The steps a group's mean is taken in.
fn means_of(grid: Grid, hosts: usize) -> Grid {
    let minutes = (grid.to_ms - grid.from_ms) / MINUTE_MS * hosts as i64;
    let finest = if minutes <= MEANS_MAX {
        MINUTE_MS
    } else {
        HOUR_MS
    };
    Grid {
        step_ms: finest.min(grid.step_ms),
        ..grid
    }
}

/// The name under which a series counts: its own with its host, or its group's.
fn under(selector: Selector, meant: &[&HostName], by: &[String], pooled: bool) -> Under {
    let hosts: BTreeMap<String, HostName> = meant
        .iter()
        .map(|host| (host.name.clone(), (*host).clone()))
        .collect();
    let by = by.to_vec();
    Arc::new(move |host: &str, name: &SeriesName| {
        let host = hosts.get(host)?;
        if !is_meant(&selector.matchers, name, host) {
            return None;
        }
        let full = with_host(name.clone(), host, &by, false);
        if !pooled {
            return Some(full);
        }
        let label = |label: &String| {
            let value = full.label(label).unwrap_or("");
            (label.clone(), value.to_owned())
        };
        let mut labels: Vec<(String, String)> = by.iter().map(label).collect();
        labels.sort();
        Some(SeriesName {
            metric: full.metric.clone(),
            labels,
        })
    })
}
