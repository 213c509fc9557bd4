//! `hostwell export FORMAT`: history for other programs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::Exit;
use super::at_rest::FileArgs;
use super::console::Console;
use super::source::clock_ms;
use super::text;
use super::time::{DAY_MS, RangeArgs};
use crate::answer;
use crate::export::{self, Choice, Export};

/// Write samples for other programs: OpenMetrics for Prometheus, a wide or a Parquet table for everything else
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a selector every series, without a time everything there is. Times and values are those
that are stored: `hostwell import` reads them back bit for bit. The file is read, also while a
collector writes it. In a table of several hosts, and in OpenMetrics, `host` is a label. Parquet has a
row for each sample: time, host, metric, labels (JSON), value.

Examples:
  hostwell export openmetrics --since 30d --out history.txt
  promtool tsdb create-blocks-from openmetrics history.txt /var/lib/prometheus/metrics2
  hostwell export csv 'node_load1{host=~\"web-.*\"}' --since 7d > load.csv
  hostwell export csv '{__name__=~\"node_memory_.*\"}' --host db-1 --db old.db
  hostwell export parquet --since 90d --out history.parquet")]
pub(super) struct ExportArgs {
    /// What is written
    #[arg(value_enum)]
    format: FormatArg,
    /// metric{label="value",other=~"a|b"}; `host` and __name__ count as labels
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<Choice>,
    /// Only these hosts; several with commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    host: Vec<String>,
    /// Write into this new file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FormatArg {
    #[value(name = "openmetrics")]
    OpenMetrics,
    Csv,
    Parquet,
}

/// Writes what was asked for.
pub(super) async fn run(args: ExportArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let store = args.file.read().await?;
    let (from_ms, to_ms) = match args.range.given(DAY_MS) {
        Some(range) => {
            let now_ms = answer::last_beat_ms(&store, clock_ms()).await?;
            range.resolve(now_ms).map_err(anyhow::Error::msg)?
        }
        None => {
            let facts = store.facts(false).await?;
            (
                facts.oldest_ms.unwrap_or_default(),
                facts.newest_ms.unwrap_or_default(),
            )
        }
    };
    let export = Export {
        format: match args.format {
            FormatArg::OpenMetrics => export::Format::OpenMetrics,
            FormatArg::Csv => export::Format::Csv,
            FormatArg::Parquet => export::Format::Parquet,
        },
        choices: args.selectors,
        hosts: args.host,
        from_ms,
        to_ms,
    };
    let done = match &args.out {
        None => export::run(&store, &export, console.out()).await?,
        Some(path) => {
            let file = File::create_new(path).map_err(|e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => anyhow::anyhow!(
                    "{} exists; an export overwrites nothing: choose another name",
                    path.display()
                ),
                _ => anyhow::Error::new(e).context(format!("create {}", path.display())),
            })?;
            let mut out = BufWriter::new(file);
            let written = async {
                let done = export::run(&store, &export, &mut out).await?;
                out.flush()?;
                Ok::<_, anyhow::Error>(done)
            };
            let written = written.await;
            if written.is_err() {
                // Half a file would pass for a whole one.
                let _ = std::fs::remove_file(path);
            }
            written.with_context(|| format!("write {}", path.display()))?
        }
    };
    let place = args
        .out
        .map_or_else(String::new, |p| format!(" into {}", p.display()));
    console.message(&format!(
        "wrote {} samples of {} series{}",
        done.samples,
        done.series,
        text::clean(&place)
    ));
    Ok(Exit::Fine)
}
