//! Which steps answer a range.

use super::super::super::types::AggregateQuery;
use super::super::rollup::DAY_MS;
use super::super::rollup::roll::SKETCHED_MS;
use super::host::Host;
use crate::series::Agg;
use crate::series::rollup::can_tell;

/// A range up to here is answered from samples: exact, and no slower.
const SAMPLES_RANGE_MS: i64 = 2 * DAY_MS;

/// A stretch of time and the steps it is answered from; `None`: from samples.
type Piece = (Option<i64>, i64, i64);

/// Covers `from_ms..end_ms`, given the lengths of steps from the coarsest to the finest.
pub(super) fn cut(from_ms: i64, end_ms: i64, lengths: &[i64]) -> Vec<Piece> {
    if from_ms >= end_ms {
        return Vec::new();
    }
    let Some((length, finer)) = lengths.split_first() else {
        return vec![(None, from_ms, end_ms)];
    };
    let first = (from_ms + length - 1).div_euclid(*length) * length;
    let last = end_ms.div_euclid(*length) * length;
    if first >= last {
        return cut(from_ms, end_ms, finer);
    }
    let mut pieces = cut(from_ms, first, finer);
    pieces.push((Some(*length), first, last));
    pieces.extend(cut(last, end_ms, finer));
    pieces
}

/// The steps that can answer a question, the coarsest first; none: only samples can.
pub(super) fn lengths(
    query: &AggregateQuery,
    host: &Host<'_>,
    agg: Agg,
    tiers: &[i64],
) -> Vec<i64> {
    let grid = query.grid;
    let short = grid.to_ms.saturating_sub(grid.from_ms) <= SAMPLES_RANGE_MS;
    let there = host.past.gone_before(grid.from_ms).is_none();
    if (short && there) || !can_tell(host.kind, agg) {
        return Vec::new();
    }
    let fits = |length: &i64| {
        let whole = grid.step_ms > grid.to_ms.saturating_sub(grid.from_ms).saturating_mul(2);
        (whole || grid.step_ms % length == 0) && (!is_quantile(agg) || *length >= SKETCHED_MS)
    };
    let mut found: Vec<i64> = tiers.iter().copied().filter(fits).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

pub(super) fn is_quantile(agg: Agg) -> bool {
    matches!(agg, Agg::P50 | Agg::P95 | Agg::P99)
}

/// Ascending stretches, neighbours that are no further apart than `near_ms` as one.
pub(super) fn joined(stretches: &[(i64, i64)], near_ms: i64) -> Vec<(i64, i64)> {
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from_ms, end_ms) in stretches.iter().copied() {
        match joined.last_mut() {
            Some(last) if last.1.saturating_add(near_ms) >= from_ms => last.1 = last.1.max(end_ms),
            _ => joined.push((from_ms, end_ms)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_range_is_whole_days_then_hours_then_samples_at_its_edges() {
        let pieces = cut(HOUR / 2, 2 * DAY_MS + HOUR + 7, &[DAY_MS, HOUR]);
        assert_eq!(
            pieces,
            [
                (None, HOUR / 2, HOUR),
                (Some(HOUR), HOUR, DAY_MS),
                (Some(DAY_MS), DAY_MS, 2 * DAY_MS),
                (Some(HOUR), 2 * DAY_MS, 2 * DAY_MS + HOUR),
                (None, 2 * DAY_MS + HOUR, 2 * DAY_MS + HOUR + 7),
            ]
        );
        assert_eq!(cut(5, 9, &[HOUR]), [(None, 5, 9)]);
        assert!(cut(5, 5, &[HOUR]).is_empty());
    }

    proptest! {
        #[test]
        fn pieces_lie_side_by_side_and_cover_the_range(
            from in -5 * DAY_MS..5 * DAY_MS, length in 1..9 * DAY_MS
        ) {
            let end = from + length;
            let pieces = cut(from, end, &[DAY_MS, HOUR, 60_000]);
            prop_assert_eq!(pieces[0].1, from);
            prop_assert_eq!(pieces[pieces.len() - 1].2, end);
            for two in pieces.windows(2) {
                prop_assert_eq!(two[0].2, two[1].1);
            }
            for (length, from, end) in pieces {
                prop_assert!(from < end);
                let length = length.unwrap_or(1);
                prop_assert_eq!((from % length, end % length), (0, 0));
            }
        }
    }
}
