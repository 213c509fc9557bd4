//! `hostwell forecast`: what runs out when, and how sure that is.

use std::io;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::chart::course;
use super::console::Console;
use super::levels::{self, LevelArgs};
use super::output::{self, ChartFormat, Records};
use super::source::SourceArgs;
use super::table::{Align, Cell, Table, Tone};
use super::{Exit, text, words};
use crate::answer::range::format_ms;
use crate::answer::{Answer, Body, ForecastLine, ForecastQuestion, Outlook, Question, Resource};
use crate::forecast::{Meets, Trust};
use crate::words::{percent, share};

/// Show when disks, memory, CPU and network run out, with the band and the method's own past accuracy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
File systems go on growing by their typical day; CPU, memory and network stay where they are, with
the band of their last weeks: on real hosts, what looked like a trend there turned back more often
than not. The truth lies in the band four times of five. The same method is replayed on each level's
own past; where that went badly or could not be tried, no date is given.

With --metric: where each series will be, said at any moment of its past with nothing but the
samples before it. A line for each series, moment and horizon; value is the median of the day that
ends then. Outside the catalogue a series is a store where its data up to the moment says so:
docs/forecast.md.

Examples:
  hostwell forecast
  hostwell forecast --host web-1 --resource disk
  hostwell forecast --group role=db -o chart
  hostwell forecast --metric hostwell_memory_used_ratio --horizon 7d
  hostwell forecast --db old.db --metric '{__name__=~\".+\"}' --from 2026-09-01 --to 2026-11-01 \\
    --every 84h --horizon 84h,168h -o jsonl")]
pub(super) struct ForecastArgs {
    /// Only this host; may be given several times
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Only hosts with this label
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
    group: Option<(String, String)>,
    /// Only this resource
    #[arg(long, value_name = "RESOURCE", value_parser = resources())]
    resource: Option<Resource>,
    /// How to print the answer: for people, programs, spreadsheets, or as a line
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "table"
    )]
    output: ChartFormat,
    #[command(flatten)]
    levels: LevelArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// Resources by their words.
