//! `hostwell doctor`: what is wrong with this set-up, and what to do.

use std::io;

use serde_json::json;

use super::console::Console;
use super::output::{self, OutputArgs, Records};
use super::source::SourceArgs;
use super::table::Tone;
use super::{Exit, text};
use crate::answer::{Answer, Body, Check, Health, Question};

/// Explain what is wrong with this set-up; exit 1 when something is
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell doctor
  hostwell doctor --server https://collector:7443 --ca ca.pem
  hostwell doctor --db /backup/hostwell.db -o json")]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// Looks and prints.
pub(super) async fn run(args: DoctorArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let (mut checks, source) = args.source.examine(console).await;
    let mut as_of_ms = super::source::clock_ms();
    if let Some(source) = source {
        match source.ask(Question::Doctor {}).await {
            Ok(Answer {
                body: Body::Doctor { checks: found },
                as_of_ms: moment_ms,
                ..
            }) => {
                checks.extend(found);
                as_of_ms = moment_ms;
            }
            Ok(_) => return Err(output::other_answer()),
            Err(error) => checks.push(Check::wrong(
                "answers",
                format!("{error:#}"),
                "is this the address of gRPC (7443), not of the pages (7480)? If it is, look into the \
                 collector's log",
            )),
        }
    }
    let wrong = checks.iter().any(|check| check.health == Health::Wrong);
    let answer = Answer::new(Body::Doctor { checks }, as_of_ms);
    let Body::Doctor { checks } = &answer.body else {
        return Err(output::other_answer());
    };
    output::print(
        console,
        args.output.output,
        &answer,
        || records(checks),
        |console| page(checks, console),
    )?;
    Ok(if wrong { Exit::Found } else { Exit::Fine })
}

fn records(checks: &[Check]) -> Records {
    let mut records = Records::new(&["subject", "health", "found", "remedy"]);
    for check in checks {
        records.row(vec![
            json!(check.subject),
            json!(check.health),
            json!(check.found),
            json!(check.remedy),
        ]);
    }
    records
}

fn page(checks: &[Check], console: &mut Console) -> io::Result<()> {
    let colour = console.colour;
    for check in checks {
        let (word, tone) = match check.health {
            Health::Fine => ("fine ", Tone::Good),
            Health::Watch => ("watch", Tone::Watch),
            Health::Wrong => ("WRONG", Tone::Bad),
        };
        console.line(&format!(
            "{}  {}: {}",
            tone.paint(word, colour),
            text::clean(&check.subject),
            text::clean(&check.found)
        ))?;
        if !check.remedy.is_empty() {
            console.line(&format!("       → {}", text::clean(&check.remedy)))?;
        }
    }
    let count = |health| checks.iter().filter(|c| c.health == health).count();
    let verdict = match (count(Health::Wrong), count(Health::Watch)) {
        (0, 0) => "Everything is as it should be.".to_string(),
        (0, watch) => format!("Nothing is wrong; {watch} to look at."),
        (wrong, watch) => format!("{wrong} wrong, {watch} to look at."),
    };
    console.line("")?;
    console.line(&verdict)
}
