//! Blocks that stay packed: checked or read where they lie, without taking them apart first.

use super::{
    Block, CONSTANT, Column, ColumnError, DECIMALS_MAX, DELTA, Limits, Numbers, POWERS, RAW,
    Reader, SPARSE, decode, encode, put_varint, unzigzag, varint_of_eight,
};

/// A packed block whose bytes are known to be right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packed {
    bytes: Vec<u8>,
    numbers_end: u32,
    samples: usize,
    span: Option<(i64, i64)>,
}

impl Packed {
    /// Packs a block.
    pub fn of(block: &Block) -> Packed {
        Packed {
            bytes: encode(block, |_| 0),
            numbers_end: block.columns.last().map_or(0, |c| c.number + 1),
            samples: block.samples(),
            span: span(&block.times_ms),
        }
    }

    /// Checks a block from outside as [`decode`] does, and numbers the columns that `keep` keeps
    /// anew, from 0; their values stay as they were packed. `keep` is given a column's number and
    /// a value of it that is not finite, if it has one.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn renumbered(
        bytes: &[u8],
        limits: Limits,
        mut keep: impl FnMut(u32, Option<f64>) -> bool,
    ) -> Result<Packed, ColumnError> {
        let (mut span, mut ticks) = (None, Vec::new());
        let mut walk = Walk::begin_with(bytes, limits, |time_ms: i64| {
            let (first, last) = span.unwrap_or((time_ms, time_ms));
            span = Some((time_ms.min(first), time_ms.max(last)));
        })?;
        let mut out = Vec::with_capacity(bytes.len() + 2);
        let head = walk.columns_at;
        out.extend_from_slice(&bytes[..head]);
        put_varint(&mut out, walk.left as u64);
        let (columns, begin) = (walk.left, out.len());
        let (mut kept, mut samples) = (0u32, 0);
        // From here on the bytes stay as they are: mostly all columns are numbered so already.
        let mut same = walk.reader.at;
        loop {
            let start = walk.reader.at;
            let (number, body, count, odd) = match walk.single(u32::MAX) {
                // Its step is one byte.
                Some(single) => (single.number, start + 1, 1, None),
                None => {
                    let Some(number) = walk.number()? else {
                        break;
                    };
                    let body = walk.reader.at;
                    let (count, odd) = walk.pass(&mut ticks)?;
                    (number, body, count, odd)
                }
            };
            let is_kept = keep(number, odd);
            if !is_kept || number != kept {
                out.extend_from_slice(&bytes[same..start]);
                same = walk.reader.at;
                if is_kept {
                    out.push(u8::from(kept > 0));
                    out.extend_from_slice(&bytes[body..same]);
                }
            }
            if is_kept {
                kept += 1;
                samples += count;
            }
        }
        out.extend_from_slice(&bytes[same..]);
        if kept as usize != columns {
            let bodies = out.split_off(begin);
            out.truncate(head);
            put_varint(&mut out, u64::from(kept));
            out.extend_from_slice(&bodies);
        }
        Ok(Packed {
            bytes: out,
            numbers_end: kept,
            samples,
            span,
        })
    }

    /// The block as it is sent and stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Every column's number is below this.
    pub fn numbers_end(&self) -> u32 {
        self.numbers_end
    }

    /// How many samples the block holds.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// First and last time that has a tick, milliseconds since the Unix epoch.
    pub fn span(&self) -> Option<(i64, i64)> {
        self.span
    }

    /// Takes the block apart.
    ///
    /// # Errors
    /// When it holds more than the limits allow.
    pub fn unpack(&self, limits: Limits) -> Result<Block, ColumnError> {
        decode(&self.bytes, limits)
    }
}

fn span(times_ms: &[i64]) -> Option<(i64, i64)> {
    Some((*times_ms.iter().min()?, *times_ms.iter().max()?))
}

impl From<&Block> for Packed {
    fn from(block: &Block) -> Packed {
        Packed::of(block)
    }
}

/// Reads a block column by column into room that is used again: for a tick or two, room for every
/// column costs more than reading it.
#[derive(Debug)]
pub struct Walk<'a> {
    reader: Reader<'a>,
    ticks: usize,
    /// Where the count of columns begins.
    columns_at: usize,
    /// Columns that were not read yet.
    left: usize,
    first: bool,
    number: u32,
    /// Samples that may still be read.
    room: usize,
}

