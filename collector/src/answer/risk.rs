//! One entry of the register, and what people decide about entries.

use serde::{Deserialize, Serialize};

use super::{AnswerError, Setup, standing, suspects};
use crate::store::{Deed, Entry, RiskEdit, RiskEvent, Store};

/// Most entries changed by one decision.
const IDS_MAX: usize = 1_000;
/// Most bytes of a name.
const NAME_BYTES_MAX: usize = 256;
/// Most bytes of a note.
const NOTE_BYTES_MAX: usize = 4_096;
/// Longest mute: whoever never wants to hear of something disables the rule.
const MUTE_MS_MAX: i64 = 366 * 86_400_000;

/// A decision about entries of the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskChange {
    /// Their numbers.
    pub ids: Vec<i64>,
    /// What is decided.
    pub edit: RiskEdit,
    /// Who decides: nobody checks it.
    pub who: String,
    /// Why.
    #[serde(default)]
    pub note: Option<String>,
}

/// One entry in depth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskInDepth {
    /// As it is now.
    pub risk: Entry,
    /// All that happened to it, oldest first.
    pub events: Vec<RiskEvent>,
}

/// One entry and its past.
pub(super) async fn risk(
    store: &Store,
    setup: &Setup,
    id: i64,
    now_ms: i64,
) -> Result<RiskInDepth, AnswerError> {
    let (mut risk, events) = store.risk(id).await?;
    let one = std::slice::from_mut(&mut risk);
    standing::maintain(store, setup, one, now_ms).await?;
    suspects::fill(store, setup, one, now_ms).await?;
    Ok(RiskInDepth { risk, events })
}

/// Notes a decision; answers the entries as they are then.
pub(super) async fn change(
    store: &Store,
    change: RiskChange,
    now_ms: i64,
) -> Result<Vec<Entry>, AnswerError> {
    let RiskChange {
        mut ids,
        edit,
        who,
        note,
    } = change;
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() || ids.len() > IDS_MAX {
        let text = format!(
            "a decision is about 1 to {IDS_MAX} entries, not {}",
            ids.len()
        );
        return Err(AnswerError::Asked(text));
    }
    legal("who decides", &who, NAME_BYTES_MAX)?;
    if let Some(note) = &note {
        legal("the note", note, NOTE_BYTES_MAX)?;
    }
    match &edit {
        RiskEdit::Assign { owner: Some(owner) } => legal("the owner", owner, NAME_BYTES_MAX)?,
        RiskEdit::Mute { until_ms } if *until_ms - now_ms > MUTE_MS_MAX => {
            let text = "a mute lasts a year at most; to never hear of it disable the rule, or raise its levels, in [rules]";
            return Err(AnswerError::Asked(text.to_owned()));
        }
        _ => {}
    }
    let at_ms = now_ms;
    Ok(store
        .edit_risks(ids, edit, Deed { at_ms, who, note })
        .await?)
}

fn legal(what: &str, text: &str, bytes_max: usize) -> Result<(), AnswerError> {
    let strange = text.chars().any(|c| c.is_control() && c != '\n');
    if text.trim().is_empty() || text.len() > bytes_max || strange {
        return Err(AnswerError::Asked(format!(
            "{what}: 1 to {bytes_max} bytes of text without control characters"
        )));
    }
    Ok(())
}
