//! Foresight judged on real server data through the commands that people use: tables are imported,
//! their past is replayed, forecasts are asked for, and programs that are not ours score what is
//! printed. See docs/forecast.md and docs/anomaly.md.
//!
//! `HOSTWELL_DATA` is the folder of the data, `HOSTWELL_SPLIT` the half of it (`open`), `HOSTWELL_EVAL`
//! the folder of the scorers; without them the evaluation fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an evaluation reports on the terminal, and by panicking"
)]

mod anomalies;
mod bench;
mod exhaustion;
mod levels;
mod python;
mod quiet;
mod rules;
mod table;
mod unlabelled;

use hostwell_tests::figures::{Figure, table as figures};
use hostwell_tests::runs::{about, save};

use bench::Bench;

/// Asks the programs about one kind of foresight; answers the rows that are judged, and what the scorer
/// printed.
type Part = fn(&mut Bench) -> (Vec<Figure>, String);

fn main() {
    let mut bench = Bench::new();
    let mut rows: Vec<Figure> = Vec::new();
    let mut printed = String::new();
    let parts: [Part; 6] = [
        levels::score,
        exhaustion::score,
        anomalies::score,
        rules::score,
        quiet::score,
        unlabelled::score,
    ];
    for part in parts {
        let (figures, text) = part(&mut bench);
        rows.extend(figures);
        printed.push_str(&text);
    }
    let report = format!(
        "# Foresight on real server data\n\n{}\n`make eval`, the `{}` halves\n\n{}\n## Imported and \
         replayed\n\n{}\n## As scored\n\n{printed}",
        about(),
        bench.split,
        figures(&rows),
        bench.told(),
    );
    println!("{report}");
    println!("saved as {}", save("eval", &report).display());
    let missed = rows.iter().filter(|r| r.is_missed()).count();
    if missed > 0 {
        println!("{missed} musts are missed");
        std::process::exit(1);
    }
}