/// A column of one tick whose value is a whole number of so many decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single {
    /// As [`Column::number`].
    pub number: u32,
    /// At most [`DECIMALS_MAX`].
    pub decimals: u8,
    /// The value is `mantissa / 10^decimals`.
    pub mantissa: i64,
}

/// One column's samples, in room that is used again.
#[derive(Debug, Default)]
pub struct Room {
    /// As [`Column::ticks`], where `sparse`.
    pub ticks: Vec<u16>,
    /// Whether some ticks have no value.
    pub sparse: bool,
    /// As [`Column::values`].
    pub values: Vec<f64>,
}

impl Room {
    /// The samples as (index of the tick, value).
    pub fn samples(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.values.iter().enumerate().map(move |(i, v)| {
            let tick = if self.sparse {
                usize::from(self.ticks[i])
            } else {
                i
            };
            (tick, *v)
        })
    }
}

impl<'a> Walk<'a> {
    /// Begins to read a block; puts its times into `times_ms`.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn begin(
        bytes: &'a [u8],
        limits: Limits,
        times_ms: &mut Vec<i64>,
    ) -> Result<Walk<'a>, ColumnError> {
        times_ms.clear();
        Walk::begin_with(bytes, limits, |time_ms| times_ms.push(time_ms))
    }

    /// The same; calls back for each time.
    fn begin_with(
        bytes: &'a [u8],
        limits: Limits,
        each: impl FnMut(i64),
    ) -> Result<Walk<'a>, ColumnError> {
        let mut reader = Reader { bytes, at: 0 };
        let ticks = reader.ticks(limits)?;
        reader.times(ticks, each)?;
        let columns_at = reader.at;
        let left = reader.count("columns", limits.columns_max)?;
        Ok(Walk {
            reader,
            ticks,
            columns_at,
            left,
            first: true,
            number: 0,
            room: limits.samples_max,
        })
    }

    /// How many columns were not read yet.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The number of the next column; after it the column itself has to be read or passed over.
    /// `None` behind the last one.
    ///
    /// # Errors
    /// As [`decode`].
    #[inline]
    pub fn number(&mut self) -> Result<Option<u32>, ColumnError> {
        if self.left == 0 {
            if self.reader.at != self.reader.bytes.len() {
                return Err(self.reader.malformed("bytes after the end"));
            }
            return Ok(None);
        }
        self.left -= 1;
        let step = u32::try_from(self.reader.varint()?)
            .map_err(|_| self.reader.malformed("series number over 32 bits"))?;
        if !self.first && step == 0 {
            return Err(self.reader.malformed("series number twice"));
        }
        self.first = false;
        self.number = self
            .number
            .checked_add(step)
            .ok_or_else(|| self.reader.malformed("series number over 32 bits"))?;
        Ok(Some(self.number))
    }

    /// The next column, if it is a [`Single`] with a number below `end`, like nearly all columns of
    /// batches: these are read many times as fast as what can be anything. `None`: to be read the
    /// usual way, which begins with [`Walk::number`]; nothing was read then.
    #[inline]
    pub fn single(&mut self, end: u32) -> Option<Single> {
        let ([step, header], value) = self.reader.bytes[self.reader.at..].split_first_chunk()?;
        let (encoding, decimals) = (header & 3, header >> 4);
        let is_whole = encoding == CONSTANT || encoding == DELTA;
        let is_usual = self.ticks == 1 && self.left > 0 && self.room > 0;
        let is_plain = header & (SPARSE | 8) == 0 && decimals <= DECIMALS_MAX;
        if !is_usual || !is_whole || !is_plain || *step >= 0x80 || (*step == 0 && !self.first) {
            return None;
        }
        let number = self.number.checked_add(u32::from(*step))?;
        if number >= end {
            return None;
        }
        // A constant or a first difference: of one tick that is the same.
        let (value, length) = varint_of_eight(value.first_chunk()?)?;
        (self.first, self.number) = (false, number);
        self.left -= 1;
        self.room -= 1;
        self.reader.at += 2 + length;
        Some(Single {
            number,
            decimals,
            mantissa: unzigzag(value),
        })
    }

    /// Header, and how many values follow: (encoding, decimals, whether it is sparse, values).
    #[inline]
    fn open(&mut self, ticks: &mut Vec<u16>) -> Result<(u8, u8, bool, usize), ColumnError> {
        let header = self.reader.byte()?;
        let (encoding, decimals) = (header & 3, header >> 4);
        if decimals > DECIMALS_MAX || header & 8 != 0 || encoding > RAW {
            return Err(self.reader.malformed("unknown column header"));
        }
        let sparse = header & SPARSE != 0;
        let count = if sparse {
            self.reader.presence_into(self.ticks, ticks)?;
            ticks.len()
        } else {
            self.ticks
        };
        if count > self.room {
            return Err(ColumnError::Limit {
                what: "more samples",
                got: count as u64,
                max: self.room,
            });
        }
        self.room -= count;
        Ok((encoding, decimals, sparse, count))
    }

    /// Passes over a column; answers how many values it has and one that is not finite.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn pass(&mut self, ticks: &mut Vec<u16>) -> Result<(usize, Option<f64>), ColumnError> {
        let (encoding, _, _, count) = self.open(ticks)?;
        let mut odd = None;
        match encoding {
            RAW => {
                let mut values = self.reader.doubles(count)?;
                odd = values.find(|v| !v.is_finite());
            }
            CONSTANT => {
                self.reader.varint()?;
            }
            _ => {
                let mut last = 0;
                for _ in 0..count {
                    last = self.reader.next_mantissa(last)?;
                }
            }
        }
        Ok((count, odd))
    }

    /// Reads a column.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn read(&mut self, into: &mut Room) -> Result<(), ColumnError> {
        into.values.clear();
        let (encoding, decimals, sparse, count) = self.open(&mut into.ticks)?;
        into.sparse = sparse;
        let power = POWERS[usize::from(decimals)];
        match encoding {
            RAW => into.values.extend(self.reader.doubles(count)?),
            CONSTANT => {
                let value = self.reader.zigzag()? as f64 / power;
                into.values.resize(count, value);
            }
            _ => {
                // Each difference takes at least one byte: the input bounds the allocation.
                let rest = self.reader.bytes.len() - self.reader.at;
                into.values.reserve(count.min(rest));
                let mut last = 0;
                for _ in 0..count {
                    last = self.reader.next_mantissa(last)?;
                    into.values.push(last as f64 / power);
                }
            }
        }
        Ok(())
    }

    /// Puts a column's values behind others, as they are packed; answers which ticks have one, put
    /// into `ticks`, where some have none, and how many values there are.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn append_to<'t>(
        &mut self,
        numbers: &mut Numbers,
        ticks: &'t mut Vec<u16>,
    ) -> Result<(Option<&'t [u16]>, usize), ColumnError> {
        let (encoding, decimals, sparse, count) = self.open(ticks)?;
        match (encoding, numbers.behind(decimals)) {
            (RAW, _) => numbers.append(&Numbers::Raw(self.reader.doubles(count)?.collect())),
            (_, Some(mantissas)) => {
                self.mantissas(encoding, count, mantissas)?;
                numbers.check(count);
            }
            (_, None) => {
                let mut mantissas = Vec::new();
                self.mantissas(encoding, count, &mut mantissas)?;
                let mut more = Numbers::Whole {
                    decimals,
                    mantissas,
                };
                more.check(count);
                numbers.append(&more);
            }
        }
        Ok((sparse.then_some(ticks), count))
    }

    /// Puts the whole numbers of a column's body behind others.
    fn mantissas(
        &mut self,
        encoding: u8,
        count: usize,
        into: &mut Vec<i64>,
    ) -> Result<(), ColumnError> {
        if encoding == CONSTANT {
            let mantissa = self.reader.zigzag()?;
            into.extend(std::iter::repeat_n(mantissa, count));
            return Ok(());
        }
        // Each difference takes at least one byte: the input bounds the allocation.
        into.reserve(count.min(self.reader.bytes.len() - self.reader.at));
        let mut last = 0;
        for _ in 0..count {
            last = self.reader.next_mantissa(last)?;
            into.push(last);
        }
        Ok(())
    }

    /// Reads the next column into one of its own.
    pub(super) fn column(&mut self) -> Result<Option<Column>, ColumnError> {
        let Some(number) = self.number()? else {
            return Ok(None);
        };
        let mut room = Room::default();
        self.read(&mut room)?;
        Ok(Some(Column {
            number,
            ticks: room.sparse.then_some(room.ticks),
            values: room.values,
        }))
    }
}
