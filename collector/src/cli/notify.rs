//! `hostwell notify …`: whether others are told of risks, and how that goes.

use std::io;
use std::path::PathBuf;

use anyhow::bail;
use serde_json::json;

use super::console::Console;
use super::output::{self, OutputArgs, Records};
use super::source::{SourceArgs, clock_ms};
use super::table::{Align, Cell, Table, Tone};
use super::{Exit, text, words};
use crate::answer::range::format_ms;
use crate::answer::{Body, Question};
use crate::config::{Overrides, ServerConfig};
use crate::notify;
use crate::store::TargetState;

/// Try the targets of notifications, or show how their deliveries go
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell notify test                       a test message to every target of the configuration
  hostwell notify test chat --config collector.toml
  hostwell notify status                     what was delivered, what waits, what was lost")]
pub(super) struct NotifyArgs {
    #[command(subcommand)]
    does: Does,
}

#[derive(Debug, clap::Subcommand)]
enum Does {
    /// Send a test message to targets of a configuration, from this machine and now
    #[command(
        after_help = "Example:\n  hostwell notify test chat --config /etc/hostwell/collector.toml"
    )]
    Test {
        /// Their names [default: all]
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        /// The collector's settings
        #[arg(
            long,
            value_name = "FILE",
            default_value = "/etc/hostwell/collector.toml"
        )]
        config: PathBuf,
    },
    /// Show what was delivered, what waits and what was lost, for each target
    #[command(after_help = "Example:\n  hostwell notify status -o json")]
    Status {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        source: SourceArgs,
    },
}

/// Does it.
pub(super) async fn run(args: NotifyArgs, console: &mut Console) -> anyhow::Result<Exit> {
    match args.does {
        Does::Test { targets, config } => test(&targets, &config, console).await,
        Does::Status { output, source } => status(output, &source, console).await,
    }
}

async fn test(
    names: &[String],
    config: &std::path::Path,
    console: &mut Console,
) -> anyhow::Result<Exit> {
    let env = |name: &str| std::env::var(name).ok();
    let config = ServerConfig::load(Some(config), env, &Overrides::default())?;
    let targets = notify::targets(&config.notify)?;
    if targets.is_empty() {
        bail!("the configuration has no [[notify.webhook]] and no [[notify.alertmanager]]");
    }
    let known: Vec<&str> = targets.iter().map(notify::Target::name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "no target is named {unknown:?}; there are {}",
            known.join(", ")
        );
    }
    let mut exit = Exit::Fine;
    for target in &targets {
        let name = target.name();
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        match target.test(clock_ms()).await {
            Ok(()) => console.line(&text::clean(&format!("{name}: took the test message")))?,
            Err(error) => {
                exit = Exit::Failed;
                console.message(&text::clean(&format!("{name}: {error:#}")));
            }
        }
    }
    Ok(exit)
}

async fn status(
    output: OutputArgs,
    source: &SourceArgs,
    console: &mut Console,
) -> anyhow::Result<Exit> {
    let source = source.open(console).await?;
    let answer = source.ask(Question::Targets {}).await?;
    let Body::Targets { targets } = &answer.body else {
        return Err(output::other_answer());
    };
    output::print(
        console,
        output.output,
        &answer,
        || records(targets),
        |console| table(targets, answer.as_of_ms, console),
    )?;
    Ok(Exit::Fine)
}

fn records(targets: &[TargetState]) -> Records {
    let mut records = Records::new(&[
        "target",
        "delivered",
        "failed_tries",
        "waiting",
        "oldest_waiting",
        "lost",
        "last_delivered",
        "last_error",
        "last_error_at",
    ]);
    for target in targets {
        let delivery = &target.delivery;
        records.row(vec![
            json!(target.target),
            json!(delivery.delivered),
            json!(delivery.failed),
            json!(target.waiting),
            words::moment(target.oldest_ms),
            json!(delivery.lost.values().sum::<u64>()),
            words::moment(delivery.last_ok_ms),
            json!(delivery.last_error),
            words::moment(delivery.last_error_ms),
        ]);
    }
    records
}

fn table(targets: &[TargetState], now_ms: i64, console: &mut Console) -> io::Result<()> {
    if targets.is_empty() {
        return console
            .line("No target was ever told anything: see [notify] in `hostwell config example`.");
    }
    let mut table = Table::new(&[
        ("TARGET", Align::Left),
        ("DELIVERED", Align::Right),
        ("WAITING", Align::Right),
        ("LOST", Align::Right),
        ("LAST", Align::Left),
        ("LAST ERROR", Align::Wrapped),
    ]);
    for target in targets {
        let delivery = &target.delivery;
        let lost: u64 = delivery.lost.values().sum();
        let error = match (&delivery.last_error, delivery.last_error_ms) {
            (Some(error), Some(at_ms)) => format!("{}: {error}", format_ms(at_ms)),
            _ => String::new(),
        };
        let tone = if lost > 0 { Tone::Bad } else { Tone::Plain };
        let last = delivery.last_ok_ms;
        table.row(vec![
            (&target.target).into(),
            delivery.delivered.to_string().into(),
            target.waiting.to_string().into(),
            Cell::toned(lost.to_string(), tone),
            last.map_or("never".into(), |ms| words::span(now_ms - ms) + " ago")
                .into(),
            error.into(),
        ]);
    }
    console.table(&table)
}
