//! docs/metrics.md is printed from the catalogue and the table of probes.
//! `UPDATE_EXPECT=1 cargo test -p hostwell-agent --test metrics_doc` prints it anew.

use std::fmt::Write as _;

use expect_test::expect_file;
use hostwell_agent::probe::{ABSENT_RETRY_TICKS, PROBES, Pace};
use hostwell_proto::metric::{ALL, DERIVED, Family, Kind, Metric, NOT_SAMPLED, Unit};

const INTRO: &str = "\
# Metrics

*Printed from the catalogue (`proto/src/metric.rs`) and the table of probes; a test holds it equal.*

Names, units and labels are those of node_exporter where it has the metric; `hostwell_*` stands for
what it lacks. Counters are raw and cumulative: rates are derived when they are read. Units are base
units: seconds, bytes, ratio 0 to 1. Some counters of node_exporter have names without `_total`
(`node_vmstat_*`, `node_netstat_*`): Prometheus' text format calls those `untyped`.
What is in none of these tables keeps its own name and is stored as an uncatalogued series.
";

const FAMILIES: &[(Family, &str)] = &[
    (Family::Cpu, "CPU"),
    (Family::Memory, "Memory"),
    (Family::Network, "Network"),
    (Family::Disk, "Disks"),
    (Family::Filesystem, "File systems"),
    (Family::System, "System"),
    (Family::Own, "Hostwell itself"),
];

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes/s",
        Unit::Ratio => "ratio",
        Unit::Count => "count",
        Unit::Celsius => "°C",
        Unit::Flag => "0 or 1",
    }
}

fn family(out: &mut String, family: Family, title: &str) {
    let head =
        "| metric | labels | kind | unit | OpenTelemetry | what |\n|---|---|---|---|---|---|";
    let _ = writeln!(out, "\n## {title}\n\n{head}");
    let of_family = |metric: &&Metric| metric.descriptor().family == family;
    for metric in ALL.iter().filter(of_family).filter(|m| !m.is_derived()) {
        line(out, *metric);
    }
}

fn line(out: &mut String, metric: Metric) {
    let row = metric.descriptor();
    let kind = match row.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let otel = match row.otel {
        "" => String::new(),
        otel => format!("`{otel}`"),
    };
    let labels = row.labels.join(", ");
    let unit = unit(row.unit);
    let _ = writeln!(
        out,
        "| `{}` | {labels} | {kind} | {unit} | {otel} | {} |",
        row.name, row.help
    );
}

/// What the collector computes from the others.
fn derived(out: &mut String) {
    let _ = write!(
        out,
        "\n## Derived\n\nNo agent samples these: the collector computes them from the metrics above, \
         when it is asked for them\nand for its rollups. They are queried like any gauge. A value \
         that lies between two samples carries the\ntime of the older one.\n\n\
         | metric | labels | kind | unit | OpenTelemetry | what |\n|---|---|---|---|---|---|\n"
    );
    for metric in DERIVED {
        line(out, *metric);
    }
}

fn probes(out: &mut String) {
    let _ = write!(
        out,
        "\n## Probes\n\nEach probe reads one subject, in this order, and reports \
         `hostwell_probe_duration_seconds` and\n`hostwell_probe_success`. Slow subjects are read \
         once a minute at any interval (`probes.slow_every`),\nwhich is at every n-th tick, spread \
         so that they do not meet. What a host lacks is looked for again\nevery \
         {ABSENT_RETRY_TICKS} ticks. A probe that has not answered by its deadline is left behind \
         and the others go on.\n\n| probe | read at | deadline |\n|---|---|---|\n"
    );
    for spec in PROBES {
        let every = match spec.pace {
            Pace::Hot => "every tick",
            Pace::Slow => "once a minute",
        };
        let _ = writeln!(out, "| {} | {every} | {} ms |", spec.name, spec.deadline_ms);
    }
}

fn not_sampled(out: &mut String) {
    let title = "What node_exporter has and Hostwell does not sample";
    let _ = writeln!(out, "\n## {title}\n\n| metric | why not |\n|---|---|");
    for (name, reason) in NOT_SAMPLED {
        let _ = writeln!(out, "| `{name}` | {reason} |");
    }
}

#[test]
fn the_document_says_what_the_catalogue_says() {
    let mut out = INTRO.to_owned();
    for (which, title) in FAMILIES {
        family(&mut out, *which, title);
    }
    derived(&mut out);
    probes(&mut out);
    not_sampled(&mut out);
    expect_file!["../../docs/metrics.md"].assert_eq(&out);
}

#[test]
fn every_metric_is_in_a_chapter() {
    for metric in ALL {
        let family = metric.descriptor().family;
        let printed = FAMILIES.iter().any(|(f, _)| *f == family);
        assert!(printed, "{}", metric.name());
    }
}
