//! The data's tables: comma-separated, packed with bzip2 or plain, no quotes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// A table's lines, by the names of its first one.
pub(crate) struct Table {
    names: Vec<String>,
    lines: Vec<String>,
}

impl Table {
    /// Reads a whole table.
    pub(crate) fn read(path: &Path) -> Table {
        let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let plain: Box<dyn Read> = match path.extension().is_some_and(|e| e == "bz2") {
            true => Box::new(bzip2::read::MultiBzDecoder::new(file)),
            false => Box::new(file),
        };
        let mut lines = BufReader::new(plain).lines().map(Result::unwrap);
        let header = lines.next().unwrap_or_default();
        Table {
            names: header.split(',').map(str::to_owned).collect(),
            lines: lines.collect(),
        }
    }

    /// Where a column is.
    pub(crate) fn column(&self, name: &str) -> usize {
        let found = self.names.iter().position(|n| n == name);
        found.unwrap_or_else(|| panic!("no column {name} among {:?}", self.names))
    }

    /// The lines, split.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<&str>> {
        self.lines.iter().map(|line| line.split(',').collect())
    }
}

/// A whole number, also where a table writes it as `1.5e12` or `7.0`.
pub(crate) fn whole(text: &str) -> Option<i64> {
    let number = || text.parse::<f64>().ok().map(|v| v as i64);
    text.parse().ok().or_else(number)
}
