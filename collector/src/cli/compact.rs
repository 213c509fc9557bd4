//! `hostwell compact`: a file at rest becomes one file without free room.

use super::at_rest::{self, FileArgs};
use super::console::Console;
use super::{Exit, text};
use crate::store::{Store, StoreError};
use crate::words;

/// Fold the log into the database, seal what is open, and give free room back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For a file at rest: a running collector does its own housekeeping. Afterwards the one file is the
whole history. It needs as much space again while it works.

Examples:
  hostwell compact --db old.db")]
pub(super) struct CompactArgs {
    #[command(flatten)]
    file: FileArgs,
}

/// Compacts and tells what it brought.
pub(super) async fn run(args: CompactArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let path = args.file.path();
    let done = Store::compact(at_rest::options(path.clone())).await;
    let (before, after) = done.map_err(|error| match error {
        StoreError::Busy(_) => anyhow::anyhow!(
            "a collector is using {}: it does its own housekeeping; stop it to compact the file",
            path.display()
        ),
        other => other.into(),
    })?;
    console.line(&format!(
        "{}: {}, before {}",
        text::clean(&path.display().to_string()),
        words::bytes(after as f64),
        words::bytes(before as f64)
    ))?;
    Ok(Exit::Fine)
}
