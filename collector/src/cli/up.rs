//! `hostwell up`: collector and agent on this machine with one command.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::console::Console;
use super::serve::{log_to_stderr, until_told};
use super::{Exit, source};
use crate::answer::range::parse_duration_ms;
use crate::config::Listen;
use crate::up::{INTERVAL, UpArgs};

/// Start a collector and an agent on this machine, and watch it live
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything stays on this machine: it listens on loopback only. Ctrl-C stops; the history stays in
DIR/hostwell.db, and every command reads it there.

Examples:
  hostwell up
  hostwell up --for 60s                for a minute, then the summary and exit 0
  hostwell up --data /srv/hostwell --interval 10s")]
pub(super) struct UpCommand {
    /// Stop after this time
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration_ms)]
    run_for: Option<i64>,
    /// Folder of the database and of the agent's state [default: ./hostwell-data]
    #[arg(long, value_name = "DIR", env = source::DATA_VARIABLE, hide_env_values = true)]
    data: Option<PathBuf>,
    /// Time between two samples [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration_ms)]
    interval: Option<i64>,
    /// Where the command line connects
    #[arg(long, value_name = "ADDRESS", default_value_t = Listen::default().grpc)]
    listen_grpc: SocketAddr,
    /// Where the pages are
    #[arg(long, value_name = "ADDRESS", default_value_t = Listen::default().web)]
    listen_web: SocketAddr,
}

/// Runs both until told, or until the time is over.
pub(super) async fn run(args: UpCommand, console: &mut Console) -> anyhow::Result<Exit> {
    // The screen belongs to the summary: only what needs somebody is said beside it.
    log_to_stderr("warn");
    let duration = |ms: i64| Duration::from_millis(ms.unsigned_abs());
    let args = UpArgs {
        data: args.data.unwrap_or_else(|| source::DEFAULT_DATA.into()),
        listen: Listen {
            grpc: args.listen_grpc,
            web: args.listen_web,
        },
        run_for: args.run_for.map(duration),
        interval: args.interval.map_or(INTERVAL, duration),
        program: program(),
        width: console.width,
    };
    crate::up::run(args, console.out(), until_told()?).await?;
    Ok(Exit::Fine)
}

/// How this program was started: what to type next must work as printed.
fn program() -> String {
    let started = std::env::args().next().unwrap_or_default();
    // Found on the PATH, the bare name works as well.
    if started.is_empty() || !started.contains('/') {
        return "hostwell".into();
    }
    super::text::clean(&started).into_owned()
}
