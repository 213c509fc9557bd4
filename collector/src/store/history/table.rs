//! What a block is made of: the samples of some series, as whole numbers where they are some.

use std::borrow::Cow;

use hostwell_proto::column::{self, Column, Numbers};

use super::super::error::{Fault, Trouble};
use super::parcel::{Parcel, wrap};
use super::sealed::{self, Plans};

/// Sealed once, read often, and on the disk for weeks: worth a high level.
const ZSTD_LEVEL: i32 = 9;
/// Up to so many ticks both formats are tried: tables and lengths cost more than they save there.
const TICKS_FEW: usize = 64;

/// The values of a series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Row<'a> {
    /// Each is `mantissa / 10^decimals`, with the fewest decimals that do.
    Whole(u8, Cow<'a, [i64]>),
    /// Some value is no such number.
    Raw(&'a [f64]),
}

impl<'a> Row<'a> {
    /// Values as they are in memory.
    pub(in crate::store) fn of(values: &'a [f64]) -> Row<'a> {
        match column::mantissas(values) {
            Some((decimals, mantissas)) => Row::Whole(decimals, Cow::Owned(mantissas)),
            None => Row::Raw(values),
        }
    }

    /// Whole numbers that may have more decimals than they need.
    pub(in crate::store) fn fewest(decimals: u8, mantissas: &'a [i64]) -> Row<'a> {
        let (mut needed, mut power) = (decimals, 1);
        while needed > 0 && mantissas.iter().all(|m| m % (power * 10) == 0) {
            (needed, power) = (needed - 1, power * 10);
        }
        let mantissas = match power {
            1 => Cow::Borrowed(mantissas),
            _ => mantissas.iter().map(|m| m / power).collect(),
        };
        Row::Whole(needed, mantissas)
    }

    /// The values, bit for bit.
    pub(in crate::store) fn values(&self) -> Cow<'a, [f64]> {
        match self {
            Row::Whole(decimals, mantissas) => column::decimals(mantissas, *decimals).into(),
            Row::Raw(values) => Cow::Borrowed(values),
        }
    }

    /// The last value.
    pub(in crate::store) fn last(&self) -> Option<f64> {
        match self {
            Row::Whole(decimals, mantissas) => {
                let last = mantissas.len().saturating_sub(1);
                column::decimals(&mantissas[last..], *decimals)
                    .first()
                    .copied()
            }
            Row::Raw(values) => values.last().copied(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Row::Whole(_, mantissas) => mantissas.len(),
            Row::Raw(values) => values.len(),
        }
    }

    fn numbers(&self) -> Numbers {
        match self {
            Row::Whole(decimals, mantissas) => Numbers::Whole {
                decimals: *decimals,
                mantissas: mantissas.to_vec(),
            },
            Row::Raw(values) => Numbers::Raw(values.to_vec()),
        }
    }
}

/// The samples of a series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct TableColumn<'a> {
    /// Which ticks have a value; `None`: all of them.
    pub ticks: Option<Vec<u16>>,
    /// The values at these.
    pub row: Row<'a>,
}

/// Samples of some series over the same ticks.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Table<'a> {
    /// Their ids.
    pub series: Vec<i64>,
    /// Ascending.
    pub times_ms: &'a [i64],
    /// One for each series.
    pub columns: Vec<TableColumn<'a>>,
}

impl<'a> Table<'a> {
    /// The columns of a parcel.
    pub(in crate::store) fn of(parcel: &'a Parcel) -> Table<'a> {
        let columns = parcel.block.columns.iter();
        let one = |column: &'a Column| TableColumn {
            ticks: column.ticks.clone(),
            row: Row::of(&column.values),
        };
        let series = columns.clone();
        Table {
            series: series.map(|c| parcel.series[c.number as usize]).collect(),
            times_ms: &parcel.block.times_ms,
            columns: columns.map(one).collect(),
        }
    }

    /// How many samples it has.
    pub(in crate::store) fn samples(&self) -> usize {
        self.columns.iter().map(|column| column.row.len()).sum()
    }

    /// First and last time.
    pub(in crate::store) fn span(&self) -> Option<(i64, i64)> {
        Some((*self.times_ms.first()?, *self.times_ms.last()?))
    }

    /// Calls back for every sample: (store's series id, time in ms, value).
    pub(in crate::store) fn each(&self, mut take: impl FnMut(i64, i64, f64)) {
        for (id, column) in self.series.iter().zip(&self.columns) {
            for (place, value) in column.row.values().iter().enumerate() {
                let tick = match &column.ticks {
                    Some(ticks) => usize::from(ticks[place]),
                    None => place,
                };
                take(*id, self.times_ms[tick], *value);
            }
        }
    }

    /// As a sealed block: format 3, or format 1 where that is smaller, which it is for a handful of
    /// ticks. `known`: see [`sealed::encode`].
    pub(in crate::store) fn seal(&self, known: Option<&Plans>) -> Result<Vec<u8>, Fault> {
        match sealed::encode(self, known)? {
            Some(third) if self.times_ms.len() > TICKS_FEW => Ok(third),
            Some(third) => {
                let first = self.seal_first()?;
                let is_smaller = first.len() < third.len();
                Ok(if is_smaller { first } else { third })
            }
            None => self.seal_first(),
        }
    }

    /// The older way: a parcel under zstd.
    fn seal_first(&self) -> Result<Vec<u8>, Fault> {
        let numbers: Vec<Numbers> = self.columns.iter().map(|c| c.row.numbers()).collect();
        let columns = self.columns.iter().zip(&numbers);
        let columns = columns.map(|(column, numbers)| (column.ticks.as_deref(), numbers));
        let packed = wrap(
            &self.series,
            &column::encode_numbers(self.times_ms, columns),
        );
        zstd::bulk::compress(&packed, ZSTD_LEVEL)
            .map_err(|e| Fault::Sql(Trouble::Other(format!("zstd: {e}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_that_no_number_needs_are_left_out() {
        let row = Row::fewest(3, &[1500, -200, 0]);
        assert_eq!(row, Row::of(&[1.5, -0.2, 0.0]));
        assert_eq!(Row::fewest(2, &[700, 0]), Row::Whole(0, vec![7, 0].into()));
        assert_eq!(
            Row::fewest(1, &[15, 20]),
            Row::Whole(1, vec![15, 20].into())
        );
        assert_eq!(Row::fewest(9, &[0, 0]), Row::of(&[0.0, 0.0]));
    }
}
