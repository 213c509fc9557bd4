//! What an operator does to a host: retire, revive, rename, merge, label, keep.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::super::error::{Fault, StoreError};
use super::super::types::HostEdit;
use super::{findings, hosts};

/// Most bytes of a host's name.
const NAME_BYTES_MAX: usize = 253;
/// Most labels an operator gives one host.
const LABELS_MAX: usize = 64;

fn conflict(text: String) -> Fault {
    StoreError::Conflict(text).into()
}

/// Applies an edit; answers the number of the host that stands afterwards.
pub(in crate::store) fn apply(
    conn: &Connection,
    name: &str,
    edit: &HostEdit,
    now_ms: i64,
) -> Result<i64, Fault> {
    let fleet = hosts::all(conn)?;
    let host = fleet.named(name)?;
    match edit {
        HostEdit::Retire => {
            // A second time keeps the first date: availability counts from it.
            conn.execute(
                "UPDATE host SET retired_ms = coalesce(retired_ms, ?1) WHERE number = ?2",
                params![now_ms, host.number],
            )?;
            findings::close_all(conn, &host.id, now_ms)?;
        }
        HostEdit::Revive => {
            conn.execute(
                "UPDATE host SET retired_ms = NULL WHERE number = ?1",
                [host.number],
            )?;
        }
        HostEdit::Rename { to } => rename(conn, host.number, to)?,
        HostEdit::MergeInto { into } => {
            let into = fleet.named(into)?;
            if into.number == host.number {
                return Err(conflict(format!("{name:?} cannot be merged into itself")));
            }
            conn.execute(
                "UPDATE host SET merged_into = ?1, merged_ms = ?2 WHERE number = ?3",
                params![into.number, now_ms, host.number],
            )?;
            findings::close_all(conn, &host.id, now_ms)?;
            return Ok(into.number);
        }
        HostEdit::Label { set } => label(conn, host, set)?,
        HostEdit::Keep { kept } => {
            conn.execute(
                "UPDATE host SET kept = ?1 WHERE number = ?2",
                params![kept, host.number],
            )?;
        }
    }
    Ok(host.number)
}

fn rename(conn: &Connection, number: i64, to: &str) -> Result<(), Fault> {
    if to.trim().is_empty() || to.len() > NAME_BYTES_MAX || to.chars().any(char::is_control) {
        return Err(conflict(format!(
            "a host's name has 1 to {NAME_BYTES_MAX} bytes and no control characters"
        )));
    }
    if hosts::is_taken(conn, to, number)? {
        return Err(conflict(format!("another host is named {to:?} already")));
    }
    conn.execute(
        "UPDATE host SET name = ?1, renamed = 1 WHERE number = ?2",
        params![to, number],
    )?;
    Ok(())
}

fn label(
    conn: &Connection,
    host: &hosts::HostRow,
    set: &BTreeMap<String, Option<String>>,
) -> Result<(), Fault> {
    let mut labels = host.operator_labels.clone();
    for (name, value) in set {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(conflict(
                "a label's name is empty or has control characters".into(),
            ));
        }
        match value {
            Some(value) => labels.insert(name.clone(), value.clone()),
            None => labels.remove(name),
        };
    }
    if labels.len() > LABELS_MAX {
        return Err(StoreError::Limit {
            what: "labels given to one host",
            got: labels.len() as u64,
            max: LABELS_MAX as u64,
            remedy: "remove labels that nobody groups by",
        }
        .into());
    }
    conn.execute(
        "UPDATE host SET operator_labels = ?1 WHERE number = ?2",
        params![hosts::text(&labels)?, host.number],
    )?;
    Ok(())
}
