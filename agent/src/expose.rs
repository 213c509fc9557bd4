//! One sample for people and programs: `hostwell-agent once -o text|json|prometheus`.

use std::fmt::Write as _;

use hostwell_proto::metric::{Descriptor, Unit};
use serde::Serialize;

use crate::sample::{Sample, SeriesKey, SeriesTable};

/// Version of the JSON document; grows when a reader of the old one would misread the new one.
const SCHEMA_VERSION: u32 = 1;

/// One line for each value, in the catalogue's order, with units a person reads.
pub fn text(table: &SeriesTable, sample: &Sample) -> String {
    let rows: Vec<(String, String)> = sorted(table, sample)
        .into_iter()
        .map(|(key, value)| {
            let row = key.metric.descriptor();
            (
                format!("{}{}", row.name, labels(key)),
                readable(row.unit, value),
            )
        })
        .collect();
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .filter(|width| *width <= 90)
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<width$}  {value}");
    }
    out
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    time_ms: i64,
    samples: Vec<Value<'a>>,
}

#[derive(Serialize)]
struct Value<'a> {
    metric: &'a str,
    kind: &'a str,
    unit: &'a str,
    labels: serde_json::Map<String, serde_json::Value>,
    value: f64,
}

/// A document with `schema_version`, `time_ms` and `samples`.
pub fn json(table: &SeriesTable, sample: &Sample) -> String {
    let samples = sorted(table, sample)
        .into_iter()
        .map(|(key, value)| {
            let row = key.metric.descriptor();
            let pairs = row.labels.iter().zip(&key.label_values);
            Value {
                metric: row.name,
                kind: key.metric.prometheus_type(),
                unit: unit_name(row.unit),
                labels: pairs
                    .map(|(name, value)| ((*name).to_owned(), value.as_ref().into()))
                    .collect(),
                value,
            }
        })
        .collect();
    let document = Document {
        schema_version: SCHEMA_VERSION,
        time_ms: sample.time_ms,
        samples,
    };
    // Strings and finite numbers only: there is nothing that could fail to be written.
    let mut out = serde_json::to_string_pretty(&document).unwrap_or_default();
    out.push('\n');
    out
}

/// Prometheus' text format, without time stamps, as a scrape would see it.
pub fn prometheus(table: &SeriesTable, sample: &Sample) -> String {
    let mut out = String::new();
    let mut last: Option<&'static Descriptor> = None;
    for (key, value) in sorted(table, sample) {
        let row = key.metric.descriptor();
        if last.is_none_or(|last| last.name != row.name) {
            let kind = key.metric.prometheus_type();
            let _ = writeln!(out, "# HELP {} {}", row.name, help(row.help));
            let _ = writeln!(out, "# TYPE {} {kind}", row.name);
            last = Some(row);
        }
        let _ = writeln!(out, "{}{} {value}", row.name, labels(key));
    }
    out
}

/// The finite readings in the catalogue's order, series of a metric by their labels.
fn sorted<'a>(table: &'a SeriesTable, sample: &Sample) -> Vec<(&'a SeriesKey, f64)> {
    let mut rows: Vec<_> = sample
        .readings
        .iter()
        .filter(|(_, value)| value.is_finite())
        .filter_map(|(number, value)| Some((table.key(*number)?, *value)))
        .collect();
    rows.sort_by(|(a, _), (b, _)| {
        (a.metric.cmp(&b.metric)).then_with(|| natural(&a.label_values, &b.label_values))
    });
    rows
}

/// Numbers by value (`cpu="2"` before `cpu="10"`), words by letter.
fn natural(a: &[Box<str>], b: &[Box<str>]) -> std::cmp::Ordering {
    let order = |(a, b): (&str, &str)| match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    };
    let mut orders = a
        .iter()
        .zip(b)
        .map(|(a, b)| order((a.as_ref(), b.as_ref())));
    orders
        .find(|o| o.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

fn labels(key: &SeriesKey) -> String {
    let names = key.metric.descriptor().labels;
    if names.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = names
        .iter()
        .zip(&key.label_values)
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// A label value between quotes: the three escapes of the format, and no other control character,
/// because a terminal obeys those.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn help(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes/second",
        Unit::Ratio => "ratio",
        Unit::Count => "count",
        Unit::Celsius => "celsius",
        Unit::Flag => "flag",
    }
}

