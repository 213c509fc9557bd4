//! Ticks waiting to travel together, column by column.

use hostwell_proto::column::{self, Block, Column};

use super::Packed;
use crate::sample::{Sample, SeriesNumber, SeriesTable};

/// Most values in one batch: well below what any collector refuses, however many series there are.
const SAMPLES_MAX: usize = 10_000;

/// Samples by series, packed when they are enough.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    times_ms: Vec<i64>,
    /// Indexed by series number; kept from batch to batch for its allocations.
    columns: Vec<(Vec<u16>, Vec<f64>)>,
    samples: usize,
}

impl Gathered {
    /// How many ticks wait.
    pub(crate) fn ticks(&self) -> usize {
        self.times_ms.len()
    }

    /// Whether this tick cannot join: times would not ascend, or there would be too much.
    pub(crate) fn refuses(&self, sample: &Sample) -> bool {
        self.times_ms
            .last()
            .is_some_and(|last| *last >= sample.time_ms)
            || (self.samples > 0 && self.samples + sample.readings.len() > SAMPLES_MAX)
            || self.times_ms.len() >= usize::from(u16::MAX)
    }

    /// Adds one tick. Values that are not finite have no meaning to anybody and stay out.
    pub(crate) fn add(&mut self, sample: &Sample) {
        let tick = self.times_ms.len() as u16;
        self.times_ms.push(sample.time_ms);
        for (number, value) in &sample.readings {
            let index = *number as usize;
            if index >= self.columns.len() {
                self.columns.resize_with(index + 1, Default::default);
            }
            let (ticks, values) = &mut self.columns[index];
            if value.is_finite() && ticks.last() != Some(&tick) {
                ticks.push(tick);
                values.push(*value);
                self.samples += 1;
            }
        }
    }

    /// Packs everything that waits, usually into one block; a single tick of very many series
    /// becomes several.
    pub(crate) fn pack(&mut self, table: &SeriesTable) -> Vec<Packed> {
        let mut packed = Vec::new();
        let (Some(from_ms), Some(to_ms)) = (self.times_ms.first(), self.times_ms.last()) else {
            return packed;
        };
        let (from_ms, to_ms) = (*from_ms, *to_ms);
        let mut block = Block {
            times_ms: std::mem::take(&mut self.times_ms),
            columns: Vec::new(),
        };
        let mut samples = 0;
        let mut close = |block: &mut Block, samples: &mut usize| {
            if *samples > 0 {
                packed.push(Packed {
                    block: column::encode(block, |number| decimals(table, number)),
                    from_ms,
                    to_ms,
                    samples: *samples as u32,
                });
            }
            *samples = 0;
        };
        for number in 0..self.columns.len() {
            let (ticks, values) = std::mem::take(&mut self.columns[number]);
            if values.is_empty() {
                self.columns[number] = (ticks, values);
                continue;
            }
            if samples + values.len() > SAMPLES_MAX {
                close(&mut block, &mut samples);
                self.give_back(&mut block);
            }
            samples += values.len();
            block.columns.push(Column {
                number: number as SeriesNumber,
                // All of them is said without a list; the list is kept for its allocation.
                ticks: (ticks.len() < block.times_ms.len()).then(|| ticks.clone()),
                values,
            });
            self.columns[number].0 = ticks;
        }
        close(&mut block, &mut samples);
        self.give_back(&mut block);
        self.times_ms = block.times_ms;
        self.times_ms.clear();
        self.samples = 0;
        packed
    }

    fn give_back(&mut self, block: &mut Block) {
        for column in block.columns.drain(..) {
            let (ticks, values) = &mut self.columns[column.number as usize];
            ticks.clear();
            *values = column.values;
            values.clear();
        }
    }
}

fn decimals(table: &SeriesTable, number: SeriesNumber) -> u8 {
    table
        .key(number)
        .map_or(0, |key| key.metric.descriptor().decimals)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: column::Limits = column::Limits {
        ticks_max: 60_000,
        columns_max: 100_000,
        samples_max: SAMPLES_MAX,
    };

    fn decode(packed: &Packed) -> Block {
        column::decode(&packed.block, LIMITS).unwrap()
    }

    #[test]
    fn ticks_come_back_as_they_were_sampled() {
        let mut gathered = Gathered::default();
        for round in 0..3 {
            let base = 1000 * (round + 1);
            for (i, readings) in [vec![(0, 1.0), (5, 2.0)], vec![(0, 3.0)]]
                .into_iter()
                .enumerate()
            {
                let time_ms = base + i as i64;
                gathered.add(&Sample { time_ms, readings });
            }
            let packed = gathered.pack(&SeriesTable::default());
            assert_eq!(packed.len(), 1);
            assert_eq!(
                (packed[0].from_ms, packed[0].to_ms, packed[0].samples),
                (base, base + 1, 3)
            );
            let block = decode(&packed[0]);
            assert_eq!(block.times_ms, [base, base + 1]);
            assert_eq!(block.columns[0].ticks, None);
            assert_eq!(block.columns[1].ticks, Some(vec![0]));
            assert_eq!((gathered.ticks(), gathered.samples), (0, 0));
        }
        assert!(gathered.pack(&SeriesTable::default()).is_empty());
    }

    #[test]
    fn values_that_are_not_finite_or_come_twice_stay_out() {
        let mut gathered = Gathered::default();
        let readings = vec![(0, f64::NAN), (1, f64::INFINITY), (2, 1.0), (2, 2.0)];
        gathered.add(&Sample {
            time_ms: 5,
            readings,
        });
        let packed = gathered.pack(&SeriesTable::default());
        assert_eq!(packed[0].samples, 1);
        assert_eq!(decode(&packed[0]).columns[0].values, [1.0]);
    }

    #[test]
    fn a_tick_of_very_many_series_becomes_several_blocks() {
        let mut gathered = Gathered::default();
        let readings = (0..25_000).map(|n| (n, f64::from(n))).collect();
        gathered.add(&Sample {
            time_ms: 5,
            readings,
        });
        let packed = gathered.pack(&SeriesTable::default());
        assert_eq!(
            packed.iter().map(|p| p.samples).collect::<Vec<_>>(),
            [10_000, 10_000, 5_000]
        );
        let last = decode(&packed[2]);
        assert_eq!(last.columns[4_999].values, [24_999.0]);
    }

    #[test]
    fn time_that_does_not_ascend_starts_another_batch() {
        let mut gathered = Gathered::default();
        let sample = |time_ms| Sample {
            time_ms,
            readings: vec![(0, 1.0)],
        };
        gathered.add(&sample(10));
        assert!(gathered.refuses(&sample(10)) && gathered.refuses(&sample(9)));
        assert!(!gathered.refuses(&sample(11)));
    }

    proptest! {
        #[test]
        fn whatever_is_sampled_comes_back(
            ticks in proptest::collection::vec(
                proptest::collection::btree_map(0u32..40, -1e9..1e9f64, 0..30), 1..12),
        ) {
            let mut gathered = Gathered::default();
            for (i, tick) in ticks.iter().enumerate() {
                let readings = tick.iter().map(|(n, v)| (*n, *v)).collect();
                gathered.add(&Sample { time_ms: 1000 * i as i64, readings });
            }
            let mut back = vec![std::collections::BTreeMap::new(); ticks.len()];
            for packed in gathered.pack(&SeriesTable::default()) {
                for column in decode(&packed).columns {
                    for (tick, value) in column.samples() {
                        back[tick].insert(column.number, value);
                    }
                }
            }
            prop_assert_eq!(back, ticks);
        }
    }
}
