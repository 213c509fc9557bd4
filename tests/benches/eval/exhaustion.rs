//! Warnings before something is full: real growth towards a capacity that was chosen so that the
//! moment it is full is known.

use std::fmt::Write as _;
use std::path::Path;

use hostwell::forecast::{Alarm, DAY_MS, HOUR_MS, Hours, filling};
use hostwell_tests::figures::Figure;
use serde_json::{Value, json};

use crate::SPLIT;
use crate::table::{Table, whole};

/// The last weeks are enough for a question about now.
const KEPT_MS: i64 = 15 * DAY_MS;

/// The warnings of every case, hour by hour, as a collector would give them.
pub(crate) fn warnings(data: &Path) -> String {
    let folder = data.join("exhaustion").join(SPLIT);
    let cases = Table::read(&folder.join("cases.csv"));
    let at = |name: &str| cases.column(name);
    let (case, file, capacity, to) = (at("case"), at("file"), at("capacity"), at("to_ms"));
    let mut text = String::new();
    for row in cases.rows() {
        let points = Table::read(&folder.join(row[file])).points("used");
        let end_ms = whole(row[to]).unwrap();
        let mut tell = |(start_ms, eta_ms): (i64, i64), end_ms: i64| {
            let line = json!({
                "host": row[case], "metric": "used", "rule": "exhaustion",
                "start_ms": start_ms, "end_ms": end_ms, "eta_ms": eta_ms,
            });
            let _ = writeln!(text, "{line}");
        };
        let (mut hours, mut alarm) = (Hours::default(), Alarm::default());
        let (mut next, limit) = (0, row[capacity].parse().unwrap());
        let Some(first_ms) = points.first().map(|p| p.0) else {
            continue;
        };
        let mut now_ms = (first_ms.div_euclid(HOUR_MS) + 1) * HOUR_MS;
        while now_ms <= end_ms {
            while next < points.len() && points[next].0 < now_ms {
                hours.push(points[next].0, points[next].1);
                next += 1;
            }
            // The hour that ends now is over.
            hours.close();
            hours.forget_until(now_ms - KEPT_MS);
            if let Some(ended) = alarm.note(now_ms, filling(&hours, now_ms, limit)) {
                tell(ended, now_ms);
            }
            now_ms += HOUR_MS;
        }
        if let Some(on) = alarm.on {
            tell(on, end_ms);
        }
    }
    text
}

/// The rows that are judged, of what the scorer printed.
pub(crate) fn figures(scores: &str) -> Vec<Figure> {
    let scores: Value = serde_json::from_str(scores).unwrap();
    let value = |name: &str| scores[name].as_f64().unwrap_or(f64::NAN);
    vec![
        Figure::above(
            "full: warned 24 h before",
            (0.92, 0.95),
            value("recall_24h"),
        ),
        Figure::above(
            "full: warned 72 h before",
            (0.48, 0.65),
            value("recall_72h"),
        ),
        Figure::below(
            "full: false warnings a series and week",
            (0.04, 0.015),
            value("false_per_series_week"),
        ),
        Figure::below(
            "full: error of the date ÷ lead",
            (0.6, 0.4),
            value("eta_rel_err"),
        ),
        Figure::below(
            "full: part of the time wrongly on",
            (0.02, 0.005),
            value("wrong_on_frac"),
        ),
    ]
}
