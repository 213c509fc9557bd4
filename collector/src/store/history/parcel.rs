//! A parcel: samples with the store's own series ids, as bytes.
//!
//! ```text
//! parcel = version(1) run-count runs block
//! run    = first-id(zigzag, minus the end of the run before)  length
//! block  = docs/format/column.md; a column's number is a position among the ids of the runs
//! ```
//! Ids are given out in the order series are declared, so a batch's list is a run or two. The
//! journal keeps parcels as they are; a sealed block is of format 3 (`sealed`) or, the older way and
//! where it is smaller, a parcel under zstd. Each has its CRC-32C in a column beside it.

use std::collections::HashMap;

use hostwell_proto::column::{self, Block, Column, Limits, Numbers, Room, Single, Walk};

use super::super::error::Fault;
use super::super::unzip::unzip;
use super::sealed::{self, Plans};
use super::varint::{self, Cursor};

const VERSION: u8 = 1;
/// Most bytes a parcel may unpack to: far above what sealing makes, far below all memory.
const BYTES_MAX: usize = 256 << 20;
const SERIES_MAX: usize = 1 << 20;
/// Bounds for what a block from a file may unpack to.
pub(in crate::store) const LIMITS: Limits = Limits {
    ticks_max: u16::MAX as usize,
    columns_max: SERIES_MAX,
    samples_max: 1 << 28,
};

/// The newest sample of a series: its id, time in ms and value.
pub(in crate::store) type Newest = (i64, (i64, f64));

/// Samples with the store's series ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::store) struct Parcel {
    /// What `Column::number` counts.
    pub series: Vec<i64>,
    /// Times and values.
    pub block: Block,
}

/// Appends a list of ids as runs of neighbours.
pub(in crate::store) fn put_runs(out: &mut Vec<u8>, series: &[i64]) {
    let runs = series.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    varint::put(out, runs.clone().count() as u64);
    let mut end = 0i64;
    for run in runs {
        varint::put_signed(out, run[0].wrapping_sub(end));
        varint::put(out, run.len() as u64);
        end = run[0].wrapping_add(run.len() as i64);
    }
}

/// A parcel around a packed block.
pub(in crate::store) fn wrap(series: &[i64], block: &[u8]) -> Vec<u8> {
    // A list of ids is a run or two.
    let mut out = Vec::with_capacity(block.len() + 24);
    out.push(VERSION);
    put_runs(&mut out, series);
    out.extend_from_slice(block);
    out
}

/// Which series a parcel names, and with how many bytes: the packed block is behind these. `None` where
/// it cannot be read.
pub(in crate::store) fn named(bytes: &[u8]) -> Option<(Vec<i64>, usize)> {
    let mut cursor = Cursor::new(bytes, "a parcel's series list");
    let mut series = Vec::new();
    begin(&mut cursor, &mut series).ok()?;
    Some((series, bytes.len() - cursor.rest().len()))
}

/// How many ticks a parcel has; none where it cannot be read.
pub(in crate::store) fn ticks(bytes: &[u8]) -> usize {
    let mut cursor = Cursor::new(bytes, "a parcel's ticks");
    let mut count = || -> Result<u64, Fault> {
        cursor.byte()?;
        for _ in 0..cursor.unsigned()? {
            cursor.signed()?;
            cursor.unsigned()?;
        }
        cursor.byte()?;
        cursor.unsigned()
    };
    count().map_or(0, |ticks| ticks as usize)
}

/// Reads parcels one after another into room that is used again.
#[derive(Debug, Default)]
pub(in crate::store) struct Opener {
    series: Vec<i64>,
    times_ms: Vec<i64>,
    room: Room,
}

