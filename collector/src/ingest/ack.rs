//! Acknowledgements, gathered: every message wakes the agent, so few are sent.

use std::time::Duration;

use hostwell_proto::id::SpoolId;
use hostwell_proto::wire::{Ack, SequenceRange};
use tokio::time::Instant;

/// Batches that are durable are acknowledged at the latest after this time.
const HOLD: Duration = Duration::from_secs(20);

/// What is durable and not yet acknowledged.
#[derive(Debug)]
pub(super) struct Acks {
    /// Disjoint ranges by spool, few: (spool, first, last).
    ranges: Vec<(SpoolId, u64, u64)>,
    batches: u64,
    /// So many batches are acknowledged at once; below it the agent could run out of its window.
    enough: u64,
    due: Option<Instant>,
    /// Nothing was acknowledged yet on this stream.
    first: bool,
}

impl Acks {
    /// For an agent that may have `in_flight_max` batches unanswered.
    pub(super) fn new(in_flight_max: u32) -> Self {
        Acks {
            ranges: Vec::new(),
            batches: 0,
            enough: u64::from(in_flight_max / 4).max(1),
            due: None,
            first: true,
        }
    }

    /// Notes that `first..=last` of a spool are durable.
    pub(super) fn add(&mut self, spool: SpoolId, first: u64, last: u64, now: Instant) {
        self.batches = self
            .batches
            .saturating_add((last - first).saturating_add(1));
        // The first one goes at once: it tells the agent that the path works to its end.
        let hold = if self.first { Duration::ZERO } else { HOLD };
        self.due.get_or_insert(now + hold);
        let (mut first, mut last) = (first, last);
        // Absorb neighbours, so that a run of batches stays one range.
        self.ranges.retain(|(of, from, to)| {
            let apart = *of != spool
                || from.checked_sub(1).is_some_and(|before| before > last)
                || first.checked_sub(1).is_some_and(|before| before > *to);
            if !apart {
                first = first.min(*from);
                last = last.max(*to);
            }
            apart
        });
        self.ranges.push((spool, first, last));
    }

    /// When to send at the latest; `None` when there is nothing.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether to send now.
    pub(super) fn ripe(&self, now: Instant) -> bool {
        self.batches >= self.enough || self.due.is_some_and(|due| due <= now)
    }

    /// Takes everything, one message a spool.
    pub(super) fn take(&mut self) -> Vec<Ack> {
        self.batches = 0;
        self.due = None;
        self.first = false;
        let mut taken = std::mem::take(&mut self.ranges);
        taken.sort_by_key(|(spool, first, _)| (spool.0, *first));
        let mut acks: Vec<Ack> = Vec::new();
        for (spool, first, last) in taken {
            if acks.last().is_none_or(|ack| ack.spool_id != spool.0) {
                acks.push(Ack {
                    spool_id: spool.0.to_vec(),
                    ranges: Vec::new(),
                });
            }
            if let Some(ack) = acks.last_mut() {
                ack.ranges.push(SequenceRange { first, last });
            }
        }
        acks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SpoolId = SpoolId([1; 16]);
    const B: SpoolId = SpoolId([2; 16]);

    #[track_caller]
    fn check(added: &[(SpoolId, u64, u64)], expected: &[(SpoolId, &[(u64, u64)])]) {
        let mut acks = Acks::new(16);
        for (spool, first, last) in added {
            acks.add(*spool, *first, *last, Instant::now());
        }
        let shown: Vec<_> = acks
            .take()
            .iter()
            .map(|a| {
                let ranges: Vec<_> = a.ranges.iter().map(|r| (r.first, r.last)).collect();
                (SpoolId::try_from(&a.spool_id[..]).unwrap(), ranges)
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(s, r)| (*s, r.to_vec())).collect();
        assert_eq!(shown, expected);
        assert_eq!(acks.due(), None);
    }

    #[tokio::test]
    async fn ranges_join_whatever_the_order() {
        check(&[(A, 1, 1), (A, 3, 3), (A, 2, 2)], &[(A, &[(1, 3)])]);
        check(&[(A, 5, 5), (A, 1, 1)], &[(A, &[(1, 1), (5, 5)])]);
        check(&[(A, 1, 9), (A, 3, 4)], &[(A, &[(1, 9)])]);
        check(&[(A, 0, u64::MAX), (A, 7, 7)], &[(A, &[(0, u64::MAX)])]);
        check(
            &[(B, 2, 2), (A, 1, 1), (B, 1, 1)],
            &[(A, &[(1, 1)]), (B, &[(1, 2)])],
        );
    }

    #[tokio::test]
    async fn a_quarter_of_the_window_or_time_makes_them_ripe() {
        let mut acks = Acks::new(16);
        let now = Instant::now();
        assert!(!acks.ripe(now + HOLD));
        acks.add(A, 9, 9, now);
        assert!(acks.ripe(now), "the first of a stream");
        acks.take();
        for sequence in 1..=3 {
            acks.add(A, sequence, sequence, now);
        }
        assert!(!acks.ripe(now));
        assert!(acks.ripe(now + HOLD));
        acks.add(A, 4, 4, now);
        assert!(acks.ripe(now));
    }
}
