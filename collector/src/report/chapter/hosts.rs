//! Each host with its five indicators; the worst in full, all in a table.

use super::Context;
use super::verdict::{host_columns, host_row};
use crate::report::document::*;
use crate::report::input::{HostInput, IndicatorInput, Trend};
use crate::report::standing::Standing;
use crate::report::words;

/// The five, in reading order.
pub(super) const INDICATORS: &[&str] = &["CPU", "Load", "Memory", "Network", "Disk"];
/// Hosts shown with charts: about eight printed pages.
const CARDS_MAX: usize = 16;
/// Hosts in the table behind them.
const ROWS_MAX: usize = 250;

pub(super) fn blocks(context: &Context) -> Vec<Block> {
    let hosts = &context.fleet.hosts;
    if hosts.is_empty() {
        return vec![paragraph("No host has reported yet.")];
    }
    let mut intro = String::from(
        "Worst first. The line is the mean, the band around it runs from the lowest to the \
         highest value; a dashed line is the level that is watched; hatching means that no data \
         arrived. Times are UTC.",
    );
    if hosts.len() > CARDS_MAX {
        intro = format!(
            "{intro} Shown in full: the {CARDS_MAX} hosts that need attention most; the other {} \
             are in the table that follows.",
            words::count((hosts.len() - CARDS_MAX) as u64),
        );
    }
    let mut blocks = vec![paragraph(intro)];
    blocks.extend(
        hosts
            .iter()
            .take(CARDS_MAX)
            .map(|s| Block::HostCard(card(s, context))),
    );
    if hosts.len() > CARDS_MAX {
        let rest = &hosts[CARDS_MAX..];
        blocks.push(Block::Table(Table {
            caption: "The other hosts, worst first".into(),
            columns: host_columns(),
            rows: rest.iter().take(ROWS_MAX).map(host_row).collect(),
            omitted: rest.len().saturating_sub(ROWS_MAX),
            omitted_hint: "hostwell hosts -o csv".into(),
        }));
    }
    blocks
}

fn card(standing: &Standing, context: &Context) -> HostCard {
    let host = standing.host;
    HostCard {
        name: host.name.clone(),
        status: standing.status,
        reason: standing.reason.clone(),
        labels: host
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        indicators: INDICATORS.iter().map(|name| view(host, name)).collect(),
        facts: facts(host, context.input.now_ms),
    }
}

fn view(host: &HostInput, name: &str) -> IndicatorView {
    let title = if name == "Load" {
        "Load per core"
    } else {
        name
    };
    let Some(found) = host.indicators.iter().find(|i| i.name == name) else {
        return IndicatorView {
            name: title.into(),
            status: Status::Unknown,
            now: "no data".into(),
            words: "Nothing was measured in this period.".into(),
            chart: None,
        };
    };
    IndicatorView {
        name: title.into(),
        status: if found.now.is_none() {
            Status::Unknown
        } else {
            found.status
        },
        now: found
            .now
            .map_or("no data".into(), |now| words::value(now, found.unit)),
        words: found.words.clone(),
        chart: chart(host, title, found),
    }
}

fn chart(host: &HostInput, title: &str, indicator: &IndicatorInput) -> Option<Chart> {
    let mut trend = indicator.trend.clone()?;
    trend.points.iter().flatten().next()?;
    bridge(&mut trend, host);
    Some(Chart {
        title: format!("{title} of {}", host.name),
        unit: indicator.unit,
        from_ms: trend.from_ms,
        to_ms: trend.to_ms,
        points: trend.points,
        top: (indicator.unit == Unit::Ratio).then_some(1.0),
        threshold: indicator.threshold,
    })
}

/// Takes for a gap only what is one. Slow subjects are read every few ticks and the newest step
/// has only just begun: up to three intervals, at least 90 seconds, the last value holds.
fn bridge(trend: &mut Trend, host: &HostInput) {
    let count = trend.points.len().max(1);
    let step_ms = ((trend.to_ms - trend.from_ms) / count as i64).max(1);
    let grace_ms = (3 * host.interval_ms).max(90_000);
    let mut held: Option<(f64, usize)> = None;
    for at in 0..trend.points.len() {
        if let Some([_, mean, _]) = trend.points[at] {
            held = Some((mean, at));
            continue;
        }
        let next = trend.points[at..].iter().position(Option::is_some);
        let end = next.map_or(count, |ahead| at + ahead);
        if let Some((mean, from)) = held
            && (end - from - 1) as i64 * step_ms <= grace_ms
        {
            trend.points[at] = Some([mean; 3]);
        }
    }
    let begun_ms = trend.to_ms - step_ms;
    let fresh = host
        .last_sample_ms
        .is_some_and(|at| at >= begun_ms - grace_ms);
    if fresh && trend.points.last() == Some(&None) {
        trend.points.pop();
        trend.to_ms = begun_ms;
    }
}

fn facts(host: &HostInput, now_ms: i64) -> Vec<(String, String)> {
    let mut facts: Vec<(&str, String)> = Vec::new();
    if host.cpus > 0 {
        let memory = match host.memory_bytes {
            0 => String::new(),
            bytes => format!(", {} memory", words::bytes(bytes as f64)),
        };
        facts.push((
            "Size",
            format!(
                "{}{memory}",
                words::counted(host.cpus as usize, "CPU", "CPUs")
            ),
        ));
    }
    let system: Vec<&str> = [host.os.as_str(), host.kernel.as_str(), host.arch.as_str()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    if !system.is_empty() {
        facts.push(("System", system.join(" · ")));
    }
    if host.boot_time_ms > 0 {
        facts.push(("Up for", words::duration(now_ms - host.boot_time_ms)));
    }
    let known_ms = host.availability.up_ms + host.availability.down_ms;
    if known_ms > 0 {
        let ratio = host.availability.up_ms as f64 / known_ms as f64;
        facts.push(("Available", words::percent(ratio)));
    }
    if host.coverage.expected > 0 {
        facts.push(("Data coverage", super::coverage::ratio_text(&host.coverage)));
    }
    if let Some(last_ms) = host.last_sample_ms {
        facts.push((
            "Newest sample",
            format!("{} old", words::duration(now_ms - last_ms)),
        ));
    }
    if !host.outcomes.is_empty() {
        facts.push(("Judged by", host.outcomes.clone()));
    }
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
