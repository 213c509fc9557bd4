//! Series numbers of a table's rows, kept from tick to tick.
//!
//! Kernel tables keep their order, so a row is nearly always where it was last time: one
//! comparison of bytes and no hash. A row without numbers is one that the probe leaves out.

use hostwell_proto::metric::Metric;

use crate::sample::{Readings, SeriesNumber};

/// More rows than this and all are forgotten: names come and go (containers' interfaces), and
/// finding a number again is cheap.
const ROWS_MAX: usize = 4096;

/// Row names and their series numbers.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    at: usize,
}

#[derive(Debug)]
struct Row {
    name: Box<[u8]>,
    numbers: Box<[SeriesNumber]>,
}

impl Rows {
    /// Starts a new reading of the table.
    pub(super) fn start(&mut self) {
        self.at = 0;
        if self.rows.len() > ROWS_MAX {
            self.rows.clear();
        }
    }

    /// The numbers of the row called `name`, made on first sight.
    pub(super) fn numbers(
        &mut self,
        name: &[u8],
        make: impl FnOnce() -> Vec<SeriesNumber>,
    ) -> &[SeriesNumber] {
        let here = |row: &Row| *row.name == *name;
        let at = if self.rows.get(self.at).is_some_and(here) {
            self.at
        } else if let Some(at) = self.rows.iter().position(here) {
            at
        } else {
            self.rows.push(Row {
                name: name.into(),
                numbers: make().into(),
            });
            self.rows.len() - 1
        };
        self.at = at + 1;
        &self.rows[at].numbers
    }

    /// Adds the value of a metric without labels.
    pub(super) fn put_metric(&mut self, metric: Metric, value: f64, out: &mut Readings<'_>) {
        let Readings { table, readings } = out;
        for number in self.numbers(metric.name().as_bytes(), || vec![table.number(metric, &[])]) {
            readings.push((*number, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_its_numbers_wherever_it_moves() {
        let mut rows = Rows::default();
        rows.start();
        assert_eq!(rows.numbers(b"sda", || vec![1]), [1]);
        assert_eq!(rows.numbers(b"sdb", || vec![2]), [2]);
        rows.start();
        assert_eq!(rows.numbers(b"sdb", || vec![9]), [2]);
        assert_eq!(rows.numbers(b"sdc", || vec![3]), [3]);
        assert_eq!(rows.numbers(b"sda", || vec![9]), [1]);
    }

    #[test]
    fn names_that_come_and_go_do_not_pile_up() {
        let mut rows = Rows::default();
        for name in 0..3 * ROWS_MAX as u32 {
            rows.start();
            rows.numbers(&name.to_le_bytes(), Vec::new);
        }
        assert!(rows.rows.len() <= ROWS_MAX + 1);
    }
}
