//! Several batches of a host become one parcel: the same samples, named once.

use std::borrow::Borrow;

use hostwell_proto::column::{self, Numbers, NumbersWriter, Walk};

use super::gather::{ascend, gather};
use super::head::Entry;
use super::parcel::{self, LIMITS, wrap};

/// Most ticks of a folded entry.
const TICKS_MAX: usize = 4096;

/// One entry instead of several; `None` where that cannot be, see [`gather`].
pub(super) fn fold<E: Borrow<Entry>>(entries: &[E]) -> Option<Entry> {
    let all = || entries.iter().map(Borrow::borrow);
    let (first, last) = (all().next()?, all().last()?);
    let payload = match zipped(entries) {
        Some(payload) => payload,
        None => gathered(entries)?,
    };
    Some(Entry {
        numbers: all().flat_map(|e| e.numbers.clone()).collect(),
        start_ms: first.start_ms,
        end_ms: last.end_ms,
        received_ms: first.received_ms,
        samples: all().map(|e| e.samples).sum(),
        payload,
    })
}

fn gathered<E: Borrow<Entry>>(entries: &[E]) -> Option<Vec<u8>> {
    let sheet = gather(entries, TICKS_MAX)?;
    let ids: Vec<i64> = sheet.series.iter().map(|one| one.id).collect();
    let columns = sheet.series.iter();
    let packed = columns.map(|one| (one.ticks.as_deref(), &one.numbers));
    Some(wrap(&ids, &column::encode_numbers(&sheet.times_ms, packed)))
}

/// The same of batches of one tick of the same series each, as those of a host that catches up are:
/// column by column, which takes half the time. `None`: they are other ones, or cannot be folded.
fn zipped<E: Borrow<Entry>>(entries: &[E]) -> Option<Vec<u8>> {
    let all = || entries.iter().map(Borrow::borrow);
    let first = &all().next()?.payload;
    if parcel::ticks(first) != 1 || !ascend(entries) || entries.len() > TICKS_MAX {
        return None;
    }
    let (series, named) = parcel::named(first)?;
    if !series.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let (mut times_ms, mut time) = (Vec::with_capacity(entries.len()), Vec::new());
    let mut walks = Vec::with_capacity(entries.len());
    for entry in all() {
        let block = entry.payload.strip_prefix(&first[..named])?;
        let walk = Walk::begin(block, LIMITS, &mut time).ok()?;
        if time.len() != 1 || walk.left() != series.len() {
            return None;
        }
        times_ms.append(&mut time);
        walks.push(walk);
    }
    let mut writer = NumbersWriter::begin(&times_ms, series.len(), series.len() * walks.len());
    let mut numbers = Numbers::with_capacity(walks.len());
    let mut ticks = Vec::new();
    for number in 0..series.len() as u32 {
        numbers.clear();
        for walk in &mut walks {
            if let Some(single) = walk.single(number + 1) {
                numbers.push(single.decimals, single.mantissa);
                continue;
            }
            let is_next = walk.number().ok()? == Some(number);
            let (present, _) = walk.append_to(&mut numbers, &mut ticks).ok()?;
            if !is_next || present.is_some() {
                return None;
            }
        }
        writer.put(None, &numbers);
    }
    let is_over = |walk: &mut Walk<'_>| matches!(walk.number(), Ok(None));
    if !walks.iter_mut().all(is_over) {
        return None;
    }
    Some([&first[..named], &writer.end()].concat())
}

#[cfg(test)]
mod tests {
    use super::super::parcel::Parcel;
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn entry(number: i64, ids: &[i64], samples: &[(i64, f64)]) -> Arc<Entry> {
        let all: Vec<_> = ids.iter().map(|id| (*id, samples)).collect();
        Arc::new(Entry {
            numbers: vec![number],
            start_ms: samples[0].0,
            end_ms: samples[samples.len() - 1].0,
            received_ms: number,
            samples: (ids.len() * samples.len()) as u32,
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

    fn any_ticks() -> impl Strategy<Value = Vec<Vec<Option<f64>>>> {
        let value = prop_oneof![
            9 => any::<i16>().prop_map(|v| Some(f64::from(v) / 4.0)),
            2 => any::<i64>().prop_map(|v| Some(v as f64)),
            1 => any::<u64>().prop_map(|bits| Some(f64::from_bits(bits))),
            1 => Just(None),
        ];
        (1usize..5).prop_flat_map(move |series| {
            let tick = prop::collection::vec(value.clone(), series);
            prop::collection::vec(tick, 1..9)
        })
    }

    proptest! {
        #[test]
        fn batches_of_a_tick_are_zipped_into_what_gathering_them_gives(
            ticks in any_ticks(), places in prop::sample::subsequence(vec![5, 3, 9, 1], 4)
        ) {
            // Ids that ascend or do not; most values are there.
            let ids: Vec<i64> = if ticks.len() % 3 == 0 { places } else { vec![3, 4, 7, 9] };
            let batch = |(tick, values): (usize, &Vec<Option<f64>>)| {
                let point = |value: f64| [(tick as i64 * 10, value)];
                let present: Vec<(i64, [(i64, f64); 1])> = ids
                    .iter()
                    .zip(values)
                    .filter_map(|(id, value)| Some((*id, point((*value)?))))
                    .collect();
                let columns: Vec<_> = present.iter().map(|(id, p)| (*id, &p[..])).collect();
                let time = tick as i64 * 10;
                Arc::new(Entry {
                    numbers: vec![tick as i64],
                    start_ms: time,
                    end_ms: time,
                    received_ms: 0,
                    samples: columns.len() as u32,
                    payload: Parcel::of(&columns).pack(),
                })
            };
            let entries: Vec<Arc<Entry>> = ticks.iter().enumerate().map(batch).collect();
            let gathered = gathered(&entries);
            if let Some(zipped) = zipped(&entries) {
                prop_assert_eq!(Some(zipped), gathered);
            } else {
                let whole = ticks.iter().flatten().all(Option::is_some);
                prop_assert!(!whole || !ids.is_sorted() || ticks[0].is_empty());
            }
        }
    }

    #[test]
    fn batches_whose_times_do_not_ascend_are_left_as_they_are() {
        let late = [entry(1, &[7], &[(20, 1.0)]), entry(2, &[7], &[(10, 2.0)])];
        assert!(fold(&late).is_none());
        let twice = [entry(1, &[7], &[(20, 1.0)]), entry(2, &[7], &[(20, 2.0)])];
        assert!(fold(&twice).is_none());
    }
}
