//! How much of the data arrived: the ground every other chapter stands on.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Context;
use crate::report::document::*;
use crate::report::input::{CoverageInput, GapInput, HostInput};
use crate::report::words;

const ROWS_MAX: usize = 60;
const GAPS_MAX: usize = 40;
/// Below this a host's other numbers are doubtful.
const THIN_RATIO: f64 = 0.9;

pub(super) fn blocks(context: &Context) -> Vec<Block> {
    let mut hosts: Vec<&HostInput> = context.fleet.hosts.iter().map(|s| s.host).collect();
    hosts.sort_by(|a, b| {
        let of = |host: &HostInput| ratio(&host.coverage).unwrap_or(-1.0);
        of(a).total_cmp(&of(b)).then_with(|| a.name.cmp(&b.name))
    });
    let mut blocks = vec![paragraph(intro(context))];
    blocks.extend(thin(&hosts).map(Block::Callout));
    if hosts.is_empty() {
        return blocks;
    }
    blocks.push(Block::Table(Table {
        caption: "Sampling ticks, lowest coverage first".into(),
        columns: columns(&[
            "Host",
            "#Coverage",
            "#Received",
            "#Expected",
            "#Gaps",
            "@Known since",
        ]),
        rows: hosts.iter().take(ROWS_MAX).map(|host| row(host)).collect(),
        omitted: hosts.len().saturating_sub(ROWS_MAX),
        omitted_hint: "hostwell hosts -o csv".into(),
    }));
    blocks.extend(gaps(&hosts).map(Block::Table));
    blocks
}

fn intro(context: &Context) -> String {
    let watched_ms: i64 = context
        .input
        .collector
        .watched
        .iter()
        .map(|(from, to)| to - from)
        .sum();
    let mut text = String::from(
        "Expected are the ticks of each host's own sampling interval, from the moment it was \
         first seen or the start of the period, whichever is later.",
    );
    if watched_ms > 0 {
        text = format!(
            "{text} The collector itself was watching for {} of {}.",
            words::duration(watched_ms),
            words::duration(context.input.period.to_ms - context.input.period.from_ms),
        );
    }
    if context.fleet.retired > 0 {
        let retired = super::verdict::hosts(context.fleet.retired);
        text = format!("{text} Retired and therefore not judged: {retired}.");
    }
    text
}

fn thin(hosts: &[&HostInput]) -> Option<Callout> {
    let thin: Vec<&str> = hosts
        .iter()
        .filter(|host| ratio(&host.coverage).is_none_or(|ratio| ratio < THIN_RATIO))
        .map(|host| host.name.as_str())
        .collect();
    let named = match thin.len() {
        0 => return None,
        all if all > 5 => format!("{} and {} more", thin[..5].join(", "), all - 5),
        _ => thin.join(", "),
    };
    Some(Callout {
        status: Status::Unknown,
        title: format!("Not enough data on {}", super::verdict::hosts(thin.len())),
        text: format!(
            "Less than {} of the expected ticks arrived from {named}; averages and peaks of these \
             hosts may miss what happened in between.",
            words::percent(THIN_RATIO),
        ),
    })
}

fn row(host: &HostInput) -> Vec<Cell> {
    let coverage = &host.coverage;
    let text = ratio_text(coverage);
    vec![
        cell(&host.name),
        match ratio(coverage) {
            Some(ratio) if ratio < THIN_RATIO => marked(text, Status::Unknown),
            _ => cell(text),
        },
        cell(words::count(coverage.received)),
        cell(words::count(coverage.expected)),
        cell(words::count(coverage.gaps.len() as u64)),
        cell(words::moment(host.first_seen_ms)),
    ]
}

/// The gaps of all hosts; one that many share, as when the collector was away, is told once.
fn gaps(hosts: &[&HostInput]) -> Option<Table> {
    type Shared<'a> = (Vec<&'a str>, &'a GapInput);
    let mut shared: BTreeMap<(i64, i64, &str), Shared> = BTreeMap::new();
    for host in hosts {
        for gap in &host.coverage.gaps {
            let minutes = (
                gap.from_ms / 60_000,
                gap.to_ms / 60_000,
                gap.reason.as_str(),
            );
            let (names, _) = shared.entry(minutes).or_insert((Vec::new(), gap));
            names.push(&host.name);
        }
    }
    let mut gaps: Vec<Shared> = shared.into_values().collect();
    gaps.sort_by_key(|(_, gap)| Reverse(gap.to_ms - gap.from_ms));
    let rows = gaps.iter().take(GAPS_MAX).map(|(names, gap)| {
        vec![
            cell(match names.as_slice() {
                [one] => (*one).to_owned(),
                all if all.len() == hosts.len() => "all hosts".into(),
                all => super::verdict::hosts(all.len()),
            }),
            cell(words::moment(gap.from_ms)),
            cell(words::moment(gap.to_ms)),
            cell(words::duration(gap.to_ms - gap.from_ms)),
            cell(&gap.reason),
        ]
    });
    (!gaps.is_empty()).then(|| Table {
        caption: "Stretches without data, longest first".into(),
        columns: columns(&["Host", "@From", "@To", "#Length", "Reason"]),
        rows: rows.collect(),
        omitted: gaps.len().saturating_sub(GAPS_MAX),
        omitted_hint: "hostwell host NAME".into(),
    })
}

/// "99.8 %", or that there is nothing to count.
pub(super) fn ratio_text(coverage: &CoverageInput) -> String {
    ratio(coverage).map_or("not enough data".into(), words::percent)
}

fn ratio(coverage: &CoverageInput) -> Option<f64> {
    let received = coverage.received.min(coverage.expected);
    (coverage.expected > 0).then(|| received as f64 / coverage.expected as f64)
}
