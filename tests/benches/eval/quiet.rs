//! A fleet on which nothing is wrong: nobody may be told anything.

use std::fmt::Write as _;

use hostwell_tests::figures::Figure;
use hostwell_tests::quiet::{HOSTS, table};

use crate::bench::{Bench, lines};

const SET: &str = "quiet";
const DAYS: u64 = 28;

/// The row that is judged, and what was found.
pub(crate) fn score(bench: &mut Bench) -> (Vec<Figure>, String) {
    eprintln!("eval: import {SET}");
    for host in 0..HOSTS {
        let file = bench.file("quiet.csv");
        std::fs::write(&file, table(host, DAYS)).unwrap();
        bench.import((SET, SET), &file, &format!("quiet-{host}"));
    }
    let findings = lines(&bench.backtest_by_default(SET));
    let told = findings.iter().filter(|f| f["notified"] == true).count();
    let mut printed = format!("## A quiet fleet\n\n{HOSTS} hosts, {DAYS} days, made up. ");
    let _ = writeln!(printed, "Findings: {}.\n", findings.len());
    let what = "a quiet fleet: notifications, by default";
    let row = Figure::below(what, (0.0, 0.0), told as f64);
    (vec![row], printed)
}
