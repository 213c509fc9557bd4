//! The Hostwell agent: words to values, values to rooms, results to an exit code.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use hostwell_agent::config::{self, Config, Flags};
use hostwell_agent::{expose, sampler};
use tokio_util::sync::CancellationToken;

/// Samples this host and streams it to a Hostwell collector. Runs unprivileged, executes nothing,
/// listens on nothing.
#[derive(Parser)]
#[command(name = "hostwell-agent", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sample and send until stopped.
    Run {
        /// The configuration file; without one, defaults, environment and flags.
        #[arg(long)]
        config: Option<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Print one sample.
    Once {
        /// How.
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
        /// The configuration file; without one, defaults, environment and flags.
        #[arg(long)]
        config: Option<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether a configuration is right.
    #[command(after_help = "Example:\n  hostwell-agent config check /etc/hostwell/agent.toml")]
    Check {
        /// The configuration file; without one, defaults, environment and flags.
        file: Option<PathBuf>,
        /// The same, as `run` takes it.
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Print an example with every key.
    Example,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One document.
    Json,
    /// As a Prometheus exporter would show it.
    Prometheus,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match perform(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "hostwell-agent: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn perform(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run { config, flags } => run(load(config.as_ref(), &flags)?),
        Command::Once {
            output,
            config,
            flags,
        } => once(&load(config.as_ref(), &flags)?, output),
        Command::Config {
            command: ConfigCommand::Example,
        } => print(&config::example()),
        Command::Config {
            command:
                ConfigCommand::Check {
                    file,
                    config,
                    flags,
                },
        } => {
            let loaded = load(file.or(config).as_ref(), &flags)?;
            if let Some(url) = &loaded.collector {
                hostwell_agent::tls::endpoint(url, &loaded.tls)?;
            }
            print("the configuration is right\n")
        }
    }
}

fn load(file: Option<&PathBuf>, flags: &Flags) -> anyhow::Result<Config> {
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        Some((
            name.into_string().ok()?,
            value.to_string_lossy().into_owned(),
        ))
    });
    config::load(file.map(PathBuf::as_path), environment, &flags.0)
}

fn once(config: &Config, output: Format) -> anyhow::Result<()> {
    let source = hostwell_agent::source(config)?;
    let time_ms = source.now_ms();
    let (table, sample) = sampler::once(source, &hostwell_agent::rhythm(config), time_ms)?;
    print(&match output {
        Format::Text => expose::text(&table, &sample),
        Format::Json => expose::json(&table, &sample),
        Format::Prometheus => expose::prometheus(&table, &sample),
    })
}

fn run(config: Config) -> anyhow::Result<()> {
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let agent = hostwell_agent::run(config, shutdown.clone());
        tokio::pin!(agent);
        let signal = stop_signal()?;
        tokio::select! {
            result = &mut agent => return result,
            () = signal => {}
        }
        tracing::info!("stopping");
        shutdown.cancel();
        agent.await
    });
    // A name look-up that hangs must not keep the process alive.
    runtime.shutdown_background();
    result
}

/// Waits for whatever asks a service to stop.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("listen for SIGTERM")?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// One line an event; the service manager adds the time. `HOSTWELL_LOG=debug` says more.
fn log_to_stderr() {
    // A level, not a filter language: that one would bring a regular-expression engine along, and
    // every page of this program is a page of the host's memory.
    let level = std::env::var("HOSTWELL_LOG").unwrap_or_default();
    let level = level.parse().unwrap_or(tracing::Level::INFO);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .with_ansi(false)
        .init();
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("write to standard output")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
