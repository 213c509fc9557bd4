//! Several batches of a host become one parcel: the same samples, named once.

use std::collections::HashMap;
use std::sync::Arc;

use hostwell_proto::column::{Block, Column, Room};

use super::super::parcel::{Opener, Parcel};
use super::Entry;

/// Most ticks of a folded entry.
const TICKS_MAX: usize = 4096;

/// Columns while they are put together.
#[derive(Default)]
struct Columns {
    places: HashMap<i64, usize>,
    all: Vec<(i64, Vec<u16>, Vec<f64>)>,
    next: usize,
}

impl Columns {
    /// The column of a series. Batches name the same series in the same order nearly always.
    fn of(&mut self, id: i64) -> &mut (i64, Vec<u16>, Vec<f64>) {
        let next = self.next;
        let at = match self.all.get(next) {
            Some((known, ..)) if *known == id => next,
            _ => *self.places.entry(id).or_insert_with(|| {
                self.all.push((id, Vec::new(), Vec::new()));
                self.all.len() - 1
            }),
        };
        self.next = at + 1;
        &mut self.all[at]
    }
}

/// One entry instead of several; `None` where their times do not ascend: of samples with equal
/// times the first committed counts, and only sealing sorts that out.
pub(super) fn fold(entries: &[Arc<Entry>]) -> Option<Entry> {
    let ascend = entries.windows(2).all(|w| w[0].end_ms < w[1].start_ms);
    if !ascend || entries.is_empty() {
        return None;
    }
    let (mut times_ms, mut columns) = (Vec::new(), Columns::default());
    let mut opener = Opener::default();
    for entry in entries {
        columns.next = 0;
        let begin = times_ms.len();
        let take = |id: i64, times: &[i64], room: &Room| {
            if times_ms.len() == begin {
                times_ms.extend_from_slice(times);
            }
            let (_, ticks, values) = columns.of(id);
            for (tick, value) in room.samples() {
                ticks.push((begin + tick) as u16);
                values.push(value);
            }
        };
        opener.each(&entry.payload, |_| true, take).ok()?;
        if times_ms.len() > TICKS_MAX || !times_ms[begin..].is_sorted_by(|a, b| a < b) {
            return None;
        }
    }
    let mut all = columns.all;
    all.sort_unstable_by_key(|c| c.0);
    let ticks_all = times_ms.len();
    let column = |(number, (_, ticks, values)): (u32, (i64, Vec<u16>, Vec<f64>))| Column {
        number,
        ticks: (ticks.len() != ticks_all).then_some(ticks),
        values,
    };
    let series = all.iter().map(|c| c.0).collect();
    let parcel = Parcel {
        series,
        block: Block {
            times_ms,
            columns: (0u32..).zip(all).map(column).collect(),
        },
    };
    Some(Entry {
        numbers: entries.iter().flat_map(|e| e.numbers.clone()).collect(),
        start_ms: entries.first()?.start_ms,
        end_ms: entries.last()?.end_ms,
        received_ms: entries.first()?.received_ms,
        payload: parcel.pack(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ];
        let folded = Arc::new(fold(&entries).unwrap());
        assert_eq!(folded.numbers, [4, 6, 9]);
        assert_eq!(
            (folded.start_ms, folded.end_ms, folded.received_ms),
            (10, 40, 4)
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