fn readable(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Bytes => bytes(value),
        Unit::BytesPerSecond => format!("{}/s", bytes(value)),
        Unit::Seconds => format!("{value} s"),
        Unit::Celsius => format!("{value} °C"),
        Unit::Ratio | Unit::Count | Unit::Flag => format!("{value}"),
    }
}

fn bytes(value: f64) -> String {
    let mut scaled = value;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if scaled.abs() < 1024.0 {
            return match unit {
                "B" => format!("{scaled} B"),
                _ => format!("{scaled:.1} {unit}"),
            };
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1} PiB")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use hostwell_proto::metric::Metric;

    use super::*;

    fn check(print: fn(&SeriesTable, &Sample) -> String, expected: &Expect) {
        let mut table = SeriesTable::default();
        let mut readings = Vec::new();
        for (metric, label_values, value) in [
            (Metric::CpuSeconds, &["10", "idle"][..], 12.25),
            (Metric::CpuSeconds, &["2", "idle"], 0.5),
            (Metric::MemTotal, &[], 25_276_944_384.0),
            (
                Metric::FilesystemSize,
                &["/dev/a", "ext4", "/a \"b\"\\\n\u{1b}"],
                1e21,
            ),
            (Metric::PageFaults, &[], f64::NAN),
        ] {
            readings.push((table.number(metric, label_values), value));
        }
        let sample = Sample {
            time_ms: 1_700_000_000_000,
            readings,
        };
        expected.assert_eq(&print(&table, &sample));
    }

    #[test]
    fn prometheus_text_has_help_and_type_once_and_escapes_labels() {
        check(
            prometheus,
            &expect![[r##"
            # HELP node_cpu_seconds_total Seconds each CPU spent in each mode.
            # TYPE node_cpu_seconds_total counter
            node_cpu_seconds_total{cpu="2",mode="idle"} 0.5
            node_cpu_seconds_total{cpu="10",mode="idle"} 12.25
            # HELP node_memory_MemTotal_bytes Memory the kernel manages.
            # TYPE node_memory_MemTotal_bytes gauge
            node_memory_MemTotal_bytes 25276944384
            # HELP node_filesystem_size_bytes Size of the file system.
            # TYPE node_filesystem_size_bytes gauge
            node_filesystem_size_bytes{device="/dev/a",fstype="ext4",mountpoint="/a \"b\"\\\n�"} 1000000000000000000000
        "##]],
        );
    }

    #[test]
    fn text_is_aligned_and_scaled_for_people() {
        check(
            text,
            &expect![[r#"
            node_cpu_seconds_total{cpu="2",mode="idle"}                                           0.5 s
            node_cpu_seconds_total{cpu="10",mode="idle"}                                          12.25 s
            node_memory_MemTotal_bytes                                                            23.5 GiB
            node_filesystem_size_bytes{device="/dev/a",fstype="ext4",mountpoint="/a \"b\"\\\n�"}  888178.4 PiB
        "#]],
        );
    }

    #[test]
    fn json_carries_a_schema_version_and_leaves_out_what_is_not_a_number() {
        check(
            json,
            &expect![[r#"
            {
              "schema_version": 1,
              "time_ms": 1700000000000,
              "samples": [
                {
                  "metric": "node_cpu_seconds_total",
                  "kind": "counter",
                  "unit": "seconds",
                  "labels": {
                    "cpu": "2",
                    "mode": "idle"
                  },
                  "value": 0.5
                },
                {
                  "metric": "node_cpu_seconds_total",
                  "kind": "counter",
                  "unit": "seconds",
                  "labels": {
                    "cpu": "10",
                    "mode": "idle"
                  },
                  "value": 12.25
                },
                {
                  "metric": "node_memory_MemTotal_bytes",
                  "kind": "gauge",
                  "unit": "bytes",
                  "labels": {},
                  "value": 25276944384.0
                },
                {
                  "metric": "node_filesystem_size_bytes",
                  "kind": "gauge",
                  "unit": "bytes",
                  "labels": {
                    "device": "/dev/a",
                    "fstype": "ext4",
                    "mountpoint": "/a \"b\"\\\n\u001b"
                  },
                  "value": 1e+21
                }
              ]
            }
        "#]],
        );
    }
}
