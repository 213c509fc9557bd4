//! `hostwell backup FILE`: a consistent copy of the database, while others write.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::json;

use super::console::Console;
use super::output::{self, Format, OutputArgs, Records};
use super::source::SourceArgs;
use super::{Exit, text};
use crate::answer::SCHEMA_VERSION;
use crate::store::Store;
use crate::words;

/// Copy the database to a new file, while the collector runs, and check the copy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell backup /backup/hostwell-$(date +%F).db
  hostwell backup copy.db --server https://collector:7443 --ca ca.pem
  hostwell hosts --db copy.db          a copy answers every question")]
pub(super) struct BackupArgs {
    /// The new file
    file: PathBuf,
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
    if args.file.exists() {
        bail!(
            "{} exists; a backup never overwrites: choose another name",
            args.file.display()
        );
    }
    let source = args.source.open(console).await?;
    let bytes = source.backup(&args.file).await?;
    // A copy that nobody has read back is a hope, not a backup.
    let checked = async {
        let copy = Store::open_read_only(&args.file).await?;
        copy.facts(true).await
    };
    let facts = checked
        .await
        .with_context(|| format!("read the copy {} back", args.file.display()))?;
    if !facts.problems.is_empty() {
        bail!(
            "the copy {} is not sound: {}; run `hostwell doctor`",
            args.file.display(),
            facts.problems.join("; ")
        );
    }
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
