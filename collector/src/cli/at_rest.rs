//! Commands about the database file itself: which one, and how it is opened.

use std::path::PathBuf;

use anyhow::Context;

use super::source::{DATABASE, data_folder};
use crate::config::ServerConfig;
use crate::store::{Store, StoreError, StoreOptions};

/// Which file
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which file")]
pub(super) struct FileArgs {
    /// The database file [default: the one `hostwell up` uses, ./hostwell-data/hostwell.db]
    #[arg(long, value_name = "FILE", env = "HOSTWELL_DB", hide_env_values = true)]
    db: Option<PathBuf>,
}

impl FileArgs {
    /// The file's path.
    pub(super) fn path(&self) -> PathBuf {
        self.db
            .clone()
            .unwrap_or_else(|| data_folder().join(DATABASE))
    }

    /// Opens it for reading, also beside a running collector.
    pub(super) async fn read(&self) -> anyhow::Result<Store> {
        let opened = Store::open_read_only(&self.path()).await;
        opened.map_err(|error| match error {
            StoreError::Absent(path) => anyhow::anyhow!(
                "no database at {}; say which file: --db FILE",
                path.display()
            ),
            other => other.into(),
        })
    }

    /// Opens it for writing, creating it where there is none; not while a collector has it.
    pub(super) async fn write(&self) -> anyhow::Result<Store> {
        let path = self.path();
        let opened = Store::open(options(path.clone())).await;
        opened.map_err(|error| match error {
            StoreError::Busy(_) => anyhow::anyhow!(
                "a collector is using {}: stop it for as long as this takes, or give a file of \
                 its own with --db FILE",
                path.display()
            ),
            other => other.into(),
        })
    }
}

/// How a command opens a file for writing. It never prunes: only a collector does.
pub(super) fn options(path: PathBuf) -> StoreOptions {
    let config = ServerConfig::default();
    StoreOptions {
        path,
        retention_ms: config.retention.raw_ms(),
        series_per_host_max: config.limits.series_per_host,
        hosts_max: config.limits.hosts,
    }
}

/// Closes a store that was written to; what the command met comes first.
pub(super) async fn close<T>(store: &Store, done: anyhow::Result<T>) -> anyhow::Result<T> {
    let closed = store.close().await.context("close the database");
    let value = done?;
    closed?;
    Ok(value)
}
