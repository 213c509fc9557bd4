//! `hostwell rules backtest`: what would have been found in a recorded past. Hosts are replayed side by
//! side; what was found is printed in their order.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::json;

use super::super::at_rest::FileArgs;
use super::super::console::Console;
use super::super::output::{self, Format, OutputArgs, Records};
use super::super::source::clock_ms;
use super::super::table::{Align, Cell, Table, Tone};
use super::super::text;
use super::cases;
use crate::answer::backtest::{
    Backtest, BacktestQuestion, Backtested, Case, Cases, EVERY_MS, Found, group,
};
use crate::answer::range::{self, Moment, format_ms};
use crate::answer::{self, SCHEMA_VERSION};
use crate::config::{Overrides, ServerConfig};
use crate::rules::{Judging, Maintenance, Severity};
use crate::series::SeriesName;

/// How often a long backtest says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(3);
/// Most findings: they are printed when all are there, because who is told what depends on all.
const FOUND_MAX: usize = 1_000_000;

/// Show what would have been found in the recorded past, and when
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The rules are what a collector runs; the clock comes from the samples, and nothing later than a
moment is known at it. What fills on a host is told by the rules filesystem_filling and memory_leak,
with the moment it would be full. The detector of what is unusual (anomaly) looks at series outside
the catalogue, too. A collector is taken to have watched all the time; a host is down when its own
samples are missing, and after its last one only as long as a collector was watching. Hosts of a role are put beside each other once an hour, by the labels they have now.
Which version an agent was is not recorded: agent_outdated finds nothing.

