//! Where people stand with entries of the register.

use super::range::format_ms;
use super::{AnswerError, Setup};
use crate::rules::{State, maintained_until_ms};
use crate::store::{Entry, Store};

/// Where the register and people stand with an entry: "open", "acknowledged by anna", "muted until
/// 2026-12-01 08:00:00Z", "closed by anna".
pub fn standing(entry: &Entry, now_ms: i64) -> String {
    let word = match entry.finding.state {
        State::Pending => "pending",
        State::Open => "open",
        State::Closed => "closed",
    };
    decided(entry, now_ms).unwrap_or_else(|| word.to_owned())
}

/// The same, where people or a configuration decided something.
pub(super) fn decided(entry: &Entry, now_ms: i64) -> Option<String> {
    let care = &entry.care;
    if let (State::Closed, Some(closed)) = (entry.finding.state, &care.closed) {
        return Some(format!("closed by {}", closed.by.who));
    }
    if entry.finding.state != State::Open {
        return None;
    }
    if let Some(until_ms) = care.muted_until_ms.filter(|_| care.is_muted(now_ms)) {
        return Some(format!("muted until {}", format_ms(until_ms)));
    }
    if let Some(until_ms) = entry.maintained_until_ms {
        return Some(format!("in maintenance until {}", format_ms(until_ms)));
    }
    if let Some(target) = &entry.silenced_in {
        return Some(format!("silenced in {target}"));
    }
    let seen = care.acknowledged.as_ref()?;
    Some(format!("acknowledged by {}", seen.who))
}

/// Notes which entries are in a maintenance.
pub(super) async fn maintain(
    store: &Store,
    setup: &Setup,
    entries: &mut [Entry],
    now_ms: i64,
) -> Result<(), AnswerError> {
    let names = store.host_names().await?;
    for entry in entries {
        let labels = names.named(&entry.finding.host).map(|host| &host.labels);
        let about = entry.finding.about(labels);
        entry.maintained_until_ms = maintained_until_ms(&setup.maintenance, &about, now_ms);
    }
    Ok(())
}
