//! How one host in depth is laid out.

use std::io;

use serde_json::{Value, json};

use crate::answer::range::format_ms;
use crate::answer::{Filesystem, HostInDepth, Interface};
use crate::cli::console::Console;
use crate::cli::hosts::labels;
use crate::cli::output::Records;
use crate::cli::table::{Align, Cell, Table, Tone};
use crate::cli::words;
use crate::indicators::Verdict;
use crate::words::{bytes, bytes_of, bytes_per_second, duration, number, percent, seconds};

/// Everything as (section, subject, name, value).
pub(super) fn records(depth: &HostInDepth) -> Records {
    let mut rows = Rows(Records::new(&["section", "subject", "name", "value"]));
    registered(depth, &mut rows);
    for indicator in depth.indicators.all() {
        let name = indicator.name.to_lowercase();
        rows.add("indicator", &name, "verdict", json!(indicator.verdict));
        for figure in &indicator.figures {
            let what = format!("{} {} {}", figure.name, figure.of, figure.unit);
            let what: Vec<&str> = what.split_whitespace().collect();
            rows.add("indicator", &name, &what.join(" "), json!(figure.value));
        }
    }
    devices(depth, &mut rows);
    processes(depth, &mut rows);
    let known = &depth.availability;
    for (name, value) in [
        ("ratio", json!(known.ratio())),
        ("up_seconds", json!(known.up_ms() as f64 / 1000.0)),
        ("down_seconds", json!(known.down_ms() as f64 / 1000.0)),
        ("unknown_seconds", json!(known.unknown_ms() as f64 / 1000.0)),
        ("coverage_ratio", json!(known.coverage.ratio())),
    ] {
        rows.add("availability", "", name, value);
    }
    for (reason, count) in &depth.host.refused {
        rows.add("refused", "", reason, json!(count));
    }
    rows.add(
        "spool",
        "",
        "dropped_samples",
        json!(depth.host.dropped_samples),
    );
    for finding in &depth.findings {
        rows.add(
            "finding",
            &finding.subject,
            &finding.rule,
            json!(finding.summary),
        );
    }
    for one in depth.outcomes.iter().flat_map(|all| &all.rules) {
        rows.add("outcome", "", &one.rule, json!(one.outcome));
    }
    rows.0
}

struct Rows(Records);

impl Rows {
    fn add(&mut self, section: &str, subject: &str, name: &str, value: Value) {
        self.0
            .row(vec![json!(section), json!(subject), json!(name), value]);
    }
}

fn registered(depth: &HostInDepth, rows: &mut Rows) {
    let host = &depth.host;
    let facts = &host.facts;
    for (section, name, value) in [
        ("host", "name", json!(host.name)),
        ("host", "id", json!(host.id)),
        ("host", "state", json!(depth.state)),
        ("host", "last_sample", words::moment(host.last_sample_ms)),
        ("fact", "os", json!(facts.os)),
        ("fact", "kernel", json!(facts.kernel)),
        ("fact", "arch", json!(facts.arch)),
        ("fact", "cpus", json!(facts.cpus)),
        ("fact", "memory_bytes", json!(facts.memory_bytes)),
        ("fact", "agent_version", json!(facts.agent_version)),
        (
            "clock",
            "skew_seconds",
            json!(host.clock_skew_ms as f64 / 1000.0),
        ),
    ] {
        rows.add(section, "", name, value);
    }
    for (name, value) in &host.labels {
        rows.add("label", "", name, json!(value));
    }
}

fn devices(depth: &HostInDepth, rows: &mut Rows) {
    for fs in &depth.filesystems {
        for (name, value) in [
            ("size_bytes", json!(fs.size_bytes)),
            ("avail_bytes", json!(fs.avail_bytes)),
            ("readonly", json!(fs.readonly)),
            ("stuck", json!(fs.stuck)),
        ] {
            rows.add("filesystem", &fs.mountpoint, name, value);
        }
    }
    for one in &depth.interfaces {
        for (name, value) in [
            (
                "receive_bytes_per_second",
                json!(one.receive_bytes_per_second),
            ),
            (
                "transmit_bytes_per_second",
                json!(one.transmit_bytes_per_second),
            ),
            ("errors", json!(one.errors)),
            ("drops", json!(one.drops)),
        ] {
            rows.add("interface", &one.device, name, value);
        }
    }
}

