//! `hostwell verify`: every checksum and every invariant of a file.

use serde::Serialize;
use serde_json::json;

use super::at_rest::{self, FileArgs};
use super::console::Console;
use super::output::{self, Format, OutputArgs, Records};
use super::{Exit, text};
use crate::answer::SCHEMA_VERSION;
use crate::answer::range::rfc3339;
use crate::store::{RollupsChecked, StoreError, StoreFacts};

/// Read every byte of the database: checksums, and what must be true between its tables
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed, but with --repair rollups that do not say what their samples say are made anew;
the file must be at rest for that. Exit codes: 0 sound, 1 something is (still) wrong with the file, 2 it
could not be read.

Examples:
  hostwell verify
  hostwell verify --db /backup/hostwell-2026-11-21.db
  hostwell verify --db hostwell.db -o json
  hostwell verify --rollups --repair --db hostwell.db")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Also compute the rollups anew from the samples that are there, and compare
    #[arg(long)]
    rollups: bool,
    /// Make rollups anew that differ
    #[arg(long, requires = "rollups")]
    repair: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Verified {
    schema_version: u32,
    kind: &'static str,
    file: std::path::PathBuf,
    sound: bool,
    #[serde(flatten)]
    facts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollups: Option<RollupsChecked>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Counts {
    format: i64,
    hosts: u64,
    series: u64,
    samples: u64,
    file_bytes: u64,
}

/// Reads, tells, and fails when there is something to tell.
pub(super) async fn run(args: VerifyArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let path = args.file.path();
    let facts = match args.file.read().await {
        Ok(store) => store.facts(true).await,
        Err(error) => match error.downcast::<StoreError>() {
            Ok(error) => Err(error),
            Err(other) => return Err(other),
        },
    };
    let (facts, mut problems) = match facts {
        Ok(StoreFacts {
            schema_version,
            hosts,
            series,
            samples,
            file_bytes,
            problems,
            ..
        }) => {
            let counts = Counts {
                format: schema_version,
                hosts,
                series,
                samples,
                file_bytes,
            };
            (Some(counts), problems)
        }
        // So damaged that nothing can be counted is still an answer to what was asked.
        Err(StoreError::Damaged { what, .. }) => (None, vec![what]),
        Err(other) => return Err(other.into()),
    };
    let rollups = match facts.is_some() && args.rollups {
        true => rollups(&args, &mut problems).await?,
        false => None,
    };
    let verified = Verified {
        schema_version: SCHEMA_VERSION,
        kind: "verify",
        file: path,
        sound: problems.is_empty(),
        facts,
        rollups,
        problems,
    };
    match args.output.output {
        Format::Table => table(&verified, console)?,
        Format::Json => output::json(console, &verified)?,
        Format::Jsonl => records(&verified).jsonl(console)?,
        Format::Csv => records(&verified).csv(console)?,
    }
    Ok(if verified.sound {
        Exit::Fine
    } else {
        Exit::Found
    })
}

/// Compares the rollups, or repairs them; what still differs is a problem. With a repair, problems
/// that were rollups' own are looked for again.
async fn rollups(
    args: &VerifyArgs,
    problems: &mut Vec<String>,
) -> anyhow::Result<Option<RollupsChecked>> {
    let checked = if args.repair {
        let store = args.file.write().await?;
        let checked = store.repair_rollups().await;
        let checked = at_rest::close(&store, checked.map_err(Into::into)).await;
        *problems = args.file.read().await?.facts(true).await?.problems;
        checked?
    } else {
        match args.file.read().await?.verify_rollups().await {
            Ok(checked) => checked,
            // Samples that cannot be read are among the problems already.
            Err(StoreError::Damaged { .. }) if !problems.is_empty() => return Ok(None),
            Err(other) => return Err(other.into()),
        }
    };
    problems.extend(checked.differences.iter().map(|different| {
        let day = rfc3339(different.day_ms);
        let day = day.split('T').next().unwrap_or_default();
        format!("{}, {day}: rollup of {}", different.host, different.what)
    }));
    Ok(Some(checked))
}

fn table(verified: &Verified, console: &mut Console) -> std::io::Result<()> {
    let file = verified.file.display().to_string();
    let file = text::clean(&file);
    for problem in &verified.problems {
        console.line(&text::clean(problem))?;
    }
    if let Some(checked) = &verified.rollups {
        console.line(&match checked.repaired {
            0 => format!("rollups of {} days were computed anew", checked.days),
            repaired => format!(
                "rollups of {} days were computed anew, {repaired} of them replaced",
                checked.days
            ),
        })?;
    }
    match (&verified.facts, verified.problems.len()) {
        (Some(counts), 0) => console.line(&format!(
            "{file} is sound: {} samples of {} series of {} hosts, format {}",
            counts.samples, counts.series, counts.hosts, counts.format
        )),
        (_, problems) => console.line(&format!(
            "{file} is damaged: {problems} problem{}. Restore a backup (`hostwell restore`), or \
             keep it as it is: what can be read is answered",
            if problems == 1 { "" } else { "s" }
        )),
    }
}

fn records(verified: &Verified) -> Records {
    let mut records = Records::new(&["file", "problem"]);
    for problem in &verified.problems {
        records.row(vec![json!(verified.file), json!(problem)]);
    }
    records
}
