//! `hostwell risk …`: one entry of the register, and what people decide about entries.

use std::io;

use clap::ArgGroup;
use serde_json::json;

use super::console::Console;
use super::language::LanguageArgs;
use super::output::{self, OutputArgs, Records};
use super::source::{SourceArgs, clock_ms};
use super::table::{Align, Cell, Table};
use super::{Exit, text, words};
use crate::answer::range::{self, format_ms};
use crate::answer::{Answer, Body, Question, RiskChange, RiskInDepth, standing};
use crate::report::words::measured;
use crate::rules::State;
use crate::store::{Entry, Happened, RiskEdit, RiskEvent};

/// Decide about entries of the register, or show all that happened to one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every decision is kept for ever, with who made it: the name of the operating system's user who ran
the command, which nobody checks.

Examples:
  hostwell risk show 17
  hostwell risk ack 17 18 --note 'disk ordered'
  hostwell risk assign 17 --owner anna
  hostwell risk mute 17 --until 2026-12-01 --note 'migration'
  hostwell risk close 17 --note 'meant to be that full'")]
pub(super) struct RiskArgs {
    #[command(subcommand)]
    does: Does,
}

#[derive(Debug, clap::Subcommand)]
enum Does {
    /// Show one entry and all that happened to it
    #[command(after_help = "Example:\n  hostwell risk show 17")]
    Show {
        /// The entry's number, as `hostwell risks` shows it
        #[arg(value_name = "ID")]
        id: i64,
        #[command(flatten)]
        language: LanguageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Say that somebody has seen it: no more reminders of it
    #[command(after_help = "Example:\n  hostwell risk ack 17 18 --note 'disk ordered'")]
    Ack {
        #[command(flatten)]
        of: Of,
    },
    /// Say whose it is
    #[command(
        group = ArgGroup::new("whose").required(true),
        after_help = "Examples:\n  hostwell risk assign 17 --owner anna\n  hostwell risk assign 17 --nobody"
    )]
    Assign {
        #[command(flatten)]
        of: Of,
        /// Whose it is from now on
        #[arg(long, value_name = "NAME", group = "whose")]
        owner: Option<String>,
        /// Take it from its owner
        #[arg(long, group = "whose")]
        nobody: bool,
    },
    /// Tell nobody about it until a moment; then it is told again if it is still open
    #[command(
        after_help = "Examples:\n  hostwell risk mute 17 --until 4h\n  hostwell risk mute 17 --until 2026-12-01T08:00Z\n  hostwell risk mute 17 --until now        ends a mute"
    )]
    Mute {
        #[command(flatten)]
        of: Of,
        /// Until when: RFC 3339, a UTC date, or so long from now (4h, 7d)
        #[arg(long, value_name = "T", value_parser = parse_until)]
        until: Until,
    },
    /// Close it by hand; it comes back when it gets worse, or when it was over and begins anew
    #[command(after_help = "Example:\n  hostwell risk close 17 --note 'meant to be that full'")]
    Close {
        #[command(flatten)]
        of: Of,
    },
    /// Undo closing it by hand
    #[command(after_help = "Example:\n  hostwell risk reopen 17")]
    Reopen {
        #[command(flatten)]
        of: Of,
    },
}

/// Which entries, and why.
#[derive(Debug, clap::Args)]
struct Of {
    /// Their numbers, as `hostwell risks` shows them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<i64>,
    /// Why; kept with the decision
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// The end of a mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// So long from now.
    AheadMs(i64),
    /// Milliseconds since the Unix epoch.
    AtMs(i64),
}

fn parse_until(text: &str) -> Result<Until, String> {
    match range::parse_moment(text)? {
        // A moment's "4h" is ago; a mute's is ahead.
        range::Moment::AgoMs(ms) => Ok(Until::AheadMs(ms)),
        range::Moment::AtMs(ms) => Ok(Until::AtMs(ms)),
    }
}

/// Asks and prints.
pub(super) async fn run(args: RiskArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let (of, edit, done) = match args.does {
        Does::Show {
            id,
            language,
            output,
            source,
        } => {
            let answer = source
                .open(console)
                .await?
                .ask(Question::Risk { id })
                .await?;
            return show(answer, language, output, console);
        }
        Does::Ack { of } => (of, RiskEdit::Acknowledge, "acknowledged"),
        Does::Assign { of, owner, .. } => (of, RiskEdit::Assign { owner }, "assigned"),
        Does::Mute { of, until } => {
            let until_ms = match until {
                Until::AheadMs(ms) => clock_ms().saturating_add(ms),
                Until::AtMs(ms) => ms,
            };
            (of, RiskEdit::Mute { until_ms }, "muted")
        }
        Does::Close { of } => (of, RiskEdit::Close, "closed"),
        Does::Reopen { of } => (of, RiskEdit::Reopen, "reopened"),
    };
    let question = Question::EditRisks(RiskChange {
        ids: of.ids,
        edit,
        who: super::who::claimed(),
        note: of.note,
    });
    let source = of.source.open(console).await?;
    let answer = source.ask(question).await?;
    let Body::EditedRisks { findings } = &answer.body else {
        return Err(output::other_answer());
    };
    let now_ms = answer.as_of_ms;
    output::print(
        console,
        of.output.output,
        &answer,
        || super::risks::records(findings),
        |console| {
            findings.iter().try_for_each(|entry| {
                let finding = &entry.finding;
                let line = format!(
                    "{done} {}  {}  {}  ({})",
                    finding.id,
                    finding.host,
                    finding.summary,
                    standing(entry, now_ms)
                );
                console.line(&text::clean(&line))
            })
        },
    )?;
    Ok(Exit::Fine)
}