/// Who used it most: a row a user, its number as the row's name.
fn processes(depth: &HostInDepth, rows: &mut Rows) {
    let Some(noted) = &depth.processes else {
        return;
    };
    let moment = words::moment(Some(noted.at_ms));
    rows.add("processes", "", "as_of", moment);
    for (section, users) in [
        ("process_cpu", &noted.cpu),
        ("process_memory_bytes", &noted.memory),
        ("process_disk_bytes_per_second", &noted.disk),
    ] {
        for user in users {
            let value = match section {
                "process_cpu" => json!(user.cpu + user.children_cpu),
                "process_memory_bytes" => json!(user.resident_bytes),
                _ => json!(user.read_bytes_per_second + user.write_bytes_per_second),
            };
            let pid = user.pid.map_or_else(String::new, |pid| pid.to_string());
            rows.add(section, &user.name, &pid, value);
        }
    }
}

/// The page for people.
pub(super) fn print(depth: &HostInDepth, console: &mut Console) -> io::Result<()> {
    console.table(&heading(depth))?;
    console.line("")?;
    findings(depth, console)?;
    if let Some(outcomes) = &depth.outcomes {
        console.line(&outcomes.words(true))?;
    }
    console.line("")?;
    console.table(&indicators(depth))?;
    if !depth.filesystems.is_empty() {
        console.line("")?;
        console.table(&filesystems(&depth.filesystems))?;
    }
    if !depth.interfaces.is_empty() {
        console.line("")?;
        console.table(&interfaces(&depth.interfaces))?;
    }
    if let Some(noted) = &depth.processes {
        console.line("")?;
        crate::cli::processes::busiest(noted, console)?;
    }
    console.line("")?;
    console.table(&delivery(depth))
}

fn heading(depth: &HostInDepth) -> Table {
    let host = &depth.host;
    let facts = &host.facts;
    let mut table = Table::new(&[("HOST", Align::Left), (&host.name, Align::Wrapped)]);
    let mut row = |name: &str, cell: Cell| table.row(vec![name.into(), cell]);
    row("state", words::state(depth.state));
    row(
        "newest sample",
        match (host.last_sample_ms, depth.age_ms) {
            (Some(ms), Some(age_ms)) => {
                format!("{}, {} old", format_ms(ms), words::span(age_ms)).into()
            }
            _ => "none yet".into(),
        },
    );
    if let Some(retired_ms) = host.retired_ms {
        row("retired", format_ms(retired_ms).into());
    }
    let inside = match facts.virtualisation.as_str() {
        "" | "none" => String::new(),
        inside => format!(", {inside}"),
    };
    let machine = format!(
        "{} CPU{}, {} memory, {}{inside}",
        facts.cpus,
        if facts.cpus == 1 { "" } else { "s" },
        bytes(facts.memory_bytes as f64),
        facts.arch
    );
    row("machine", machine.into());
    row(
        "system",
        format!("{}, kernel {}", facts.os, facts.kernel).into(),
    );
    if facts.boot_time_ms > 0 {
        row("booted", format_ms(facts.boot_time_ms).into());
    }
    if !host.labels.is_empty() {
        row("labels", labels(&host.labels).into());
    }
    let agent = format!(
        "{}, every {}, first seen {}",
        facts.agent_version,
        duration(host.interval_ms),
        format_ms(host.first_seen_ms)
    );
    row("agent", agent.into());
    row("id", Cell::toned(&host.id, Tone::Faint));
    table
}

fn findings(depth: &HostInDepth, console: &mut Console) -> io::Result<()> {
    if depth.findings.is_empty() {
        return console.line("No open findings.");
    }
    let mut table = Table::new(&[
        ("FINDING", Align::Right),
        ("SEVERITY", Align::Left),
        ("SINCE", Align::Left),
        ("WHAT", Align::Wrapped),
    ]);
    for finding in &depth.findings {
        table.row(vec![
            finding.id.to_string().into(),
            words::severity(finding),
            format_ms(finding.since_ms).into(),
            (&finding.summary).into(),
        ]);
    }
    console.table(&table)
}

/// Cells of an indicator's course.
const COURSE: usize = 24;

fn indicators(depth: &HostInDepth) -> Table {
    let span = duration(depth.to_ms - depth.from_ms);
    let mut table = Table::new(&[
        ("INDICATOR", Align::Left),
        ("VERDICT", Align::Left),
        (&format!("LAST {span}").to_uppercase(), Align::Left),
        ("NOW", Align::Wrapped),
    ]);
    for indicator in depth.indicators.all() {
        let course = indicator.trend.as_ref().map_or(String::new(), |trend| {
            let means: Vec<Option<f64>> = trend.points.iter().map(|p| p.map(|p| p[1])).collect();
            // A ratio stands against the whole, so that its height tells how full it is.
            let whole = (indicator.unit == "ratio").then_some((0.0, 1.0));
            crate::cli::chart::course(&means, COURSE, whole)
        });
        let mut row = vec![
            (&indicator.name).into(),
            words::verdict(indicator.verdict),
            course.into(),
            (&indicator.words).into(),
        ];
        if indicator.verdict != Verdict::Ok
            && let Some(levels) = &indicator.levels
        {
            row[3] = format!(
                "{} Watch from {}, risk from {}.",
                indicator.words,
                level(levels.watch, &indicator.unit),
                level(levels.risk, &indicator.unit)
            )
            .into();
        }
        table.row(row);
    }
    table
}

