//! `hostwell config check|example`: the collector's settings.

use std::path::PathBuf;

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
    #[command(after_help = "Example:\n  hostwell config check /etc/hostwell/collector.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print every setting with its default and what it is for
    #[command(after_help = "Example:\n  hostwell config example > /etc/hostwell/collector.toml")]
    Example,
}

/// Checks or prints.
pub(super) fn run(args: &ConfigArgs, console: &mut Console) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::Check { file } => {
            let env = |name: &str| std::env::var(name).ok();
            let config = ServerConfig::load(Some(file), env, &Overrides::default())?;
            console.line(&format!(
                "{} is fine: agents on {}, pages on {}, data in {}, {}",
                file.display(),
                config.listen.grpc,
                config.listen.web,
                config.data_dir.display(),
                if config.tls.is_some() {
                    "TLS"
                } else {
                    "this machine only"
                }
            ))?;
        }
        Verb::Example => console.bytes(config::example().as_bytes())?,
    }
    Ok(Exit::Fine)
}
