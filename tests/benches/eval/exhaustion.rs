//! Warnings before something is full: real growth towards a capacity that was chosen so that the
//! moment it is full is known.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use hostwell_tests::figures::Figure;
use serde_json::Value;

use crate::bench::{Bench, number};
use crate::table::Table;

const SET: &str = "exhaustion";

/// The rows that are judged, and what the scorer printed.
pub(crate) fn score(bench: &mut Bench) -> (Vec<Figure>, String) {
    let cases = cases(bench);
    let findings = bench.backtest(SET, SET, &["--cases", &cases]);
    let words = [
        "--findings",
        findings.to_str().unwrap(),
        "--rule",
        "exhaust.*",
    ];
    let printed = bench.scorer("score_exhaustion.py", &words);
    let scores: Value = serde_json::from_str(&printed).unwrap();
    (figures(&scores), format!("```json\n{printed}```\n\n"))
}

/// Imports every table as a host and writes the cases about them; answers the file.
fn cases(bench: &Bench) -> String {
    eprintln!("eval: import {SET}");
    let half = bench.half(SET);
    let table = Table::read(&half.join("cases.csv"));
    let at = ["case", "file", "capacity", "from_ms", "to_ms"].map(|name| table.column(name));
    let (mut text, mut imported) = (
        String::from("case,series,capacity,from,to\n"),
        BTreeSet::new(),
    );
    for row in table.rows() {
        let [case, file, capacity, from, to] = at.map(|at| row[at]);
        let host = file.trim_end_matches(".csv.bz2");
        if imported.insert(host) {
            bench.import((SET, SET), &half.join(file), host);
        }
        let _ = writeln!(
            text,
            "{case},\"used{{host=\"\"{host}\"\"}}\",{capacity},{from},{to}"
        );
    }
    let file = bench.file("cases.csv");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn figures(scores: &Value) -> Vec<Figure> {
    let value = |name: &str| number(scores, name);
    vec![
        Figure::above(
            "full: warned 24 h before",
            (0.92, 0.95),
            value("recall_24h"),
        )
        .beside("0.98"),
        Figure::above(
            "full: warned 72 h before",
            (0.48, 0.65),
            value("recall_72h"),
        )
        .beside("0.48"),
        Figure::below(
            "full: false warnings a series and week",
            (0.04, 0.015),
            value("false_per_series_week"),
        )
        .beside("0.03"),
        Figure::below(
            "full: error of the date ÷ lead",
            (0.6, 0.4),
            value("eta_rel_err"),
        )
        .beside("0.52"),
        Figure::below(
            "full: part of the time wrongly on",
            (0.02, 0.005),
            value("wrong_on_frac"),
        )
        .beside("0.01"),
    ]
}
