//! Where answers come from: a running collector, or a database file at rest.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::console::Console;

use crate::answer::{self, Answer, Question};
use crate::store::Store;

/// Where answers come from
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Where answers come from")]
pub(super) struct SourceArgs {
    /// Read this database file at rest
    #[arg(long, value_name = "FILE", env = "HOSTWELL_DB")]
    db: Option<PathBuf>,
}

/// The database `hostwell up` makes when nobody says where.
pub(super) const DEFAULT_DATA: &str = "./hostwell-data";

/// Name of the database inside a data folder.
pub(super) const DATABASE: &str = "hostwell.db";

/// An opened source.
pub(super) struct Source {
    store: Store,
    now_ms: i64,
}

impl SourceArgs {
    /// Opens what was asked for.
    pub(super) async fn open(&self, console: &mut Console) -> anyhow::Result<Source> {
        match &self.db {
            Some(path) => open_file(path).await,
            None => open_default(console).await,
        }
    }
}

async fn open_file(path: &Path) -> anyhow::Result<Source> {
    let store = Store::open_read_only(path).await?;
    let now_ms = answer::last_beat_ms(&store, clock_ms()).await?;
    Ok(Source { store, now_ms })
}

async fn open_default(console: &mut Console) -> anyhow::Result<Source> {
    let path = Path::new(DEFAULT_DATA).join(DATABASE);
    if !path.exists() {
        bail!(
            "there is no {}; start a collector with `hostwell up`, or say where: --db FILE",
            path.display()
        );
    }
    let source = open_file(&path).await?;
    console.message(&format!("reading {}", path.display()));
    Ok(source)
}

impl Source {
    /// Asks one question.
    pub(super) async fn ask(&self, question: Question) -> anyhow::Result<Answer> {
        Ok(answer::answer(&self.store, question, self.now_ms).await?)
    }
}

/// The wall clock, milliseconds since the Unix epoch.
pub(super) fn clock_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
