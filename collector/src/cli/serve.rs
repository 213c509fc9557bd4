//! `hostwell serve`: the collector.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::Exit;
use crate::config::{Overrides, ServerConfig};

/// Run the collector until SIGINT or SIGTERM
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell serve --config /etc/hostwell/collector.toml
  hostwell serve --data ./hostwell-data          on loopback, with the defaults

`hostwell config example` prints every setting.")]
pub(super) struct ServeArgs {
    /// Settings; without a file the defaults hold
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the database; wins over the file
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where agents and the command line connect; wins over the file
    #[arg(long, value_name = "ADDRESS")]
    listen_grpc: Option<SocketAddr>,
    /// Where the pages are; wins over the file
    #[arg(long, value_name = "ADDRESS")]
    listen_web: Option<SocketAddr>,
}

/// Runs it.
pub(super) async fn run(args: ServeArgs) -> anyhow::Result<Exit> {
    log_to_stderr("info");
    let overrides = Overrides {
        data: args.data,
        listen_grpc: args.listen_grpc,
        listen_web: args.listen_web,
    };
    let env = |name: &str| std::env::var(name).ok();
    let config = ServerConfig::load(args.config.as_deref(), env, &overrides)?;
    crate::serve::run(config, until_told()?).await?;
    Ok(Exit::Fine)
}

/// Sends the log to standard error, at this level unless `HOSTWELL_LOG` says another.
pub(super) fn log_to_stderr(level: &str) {
    let filter = std::env::var("HOSTWELL_LOG").unwrap_or_else(|_| level.to_owned());
    let colour = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let started = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init();
    // Only a program that embeds this one has a log already, and then that one is right.
    drop(started);
}

/// A token that is cancelled by the first SIGINT or SIGTERM. The second one ends the process at
/// once, for whoever does not want to wait.
///
/// # Errors
/// When the signals cannot be taken.
pub(super) fn until_told() -> anyhow::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    let mut interrupt = signal(SignalKind::interrupt()).context("take SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("take SIGTERM")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if told.is_cancelled() {
                // The shell's word for a process that SIGINT ended.
                std::process::exit(130);
            }
            told.cancel();
        }
    });
    Ok(shutdown)
}
