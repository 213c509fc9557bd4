//! Columns that are put behind one another without becoming numbers of the machine in between.

use super::{Body, DECIMALS_MAX, MANTISSA_MAX, Writer, decimals};

/// The values of one series as they are packed.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Each is `mantissa / 10^decimals`.
    Whole {
        /// At most [`DECIMALS_MAX`].
        decimals: u8,
        /// One for each value.
        mantissas: Vec<i64>,
    },
    /// Some value is no such number.
    Raw(Vec<f64>),
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers::Whole {
            decimals: 0,
            mantissas: Vec::new(),
        }
    }
}

impl Numbers {
    /// How many values.
    pub fn len(&self) -> usize {
        match self {
            Numbers::Whole { mantissas, .. } => mantissas.len(),
            Numbers::Raw(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, bit for bit those that were packed.
    pub(super) fn values(&self) -> Vec<f64> {
        match self {
            Numbers::Whole {
                decimals: places,
                mantissas,
            } => decimals(mantissas, *places),
            Numbers::Raw(values) => values.clone(),
        }
    }

    /// Room for so many.
    pub fn with_capacity(values: usize) -> Numbers {
        Numbers::Whole {
            decimals: 0,
            mantissas: Vec::with_capacity(values),
        }
    }

    /// Forgets the values, not the room for them.
    pub fn clear(&mut self) {
        match self {
            Numbers::Whole { mantissas, .. } => mantissas.clear(),
            Numbers::Raw(_) => *self = Numbers::default(),
        }
    }

    /// Puts one more whole number of so many decimals behind these.
    #[inline]
    pub fn push(&mut self, places: u8, mantissa: i64) {
        match self.behind(places) {
            Some(mantissas) => {
                mantissas.push(mantissa);
                if !is_exact(&mantissa) {
                    self.check(1);
                }
            }
            None => {
                let mut one = Numbers::Whole {
                    decimals: places,
                    mantissas: vec![mantissa],
                };
                one.check(1);
                self.append(&one);
            }
        }
    }

    /// Where more whole numbers of so many decimals can be put, if they can; [`Numbers::check`]
    /// afterwards.
    pub(super) fn behind(&mut self, places: u8) -> Option<&mut Vec<i64>> {
        match self {
            Numbers::Whole {
                decimals,
                mantissas,
            } if *decimals == places || mantissas.is_empty() => {
                *decimals = places;
                Some(mantissas)
            }
            _ => None,
        }
    }

    /// Makes all raw where one of the newest so many is so large that reading it rounds it.
    pub(super) fn check(&mut self, newest: usize) {
        if let Numbers::Whole { mantissas, .. } = self {
            let begin = mantissas.len().saturating_sub(newest);
            if !mantissas[begin..].iter().all(is_exact) {
                *self = Numbers::Raw(self.values());
            }
        }
    }

    /// Puts more values behind these. Whole numbers stay whole where both can have the same decimals.
    pub(super) fn append(&mut self, more: &Numbers) {
        if self.is_empty() {
            self.clone_from(more);
            return;
        }
        if let (
            Numbers::Whole {
                decimals,
                mantissas,
            },
            Numbers::Whole {
                decimals: other,
                mantissas: behind,
            },
        ) = (&mut *self, more)
        {
            if decimals == other {
                mantissas.extend_from_slice(behind);
                return;
            }
            let common = (*decimals).max(*other);
            let scaled = finer(mantissas, common - *decimals).zip(finer(behind, common - *other));
            if let Some((mut all, behind)) = scaled {
                all.extend(behind);
                (*mantissas, *decimals) = (all, common);
                return;
            }
        }
        let mut values = self.values();
        values.extend(more.values());
        *self = Numbers::Raw(values);
    }

    fn body(&self) -> Body<'_> {
        match self {
            Numbers::Whole {
                decimals,
                mantissas,
            } => Body::Whole(*decimals, mantissas),
            Numbers::Raw(values) => Body::Raw(values),
        }
    }
}

/// Whether a number of the machine holds it exactly.
fn is_exact(mantissa: &i64) -> bool {
    mantissa.unsigned_abs() < MANTISSA_MAX as u64
}

/// The same numbers with so many more decimals; `None` where one is too large for that. A quotient
/// of whole numbers below 2^53 is rounded once, so expanding it gives back the very same value.
fn finer(mantissas: &[i64], places: u8) -> Option<Vec<i64>> {
    let factor = 10i64.checked_pow(u32::from(places.min(DECIMALS_MAX)))?;
    let one = |mantissa: &i64| {
        let scaled = mantissa.checked_mul(factor)?;
        is_exact(&scaled).then_some(scaled)
    };
    mantissas.iter().map(one).collect()
}

/// Writes a block of columns that are packed already, one after another, numbered from 0.
#[derive(Debug)]
pub struct NumbersWriter {
    writer: Writer,
    next: u32,
}

impl NumbersWriter {
    /// Begins a block of so many columns with so many samples in all.
    pub fn begin(times_ms: &[i64], columns: usize, samples: usize) -> NumbersWriter {
        NumbersWriter {
            writer: Writer::begin(times_ms, columns, samples),
            next: 0,
        }
    }

    /// The next column: its ticks, as [`super::Column::ticks`], and its values.
    pub fn put(&mut self, present: Option<&[u16]>, numbers: &Numbers) {
        self.writer.put(self.next, present, numbers.body());
        self.next += 1;
    }

    /// The block, once it has all its columns.
    pub fn end(self) -> Vec<u8> {
        self.writer.out
    }
}

/// Writes a block of columns that are packed already, as [`NumbersWriter`].
pub fn encode<'a>(
    times_ms: &[i64],
    columns: impl ExactSizeIterator<Item = (Option<&'a [u16]>, &'a Numbers)> + Clone,
) -> Vec<u8> {
    let samples = columns.clone().map(|(_, numbers)| numbers.len()).sum();
    let mut writer = NumbersWriter::begin(times_ms, columns.len(), samples);
    columns.for_each(|(present, numbers)| writer.put(present, numbers));
    writer.end()
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Column, Limits, Walk, decode, encode as encode_block};
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        ticks_max: 100,
        columns_max: 100,
        samples_max: 1000,
    };

    fn block(values: &[f64]) -> Vec<u8> {
        let block = Block {
            times_ms: (0..values.len() as i64).collect(),
            columns: vec![Column {
                number: 0,
                ticks: None,
                values: values.to_vec(),
            }],
        };
        encode_block(&block, |_| 0)
    }

    fn packed(values: &[f64]) -> Numbers {
        let mut numbers = Numbers::default();
        add(&mut numbers, &block(values));
        numbers
    }

    /// Puts the one column of a block behind others.
    fn add(numbers: &mut Numbers, bytes: &[u8]) {
        let mut times_ms = Vec::new();
        let mut walk = Walk::begin(bytes, LIMITS, &mut times_ms).unwrap();
        if let Some(single) = walk.single(u32::MAX) {
            numbers.push(single.decimals, single.mantissa);
            return;
        }
        walk.number().unwrap();
        walk.append_to(numbers, &mut Vec::new()).unwrap();
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    fn any_values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<i32>().prop_map(|v| f64::from(v) / 100.0),
            any::<i64>().prop_map(|v| (v >> 10) as f64),
            any::<i16>().prop_map(|v| f64::from(v) / 1e7),
            Just(-0.0),
        ];
        prop::collection::vec(value, 1..6)
    }

    #[test]
    fn decimals_are_levelled_and_what_does_not_fit_becomes_raw() {
        let mut numbers = packed(&[1.5]);
        numbers.append(&packed(&[0.125, 2.0]));
        let levelled = Numbers::Whole {
            decimals: 3,
            mantissas: vec![1500, 125, 2000],
        };
        assert_eq!(numbers, levelled);
        numbers.append(&packed(&[9_007_199_254_740_990.0]));
        assert!(matches!(numbers, Numbers::Raw(_)));
    }

    #[test]
    fn numbers_that_no_honest_sender_packs_become_raw() {
        let constant = |mantissa: u64| {
            let mut bytes = vec![1, 1, 0, 1, 0, 0];
            super::super::put_varint(&mut bytes, mantissa);
            bytes
        };
        let mut numbers = Numbers::default();
        // The zigzag forms of the smallest and the largest number there is.
        for mantissa in [u64::MAX, u64::MAX - 1] {
            add(&mut numbers, &constant(mantissa));
        }
        let ends = [i64::MIN as f64, i64::MAX as f64];
        assert_eq!(numbers, Numbers::Raw(ends.to_vec()));
    }

    proptest! {
        #[test]
        fn every_bit_of_every_value_comes_back(parts in prop::collection::vec(any_values(), 1..6)) {
            let mut numbers = Numbers::default();
            parts.iter().for_each(|part| add(&mut numbers, &block(part)));
            let all = parts.concat();
            prop_assert_eq!(bits(&numbers.values()), bits(&all));
            let times_ms: Vec<i64> = (0..all.len() as i64).collect();
            let bytes = encode(&times_ms, [(None, &numbers)].into_iter());
            let back = decode(&bytes, LIMITS).unwrap();
            prop_assert_eq!(bits(&back.columns[0].values), bits(&all));
        }
    }
}
