//! `hostwell import FORMAT FILE…`: yesterday's history from other programs.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use super::at_rest::{self, FileArgs};
use super::console::Console;
use super::output::{self, Format, OutputArgs, Records};
use super::source::clock_ms;
use super::table::{Align, Table};
use super::words::moment;
use super::{Exit, text};
use crate::answer::SCHEMA_VERSION;
use crate::answer::range::format_ms;
use crate::config::Limits;
use crate::import::{self, Import, Imported, Mapping, Progress};
use crate::words;

/// How often a long import says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// Bring history of other programs into a database: wide tables, Prometheus, sysstat
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Files may be packed with gzip, bzip2 or zstd. A file that was imported before is known by its
content and not stored twice; an import that was cut goes on where it was. What a host got by
imports alone is kept whatever its age. Names, units and the mapping file: docs/import.md.

Examples:
  hostwell import csv table.csv.gz --host web-1
  sadf -j /var/log/sysstat/sa21 -- -A > sa21.json
  hostwell import sadf sa21.json --host web-1
  promtool tsdb dump /var/lib/prometheus/metrics2 > dump.txt
  hostwell import openmetrics dump.txt --host web-1 --map web-1.toml
  hostwell import csv *.csv.bz2 --host db-1 --map names.toml --dry-run
  hostwell import csv table.csv --host web-1 --db old.db && hostwell report --db old.db")]
pub(super) struct ImportArgs {
    /// What the files are
    #[arg(value_enum)]
    format: FormatArg,
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The host they speak of; a new one, or one that is known
    #[arg(long, value_name = "NAME")]
    host: String,
    /// What foreign names become (TOML): see docs/import.md
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Read everything, show what it would become, store nothing
    #[arg(long)]
    dry_run: bool,
    /// How long a host that is new here keeps its history
    #[arg(long, value_enum, default_value = "forever")]
    retain: Retain,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FormatArg {
    Csv,
    #[value(name = "openmetrics")]
    OpenMetrics,
    Sadf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Retain {
    Forever,
    Default,
}

impl From<FormatArg> for import::Format {
    fn from(format: FormatArg) -> import::Format {
        match format {
            FormatArg::Csv => import::Format::Csv,
            FormatArg::OpenMetrics => import::Format::OpenMetrics,
            FormatArg::Sadf => import::Format::Sadf,
        }
    }
}

/// What was done.
#[derive(Debug, Serialize)]
struct Done<'a> {
    schema_version: u32,
    kind: &'static str,
    host: &'a str,
    db: Option<PathBuf>,
    files: &'a [Imported],
}

/// Imports and tells what became of it.
pub(super) async fn run(args: ImportArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let mapping = match &args.map {
        None => Mapping::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("read the mapping {}", path.display()))?;
            Mapping::parse(&text).with_context(|| format!("in {}", path.display()))?
        }
    };
    let job = Import {
        format: args.format.into(),
        host: args.host,
        files: args.files,
        mapping,
        kept: args.retain == Retain::Forever,
        limits: Limits::default(),
        now_ms: clock_ms(),
    };
    let mut told = Instant::now();
    let mut tell = |progress: &Progress<'_>| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            console.message(&format!(
                "{}: {}, {} samples, up to {}",
                text::clean(&progress.file.display().to_string()),
                words::percent(progress.part),
                progress.samples,
                format_ms(progress.to_ms)
            ));
        }
    };
    let files = if args.dry_run {
        import::run(&job, None, &mut tell).await?
    } else {
        let store = args.file.write().await?;
        let done = import::run(&job, Some(&store), &mut tell).await;
        at_rest::close(&store, done).await?
    };
    let done = Done {
        schema_version: SCHEMA_VERSION,
        kind: "import",
        host: &job.host,
        db: (!args.dry_run).then(|| args.file.path()),
        files: &files,
    };
    match args.output.output {
        Format::Table => table(&done, console)?,
        Format::Json => output::json(console, &done)?,
        Format::Jsonl => records(&files).jsonl(console)?,
        Format::Csv => records(&files).csv(console)?,
    }
    Ok(Exit::Fine)
}

fn table(done: &Done<'_>, console: &mut Console) -> io::Result<()> {
    for one in done.files {
        console.line(&sentence(one, done.db.is_some()))?;
    }
    if let Some(db) = &done.db {
        let host = text::clean(done.host).into_owned();
        let db = db.display().to_string();
        let db = text::clean(&db);
        return console.line(&format!("see it: hostwell host {host} --db {db}"));
    }
    let mut table = Table::new(&[
        ("FROM", Align::Flexible),
        ("SERIES", Align::Flexible),
        ("KIND", Align::Left),
        ("CATALOGUE", Align::Left),
        ("SAMPLES", Align::Right),
    ]);
    for series in done.files.iter().flat_map(|one| &one.series) {
        table.row(vec![
            series.from.as_str().into(),
            series.series.as_str().into(),
            series.kind.into(),
            if series.catalogued { "yes" } else { "no" }.into(),
            series.samples.to_string().into(),
        ]);
    }
    console.table(&table)
}

/// What became of one file, in a line.
fn sentence(one: &Imported, stored: bool) -> String {
    let mut line = format!(
        "{}: {} samples of {} series",
        text::clean(&one.file.display().to_string()),
        one.samples,
        one.series.len()
    );
    if let (Some(from_ms), Some(to_ms)) = (one.from_ms, one.to_ms) {
        line.push_str(&format!(", {} to {}", format_ms(from_ms), format_ms(to_ms)));
    }
    if let Some(step_ms) = one.step_ms {
        line.push_str(&format!(", every {}", words::duration(step_ms)));
    }
    if !stored {
        line.push_str("; nothing stored");
    } else if one.known > 0 {
        line.push_str(&format!(
            "; {} were stored by an earlier import of the same file",
            one.known
        ));
    }
    let skipped = [
        (one.not_finite, "are no finite numbers and were skipped"),
        (one.left_out, "are left out by the mapping"),
    ];
    for (count, why) in skipped {
        if count > 0 {
            line.push_str(&format!("; {count} values {why}"));
        }
    }
    line
}

fn records(files: &[Imported]) -> Records {
    let mut records = Records::new(&[
        "file",
        "series",
        "samples",
        "stored",
        "known",
        "empty",
        "not_finite",
        "left_out",
        "from",
        "to",
        "step_ms",
    ]);
    for one in files {
        records.row(vec![
            json!(one.file),
            json!(one.series.len()),
            json!(one.samples),
            json!(one.stored),
            json!(one.known),
            json!(one.empty),
            json!(one.not_finite),
            json!(one.left_out),
            moment(one.from_ms),
            moment(one.to_ms),
            json!(one.step_ms),
        ]);
    }
    records
}
