//! Batches without a number yet: one for a moment, more while the disk does not answer.

use std::collections::VecDeque;

use super::{MEMORY_BATCHES_MAX, MEMORY_BYTES_MAX, Packed};

/// What waits for the spool, bounded.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Oldest first.
    pub(super) batches: VecDeque<Packed>,
    /// What there was no room for, without its samples.
    pub(super) lost: Option<Packed>,
}

impl Waiting {
    /// Adds a batch and drops the oldest ones beyond the bounds.
    pub(super) fn push(&mut self, packed: Packed) {
        self.batches.push_back(packed);
        while self.batches.len() > MEMORY_BATCHES_MAX || self.bytes() > MEMORY_BYTES_MAX {
            let Some(oldest) = self.batches.pop_front() else {
                break;
            };
            self.lose(&oldest);
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.lost.is_none()
    }

    fn bytes(&self) -> usize {
        self.batches.iter().map(|p| p.block.len()).sum()
    }

    fn lose(&mut self, oldest: &Packed) {
        if self.lost.is_none() {
            tracing::error!("the spool's disk takes nothing and memory is full: dropping batches");
        }
        let before = self.lost.take().unwrap_or_else(|| Packed {
            from_ms: oldest.from_ms,
            to_ms: oldest.to_ms,
            ..Packed::default()
        });
        self.lost = Some(Packed {
            block: Vec::new(),
            from_ms: before.from_ms.min(oldest.from_ms),
            to_ms: before.to_ms.max(oldest.to_ms),
            samples: before.samples.saturating_add(oldest.samples),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bounds_the_oldest_go_and_are_counted() {
        let batch = |time_ms, bytes| Packed {
            block: vec![0; bytes],
            from_ms: time_ms,
            to_ms: time_ms + 9,
            samples: 5,
        };
        let mut waiting = Waiting::default();
        assert!(waiting.is_empty());
        for n in 0..MEMORY_BATCHES_MAX as i64 + 3 {
            waiting.push(batch(n * 10, 100));
        }
        assert_eq!(waiting.batches.len(), MEMORY_BATCHES_MAX);
        let lost = waiting.lost.clone().unwrap();
        assert_eq!((lost.from_ms, lost.to_ms, lost.samples), (0, 29, 15));
        waiting.push(batch(9_000, MEMORY_BYTES_MAX - 100));
        assert_eq!(waiting.batches.len(), 2, "by bytes");
    }
}
