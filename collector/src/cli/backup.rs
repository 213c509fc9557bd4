//! `hostwell backup FILE`: a consistent copy of the database, while others write; `-` is standard
//! output.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::json;

use super::console::Console;
use super::output::{self, Format, OutputArgs, Records};
use super::source::{Source, SourceArgs};
use super::{Exit, text};
use crate::answer::SCHEMA_VERSION;
use crate::store::{Store, StoreFacts};
use crate::words;

/// Copy the database to a new file, while the collector runs, and check the copy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell backup /backup/hostwell-$(date +%F).db
  hostwell backup copy.db --server https://collector:7443 --ca ca.pem
  hostwell backup - --db hostwell.db --rate 20 | zstd > copy.db.zst
  hostwell hosts --db copy.db          a copy answers every question")]
pub(super) struct BackupArgs {
    /// The new file; - writes to standard output, by way of the folder for temporary files
    file: PathBuf,
    /// Write at most so many MiB a second, with --db; a running collector paces itself
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    schema_version: u32,
    kind: &'static str,
    file: PathBuf,
    bytes: u64,
    hosts: u64,
    samples: u64,
}

/// Copies and checks.
pub(super) async fn run(args: BackupArgs, console: &mut Console) -> anyhow::Result<Exit> {
    if args.file.as_os_str() == "-" {
        return stream(args, console).await;
    }
    if args.file.exists() {
        bail!(
            "{} exists; a backup never overwrites: choose another name",
            args.file.display()
        );
    }
    let source = args.source.open(console).await?;
    let (bytes, facts) = copy(&source, &args.file, args.rate).await?;
    let written = Written {
        schema_version: SCHEMA_VERSION,
        kind: "backup",
        file: args.file,
        bytes,
        hosts: facts.hosts,
        samples: facts.samples,
    };
    match args.output.output {
        Format::Table => console.line(&format!(
            "wrote {}: {}, {} host{}, {} samples, checked",
            text::clean(&written.file.display().to_string()),
            words::bytes(bytes as f64),
            written.hosts,
            if written.hosts == 1 { "" } else { "s" },
            written.samples
        ))?,
        Format::Json => output::json(console, &written)?,
        Format::Jsonl => records(&written).jsonl(console)?,
        Format::Csv => records(&written).csv(console)?,
    }
    Ok(Exit::Fine)
}

/// Copies and reads the copy back: one that nobody has read is a hope, not a backup.
async fn copy(
    source: &Source,
    to: &Path,
    rate_mib: Option<u64>,
) -> anyhow::Result<(u64, StoreFacts)> {
    let bytes = source.backup(to, rate_mib.map(|mib| mib << 20)).await?;
    let checked = async {
        let copy = Store::open_read_only(to).await?;
        copy.facts(true).await
    };
    let facts = checked
        .await
        .with_context(|| format!("read the copy {} back", to.display()))?;
    if !facts.problems.is_empty() {
        bail!(
            "the copy {} is not sound: {}; run `hostwell verify`",
            to.display(),
            facts.problems.join("; ")
        );
    }
    Ok((bytes, facts))
}

/// A copy to standard output: put together and checked first, so that what comes out is whole.
async fn stream(args: BackupArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let source = args.source.open(console).await?;
    let name = format!("hostwell-backup-{}.db", std::process::id());
    let aside = Aside(std::env::temp_dir().join(name));
    let (bytes, facts) = copy(&source, &aside.0, args.rate).await?;
    let mut file = std::fs::File::open(&aside.0).context("open the copy")?;
    std::io::copy(&mut file, console.out()).context("write the copy to standard output")?;
    console.message(&format!(
        "wrote {}, {} samples, checked",
        words::bytes(bytes as f64),
        facts.samples
    ));
    Ok(Exit::Fine)
}

/// A file that goes away with its value.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // Nothing was written when it is not there.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn records(written: &Written) -> Records {
    let mut records = Records::new(&["file", "bytes", "hosts", "samples"]);
    records.row(vec![
        json!(written.file),
        json!(written.bytes),
        json!(written.hosts),
        json!(written.samples),
    ]);
    records
}