impl Opener {
    /// Calls back for every column whose series is `wanted`: id, times of all ticks, samples.
    pub(in crate::store) fn each(
        &mut self,
        bytes: &[u8],
        wanted: impl Fn(i64) -> bool,
        mut take: impl FnMut(i64, &[i64], &Room),
    ) -> Result<(), Fault> {
        let mut columns = self.open(bytes)?;
        while let Some(id) = columns.next()? {
            if wanted(id) {
                columns.walk.read(columns.room).map_err(damaged)?;
                take(id, columns.times_ms, columns.room);
            } else {
                let passed = columns.walk.pass(&mut columns.room.ticks);
                passed.map_err(damaged)?;
            }
        }
        Ok(())
    }

    /// The columns of a parcel, to be read one after another.
    pub(in crate::store) fn open<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Columns<'a>, Fault> {
        let mut cursor = Cursor::new(bytes, "a parcel's series list");
        begin(&mut cursor, &mut self.series)?;
        let walk = Walk::begin(cursor.rest(), LIMITS, &mut self.times_ms).map_err(damaged)?;
        Ok(Columns {
            series: &self.series,
            times_ms: &self.times_ms,
            room: &mut self.room,
            walk,
        })
    }
}

fn damaged(error: column::ColumnError) -> Fault {
    Fault::damaged(format!("a parcel's samples: {error}"))
}

/// The columns of a parcel, one after another.
#[derive(Debug)]
pub(in crate::store) struct Columns<'a> {
    series: &'a [i64],
    /// The times of all ticks.
    pub times_ms: &'a [i64],
    room: &'a mut Room,
    walk: Walk<'a>,
}

impl Columns<'_> {
    /// The series of the next column, which has to be read or passed over then.
    pub(in crate::store) fn next(&mut self) -> Result<Option<i64>, Fault> {
        let Some(number) = self.walk.number().map_err(damaged)? else {
            return Ok(None);
        };
        match self.series.get(number as usize) {
            Some(id) => Ok(Some(*id)),
            None => Err(Fault::damaged("a parcel's column names no series")),
        }
    }

    /// The next column and its series, read, if it is a [`Single`]; else nothing was read.
    #[inline]
    pub(in crate::store) fn single(&mut self) -> Option<(i64, Single)> {
        let single = self.walk.single(self.series.len() as u32)?;
        Some((self.series[single.number as usize], single))
    }

    /// Reads a column: see [`Walk::append_to`].
    pub(in crate::store) fn append_to(
        &mut self,
        numbers: &mut Numbers,
    ) -> Result<(Option<&[u16]>, usize), Fault> {
        let ticks = &mut self.room.ticks;
        self.walk.append_to(numbers, ticks).map_err(damaged)
    }
}

/// Version and series of a parcel.
fn begin(cursor: &mut Cursor<'_>, series: &mut Vec<i64>) -> Result<(), Fault> {
    match cursor.byte()? {
        VERSION => take_runs_into(cursor, series),
        other => Err(Fault::damaged(format!(
            "a parcel of unknown version {other}"
        ))),
    }
}

/// Reads a list of ids.
pub(in crate::store) fn take_runs(cursor: &mut Cursor<'_>) -> Result<Vec<i64>, Fault> {
    let mut series = Vec::new();
    take_runs_into(cursor, &mut series)?;
    Ok(series)
}

