//! LEB128 numbers, signed ones as zigzag, and a cursor that never reads past the end.

use super::super::error::Fault;

/// Appends an unsigned number, 7 bits a byte, low bits first.
pub(in crate::store) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// 0, -1, 1, -2 … become 0, 1, 2, 3 ….
pub(in crate::store) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The other way round.
pub(in crate::store) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a signed number.
pub(in crate::store) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// How many bytes [`put`] needs.
pub(in crate::store) fn length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Cursor<'a> {
    rest: &'a [u8],
    /// What is being read, for the error.
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes`; an error will say that `what` is cut.
    pub(in crate::store) fn new(bytes: &'a [u8], what: &'static str) -> Cursor<'a> {
        Cursor { rest: bytes, what }
    }

    /// What was not read yet.
    pub(in crate::store) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn cut(&self) -> Fault {
        Fault::damaged(format!("{} is cut", self.what))
    }

    pub(in crate::store) fn byte(&mut self) -> Result<u8, Fault> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.cut())?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(in crate::store) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.cut())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(in crate::store) fn unsigned(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::damaged(format!(
            "{}: a number is too long",
            self.what
        )))
    }

    pub(in crate::store) fn signed(&mut self) -> Result<i64, Fault> {
        Ok(unzigzag(self.unsigned()?))
    }

    /// A count that may be at most `max`.
    pub(in crate::store) fn count(&mut self, max: usize) -> Result<usize, Fault> {
        let count = self.unsigned()?;
        usize::try_from(count)
            .ok()
            .filter(|n| *n <= max)
            .ok_or_else(|| Fault::damaged(format!("{}: a count of {count}", self.what)))
    }

    /// Nothing may be left.
    pub(in crate::store) fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Fault::damaged(format!(
                "{}: bytes after the end",
                self.what
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_back_from_as_many_bytes_as_were_foretold(value in any::<i64>()) {
            let mut out = Vec::new();
            put_signed(&mut out, value);
            prop_assert_eq!(out.len(), length(zigzag(value)));
            let mut cursor = Cursor::new(&out, "a number");
            prop_assert_eq!(cursor.signed().unwrap(), value);
            cursor.end().unwrap();
        }
    }

    #[test]
    fn a_number_without_an_end_is_damage() {
        assert!(Cursor::new(&[0x80; 3], "it").unsigned().is_err());
        assert!(Cursor::new(&[0x80; 20], "it").unsigned().is_err());
    }
}
