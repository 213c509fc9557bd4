//! `hostwell forecast --metric`: where series will be, said at moments of their past. Hosts are asked
//! side by side and printed in their order.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use super::console::Console;
use super::output::{self, Format, Records};
use super::source::Source;
use super::table::{Align, Table};
use super::time::DAY_MS;
use super::{Exit, words};
use crate::answer::range::{self, Moment, format_ms};
use crate::answer::{
    Answer, Body, HostState, LEVELS_MAX, LevelLine, LevelQuestion, Levels, Made, Question,
};
use crate::words::duration;

/// How often a long answer says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(3);
/// Without --horizon.
const HORIZON_MS: i64 = 7 * DAY_MS;

/// Any series
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Any series, at any moment")]
pub(super) struct LevelArgs {
    /// Forecast these series: metric{label="value",…}
    #[arg(long, value_name = "SELECTOR", conflicts_with = "resource")]
    metric: Option<String>,
    /// As it would have been said then: RFC 3339, a UTC date, or so long ago (6h) [default: now]
    #[arg(
        long,
        value_name = "T",
        value_parser = range::parse_moment,
        requires = "metric",
        conflicts_with_all = ["from", "to", "every"]
    )]
    at: Option<Moment>,
    /// From this moment on, again and again
    #[arg(
        long,
        value_name = "T",
        value_parser = range::parse_moment,
        requires_all = ["metric", "every"]
    )]
    from: Option<Moment>,
    /// Up to this moment [default: now]
    #[arg(long, value_name = "T", value_parser = range::parse_moment, requires = "from")]
    to: Option<Moment>,
    /// So far apart
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = range::parse_duration_ms,
        requires = "from"
    )]
    every: Option<i64>,
    /// How far ahead; several with commas [default: 7d]
    #[arg(
        long,
        value_name = "DURATION",
        value_delimiter = ',',
        value_parser = range::parse_duration_ms,
        requires = "metric"
    )]
    horizon: Vec<i64>,
}

/// What is asked of each host.
pub(super) struct Asked {
    selector: String,
    made: Made,
    horizons_ms: Vec<i64>,
}

impl LevelArgs {
    /// What was asked for, if series were.
    pub(super) fn asked(&self) -> Option<Asked> {
        let now = Moment::AgoMs(0);
        let made = match (self.from, self.every) {
            (Some(from), Some(every_ms)) => Made::Every {
                from,
                to: self.to.unwrap_or(now),
                every_ms,
            },
            _ => Made::At(self.at.unwrap_or(now)),
        };
        Some(Asked {
            selector: self.metric.clone()?,
            made,
            horizons_ms: match self.horizon.is_empty() {
                true => vec![HORIZON_MS],
                false => self.horizon.clone(),
            },
        })
    }
}

/// Only hosts with this label and value.
type Group = Option<(String, String)>;

/// Asks host by host and prints as answers come.
pub(super) async fn run(
    source: Source,
    (named, group): (Vec<String>, Group),
    asked: Asked,
    format: Format,
    console: &mut Console,
) -> anyhow::Result<Exit> {
    let hosts = hosts(&source, named, group).await?;
    let count = hosts.len();
    let mut printer = Printer::new(format, console)?;
    let source = Arc::new(source);
    let at_once = std::thread::available_parallelism().map_or(2, NonZero::get);
    let mut waiting = hosts.into_iter();
    let mut asking = VecDeque::new();
    let (mut done, mut told) = (0, Instant::now());
    loop {
        while asking.len() < at_once {
            let Some(host) = waiting.next() else { break };
            let question = Question::Levels(LevelQuestion {
                host,
                selector: asked.selector.clone(),
                made: asked.made,
                horizons_ms: asked.horizons_ms.clone(),
            });
            let source = Arc::clone(&source);
            asking.push_back(tokio::spawn(async move { source.ask(question).await }));
        }
        let Some(next) = asking.pop_front() else {
            break;
        };
        let answer = next.await.context("forecast the series of a host")??;
        printer.take(answer, console)?;
        done += 1;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let lines = printer.lines;
            console.message(&format!("{done} of {count} hosts, {lines} forecasts"));
        }
    }
    if printer.series == 0 {
        bail!(
            "no series fits {} and has samples in the two months before",
            asked.selector
        );
    }
    printer.end(console)?;
    Ok(Exit::Fine)
}

