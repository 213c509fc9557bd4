//! Where a level will be in some days.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use hostwell::forecast::{Class, Hours};
use hostwell_tests::figures::Figure;
use serde_json::json;

use crate::SPLIT;
use crate::table::{Table, whole};

/// A forecast for each task, with nothing but the samples up to its moment, which also tell whether it
/// is a store; the tasks' own class is only what they are scored by.
pub(crate) fn forecasts(data: &Path) -> String {
    let folder = data.join("forecast_tasks").join(SPLIT);
    let tasks = Table::read(&folder.join("tasks.csv.bz2"));
    let at = |name: &str| tasks.column(name);
    let (file, host, metric, origin, horizon) = (
        at("file"),
        at("host"),
        at("metric"),
        at("origin_ms"),
        at("horizon_ms"),
    );
    let mut by_series: BTreeMap<(&str, &str), Vec<Vec<&str>>> = BTreeMap::new();
    for row in tasks.rows() {
        let of = by_series.entry((row[file], row[metric]));
        of.or_default().push(row);
    }
    let mut text = String::new();
    let mut open: Option<(&str, Table)> = None;
    for ((path, name), rows) in by_series {
        if open.as_ref().is_none_or(|(last, _)| *last != path) {
            open = Some((path, Table::read(&data.join(path))));
        }
        let Some((_, table)) = &open else { continue };
        let hours = Hours::of(table.points(name));
        for row in rows {
            let moment = (whole(row[origin]).unwrap(), whole(row[horizon]).unwrap());
            let found = Class::of(&hours, moment.0).fit(&hours, moment.0);
            let Some(forecast) = found.map(|fit| fit.at(moment.1)) else {
                continue;
            };
            let line = json!({
                "host": row[host], "metric": name,
                "made_at_ms": moment.0, "horizon_ms": moment.1,
                "value": forecast.value, "lo80": forecast.low80, "hi80": forecast.high80,
            });
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// The rows that are judged, of what the scorer printed.
pub(crate) fn figures(scores: &str) -> Vec<Figure> {
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
    // Of the reference's storage forecast on these halves, in percent of the level.
    let width_reference = 0.73;
    vec![
        Figure::below(
            "storage, 7 days: error ÷ the last value's",
            (0.60, 0.45),
            growing("rel_last"),
        ),
        Figure::below(
            "storage: tasks twice as wrong",
            (0.08, 0.04),
            growing("worse2x"),
        ),
        Figure::above(
            "storage: the 80 % band covers at least",
            (0.72, 0.76),
            growing("cov80"),
        ),
        Figure::below(
            "storage: the 80 % band covers at most",
            (0.88, 0.84),
            growing("cov80"),
        ),
        Figure::below(
            "storage: width of the band ÷ the reference's",
            (1.2, 1.2),
            growing("width80") / width_reference,
        ),
        Figure::below(
            "others, 7 days: error ÷ the last value's",
            (1.05, 0.95),
            all("rel_last"),
        ),
        Figure::below("others: tasks twice as wrong", (0.03, 0.02), all("worse2x")),
        Figure::above(
            "others: the 80 % band covers at least",
            (0.75, 0.77),
            all("cov80"),
        ),
        Figure::below(
            "others: the 80 % band covers at most",
            (0.90, 0.85),
            all("cov80"),
        ),
    ]
}