A cases file (CSV: case,series,capacity,from,to) holds series against a capacity that is assumed;
series is a selector such as used_bytes{host=\"db-1\"}, or a host that has only one; from and to may
be empty. Then only the forecast (exhaustion) is asked, and the host of a line is its case: nothing
that is stored says how much a series outside the catalogue can hold.

Examples:
  hostwell rules backtest --db old.db
  hostwell rules backtest --db old.db --host web-1 --from 2026-09-01 --to 2026-10-01 -o csv
  hostwell rules backtest --db old.db --config stricter.toml -o jsonl
  hostwell rules backtest --db old.db --cases disks.csv -o jsonl")]
pub(super) struct BacktestArgs {
    /// Only this host; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "cases")]
    host: Vec<String>,
    /// What was on at this moment or later: RFC 3339, a UTC date, or so long ago (6h)
    #[arg(long, value_name = "T", value_parser = range::parse_moment)]
    from: Option<Moment>,
    /// Nothing later than this moment is known [default: the end of the data]
    #[arg(long, value_name = "T", value_parser = range::parse_moment)]
    to: Option<Moment>,
    /// Series held against capacities that are assumed (CSV)
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Judge by the levels in this collector's configuration, and tell nobody in its maintenances
    /// [default: the rules' own levels, and none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run the rules at most this often [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = range::parse_duration_ms)]
    every: Option<i64>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    file: FileArgs,
}

/// Replays and prints.
pub(super) async fn run(args: BacktestArgs, console: &mut Console) -> anyhow::Result<()> {
    let begun = Instant::now();
    let cases = match &args.cases {
        None => None,
        Some(file) => Some(cases::read(file)?),
    };
    let (judging, maintenance) = policy(args.config.as_ref())?;
    let question = BacktestQuestion {
        judging: Arc::new(judging),
        maintenance: maintenance.into(),
        every_ms: args.every.unwrap_or(EVERY_MS).max(1_000),
        from: args.from,
        to: args.to,
    };
    let store = args.file.read().await?;
    let now_ms = answer::last_beat_ms(&store, clock_ms()).await?;
    let mut backtest = Backtest::new(store, question, now_ms).await?;
    let mut jobs = VecDeque::new();
    let what = match cases {
        Some(cases) => {
            let known = Cases::of(&backtest).await?;
            for case in cases {
                let found = known.find(&case)?;
                jobs.push_back(Job::Case(case, found));
            }
            "cases"
        }
        None => {
            let mut hosts = args.host;
            if hosts.is_empty() {
                hosts = backtest.hosts().map(str::to_owned).collect();
            }
            hosts.sort();
            hosts.dedup();
            backtest.look_beside(&hosts).await?;
            jobs.extend(hosts.into_iter().map(Job::Host));
            "hosts"
        }
    };
    if jobs.is_empty() {
        bail!("there is no host in {}", args.file.path().display());
    }
    let count = jobs.len();
    let roles = backtest.roles();
    let mut total = play(backtest, jobs, what, console).await?;
    if args.cases.is_none() {
        group(&mut total.found, &roles);
    }
    print(&total, args.output.output, now_ms, console)?;
    console.message(&format!(
        "{count} {what}, {} series, {} samples, {} turns of the rules, {} findings in {:.1} s",
        total.series,
        total.samples,
        total.turns,
        total.found.len(),
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// What is replayed.
enum Job {
    Host(String),
    Case(Case, (String, SeriesName)),
}

/// Replays side by side; all that was found, in the order of the jobs.
async fn play(
    backtest: Backtest,
    mut jobs: VecDeque<Job>,
    what: &str,
    console: &mut Console,
) -> anyhow::Result<Backtested> {
    let at_once = std::thread::available_parallelism().map_or(2, NonZero::get);
    let (count, mut done, mut told) = (jobs.len(), 0, Instant::now());
    let (mut playing, mut total) = (VecDeque::new(), Backtested::default());
    loop {
        // One more than there are processors: the first may be waited for while others are done.
        while playing.len() <= at_once {
            let Some(job) = jobs.pop_front() else { break };
            let backtest = backtest.clone();
            playing.push_back(tokio::spawn(async move {
                match job {
                    Job::Host(host) => backtest.host(&host).await,
                    Job::Case(case, series) => backtest.case(&case, series).await,
                }
            }));
        }
        let Some(next) = playing.pop_front() else {
            return Ok(total);
        };
        let one = next.await.context("replay a host")??;
        total.series += one.series;
        total.samples += one.samples;
        total.turns += one.turns;
        total.found.extend(one.found);
        let lines = total.found.len();
        if lines > FOUND_MAX {
            bail!("more than {FOUND_MAX} findings: take fewer hosts, or a shorter range");
        }
        done += 1;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            console.message(&format!("{done} of {count} {what}, {lines} findings"));
        }
    }
}

/// The levels to judge by, and when nobody is told.
fn policy(config: Option<&PathBuf>) -> anyhow::Result<(Judging, Vec<Maintenance>)> {
    let Some(file) = config else {
        return Ok(Default::default());
    };
    // Only the file counts: what the environment sets is about a collector that runs.
    let config = ServerConfig::load(Some(file), |_| None, &Overrides::default())?;
    Ok((config.judging()?, config.maintenance()?))
}

/// What `-o json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema_version: u32,
    kind: &'static str,
    as_of_ms: i64,
    series: usize,
    samples: u64,
    turns: u64,
    findings: &'a [Found],
}

fn print(
    total: &Backtested,
    format: Format,
    as_of_ms: i64,
    console: &mut Console,
) -> anyhow::Result<()> {
    match format {
        Format::Table if total.found.is_empty() => {
            console.line("Nothing would have been found.")?
        }
        Format::Table => table(&total.found, console)?,
        Format::Jsonl => records(&total.found).jsonl(console)?,
        Format::Csv => records(&total.found).csv(console)?,
        Format::Json => {
            let document = Document {
                schema_version: SCHEMA_VERSION,
                kind: "backtest",
                as_of_ms,
                series: total.series,
                samples: total.samples,
                turns: total.turns,
                findings: &total.found,
            };
            output::json(console, &document)?;
        }
    }
    Ok(())
}

fn records(found: &[Found]) -> Records {
    let mut records = Records::new(&[
        "host", "metric", "rule", "subject", "severity", "start_ms", "end_ms", "eta_ms",
        "notified", "summary", "told_ms",
    ]);
    for one in found {
        records.row(vec![
            json!(one.host),
            json!(one.metric),
            json!(one.rule),
            json!(one.subject),
            json!(one.severity),
            json!(one.start_ms),
            json!(one.end_ms),
            json!(one.eta_ms),
            json!(one.notified),
            json!(one.summary),
            json!(one.told_ms),
        ]);
    }
    records
}

fn table(found: &[Found], console: &mut Console) -> io::Result<()> {
    let mut table = Table::new(&[
        ("HOST", Align::Flexible),
        ("FROM", Align::Left),
        ("TO", Align::Left),
        ("RULE", Align::Left),
        ("WHICH", Align::Flexible),
        ("TOLD", Align::Left),
        ("WHAT", Align::Wrapped),
    ]);
    for one in found {
        let tone = match one.severity {
            Severity::Info => Tone::Plain,
            Severity::Warning => Tone::Watch,
            Severity::Critical => Tone::Bad,
        };
        let subject = match one.subject.is_empty() {
            true => &one.metric,
            false => &one.subject,
        };
        table.row(vec![
            (&one.host).into(),
            format_ms(one.start_ms).into(),
            one.end_ms
                .map_or("still on".into(), |ms| format_ms(ms).into()),
            Cell::toned(&one.rule, tone),
            text::clean(subject).as_ref().into(),
            if one.notified { "yes" } else { "no" }.into(),
            (&one.summary).into(),
        ]);
    }
    console.table(&table)
}
