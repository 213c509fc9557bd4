//! `-o`: one answer as a table for people, JSON and JSON lines for programs, CSV for spreadsheets.

use std::io;

use serde::Serialize;
use serde_json::Value;

use super::console::Console;
use super::text;
use crate::answer::{Answer, SCHEMA_VERSION};

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Format {
    // No doc comments on the variants: clap would spread every option of every help over lines.
    #[default]
    Table,
    Json,
    Jsonl,
    Csv,
}

/// How an answer is printed whose numbers also make a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ChartFormat {
    Table,
    Json,
    Jsonl,
    Csv,
    Chart,
}

impl ChartFormat {
    /// The format of the rows; none for a chart.
    pub(super) fn rows(self) -> Option<Format> {
        match self {
            ChartFormat::Table => Some(Format::Table),
            ChartFormat::Json => Some(Format::Json),
            ChartFormat::Jsonl => Some(Format::Jsonl),
            ChartFormat::Csv => Some(Format::Csv),
            ChartFormat::Chart => None,
        }
    }
}

/// How the answer is printed
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct OutputArgs {
    /// How to print the answer: for people, programs, or spreadsheets
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub(super) output: Format,
}

/// The rows of an answer for programs: raw values in base units under stable names.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Records {
    /// No rows yet.
    pub(super) fn new(columns: &[&str]) -> Records {
        Records {
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a value for each column.
    pub(super) fn row(&mut self, values: Vec<Value>) {
        self.rows.push(values);
    }

    /// Prints comma-separated values with a header.
    pub(super) fn csv(&self, console: &mut Console) -> io::Result<()> {
        let header = self.columns.iter().map(|c| text::csv_text(c));
        console.line(&header.collect::<Vec<_>>().join(","))?;
        self.csv_rows(console)
    }

    /// The same without a header: what follows on rows that were printed before.
    pub(super) fn csv_rows(&self, console: &mut Console) -> io::Result<()> {
        for row in &self.rows {
            let fields = row.iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(words) => text::csv_text(words),
                other => other.to_string(),
            });
            console.line(&fields.collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }

    /// Prints one JSON object a row.
    pub(super) fn jsonl(&self, console: &mut Console) -> io::Result<()> {
        for row in &self.rows {
            // By hand, to keep the columns in their order.
            let mut line = format!("{{\"schema_version\":{SCHEMA_VERSION}");
            for (column, value) in self.columns.iter().zip(row) {
                line.push_str(&format!(",{}:{value}", Value::from(column.as_str())));
            }
            line.push('}');
            console.line(&line)?;
        }
        Ok(())
    }
}

/// Prints an answer as asked; `records` and `table` are only made when they are wanted.
pub(super) fn print(
    console: &mut Console,
    format: Format,
    answer: &Answer,
    records: impl FnOnce() -> Records,
    table: impl FnOnce(&mut Console) -> io::Result<()>,
) -> anyhow::Result<()> {
    match format {
        Format::Table => table(console)?,
        Format::Json => json(console, answer)?,
        Format::Jsonl => records().jsonl(console)?,
        Format::Csv => records().csv(console)?,
    }
    Ok(())
}

/// Prints a document as JSON: objects on lines of their own, lists of plain values on one.
pub(super) fn json(console: &mut Console, document: &impl Serialize) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    let layout = Layout { open: Vec::new() };
    document.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes, layout,
    ))?;
    bytes.push(b'\n');
    console.bytes(&bytes)?;
    Ok(())
}

/// A layout between "pretty" (a line a number: useless for samples) and compact.
struct Layout {
    open: Vec<Open>,
}

/// A bracket that is still open.
enum Open {
    List { with_objects: bool },
    Object { empty: bool },
}

impl Layout {
    fn new_line<W: io::Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        self.open.iter().try_for_each(|_| out.write_all(b"  "))
    }
}

impl serde_json::ser::Formatter for Layout {
    fn begin_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open.push(Open::List {
            with_objects: false,
        });
        out.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        if let Some(Open::List { with_objects: true }) = self.open.pop() {
            self.new_line(out)?;
        }
        out.write_all(b"]")
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b"," })
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        if let Some(Open::List { with_objects }) = self.open.last_mut() {
            *with_objects = true;
            self.new_line(out)?;
        }
        self.open.push(Open::Object { empty: true });
        out.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        if let Some(Open::Object { empty: false }) = self.open.pop() {
            self.new_line(out)?;
        }
        out.write_all(b"}")
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if let Some(Open::Object { empty }) = self.open.last_mut() {
            *empty = false;
        }
        out.write_all(if first { b"" } else { b"," })?;
        self.new_line(out)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

/// A collector answered something that was not asked: its version does not fit.
pub(super) fn other_answer() -> anyhow::Error {
    anyhow::anyhow!(
        "the collector answered another question; it does not fit this program's version ({})",
        env!("CARGO_PKG_VERSION")
    )
}
