//! Several batches of a host become one parcel: the same samples, named once.

use std::borrow::Borrow;

use hostwell_proto::column::{self, Numbers};

use super::head::Entry;
use super::parcel::{Opener, wrap};
use super::places::Places;

/// Most ticks of a folded entry.
const TICKS_MAX: usize = 4096;

/// A series while its samples are put together.
struct Growing {
    id: i64,
    numbers: Numbers,
    /// The ticks of the values, once one was without.
    ticks: Option<Vec<u16>>,
}

impl Growing {
    /// Notes the ticks of so many values that were added, of a batch whose ticks begin at `begin`;
    /// `present`: those that have one, where some have none.
    fn added(&mut self, begin: usize, present: Option<&[u16]>, count: usize) {
        let before = self.numbers.len() - count;
        if self.ticks.is_none() && (present.is_some() || before != begin) {
            self.ticks = Some((0..before as u16).collect());
        }
        if let Some(ticks) = &mut self.ticks {
            let tick = |place: usize| (begin + place) as u16;
            match present {
                Some(present) => ticks.extend(present.iter().map(|t| tick(usize::from(*t)))),
                None => ticks.extend((0..count).map(tick)),
            }
        }
    }

    /// The ticks in a block of so many; `None`: all of them.
    fn present(&mut self, ticks: usize) {
        if self.ticks.is_none() && self.numbers.len() < ticks {
            self.ticks = Some((0..self.numbers.len() as u16).collect());
        }
    }
}

/// Columns while they are put together.
#[derive(Default)]
struct Columns {
    places: Places,
    all: Vec<Growing>,
}

impl Columns {
    /// The column of a series.
    fn of(&mut self, id: i64, expected: usize) -> &mut Growing {
        let (at, is_new) = self.places.of(id);
        if is_new {
            self.all.push(Growing {
                id,
                numbers: Numbers::with_capacity(expected),
                ticks: None,
            });
        }
        &mut self.all[at]
    }
}

/// One entry instead of several; `None` where their times do not ascend: of samples with equal
/// times the first committed counts, and only sealing sorts that out.
pub(super) fn fold<E: Borrow<Entry>>(entries: &[E]) -> Option<Entry> {
    let all = || entries.iter().map(Borrow::borrow);
    let ascend = all().zip(all().skip(1)).all(|(a, b)| a.end_ms < b.start_ms);
    if !ascend || entries.is_empty() {
        return None;
    }
    let (mut times_ms, mut columns) = (Vec::new(), Columns::default());
    let mut opener = Opener::default();
    for entry in all() {
        columns.places.begin();
        let begin = times_ms.len();
        let mut parcel = opener.open(&entry.payload).ok()?;
        times_ms.extend_from_slice(parcel.times_ms);
        while let Some(id) = parcel.next().ok()? {
            let column = columns.of(id, entries.len());
            let (present, count) = parcel.append_to(&mut column.numbers).ok()?;
            column.added(begin, present, count);
        }
        if times_ms.len() > TICKS_MAX || !times_ms[begin..].is_sorted_by(|a, b| a < b) {
            return None;
        }
    }
    let mut columns = columns.all;
    columns.sort_unstable_by_key(|c| c.id);
    columns.iter_mut().for_each(|c| c.present(times_ms.len()));
    let series: Vec<i64> = columns.iter().map(|c| c.id).collect();
    let packed = columns.iter().map(|c| (c.ticks.as_deref(), &c.numbers));
    let (first, last) = (all().next()?, all().last()?);
    Some(Entry {
        numbers: all().flat_map(|e| e.numbers.clone()).collect(),
        start_ms: first.start_ms,
        end_ms: last.end_ms,
        received_ms: first.received_ms,
        payload: wrap(&series, &column::encode_numbers(&times_ms, packed)),
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
