//! `hostwell host NAME`: one host in depth, and the life of a host.

use std::collections::BTreeMap;
use std::io;

use anyhow::bail;
use serde_json::json;

use super::Exit;
use super::console::Console;
use super::output::{self, OutputArgs, Records};
use super::source::SourceArgs;
use super::table::{Align, Cell, Table, Tone};
use super::text;
use super::time::{DAY_MS, RangeArgs};
use super::words;
use crate::answer::range::format_ms;
use crate::answer::{Body, HostInDepth, Question};
use crate::store::{HostEdit, HostRecord};

/// Show one host in depth, or change its registration
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  hostwell host web-1
  hostwell host web-1 --since 7d -o json
  hostwell host label web-1 site=berlin role=web
  hostwell host -- retire          a host that is named like a command"
)]
pub(super) struct HostArgs {
    /// The host's name
    #[arg(required = true)]
    name: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(subcommand)]
    edit: Option<Edit>,
}

/// A change to a host's registration.
#[derive(Debug, clap::Subcommand)]
enum Edit {
    /// Keep a host's history, stop judging it, leave it out of availability from now on
    #[command(after_help = "Example:\n  hostwell host retire old-db-3")]
    Retire {
        /// The host's name
        name: String,
        #[command(flatten)]
        to: Whereto,
    },
    /// Undo a retirement
    #[command(after_help = "Example:\n  hostwell host revive old-db-3")]
    Revive {
        /// The host's name
        name: String,
        #[command(flatten)]
        to: Whereto,
    },
    /// Call a host by another name; its history stays with it
    #[command(after_help = "Example:\n  hostwell host rename ip-10-0-3-7 web-7")]
    Rename {
        /// The host's name
        name: String,
        /// Its new name
        new_name: String,
        #[command(flatten)]
        to: Whereto,
    },
    /// Make a host's history part of another host's, for a machine that came back as a new one
    #[command(
        after_help = "Example:\n  hostwell host merge web-7-reinstalled --into web-7\n\nWhere both have a sample of the same moment, the one of the host that stays wins."
    )]
    Merge {
        /// The host that goes
        name: String,
        /// The host that stays
        #[arg(long, value_name = "NAME")]
        into: String,
        #[command(flatten)]
        to: Whereto,
    },
    /// Set or remove the operator's labels; they win over the agent's
    #[command(after_help = "\
Examples:
  hostwell host label web-1 site=berlin role=web
  hostwell host label web-1 role-          (removes the operator's label)")]
    Label {
        /// The host's name
        name: String,
        /// KEY=VALUE sets a label, KEY- removes it
        #[arg(required = true, value_name = "KEY=VALUE")]
        labels: Vec<String>,
        #[command(flatten)]
        to: Whereto,
    },
}

