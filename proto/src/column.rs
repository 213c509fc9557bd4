//! Packed samples: one block holds some ticks of some series, column by column.
//!
//! ```text
//! block   = version(1) ticks columns
//! ticks   = count  first_ms(zigzag)  then for each further tick: delta-of-delta(zigzag)
//! columns = count  then for each column, ascending by number:
//!           number-step  header  [presence bitmap]  body
//! header  = encoding (bits 0-1) | sparse (bit 2) | decimals (bits 4-7)
//! body    = Constant: mantissa(zigzag)            all values the same decimal
//!           Delta:    mantissa(zigzag), then each difference(zigzag)
//!           Raw:      8 bytes little-endian for each value
//! ```
//! Numbers are LEB128 varints. A decimal value is `mantissa / 10^decimals`, used only where that
//! gives back the very same f64, so packing never loses a bit; everything else is `Raw`.
//! A full description for strangers: docs/format/column.md.

mod numbers;
mod packed;

pub use numbers::{Numbers, NumbersWriter, encode as encode_numbers};
pub use packed::{Packed, Room, Single, Walk};

/// Largest number of decimal places tried.
pub const DECIMALS_MAX: u8 = 9;
const VERSION: u8 = 1;
const CONSTANT: u8 = 0;
const DELTA: u8 = 1;
const RAW: u8 = 2;
const SPARSE: u8 = 4;
/// Beyond 2^53 whole numbers are not exact in f64.
const MANTISSA_MAX: f64 = 9_007_199_254_740_992.0;
const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The values of one series at the ticks of its block.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The sender's number for the series.
    pub number: u32,
    /// Indices into [`Block::times_ms`], ascending; `None` when there is a value at every tick.
    pub ticks: Option<Vec<u16>>,
    /// One value for each of those ticks.
    pub values: Vec<f64>,
}

/// Samples of several series over the same ticks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Milliseconds since the Unix epoch, in the order sampled.
    pub times_ms: Vec<i64>,
    /// Ascending by number, no number twice.
    pub columns: Vec<Column>,
}

impl Column {
    /// The column's samples as (index of the tick, value).
    pub fn samples(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.values
            .iter()
            .enumerate()
            .map(move |(i, v)| match &self.ticks {
                Some(ticks) => (usize::from(ticks[i]), *v),
                None => (i, *v),
            })
    }
}

impl Block {
    /// How many samples the block holds.
    pub fn samples(&self) -> usize {
        self.columns.iter().map(|c| c.values.len()).sum()
    }
}

/// Bounds for [`decode`]: a block from outside may not make us allocate more than this.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most ticks in a block (at most 65,535).
    pub ticks_max: usize,
    /// Most columns in a block.
    pub columns_max: usize,
    /// Most samples in a block: a constant column costs few bytes however many it stands for.
    pub samples_max: usize,
}

/// Why a block could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// The bytes end in the middle.
    #[error("block ends after {0} bytes")]
    Truncated(usize),
    /// Written by a newer program.
    #[error("block version {0} is not known; this program reads version 1")]
    Version(u8),
    /// More than the limit allows.
    #[error("block has {got} {what}, the limit is {max}")]
    Limit {
        /// Ticks, columns or samples.
        what: &'static str,
        /// How many.
        got: u64,
        /// How many are allowed.
        max: usize,
    },
    /// The bytes contradict themselves.
    #[error("block is malformed at byte {at}: {what}")]
    Malformed {
        /// Offset in the block.
        at: usize,
        /// What was wrong.
        what: &'static str,
    },
}

/// The mantissa of `value` with this many decimals, if it gives back the very same value.
fn mantissa(value: f64, decimals: u8) -> Option<i64> {
    let power = POWERS[usize::from(decimals)];
    let scaled = value * power;
    if scaled.is_nan() || scaled.abs() >= MANTISSA_MAX {
        return None;
    }
    // The nearest whole number, without a call. Where it is off by one, the next line says so.
    let mantissa = (scaled + 0.5f64.copysign(scaled)) as i64;
    // Through the integer, as the reader will: minus zero does not survive that and stays raw.
    decimal(mantissa, decimals)
        .to_bits()
        .eq(&value.to_bits())
        .then_some(mantissa)
}

/// The value that `mantissa` stands for with this many decimals (at most [`DECIMALS_MAX`]).
pub fn decimal(mantissa: i64, decimals: u8) -> f64 {
    match decimals {
        // A division by one is still a division.
        0 => mantissa as f64,
        _ => mantissa as f64 / POWERS[usize::from(decimals.min(DECIMALS_MAX))],
    }
}

