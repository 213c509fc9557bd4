//! Where a level will be in some days: asked of the program itself, which is given whole tables.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hostwell::answer::range::rfc3339;
use hostwell_tests::figures::Figure;

use crate::bench::Bench;
use crate::table::{Table, whole};

/// What the tasks ask of one table.
#[derive(Default)]
struct Wanted {
    origins_ms: BTreeSet<i64>,
    horizons_ms: BTreeSet<i64>,
}

/// The tasks' moments are so far apart.
const EVERY: &str = "84h";

/// The rows that are judged, and what the scorer printed.
pub(crate) fn score(bench: &mut Bench) -> (Vec<Figure>, String) {
    eprintln!("eval: forecasts");
    let forecasts = bench.file("forecasts.jsonl");
    let asked = asked(bench);
    std::fs::write(&forecasts, asked).unwrap();
    let words = ["--forecasts", forecasts.to_str().unwrap()];
    let printed = bench.scorer("score_forecasts.py", &words);
    let figures = figures(&printed, width_reference(&bench.split));
    (figures, format!("```text\n{printed}```\n\n"))
}

/// Forecasts of every series of every table that the tasks are about, from a database that each table
/// is imported into. Whether a series is a store the program tells from its data; the tasks' own class
/// is only what they are scored by.
fn asked(bench: &mut Bench) -> String {
    let tasks = Table::read(&bench.half("forecast_tasks").join("tasks.csv.bz2"));
    let at = |name: &str| tasks.column(name);
    let (file, host) = (at("file"), at("host"));
    let (origin, horizon) = (at("origin_ms"), at("horizon_ms"));
    let mut wanted: BTreeMap<(&str, &str), Wanted> = BTreeMap::new();
    for row in tasks.rows() {
        let of = wanted.entry((row[file], row[host])).or_default();
        of.origins_ms.insert(whole(row[origin]).unwrap());
        of.horizons_ms.insert(whole(row[horizon]).unwrap());
    }
    let (mut text, mut spent) = (String::new(), Duration::ZERO);
    let hostwell = |words: &[&str]| bench.hostwell("levels", words);
    let tables = wanted.len();
    for ((file, host), of) in wanted {
        let path = bench.data().join(file);
        hostwell(&["import", "csv", path.to_str().unwrap(), "--host", host]);
        let moment = |ms: Option<&i64>| rfc3339(*ms.unwrap());
        let from = moment(of.origins_ms.first());
        let to = moment(of.origins_ms.last());
        let horizons = of.horizons_ms.iter().map(|ms| format!("{ms}ms"));
        let horizons: Vec<String> = horizons.collect();
        let every = "{__name__=~\".+\"}";
        let begun = Instant::now();
        text += &hostwell(&[
            "forecast",
            "--metric",
            every,
            "--host",
            host,
            "--from",
            &from,
            "--to",
            &to,
            "--every",
            EVERY,
            "--horizon",
            &horizons.join(","),
            "-o",
            "jsonl",
        ]);
        spent += begun.elapsed();
    }
    bench.tell(&format!(
        "forecasts: {} of the series of {tables} tables in {:.1} s",
        text.lines().count(),
        spent.as_secs_f64()
    ));
    text
}

/// How wide the band of the reference's storage forecast is on a half, in percent of the level.
fn width_reference(split: &str) -> f64 {
    match split {
        "held_out" => 0.52,
        _ => 0.73,
    }
}

/// Of the scorer's table.
fn figures(scores: &str, width_reference: f64) -> Vec<Figure> {
    let mut lines = scores
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>());
    let names = lines.next().unwrap_or_default();
    let rows: Vec<Vec<&str>> = lines.collect();
    let value = |class: &str, tasks: &str, name: &str| -> f64 {
        let row = rows
            .iter()
            .find(|r| r.len() == names.len() && r[0] == class && r[1] == tasks && r[2] == "168");
        let column = names.iter().position(|n| *n == name);
        let cell = row.zip(column).map(|(row, column)| row[column]);
        cell.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    };
    let (growing, all) = (
        |name| value("A", "trend", name),
        |name| value("B", "all", name),
    );
    vec![
        Figure::below(
            "storage, 7 days: error ÷ the last value's",
            (0.60, 0.45),
            growing("rel_last"),
        )
        .beside("0.55"),
        Figure::below(
            "storage: tasks twice as wrong",
            (0.08, 0.04),
            growing("worse2x"),
        )
        .beside("0.05"),
        Figure::above(
            "storage: the 80 % band covers at least",
            (0.72, 0.76),
            growing("cov80"),
        )
        .beside("0.71 to 0.82"),
        Figure::below(
            "storage: the 80 % band covers at most",
            (0.88, 0.84),
            growing("cov80"),
        )
        .beside("0.71 to 0.82"),
        Figure::below(
            "storage: width of the band ÷ the reference's",
            (1.2, 1.2),
            growing("width80") / width_reference,
        )
        .beside("1"),
        Figure::below(
            "others, 7 days: error ÷ the last value's",
            (1.05, 0.95),
            all("rel_last"),
        )
        .beside("1.00"),
        Figure::below("others: tasks twice as wrong", (0.03, 0.02), all("worse2x")).beside("0"),
        Figure::above(
            "others: the 80 % band covers at least",
            (0.75, 0.77),
            all("cov80"),
        )
        .beside("0.83"),
        Figure::below(
            "others: the 80 % band covers at most",
            (0.90, 0.85),
            all("cov80"),
        )
        .beside("0.83"),
    ]
}
