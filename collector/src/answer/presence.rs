//! How much of a range a host was there, and how much of its data arrived.

use super::AnswerError;
use super::hosts::{Moment, owned};
use crate::plan::availability::{
    Availability, PRESENCE_METRICS, Presence, Span, availability, sample_times_ms,
};
use crate::store::{GapRecord, HostRecord, Store, WatchSpan, WindowQuery};

/// Most samples of the metrics that tell a host's presence: a year at 10 s, three metrics.
const SAMPLES_MAX: usize = 10_000_000;

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
    let windows = store
        .windows(WindowQuery {
            hosts: vec![host.name.clone()],
            metrics: owned(PRESENCE_METRICS.to_vec()),
            from_ms: range.from_ms - grace_ms,
            to_ms: range.to_ms + grace_ms,
            samples_max: SAMPLES_MAX,
        })
        .await?;
    let times_ms = windows.first().map(sample_times_ms).unwrap_or_default();
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
