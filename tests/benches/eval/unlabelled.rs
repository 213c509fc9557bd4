//! Sets whose owners do not say when something was wrong, and hosts of others that nobody scores: what
//! would be told on them. There is no truth to hold it against, so nothing of it is judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hostwell_tests::figures::{Figure, free};
use serde_json::Value;

use crate::bench::{Bench, lines};

/// Of this set one host is scored.
const SCORED_IN_PART: &str = "pcp";
/// It, and sets nobody scores.
const SETS: [&str; 6] = [
    "donut",
    "exathlon",
    "gitstore",
    SCORED_IN_PART,
    "self_proc",
    "tor_memory",
];

/// No row is judged; what was found, as a table.
pub(crate) fn score(bench: &mut Bench) -> (Vec<Figure>, String) {
    let mut rows = Vec::new();
    for set in SETS {
        let scored = match set {
            SCORED_IN_PART => bench.scored(set),
            _ => Vec::new(),
        };
        let mut tables = bench.tables(set);
        tables.retain(|host, _| !scored.iter().any(|(name, ..)| name == host));
        if tables.is_empty() {
            continue;
        }
        // A database of its own: a set's scored hosts are in one of its name.
        let name = format!("{set}, unlabelled");
        eprintln!("eval: import {name}");
        for (host, table) in &tables {
            bench.import((set, &name), table, host);
        }
        let found = lines(&bench.backtest(&name, &name, &[]));
        rows.push(vec![
            set.to_owned(),
            tables.len().to_string(),
            counted(&found),
        ]);
    }
    let table = free(&["set", "hosts", "findings by rule"], &rows);
    let mut printed = String::from("## Without labels\n\n");
    let _ = writeln!(
        printed,
        "What is found where nobody says what is right:\n\n{table}"
    );
    (Vec::new(), printed)
}

/// How many findings of each rule.
fn counted(found: &[Value]) -> String {
    let mut of_rules: BTreeMap<String, usize> = BTreeMap::new();
    for line in found {
        let rule = line["rule"].as_str().unwrap().to_owned();
        *of_rules.entry(rule).or_default() += 1;
    }
    let words: Vec<String> = of_rules
        .iter()
        .map(|(rule, n)| format!("{n} {rule}"))
        .collect();
    match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    }
}
