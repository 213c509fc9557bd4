//! `hostwell risks`: the register.

use std::io;

use serde_json::json;

use super::console::Console;
use super::language::LanguageArgs;
use super::output::{self, OutputArgs, Records};
use super::source::SourceArgs;
use super::table::{Align, Table};
use super::time::{DAY_MS, RangeArgs};
use super::{Exit, words};
use crate::answer::range::format_ms;
use crate::answer::{Body, Question, RiskQuestion, Risks, standing};
use crate::rules::{Severity, State};
use crate::store::{Care, Entry};

/// Show the register of risks: what is wrong, since when, how bad, what to do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What to do about entries is decided with `hostwell risk ack|assign|mute|close|reopen ID`.

Examples:
  hostwell risks
  hostwell risks --severity warning --fail-on critical    exit 1 when something critical is open
  hostwell risks --state all --since 30d -o csv
  hostwell risks --lang zh                                what to do, in Chinese")]
pub(super) struct RisksArgs {
    /// What is open, or also what is pending and what has closed
    #[arg(long, value_name = "STATE", value_enum, default_value_t)]
    state: Which,
    /// Only what is at least this bad
    #[arg(long, value_name = "SEVERITY", value_enum)]
    severity: Option<Level>,
    /// Exit 1 when something at least this bad is open and not muted
    #[arg(long, value_name = "SEVERITY", value_enum)]
    fail_on: Option<Level>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    language: LanguageArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    #[default]
    Open,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    Info,
    Warning,
    Critical,
}

impl From<Level> for Severity {
    fn from(level: Level) -> Severity {
        match level {
            Level::Info => Severity::Info,
            Level::Warning => Severity::Warning,
            Level::Critical => Severity::Critical,
        }
    }
}

/// Without a range, "all" looks back a quarter.
const ALL_MS: i64 = 92 * DAY_MS;

/// Asks and prints.
pub(super) async fn run(args: RisksArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let all = args.state == Which::All;
    let question = Question::Risks(RiskQuestion {
        all_within: all.then(|| args.range.range(ALL_MS)),
        severity: args.severity.map(Severity::from),
    });
    let source = args.source.open(console).await?;
    let mut answer = source.ask(question).await?;
    answer.body.speak(args.language.language());
    let Body::Risks(risks) = &answer.body else {
        return Err(output::other_answer());
    };
    output::print(
        console,
        args.output.output,
        &answer,
        || records(&risks.findings),
        |console| table(risks, answer.as_of_ms, console),
    )?;
    let found = args.fail_on.is_some_and(|level| {
        risks.open.at_least(level.into()) > risks.muted.at_least(level.into())
    });
    Ok(if found { Exit::Found } else { Exit::Fine })
}

pub(super) fn records(entries: &[Entry]) -> Records {
    let mut records = Records::new(&[
        "id",
        "state",
        "severity",
        "host",
        "rule",
        "subject",
        "since",
        "opened",
        "closed",
        "summary",
        "advice",
        "owner",
        "acknowledged",
        "muted_until",
        "processes",
    ]);
    for Entry {
        finding: f,
        care,
        processes,
        ..
    } in entries
    {
        records.row(vec![
            json!(f.id),
            json!(f.state),
            json!(f.severity),
            json!(f.host),
            json!(f.rule),
            json!(f.subject),
            words::moment(Some(f.since_ms)),
            words::moment(f.opened_ms),
            words::moment(f.closed_ms),
            json!(f.summary),
            json!(f.advice),
            json!(care.owner),
            words::moment(care.acknowledged.as_ref().map(|deed| deed.at_ms)),
            words::moment(care.muted_until_ms),
            json!(processes.as_ref().map(|found| found.words())),
        ]);
    }
    records
}

fn table(risks: &Risks, now_ms: i64, console: &mut Console) -> io::Result<()> {
    let open = &risks.open;
    let pending = match risks.pending {
        0 => String::new(),
        n => format!(", {n} pending (--state all shows them)"),
    };
    if risks.findings.is_empty() {
        return console.line(&match open.at_least(Severity::Info) {
            0 => format!("No open risks{pending}."),
            others => format!("Nothing that bad; {others} less severe open."),
        });
    }
    let cared = |e: &Entry| {
        e.finding.state != State::Open || e.care != Care::default() || e.is_quiet(now_ms)
    };
    let states = risks.findings.iter().any(cared);
    let owners = risks.findings.iter().any(|e| e.care.owner.is_some());
    let mut columns = vec![
        ("ID", Align::Right),
        ("SEVERITY", Align::Left),
        ("HOST", Align::Flexible),
        ("SINCE", Align::Left),
        ("WHAT", Align::Wrapped),
    ];
    if states {
        columns.insert(1, ("STATE", Align::Left));
    }
    if owners {
        columns.insert(columns.len() - 1, ("OWNER", Align::Left));
    }
    let mut table = Table::new(&columns);
    for entry in &risks.findings {
        let f = &entry.finding;
        let mut row = vec![
            f.id.to_string().into(),
            words::severity(f),
            (&f.host).into(),
            format_ms(f.since_ms).into(),
            (&f.summary).into(),
        ];
        if states {
            row.insert(1, standing(entry, now_ms).into());
        }
        if owners {
            let owner = entry.care.owner.as_deref().unwrap_or_default();
            row.insert(row.len() - 1, owner.into());
        }
        table.row(row);
    }
    console.table(&table)?;
    advice(risks, now_ms, console)?;
    let shown = risks
        .findings
        .iter()
        .any(|e| e.finding.state != State::Open);
    let muted = match risks.muted.at_least(Severity::Info) {
        0 => String::new(),
        n => format!(", {n} of them muted"),
    };
    console.line(&format!(
        "\n{} critical, {} warning, {} info open{muted}{}",
        open.critical,
        open.warning,
        open.info,
        if shown { "" } else { &pending }
    ))
}

/// What to do and where to see the samples, for what is open and not muted.
fn advice(risks: &Risks, now_ms: i64, console: &mut Console) -> io::Result<()> {
    let told = |e: &&Entry| e.finding.state == State::Open && !e.is_quiet(now_ms);
    for Entry {
        finding: f,
        processes,
        ..
    } in risks.findings.iter().filter(told)
    {
        console.line("")?;
        console.line(&format!("{}: {}", f.id, super::text::clean(&f.advice)))?;
        if let Some(evidence) = f.evidence.first() {
            let selector = super::text::clean(&evidence.selector);
            console.line(&format!("   hostwell query '{selector}'"))?;
        }
        if let Some(found) = processes {
            let words = found.words();
            console.line(&format!("   who: {}", super::text::clean(&words)))?;
        }
    }
    Ok(())
}
