//! `hostwell rules`: what is looked for, why, and what it would have found.

mod backtest;
mod cases;
mod script;

use std::io;

use anyhow::bail;
use serde::Serialize;
use serde_json::json;

use super::Exit;
use super::console::Console;
use super::output::{self, Format, OutputArgs, Records};
use super::table::{Align, Table};
use crate::answer::SCHEMA_VERSION;
use crate::report::words::measured;
use crate::rules::{RULES, Rule, default_levels, rule, told_in};

/// List the rules, explain one, or try them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell rules list
  hostwell rules show disk_full
  hostwell rules test my-disk.script
  hostwell rules backtest --db old.db --from 2026-09-01")]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Every rule: what it watches for, and its levels
    #[command(after_help = "\
Levels are the defaults; a policy changes them by these names: docs/rules.md. Here they read as in
what is found (90 %, 5 min); `rules show` and -o have the numbers that a policy holds.

Examples:
  hostwell rules list
  hostwell rules list -o csv")]
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// One rule: what it does, why it matters, what to do, an example, where its levels come from
    #[command(after_help = "\
Examples:
  hostwell rules show disk_full
  hostwell rules show memory_low -o json")]
    Show {
        /// The rule's name
        #[arg(value_name = "RULE")]
        name: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    Test(script::TestArgs),
    Backtest(backtest::BacktestArgs),
}

/// Does what was asked.
pub(super) async fn run(args: RulesArgs, console: &mut Console) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::List { output } => list(output.output, console)?,
        Verb::Show { name, output } => show(&name, output.output, console)?,
        Verb::Test(args) => return script::run(&args, console),
        Verb::Backtest(args) => backtest::run(args, console).await?,
    }
    Ok(Exit::Fine)
}

/// A rule as a document.
#[derive(Debug, Serialize)]
struct Page {
    id: &'static str,
    title: &'static str,
    title_zh: &'static str,
    what: &'static str,
    why: &'static str,
    todo: &'static str,
    example: &'static str,
    source: &'static str,
    levels: toml::Table,
    watches: &'static [&'static str],
}

impl Page {
    fn of(rule: &Rule) -> Page {
        Page {
            id: rule.name,
            title: rule.title.en,
            title_zh: rule.title.zh,
            what: rule.doc.what,
            why: rule.doc.why,
            todo: rule.doc.todo,
            example: rule.doc.example,
            source: rule.doc.source,
            levels: default_levels(rule),
            watches: rule.watches,
        }
    }
}

/// What `-o json` prints.
#[derive(Debug, Serialize)]
struct Document {
    schema_version: u32,
    kind: &'static str,
    rules: Vec<Page>,
}

impl Document {
    fn of(rules: impl Iterator<Item = &'static Rule>) -> Document {
        Document {
            schema_version: SCHEMA_VERSION,
            kind: "rules",
            rules: rules.map(Page::of).collect(),
        }
    }
}

fn list(format: Format, console: &mut Console) -> anyhow::Result<()> {
    match format {
        Format::Table => table(console)?,
        Format::Json => output::json(console, &Document::of(RULES.iter()))?,
        Format::Jsonl => records(RULES.iter()).jsonl(console)?,
        Format::Csv => records(RULES.iter()).csv(console)?,
    }
    Ok(())
}

fn table(console: &mut Console) -> io::Result<()> {
    let mut table = Table::new(&[
        ("RULE", Align::Left),
        ("WATCHES FOR", Align::Left),
        ("LEVELS", Align::Wrapped),
    ]);
    for rule in RULES {
        table.row(vec![
            rule.name.into(),
            rule.title.en.into(),
            brief(rule).into(),
        ]);
    }
    console.table(&table)
}

/// "warning 85 %→75 %, for_seconds 10 min": a band is where it begins and where it ends.
fn brief(rule: &Rule) -> String {
    let levels = default_levels(rule);
    let words = levels.iter().map(|(name, value)| {
        let told = |value: &toml::Value| level(rule, name, value);
        match (value.get("raise"), value.get("clear")) {
            (Some(raise), Some(clear)) if raise != clear => {
                format!("{name} {}→{}", told(raise), told(clear))
            }
            (Some(raise), _) => format!("{name} {}", told(raise)),
            _ => format!("{name} {}", told(value)),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A level as findings tell it.
fn level(rule: &Rule, name: &str, value: &toml::Value) -> String {
    let number = value.as_float().or(value.as_integer().map(|n| n as f64));
    match number.map(|number| told_in(rule.name, name, number)) {
        Some((0.0, "seconds")) => "0 s".to_owned(),
        Some((number, unit)) => measured(number, unit),
        None => value.to_string(),
    }
}

fn records(rules: impl Iterator<Item = &'static Rule>) -> Records {
    let columns = [
        "id", "title", "what", "why", "todo", "example", "source", "levels", "watches",
    ];
    let mut records = Records::new(&columns);
    for page in rules.map(Page::of) {
        records.row(vec![
            json!(page.id),
            json!(page.title),
            json!(page.what),
            json!(page.why),
            json!(page.todo),
            json!(page.example),
            json!(page.source),
            json!(page.levels),
            json!(page.watches),
        ]);
    }
    records
}

fn show(name: &str, format: Format, console: &mut Console) -> anyhow::Result<()> {
    let Some(found) = rule(name) else {
        bail!("{}", unknown(name));
    };
    let one = || std::iter::once(found);
    match format {
        Format::Table => page(found, console)?,
        Format::Json => output::json(console, &Document::of(one()))?,
        Format::Jsonl => records(one()).jsonl(console)?,
        Format::Csv => records(one()).csv(console)?,
    }
    Ok(())
}

/// No such rule; those that are called nearly so.
fn unknown(name: &str) -> String {
    let near = |rule: &&Rule| {
        let mut words = name.split(['_', '-', ' ']).filter(|word| word.len() > 2);
        words.any(|word| rule.name.contains(word))
    };
    let near: Vec<&str> = RULES.iter().filter(near).map(|rule| rule.name).collect();
    match near.is_empty() {
        true => format!("no rule {name:?}; `hostwell rules list` names them"),
        false => format!("no rule {name:?}; there is {}", near.join(", ")),
    }
}

fn page(rule: &Rule, console: &mut Console) -> io::Result<()> {
    let doc = &rule.doc;
    console.line(&format!("{}: {}", rule.name, rule.title.en))?;
    let parts = [
        ("What it does", doc.what),
        ("Why it matters", doc.why),
        ("What to do", doc.todo),
        ("Example", doc.example),
        ("Source of the thresholds", doc.source),
    ];
    let width = console.width.map_or(100, |width| width.min(100));
    for (heading, body) in parts {
        console.line(&format!("\n{heading}"))?;
        for line in super::text::wrap(body, width.saturating_sub(2)) {
            console.line(&format!("  {line}"))?;
        }
    }
    console.line(&format!("\nLevels, as in a policy\n  [{}]", rule.name))?;
    for (name, value) in &default_levels(rule) {
        console.line(&format!("  {name} = {value}"))?;
    }
    if !rule.watches.is_empty() {
        console.line("\nLooks at")?;
    }
    for metric in rule.watches {
        console.line(&format!("  {metric}"))?;
    }
    Ok(())
}
