//! When was a host up, when was it down, and when can nobody say.
//!
//! The only witness is the host's own samples, by the time they were *taken*: what was spooled
//! while the line was cut and delivered later counts as if it had come at once. So the question
//! is asked again each time; what is stored is when samples were taken, never the verdict.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::rules::host_down;
use crate::series::{Window, union_times_ms};
use crate::words;

/// How availability is counted when this much silence means down, for reports.
pub fn method(silence: host_down::Levels) -> String {
    let intervals = match silence.missed_intervals {
        1 => "1 sampling interval".to_owned(),
        n => format!("{n} sampling intervals"),
    };
    let least = words::duration(silence.grace_ms(0));
    format!(
        "A host is up from one sample to the next as long as they are no further apart than \
         {intervals}, or {least} where that is longer. A longer hole in the times at which samples \
         were taken is down where the collector was watching for longer than that grace, and \
         unknown where it was not; samples that were spooled and delivered late fill the hole. \
         Time in which the agent itself reported dropped samples is up, because it ran. \
         Availability is up ÷ (up + down); unknown time is in neither and is shown. Counting \
         starts when the host is first seen and ends when it is retired."
    )
}

/// A stretch of time, milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its start.
    pub from_ms: i64,
    /// Its end, at or after the start.
    pub to_ms: i64,
}

impl Span {
    /// From its two ends.
    pub fn new(from_ms: i64, to_ms: i64) -> Span {
        Span { from_ms, to_ms }
    }

    /// How long it is.
    pub fn length_ms(&self) -> i64 {
        (self.to_ms - self.from_ms).max(0)
    }

    /// The part it shares with another; nothing when that has no length.
    pub fn within(&self, other: Span) -> Option<Span> {
        let shared = Span::new(self.from_ms.max(other.from_ms), self.to_ms.min(other.to_ms));
        (shared.to_ms > shared.from_ms).then_some(shared)
    }
}

/// What is known about one host over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence<'a> {
    /// The range asked for; it must end at or before now.
    pub range: Span,
    /// Now: a sample after this cannot be there yet.
    pub now_ms: i64,
    /// First sample or greeting; counting starts there.
    pub first_seen_ms: i64,
    /// Counting ends there.
    pub retired_ms: Option<i64>,
    /// Declared sampling interval.
    pub interval_ms: i64,
    /// Two samples further apart than this have an outage or ignorance between them.
    pub grace_ms: i64,
    /// When samples were taken, ascending: all within the range and one grace before and after it,
    /// which tell how the range begins and ends.
    pub sample_times_ms: &'a [i64],
    /// When the collector was watching, ascending, disjoint. Spans reach as far beyond the range
    /// as they do: cut at its edges they could look too short to be an observation.
    pub watched: &'a [Span],
    /// Time for which the agent reported dropped samples: it ran, the data is gone.
    pub dropped: &'a [Span],
}

/// How a stretch of time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It was sampling.
    Up,
    /// It was not, while the collector was watching.
    Down,
    /// Nobody can say.
    Unknown,
}

/// How much of its data arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Ticks that should have been sampled in the accounted time.
    pub expected: u64,
    /// Ticks of which samples are stored.
    pub received: u64,
}

impl Coverage {
    /// Received ÷ expected, at most 1; nothing when nothing was expected.
    pub fn ratio(&self) -> Option<f64> {
        (self.expected > 0).then(|| (self.received as f64 / self.expected as f64).min(1.0))
    }
}

/// How much of a range a host was up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Availability {
    /// The accounted time, without gaps and ascending; neighbours differ in standing.
    pub spans: Vec<(Span, Standing)>,
    /// Samples received ÷ expected over the accounted time.
    pub coverage: Coverage,
}

impl Availability {
    fn total_ms(&self, standing: Standing) -> i64 {
        self.of(standing).map(|span| span.length_ms()).sum()
    }

    /// The stretches of one standing, ascending.
    pub fn of(&self, standing: Standing) -> impl Iterator<Item = Span> + '_ {
        self.spans
            .iter()
            .filter(move |(_, s)| *s == standing)
            .map(|(span, _)| *span)
    }

    /// Time up.
    pub fn up_ms(&self) -> i64 {
        self.total_ms(Standing::Up)
    }

    /// Time down.
    pub fn down_ms(&self) -> i64 {
        self.total_ms(Standing::Down)
    }

    /// Time nobody can speak for.
    pub fn unknown_ms(&self) -> i64 {
        self.total_ms(Standing::Unknown)
    }

    /// Up ÷ (up + down); nothing when neither is known.
    pub fn ratio(&self) -> Option<f64> {
        let known_ms = self.up_ms() + self.down_ms();
        (known_ms > 0).then(|| self.up_ms() as f64 / known_ms as f64)
    }

    /// The outages, ascending.
    pub fn outages(&self) -> Vec<Span> {
        self.of(Standing::Down).collect()
    }
}

