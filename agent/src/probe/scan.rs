//! Taking kernel text apart, byte by byte: lines, fields, numbers. No allocation.

use super::ProbeError;

/// A line that is not what its file promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Counted from 1.
    pub(super) line: u32,
    /// What was expected.
    pub(super) what: &'static str,
}

impl Malformed {
    /// The same, as the error of a probe that read `path`.
    pub(super) fn at(self, path: &str) -> ProbeError {
        ProbeError::Malformed {
            path: path.to_owned(),
            line: self.line,
            what: self.what,
        }
    }
}

/// The lines of a text with their numbers; empty ones are left out.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = text;
    let mut number = 0;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = newline(rest).unwrap_or(rest.len());
            let bytes = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            number += 1;
            if !bytes.is_empty() {
                return Some(Line { bytes, number });
            }
        }
        None
    })
}

/// Where the first newline is, eight bytes at a time: most of a tick's bytes are in lines that
/// nobody reads.
pub(super) fn newline(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (chunks, tail) = text.as_chunks::<8>();
    for (i, chunk) in chunks.iter().enumerate() {
        // A byte of `word` is 0 where there is a newline; the lowest one found is the first.
        let word = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(b'\n'));
        let found = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if found != 0 {
            return Some(8 * i + found.trailing_zeros() as usize / 8);
        }
    }
    let in_tail = tail.iter().position(|b| *b == b'\n')?;
    Some(8 * chunks.len() + in_tail)
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Without the newline.
    pub(super) bytes: &'a [u8],
    /// Counted from 1.
    pub(super) number: u32,
}

impl<'a> Line<'a> {
    /// The words between spaces and tabs.
    pub(super) fn fields(&self) -> Fields<'a> {
        fields(self.bytes)
    }

    /// This line is wrong.
    pub(super) fn malformed(&self, what: &'static str) -> Malformed {
        Malformed {
            line: self.number,
            what,
        }
    }

    /// The number in a field, or the line is wrong.
    pub(super) fn number(
        &self,
        field: Option<&[u8]>,
        what: &'static str,
    ) -> Result<u64, Malformed> {
        field.and_then(number).ok_or_else(|| self.malformed(what))
    }
}

/// The words between spaces and tabs.
pub(super) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes }
}

/// What [`fields`] walks over.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

fn is_blank(byte: &u8) -> bool {
    *byte == b' ' || *byte == b'\t'
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|b| !is_blank(b))?;
        let rest = &self.rest[start..];
        let end = rest.iter().position(is_blank).unwrap_or(rest.len());
        self.rest = &rest[end..];
        Some(&rest[..end])
    }
}

/// A decimal number without sign; `None` for anything else and past 2^64.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    let (value, rest) = leading_number(field)?;
    rest.is_empty().then_some(value)
}

/// The number that a text begins with, and what follows its digits.
pub(super) fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (at > 0).then(|| (value, &text[at..]));
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (!text.is_empty()).then_some((value, &[]))
}

/// A finite decimal fraction such as `0.15`.
pub(super) fn fraction(field: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(field).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Splits at the first `separator`.
pub(super) fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Words as a label value: what is not UTF-8 is replaced.
pub(super) fn label(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_carry_their_number_and_empty_ones_do_not_count_as_lines() {
        let text = b"a b\n\n  c\td \n";
        let found: Vec<(u32, Vec<&[u8]>)> = lines(text)
            .map(|line| (line.number, line.fields().collect()))
            .collect();
        assert_eq!(found, [(1, vec![&b"a"[..], b"b"]), (3, vec![b"c", b"d"])]);
    }

    #[test]
    fn only_plain_numbers_are_numbers() {
        for wrong in [
            &b""[..],
            b"-1",
            b"1.0",
            b"0x1",
            b"18446744073709551616",
            b"1 ",
        ] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(fraction(b"0.15"), Some(0.15));
        assert_eq!(fraction(b"inf"), None);
    }

    proptest! {
        #[test]
        fn every_number_is_read_back(value: u64) {
            prop_assert_eq!(number(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn lines_are_those_of_a_plain_split(
            bytes in prop::collection::vec(prop::sample::select(b"\n\x0b\x8a\x00ab ".to_vec()), 0..80)
        ) {
            let expected: Vec<(u32, &[u8])> = (1..)
                .zip(bytes.split(|b| *b == b'\n'))
                .filter(|(_, line)| !line.is_empty())
                .collect();
            let got: Vec<(u32, &[u8])> = lines(&bytes).map(|l| (l.number, l.bytes)).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn any_bytes_can_be_taken_apart(bytes: Vec<u8>) {
            for line in lines(&bytes) {
                for field in line.fields() {
                    prop_assert!(!field.is_empty());
                    let _ = (number(field), fraction(field), label(field));
                }
            }
        }
    }
}
