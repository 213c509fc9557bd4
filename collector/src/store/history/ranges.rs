//! Which sequence numbers are dealt with: disjoint ranges, merged when they touch.

use super::super::error::Fault;

/// Ascending, disjoint and never touching: (1, 3) and (4, 5) are kept as (1, 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Reads the JSON of the `spool.held` column.
    pub(in crate::store) fn parse(text: &str) -> Result<Ranges, Fault> {
        let ranges = serde_json::from_str(text)
            .map(Ranges)
            .map_err(|e| Fault::damaged(format!("a spool's held ranges: {e}")))?;
        if ranges.is_sound() {
            Ok(ranges)
        } else {
            Err(Fault::damaged("a spool's held ranges overlap or descend"))
        }
    }

    /// JSON for the `spool.held` column.
    pub(in crate::store) fn to_text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        self.0.iter().all(|(first, last)| first <= last)
            && self
                .0
                .windows(2)
                .all(|w| w[0].1.checked_add(1).is_some_and(|next| next < w[1].0))
    }

    /// The ranges, ascending.
    pub(in crate::store) fn as_slice(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Whether all of `first..=last` is inside.
    pub(in crate::store) fn holds(&self, first: u64, last: u64) -> bool {
        let after = self.0.partition_point(|r| r.0 <= first);
        after > 0 && self.0[after - 1].1 >= last
    }

    /// Adds `first..=last`, merging what it touches.
    pub(in crate::store) fn add(&mut self, first: u64, last: u64) {
        let from = self.0.partition_point(|r| r.1.saturating_add(1) < first);
        let to = self.0.partition_point(|r| r.0 <= last.saturating_add(1));
        let mut merged = (first, last);
        for range in &self.0[from..to] {
            merged = (merged.0.min(range.0), merged.1.max(range.1));
        }
        self.0.splice(from..to, [merged]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn touching_ranges_become_one() {
        let mut ranges = Ranges::default();
        for (first, last) in [(5, 5), (1, 2), (4, 4), (3, 3), (9, u64::MAX)] {
            ranges.add(first, last);
        }
        assert_eq!(ranges.as_slice(), [(1, 5), (9, u64::MAX)]);
        assert!(ranges.holds(2, 5) && !ranges.holds(5, 6) && !ranges.holds(0, 1));
    }

    #[test]
    fn text_that_contradicts_itself_is_damage() {
        for wrong in ["", "[[2,1]]", "[[1,2],[3,4]]", "[[5,6],[1,2]]", "[[1]]"] {
            assert!(Ranges::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_what_was_added(adds in prop::collection::vec((0u64..60, 0u64..6), 0..40)) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for (first, more) in adds {
                ranges.add(first, first + more);
                model.extend(first..=first + more);
                prop_assert!(ranges.is_sound(), "{ranges:?}");
            }
            for n in 0..70 {
                prop_assert_eq!(ranges.holds(n, n), model.contains(&n));
            }
            prop_assert_eq!(&Ranges::parse(&ranges.to_text()).unwrap(), &ranges);
        }
    }
}
