//! How much of the time each host was up, and how that was counted.

use super::Context;
use crate::plan::availability::method;
use crate::report::document::*;
use crate::report::input::{AvailabilityInput, HostInput};
use crate::report::words;

const ROWS_MAX: usize = 60;
/// Outages spelled out in a row.
const OUTAGES_MAX: usize = 2;

pub(super) fn blocks(context: &Context) -> Vec<Block> {
    let mut hosts: Vec<&HostInput> = context.fleet.hosts.iter().map(|s| s.host).collect();
    // All hosts are judged by the same silence.
    let silence = hosts.first().map(|host| host.availability.silence);
    let mut blocks = vec![paragraph(method(silence.unwrap_or_default()))];
    if hosts.is_empty() {
        return blocks;
    }
    hosts.sort_by(|a, b| {
        let of = |host: &HostInput| ratio(&host.availability).unwrap_or(2.0);
        of(a).total_cmp(&of(b)).then_with(|| a.name.cmp(&b.name))
    });
    blocks.push(Block::Table(Table {
        caption: "Availability, lowest first".into(),
        columns: columns(&[
            "Host",
            "#Availability",
            "#Up",
            "#Down",
            "#Unknown",
            "Outages",
        ]),
        rows: hosts.iter().take(ROWS_MAX).map(|host| row(host)).collect(),
        omitted: hosts.len().saturating_sub(ROWS_MAX),
        omitted_hint: "hostwell hosts -o csv".into(),
    }));
    blocks
}

fn row(host: &HostInput) -> Vec<Cell> {
    let known = &host.availability;
    vec![
        cell(&host.name),
        match ratio(known) {
            Some(ratio) if known.down_ms > 0 => marked(words::percent(ratio), Status::Watch),
            Some(ratio) => cell(words::percent(ratio)),
            None => cell("not enough data"),
        },
        cell(span(known.up_ms)),
        cell(span(known.down_ms)),
        cell(span(known.unknown_ms)),
        cell(outages(known)),
    ]
}

fn span(span_ms: i64) -> String {
    if span_ms <= 0 {
        "–".into()
    } else {
        words::duration(span_ms)
    }
}

fn outages(known: &AvailabilityInput) -> String {
    let latest: Vec<String> = known
        .outages
        .iter()
        .rev()
        .take(OUTAGES_MAX)
        .map(|(from, to)| {
            format!(
                "{} for {}",
                words::moment(*from),
                words::duration(to - from)
            )
        })
        .collect();
    match known.outages.len() {
        0 if ratio(known).is_none() => "–".into(),
        0 => "none".into(),
        all if all > OUTAGES_MAX => {
            format!("{all} outages, latest: {}", latest.join("; "))
        }
        _ => latest.join("; "),
    }
}

fn ratio(known: &AvailabilityInput) -> Option<f64> {
    let whole_ms = known.up_ms + known.down_ms;
    (whole_ms > 0).then(|| known.up_ms as f64 / whole_ms as f64)
}
