//! Foresight judged on real server data: forecasts and warnings are written as JSON lines and scored
//! by programs that are not ours. See docs/forecast.md and docs/anomaly.md.
//!
//! `HOSTWELL_DATA` is the folder of the data (its `open` halves are used), `HOSTWELL_EVAL` that of
//! the scorers; without them the evaluation fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an evaluation reports on the terminal, and by panicking"
)]

mod anomalies;
mod exhaustion;
mod levels;
mod table;

use std::path::{Path, PathBuf};

use hostwell_tests::figures::{Figure, table as figures};
use hostwell_tests::program::{command, repository, run, stdout};
use hostwell_tests::runs::{about, save};

/// The half of the data that may be looked at.
const SPLIT: &str = "open";

fn folder(variable: &str, default: &str) -> PathBuf {
    let folder = std::env::var_os(variable).map_or_else(
        || repository().join("../shared").join(default),
        PathBuf::from,
    );
    if !folder.is_dir() {
        eprintln!("eval: {} is not there: set {variable}", folder.display());
        std::process::exit(2);
    }
    folder
}

/// A Python that has pandas: Debian's packages are seen by Debian's own.
fn python() -> &'static str {
    let has = |python: &&str| {
        run(command(python).args(["-c", "import pandas"]))
            .status
            .success()
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has);
    found.unwrap_or_else(|| {
        eprintln!("eval: apt-get install --no-install-recommends python3-pandas");
        std::process::exit(2);
    })
}

/// Runs a scorer; answers what it prints.
fn score(scorer: &Path, data: &Path, arguments: &[&str]) -> String {
    let mut python = command(python());
    python.arg(scorer).args(["--split", SPLIT]).args(arguments);
    stdout(&run(python.env("DATA", data)))
}

fn main() {
    let (data, eval) = (
        folder("HOSTWELL_DATA", "data"),
        folder("HOSTWELL_EVAL", "eval"),
    );
    let place = tempfile::tempdir().unwrap();
    eprintln!("eval: forecasts");
    let forecasts = place.path().join("forecasts.jsonl");
    std::fs::write(&forecasts, levels::forecasts(&data, place.path())).unwrap();
    let levels = score(
        &eval.join("score_forecasts.py"),
        &data,
        &["--forecasts", forecasts.to_str().unwrap()],
    );
    eprintln!("eval: warnings before something is full");
    let warnings = place.path().join("warnings.jsonl");
    std::fs::write(&warnings, exhaustion::warnings(&data)).unwrap();
    let exhaustion = score(
        &eval.join("score_exhaustion.py"),
        &data,
        &[
            "--findings",
            warnings.to_str().unwrap(),
            "--rule",
            "exhaust.*",
        ],
    );
    eprintln!("eval: anomalies");
    let anomalies = anomalies::SETS.map(|set| {
        let findings = place.path().join(format!("{set}.jsonl"));
        std::fs::write(&findings, anomalies::findings(&data, set)).unwrap();
        let findings = findings.to_str().unwrap();
        let scores = score(
            &eval.join("score_findings.py"),
            &data,
            &["--set", set, "--findings", findings, "--json"],
        );
        (set, scores)
    });
    let mut rows: Vec<Figure> = levels::figures(&levels);
    rows.extend(exhaustion::figures(&exhaustion));
    rows.extend(anomalies::figures(&anomalies));
    let anomalies: String = anomalies
        .iter()
        .map(|(set, scores)| format!("{set}: {scores}"))
        .collect();
    let report = format!(
        "# Foresight on real server data\n\n{}\n`make eval`, the `{SPLIT}` halves\n\n{}\n```text\n\
         {levels}```\n\n```json\n{exhaustion}```\n\n```text\n{anomalies}```\n",
        about(),
        figures(&rows),
    );
    println!("{report}");
    println!("saved as {}", save("eval", &report).display());
    let missed = rows.iter().filter(|r| r.is_missed()).count();
    if missed > 0 {
        println!("{missed} musts are missed");
        std::process::exit(1);
    }
}