fn show(
    mut answer: Answer,
    language: LanguageArgs,
    output: OutputArgs,
    console: &mut Console,
) -> anyhow::Result<Exit> {
    answer.body.speak(language.language());
    let Body::Risk(depth) = &answer.body else {
        return Err(output::other_answer());
    };
    let now_ms = answer.as_of_ms;
    output::print(
        console,
        output.output,
        &answer,
        || records(depth),
        |console| page(depth, now_ms, console),
    )?;
    Ok(Exit::Fine)
}

/// An event a row.
fn records(depth: &RiskInDepth) -> Records {
    let mut records = Records::new(&[
        "id", "at", "what", "severity", "who", "note", "until", "owner", "summary",
    ]);
    for event in &depth.events {
        let (until, owner) = match &event.happened {
            Happened::Decided {
                edit: RiskEdit::Mute { until_ms },
            } => (Some(*until_ms), None),
            Happened::Decided {
                edit: RiskEdit::Assign { owner },
            } => (None, owner.as_deref()),
            _ => (None, None),
        };
        records.row(vec![
            json!(depth.risk.finding.id),
            words::moment(Some(event.at_ms)),
            json!(word(event)),
            json!(event.severity),
            json!(event.who),
            json!(event.note),
            words::moment(until),
            json!(owner),
            json!(event.summary),
        ]);
    }
    records
}

fn page(depth: &RiskInDepth, now_ms: i64, console: &mut Console) -> io::Result<()> {
    let Entry { finding, care, .. } = &depth.risk;
    let about = match finding.subject.as_str() {
        "" => finding.host.clone(),
        subject => format!("{} {subject}", finding.host),
    };
    let head = format!("{}  {about}  {}", finding.id, finding.rule);
    console.line(&text::clean(&head))?;
    console.line(&text::clean(&finding.summary))?;
    let mut facts = vec![
        ("severity", finding.severity.name().to_owned()),
        ("state", standing(&depth.risk, now_ms)),
        ("since", format_ms(finding.since_ms)),
    ];
    let moments = [("opened", finding.opened_ms), ("closed", finding.closed_ms)];
    for (name, ms) in moments {
        facts.extend(ms.map(|ms| (name, format_ms(ms))));
    }
    facts.extend(care.owner.clone().map(|owner| ("owner", owner)));
    for (name, value) in &facts {
        console.line(&text::clean(&format!("  {name:<9}{value}")))?;
    }
    for evidence in &finding.evidence {
        let level = evidence.threshold.map_or(String::new(), |level| {
            format!(", level {}", measured(level, &evidence.unit))
        });
        let value = measured(evidence.value, &evidence.unit);
        for line in [
            format!("  {}: {value}{level}", evidence.what),
            format!("    hostwell query '{}'", evidence.selector),
        ] {
            console.line(&text::clean(&line))?;
        }
    }
    if let Some(found) = &depth.risk.processes {
        let head = format!("  who used most {}:", super::processes::when(found));
        console.line(&head)?;
        super::processes::users(found.resource, &found.users, console)?;
    }
    if finding.state == State::Open {
        console.line(&text::clean(&finding.advice))?;
    }
    console.line("")?;
    history(&depth.events, console)
}

fn history(events: &[RiskEvent], console: &mut Console) -> io::Result<()> {
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("WHAT", Align::Left),
        ("WHO", Align::Left),
        ("WHY", Align::Wrapped),
    ]);
    for event in events {
        let what = match &event.happened {
            Happened::Decided {
                edit: RiskEdit::Mute { until_ms },
            } if *until_ms > event.at_ms => format!("muted until {}", format_ms(*until_ms)),
            Happened::Decided {
                edit: RiskEdit::Assign { owner: Some(owner) },
            } => format!("assigned to {owner}"),
            Happened::Opened | Happened::Reopened | Happened::Severity => {
                format!("{}, {}", word(event), event.severity.name())
            }
            _ => word(event).to_owned(),
        };
        let why = event.note.as_deref();
        let why = match &event.happened {
            Happened::Decided { .. } => why.unwrap_or_default(),
            _ => &event.summary,
        };
        table.row(vec![
            format_ms(event.at_ms).into(),
            what.into(),
            Cell::from(event.who.as_deref().unwrap_or("rule")),
            why.into(),
        ]);
    }
    console.table(&table)
}

/// What happened, in a word or two.
fn word(event: &RiskEvent) -> &'static str {
    match &event.happened {
        Happened::Pending => "pending",
        Happened::Opened => "opened",
        Happened::Reopened => "reopened",
        Happened::Severity => "severity",
        Happened::Closed => "closed",
        Happened::Decided { edit } => match edit {
            RiskEdit::Acknowledge => "acknowledged",
            RiskEdit::Assign { owner: Some(_) } => "assigned",
            RiskEdit::Assign { owner: None } => "taken from its owner",
            RiskEdit::Mute { until_ms } if *until_ms > event.at_ms => "muted",
            RiskEdit::Mute { .. } => "unmuted",
            RiskEdit::Close => "closed by hand",
            RiskEdit::Reopen => "reopened by hand",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_mute_lies_ahead_where_a_moment_lies_behind() {
        assert_eq!(parse_until("4h"), Ok(Until::AheadMs(14_400_000)));
        assert_eq!(parse_until("now"), Ok(Until::AheadMs(0)));
        assert_eq!(
            parse_until("2026-12-01"),
            Ok(Until::AtMs(1_796_083_200_000))
        );
        assert!(parse_until("soon").is_err());
    }
}
