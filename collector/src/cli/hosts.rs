//! `hostwell hosts`: every host in one line.

use std::collections::BTreeMap;
use std::io;

use serde_json::json;

use super::Exit;
use super::console::Console;
use super::output::{self, OutputArgs, Records};
use super::source::SourceArgs;
use super::table::{Align, Cell, Table, Tone};
use super::words;
use crate::answer::range::format_ms;
use crate::answer::{Body, HostLine, Question};

/// List every host: state, age of its data, the five indicators, worst finding
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An indicator marked ! is worth an eye, one marked !! is at the level where the rules begin to count.

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
        |console| table(hosts, answer.as_of_ms, console),
    )?;
    Ok(Exit::Fine)
}

/// The five, in the order of [`crate::indicators::Indicators::all`].
const INDICATORS: [&str; 5] = ["CPU", "LOAD", "MEMORY", "NETWORK", "DISK"];

fn records(hosts: &[HostLine]) -> Records {
    let mut columns: Vec<String> = ["host", "state", "age_seconds"].map(str::to_owned).into();
    for name in INDICATORS.map(str::to_lowercase) {
        columns.extend([name.clone(), format!("{name}_verdict")]);
    }
    columns.extend(
        [
            "open_findings",
            "worst_severity",
            "worst_rule",
            "worst_summary",
            "labels",
        ]
        .map(str::to_owned),
    );
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut records = Records::new(&columns);
    for host in hosts {
        let mut row = vec![
            json!(host.name),
            json!(host.state),
            json!(host.age_ms.map(|ms| ms as f64 / 1000.0)),
        ];
        for i in 0..INDICATORS.len() {
            let indicator = host.indicators.get(i);
            row.push(json!(indicator.and_then(|i| i.value)));
            row.push(json!(indicator.map(|i| i.verdict)));
        }
        let worst = host.worst.as_ref();
        row.extend([
            json!(host.open_findings),
            json!(worst.map(|w| w.severity)),
            json!(worst.map(|w| w.rule.as_str())),
            json!(worst.map(|w| w.summary.as_str())),
            json!(labels(&host.labels)),
        ]);
        records.row(row);
    }
    records
}

/// "role=web site=berlin".
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    words.join(" ")
}

fn table(hosts: &[HostLine], as_of_ms: i64, console: &mut Console) -> io::Result<()> {
    if hosts.is_empty() {
        console.message("no host has reported yet; start an agent with `hostwell-agent run`");
        return Ok(());
    }
    let mut columns = vec![
        ("HOST", Align::Flexible),
        ("STATE", Align::Left),
        ("AGE", Align::Right),
    ];
    columns.extend(INDICATORS.map(|name| (name, Align::Left)));
    if hosts.iter().any(|host| host.worst.is_some()) {
        columns.push(("WORST FINDING", Align::Flexible));
    }
    let mut table = Table::new(&columns);
    for host in hosts {
        let mut row = vec![
            Cell::from(&host.name),
            words::state(host.state),
            host.age_ms.map_or("-".into(), words::span).into(),
        ];
        for i in 0..INDICATORS.len() {
            row.push(match host.indicators.get(i) {
                Some(indicator) => words::indicator(&indicator.short, indicator.verdict),
                None => Cell::toned("-", Tone::Faint),
            });
        }
        row.push(match &host.worst {
            Some(worst) => {
                let others = match host.open_findings {
                    0 | 1 => String::new(),
                    n => format!(" (+{})", n - 1),
                };
                Cell::toned(
                    format!("{}{others}", worst.summary),
                    words::severity_tone(worst.severity),
                )
            }
            None => Cell::default(),
        });
        table.row(row);
    }
    console.table(&table)?;
    // A table that was saved, or read from a file at rest, is not about today.
    console.line("")?;
    console.line(&format!("Ages as of {}.", format_ms(as_of_ms)))
}
