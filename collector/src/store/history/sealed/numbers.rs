//! A row of whole numbers, or of raw doubles, in as few bytes as can be had cheaply.
//!
//! ```text
//! row  = form  [divisor]  body
//! form = shape (bits 0-2) | width (bits 3-4) | divided (bit 5)
//! ```
//! How many numbers a row has is known around it. docs/format/block.md describes the shapes.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::super::super::error::{Fault, Trouble};
use super::super::varint::{self, Cursor};

/// All the same: one number.
const SAME: u8 = 0;
/// One varint each.
const VARINTS: u8 = 1;
/// Pairs of a number and how often it repeats.
const RUNS: u8 = 2;
/// A chunk of pco: classic mode, no differences, integers of the width.
const PACKED: u8 = 3;
/// Doubles as they are, or as pco packs them.
const DOUBLES: u8 = 4;
const PACKED_DOUBLES: u8 = 5;
const DIVIDED: u8 = 1 << 5;

/// What pco writes at the beginning of its files; the version its chunks are read with.
const PCO_VERSION: [u8; 2] = [4, 1];
/// Fewer numbers than this are not worth pco's tables.
const PACKED_MIN: usize = 24;
/// The level where more effort stops to pay on a few thousand numbers.
const LEVEL: usize = 8;

fn trouble(e: impl std::fmt::Display) -> Fault {
    Fault::Sql(Trouble::Other(format!("pco: {e}")))
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The greatest number that divides all.
fn divisor(numbers: &[i64]) -> u64 {
    let mut found = 0;
    for number in numbers {
        if *number != 0 {
            found = gcd(number.unsigned_abs(), found);
            if found == 1 {
                return 1;
            }
        }
    }
    found.max(1)
}

/// Appends a row of whole numbers; whatever shape is smallest.
pub(in crate::store) fn put(out: &mut Vec<u8>, numbers: &[i64]) -> Result<(), Fault> {
    let Some(first) = numbers.first() else {
        return Ok(());
    };
    if numbers.iter().all(|n| n == first) {
        out.push(SAME);
        varint::put_signed(out, *first);
        return Ok(());
    }
    let divisor = divisor(numbers);
    let divided: Vec<i64>;
    let (numbers, mark) = match i64::try_from(divisor) {
        Ok(d) if d > 1 => {
            divided = numbers.iter().map(|n| n / d).collect();
            (divided.as_slice(), DIVIDED)
        }
        _ => (numbers, 0),
    };
    let start = out.len();
    let head = |out: &mut Vec<u8>, form: u8| {
        out.truncate(start);
        out.push(form | mark);
        if mark != 0 {
            varint::put(out, divisor);
        }
    };
    let runs = numbers.chunk_by(|a, b| a == b);
    let in_runs: usize = runs
        .clone()
        .map(|r| varint::length(varint::zigzag(r[0])) + varint::length(r.len() as u64))
        .sum();
    let in_varints: usize = numbers
        .iter()
        .map(|n| varint::length(varint::zigzag(*n)))
        .sum();
    // pco's header and tables need some 20 bytes before the first number.
    if numbers.len() >= PACKED_MIN && in_runs.min(in_varints) > PACKED_MIN {
        let width = width(numbers);
        head(out, PACKED | width << 3);
        pack_width(out, numbers, width)?;
        if out.len() - start <= in_runs.min(in_varints) {
            return Ok(());
        }
    }
    if in_runs < in_varints {
        head(out, RUNS);
        for run in runs {
            varint::put_signed(out, run[0]);
            varint::put(out, run.len() as u64);
        }
    } else {
        head(out, VARINTS);
        numbers.iter().for_each(|n| varint::put_signed(out, *n));
    }
    Ok(())
}

/// Which integer holds all of them: 8, 16, 32 or 64 bits as 0 to 3.
fn width(numbers: &[i64]) -> u8 {
    let bits = numbers.iter().fold(0, |all, n| all | (n ^ (n >> 63)));
    match 65 - bits.leading_zeros() {
        0..=8 => 0,
        9..=16 => 1,
        17..=32 => 2,
        _ => 3,
    }
}

fn pack_width(out: &mut Vec<u8>, numbers: &[i64], width: u8) -> Result<(), Fault> {
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(DeltaSpec::NoOp)
        .with_enable_8_bit(true);
    match width {
        0 => pack(out, &narrow(numbers, |n| n as i8), &config),
        1 => pack(out, &narrow(numbers, |n| n as i16), &config),
        2 => pack(out, &narrow(numbers, |n| n as i32), &config),
        _ => pack(out, numbers, &config),
    }
}

fn narrow<T>(numbers: &[i64], to: impl Fn(i64) -> T) -> Vec<T> {
    numbers.iter().map(|n| to(*n)).collect()
}

fn pack<T: Number>(out: &mut Vec<u8>, numbers: &[T], config: &ChunkConfig) -> Result<(), Fault> {
    let file = FileCompressor::default();
    let mut chunk = file.chunk_compressor(numbers, config).map_err(trouble)?;
    chunk.write_meta(&mut *out).map_err(trouble)?;
    for page in 0..chunk.n_per_page().len() {
        chunk.write_page(page, &mut *out).map_err(trouble)?;
    }
    Ok(())
}

/// Appends a row of doubles, bit for bit.
pub(in crate::store) fn put_doubles(out: &mut Vec<u8>, values: &[f64]) -> Result<(), Fault> {
    if values.is_empty() {
        return Ok(());
    }
    let start = out.len();
    if values.len() >= PACKED_MIN {
        out.push(PACKED_DOUBLES);
        pack(out, values, &ChunkConfig::default())?;
        if out.len() - start < values.len() * 8 {
            return Ok(());
        }
        out.truncate(start);
    }
    out.push(DOUBLES);
    values
        .iter()
        .for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
    Ok(())
}

/// Reads a row of `count` whole numbers that fills `bytes`.
pub(in crate::store) fn read(bytes: &[u8], count: usize) -> Result<Vec<i64>, Fault> {
    let mut cursor = Cursor::new(bytes, "a row of numbers");
    if count == 0 {
        cursor.end()?;
        return Ok(Vec::new());
    }
    let form = cursor.byte()?;
    let divisor = match form & DIVIDED {
        0 => 1,
        _ => cursor.unsigned()? as i64,
    };
    let mut numbers = match form & 7 {
        SAME => {
            let mut numbers = roomy(count);
            numbers.resize(count, cursor.signed()?);
            numbers
        }
        VARINTS => {
            // Each takes a byte at least: the input bounds the allocation.
            let mut numbers = roomy(count.min(bytes.len()));
            for _ in 0..count {
                numbers.push(cursor.signed()?);
            }
            numbers
        }
        RUNS => read_runs(&mut cursor, count)?,
        PACKED => {
            let rest = cursor.take(cursor.rest().len())?;
            match form >> 3 & 3 {
                0 => widen(&unpack::<i8>(rest, count)?),
                1 => widen(&unpack::<i16>(rest, count)?),
                2 => widen(&unpack::<i32>(rest, count)?),
                _ => unpack::<i64>(rest, count)?,
            }
        }
        _ => return Err(Fault::damaged("a row of numbers has an unknown shape")),
    };
    cursor.end()?;
    if divisor != 1 {
        numbers
            .iter_mut()
            .for_each(|n| *n = n.wrapping_mul(divisor));
    }
    Ok(numbers)
}

/// Whoever adds differences up puts as many numbers more to a row.
const HEADS_MAX: usize = 2;

/// Room for a row and what is put to it, so that it is not copied for that.
fn roomy<T>(count: usize) -> Vec<T> {
    Vec::with_capacity(count + HEADS_MAX)
}

fn widen<T: Copy + Into<i64>>(numbers: &[T]) -> Vec<i64> {
    let mut wide = roomy(numbers.len());
    wide.extend(numbers.iter().map(|n| (*n).into()));
    wide
}

fn read_runs(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<i64>, Fault> {
    let mut numbers = roomy(count);
    while numbers.len() < count {
        let number = cursor.signed()?;
        let times = cursor.count(count - numbers.len())?;
        if times == 0 {
            return Err(Fault::damaged("a row of numbers has an empty run"));
        }
        numbers.resize(numbers.len() + times, number);
    }
    Ok(numbers)
}

fn unpack<T: Number + Default>(bytes: &[u8], count: usize) -> Result<Vec<T>, Fault> {
    let damaged = |e: pco::errors::PcoError| Fault::damaged(format!("a packed row: {e}"));
    let (file, _) = FileDecompressor::new(PCO_VERSION.as_slice()).map_err(damaged)?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(bytes).map_err(damaged)?;
    let mut page = chunk.page_decompressor(rest, count).map_err(damaged)?;
    let mut numbers = roomy(count);
    numbers.resize(count, T::default());
    let progress = page.read(&mut numbers).map_err(damaged)?;
    if progress.n_processed != count || !page.into_src().is_empty() {
        return Err(Fault::damaged(
            "a packed row is not as long as it should be",
        ));
    }
    Ok(numbers)
}

/// Reads a row of `count` doubles that fills `bytes`.
pub(in crate::store) fn read_doubles(bytes: &[u8], count: usize) -> Result<Vec<f64>, Fault> {
    let mut cursor = Cursor::new(bytes, "a row of doubles");
    if count == 0 {
        cursor.end()?;
        return Ok(Vec::new());
    }
    match cursor.byte()? {
        PACKED_DOUBLES => unpack::<f64>(cursor.rest(), count),
        DOUBLES => {
            let values = cursor
                .take(count * 8)?
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                .collect();
            cursor.end()?;
            Ok(values)
        }
        _ => Err(Fault::damaged("a row of doubles has an unknown shape")),
    }
}
