//! How much of a range a host was there, and how much of its data arrived.

use super::AnswerError;
use super::hosts::{Moment, owned};
use crate::plan::availability::{Availability, Presence, Span, availability, sample_times_ms};
use crate::series::presence::PRESENCE_METRICS;
use crate::store::{GapRecord, HostRecord, Store, WatchSpan, WindowQuery};

/// Most samples of the metrics that tell a host's presence: a year at 10 s, three metrics.
const SAMPLES_MAX: usize = 10_000_000;

/// Back to here each sample is looked at.
const SAMPLES_RANGE_MS: i64 = 86_400_000;

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
    let times_ms = times_ms(store, host, (range, moment.now_ms), grace_ms).await?;
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

/// When samples of a host were taken. What is older than a day is told by rollups: runs of ticks
/// with their very ends, and the ticks evenly between.
async fn times_ms(
    store: &Store,
    host: &HostRecord,
    (range, now_ms): (Span, i64),
    edge_ms: i64,
) -> Result<Vec<i64>, AnswerError> {
    let (from_ms, to_ms) = (range.from_ms - edge_ms, range.to_ms + edge_ms);
    if now_ms.saturating_sub(from_ms) <= SAMPLES_RANGE_MS {
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
    let runs = store.presence(&host.name, (from_ms, to_ms), SAMPLES_MAX);
    let times = runs.await?.into_iter().flat_map(|run| run.times_ms());
    let mut times_ms: Vec<i64> = times.filter(|t| (from_ms..=to_ms).contains(t)).collect();
    times_ms.sort_unstable();
    times_ms.dedup();
    Ok(times_ms)
}
