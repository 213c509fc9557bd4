//! What the gauges of a block come to, beside the block: docs/format/total.md.

use hostwell_proto::column::{DECIMALS_MAX, decimal};

use super::super::error::Fault;
use super::parcel::{LIMITS, Parcel, put_runs, take_runs};
use super::table::Table;
use super::varint::{self, Cursor};
use crate::series::{Total, Trend};

const VERSION: u8 = 2;
/// Until format 8: nothing about how samples lie in time.
const WITHOUT_TRENDS: u8 = 1;
/// A series begins with a byte: up to nine its low bits are decimals; or three doubles follow, …
const DOUBLES: u8 = 10;
/// … or a value is no finite number, and the block has to be read.
const UNTOLD: u8 = 15;
/// How many samples there are follows; else one at each tick.
const COUNTED: u8 = 0x10;
/// It says how the samples lie in time: …
const TREND: u8 = 0x20;
/// … their times are said for it alone, else they are the block's, …
const OWN_TIMES: u8 = 0x40;
/// … and nothing follows: the values do not move with time.
const LEVEL: u8 = 0x80;
const FORM: u8 = 0x0f;
/// Whole numbers up to here are doubles exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A gauge of a block and what its samples there come to; `None` where only they can tell.
pub(in crate::store) type Of = (i64, Option<Total>);

/// What the gauges of a block that is made come to.
pub(in crate::store) fn of_table(table: &Table<'_>, is_gauge: impl Fn(i64) -> bool) -> Vec<Of> {
    let named = table.series.iter().zip(&table.columns);
    named
        .filter(|(id, _)| is_gauge(**id))
        .filter_map(|(id, column)| {
            let ticks = column.ticks.as_deref();
            of_values(*id, (table.times_ms, ticks), &column.row.values())
        })
        .collect()
}

/// What the gauges of a sealed block come to.
pub(in crate::store) fn of_parcel(parcel: &Parcel, is_gauge: impl Fn(i64) -> bool) -> Vec<Of> {
    let columns = parcel.block.columns.iter();
    let named = columns.map(|column| (parcel.series[column.number as usize], column));
    named
        .filter(|(id, _)| is_gauge(*id))
        .filter_map(|(id, column)| {
            let ticks = column.ticks.as_deref();
            of_values(id, (&parcel.block.times_ms, ticks), &column.values)
        })
        .collect()
}

/// What the values of a series at some ticks, at all where none are named, come to; `None` where there
/// are no values.
fn of_values(id: i64, (times_ms, ticks): (&[i64], Option<&[u16]>), values: &[f64]) -> Option<Of> {
    let total = match ticks {
        None => Total::of(times_ms, values),
        Some(ticks) => {
            let times = ticks.iter().map(|tick| times_ms[usize::from(*tick)]);
            Total::of(&times.collect::<Vec<i64>>(), values)
        }
    };
    Some((id, Some(total?).filter(|total| total.sum.is_finite())))
}

/// Whether what a block told is what its samples come to. What an earlier collector did not tell is not
/// wrong.
pub(in crate::store) fn agrees(told: &[Of], held: &[Of]) -> bool {
    let same = |told: &Option<Total>, held: &Option<Total>| match (told, held) {
        (Some(told), Some(held)) => {
            let trend = told.trend.and(held.trend);
            *told == Total { trend, ..*held }
        }
        (told, held) => told == held,
    };
    let pairs = || told.iter().zip(held);
    told.len() == held.len() && pairs().all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
}

/// When samples were taken: the first, their mean after it, and how far apart they are.
type Times = (i64, u64, u64);

fn times(trend: &Trend) -> Times {
    let Trend {
        first_ms,
        middle_ms,
        under,
        ..
    } = trend;
    (*first_ms, middle_ms.to_bits(), under.to_bits())
}

