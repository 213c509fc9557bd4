//! `hostwell query SELECTOR`: samples.

use std::collections::BTreeSet;
use std::io;

use serde_json::json;

use super::console::Console;
use super::output::{self, ChartFormat, Records};
use super::source::SourceArgs;
use super::table::{Align, Table};
use super::time::{HOUR_MS, RangeArgs};
use super::{Exit, chart, words};
use crate::answer::range::{format_ms, parse_duration_ms, rfc3339};
use crate::answer::{Body, Question, SampleQuestion, SampleSeries, Samples};
use crate::series::Agg;
use crate::words::{duration, share};

/// Show samples of a metric, as they are or aggregated
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A selector is a metric's name and conditions on labels: = equals, != differs, =~ matches a regular
expression, !~ does not. `host`, the labels of the host, and __name__ for the metric count as labels.

Without --step, --agg and --by the samples are shown as they are. With --step and no --agg, counters
become rates and gauges means. With --agg and no --step, the whole range becomes one value.
With --by, avg, min, max and quantiles are over all samples of a group; everything else adds up.
Over more than two days, steps and whole ranges are answered from rollups: quantiles then are within
1 % of the exact ones. Where the samples are gone, so is everything rollups do not hold: last, delta
and deriv, and of gauges rate and increase.
deriv is the slope of the straight line nearest to the samples; with --ahead it is the line's value so
long after the end. `hostwell forecast` says more: a band, and how well that did before.

Examples:
  hostwell query node_load1 --since 15m
  hostwell query 'node_cpu_seconds_total{mode=\"iowait\",host=~\"db-.*\"}' --step 5m --by host
  hostwell query 'node_filesystem_avail_bytes{mountpoint=\"/\"}' --since 7d --agg min
  hostwell query node_filesystem_avail_bytes --since 6h --agg deriv --ahead 7d
  hostwell query '{__name__=~\"node_load.*\",host=\"web-1\"}' --since 5m
  hostwell query 'node_network_receive_bytes_total{device!=\"lo\"}' --step 1m -o chart")]
pub(super) struct QueryArgs {
    /// metric{label="value",other=~"a|b"}
    selector: String,
    #[command(flatten)]
    range: RangeArgs,
    /// Cut the range into steps of this length (5m)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration_ms)]
    step: Option<i64>,
    /// avg, min, max, sum, count, p50, p95, p99, last, rate, increase, delta or deriv
    #[arg(long)]
    agg: Option<Agg>,
    /// With --agg deriv, where the straight line leads so long after the end (7d)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration_ms)]
    ahead: Option<i64>,
    /// One series for each value of a label; several with commas
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    by: Vec<String>,
    /// Of a group, the quantile of its mean instead of that of all its samples
    #[arg(long, requires = "by")]
    of_mean: bool,
    /// Only the N series with the largest mean, the largest first
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Say what was read for the answer, and what it cost
    #[arg(long)]
    explain: bool,
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
    source: SourceArgs,
}

/// Asks and prints.
pub(super) async fn run(args: QueryArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let source = args.source.open(console).await?;
    let question = Question::Query(SampleQuestion {
        selector: args.selector,
        range: args.range.range(HOUR_MS),
        step_ms: args.step,
        agg: args.agg,
        by: args.by,
        of_mean: args.of_mean,
        ahead_ms: args.ahead,
        top: args.top,
    });
    let answer = source.ask(question).await?;
    let Body::Samples(samples) = &answer.body else {
        return Err(output::other_answer());
    };
    if samples.series.is_empty() {
        console.message(&format!(
            "no samples of {} between {} and {}",
            super::text::clean(&samples.selector),
            format_ms(samples.from_ms),
            format_ms(samples.to_ms)
        ));
    }
    if let Some(since_ms) = samples.kept_since_ms {
        console.message(&format!(
            "what this is answered from is not kept before {}; {}",
            format_ms(since_ms),
            match samples.read {
                None => "--step or --agg asks for what is kept longer",
                Some(_) =>
                    "a longer --step, or avg, min, max, count or a quantile, goes further back",
            }
        ));
    }
    if args.explain {
        console.message(&explained(samples));
    }
    let Some(format) = args.output.rows() else {
        chart::print(samples, console)?;
        return Ok(Exit::Fine);
    };
    output::print(
        console,
        format,
        &answer,
        || records(samples),
        |console| table(samples, console),
    )?;
    Ok(Exit::Fine)
}

/// What was read, in a sentence.
fn explained(samples: &Samples) -> String {
    let Some(read) = &samples.read else {
        return "read from samples, exact".to_owned();
    };
    let mut parts: Vec<String> = read
        .rollups
        .iter()
        .map(|of| format!("{} rows of {} steps", of.rows, duration(of.step_ms)))
        .collect();
    parts.push(format!("{} samples", read.samples));
    let exact = match samples.error {
        None => "exact".to_owned(),
        Some(error) => format!("approximate: within {}", share(error)),
    };
    format!(
        "read {} ({} bytes of rollups), {:.1} ms of CPU; {exact}",
        parts.join(", "),
        read.bytes,
        read.cpu_us as f64 / 1000.0
    )
}

/// The labels of all series: a column each.
fn label_names(series: &[SampleSeries]) -> Vec<&str> {
    let names: BTreeSet<&str> = series
        .iter()
        .flat_map(|s| s.labels.iter().map(|(name, _)| name.as_str()))
        .collect();
    let (host, others): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|n| *n == "host");
    host.into_iter().chain(others).collect()
}

fn records(samples: &Samples) -> Records {
    let names = label_names(&samples.series);
    let columns: Vec<&str> = ["time"]
        .into_iter()
        .chain(names.iter().copied())
        .chain(["value"])
        .collect();
    let mut records = Records::new(&columns);
    for series in &samples.series {
        let labels: Vec<_> = names.iter().map(|n| json!(series.label(n))).collect();
        for (time_ms, value) in series.times_ms.iter().zip(&series.values) {
            let mut row = vec![json!(rfc3339(*time_ms))];
            row.extend(labels.iter().cloned());
            row.push(json!(value));
            records.row(row);
        }
    }
    records
}

/// One value a series: a line a series. Several: a line a time and series.
fn table(samples: &Samples, console: &mut Console) -> io::Result<()> {
    if samples.series.is_empty() {
        return Ok(());
    }
    let names = label_names(&samples.series);
    let upper: Vec<String> = names
        .iter()
        .map(|n| super::text::clean(n).to_uppercase())
        .collect();
    let timed = samples.agg.is_none() || samples.step_ms.is_some();
    let mut value = samples.agg.map_or("value", Agg::name).to_uppercase();
    // Bytes and ratios carry their unit themselves, counts have none.
    if !matches!(
        samples.unit.as_str(),
        "" | "bytes" | "bytes/s" | "ratio" | "count"
    ) {
        value.push_str(&format!(" ({})", samples.unit));
    }
    let mut columns: Vec<(&str, Align)> = Vec::new();
    if timed {
        columns.push(("TIME", Align::Left));
    }
    columns.extend(upper.iter().map(|name| (name.as_str(), Align::Flexible)));
    columns.push((&value, Align::Right));
    let mut table = Table::new(&columns);
    for series in &samples.series {
        for (time_ms, value) in series.times_ms.iter().zip(&series.values) {
            let mut row = Vec::new();
            if timed {
                row.push(format_ms(*time_ms).into());
            }
            row.extend(names.iter().map(|n| series.label(n).unwrap_or("").into()));
            row.push(words::quantity(*value, &samples.unit).into());
            table.row(row);
        }
    }
    console.table(&table)
}