fn take_runs_into(cursor: &mut Cursor<'_>, series: &mut Vec<i64>) -> Result<(), Fault> {
    let runs = cursor.unsigned()?;
    series.clear();
    let mut end = 0i64;
    for _ in 0..runs {
        let first = end.wrapping_add(cursor.signed()?);
        let length = cursor.unsigned()?;
        if length > (SERIES_MAX - series.len()) as u64 {
            return Err(Fault::damaged("a parcel's series list is too long"));
        }
        end = first.wrapping_add(length as i64);
        series.extend((0..length as i64).map(|i| first.wrapping_add(i)));
    }
    Ok(())
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
        wrap(&self.series, &column::encode(&self.block, |_| 0))
    }

    /// Reads bytes whose checksum was right; what does not fit is damage all the same.
    pub(in crate::store) fn unpack(bytes: &[u8]) -> Result<Parcel, Fault> {
        let mut cursor = Cursor::new(bytes, "a parcel's series list");
        let mut series = Vec::new();
        begin(&mut cursor, &mut series)?;
        let block = column::decode(cursor.rest(), LIMITS)
            .map_err(|e| Fault::damaged(format!("a parcel's samples: {e}")))?;
        let parcel = Parcel { series, block };
        if parcel.is_sound() {
            Ok(parcel)
        } else {
            Err(Fault::damaged("a parcel's column names no series"))
        }
    }

    /// How the columns of a sealed block are foretold; `None` where the block is of the older way
    /// or nothing is.
    pub(in crate::store) fn plans(bytes: &[u8]) -> Result<Option<Plans>, Fault> {
        if !sealed::is_ours(bytes) {
            return Ok(None);
        }
        Ok(Some(sealed::plans(bytes)?).filter(|p| !p.is_empty()))
    }

    /// Reads a sealed block of any format.
    pub(in crate::store) fn unseal(bytes: &[u8]) -> Result<Parcel, Fault> {
        Parcel::unseal_some(bytes, |_| true)
    }

    /// The series of a sealed block of any format.
    pub(in crate::store) fn series_of(bytes: &[u8]) -> Result<Vec<i64>, Fault> {
        match sealed::is_ours(bytes) {
            true => sealed::series(bytes),
            false => Ok(Parcel::unseal(bytes)?.series),
        }
    }

    /// Reads a sealed block, at least the columns of the series that are `wanted`; format 2 and up
    /// leaves the others as they are.
    pub(in crate::store) fn unseal_some(
        bytes: &[u8],
        wanted: impl Fn(i64) -> bool,
    ) -> Result<Parcel, Fault> {
        Parcel::unseal_within(bytes, wanted, (i64::MIN, i64::MAX))
    }

    /// The same; of format 2 and up only the ticks within a range.
    pub(in crate::store) fn unseal_within(
        bytes: &[u8],
        wanted: impl Fn(i64) -> bool,
        range: (i64, i64),
    ) -> Result<Parcel, Fault> {
        if sealed::is_ours(bytes) {
            return sealed::decode(bytes, wanted, range);
        }
        let packed = unzip("a block", bytes, BYTES_MAX)?;
        Parcel::unpack(&packed)
    }

    /// The newest sample within a range of each series of a sealed block that is `wanted`.
    pub(in crate::store) fn newest_within(
        bytes: &[u8],
        wanted: impl Fn(i64) -> bool,
        range: (i64, i64),
    ) -> Result<Vec<Newest>, Fault> {
        if sealed::is_ours(bytes) {
            return sealed::newest(bytes, wanted, range);
        }
        let mut newest = HashMap::new();
        Parcel::unseal(bytes)?.each(|id, time_ms, value| {
            if (range.0..=range.1).contains(&time_ms) && wanted(id) {
                newest.insert(id, (time_ms, value));
            }
        });
        Ok(newest.into_iter().collect())
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
        let times_ms = times_of(samples.iter().map(|(_, points)| *points));
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

/// All times of several series, ascending. Most series of a host have the same ones.
pub(in crate::store) fn times_of<'a>(series: impl Iterator<Item = &'a [(i64, f64)]>) -> Vec<i64> {
    let mut times: Vec<i64> = Vec::new();
    for points in series {
        let same = points.len() == times.len() && points.iter().zip(&times).all(|(p, t)| p.0 == *t);
        if !same {
            times.extend(points.iter().map(|p| p.0));
            times.sort_unstable();
            times.dedup();
        }
    }
    times
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
    use super::super::table::Table;
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
            prop_assert_eq!(&bits(&Parcel::unseal(&Table::of(&parcel).seal(None).unwrap()).unwrap()), &wanted);
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
