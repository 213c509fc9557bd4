//! `hostwell restore BACKUP`: a copy becomes a collector's database.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::at_rest;
use super::console::Console;
use super::source::{DATABASE, data_folder};
use super::{Exit, text};
use crate::store::Store;
use crate::words;

/// Make a backup the database of a folder, after reading every byte of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is overwritten: move the old database (and the files whose names begin with its) away first.
A backup of an older version is brought to this one's format; the backup itself stays as it is.

Examples:
  hostwell restore /backup/hostwell-2026-11-21.db --data /var/lib/hostwell
  zstdcat copy.db.zst | hostwell restore - --data ./hostwell-data")]
pub(super) struct RestoreArgs {
    /// The backup; - reads standard input
    backup: PathBuf,
    /// The collector's folder [default: the one `hostwell up` uses, ./hostwell-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Copies, checks, installs.
pub(super) async fn run(args: RestoreArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let path = args.data.unwrap_or_else(data_folder).join(DATABASE);
    let options = at_rest::options(path.clone());
    let facts = if args.backup.as_os_str() == "-" {
        Store::install(std::io::stdin(), options).await
    } else {
        let opening = || format!("open {}", args.backup.display());
        let mut log = args.backup.as_os_str().to_owned();
        log.push("-wal");
        if std::fs::metadata(&log).is_ok_and(|m| m.len() > 0) {
            bail!(
                "a log lies beside {0}: it is a database in use and no backup; make one with \
                 `hostwell backup copy.db --db {0}`",
                args.backup.display()
            );
        }
        let file = File::open(&args.backup).with_context(opening)?;
        Store::install(file, options).await
    };
    let facts = facts.with_context(|| format!("restore {}", args.backup.display()))?;
    console.line(&format!(
        "restored {}: {}, {} hosts, {} samples, checked",
        text::clean(&path.display().to_string()),
        words::bytes(facts.file_bytes as f64),
        facts.hosts,
        facts.samples
    ))?;
    Ok(Exit::Fine)
}
