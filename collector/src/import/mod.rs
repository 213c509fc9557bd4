//! Yesterday's history: files of other programs become samples of a host.
//!
//! A file is read once, front to back, in bounded memory, on a thread of its own. `input` gives its
//! lines, whatever it is packed with; a format (`csv`, `openmetrics`, `sadf`) turns them into samples; `mapping` and
//! `shape` give foreign names and units ours; `gather` holds names and values to the limits of
//! the agents' door and cuts what it gets into chunks; `keep` stores them. A chunk of a file is
//! stored once, whatever is interrupted when: see `keep`.

mod csv;
mod gather;
mod input;
mod keep;
mod mapping;
mod name;
mod openmetrics;
mod sadf;
mod shape;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use hostwell_proto::metric::{Kind, Metric};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::config::Limits;
use crate::store::Store;
use gather::{Chunk, Gatherer, Tally};
use input::Input;
use keep::{Keeper, Owner};

pub use mapping::Mapping;

/// Chunks that are read before the ones in front of them are stored.
const AHEAD: usize = 4;
/// Longest name of a host.
const HOST_BYTES_MAX: usize = 253;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A wide table.
    Csv,
    /// OpenMetrics, Prometheus' text and dump, VictoriaMetrics' export.
    OpenMetrics,
    /// What `sadf -j` of sysstat prints.
    Sadf,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::OpenMetrics => "openmetrics",
            Format::Sadf => "sadf",
        }
    }
}

/// What is to be imported.
#[derive(Clone, Debug)]
pub struct Import {
    /// What the files are.
    pub format: Format,
    /// Which host they speak of.
    pub host: String,
    /// The files, in the order they are imported in.
    pub files: Vec<PathBuf>,
    /// Names and units.
    pub mapping: Mapping,
    /// Whether a host that is new here stays whatever its age.
    pub kept: bool,
    /// What names and labels are held to.
    pub limits: Limits,
    /// The wall clock.
    pub now_ms: i64,
}

/// How far an import is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Which file.
    pub file: &'a Path,
    /// Part of the file that was read, 0 to 1.
    pub part: f64,
    /// Samples read.
    pub samples: u64,
    /// The newest time read.
    pub to_ms: i64,
}

/// A series that was found in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundSeries {
    /// What the file calls it.
    pub from: String,
    /// What it is called here.
    pub series: String,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// Whether the metric is in the catalogue: rules and indicators look at those only.
    pub catalogued: bool,
    /// How many.
    pub samples: u64,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Imported {
    /// The file.
    pub file: PathBuf,
    /// Samples read.
    pub samples: u64,
    /// Of these, stored now; none in a dry run.
    pub stored: u64,
    /// Of these, stored by an earlier import of the same file.
    pub known: u64,
    /// Fields without a value.
    pub empty: u64,
    /// Values that are not numbers (NaN, infinite), skipped.
    pub not_finite: u64,
    /// Values of series that the mapping leaves out.
    pub left_out: u64,
    /// Oldest sample.
    pub from_ms: Option<i64>,
    /// Newest sample.
    pub to_ms: Option<i64>,
    /// Median step.
    pub step_ms: Option<i64>,
    /// Its series, in the order met.
    pub series: Vec<FoundSeries>,
}