/// The hosts that are meant, by name; retired ones only when they are named.
async fn hosts(source: &Source, named: Vec<String>, group: Group) -> anyhow::Result<Vec<String>> {
    if !named.is_empty() && group.is_none() {
        let mut hosts = named;
        hosts.sort();
        hosts.dedup();
        return Ok(hosts);
    }
    let answer = source.ask(Question::Hosts {}).await?;
    let Body::Hosts { hosts } = answer.body else {
        return Err(output::other_answer());
    };
    let meant = hosts.into_iter().filter(|host| {
        let one = match named.is_empty() {
            true => host.state != HostState::Retired,
            false => named.contains(&host.name),
        };
        let mut groups = group.iter();
        one && groups.all(|(label, value)| host.labels.get(label) == Some(value))
    });
    let names: Vec<String> = meant.map(|host| host.name).collect();
    match (group, names.is_empty()) {
        (Some((label, value)), true) => bail!("no host has the label {label}=\"{value}\""),
        (None, true) => bail!("there is no host yet"),
        _ => Ok(names),
    }
}

/// Prints lines as they come, or keeps them where a format needs them all.
struct Printer {
    format: Format,
    /// Kept for a table or a document; its sums are over everything.
    kept: Levels,
    as_of_ms: i64,
    lines: usize,
    series: usize,
}

impl Printer {
    fn new(format: Format, console: &mut Console) -> io::Result<Printer> {
        if format == Format::Csv {
            records(&[]).csv(console)?;
        }
        Ok(Printer {
            format,
            kept: Levels::default(),
            as_of_ms: 0,
            lines: 0,
            series: 0,
        })
    }

    fn take(&mut self, answer: Answer, console: &mut Console) -> anyhow::Result<()> {
        let Body::Levels(levels) = answer.body else {
            return Err(output::other_answer());
        };
        self.as_of_ms = answer.as_of_ms;
        self.lines += levels.levels.len();
        self.series += levels.series;
        self.kept.series += levels.series;
        self.kept.too_little += levels.too_little;
        match self.format {
            Format::Jsonl => records(&levels.levels).jsonl(console)?,
            Format::Csv => records(&levels.levels).csv_rows(console)?,
            Format::Table | Format::Json if self.lines > LEVELS_MAX => bail!(
                "more than {LEVELS_MAX} forecasts: -o jsonl and csv are written as they come; or \
                 narrow the selector, or take fewer hosts, moments or horizons"
            ),
            Format::Table | Format::Json => self.kept.levels.extend(levels.levels),
        }
        Ok(())
    }

    fn end(self, console: &mut Console) -> anyhow::Result<()> {
        let too_little = self.kept.too_little;
        match self.format {
            Format::Jsonl | Format::Csv => {}
            Format::Table if self.kept.levels.is_empty() => {}
            Format::Table => table(&self.kept.levels, console)?,
            Format::Json => {
                let answer = Answer::new(Body::Levels(self.kept), self.as_of_ms);
                output::json(console, &answer)?;
            }
        }
        if too_little > 0 {
            console.message(&format!(
                "{too_little} times a series of {} had too little history: a forecast needs 4 \
                 days, the last of them until its moment",
                self.series
            ));
        }
        Ok(())
    }
}

fn records(lines: &[LevelLine]) -> Records {
    let mut records = Records::new(&[
        "host",
        "metric",
        "made_at_ms",
        "horizon_ms",
        "value",
        "lo80",
        "hi80",
        "class",
    ]);
    for line in lines {
        records.row(vec![
            json!(line.host),
            json!(line.metric),
            json!(line.made_at_ms),
            json!(line.horizon_ms),
            json!(line.value),
            json!(line.lo80),
            json!(line.hi80),
            json!(line.class),
        ]);
    }
    records
}

fn table(lines: &[LevelLine], console: &mut Console) -> io::Result<()> {
    let mut table = Table::new(&[
        ("HOST", Align::Flexible),
        ("METRIC", Align::Flexible),
        ("MADE AT", Align::Left),
        ("AHEAD", Align::Right),
        ("VALUE", Align::Right),
        ("LOW", Align::Right),
        ("HIGH", Align::Right),
    ]);
    for line in lines {
        table.row(vec![
            (&line.host).into(),
            (&line.metric).into(),
            format_ms(line.made_at_ms).into(),
            duration(line.horizon_ms).into(),
            words::number(line.value).into(),
            words::number(line.lo80).into(),
            words::number(line.hi80).into(),
        ]);
    }
    console.table(&table)
}
