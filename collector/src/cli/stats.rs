//! `hostwell stats`: what takes how much room.

use std::io;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use super::Exit;
use super::at_rest::FileArgs;
use super::console::Console;
use super::output::{self, Format, OutputArgs, Records};
use super::table::{Align, Table};
use super::time::DAY_MS;
use super::words::moment;
use crate::answer::range::{format_ms, rfc3339};
use crate::answer::{SCHEMA_VERSION, last_beat_ms};
use crate::store::{BUDGET_MS, Census, CensusRow, Dropped, Noise, NotesHeld};
use crate::words;

/// Show what takes how much room, and which hosts people are told of too often
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hostwell stats
  hostwell stats --db hostwell.db -o json
  hostwell stats --alert-budget 5      hosts that more than 5 messages were about in 7 days")]
pub(super) struct StatsArgs {
    /// How many messages about one host are all right in 7 days
    #[arg(long, value_name = "COUNT", default_value_t = ALERTS_MAX)]
    alert_budget: u64,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// More messages about a host in a week than this, and people stop reading them.
const ALERTS_MAX: u64 = 2;
/// So many hosts are named in the table.
const NAMED_MAX: usize = 10;

/// How often hosts were the reason for a message.
#[derive(Debug, Serialize)]
struct Alerts {
    days: i64,
    /// What each host may cause in that time.
    budget: u64,
    /// How many hosts caused more.
    over: usize,
    /// Those that caused any, most first.
    hosts: Vec<Noise>,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Stats {
    schema_version: u32,
    kind: &'static str,
    file: PathBuf,
    format: i64,
    file_bytes: u64,
    log_bytes: u64,
    free_bytes: u64,
    hosts: u64,
    series: u64,
    samples: u64,
    oldest: Option<String>,
    newest: Option<String>,
    /// The whole file, its log and everything around the samples, by raw sample.
    bytes_per_sample: Option<f64>,
    parts: Vec<Part>,
    /// Notes of what used hosts most.
    processes: NotesHeld,
    /// What the disk budget took before its age.
    dropped: Vec<Dropped>,
    /// Notifications.
    alerts: Alerts,
}

#[derive(Debug, Serialize)]
struct Part {
    tier: String,
    family: String,
    blocks: u64,
    samples: u64,
    bytes: u64,
    bytes_per_sample: Option<f64>,
    oldest: Option<String>,
    newest: Option<String>,
}

/// Bytes by sample, to a thousandth.
fn each(bytes: u64, samples: u64) -> Option<f64> {
    (samples > 0).then(|| (bytes as f64 / samples as f64 * 1000.0).round() / 1000.0)
}

fn tier(row: &CensusRow) -> String {
    row.tier_ms.map_or_else(|| "raw".into(), words::duration)
}

/// Asks and prints.
pub(super) async fn run(args: StatsArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let store = args.file.read().await?;
    let census = store.census().await?;
    // The moment that the file speaks for: nothing was told after it.
    let now_ms = last_beat_ms(&store, 0).await?;
    let alerts = alerts(store.noise(now_ms).await?, args.alert_budget);
    let stats = stats(args.file.path(), &census, alerts);
    match args.output.output {
        Format::Table => table(&stats, &census, console)?,
        Format::Json => output::json(console, &stats)?,
        Format::Jsonl => records(&census).jsonl(console)?,
        Format::Csv => records(&census).csv(console)?,
    }
    Ok(Exit::Fine)
}

fn alerts(hosts: Vec<Noise>, budget: u64) -> Alerts {
    Alerts {
        days: BUDGET_MS / DAY_MS,
        budget,
        over: hosts.iter().filter(|host| host.messages > budget).count(),
        hosts,
    }
}

fn stats(file: PathBuf, census: &Census, alerts: Alerts) -> Stats {
    let raw = || census.rows.iter().filter(|row| row.tier_ms.is_none());
    let samples = raw().map(|row| row.samples).sum();
    let used = census.file_bytes + census.log_bytes - census.free_bytes.min(census.file_bytes);
    let parts = census.rows.iter().map(|row| Part {
        tier: tier(row),
        family: row.family.clone(),
        blocks: row.blocks,
        samples: row.samples,
        bytes: row.bytes,
        bytes_per_sample: each(row.bytes, row.samples),
        oldest: row.oldest_ms.map(rfc3339),
        newest: row.newest_ms.map(rfc3339),
    });
    Stats {
        schema_version: SCHEMA_VERSION,
        kind: "stats",
        file,
        format: census.schema_version,
        file_bytes: census.file_bytes,
        log_bytes: census.log_bytes,
        free_bytes: census.free_bytes,
        hosts: census.hosts,
        series: census.series,
        samples,
        oldest: raw().filter_map(|row| row.oldest_ms).min().map(rfc3339),
        newest: raw().filter_map(|row| row.newest_ms).max().map(rfc3339),
        bytes_per_sample: each(used, samples),
        parts: parts.collect(),
        processes: census.processes.clone(),
        dropped: census.dropped.clone(),
        alerts,
    }
}

fn table(stats: &Stats, census: &Census, console: &mut Console) -> io::Result<()> {
    console.line(&format!(
        "{}: {}{}{}; {} hosts, {} series, {} samples{}",
        super::text::clean(&stats.file.display().to_string()),
        words::bytes(stats.file_bytes as f64),
        match stats.log_bytes {
            0 => String::new(),
            bytes => format!(" and a log of {}", words::bytes(bytes as f64)),
        },
        match stats.free_bytes {
            0 => String::new(),
            bytes => format!(", {} of it free", words::bytes(bytes as f64)),
        },
        stats.hosts,
        stats.series,
        stats.samples,
        match stats.bytes_per_sample {
            Some(bytes) => format!(", {bytes} bytes each with everything around them"),
            None => String::new(),
        }
    ))?;
    for one in &census.dropped {
        console.line(&format!(
            "the disk budget of {} took {} of {} up to {}, {}",
            words::bytes(one.bytes_max as f64),
            words::bytes(one.bytes as f64),
            match one.step_ms {
                0 => "samples".to_owned(),
                step_ms => format!("{} steps", words::duration(step_ms)),
            },
            format_ms(one.until_ms),
            format_ms(one.at_ms)
        ))?;
    }
    noted(&census.processes, console)?;
    told(&stats.alerts, console)?;
    if census.rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        ("TIER", Align::Left),
        ("FAMILY", Align::Left),
        ("BLOCKS", Align::Right),
        ("SAMPLES", Align::Right),
        ("BYTES", Align::Right),
        ("EACH", Align::Right),
        ("OLDEST", Align::Left),
        ("NEWEST", Align::Left),
    ]);
    for row in &census.rows {
        let each = each(row.bytes, row.samples);
        table.row(vec![
            tier(row).into(),
            row.family.as_str().into(),
            row.blocks.to_string().into(),
            row.samples.to_string().into(),
            row.bytes.to_string().into(),
            each.map_or_else(String::new, |e| format!("{e:.3}")).into(),
            row.oldest_ms.map_or_else(String::new, format_ms).into(),
            row.newest_ms.map_or_else(String::new, format_ms).into(),
        ]);
    }
    console.table(&table)
}

