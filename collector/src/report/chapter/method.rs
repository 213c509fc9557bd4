//! The appendix: what each number is made of, so that anybody can check it.

use super::Context;
use crate::report::document::*;
use crate::report::words;

/// (indicator, how it is computed, what shows the raw samples).
const INDICATORS: &[(&str, &str, &str)] = &[
    (
        "CPU",
        "Share of CPU time over the last minute that was neither idle nor waiting for disks.",
        "hostwell query node_cpu_seconds_total --agg rate --by mode",
    ),
    (
        "Load",
        "One-minute mean of runnable and blocked tasks, over the number of cores; beside it the \
         share of time in which tasks waited, where the kernel reports pressure (PSI).",
        "hostwell query node_load1",
    ),
    (
        "Memory",
        "1 minus available over total: what applications cannot get without swapping. Caches \
         count as available.",
        "hostwell query node_memory_MemAvailable_bytes",
    ),
    (
        "Network",
        "Bytes received plus bytes sent each second, over all watched interfaces; judged by the \
         fullest link's share of its speed.",
        "hostwell query node_network_receive_bytes_total --agg rate --by device",
    ),
    (
        "Disk",
        "The fullest writable filesystem the way df shows it: used over used plus available, each \
         filesystem once. Beside it the busiest device: its share of time with requests in flight.",
        "hostwell query node_filesystem_avail_bytes --by mountpoint",
    ),
];

pub(super) fn blocks(context: &Context) -> Vec<Block> {
    let mut blocks = vec![
        paragraph(
            "Every number comes from samples that the agents took on the hosts and that are still \
             in the database; the commands show them. Rates are computed from raw counters and \
             survive restarts of a host.",
        ),
        Block::Definitions(Definitions {
            items: INDICATORS
                .iter()
                .map(|row| indicator(context, row))
                .collect(),
        }),
    ];
    if !context.input.rules.is_empty() {
        blocks.push(Block::Table(rules(context)));
    }
    blocks.push(Block::Definitions(Definitions {
        items: facts(context),
    }));
    blocks
}

fn indicator(context: &Context, row: &(&str, &str, &str)) -> Definition {
    let of_hosts = context.input.hosts.iter().flat_map(|host| &host.indicators);
    let levels = of_hosts
        .filter(|i| i.name == row.0 && !i.levels.is_empty())
        .map(|i| &i.levels)
        .next();
    match levels {
        Some(levels) => definition(
            row.0,
            &format!("{} Levels: {}.", row.1, levels.trim_end_matches('.')),
            row.2,
        ),
        None => definition(row.0, row.1, row.2),
    }
}

fn rules(context: &Context) -> Table {
    Table {
        caption: "Rules that judged the hosts".into(),
        columns: columns(&["Rule", "Opens a finding when", "What ignoring it costs"]),
        rows: context
            .input
            .rules
            .iter()
            .map(|note| {
                vec![
                    code(&note.rule),
                    cell(&note.opens_when),
                    cell(&note.if_ignored),
                ]
            })
            .collect(),
        omitted: 0,
        omitted_hint: String::new(),
    }
}

fn facts(context: &Context) -> Vec<Definition> {
    let collector = &context.input.collector;
    let period = &context.input.period;
    let span = words::duration(period.to_ms - period.from_ms);
    let mut facts = vec![
        definition(
            "Host states",
            "Healthy: data is fresh and no warning or critical finding is open. At risk: a warning \
             is open. Critical: a critical finding is open. Unknown: not enough data to say.",
            "hostwell hosts",
        ),
        definition(
            "Period",
            &format!(
                "{} to {} ({span})",
                words::time(period.from_ms),
                words::time(period.to_ms)
            ),
            "",
        ),
    ];
    if !collector.source.is_empty() {
        facts.push(definition("Source", &collector.source, "hostwell doctor"));
    }
    if collector.samples > 0 {
        let since = collector
            .oldest_ms
            .map(|at| format!(", the oldest from {}", words::time(at)))
            .unwrap_or_default();
        let held = format!(
            "{} samples of {} series in {}{since}.",
            words::count(collector.samples),
            words::count(collector.series),
            words::bytes(collector.file_bytes as f64),
        );
        facts.push(definition("Database", &held, ""));
    }
    facts.push(definition(
        "Made by",
        &format!(
            "Hostwell {}, report format {SCHEMA_VERSION}.",
            collector.version
        ),
        "",
    ));
    facts
}

fn definition(term: &str, text: &str, command: &str) -> Definition {
    Definition {
        term: term.into(),
        text: text.into(),
        command: command.into(),
    }
}
