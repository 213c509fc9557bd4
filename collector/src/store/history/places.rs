//! Where the series of several batches go while they are put together.

use std::collections::HashMap;

/// A place for each series. Batches of one host name the same series in the same order nearly always,
/// and ascending: then nothing is hashed.
#[derive(Debug, Default)]
pub(super) struct Places {
    ids: Vec<i64>,
    /// Of all ids, once one came out of order; empty before.
    by_id: HashMap<i64, usize>,
    next: usize,
}

impl Places {
    /// The next series is the first of a batch.
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// The place of a series, and whether it is a new one, behind all others.
    #[inline]
    pub(super) fn of(&mut self, id: i64) -> (usize, bool) {
        let at = self.next;
        if self.ids.get(at) == Some(&id) {
            self.next = at + 1;
            return (at, false);
        }
        self.elsewhere(id)
    }

    fn elsewhere(&mut self, id: i64) -> (usize, bool) {
        // While all ascend, one that is beyond the last was never there.
        let is_new = self.by_id.is_empty() && self.ids.last().is_none_or(|last| *last < id);
        if !is_new && self.by_id.is_empty() {
            self.by_id = self.ids.iter().copied().zip(0..).collect();
        }
        let known = self.by_id.get(&id).copied();
        let at = known.unwrap_or(self.ids.len());
        if known.is_none() {
            self.ids.push(id);
            if !is_new {
                self.by_id.insert(id, at);
            }
        }
        self.next = at + 1;
        (at, known.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_series_has_the_place_at_which_it_came_first(
            batches in prop::collection::vec(prop::collection::vec(0i64..12, 0..12), 0..6)
        ) {
            let (mut places, mut wanted) = (Places::default(), Vec::new());
            for batch in batches {
                places.begin();
                for id in batch {
                    let known = wanted.iter().position(|other| *other == id);
                    if known.is_none() {
                        wanted.push(id);
                    }
                    let found = places.of(id);
                    prop_assert_eq!(found, (known.unwrap_or(wanted.len() - 1), known.is_none()));
                }
            }
        }
    }
}
