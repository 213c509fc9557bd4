//! The first page: one sentence, the figures behind it, three things to do, the worst hosts.

use std::collections::BTreeMap;

use super::Context;
use crate::report::document::*;
use crate::report::input::Input;
use crate::report::standing::{self, Fleet, Standing};
use crate::report::words;
use crate::rules::{Finding, Severity};

/// A reader keeps three things in mind, not ten.
const ACTIONS_MAX: usize = 3;
/// Hosts on the first page.
const WORST_MAX: usize = 10;
/// Below this the verdict says that it stands on thin ground.
const COVERAGE_THIN_RATIO: f64 = 0.9;

/// A history shorter than this has not seen a whole day.
const YOUNG_MS: i64 = 24 * 3_600_000;

/// The verdict for programs, which the first chapter puts into blocks.
pub(in crate::report) fn summary(input: &Input, fleet: &Fleet) -> Summary {
    let at_risk = fleet.count(|s| s >= Status::Watch);
    let unknown = fleet.count(|s| s == Status::Unknown);
    let of = |severity| fleet.open.iter().filter(|f| f.severity == severity).count();
    let judged = || input.hosts.iter().filter(|h| h.retired_ms.is_none());
    let up: i64 = judged().map(|h| h.availability.up_ms).sum();
    let down: i64 = judged().map(|h| h.availability.down_ms).sum();
    let expected: u64 = judged().map(|h| h.coverage.expected).sum();
    let received: u64 = judged()
        .map(|h| h.coverage.received.min(h.coverage.expected))
        .sum();
    let worst = fleet.hosts.first().map(|h| h.status);
    Summary {
        status: match worst {
            Some(Status::Ok) => Status::Ok,
            Some(status) => status,
            None => Status::Unknown,
        },
        sentence: sentence(fleet, at_risk, unknown),
        hosts: fleet.hosts.len(),
        healthy: fleet.hosts.len() - at_risk - unknown,
        at_risk,
        unknown,
        risks_critical: of(Severity::Critical),
        risks_warning: of(Severity::Warning),
        risks_info: of(Severity::Info),
        risks_closed: fleet.closed.len(),
        availability_ratio: ratio(up as f64, (up + down) as f64),
        coverage_ratio: ratio(received as f64, expected as f64),
    }
}

pub(super) fn blocks(context: &Context) -> Vec<Block> {
    let Context {
        input,
        fleet,
        summary,
    } = *context;
    let mut blocks = vec![Block::Verdict(Verdict {
        status: summary.status,
        sentence: summary.sentence.clone(),
        detail: detail(context),
        figures: figures(summary),
    })];
    if fleet.hosts.is_empty() {
        blocks.push(Block::Callout(Callout {
            status: Status::Unknown,
            title: "No host has reported yet".into(),
            text: "Start an agent: hostwell-agent run --config FILE; or try hostwell up on this \
                   machine: the first values arrive within seconds."
                .into(),
        }));
        return blocks;
    }
    let actions = actions(input, fleet);
    if !actions.is_empty() {
        let title = match actions.len() {
            1 => "The one thing to do",
            2 => "The two things to do first",
            _ => "The three things to do first",
        };
        blocks.push(Block::Heading(Heading { text: title.into() }));
        blocks.push(Block::Actions(Actions { items: actions }));
    }
    if fleet.hosts.len() > 1 {
        blocks.push(Block::Table(worst(fleet)));
    }
    blocks
}

