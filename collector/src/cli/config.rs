//! `hostwell config check|example`: the collector's settings.

use std::path::{Path, PathBuf};

use super::Exit;
use super::console::Console;
use crate::config::{self, Overrides, ServerConfig};

/// Check the collector's configuration, or print an example of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell config example > collector.toml
  hostwell config check collector.toml")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Read a configuration file and the environment, and say what is wrong with them
    #[command(after_help = "\
Examples:
  hostwell config check /etc/hostwell/collector.toml
  hostwell config check --config /etc/hostwell/collector.toml     the same")]
    Check {
        /// The file
        #[arg(required_unless_present = "config")]
        file: Option<PathBuf>,
        /// The file, called as `hostwell serve` calls it
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
    },
    /// Print every setting with its default and what it is for
    #[command(after_help = "Example:\n  hostwell config example > /etc/hostwell/collector.toml")]
    Example,
}

/// Checks or prints.
pub(super) fn run(args: &ConfigArgs, console: &mut Console) -> anyhow::Result<Exit> {
    match &args.verb {
        // One of the two is given: clap asks for it.
        Verb::Check { file, config } => match file.as_ref().or(config.as_ref()) {
            Some(file) => check(file, console)?,
            None => anyhow::bail!("say which file to check"),
        },
        Verb::Example => console.bytes(config::example().as_bytes())?,
    }
    Ok(Exit::Fine)
}

fn check(file: &Path, console: &mut Console) -> anyhow::Result<()> {
    let env = |name: &str| std::env::var(name).ok();
    let config = ServerConfig::load(Some(file), env, &Overrides::default())?;
    // Secrets and templates of notifications: the collector would not start without them.
    crate::notify::targets(&config.notify)?;
    let trust = match config.tls {
        Some(_) => "TLS",
        None => "this machine only",
    };
    console.line(&format!(
        "{} is fine: agents on {}, pages on {}, data in {}, {trust}",
        file.display(),
        config.listen.grpc,
        config.listen.web,
        config.data_dir.display(),
    ))?;
    Ok(())
}