/// All times at which a host has samples in a window, ascending.
pub fn sample_times_ms(window: &Window) -> Vec<i64> {
    union_times_ms(&window.series)
}

/// Accounts for a host's time. Empty when the host was not known, or was retired, for the whole
/// range.
pub fn availability(presence: &Presence<'_>) -> Availability {
    // A sample may be older than the greeting: what was spooled is history all the same.
    let first_ms = presence
        .sample_times_ms
        .first()
        .map_or(presence.first_seen_ms, |t| presence.first_seen_ms.min(*t));
    let end_ms = presence.retired_ms.unwrap_or(i64::MAX);
    let Some(accounted) = presence.range.within(Span::new(first_ms, end_ms)) else {
        return Availability::default();
    };
    let mut account = Account {
        presence,
        first_ms,
        accounted,
        spans: Vec::new(),
    };
    account.fill();
    Availability {
        spans: account.spans,
        coverage: coverage(presence, accounted),
    }
}

fn coverage(presence: &Presence<'_>, accounted: Span) -> Coverage {
    let times = presence.sample_times_ms;
    let start = times.partition_point(|t| *t < accounted.from_ms);
    let end = times.partition_point(|t| *t < accounted.to_ms);
    Coverage {
        expected: (accounted.length_ms() / presence.interval_ms.max(1)) as u64,
        received: (end - start) as u64,
    }
}

struct Account<'a> {
    presence: &'a Presence<'a>,
    /// Since when the host is known.
    first_ms: i64,
    accounted: Span,
    spans: Vec<(Span, Standing)>,
}

impl Account<'_> {
    fn fill(&mut self) {
        let grace_ms = self.presence.grace_ms;
        let times = self.presence.sample_times_ms;
        // The newest sample at or before the start tells how the range begins.
        let start = times
            .partition_point(|t| *t <= self.accounted.from_ms)
            .saturating_sub(1);
        let mut from_ms = match times.get(start) {
            Some(first) if *first <= self.accounted.from_ms => *first,
            // No sample for one grace before it, as long as the host is known.
            _ => (self.accounted.from_ms - grace_ms).max(self.first_ms),
        };
        // A sample after the end is no nearer witness than the end itself: what a host sends once
        // it is retired must not turn its last moments into a hole.
        let end_ms = self.end_ms();
        for &time_ms in times[start..].iter().take_while(|t| **t < end_ms) {
            self.step(from_ms, time_ms, grace_ms);
            from_ms = from_ms.max(time_ms);
        }
        // Whether the next sample will come is not known yet: until the grace is over it may.
        self.step(from_ms, end_ms, grace_ms);
    }

    /// Up to where it is known that no sample came after the newest one. A retired host is not
    /// expected to send.
    fn end_ms(&self) -> i64 {
        let Presence { range, now_ms, .. } = *self.presence;
        if self.accounted.to_ms < range.to_ms {
            return self.accounted.to_ms;
        }
        (range.to_ms + self.presence.grace_ms).min(now_ms.max(range.to_ms))
    }

    /// Accounts for the time between two neighbouring samples (or edges).
    fn step(&mut self, from_ms: i64, to_ms: i64, grace_ms: i64) {
        let step = Span::new(from_ms, to_ms);
        if step.length_ms() <= grace_ms {
            self.put(step, Standing::Up);
            return;
        }
        let presence = self.presence;
        // Less than the grace is no observation: a sample might still have come.
        let seen: Vec<Span> = presence
            .watched
            .iter()
            .filter_map(|watched| watched.within(step))
            .filter(|seen| seen.length_ms() > grace_ms)
            .collect();
        let ran: Vec<Span> = presence
            .dropped
            .iter()
            .filter_map(|dropped| dropped.within(step))
            .collect();
        let mut cuts: Vec<i64> = [step]
            .iter()
            .chain(&seen)
            .chain(&ran)
            .flat_map(|span| [span.from_ms, span.to_ms])
            .collect();
        cuts.sort_unstable();
        for piece in cuts.windows(2).map(|w| Span::new(w[0], w[1])) {
            let inside = |spans: &[Span]| spans.iter().any(|span| span.within(piece).is_some());
            let standing = if inside(&ran) {
                Standing::Up
            } else if inside(&seen) {
                Standing::Down
            } else {
                Standing::Unknown
            };
            self.put(piece, standing);
        }
    }

    /// Adds the part of a stretch that is accounted for; stretches come in ascending order.
    fn put(&mut self, span: Span, standing: Standing) {
        let Some(span) = span.within(self.accounted) else {
            return;
        };
        match self.spans.last_mut() {
            Some((last, same)) if *same == standing => last.to_ms = span.to_ms,
            _ => self.spans.push((span, standing)),
        }
    }
}
