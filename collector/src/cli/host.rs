//! `hostwell host NAME`: one host in depth, and the life of a host.

mod outcomes;
mod page;

use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::json;

use super::Exit;
use super::console::Console;
use super::hosts::labels;
use super::language::LanguageArgs;
use super::output::{self, OutputArgs, Records};
use super::source::SourceArgs;
use super::text;
use super::time::{DAY_MS, RangeArgs};
use crate::answer::{Body, Question};
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
  hostwell host web-1 --rules      with what came out for each rule
  hostwell host label web-1 site=berlin role=web
  hostwell host -- retire          a host that is named like a command"
)]
pub(super) struct HostArgs {
    /// The host's name
    #[arg(required = true)]
    name: Option<String>,
    /// Also list every rule with what came out when it last looked
    #[arg(long)]
    rules: bool,
    #[command(flatten)]
    language: LanguageArgs,
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
    let range = args.range.given(DAY_MS);
    let mut answer = source.ask(Question::Host { name, range }).await?;
    answer.body.speak(args.language.language());
    let Body::Host(host) = &answer.body else {
        return Err(output::other_answer());
    };
    output::print(
        console,
        args.output.output,
        &answer,
        || page::records(host),
        |console| {
            page::print(host, console)?;
            match args.rules {
                true => outcomes::print(host.outcomes.as_ref(), console),
                false => Ok(()),
            }
        },
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
            let line = format!("{done} {name}{change}  {}", labels(&host.labels));
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

fn edited_records(host: &HostRecord) -> Records {
    let mut records = Records::new(&["host", "id", "retired", "labels"]);
    records.row(vec![
        json!(host.name),
        json!(host.id),
        json!(host.retired_ms.is_some()),
        json!(labels(&host.labels)),
    ]);
    records
}