fn resources() -> impl TypedValueParser<Value = Resource> {
    let words = PossibleValuesParser::new(Resource::ALL.map(Resource::name));
    words.try_map(|word| {
        let mut all = Resource::ALL.into_iter();
        all.find(|of| of.name() == word).ok_or("no resource")
    })
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("a label and its value, such as role=db")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Asks and prints.
pub(super) async fn run(args: ForecastArgs, console: &mut Console) -> anyhow::Result<Exit> {
    if let Some(asked) = args.levels.asked() {
        let Some(format) = args.output.rows() else {
            anyhow::bail!("a chart shows resources; with --metric take table, json, jsonl or csv");
        };
        let source = args.source.open(console).await?;
        return levels::run(source, (args.host, args.group), asked, format, console).await;
    }
    let question = Question::Forecast(ForecastQuestion {
        hosts: args.host,
        group: args.group,
        resource: args.resource,
    });
    let source = args.source.open(console).await?;
    let answer = source.ask(question).await?;
    let Body::Forecasts { forecasts } = &answer.body else {
        return Err(output::other_answer());
    };
    let Some(format) = args.output.rows() else {
        chart(forecasts, console)?;
        return Ok(Exit::Fine);
    };
    output::print(
        console,
        format,
        &answer,
        || records(forecasts),
        |console| table(forecasts, &answer, console),
    )?;
    Ok(Exit::Fine)
}

fn records(forecasts: &[ForecastLine]) -> Records {
    let mut records = Records::new(&[
        "host",
        "resource",
        "subject",
        "level",
        "a_day",
        "full_earliest",
        "full",
        "full_latest",
        "warning",
        "warned",
        "in_30_days",
        "in_30_days_low80",
        "in_30_days_high80",
        "record",
        "replays",
        "error",
        "error_staying",
        "covered",
        "why",
    ]);
    for line in forecasts {
        let o = line.outlook.as_ref();
        let full = o.and_then(|o| o.full).unwrap_or_default();
        let month = o.and_then(|o| o.ahead.first());
        records.row(vec![
            json!(line.host),
            json!(line.resource),
            json!(line.subject),
            json!(o.map(|o| o.level)),
            json!(o.map(|o| o.a_day)),
            words::moment(full.earliest_ms),
            words::moment(full.expected_ms),
            words::moment(full.latest_ms),
            json!(o.map(|o| o.warning)),
            words::moment(o.and_then(|o| o.warned.expected_ms)),
            json!(month.map(|m| m.used.value)),
            json!(month.map(|m| m.used.low80)),
            json!(month.map(|m| m.used.high80)),
            json!(o.map(|o| &o.record.verdict)),
            json!(o.map(|o| o.record.record.replays)),
            json!(o.map(|o| o.record.record.error)),
            json!(o.map(|o| o.record.record.error_staying)),
            json!(o.map(|o| o.record.record.covered)),
            json!(line.why),
        ]);
    }
    records
}

const DAY_MS: i64 = super::time::DAY_MS;

/// "in 70 days (61 to 95)", by the band.
fn when(dates: Meets, now_ms: i64) -> (String, Tone) {
    let days = |ms: Option<i64>| ms.map(|ms| (ms - now_ms).max(0) / DAY_MS);
    let (earliest, latest) = (days(dates.earliest_ms), days(dates.latest_ms));
    let latest_word = latest.map_or("never".to_owned(), |d| d.to_string());
    match (days(dates.expected_ms), earliest) {
        (Some(0), _) => ("now".into(), Tone::Bad),
        (Some(expected), earliest) => {
            let tone = match expected {
                ..=7 => Tone::Bad,
                8..=30 => Tone::Watch,
                _ => Tone::Plain,
            };
            let from = earliest.unwrap_or(expected);
            let text = format!("in {expected} days ({from} to {latest_word})");
            (text, tone)
        }
        (None, Some(from)) => (format!("perhaps, not before {from} days"), Tone::Plain),
        (None, None) => ("not within 2 years".into(), Tone::Plain),
    }
}

/// How the past went, in a few words.
fn record(o: &Outlook) -> String {
    let r = &o.record.record;
    let verdict = match o.record.verdict {
        Trust::Short => return format!("too short: {} replays, 4 are needed", r.replays),
        Trust::Good => "good",
        Trust::Bad => "bad",
    };
    format!(
        "{verdict}: off by {} (staying put {}), band held {}",
        share(r.error),
        share(r.error_staying),
        percent(r.covered)
    )
}

fn table(lines: &[ForecastLine], answer: &Answer, console: &mut Console) -> io::Result<()> {
    if lines.is_empty() {
        return console.line("Nothing to forecast: no host reports a resource yet.");
    }
    let mut table = Table::new(&[
        ("HOST", Align::Flexible),
        ("RESOURCE", Align::Left),
        ("WHICH", Align::Flexible),
        ("NOW", Align::Right),
        ("A DAY", Align::Right),
        ("FULL", Align::Left),
        ("IN 30 DAYS", Align::Left),
        ("PAST ACCURACY, A WEEK AHEAD", Align::Wrapped),
    ]);
    let mut unknown = 0;
    for line in lines {
        let Some(o) = &line.outlook else {
            unknown += 1;
            continue;
        };
        let full = match o.full {
            Some(dates) => when(dates, answer.as_of_ms),
            None => ("not said".into(), Tone::Faint),
        };
        let month = o.ahead.first().map_or(String::new(), |m| {
            let band = |v: f64| percent(v.clamp(0.0, 1.0));
            format!(
                "{} ({} to {})",
                band(m.used.value),
                band(m.used.low80),
                band(m.used.high80)
            )
        });
        let sign = if o.a_day > 0.0 { "+" } else { "" };
        let a_day = match o.a_day {
            0.0 => "-".to_owned(),
            change => format!("{sign}{:.2} %", change * 100.0),
        };
        let verdict = match o.record.verdict {
            Trust::Good => Tone::Plain,
            Trust::Short | Trust::Bad => Tone::Faint,
        };
        table.row(vec![
            (&line.host).into(),
            line.resource.name().into(),
            (&line.subject).into(),
            percent(o.level).into(),
            a_day.into(),
            Cell::toned(full.0, full.1),
            month.into(),
            Cell::toned(record(o), verdict),
        ]);
    }
    if !table.is_empty() {
        console.table(&table)?;
    }
    if unknown > 0 {
        let why = lines.iter().find_map(|line| line.why.as_deref());
        let why = text::clean(why.unwrap_or_default()).into_owned();
        console.line(&format!(
            "{unknown} of {} have no forecast yet: {why}",
            lines.len()
        ))?;
    }
    Ok(())
}

/// Cells of the past, and of what is expected.
const CELLS: usize = 60;
const CELLS_AHEAD: usize = 30;

fn chart(lines: &[ForecastLine], console: &mut Console) -> io::Result<()> {
    for line in lines {
        let Some(o) = &line.outlook else { continue };
        let name = [&line.host, line.resource.name(), &line.subject];
        console.line(&text::clean(name.join(" ").trim_end()))?;
        let last_ms = o.past.last().map_or(0, |(ms, _)| *ms);
        let mut days = vec![None; CELLS];
        for (ms, used) in &o.past {
            let ago = ((last_ms - ms) / DAY_MS) as usize;
            if let Some(cell) = CELLS.checked_sub(1 + ago).and_then(|at| days.get_mut(at)) {
                *cell = Some(*used);
            }
        }
        let first = days.iter().position(Option::is_some).unwrap_or(0);
        let ahead =
            (1..=CELLS_AHEAD).map(|day| Some((o.level + o.a_day * day as f64).clamp(0.0, 1.0)));
        let ahead: Vec<Option<f64>> = ahead.collect();
        let bounds = Some((0.0, 1.0));
        let past = Tone::Good.paint(&course(&days[first..], CELLS, bounds), console.colour);
        let coming = Tone::Faint.paint(&course(&ahead, CELLS_AHEAD, bounds), console.colour);
        console.line(&format!("{past}│{coming}"))?;
        let month = o.ahead.first().map_or(0.0, |m| m.used.value);
        console.line(&format!(
            "{} now, {} in 30 days; {}\n",
            percent(o.level),
            percent(month.clamp(0.0, 1.0)),
            record(o)
        ))?;
    }
    if let Some(o) = lines.iter().find_map(|l| l.outlook.as_ref()) {
        let last_ms = o.past.last().map_or(0, |(ms, _)| *ms);
        console.line(&format!(
            "A block a day, between empty and full; │ is {}.",
            format_ms(last_ms)
        ))?;
    }
    Ok(())
}
