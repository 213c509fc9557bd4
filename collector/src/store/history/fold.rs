//! Several batches of a host become one parcel: the same samples, named once.

use std::collections::HashMap;
use std::sync::Arc;

use hostwell_proto::column::{self, Block, Column, Room};

use super::head::Entry;
use super::parcel::{Opener, wrap};

/// Most ticks of a folded entry.
const TICKS_MAX: usize = 4096;

/// A series while its samples are put together.
struct Growing {
    id: i64,
    values: Vec<f64>,
    /// The ticks of the values, once one was without.
    ticks: Option<Vec<u16>>,
    /// The most decimals its values were packed with: packing them anew need not find that out.
    decimals: u8,
}

impl Growing {
    fn add(&mut self, tick: usize, value: f64) {
        match &mut self.ticks {
            Some(ticks) => ticks.push(tick as u16),
            None if tick == self.values.len() => {}
            None => {
                let before = 0..self.values.len() as u16;
                self.ticks = Some(before.chain([tick as u16]).collect());
            }
        }
        self.values.push(value);
    }

    /// The column in a block of so many ticks.
    fn column(mut self, number: u32, ticks: usize) -> Column {
        if self.ticks.is_none() && self.values.len() < ticks {
            self.ticks = Some((0..self.values.len() as u16).collect());
        }
        Column {
            number,
            ticks: self.ticks,
            values: self.values,
        }
    }
}

/// Columns while they are put together.
#[derive(Default)]
struct Columns {
    places: HashMap<i64, usize>,
    all: Vec<Growing>,
    next: usize,
}

impl Columns {
    /// The column of a series. Batches name the same series in the same order nearly always.
    fn of(&mut self, id: i64, expected: usize) -> &mut Growing {
        let next = self.next;
        let at = match self.all.get(next) {
            Some(known) if known.id == id => next,
            _ => *self.places.entry(id).or_insert_with(|| {
                self.all.push(Growing {
                    id,
                    values: Vec::with_capacity(expected),
                    ticks: None,
                    decimals: 0,
                });
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
            let column = columns.of(id, entries.len());
            column.decimals = column.decimals.max(room.decimals);
            for (tick, value) in room.samples() {
                column.add(begin + tick, value);
            }
        };
        opener.each(&entry.payload, |_| true, take).ok()?;
        if times_ms.len() > TICKS_MAX || !times_ms[begin..].is_sorted_by(|a, b| a < b) {
            return None;
        }
    }
    let mut all = columns.all;
    all.sort_unstable_by_key(|c| c.id);
    let series: Vec<i64> = all.iter().map(|c| c.id).collect();
    let decimals: Vec<u8> = all.iter().map(|c| c.decimals).collect();
    let ticks = times_ms.len();
    let column = |(number, growing): (u32, Growing)| growing.column(number, ticks);
    let block = Block {
        columns: (0u32..).zip(all).map(column).collect(),
        times_ms,
    };
    let packed = column::encode(&block, |number| decimals[number as usize]);
    Some(Entry {
        numbers: entries.iter().flat_map(|e| e.numbers.clone()).collect(),
        start_ms: entries.first()?.start_ms,
        end_ms: entries.last()?.end_ms,
        received_ms: entries.first()?.received_ms,
        payload: wrap(&series, &packed),
    })
}

#[cfg(test)]
mod tests {
    use super::super::parcel::Parcel;
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
