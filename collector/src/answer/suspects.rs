//! Who stands behind findings: what agents noted of processes when the findings began.

use std::collections::HashMap;

use super::hosts::Moment;
use super::{AnswerError, Setup};
use crate::processes::{self, LEAD_MS, ProcessNote, Suspects, TRAIL_MS};
use crate::rules::Finding;
use crate::store::{Entry, NotesAsked, Store};

/// Most findings that are looked up for one answer, the first ones.
const FINDINGS_MAX: usize = 500;
/// A note's time is the end of its stretch, whose middle counts: so much later at most.
const STRETCH_MS: i64 = 2 * 3_600_000;

/// Fills in who stands behind entries.
pub(super) async fn fill(
    store: &Store,
    setup: &Setup,
    entries: &mut [Entry],
    now_ms: i64,
) -> Result<(), AnswerError> {
    let findings: Vec<&Finding> = entries.iter().map(|entry| &entry.finding).collect();
    let mut found = of(store, setup, &findings, now_ms).await?;
    for entry in entries {
        entry.processes = found.remove(&entry.finding.id);
    }
    Ok(())
}

/// Who stands behind findings, by their numbers.
pub(super) async fn of(
    store: &Store,
    setup: &Setup,
    findings: &[&Finding],
    now_ms: i64,
) -> Result<HashMap<i64, Suspects>, AnswerError> {
    let about = |f: &&&Finding| processes::resource_of(&f.rule, &f.subject).is_some();
    let wanted: Vec<&Finding> = findings
        .iter()
        .filter(about)
        .take(FINDINGS_MAX)
        .copied()
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let moment = Moment::of(store, setup, now_ms).await?;
    let hosts = store.hosts().await?;
    let skews: HashMap<&str, (&str, i64)> = hosts
        .iter()
        .map(|host| {
            let skew_ms = moment.by_clock_of(host) - now_ms;
            (host.id.as_str(), (host.name.as_str(), skew_ms))
        })
        .collect();
    let asked = wanted.iter().filter_map(|finding| {
        let (name, skew_ms) = *skews.get(finding.host_id.as_str())?;
        let began_ms = finding.since_ms + skew_ms;
        let asked = NotesAsked {
            host: name.to_owned(),
            from_ms: began_ms - LEAD_MS,
            to_ms: began_ms + TRAIL_MS + STRETCH_MS,
        };
        Some((*finding, skew_ms, asked))
    });
    let (wanted, asked): (Vec<_>, Vec<_>) = asked
        .map(|(finding, skew_ms, asked)| ((finding, skew_ms), asked))
        .unzip();
    let notes = store.process_notes(asked).await?;
    Ok(wanted
        .into_iter()
        .zip(notes)
        .filter_map(|((finding, skew_ms), notes)| {
            Some((finding.id, behind(finding, skew_ms, &notes)?))
        })
        .collect())
}

fn behind(finding: &Finding, skew_ms: i64, notes: &[ProcessNote]) -> Option<Suspects> {
    let about = (finding.rule.as_str(), finding.subject.as_str());
    processes::suspects(about, finding.since_ms, skew_ms, notes)
}