fn put_times(out: &mut Vec<u8>, (first_ms, middle_ms, under): Times) {
    varint::put_signed(out, first_ms);
    out.extend_from_slice(&middle_ms.to_le_bytes());
    out.extend_from_slice(&under.to_le_bytes());
}

fn take_times(cursor: &mut Cursor<'_>) -> Result<Times, Fault> {
    let first_ms = cursor.signed()?;
    Ok((first_ms, eight(cursor)?, eight(cursor)?))
}

/// As bytes; `None` where there are none. `ticks`: how many the block has.
pub(in crate::store) fn encode(ticks: usize, totals: &[Of]) -> Option<Vec<u8>> {
    if totals.is_empty() {
        return None;
    }
    let mut out = vec![VERSION];
    let ids: Vec<i64> = totals.iter().map(|(id, _)| *id).collect();
    put_runs(&mut out, &ids);
    varint::put(&mut out, ticks as u64);
    let all = totals.iter().filter_map(|(_, total)| total.as_ref());
    let mut at_each_tick = all.filter(|total| total.samples == ticks as u64);
    let of_block = at_each_tick.find_map(|total| Some(times(total.trend.as_ref()?)));
    out.push(of_block.is_some().into());
    if let Some(times) = of_block {
        put_times(&mut out, times);
    }
    for (_, total) in totals {
        match total {
            Some(total) => put(&mut out, (ticks as u64, of_block), total),
            None => out.push(UNTOLD),
        }
    }
    Some(out)
}

