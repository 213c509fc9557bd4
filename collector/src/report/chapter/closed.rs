//! What was a risk in this period and no longer is.

use super::Context;
use crate::report::document::*;
use crate::report::standing::{of_severity, severity_word};
use crate::report::words;
use crate::rules::Finding;

const ROWS_MAX: usize = 50;

/// What it was, and who closed it by hand.
fn summary(context: &Context, finding: &Finding) -> String {
    let care = context.input.care.get(&finding.id);
    match care.map(|care| care.standing.as_str()) {
        None | Some("") => finding.summary.clone(),
        Some(standing) => format!("{} ({standing})", finding.summary),
    }
}

pub(super) fn blocks(context: &Context) -> Vec<Block> {
    let closed = &context.fleet.closed;
    if closed.is_empty() {
        return vec![paragraph("No risk closed in this period.")];
    }
    let rows = closed.iter().take(ROWS_MAX).map(|finding| {
        let ended_ms = finding.closed_ms.unwrap_or(finding.judged_ms);
        vec![
            marked(
                severity_word(finding.severity),
                of_severity(finding.severity),
            ),
            cell(&finding.host),
            cell(summary(context, finding)),
            cell(words::moment(finding.since_ms)),
            cell(words::moment(ended_ms)),
            cell(words::duration(ended_ms - finding.since_ms)),
        ]
    });
    vec![Block::Table(Table {
        caption: "Closed, latest first".into(),
        columns: columns(&[
            "Severity", "Host", "Finding", "@Began", "@Closed", "#Lasted",
        ]),
        rows: rows.collect(),
        omitted: closed.len().saturating_sub(ROWS_MAX),
        omitted_hint: "hostwell risks --state all".into(),
    })]
}
