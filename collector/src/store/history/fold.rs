//! Several batches of a host become one parcel: the same samples, named once.

use std::borrow::Borrow;

use hostwell_proto::column;

use super::gather::gather;
use super::head::Entry;
use super::parcel::wrap;

/// Most ticks of a folded entry.
const TICKS_MAX: usize = 4096;

/// One entry instead of several; `None` where that cannot be, see [`gather`].
pub(super) fn fold<E: Borrow<Entry>>(entries: &[E]) -> Option<Entry> {
    let sheet = gather(entries, TICKS_MAX)?;
    let ids: Vec<i64> = sheet.series.iter().map(|one| one.id).collect();
    let columns = sheet.series.iter();
    let packed = columns.map(|one| (one.ticks.as_deref(), &one.numbers));
    let all = || entries.iter().map(Borrow::borrow);
    let (first, last) = (all().next()?, all().last()?);
    Some(Entry {
        numbers: all().flat_map(|e| e.numbers.clone()).collect(),
        start_ms: first.start_ms,
        end_ms: last.end_ms,
        received_ms: first.received_ms,
        payload: wrap(&ids, &column::encode_numbers(&sheet.times_ms, packed)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::parcel::Parcel;
    use super::*;
    use std::sync::Arc;

    fn entry(number: i64, ids: &[i64], samples: &[(i64, f64)]) -> Arc<Entry> {
        let all: Vec<_> = ids.iter().map(|id| (*id, samples)).collect();
        Arc::new(Entry {
            numbers: vec![number],
            start_ms: samples[0].0,
            end_ms: samples[samples.len() - 1].0,
            received_ms: number,
            payload: Parcel::of(&all).pack(),
        })
    }

    fn samples(entries: &[Arc<Entry>]) -> Vec<(i64, i64, u64)> {
        let mut all = Vec::new();
        for entry in entries {
            let parcel = Parcel::unpack(&entry.payload).unwrap();
            parcel.each(|id, time, value| all.push((id, time, value.to_bits())));
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn a_folded_entry_holds_what_its_batches_held() {
        let entries = [
            entry(4, &[7, 8], &[(10, 1.5), (20, 2.5)]),
            entry(6, &[8, 3], &[(30, -1.0)]),
            entry(9, &[7, 8], &[(40, 1e300)]),
            entry(11, &[8], &[(50, 0.125), (60, 1.0)]),
        ];
        let folded = Arc::new(fold(&entries).unwrap());
        assert_eq!(folded.numbers, [4, 6, 9, 11]);
        assert_eq!(
            (folded.start_ms, folded.end_ms, folded.received_ms),
            (10, 60, 4)
        );
        assert_eq!(samples(&[folded]), samples(&entries));
    }

    #[test]
    fn batches_whose_times_do_not_ascend_are_left_as_they_are() {
        let late = [entry(1, &[7], &[(20, 1.0)]), entry(2, &[7], &[(10, 2.0)])];
        assert!(fold(&late).is_none());
        let twice = [entry(1, &[7], &[(20, 1.0)]), entry(2, &[7], &[(20, 2.0)])];
        assert!(fold(&twice).is_none());
    }
}