fn put(out: &mut Vec<u8>, (ticks, of_block): (u64, Option<Times>), total: &Total) {
    let scaled = scaled(total);
    let form = scaled.map_or(DOUBLES, |(decimals, _)| decimals);
    let counted = total.samples != ticks;
    let own = total.trend.as_ref().map(times);
    let own_times = own.filter(|own| Some(*own) != of_block);
    let over = total.trend.map(|trend| trend.over.to_bits());
    let moves = over.filter(|over| *over != 0);
    let flags = [
        (COUNTED, counted),
        (TREND, over.is_some()),
        (OWN_TIMES, own_times.is_some()),
        (LEVEL, over.is_some() && moves.is_none()),
    ];
    let set = flags.into_iter().filter(|(_, is_set)| *is_set);
    out.push(set.fold(form, |head, (flag, _)| head | flag));
    if counted {
        varint::put(out, total.samples);
    }
    match scaled {
        Some((_, [min, max, sum])) => {
            varint::put_signed(out, min);
            varint::put_signed(out, max.wrapping_sub(min));
            // Most of a sum is told by the smallest value.
            let least = min.wrapping_mul(total.samples as i64);
            varint::put_signed(out, sum.wrapping_sub(least));
        }
        None => {
            for value in [total.min, total.max, total.sum] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
    if let Some(times) = own_times {
        put_times(out, times);
    }
    if let Some(over) = moves {
        out.extend_from_slice(&over.to_le_bytes());
    }
}

/// Smallest, largest and sum as whole numbers of the fewest decimals that hold them exactly.
fn scaled(total: &Total) -> Option<(u8, [i64; 3])> {
    (0..=DECIMALS_MAX).find_map(|decimals| {
        let power = 10f64.powi(i32::from(decimals));
        let exactly = |value: f64| {
            let number = (value * power).round();
            let fits = number.abs() < WHOLE_MAX;
            let back = decimal(number as i64, decimals);
            (fits && back.to_bits() == value.to_bits()).then_some(number as i64)
        };
        let numbers = [
            exactly(total.min)?,
            exactly(total.max)?,
            exactly(total.sum)?,
        ];
        Some((decimals, numbers))
    })
}

/// Reads bytes whose checksum was right; what does not fit is damage all the same.
pub(in crate::store) fn decode(bytes: &[u8]) -> Result<Vec<Of>, Fault> {
    let mut cursor = Cursor::new(bytes, "what a block comes to");
    let version = cursor.byte()?;
    if ![WITHOUT_TRENDS, VERSION].contains(&version) {
        return Err(Fault::damaged("totals of an unknown version"));
    }
    let ids = take_runs(&mut cursor)?;
    let ticks = cursor.count(LIMITS.ticks_max)? as u64;
    let of_block = match version == VERSION && cursor.byte()? != 0 {
        true => Some(take_times(&mut cursor)?),
        false => None,
    };
    let mut totals = Vec::with_capacity(ids.len().min(bytes.len()));
    for id in ids {
        totals.push((id, take(&mut cursor, (ticks, of_block))?));
    }
    cursor.end()?;
    Ok(totals)
}

fn take(
    cursor: &mut Cursor<'_>,
    (ticks, of_block): (u64, Option<Times>),
) -> Result<Option<Total>, Fault> {
    let head = cursor.byte()?;
    if head == UNTOLD {
        return Ok(None);
    }
    let samples = match head & COUNTED {
        0 => ticks,
        _ => cursor.count(LIMITS.ticks_max)? as u64,
    };
    let [min, max, sum] = match head & FORM {
        decimals @ 0..=DECIMALS_MAX => {
            let min = cursor.signed()?;
            let max = min.wrapping_add(cursor.signed()?);
            let least = min.wrapping_mul(samples as i64);
            let sum = least.wrapping_add(cursor.signed()?);
            [min, max, sum].map(|number| decimal(number, decimals))
        }
        DOUBLES => [double(cursor)?, double(cursor)?, double(cursor)?],
        _ => return Err(Fault::damaged("totals of an unknown form")),
    };
    if samples == 0 {
        return Err(Fault::damaged("a total of no samples"));
    }
    Ok(Some(Total {
        samples,
        sum,
        min,
        max,
        trend: take_trend(cursor, head, of_block)?,
    }))
}

fn take_trend(
    cursor: &mut Cursor<'_>,
    head: u8,
    of_block: Option<Times>,
) -> Result<Option<Trend>, Fault> {
    if head & TREND == 0 {
        return Ok(None);
    }
    let times = match head & OWN_TIMES {
        0 => of_block,
        _ => Some(take_times(cursor)?),
    };
    let Some((first_ms, middle_ms, under)) = times else {
        return Err(Fault::damaged("a trend without times"));
    };
    let over = match head & LEVEL {
        0 => eight(cursor)?,
        _ => 0,
    };
    let [middle_ms, under, over] = [middle_ms, under, over].map(f64::from_bits);
    Ok(Some(Trend {
        first_ms,
        middle_ms,
        under,
        over,
    }))
}

fn eight(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    let bytes = cursor.take(8)?;
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| Fault::damaged("totals are cut"))?;
    Ok(u64::from_le_bytes(bytes))
}

fn double(cursor: &mut Cursor<'_>) -> Result<f64, Fault> {
    Ok(f64::from_bits(eight(cursor)?))
}

/// Whether the bytes are those that were written.
pub(in crate::store) fn verified(block: i64, crc32c: u32, payload: &[u8]) -> Result<(), Fault> {
    match crc32c::crc32c(payload) == crc32c {
        true => Ok(()),
        false => Err(Fault::damaged(format!(
            "the totals of block {block} fail their checksum"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_total() -> impl Strategy<Value = Option<Total>> {
        let value = prop_oneof![
            any::<f64>().prop_filter("finite", |v| v.is_finite()),
            any::<i32>().prop_map(f64::from),
            (-100_000i64..100_000).prop_map(|v| v as f64 / 100.0),
            any::<i64>().prop_map(|v| v as f64),
            Just(-0.0),
        ];
        let values = prop::option::of(prop::collection::vec(value, 1..30));
        (values, 0i64..2, any::<bool>()).prop_map(|(values, first_ms, with_trend)| {
            let mut total = total(first_ms, &values?);
            total.trend = total.trend.filter(|_| with_trend);
            Some(total).filter(|t| t.sum.is_finite())
        })
    }

    /// Every ten seconds.
    fn total(first_ms: i64, values: &[f64]) -> Total {
        let times_ms: Vec<i64> = (0..values.len() as i64)
            .map(|n| first_ms + n * 10_000)
            .collect();
        Total::of(&times_ms, values).unwrap()
    }

    type Bits = ([u64; 4], Option<(Times, u64)>);

    fn bits(totals: &[Of]) -> Vec<(i64, Option<Bits>)> {
        let bits = |t: Total| {
            let trend = t.trend.map(|trend| (times(&trend), trend.over.to_bits()));
            let numbers = [t.samples, t.sum.to_bits(), t.min.to_bits(), t.max.to_bits()];
            (numbers, trend)
        };
        totals.iter().map(|(id, t)| (*id, t.map(bits))).collect()
    }

    proptest! {
        #[test]
        fn every_bit_of_every_total_comes_back(
            totals in prop::collection::btree_map(any::<i64>(), any_total(), 1..12), ticks in 0usize..40
        ) {
            let totals: Vec<Of> = totals.into_iter().collect();
            let bytes = encode(ticks, &totals).unwrap();
            prop_assert_eq!(bits(&decode(&bytes).unwrap()), bits(&totals));
        }

        #[test]
        fn any_bytes_are_read_or_called_damage(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn the_example_of_the_documentation_is_what_is_written() {
        let total = Total::of(&[0, 1, 2], &[8.0, 9.0, 11.0]);
        let bytes = encode(3, &[(7, total)]).unwrap();
        let doubles = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let (middle_and_under, over): (Vec<u8>, Vec<u8>) = (doubles(&[1.0, 2.0]), doubles(&[3.0]));
        let head = vec![2, 1, 14, 1, 3, 1, 0];
        let numbers = vec![0x20, 16, 6, 8];
        assert_eq!(bytes, [head, middle_and_under, numbers, over].concat());
    }

    #[test]
    fn what_was_written_without_trends_is_read() {
        let bytes = [1, 1, 14, 1, 3, 0, 16, 6, 8];
        let told = decode(&bytes).unwrap();
        let held = [(7, Total::of(&[0, 1, 2], &[8.0, 9.0, 11.0]))];
        assert_eq!(told[0].1.unwrap().trend, None);
        assert!(agrees(&told, &held));
        let other = [(7, Total::of(&[0, 1, 2], &[8.0, 9.0, 12.0]))];
        assert!(!agrees(&told, &other));
        let turned = [(7, Total::of(&[0, 1, 2], &[9.0, 8.0, 11.0]))];
        assert!(!agrees(&held, &turned), "the same in another order");
    }

    #[test]
    fn a_level_of_bytes_takes_as_many_bytes_as_its_numbers() {
        let values: Vec<f64> = (0..720).map(|i| 8e9 + f64::from(i * 4096)).collect();
        let one = encode(720, &[(7, Some(total(0, &values)))]).unwrap();
        let other = Some(total(0, &values));
        let two = encode(720, &[(7, other), (8, other)]).unwrap();
        assert!(two.len() - one.len() <= 24, "{}", two.len() - one.len());
        let level = Some(total(0, &[8e9; 720]));
        let two = encode(720, &[(7, other), (8, level)]).unwrap();
        assert!(two.len() - one.len() <= 9, "{}", two.len() - one.len());
    }

    #[test]
    fn where_a_value_is_no_number_the_block_is_read() {
        let parcel = Parcel::of(&[(1, &[(0, f64::NAN), (5, 1.0)]), (2, &[(0, 1.0), (5, 3.0)])]);
        let totals = of_parcel(&parcel, |_| true);
        assert_eq!(totals[0], (1, None));
        assert_eq!(totals[1].1.map(|t| t.sum), Some(4.0));
        assert!(of_parcel(&parcel, |id| id > 2).is_empty());
    }
}