fn sentence(fleet: &Fleet, at_risk: usize, unknown: usize) -> String {
    let total = fleet.hosts.len();
    let Some(first) = fleet.hosts.first() else {
        return "No host has reported yet, so there is nothing to judge.".into();
    };
    let name = &first.host.name;
    match (total, at_risk, unknown) {
        (1, 1, _) => format!("{name} is at risk: {}", first.reason),
        (1, _, 1) => format!("There is not enough data to judge {name}."),
        (1, ..) => format!("{name} is healthy: no risk is open."),
        (_, 0, 0) => format!("All {} are healthy: no risk is open.", hosts(total)),
        (_, 0, all) if all == total => {
            format!(
                "No verdict is possible: none of the {} sent enough data.",
                hosts(total)
            )
        }
        (_, 0, _) => format!(
            "No risk is open on the {} that reported; for {} there is not enough data.",
            hosts(total - unknown),
            hosts(unknown),
        ),
        _ => format!(
            "{at_risk} of {} {} at risk; the most urgent is {name}: {}",
            hosts(total),
            if at_risk == 1 { "is" } else { "are" },
            first
                .open
                .first()
                .map_or("", |f| standing::clause(&f.summary))
                .to_owned()
                + ".",
        ),
    }
}

fn detail(context: &Context) -> String {
    let Context {
        input,
        fleet,
        summary,
    } = *context;
    let mut parts = Vec::new();
    if summary.hosts > 1 && summary.at_risk > 0 && summary.unknown > 0 {
        let unknown = hosts(summary.unknown);
        parts.push(format!(
            "For {unknown} there is not enough data for a verdict."
        ));
    }
    parts.extend(high(fleet));
    match summary.coverage_ratio {
        Some(ratio) if ratio < COVERAGE_THIN_RATIO => parts.push(format!(
            "Only {} of the expected data arrived: read this verdict with care.",
            words::percent(ratio),
        )),
        _ => {}
    }
    let oldest_ms = input.hosts.iter().map(|h| h.first_seen_ms).min();
    let history_ms = oldest_ms.map_or(0, |at| input.now_ms - at);
    if summary.hosts > 0 && history_ms < YOUNG_MS {
        parts.push(format!(
            "The whole history is {} long: what happens rarely cannot show yet.",
            words::duration(history_ms),
        ));
    }
    parts.join(" ")
}

/// What is high on hosts without a risk: not for long enough yet, or it has just passed.
fn high(fleet: &Fleet) -> Option<String> {
    let mut hosts: Vec<String> = Vec::new();
    for standing in fleet.hosts.iter().filter(|s| s.status == Status::Ok) {
        let indicators = standing.host.indicators.iter();
        let high = indicators.filter(|i| i.status == Status::Risk);
        let names: Vec<&str> = high.map(|i| i.name.as_str()).collect();
        if !names.is_empty() {
            hosts.push(format!("{} ({})", standing.host.name, names.join(", ")));
        }
    }
    let more = match hosts.len() {
        0 => return None,
        1..=3 => String::new(),
        all => format!(
            " and {}",
            words::counted(all - 3, "other host", "other hosts")
        ),
    };
    hosts.truncate(3);
    let named = hosts.join(", ");
    Some(format!(
        "High right now, but not for long enough to be a risk: {named}{more}."
    ))
}

fn figures(summary: &Summary) -> Vec<Figure> {
    let bad = |count: usize, status| if count > 0 { status } else { Status::Ok };
    let mut figures = vec![
        figure(
            "Healthy",
            summary.healthy,
            "hosts without a risk",
            Status::Ok,
        ),
        figure(
            "At risk",
            summary.at_risk,
            "hosts with a risk",
            bad(summary.at_risk, summary.status.max(Status::Watch)),
        ),
        figure(
            "Unknown",
            summary.unknown,
            "hosts lacking data",
            bad(summary.unknown, Status::Unknown),
        ),
    ];
    let open = summary.risks_critical + summary.risks_warning;
    let worst = if summary.risks_critical > 0 {
        Status::Risk
    } else {
        Status::Watch
    };
    let split = format!(
        "{} critical, {} warning",
        summary.risks_critical, summary.risks_warning
    );
    figures.push(figure("Open risks", open, &split, bad(open, worst)));
    figures.push(share(
        "Availability",
        summary.availability_ratio,
        "of the time known",
        0.999,
    ));
    figures.push(share(
        "Data coverage",
        summary.coverage_ratio,
        "of expected samples",
        0.95,
    ));
    figures
}

