//! `hostwell report`: the page for the meeting.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Exit;
use super::console::Console;
use super::output;
use super::source::SourceArgs;
use super::time::{DAY_MS, RangeArgs};
use crate::answer::range::{Range, parse_period};
use crate::answer::{Body, Question, ReportFormat, ReportQuestion};

/// Write the planning report: verdict first, five indicators a host, risks, data coverage
#[derive(Debug, clap::Args)]
#[command(after_help = "\
On a terminal the page goes to ./hostwell-report.html; with --out to that file; into a pipe or a
redirection it is printed. Without a period it covers the last seven days, as far as there is data.

Examples:
  hostwell report
  hostwell report --period last-week --group site=berlin --out berlin.html
  hostwell report --since 24h --format md | less
  hostwell report --period 2026-Q4 --format json > q4.json")]
pub(super) struct ReportArgs {
    /// 7d, last-week, last-month, last-quarter, 2026-Q4, 2026-11 or 2026 (UTC)
    #[arg(long, value_name = "PERIOD", value_parser = parse_period, conflicts_with_all = ["since", "from", "to"])]
    period: Option<Range>,
    #[command(flatten)]
    range: RangeArgs,
    /// Only hosts with this label; repeat for several, all must hold
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_group)]
    group: Vec<(String, String)>,
    /// The form of the report
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        visible_short_alias = 'o',
        visible_alias = "output"
    )]
    format: Form,
    /// Write it to this file; - prints it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    #[default]
    Html,
    Md,
    Json,
}

/// Where the page goes on a terminal when nobody says where.
const DEFAULT_FILE: &str = "hostwell-report.html";

/// Asks and writes.
pub(super) async fn run(args: ReportArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let source = args.source.open(console).await?;
    let format = match args.format {
        Form::Html => ReportFormat::Html,
        Form::Md => ReportFormat::Markdown,
        Form::Json => ReportFormat::Json,
    };
    let question = Question::Report(ReportQuestion {
        range: args.period.or_else(|| args.range.given(7 * DAY_MS)),
        group: args.group.into_iter().collect(),
        format,
    });
    let answer = source.ask(question).await?;
    let Body::Report(report) = &answer.body else {
        return Err(output::other_answer());
    };
    let to_file = match args.out {
        Some(path) if path.as_os_str() == "-" => None,
        Some(path) => Some(path),
        None if console.terminal && args.format == Form::Html => Some(DEFAULT_FILE.into()),
        None => None,
    };
    match to_file {
        None => {
            console.bytes(report.text.as_bytes())?;
            if !report.text.ends_with('\n') {
                console.line("")?;
            }
        }
        Some(path) => {
            write_whole(&path, report.text.as_bytes())?;
            let shown = std::path::absolute(&path).unwrap_or(path);
            console.message(&super::text::clean(&report.headline));
            console.message(&format!("wrote {}", shown.display()));
        }
    }
    Ok(Exit::Fine)
}

/// Writes beside and renames: whoever has the old page open never sees half of the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What is left behind is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
    }
    written.with_context(|| format!("write {}", path.display()))
}

fn parse_group(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err(format!(
            "{text:?} is no label; write KEY=VALUE, such as role=db"
        )),
    }
}
