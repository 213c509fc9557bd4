//! `hostwell-load`: simulated agents for a collector, and what they cost it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the terminal, with one summary at its end"
)]

mod summary;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use hostwell_agent::tls::{TlsConfig, check_url};
use hostwell_tests::load::capture::Capture;
use hostwell_tests::load::fleet::{self, Plan};

/// Simulated agents: many hosts in one process, over the real protocol, with data derived from a
/// recording of one real host
#[derive(Debug, Parser)]
#[command(
    name = "hostwell-load",
    version,
    max_term_width = 100,
    after_help = "\
Each host begins at a random place of the recording, has scales of its own for each resource, and
noise; the same --seed gives the same samples. The recording is a CSV file (or .csv.gz): the first
line names the series, the first column is the time in seconds.

Examples:
  hostwell-load --capture host.csv.gz --hosts 1000 --interval 1s --for 60s \\
      --url https://127.0.0.1:7443 --ca ca.pem --server-pid $(pidof hostwell)
  hostwell-load --capture host.csv.gz --hosts 200 --interval 10s --backfill 6h --saturate
  hostwell-load --capture host.csv.gz --hosts 5000 --for 2m --ramp 30s --reconnect-storm

The hosts stay in the collector's registry: point it at a collector of its own.
Exit codes: 0 everything was acknowledged, 1 something was refused or not acknowledged, 2 it could
not be done."
)]
struct Arguments {
    /// The recorded host
    #[arg(long, value_name = "FILE")]
    capture: PathBuf,
    /// Of the collector
    #[arg(long, default_value = "http://127.0.0.1:7443")]
    url: String,
    /// PEM file of the authority that signed the collector's certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of a certificate for all agents
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// How many agents
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    hosts: u32,
    /// Time between two samples of a host
    #[arg(long, default_value = "1s", value_parser = duration)]
    interval: Duration,
    /// Samples of each series in one batch
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=3600))]
    ticks: u16,
    /// How long to send, once everybody is connected
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    length: Duration,
    /// Over which time agents connect
    #[arg(long, default_value = "10s", value_parser = duration)]
    ramp: Duration,
    /// What each agent has to send of the past, behind the present
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    backfill: Duration,
    /// Only the past, as fast as it is acknowledged, until it is
    #[arg(long, requires = "backfill")]
    saturate: bool,
    /// Halfway everybody loses the connection and comes back at once
    #[arg(long, conflicts_with = "saturate")]
    reconnect_storm: bool,
    /// Chooses the fleet
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the past ends, in milliseconds since 1970 (default: now)
    #[arg(long, value_name = "MS")]
    end_ms: Option<i64>,
    /// The collector's process: what it spends is shown
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// The collector's folder: how large it is, is shown
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The longest past that is sent: 25 months, as long as rollups are kept.
const DAYS_MAX: u64 = 761;

/// `90s`, `500ms`, `6h`, `15d`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("write it as 500ms, 90s, 5m, 6h or 2d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "it has no number".to_owned())?;
    let ms = number
        .checked_mul(ms)
        .filter(|ms| *ms <= 86_400_000 * DAYS_MAX);
    ms.map(Duration::from_millis)
        .ok_or_else(|| format!("it is over {DAYS_MAX} days"))
}

fn plan(arguments: Arguments) -> anyhow::Result<Plan> {
    let tls = TlsConfig {
        ca: arguments.ca,
        cert: arguments.cert,
        key: arguments.key,
        server_name: None,
    };
    check_url(&arguments.url, &tls)?;
    anyhow::ensure!(
        arguments.interval >= Duration::from_millis(100),
        "--interval is at least 100ms"
    );
    anyhow::ensure!(
        !arguments.saturate || arguments.backfill >= arguments.interval,
        "--saturate sends the past: say how much with --backfill 6h"
    );
    Ok(Plan {
        capture: Capture::read(&arguments.capture)?,
        url: arguments.url,
        tls,
        hosts: arguments.hosts as usize,
        seed: arguments.seed,
        interval: arguments.interval,
        ticks: arguments.ticks.into(),
        length: arguments.length,
        ramp: arguments.ramp,
        saturate: arguments.saturate,
        storm: arguments.reconnect_storm,
        backfill: arguments.backfill,
        end_ms: arguments.end_ms,
        server_pid: arguments.server_pid,
        data: arguments.data,
    })
}

fn work(arguments: Arguments) -> anyhow::Result<bool> {
    let json = arguments.json;
    let plan = plan(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let outcome = runtime.block_on(fleet::run(plan))?;
    match json {
        true => println!("{}", summary::json(&outcome)),
        false => print!("{}", summary::text(&outcome)),
    }
    Ok(outcome.refusals.is_empty() && outcome.unanswered == 0)
}

fn main() -> ExitCode {
    match work(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("hostwell-load: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_nonsense_is_refused() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("6h"), Ok(Duration::from_secs(21_600)));
        for wrong in ["", "6", "h", "-1s", "1w", "99999999999d", "1.5h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_sound_and_its_examples_parse() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let help = Arguments::command().render_long_help().to_string();
        let joined = help.replace("\\\n", " ");
        let examples = joined.lines().map(str::trim);
        let examples: Vec<&str> = examples
            .filter(|l| l.starts_with("hostwell-load --"))
            .collect();
        assert_eq!(examples.len(), 3, "{help}");
        for example in examples {
            let words = example.replace("$(pidof hostwell)", "1");
            Arguments::try_parse_from(words.split_whitespace()).unwrap();
        }
    }
}
