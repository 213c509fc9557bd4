//! Turns words into values: parses the command line, asks, prints, chooses the exit code.
//!
//! One file a noun. A noun builds a [`crate::answer::Question`], takes it to a [`source::Source`]
//! (a running collector or a file at rest) and lays the answer out; what is found is computed on
//! the other side of the question. Messages go to standard error, answers to standard output.

mod at_rest;
mod backup;
mod chart;
mod compact;
mod completions;
mod config;
mod console;
mod doctor;
mod export;
mod forecast;
mod host;
mod hosts;
mod import;
mod language;
mod levels;
mod notify;
mod output;
mod processes;
mod query;
mod report;
mod restore;
mod risk;
mod risks;
mod rules;
mod serve;
mod source;
mod stats;
mod table;
mod text;
mod time;
mod up;
mod verify;
mod who;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use console::Console;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Fine = 0,
    /// It found something at or above what was asked to fail on.
    Found = 1,
    /// It could not do it.
    Failed = 2,
}

/// Which hosts are at risk, when they run out, and what to do about it.
#[derive(Debug, Parser)]
#[command(
    name = "hostwell",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = "\
First steps:
  hostwell up                     collector and agent on this machine, until Ctrl-C
  hostwell hosts                  every host: state, the five indicators, worst finding
  hostwell report --since 24h     the page for the meeting

Answers come from the collector on this machine, from --server URL, or from --db FILE.
Exit codes: 0 fine, 1 found something at or above --fail-on, 2 could not do it."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::UpCommand),
    Serve(serve::ServeArgs),
    Hosts(hosts::HostsArgs),
    Host(host::HostArgs),
    Query(query::QueryArgs),
    Risks(risks::RisksArgs),
    Risk(risk::RiskArgs),
    Notify(notify::NotifyArgs),
    Rules(rules::RulesArgs),
    Forecast(forecast::ForecastArgs),
    Report(report::ReportArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Compact(compact::CompactArgs),
    Verify(verify::VerifyArgs),
    Stats(stats::StatsArgs),
    Doctor(doctor::DoctorArgs),
    Config(config::ConfigArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Memory is many small pieces that come and go, and a huge page that one of them keeps is two
    // megabytes. The allocator is built not to ask for them, some kernels give them unasked; where
    // that cannot be turned off, nothing is lost but memory.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let mut console = Console::standard();
    let exit = run(std::env::args_os(), &mut console);
    ExitCode::from(exit as u8)
}

/// Runs one command line, its first word being the program's name.
pub fn run(words: impl IntoIterator<Item = OsString>, console: &mut Console) -> Exit {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, console),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli.command, console)),
        Err(error) => Err(anyhow::Error::new(error).context("start the runtime")),
    };
    let done = done.and_then(|exit| {
        console.flush()?;
        Ok(exit)
    });
    match done {
        Ok(exit) => exit,
        Err(error) if console::is_broken_pipe(&error) => Exit::Fine,
        Err(error) => {
            // The text of an error may quote what a host or a file said.
            let told = format!("{error:#}");
            let lines = told.lines().map(|line| text::clean(line).into_owned());
            console.message(&format!(
                "hostwell: {}",
                lines.collect::<Vec<_>>().join("\n")
            ));
            Exit::Failed
        }
    }
}

async fn dispatch(command: Command, console: &mut Console) -> anyhow::Result<Exit> {
    match command {
        Command::Up(args) => up::run(args, console).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Hosts(args) => hosts::run(args, console).await,
        Command::Host(args) => host::run(args, console).await,
        Command::Query(args) => query::run(args, console).await,
        Command::Risks(args) => risks::run(args, console).await,
        Command::Risk(args) => risk::run(args, console).await,
        Command::Notify(args) => notify::run(args, console).await,
        Command::Rules(args) => rules::run(args, console).await,
        Command::Forecast(args) => forecast::run(args, console).await,
        Command::Report(args) => report::run(args, console).await,
        Command::Export(args) => export::run(args, console).await,
        Command::Import(args) => import::run(args, console).await,
        Command::Verify(args) => verify::run(args, console).await,
        Command::Stats(args) => stats::run(args, console).await,
        Command::Restore(args) => restore::run(args, console).await,
        Command::Compact(args) => compact::run(args, console).await,
        Command::Backup(args) => backup::run(args, console).await,
        Command::Doctor(args) => doctor::run(args, console).await,
        Command::Config(args) => config::run(&args, console),
        Command::Completions(args) => completions::run(&args, Cli::command(), console),
        Command::Man(args) => completions::man(&args, &Cli::command(), console),
    }
}

/// Help and version are answers; a wrong word is a message.
fn explain(error: &clap::Error, console: &mut Console) -> Exit {
    let styled = error.render();
    let told = if console.colour {
        styled.ansi().to_string()
    } else {
        styled.to_string()
    };
    if error.use_stderr() {
        console.message(told.trim_end());
        return Exit::Failed;
    }
    match console
        .bytes(told.as_bytes())
        .and_then(|()| console.flush())
    {
        Ok(()) => Exit::Fine,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Fine,
        Err(_) => Exit::Failed,
    }
}

#[cfg(test)]
mod tests;