/// The values that some mantissas stand for.
pub fn decimals(mantissas: &[i64], decimals: u8) -> Vec<f64> {
    match decimals {
        0 => mantissas.iter().map(|m| *m as f64).collect(),
        _ => {
            let power = POWERS[usize::from(decimals.min(DECIMALS_MAX))];
            mantissas.iter().map(|m| *m as f64 / power).collect()
        }
    }
}

/// All values as whole numbers of the fewest decimals, from the hint upwards, that hold them
/// exactly; answers the decimals.
fn mantissas_into(values: &[f64], hint: u8, mantissas: &mut Vec<i64>) -> Option<u8> {
    (hint.min(DECIMALS_MAX)..=DECIMALS_MAX).find(|decimals| {
        mantissas.clear();
        mantissas.extend(values.iter().map_while(|v| mantissa(*v, *decimals)));
        mantissas.len() == values.len()
    })
}

/// The values as whole numbers: each is `mantissa / 10^decimals`, bit for bit; with the fewest
/// decimals that do. `None` when some value is no such number.
pub fn mantissas(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut mantissas = Vec::with_capacity(values.len());
    let decimals = mantissas_into(values, 0, &mut mantissas)?;
    Some((decimals, mantissas))
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Writes a block. `hint` gives the decimals to try first for a series number.
pub fn encode(block: &Block, hint: impl Fn(u32) -> u8) -> Vec<u8> {
    let mut writer = Writer::begin(&block.times_ms, block.columns.len(), block.samples());
    let mut mantissas = Vec::new();
    for column in &block.columns {
        let hint = hint(column.number);
        let body = match mantissas_into(&column.values, hint, &mut mantissas) {
            Some(decimals) => Body::Whole(decimals, &mantissas),
            None => Body::Raw(&column.values),
        };
        writer.put(column.number, column.ticks.as_deref(), body);
    }
    writer.out
}

/// Values in the form in which they are written.
#[derive(Clone, Copy, Debug)]
enum Body<'a> {
    /// Whole numbers of so many decimals.
    Whole(u8, &'a [i64]),
    Raw(&'a [f64]),
}

/// Writes a block column by column.
#[derive(Debug)]
struct Writer {
    out: Vec<u8>,
    ticks: usize,
    previous: u32,
}

impl Writer {
    fn begin(times_ms: &[i64], columns: usize, samples: usize) -> Writer {
        let mut out = Vec::with_capacity(16 + samples * 2);
        out.push(VERSION);
        put_varint(&mut out, times_ms.len() as u64);
        let (mut last, mut step) = (0i64, 0i64);
        for (i, time) in times_ms.iter().enumerate() {
            let delta = time.wrapping_sub(last);
            put_zigzag(
                &mut out,
                if i == 0 {
                    *time
                } else {
                    delta.wrapping_sub(step)
                },
            );
            if i > 0 {
                step = delta;
            }
            last = *time;
        }
        put_varint(&mut out, columns as u64);
        Writer {
            out,
            ticks: times_ms.len(),
            previous: 0,
        }
    }

    fn put(&mut self, number: u32, present: Option<&[u16]>, body: Body<'_>) {
        let out = &mut self.out;
        put_varint(out, u64::from(number.wrapping_sub(self.previous)));
        self.previous = number;
        let (encoding, decimals) = match body {
            Body::Raw(_) => (RAW, 0),
            Body::Whole(decimals, mantissas) => {
                let constant = mantissas.iter().all(|m| Some(m) == mantissas.first());
                (if constant { CONSTANT } else { DELTA }, decimals)
            }
        };
        let sparse = if present.is_some() { SPARSE } else { 0 };
        out.push(encoding | sparse | (decimals << 4));
        if let Some(present) = present {
            let start = out.len();
            out.resize(start + self.ticks.div_ceil(8), 0);
            for tick in present {
                out[start + usize::from(*tick) / 8] |= 1 << (tick % 8);
            }
        }
        match body {
            Body::Raw(values) => values
                .iter()
                .for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
            Body::Whole(_, mantissas) if encoding == CONSTANT => {
                put_zigzag(out, mantissas.first().copied().unwrap_or(0));
            }
            Body::Whole(_, mantissas) => {
                let mut last = 0i64;
                for m in mantissas {
                    put_zigzag(out, *m - last);
                    last = *m;
                }
            }
        }
    }
}

/// The lower seven bits of eight bytes, side by side.
fn sevens(word: u64) -> u64 {
    let word = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let word = (word & 0x0000_3fff_0000_3fff) | (word & 0x3fff_0000_3fff_0000) >> 2;
    (word & 0x0000_0000_0fff_ffff) | (word & 0x0fff_ffff_0000_0000) >> 4
}

/// The number at the beginning of eight bytes, and how many it takes; `None` where it takes more.
#[inline]
fn varint_of_eight(bytes: &[u8; 8]) -> Option<(u64, usize)> {
    let word = u64::from_le_bytes(*bytes);
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return None;
    }
    let bits = ends.trailing_zeros() + 1;
    let value = sevens(word & (u64::MAX >> (64 - bits)));
    Some((value, bits as usize / 8))
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, ColumnError> {
        let byte = *self
            .bytes
            .get(self.at)
            .ok_or(ColumnError::Truncated(self.bytes.len()))?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ColumnError> {
        let rest = &self.bytes[self.at..];
        if count > rest.len() {
            return Err(ColumnError::Truncated(self.bytes.len()));
        }
        self.at += count;
        Ok(&rest[..count])
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, ColumnError> {
        // Eight bytes at once hold nearly every number, wherever it ends in them.
        let bytes = self.bytes[self.at..].first_chunk::<8>();
        match bytes.and_then(varint_of_eight) {
            Some((value, length)) => {
                self.at += length;
                Ok(value)
            }
            None => self.varint_by_byte(),
        }
    }

    #[cold]
    fn varint_by_byte(&mut self) -> Result<u64, ColumnError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(self.malformed("varint over 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed("varint over 64 bits"))
    }

    #[inline]
    fn zigzag(&mut self) -> Result<i64, ColumnError> {
        self.varint().map(unzigzag)
    }

    fn count(&mut self, what: &'static str, max: usize) -> Result<usize, ColumnError> {
        let got = self.varint()?;
        usize::try_from(got)
            .ok()
            .filter(|n| *n <= max)
            .ok_or(ColumnError::Limit { what, got, max })
    }

    fn malformed(&self, what: &'static str) -> ColumnError {
        ColumnError::Malformed { at: self.at, what }
    }

    fn doubles(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = f64> + use<'a>, ColumnError> {
        let bytes = self.take(count * 8)?.chunks_exact(8);
        Ok(bytes.map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])))
    }

    #[inline]
    fn next_mantissa(&mut self, last: i64) -> Result<i64, ColumnError> {
        last.checked_add(self.zigzag()?)
            .ok_or_else(|| self.malformed("difference overflows"))
    }

    fn presence_into(&mut self, ticks: usize, present: &mut Vec<u16>) -> Result<(), ColumnError> {
        let bitmap = self.take(ticks.div_ceil(8))?;
        present.clear();
        present.extend(
            (0..ticks)
                .filter(|i| bitmap[i / 8] & (1 << (i % 8)) != 0)
                .map(|i| i as u16),
        );
        let set: u32 = bitmap.iter().map(|b| b.count_ones()).sum();
        if set as usize != present.len() {
            return Err(self.malformed("presence beyond the last tick"));
        }
        Ok(())
    }

    /// Version, and how many ticks.
    fn ticks(&mut self, limits: Limits) -> Result<usize, ColumnError> {
        let version = self.byte()?;
        if version != VERSION {
            return Err(ColumnError::Version(version));
        }
        self.count("ticks", limits.ticks_max.min(usize::from(u16::MAX)))
    }

    /// Calls back for the time of each of so many ticks.
    fn times(&mut self, ticks: usize, mut each: impl FnMut(i64)) -> Result<(), ColumnError> {
        let (mut last, mut step) = (0i64, 0i64);
        for i in 0..ticks {
            let read = self.zigzag()?;
            if i > 0 {
                step = step.wrapping_add(read);
                last = last.wrapping_add(step);
            } else {
                last = read;
            }
            each(last);
        }
        Ok(())
    }
}

/// Reads a block from outside, within limits.
///
/// # Errors
/// When the bytes are cut, malformed, of a newer version or beyond the limits.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Block, ColumnError> {
    let mut times_ms = Vec::new();
    let mut walk = Walk::begin(bytes, limits, &mut times_ms)?;
    let mut columns = Vec::with_capacity(walk.left().min(bytes.len()));
    while let Some(column) = walk.column()? {
        columns.push(column);
    }
    Ok(Block { times_ms, columns })
}

#[cfg(test)]
mod tests;