/// Imports all files, or without a store only reads them. `tell` hears how far it is.
///
/// # Errors
/// A file that cannot be read, with file, line, column and what was expected there; what the store
/// says. What was stored before the error stays, and the message says how much that is.
pub async fn run(
    import: &Import,
    store: Option<&Store>,
    mut tell: impl FnMut(&Progress<'_>),
) -> anyhow::Result<Vec<Imported>> {
    let name = &import.host;
    if name.is_empty() || name.len() > HOST_BYTES_MAX || name.chars().any(char::is_control) {
        bail!("{name:?} is no name for a host: 1 to {HOST_BYTES_MAX} bytes, nothing invisible");
    }
    let mut owner = match store {
        Some(store) => Some(Owner::find(store, name, import.kept).await?),
        None => None,
    };
    let mut done = Vec::with_capacity(import.files.len());
    for file in &import.files {
        let keeping = match (store, &mut owner) {
            (Some(store), Some(owner)) => {
                let spool = spool(import, file).await?;
                Some(Keeper::new(store, owner, spool, import.now_ms).await?)
            }
            _ => None,
        };
        done.push(one(import, file, keeping, &mut tell).await?);
    }
    Ok(done)
}

async fn spool(import: &Import, file: &Path) -> anyhow::Result<hostwell_proto::id::SpoolId> {
    let (file, host) = (file.to_owned(), import.host.clone());
    let mapping = import.mapping.text().to_owned();
    let (format, kept) = (import.format.name(), import.kept.to_string());
    tokio::task::spawn_blocking(move || {
        keep::file_identity(&file, &[format, &host, &mapping, &kept])
    })
    .await?
}

/// Imports one file.
async fn one(
    import: &Import,
    file: &Path,
    mut keeper: Option<Keeper<'_>>,
    tell: &mut impl FnMut(&Progress<'_>),
) -> anyhow::Result<Imported> {
    let size = std::fs::metadata(file)
        .with_context(|| format!("open {}", file.display()))?
        .len();
    let bytes = Arc::new(AtomicU64::new(0));
    let (send, mut receive) = mpsc::channel::<Chunk>(AHEAD);
    let reading = {
        let (format, path, bytes) = (import.format, file.to_owned(), Arc::clone(&bytes));
        let gatherer = Gatherer::new(import.mapping.clone(), import.limits.clone(), send);
        tokio::task::spawn_blocking(move || {
            let mut input = Input::open(&path, bytes)?;
            read(format, &mut input, gatherer)
        })
    };
    let (mut samples, mut kept) = (0, Ok(()));
    while let Some(chunk) = receive.recv().await {
        samples += chunk.samples() as u64;
        tell(&Progress {
            file,
            part: bytes.load(Ordering::Relaxed) as f64 / size.max(1) as f64,
            samples,
            to_ms: chunk.to_ms,
        });
        if let Some(keeper) = &mut keeper {
            kept = keeper.keep(chunk).await;
            if kept.is_err() {
                break;
            }
        }
    }
    // The reader stops at its next chunk when nobody takes it.
    drop(receive);
    let read = reading.await?;
    let held = keeper.as_ref().map_or(0, |k| k.stored + k.known);
    let tally = kept.and(read).with_context(|| match keeper {
        Some(_) => format!(
            "import {}: {held} samples of it are stored, the rest is not; put it right and import \
             it again, nothing is stored twice",
            file.display()
        ),
        None => format!("read {}", file.display()),
    })?;
    if let Some(keeper) = &mut keeper {
        keeper.finish(&tally).await?;
    }
    let (stored, known) = keeper.map_or((0, 0), |k| (k.stored, k.known));
    Ok(imported(file, tally, stored, known))
}

/// Reads a file of a format to its end.
fn read(format: Format, input: &mut Input, mut gatherer: Gatherer) -> anyhow::Result<Tally> {
    match format {
        Format::Csv => csv::read(input, &mut gatherer)?,
        Format::OpenMetrics => openmetrics::read(input, &mut gatherer)?,
        Format::Sadf => sadf::read(input, &mut gatherer)?,
    }
    Ok(gatherer.finish()?)
}

fn imported(file: &Path, tally: Tally, stored: u64, known: u64) -> Imported {
    let series = tally.series.iter().map(|s| FoundSeries {
        from: s.from.clone(),
        series: s.name.to_string(),
        kind: match s.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        },
        catalogued: Metric::by_name(&s.name.metric).is_some(),
        samples: s.samples,
    });
    Imported {
        file: file.to_owned(),
        samples: tally.samples,
        stored,
        known,
        empty: tally.empty,
        not_finite: tally.not_finite,
        left_out: tally.left_out,
        from_ms: tally.from_ms,
        to_ms: tally.to_ms,
        step_ms: tally.step_ms,
        series: series.collect(),
    }
}
