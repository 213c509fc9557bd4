//! `hostwell hosts`: every host in one line.

use std::io;

use serde_json::json;

use super::Exit;
use super::console::Console;
use super::output::{self, OutputArgs, Records};
use super::source::SourceArgs;
use super::table::{Align, Cell, Table};
use super::words;
use crate::answer::{Body, HostLine, Question};

/// List every host: state, age of its data, the five indicators, worst finding
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell hosts
  hostwell hosts -o json | jq -r '.hosts[] | select(.state == \"down\") | .name'
  hostwell hosts --db /backup/hostwell.db -o csv")]
pub(super) struct HostsArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// Asks and prints.
pub(super) async fn run(args: HostsArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let source = args.source.open(console).await?;
    let answer = source.ask(Question::Hosts {}).await?;
    let Body::Hosts { hosts } = &answer.body else {
        return Err(output::other_answer());
    };
    output::print(
        console,
        args.output.output,
        &answer,
        || records(hosts),
        |console| table(hosts, console),
    )?;
    Ok(Exit::Fine)
}

fn records(hosts: &[HostLine]) -> Records {
    let mut records = Records::new(&[
        "host",
        "state",
        "age_seconds",
        "open_findings",
        "worst_severity",
        "worst_rule",
        "worst_summary",
    ]);
    for host in hosts {
        let worst = host.worst.as_ref();
        records.row(vec![
            json!(host.name),
            json!(host.state),
            json!(host.age_ms.map(|ms| ms as f64 / 1000.0)),
            json!(host.open_findings),
            json!(worst.map(|w| w.severity)),
            json!(worst.map(|w| w.rule.as_str())),
            json!(worst.map(|w| w.summary.as_str())),
        ]);
    }
    records
}

fn table(hosts: &[HostLine], console: &mut Console) -> io::Result<()> {
    if hosts.is_empty() {
        console.message("no host has reported yet; start an agent with `hostwell-agent run`");
        return Ok(());
    }
    let mut table = Table::new(&[
        ("HOST", Align::Flexible),
        ("STATE", Align::Left),
        ("AGE", Align::Right),
        ("WORST FINDING", Align::Flexible),
    ]);
    for host in hosts {
        let worst = match &host.worst {
            Some(worst) => Cell::toned(&worst.summary, words::severity_tone(worst.severity)),
            None => Cell::default(),
        };
        table.row(vec![
            (&host.name).into(),
            words::state(host.state),
            host.age_ms.map_or("-".into(), words::duration).into(),
            worst,
        ]);
    }
    console.table(&table)
}
