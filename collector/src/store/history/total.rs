//! What the gauges of a block come to, beside the block: docs/format/total.md.

use hostwell_proto::column::{DECIMALS_MAX, decimal};

use super::super::error::Fault;
use super::parcel::{LIMITS, Parcel, put_runs, take_runs};
use super::varint::{self, Cursor};
use crate::series::Total;

const VERSION: u8 = 1;
/// A series begins with a byte: up to nine its low bits are decimals; or three doubles follow, …
const DOUBLES: u8 = 10;
/// … or a value is no finite number, and the block has to be read.
const UNTOLD: u8 = 15;
/// How many samples there are follows; else one at each tick.
const COUNTED: u8 = 0x10;
/// Whole numbers up to here are doubles exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A gauge of a block and what its samples there come to; `None` where only they can tell.
pub(in crate::store) type Of = (i64, Option<Total>);

/// What the gauges of a sealed block come to.
pub(in crate::store) fn of_parcel(parcel: &Parcel, is_gauge: impl Fn(i64) -> bool) -> Vec<Of> {
    let columns = parcel.block.columns.iter();
    let named = columns.map(|column| (parcel.series[column.number as usize], &column.values));
    named
        .filter(|(id, _)| is_gauge(*id))
        .filter_map(|(id, values)| Some((id, Total::of(values)?)))
        .map(|(id, total)| (id, Some(total).filter(|t| t.sum.is_finite())))
        .collect()
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
    for (_, total) in totals {
        match total {
            Some(total) => put(&mut out, ticks as u64, total),
            None => out.push(UNTOLD),
        }
    }
    Some(out)
}

fn put(out: &mut Vec<u8>, ticks: u64, total: &Total) {
    let scaled = scaled(total);
    let form = scaled.map_or(DOUBLES, |(decimals, _)| decimals);
    let counted = total.samples != ticks;
    out.push(form | if counted { COUNTED } else { 0 });
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
    if cursor.byte()? != VERSION {
        return Err(Fault::damaged("totals of an unknown version"));
    }
    let ids = take_runs(&mut cursor)?;
    let ticks = cursor.count(LIMITS.ticks_max)?;
    let mut totals = Vec::with_capacity(ids.len().min(bytes.len()));
    for id in ids {
        totals.push((id, take(&mut cursor, ticks as u64)?));
    }
    cursor.end()?;
    Ok(totals)
}

fn take(cursor: &mut Cursor<'_>, ticks: u64) -> Result<Option<Total>, Fault> {
    let head = cursor.byte()?;
    if head == UNTOLD {
        return Ok(None);
    }
    let samples = match head & COUNTED {
        0 => ticks,
        _ => cursor.count(LIMITS.ticks_max)? as u64,
    };
    let [min, max, sum] = match head & !COUNTED {
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
    }))
}

fn double(cursor: &mut Cursor<'_>) -> Result<f64, Fault> {
    let bytes = cursor.take(8)?;
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| Fault::damaged("totals are cut"))?;
    Ok(f64::from_le_bytes(bytes))
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
        prop::option::of(prop::collection::vec(value, 1..30)).prop_map(|values| {
            let total = Total::of(&values?)?;
            Some(total).filter(|t| t.sum.is_finite())
        })
    }

    fn bits(totals: &[Of]) -> Vec<(i64, Option<[u64; 4]>)> {
        let bits = |t: Total| [t.samples, t.sum.to_bits(), t.min.to_bits(), t.max.to_bits()];
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
        let bytes = encode(3, &[(7, Total::of(&[8.0, 9.0, 11.0]))]).unwrap();
        assert_eq!(bytes, [1, 1, 14, 1, 3, 0, 16, 6, 8]);
    }

    #[test]
    fn a_level_of_bytes_takes_as_many_bytes_as_its_numbers() {
        let values: Vec<f64> = (0..720).map(|i| 8e9 + f64::from(i * 4096)).collect();
        let bytes = encode(720, &[(7, Total::of(&values))]).unwrap();
        assert!(bytes.len() <= 24, "{}", bytes.len());
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
