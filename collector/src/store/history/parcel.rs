//! A parcel: samples with the store's own series ids, as bytes.
//!
//! ```text
//! parcel = version(1) run-count runs block
//! run    = first-id(zigzag, minus the end of the run before)  length
//! block  = docs/format/column.md; a column's number is a position among the ids of the runs
//! ```
//! Ids are given out in the order series are declared, so a batch's list is a run or two. The
//! journal keeps parcels as they are; a sealed block is a parcel under zstd. Each has its CRC-32C
//! in a column beside it.

use hostwell_proto::column::{self, Block, Column, Limits};

use super::super::error::Fault;

const VERSION: u8 = 1;
/// Most bytes a parcel may unpack to: far above what sealing makes, far below all memory.
const BYTES_MAX: usize = 256 << 20;
const SERIES_MAX: usize = 1 << 20;
/// Sealed once, read often, and on the disk for weeks: worth a high level.
const ZSTD_LEVEL: i32 = 9;
const LIMITS: Limits = Limits {
    ticks_max: u16::MAX as usize,
    columns_max: SERIES_MAX,
    samples_max: 1 << 28,
};

/// Samples with the store's series ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::store) struct Parcel {
    /// What `Column::number` counts.
    pub series: Vec<i64>,
    /// Times and values.
    pub block: Block,
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

impl Parcel {
    /// Whether every column names a series of the list.
    pub(in crate::store) fn is_sound(&self) -> bool {
        self.block
            .columns
            .iter()
            .all(|c| (c.number as usize) < self.series.len())
    }

    /// The parcel as bytes.
    pub(in crate::store) fn pack(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let runs: Vec<&[i64]> = self
            .series
            .chunk_by(|a, b| a.checked_add(1) == Some(*b))
            .collect();
        put_varint(&mut out, runs.len() as u64);
        let mut end = 0i64;
        for run in runs {
            let step = run[0].wrapping_sub(end);
            put_varint(&mut out, ((step << 1) ^ (step >> 63)) as u64);
            put_varint(&mut out, run.len() as u64);
            end = run[0].wrapping_add(run.len() as i64);
        }
        out.extend_from_slice(&column::encode(&self.block, |_| 0));
        out
    }

    /// Reads bytes whose checksum was right; what does not fit is damage all the same.
    pub(in crate::store) fn unpack(bytes: &[u8]) -> Result<Parcel, Fault> {
        let cut = || Fault::damaged("a parcel's series list is cut");
        let mut rest = match bytes.split_first() {
            Some((&VERSION, rest)) => rest,
            Some((other, _)) => {
                return Err(Fault::damaged(format!(
                    "a parcel of unknown version {other}"
                )));
            }
            None => return Err(cut()),
        };
        let runs = take_varint(&mut rest).ok_or_else(cut)?;
        let (mut series, mut end) = (Vec::new(), 0i64);
        for _ in 0..runs {
            let step = take_varint(&mut rest).ok_or_else(cut)?;
            let length = take_varint(&mut rest).ok_or_else(cut)?;
            let first = end.wrapping_add((step >> 1) as i64 ^ -((step & 1) as i64));
            if length as usize > SERIES_MAX - series.len().min(SERIES_MAX) {
                return Err(Fault::damaged("a parcel's series list is too long"));
            }
            end = first.wrapping_add(length as i64);
            series.extend((0..length as i64).map(|i| first.wrapping_add(i)));
        }
        let block = column::decode(rest, LIMITS)
            .map_err(|e| Fault::damaged(format!("a parcel's samples: {e}")))?;
        let parcel = Parcel { series, block };
        if parcel.is_sound() {
            Ok(parcel)
        } else {
            Err(Fault::damaged("a parcel's column names no series"))
        }
    }

    /// The parcel under zstd, for a sealed block.
    pub(in crate::store) fn seal(&self) -> Result<Vec<u8>, Fault> {
        zstd::bulk::compress(&self.pack(), ZSTD_LEVEL)
            .map_err(|e| Fault::Sql(super::super::error::Trouble::Other(format!("zstd: {e}"))))
    }