fn level(value: f64, unit: &str) -> String {
    match unit {
        // The network's levels are shares of the link's speed.
        "ratio" | "bytes_per_second" => percent(value),
        _ => number(value),
    }
}

fn filesystems(all: &[Filesystem]) -> Table {
    let mut table = Table::new(&[
        ("FILESYSTEM", Align::Flexible),
        ("USED", Align::Right),
        ("LEFT", Align::Left),
        ("INODES", Align::Right),
        ("TYPE", Align::Left),
        ("DEVICE", Align::Flexible),
    ]);
    for fs in all {
        let state = if fs.stuck {
            Cell::toned("STUCK", Tone::Bad)
        } else if fs.readonly {
            Cell::toned("read-only", Tone::Faint)
        } else {
            fs.used_ratio.map_or("-".into(), percent).into()
        };
        let left = match (fs.avail_bytes, fs.size_bytes) {
            (Some(avail), Some(size)) => bytes_of(avail, size),
            _ => "-".into(),
        };
        table.row(vec![
            (&fs.mountpoint).into(),
            state,
            left.into(),
            fs.inodes_used_ratio.map_or("-".into(), percent).into(),
            (&fs.fstype).into(),
            (&fs.device).into(),
        ]);
    }
    table
}

fn interfaces(all: &[Interface]) -> Table {
    let mut table = Table::new(&[
        ("INTERFACE", Align::Flexible),
        ("STATE", Align::Left),
        ("IN", Align::Right),
        ("OUT", Align::Right),
        ("SPEED", Align::Right),
        ("ERRORS", Align::Right),
        ("DROPS", Align::Right),
    ]);
    let rate = |value: Option<f64>| Cell::from(value.map_or("-".into(), bytes_per_second));
    let count = |value: Option<f64>| Cell::from(value.map_or("-".into(), number));
    for one in all {
        table.row(vec![
            (&one.device).into(),
            match one.up {
                Some(true) => "up".into(),
                Some(false) => Cell::toned("down", Tone::Watch),
                None => "-".into(),
            },
            rate(one.receive_bytes_per_second),
            rate(one.transmit_bytes_per_second),
            rate(one.speed_bytes),
            count(one.errors),
            count(one.drops),
        ]);
    }
    table
}

/// How well its data arrives: clock, refusals, drops.
fn delivery(depth: &HostInDepth) -> Table {
    let host = &depth.host;
    let mut table = Table::new(&[("DELIVERY", Align::Left), ("", Align::Wrapped)]);
    let mut row = |name: &str, text: String| table.row(vec![name.into(), text.into()]);
    let known = &depth.availability;
    let span = duration(depth.to_ms - depth.from_ms);
    row(
        "availability",
        match known.ratio() {
            Some(ratio) => format!(
                "{} of the last {span}: {} up, {} down, {} unknown",
                percent(ratio),
                words::span(known.up_ms()),
                words::span(known.down_ms()),
                words::span(known.unknown_ms())
            ),
            None => "not enough data".into(),
        },
    );
    row(
        "coverage",
        match known.coverage.ratio() {
            Some(ratio) => format!(
                "{}: {} of {} samples due",
                percent(ratio),
                // The tick at either end may fall inside as well.
                known.coverage.received.min(known.coverage.expected),
                known.coverage.expected
            ),
            None => "not enough data".into(),
        },
    );
    row(
        "clock",
        match host.clock_skew_ms {
            ms if ms.abs() < 1_000 => "as the collector's".to_string(),
            ms if ms > 0 => format!("{} ahead of the collector's", seconds(ms as f64 / 1000.0)),
            ms => format!("{} behind the collector's", seconds(-ms as f64 / 1000.0)),
        },
    );
    let refused: Vec<String> = host
        .refused
        .iter()
        .map(|(reason, count)| format!("{reason}: {count}"))
        .collect();
    row(
        "refused",
        match refused.is_empty() {
            true => "nothing".to_string(),
            false => refused.join(", "),
        },
    );
    row(
        "dropped",
        match host.dropped_samples {
            0 => "nothing".to_string(),
            n => format!("{n} samples from its spool"),
        },
    );
    for gap in &depth.gaps {
        let text = format!(
            "{} to {}: {} samples, {}",
            format_ms(gap.from_ms),
            format_ms(gap.to_ms),
            gap.samples,
            gap.reason
        );
        row("gap", text);
    }
    table
}
