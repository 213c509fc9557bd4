//! What is open: how bad, since when, on which evidence, what to do, what waiting costs.

use super::Context;
use crate::report::document::*;
use crate::report::input::{Care, Input};
use crate::report::standing::{of_severity, severity_word};
use crate::report::words;
use crate::rules::{Evidence, Finding, Severity};

/// Findings with their evidence spread out.
const CARDS_MAX: usize = 20;
/// Findings in the table behind them.
const ROWS_MAX: usize = 200;

pub(super) fn blocks(context: &Context) -> Vec<Block> {
    let open = &context.fleet.open;
    if open.is_empty() {
        let judged = context.fleet.hosts.len();
        return vec![paragraph(match judged {
            0 => "No host was judged.".to_owned(),
            _ => format!(
                "Nothing is open. {} held against {}.",
                words::counted(judged, "host was", "hosts were"),
                words::counted(context.input.rules.len(), "rule", "rules"),
            ),
        })];
    }
    let mut blocks: Vec<Block> = open
        .iter()
        .take(CARDS_MAX)
        .map(|finding| Block::Risk(card(context.input, finding)))
        .collect();
    if open.len() > CARDS_MAX {
        let rest = &open[CARDS_MAX..];
        let cared = rest.iter().any(|f| context.input.care.contains_key(&f.id));
        let names = ["Severity", "Host", "Finding", "Since", "Decided"];
        let names = if cared { &names[..] } else { &names[..4] };
        let rows = rest.iter().take(ROWS_MAX);
        blocks.push(Block::Table(Table {
            caption: "The other open findings, worst first".into(),
            columns: columns(names),
            rows: rows.map(|f| row(context.input, f, cared)).collect(),
            omitted: rest.len().saturating_sub(ROWS_MAX),
            omitted_hint: "hostwell risks -o csv".into(),
        }));
    }
    blocks
}

fn card(input: &Input, finding: &Finding) -> RiskCard {
    RiskCard {
        id: finding.id,
        status: of_severity(finding.severity),
        severity: severity_word(finding.severity).into(),
        host: finding.host.clone(),
        rule: finding.rule.clone(),
        summary: finding.summary.clone(),
        since: since(finding, input.now_ms),
        owner: care(input, finding).owner,
        standing: care(input, finding).standing,
        who: input.who.get(&finding.id).cloned().unwrap_or_default(),
        evidence: finding.evidence.iter().map(evidence).collect(),
        advice: finding.advice.clone(),
        if_ignored: if_ignored(input, finding),
    }
}

fn care(input: &Input, finding: &Finding) -> Care {
    input.care.get(&finding.id).cloned().unwrap_or_default()
}

fn evidence(evidence: &Evidence) -> EvidenceView {
    EvidenceView {
        what: evidence.what.clone(),
        value: words::measured(evidence.value, &evidence.unit),
        threshold: evidence
            .threshold
            .map(|level| words::measured(level, &evidence.unit))
            .unwrap_or_default(),
        selector: evidence.selector.clone(),
    }
}

fn row(input: &Input, finding: &Finding, cared: bool) -> Vec<Cell> {
    let mut row = vec![
        marked(
            severity_word(finding.severity),
            of_severity(finding.severity),
        ),
        cell(&finding.host),
        cell(&finding.summary),
        cell(since(finding, input.now_ms)),
    ];
    if cared {
        let care = care(input, finding);
        let both = [care.owner, care.standing];
        let said: Vec<String> = both.into_iter().filter(|s| !s.is_empty()).collect();
        row.push(cell(said.join(", ")));
    }
    row
}

/// "since 2026-11-21 19:33 UTC (3 h 12 min)".
pub(super) fn since(finding: &Finding, now_ms: i64) -> String {
    let lasted = words::duration(now_ms - finding.since_ms);
    format!("{} ({lasted})", words::moment(finding.since_ms))
}

/// What waiting costs: the rule's own words, else what its severity means.
pub(super) fn if_ignored(input: &Input, finding: &Finding) -> String {
    let note = input.rules.iter().find(|note| note.rule == finding.rule);
    match note
        .map(|note| note.if_ignored.as_str())
        .filter(|text| !text.is_empty())
    {
        Some(text) => text.into(),
        None => match finding.severity {
            Severity::Critical => "The service on this host fails or is failing already.".into(),
            Severity::Warning => "It becomes critical when the trend goes on.".into(),
            Severity::Info => "Nothing breaks for now.".into(),
        },
    }
}