    /// Reads a sealed block.
    pub(in crate::store) fn unseal(bytes: &[u8]) -> Result<Parcel, Fault> {
        let size = zstd::zstd_safe::get_frame_content_size(bytes)
            .ok()
            .flatten()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n <= BYTES_MAX)
            .ok_or_else(|| Fault::damaged("a block's compressed size is unknown or too large"))?;
        let packed = zstd::bulk::decompress(bytes, size)
            .map_err(|e| Fault::damaged(format!("a block does not decompress: {e}")))?;
        Parcel::unpack(&packed)
    }

    /// Calls back for every sample: (store's series id, time in ms, value).
    pub(in crate::store) fn each(&self, mut take: impl FnMut(i64, i64, f64)) {
        for column in &self.block.columns {
            let id = self.series[column.number as usize];
            for (tick, value) in column.samples() {
                take(id, self.block.times_ms[tick], value);
            }
        }
    }

    /// First and last time that has a tick.
    pub(in crate::store) fn span(&self) -> Option<(i64, i64)> {
        let times = &self.block.times_ms;
        Some((*times.iter().min()?, *times.iter().max()?))
    }

    /// Builds a parcel from samples of each series, ascending in time without a time twice.
    pub(in crate::store) fn of(samples: &[(i64, &[(i64, f64)])]) -> Parcel {
        let mut times_ms: Vec<i64> = samples
            .iter()
            .flat_map(|(_, points)| points.iter().map(|p| p.0))
            .collect();
        times_ms.sort_unstable();
        times_ms.dedup();
        let columns = samples
            .iter()
            .enumerate()
            .map(|(number, (_, points))| Column {
                number: number as u32,
                ticks: (points.len() != times_ms.len()).then(|| ticks_of(points, &times_ms)),
                values: points.iter().map(|p| p.1).collect(),
            })
            .collect();
        Parcel {
            series: samples.iter().map(|(id, _)| *id).collect(),
            block: Block { times_ms, columns },
        }
    }
}

/// Positions of the points' times among all times; both ascend.
fn ticks_of(points: &[(i64, f64)], times_ms: &[i64]) -> Vec<u16> {
    let mut at = 0;
    points
        .iter()
        .map(|(time, _)| {
            at += times_ms[at..].partition_point(|t| t < time);
            at as u16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_samples() -> impl Strategy<Value = Vec<(i64, Vec<(i64, f64)>)>> {
        let value = prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<i32>().prop_map(f64::from),
            any::<i64>().prop_map(|v| v as f64),
            Just(-0.0),
            Just(f64::NAN),
        ];
        let points = prop::collection::btree_map(-50i64..50, value, 1..20);
        prop::collection::btree_map(any::<i64>(), points, 0..8).prop_map(|all| {
            all.into_iter()
                .map(|(id, points)| (id, points.into_iter().collect()))
                .collect()
        })
    }

    fn bits(parcel: &Parcel) -> Vec<(i64, i64, u64)> {
        let mut all = Vec::new();
        parcel.each(|id, time, value| all.push((id, time, value.to_bits())));
        all
    }

    proptest! {
        #[test]
        fn every_bit_of_every_sample_comes_back(samples in any_samples()) {
            let borrowed: Vec<_> = samples.iter().map(|(id, p)| (*id, p.as_slice())).collect();
            let parcel = Parcel::of(&borrowed);
            let wanted: Vec<_> = samples
                .iter()
                .flat_map(|(id, p)| p.iter().map(move |(t, v)| (*id, *t, v.to_bits())))
                .collect();
            prop_assert_eq!(&bits(&parcel), &wanted);
            prop_assert_eq!(&bits(&Parcel::unpack(&parcel.pack()).unwrap()), &wanted);
            prop_assert_eq!(&bits(&Parcel::unseal(&parcel.seal().unwrap()).unwrap()), &wanted);
        }

        #[test]
        fn any_bytes_are_read_or_called_damage(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parcel::unpack(&bytes);
            let _ = Parcel::unseal(&bytes);
        }

        #[test]
        fn a_cut_parcel_is_damage(samples in any_samples(), at in any::<prop::sample::Index>()) {
            let borrowed: Vec<_> = samples.iter().map(|(id, p)| (*id, p.as_slice())).collect();
            let packed = Parcel::of(&borrowed).pack();
            let cut = at.index(packed.len());
            prop_assert!(Parcel::unpack(&packed[..cut]).is_err());
        }
    }

    #[test]
    fn neighbouring_ids_cost_nothing_more() {
        let parcel = |ids: Vec<i64>| Parcel {
            series: ids,
            block: Block::default(),
        };
        let few = parcel((10..12).collect()).pack().len();
        let many = parcel((10..110).collect()).pack().len();
        assert_eq!(few, many);
    }
}
