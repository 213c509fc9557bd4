//! How much of a range a host was there, and how much of its data arrived.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::AnswerError;
use super::hosts::{Moment, owned};
use crate::plan::availability::{
    Availability, PRESENCE_METRICS, Presence, Span, availability, sample_times_ms,
};
use crate::series::{Agg, Grid, SeriesName};
use crate::store::{AggregateQuery, GapRecord, HostRecord, Store, WatchSpan, WindowQuery};

/// Most samples of the metrics that tell a host's presence: a year at 10 s, three metrics.
const SAMPLES_MAX: usize = 10_000_000;

/// Up to here each sample is looked at.
const EXACT_RANGE_MS: i64 = 2 * 86_400_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// A host's presence over a range.
pub(super) struct Present {
    /// Up, down, unknown, and coverage.
    pub(super) availability: Availability,
    /// What its agent reported as dropped.
    pub(super) gaps: Vec<GapRecord>,
}

/// When the collector was watching around a range: whole spans, of which some part is in it.
pub(super) async fn watched(store: &Store, range: Span) -> Result<Vec<Span>, AnswerError> {
    let spans = store.watch_spans(range.from_ms, range.to_ms).await?;
    let whole = |span: &WatchSpan| Span::new(span.from_ms, span.to_ms);
    Ok(spans.iter().map(whole).collect())
}

/// Asks for one host.
pub(super) async fn presence(
    store: &Store,
    host: &HostRecord,
    range: Span,
    watched: &[Span],
    moment: Moment,
) -> Result<Present, AnswerError> {
    let grace_ms = moment.grace_ms(host);
    let times_ms = times_ms(store, host, range, grace_ms).await?;
    let gaps = store
        .gaps(Some(&host.name), range.from_ms, range.to_ms)
        .await?;
    let gaps: Vec<GapRecord> = gaps.into_iter().map(|(_, gap)| gap).collect();
    let dropped: Vec<Span> = gaps
        .iter()
        .map(|gap| Span::new(gap.from_ms, gap.to_ms))
        .collect();
    let availability = availability(&Presence {
        range,
        now_ms: moment.now_ms,
        first_seen_ms: host.first_seen_ms,
        retired_ms: host.retired_ms,
        interval_ms: host.interval_ms,
        grace_ms,
        sample_times_ms: &times_ms,
        watched,
        dropped: &dropped,
    });
    Ok(Present { availability, gaps })
}

/// When samples of a host were taken. Over a long range they are counted by the minute, or where
/// minutes are not kept any more by the hour, and spread evenly: holes shorter than that close.
async fn times_ms(
    store: &Store,
    host: &HostRecord,
    range: Span,
    edge_ms: i64,
) -> Result<Vec<i64>, AnswerError> {
    let (from_ms, to_ms) = (range.from_ms - edge_ms, range.to_ms + edge_ms);
    if range.length_ms() <= EXACT_RANGE_MS {
        let query = WindowQuery {
            hosts: vec![host.name.clone()],
            metrics: owned(PRESENCE_METRICS.to_vec()),
            from_ms,
            to_ms,
            samples_max: SAMPLES_MAX,
        };
        let windows = store.windows(query).await?;
        return Ok(windows.first().map(sample_times_ms).unwrap_or_default());
    }
    let mut times_ms: Vec<i64> = Vec::new();
    for metric in ["hostwell_up", "node_load1"] {
        let minutes = counted(store, host, metric, (from_ms, to_ms), MINUTE_MS).await?;
        let hours = counted(store, host, metric, (from_ms, to_ms), HOUR_MS).await?;
        let known: BTreeSet<i64> = minutes.iter().map(|m| m.0.div_euclid(HOUR_MS)).collect();
        for (start_ms, count) in minutes {
            spread(&mut times_ms, start_ms, MINUTE_MS, count);
        }
        for (start_ms, count) in hours {
            if !known.contains(&start_ms.div_euclid(HOUR_MS)) {
                spread(&mut times_ms, start_ms, HOUR_MS, count);
            }
        }
        if !times_ms.is_empty() {
            break;
        }
    }
    times_ms.sort_unstable();
    Ok(times_ms)
}

/// So many moments, evenly over a step.
fn spread(into: &mut Vec<i64>, start_ms: i64, step_ms: i64, count: f64) {
    let count = (count as i64).clamp(0, step_ms);
    into.extend((0..count).map(|i| start_ms + i * step_ms / count));
}

/// How many samples there were in each step.
async fn counted(
    store: &Store,
    host: &HostRecord,
    metric: &str,
    (from_ms, to_ms): (i64, i64),
    step_ms: i64,
) -> Result<Vec<(i64, f64)>, AnswerError> {
    let query = AggregateQuery {
        hosts: vec![host.name.clone()],
        metric: metric.to_owned(),
        grid: Grid {
            from_ms,
            to_ms,
            step_ms,
        },
        agg: Some(Agg::Count),
        under: Arc::new(|_: &str, name: &SeriesName| Some(name.clone())),
        samples_max: SAMPLES_MAX,
    };
    let found = store.aggregate(query).await?;
    Ok(found
        .series
        .first()
        .map_or_else(Vec::new, |s| s.points().collect()))
}
