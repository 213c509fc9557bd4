//! Rules whose truth is known: a host that fell silent and booted, CPUs that were busy for long, and how
//! often somebody would have been told.

use std::fmt::Write as _;
use std::path::Path;

use hostwell_tests::figures::Figure;
use serde_json::Value;

use crate::bench::{Bench, lines, number};

const WEEK_MS: f64 = 7.0 * 86_400_000.0;

/// Rule, kind of label, tolerance in milliseconds, the delay in minutes that is too long (three
/// intervals of a minute and one more, two samples, two samples), and what a trivial rule needs.
const BOOTS: [(&str, &str, &str, f64, &str); 3] = [
    ("host_down", "no_data", "180000", 4.0, "3"),
    ("reboot", "reboot", "120000", 2.0, "below 0.5"),
    ("flapping", "flapping", "600000", 2.0, "below 0.5"),
];

/// The rows that are judged, and what the scorer printed.
pub(crate) fn score(bench: &mut Bench) -> (Vec<Figure>, String) {
    let (mut rows, mut printed) = (Vec::new(), String::from("```text\n"));
    bench.import_scored("pcp");
    let findings = bench.backtest("pcp", "pcp", &[]);
    for (rule, kind, tolerance, delay_max, reference) in BOOTS {
        let exact = format!("^{rule}$");
        let words = [
            "--rule", &exact, "--kind", kind, "--tol-ms", tolerance, "--gap-ms", "60000",
        ];
        let scores = bench.findings("pcp", &findings, &words);
        let _ = writeln!(printed, "{rule}: {scores}");
        rows.extend(exactness(rule, &scores, (1.0, 0.95)).map(|row| row.beside("1")));
        let what = format!("{rule}: median delay, minutes");
        let delay = number(&scores, "delay_min");
        rows.push(Figure::below(&what, (delay_max, delay_max), delay).beside(reference));
    }
    bench.import_scored("bitbrains");
    let findings = bench.backtest("bitbrains", "bitbrains", &[]);
    let words = ["--rule", "^cpu_saturation$", "--kind", "cpu_sat"];
    let scores = bench.findings("bitbrains", &findings, &words);
    let _ = writeln!(printed, "cpu_saturation: {scores}\n```\n");
    rows.extend(exactness("cpu_saturation", &scores, (0.98, 0.98)));
    let unusual = weekly(bench, &findings, |line| line["rule"] == "anomaly");
    rows.push(
        Figure::below("bitbrains: anomalies a host and week", (1.5, 0.5), unusual).beside("1.15"),
    );
    let findings = bench.backtest_by_default("bitbrains");
    let told = weekly(bench, &findings, |line| line["notified"] == true);
    rows.push(Figure::below(
        "bitbrains: notifications a host and week, by default",
        (2.0, 2.0),
        told,
    ));
    (rows, printed)
}

fn exactness(rule: &str, scores: &Value, (recall, precision): (f64, f64)) -> [Figure; 2] {
    let figure = |name: &str, must: f64| {
        let what = format!("{rule}: {name}");
        Figure::above(&what, (must, must), number(scores, name))
    };
    [figure("recall", recall), figure("precision", precision)]
}

/// How many findings of a kind were raised in scored time, a host and week.
fn weekly(bench: &Bench, findings: &Path, counts: impl Fn(&Value) -> bool) -> f64 {
    let scored = bench.scored("bitbrains");
    let weeks: f64 = scored
        .iter()
        .map(|(_, from, to)| (to - from) as f64 / WEEK_MS)
        .sum();
    let raised = lines(findings).into_iter().filter(|line| {
        let start_ms = line["start_ms"].as_i64().unwrap();
        let mut hosts = scored.iter();
        let host = hosts.find(|(host, ..)| line["host"] == host.as_str());
        counts(line) && host.is_some_and(|(_, from, to)| (*from..*to).contains(&start_ms))
    });
    raised.count() as f64 / weeks
}