#[derive(Debug, clap::Args)]
struct Whereto {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// Asks and prints.
pub(super) async fn run(args: HostArgs, console: &mut Console) -> anyhow::Result<Exit> {
    if let Some(edit) = args.edit {
        return change(edit, console).await;
    }
    let Some(name) = args.name else {
        bail!("which host? `hostwell hosts` lists them");
    };
    let source = args.source.open(console).await?;
    let range = args.range.range(DAY_MS);
    let answer = source.ask(Question::Host { name, range }).await?;
    let Body::Host(host) = &answer.body else {
        return Err(output::other_answer());
    };
    output::print(
        console,
        args.output.output,
        &answer,
        || records(host),
        |console| page(host, console),
    )?;
    Ok(Exit::Fine)
}

async fn change(edit: Edit, console: &mut Console) -> anyhow::Result<Exit> {
    let (name, edit, to, done) = match edit {
        Edit::Retire { name, to } => (name, HostEdit::Retire, to, "retired"),
        Edit::Revive { name, to } => (name, HostEdit::Revive, to, "revived"),
        Edit::Rename { name, new_name, to } => {
            (name, HostEdit::Rename { to: new_name }, to, "renamed")
        }
        Edit::Merge { name, into, to } => (name, HostEdit::MergeInto { into }, to, "merged"),
        Edit::Label { name, labels, to } => {
            let set = parse_labels(&labels)?;
            (name, HostEdit::Label { set }, to, "labelled")
        }
    };
    let source = to.source.open(console).await?;
    let question = Question::EditHost {
        name: name.clone(),
        edit,
    };
    let answer = source.ask(question).await?;
    let Body::Edited { host } = &answer.body else {
        return Err(output::other_answer());
    };
    output::print(
        console,
        to.output.output,
        &answer,
        || edited_records(host),
        |console| {
            let change = if host.name == name {
                String::new()
            } else {
                format!(" → {}", host.name)
            };
            let line = format!("{done} {name}{change}  {}", labels_text(&host.labels));
            console.line(text::clean(line.trim_end()).as_ref())
        },
    )?;
    Ok(Exit::Fine)
}

/// Reads `KEY=VALUE` and `KEY-`.
fn parse_labels(words: &[String]) -> anyhow::Result<BTreeMap<String, Option<String>>> {
    let mut set = BTreeMap::new();
    for word in words {
        let (key, value) = match (word.split_once('='), word.strip_suffix('-')) {
            (Some((key, value)), _) => (key, Some(value.to_string())),
            (None, Some(key)) => (key, None),
            (None, None) => bail!("{word:?} is no label; write KEY=VALUE, or KEY- to remove it"),
        };
        let legal = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !legal || key == "host" {
            bail!(
                "{key:?} cannot be a label's name; use letters, digits and _, not beginning with \
                 a digit, and not \"host\""
            );
        }
        if set.insert(key.to_string(), value).is_some() {
            bail!("label {key:?} is given twice");
        }
    }
    Ok(set)
}

fn labels_text(labels: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    words.join(" ")
}

fn edited_records(host: &HostRecord) -> Records {
    let mut records = Records::new(&["host", "id", "retired", "labels"]);
    records.row(vec![
        json!(host.name),
        json!(host.id),
        json!(host.retired_ms.is_some()),
        json!(labels_text(&host.labels)),
    ]);
    records
}

fn records(depth: &HostInDepth) -> Records {
    let mut records = Records::new(&["section", "name", "value"]);
    let mut add = |section: &str, name: &str, value: serde_json::Value| {
        records.row(vec![json!(section), json!(name), value]);
    };
    let host = &depth.host;
    add("host", "name", json!(host.name));
    add("host", "id", json!(host.id));
    add("host", "state", json!(depth.state));
    add("host", "last_sample_ms", json!(host.last_sample_ms));
    add("fact", "os", json!(host.facts.os));
    add("fact", "kernel", json!(host.facts.kernel));
    add("fact", "arch", json!(host.facts.arch));
    add("fact", "cpus", json!(host.facts.cpus));
    add("fact", "memory_bytes", json!(host.facts.memory_bytes));
    add("fact", "agent_version", json!(host.facts.agent_version));
    add("clock", "skew_ms", json!(host.clock_skew_ms));
    for (name, value) in &host.labels {
        add("label", name, json!(value));
    }
    for (reason, count) in &host.refused {
        add("refused", reason, json!(count));
    }
    add("spool", "dropped_samples", json!(host.dropped_samples));
    for finding in &depth.findings {
        let name = format!("{} {}", finding.rule, finding.subject);
        add("finding", name.trim_end(), json!(finding.summary));
    }
    records
}

fn page(depth: &HostInDepth, console: &mut Console) -> io::Result<()> {
    heading(depth, console)?;
    findings(depth, console)?;
    delivery(depth, console)
}

fn heading(depth: &HostInDepth, console: &mut Console) -> io::Result<()> {
    let host = &depth.host;
    let facts = &host.facts;
    let mut table = Table::new(&[("HOST", Align::Left), ("", Align::Flexible)]);
    let age = match host.last_sample_ms {
        Some(ms) => format!("newest sample {}", format_ms(ms)),
        None => "no sample yet".to_string(),
    };
    table.row(vec!["name".into(), (&host.name).into()]);
    table.row(vec!["state".into(), words::state(depth.state)]);
    table.row(vec!["data".into(), age.into()]);
    if let Some(retired_ms) = host.retired_ms {
        table.row(vec!["retired".into(), format_ms(retired_ms).into()]);
    }
    let machine = format!(
        "{} CPUs, {} memory, {}",
        facts.cpus,
        words::bytes(facts.memory_bytes as f64),
        facts.arch
    );
    table.row(vec!["machine".into(), machine.into()]);
    let system = format!("{}, kernel {}", facts.os, facts.kernel);
    table.row(vec!["system".into(), system.into()]);
    table.row(vec!["booted".into(), format_ms(facts.boot_time_ms).into()]);
    if !host.labels.is_empty() {
        table.row(vec!["labels".into(), labels_text(&host.labels).into()]);
    }
    table.row(vec![
        "agent".into(),
        format!(
            "{}, every {}, first seen {}",
            facts.agent_version,
            words::duration(host.interval_ms),
            format_ms(host.first_seen_ms)
        )
        .into(),
    ]);
    table.row(vec!["id".into(), Cell::toned(&host.id, Tone::Faint)]);
    console.table(&table)
}

fn findings(depth: &HostInDepth, console: &mut Console) -> io::Result<()> {
    console.line("")?;
    if depth.findings.is_empty() {
        return console.line("No open findings.");
    }
    let mut table = Table::new(&[
        ("FINDING", Align::Left),
        ("SEVERITY", Align::Left),
        ("SINCE", Align::Left),
        ("WHAT", Align::Flexible),
    ]);
    for finding in &depth.findings {
        table.row(vec![
            finding.id.to_string().into(),
            words::severity(finding),
            format_ms(finding.since_ms).into(),
            (&finding.summary).into(),
        ]);
    }
    console.table(&table)
}

/// How well its data arrives: clock, refusals, drops.
fn delivery(depth: &HostInDepth, console: &mut Console) -> io::Result<()> {
    let host = &depth.host;
    let mut table = Table::new(&[("DELIVERY", Align::Left), ("", Align::Flexible)]);
    let skew = match host.clock_skew_ms {
        0 => "as the collector's".to_string(),
        ms if ms > 0 => format!("{} ahead of the collector", words::duration(ms)),
        ms => format!("{} behind the collector", words::duration(-ms)),
    };
    table.row(vec!["clock".into(), skew.into()]);
    let refused: Vec<String> = host
        .refused
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let refused = if refused.is_empty() {
        "nothing".to_string()
    } else {
        refused.join(", ")
    };
    table.row(vec!["refused".into(), refused.into()]);
    table.row(vec![
        "dropped".into(),
        format!("{} samples from its spool", host.dropped_samples).into(),
    ]);
    for gap in &depth.gaps {
        let line = format!(
            "{} to {}: {} samples, {}",
            format_ms(gap.from_ms),
            format_ms(gap.to_ms),
            gap.samples,
            gap.reason
        );
        table.row(vec!["gap".into(), line.into()]);
    }
    console.line("")?;
    console.table(&table)
}