/// What is held of notes of processes, if anything is.
fn noted(held: &NotesHeld, console: &mut Console) -> io::Result<()> {
    let (Some(oldest_ms), Some(newest_ms)) = (held.oldest_ms, held.newest_ms) else {
        return Ok(());
    };
    console.line(&format!(
        "{} notes of processes in {} rows: {} from {} to {}",
        held.notes,
        held.rows,
        words::bytes(held.bytes as f64),
        format_ms(oldest_ms),
        format_ms(newest_ms)
    ))
}

/// How often hosts were the reason for a message.
fn told(alerts: &Alerts, console: &mut Console) -> io::Result<()> {
    if alerts.hosts.is_empty() {
        return Ok(());
    }
    let (days, budget) = (alerts.days, alerts.budget);
    console.line(&match alerts.over {
        0 => format!(
            "people were told of {} hosts in {days} days, of each at most {budget} times",
            alerts.hosts.len()
        ),
        over => format!(
            "people were told of {} hosts in {days} days, of {over} more often than {budget} times:",
            alerts.hosts.len()
        ),
    })?;
    let noisy = alerts.hosts.iter().take(alerts.over.min(NAMED_MAX));
    for host in noisy {
        let name = super::text::clean(&host.host);
        console.line(&format!("  {name}: {} messages", host.messages))?;
    }
    match alerts.over.saturating_sub(NAMED_MAX) {
        0 => Ok(()),
        more => console.line(&format!("  and {more} more hosts (-o json lists all)")),
    }
}

fn records(census: &Census) -> Records {
    let mut records = Records::new(&[
        "tier", "family", "blocks", "samples", "bytes", "oldest", "newest",
    ]);
    for row in &census.rows {
        records.row(vec![
            json!(tier(row)),
            json!(row.family),
            json!(row.blocks),
            json!(row.samples),
            json!(row.bytes),
            moment(row.oldest_ms),
            moment(row.newest_ms),
        ]);
    }
    records
}