fn figure(label: &str, value: usize, note: &str, status: Status) -> Figure {
    Figure {
        label: label.into(),
        value: words::count(value as u64),
        note: note.into(),
        status,
    }
}

fn share(label: &str, ratio: Option<f64>, note: &str, good: f64) -> Figure {
    let (value, status) = match ratio {
        Some(ratio) if ratio >= good => (words::percent(ratio), Status::Ok),
        Some(ratio) => (words::percent(ratio), Status::Watch),
        None => ("–".into(), Status::Unknown),
    };
    let note = if ratio.is_some() {
        note
    } else {
        "nothing to count yet"
    };
    Figure {
        label: label.into(),
        value,
        note: note.into(),
        status,
    }
}

/// The most urgent things, one a rule: the same trouble on ten hosts is one thing to do.
fn actions(input: &Input, fleet: &Fleet) -> Vec<Action> {
    let mut groups: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for finding in fleet
        .open
        .iter()
        .filter(|f| f.severity >= Severity::Warning)
    {
        let group = groups.entry(&finding.rule).or_default();
        if group.is_empty() {
            order.push(&finding.rule);
        }
        group.push(finding);
    }
    order
        .into_iter()
        .take(ACTIONS_MAX)
        .filter_map(|rule| groups.get(rule))
        .filter_map(|group| group.split_first())
        .map(|(worst, others)| Action {
            status: standing::of_severity(worst.severity),
            host: affected(worst, others),
            finding: worst.summary.clone(),
            advice: worst.advice.clone(),
            if_ignored: super::risks::if_ignored(input, worst),
            since: super::risks::since(worst, input.now_ms),
        })
        .collect()
}

fn affected(worst: &Finding, others: &[&Finding]) -> String {
    let mut names: Vec<&str> = others.iter().map(|f| f.host.as_str()).collect();
    names.retain(|name| *name != worst.host);
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => worst.host.clone(),
        [one] => format!("{} and {one}", worst.host),
        many => format!("{} and {} more", worst.host, hosts(many.len())),
    }
}

fn worst(fleet: &Fleet) -> Table {
    Table {
        caption: if fleet.hosts.len() > WORST_MAX {
            "The hosts that need attention most".into()
        } else {
            "All hosts, worst first".into()
        },
        columns: host_columns(),
        rows: fleet.hosts.iter().take(WORST_MAX).map(host_row).collect(),
        omitted: fleet.hosts.len().saturating_sub(WORST_MAX),
        omitted_hint: "hostwell hosts".into(),
    }
}

/// The columns of a table of hosts.
pub(super) fn host_columns() -> Vec<Column> {
    columns(&[
        "Host",
        "State",
        "#CPU",
        "#Load",
        "#Memory",
        "#Network",
        "#Disk",
        "Worst finding",
    ])
}

/// A host in such a table.
pub(super) fn host_row(standing: &Standing) -> Vec<Cell> {
    let mut row = vec![
        cell(&standing.host.name),
        marked(host_word(standing.status), standing.status),
    ];
    for name in super::hosts::INDICATORS {
        let found = standing.host.indicators.iter().find(|i| i.name == *name);
        row.push(match found.and_then(|i| i.now.map(|now| (now, i))) {
            Some((now, i)) if i.status >= Status::Watch => {
                marked(words::value(now, i.unit), i.status)
            }
            Some((now, i)) => cell(words::value(now, i.unit)),
            None => cell("–"),
        });
    }
    row.push(cell(match standing.open.first() {
        Some(finding) => finding.summary.clone(),
        None if standing.status == Status::Unknown => standing.reason.clone(),
        None => "–".into(),
    }));
    row
}

/// "1 host", "12 hosts".
pub(super) fn hosts(count: usize) -> String {
    words::counted(count, "host", "hosts")
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
