//! Prints rows in aligned columns, as wide as the terminal at most.

use super::text;

/// How a cell stands out, where there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Fine.
    Good,
    /// Look at it.
    Watch,
    /// Act.
    Bad,
    /// Less important.
    Faint,
}

impl Tone {
    fn ansi(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Good => "\u{1b}[32m",
            Tone::Watch => "\u{1b}[33m",
            Tone::Bad => "\u{1b}[31;1m",
            Tone::Faint => "\u{1b}[2m",
        }
    }

    /// The text in this tone, if there is colour.
    pub fn paint(self, text: &str, colour: bool) -> String {
        if colour && self != Tone::Plain {
            format!("{}{text}\u{1b}[0m", self.ansi())
        } else {
            text.to_string()
        }
    }
}

/// One cell; its text is cleaned when it is made.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone.
    pub fn toned(text: impl AsRef<str>, tone: Tone) -> Cell {
        Cell {
            text: text::clean(text.as_ref()).into_owned(),
            tone,
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::toned(text, Tone::Plain)
    }
}

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
    /// Words that are cut when the terminal is narrow.
    Flexible,
    /// Sentences that go on in the next line when the terminal is narrow; the last column.
    Wrapped,
}

/// Columns and rows for people.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<Cell>>,
}

/// Two blanks between columns: enough to see, few enough for eighty cells.
const BETWEEN: usize = 2;
/// A flexible column never gets narrower than this; a narrower terminal wraps.
const FLEXIBLE_MIN: usize = 12;

impl Table {
    /// An empty table.
    pub fn new(columns: &[(&str, Align)]) -> Table {
        Table {
            columns: columns
                .iter()
                .map(|(name, align)| (text::clean(name).into_owned(), *align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells at its end are empty.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, cut to `width` cells where the terminal has a width.
    pub fn lines(&self, width: Option<usize>, colour: bool) -> Vec<String> {
        let widths = self.widths(width);
        let header = self
            .columns
            .iter()
            .map(|(name, _)| Cell::toned(name, Tone::Faint));
        let mut lines = vec![self.line(&header.collect::<Vec<_>>(), &widths, colour)];
        for row in &self.rows {
            lines.push(self.line(row, &widths, colour));
            lines.extend(self.continued(row, &widths, colour));
        }
        lines
    }

    /// What does not fit the first line of a row whose last column wraps.
    fn continued(&self, row: &[Cell], widths: &[usize], colour: bool) -> Vec<String> {
        let last = widths.len().saturating_sub(1);
        let (Some((_, Align::Wrapped)), Some(cell)) = (self.columns.get(last), row.get(last))
        else {
            return Vec::new();
        };
        let before: usize = widths[..last].iter().map(|width| width + BETWEEN).sum();
        text::wrap(&cell.text, widths[last])
            .iter()
            .skip(1)
            .map(|rest| format!("{}{}", " ".repeat(before), cell.tone.paint(rest, colour)))
            .collect()
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(n, _)| text::width(n)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(text::width(&cell.text));
            }
        }
        let total = widths.iter().sum::<usize>() + BETWEEN * widths.len().saturating_sub(1);
        let mut over = limit.map_or(0, |limit| total.saturating_sub(limit));
        // The widest flexible column gives way first, cell by cell, so that none is starved.
        while over > 0 {
            let widest = (0..widths.len())
                .filter(|i| matches!(self.columns[*i].1, Align::Flexible | Align::Wrapped))
                .filter(|i| widths[*i] > FLEXIBLE_MIN)
                .max_by_key(|i| widths[*i]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
            over -= 1;
        }
        widths
    }

    fn line(&self, cells: &[Cell], widths: &[usize], colour: bool) -> String {
        let mut line = String::new();
        let empty = Cell::default();
        for (i, (width, (_, align))) in widths.iter().zip(&self.columns).enumerate() {
            let cell = cells.get(i).unwrap_or(&empty);
            let shown = match align {
                Align::Wrapped => text::wrap(&cell.text, *width).swap_remove(0).into(),
                _ => text::fit(&cell.text, *width),
            };
            let blanks = " ".repeat(width - text::width(&shown));
            if i > 0 {
                line.push_str(&" ".repeat(BETWEEN));
            }
            if *align == Align::Right {
                line.push_str(&blanks);
            }
            line.push_str(&cell.tone.paint(&shown, colour && !shown.is_empty()));
            if *align != Align::Right {
                line.push_str(&blanks);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(width: Option<usize>, colour: bool, expected: Expect) {
        let mut table = Table::new(&[
            ("HOST", Align::Left),
            ("CPU", Align::Right),
            ("WORST FINDING", Align::Flexible),
        ]);
        table.row(vec![
            "web-1".into(),
            Cell::toned("97 %", Tone::Bad),
            "/ is almost full: 97 % used".into(),
        ]);
        table.row(vec![
            "数据库".into(),
            "4 %".into(),
            "\u{1b}[2Jhidden".into(),
        ]);
        expected.assert_eq(&table.lines(width, colour).join("\n"));
    }

    #[test]
    fn columns_are_aligned_by_cells() {
        check(
            None,
            false,
            expect![[r"
            HOST     CPU  WORST FINDING
            web-1   97 %  / is almost full: 97 % used
            数据库   4 %  \u{1b}[2Jhidden"]],
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_flexible_column_only() {
        check(
            Some(30),
            false,
            expect![[r"
            HOST     CPU  WORST FINDING
            web-1   97 %  / is almost ful…
            数据库   4 %  \u{1b}[2Jhidden"]],
        );
    }

    #[test]
    fn a_narrow_terminal_breaks_the_sentence_of_a_wrapped_column() {
        let mut table = Table::new(&[("ID", Align::Right), ("WHAT", Align::Wrapped)]);
        table.row(vec![
            "7".into(),
            "/ is 93 % used: 3.4 of 50 GiB left.".into(),
        ]);
        expect![[r"
            ID  WHAT
             7  / is 93 %
                used: 3.4 of
                50 GiB left."]]
        .assert_eq(&table.lines(Some(18), false).join("\n"));
    }

    #[test]
    fn colour_wraps_the_text_and_not_the_blanks() {
        let mut table = Table::new(&[("A", Align::Right)]);
        table.row(vec![Cell::toned("1", Tone::Bad)]);
        let lines = table.lines(None, true);
        assert_eq!(lines[1], "\u{1b}[31;1m1\u{1b}[0m");
    }
}
