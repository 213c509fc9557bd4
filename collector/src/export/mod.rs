//! History for other programs, streamed: nothing is held longer than the window it was read with.
//!
//! `choice` says which series are meant, `pages` reads them window by window within a bound on
//! samples, `openmetrics`, `csv` and `parquet` write them. What the first two write, `import` reads
//! back bit for bit.

mod choice;
mod csv;
mod openmetrics;
mod pages;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(test)]
mod tests;

use std::io::Write;

use crate::store::Store;

pub use choice::{Choice, ChoiceError};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics text, for Prometheus and what reads its formats.
    OpenMetrics,
    /// A wide table: the time, then a column for each series.
    Csv,
    /// A row for each sample, in columns. Only in a build with the feature `parquet`.
    Parquet,
}

/// What is to be exported.
#[derive(Clone, Debug)]
pub struct Export {
    /// What is written.
    pub format: Format,
    /// Any of them; none means every series.
    pub choices: Vec<Choice>,
    /// Names of hosts; none means all, retired ones too.
    pub hosts: Vec<String>,
    /// First moment, included.
    pub from_ms: i64,
    /// Last moment, included.
    pub to_ms: i64,
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Series that were asked for and are known.
    pub series: u64,
    /// Samples written.
    pub samples: u64,
}

/// Writes what is asked for.
///
/// # Errors
/// A host that is not known, a store that cannot be read, an output that does not take it.
pub async fn run(
    store: &Store,
    export: &Export,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Exported> {
    let listed = pages::list(store, export).await?;
    if listed.is_empty() {
        anyhow::bail!("no series fits what is asked for");
    }
    match export.format {
        Format::OpenMetrics => openmetrics::write(store, export, &listed, out).await,
        Format::Csv => csv::write(store, export, &listed, out).await,
        #[cfg(feature = "parquet")]
        Format::Parquet => parquet::write(store, export, &listed, out).await,
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => anyhow::bail!(
            "this build writes no Parquet: build it with `cargo build --release --features \
             parquet`, or export csv"
        ),
    }
}

/// The shortest text that reads back as the same number.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => format!("{value}"),
        v if (1e-5..1e17).contains(&v) => format!("{value}"),
        _ => format!("{value:e}"),
    }
}
