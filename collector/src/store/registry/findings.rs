//! The register of findings, with every change of state or severity kept for ever.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::{Fault, StoreError};
use crate::rules::terms::DAMPING_MS;
use crate::rules::{Finding, State};

pub(super) fn state_text(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Open => "open",
        State::Closed => "closed",
    }
}

fn read(body: &str, number: i64) -> Result<Finding, Fault> {
    let finding: Finding =
        serde_json::from_str(body).map_err(|e| Fault::damaged(format!("finding {number}: {e}")))?;
    Ok(Finding {
        id: number,
        ..finding
    })
}

/// Live findings, and those closed since a moment; by number.
pub(in crate::store) fn list(
    conn: &Connection,
    closed_since_ms: Option<i64>,
) -> Result<Vec<Finding>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, body FROM finding WHERE state <> 'closed'
         UNION ALL
         SELECT number, body FROM finding WHERE state = 'closed' AND closed_ms >= ?1
         ORDER BY 1",
    )?;
    // NULL compares as false: without a moment no closed finding is listed.
    let mut rows = select.query([closed_since_ms])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let body: String = r.get(1)?;
        found.push(read(&body, r.get(0)?)?);
    }
    Ok(found)
}

/// One finding by its number.
pub(super) fn one(conn: &Connection, number: i64) -> Result<Finding, Fault> {
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM finding WHERE number = ?1")?
        .query_row([number], |r| r.get(0))
        .optional()?;
    match body {
        Some(body) => read(&body, number),
        None => Err(nobody(number)),
    }
}

fn nobody(number: i64) -> Fault {
    StoreError::Conflict(format!(
        "no finding has number {number}: `hostwell risks --state all` lists them"
    ))
    .into()
}

/// Writes one finding back. A new one (id 0) with the identity of a live one *is* that one.
pub(in crate::store) fn save(
    conn: &Connection,
    finding: &Finding,
    now_ms: i64,
) -> Result<(), Fault> {
    let number = match finding.id {
        0 => live(conn, finding)?,
        id => Some(id),
    };
    let before = number.map(|number| one(conn, number)).transpose()?;
    let mut finding = finding.clone();
    finding.closed_ms = match finding.state {
        State::Closed => Some(finding.closed_ms.unwrap_or(now_ms)),
        _ => None,
    };
    let was_open = before.as_ref().is_some_and(|b| b.state == State::Open);
    if finding.state == State::Closed && finding.opened_ms.is_none() && !was_open {
        // It was only pending, which is nothing to remember.
        return number.map_or(Ok(()), |number| forget(conn, number));
    }
    let twin = match finding.state {
        State::Open if !was_open => closed_lately(conn, &finding, now_ms)?,
        _ => None,
    };
    let before = match twin {
        Some(twin) => {
            if let Some(number) = number {
                forget(conn, number)?;
            }
            finding.opened_ms = twin.opened_ms.or(finding.opened_ms);
            Some(twin)
        }
        None => before,
    };
    finding.id = match &before {
        Some(before) => before.id,
        None => next_number(conn)?,
    };
    write(conn, &finding, before.is_none())?;
    if finding.state != State::Pending {
        super::care::follow(conn, &finding, finding.id)?;
    }
    let now = (finding.state, finding.severity);
    if before.is_some_and(|before| (before.state, before.severity) == now) {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO finding_event (finding, at_ms, state, severity, body)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        finding.id,
        now_ms,
        state_text(finding.state),
        finding.severity.name(),
        text(&finding)?
    ])?;
    Ok(())
}

fn text(finding: &Finding) -> Result<String, Fault> {
    serde_json::to_string(finding).map_err(|e| {
        let (doing, source) = ("write a finding", e.into());
        StoreError::Io { doing, source }.into()
    })
}

fn write(conn: &Connection, finding: &Finding, new: bool) -> Result<(), Fault> {
    let (state, severity) = (state_text(finding.state), finding.severity.name());
    let body = text(finding)?;
    if new {
        conn.prepare_cached(
            "INSERT INTO finding (number, rule, host_id, subject, state, severity, closed_ms, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            finding.id,
            finding.rule,
            finding.host_id,
            finding.subject,
            state,
            severity,
            finding.closed_ms,
            body
        ])?;
    } else {
        conn.prepare_cached(
            "UPDATE finding SET state = ?1, severity = ?2, closed_ms = ?3, body = ?4
             WHERE number = ?5",
        )?
        .execute(params![
            state,
            severity,
            finding.closed_ms,
            body,
            finding.id
        ])?;
    }
    Ok(())
}

/// The number of a new finding: no number ever means two of them.
fn next_number(conn: &Connection) -> Result<i64, Fault> {
    Ok(conn
        .prepare_cached("UPDATE given SET last = last + 1 WHERE what = 'finding' RETURNING last")?
        .query_row([], |r| r.get(0))?)
}

/// Removes what never opened.
fn forget(conn: &Connection, number: i64) -> Result<(), Fault> {
    for sql in [
        "DELETE FROM finding_event WHERE finding = ?1",
        "DELETE FROM care WHERE finding = ?1",
        "DELETE FROM finding WHERE number = ?1",
    ] {
        conn.prepare_cached(sql)?.execute([number])?;
    }
    Ok(())
}

/// The entry of the same identity that closed last, if that was a moment ago.
fn closed_lately(
    conn: &Connection,
    finding: &Finding,
    now_ms: i64,
) -> Result<Option<Finding>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, body FROM finding
         WHERE state = 'closed' AND closed_ms >= ?1 AND rule = ?2 AND host_id = ?3 AND subject = ?4
         ORDER BY closed_ms DESC, number DESC LIMIT 1",
    )?;
    let since_ms = now_ms - DAMPING_MS;
    let mut rows = select.query(params![
        since_ms,
        finding.rule,
        finding.host_id,
        finding.subject
    ])?;
    let Some(r) = rows.next()? else {
        return Ok(None);
    };
    let body: String = r.get(1)?;
    let twin = read(&body, r.get(0)?)?;
    // One that never opened, from before such ones were forgotten, was no entry.
    Ok(Some(twin).filter(|twin| twin.opened_ms.is_some()))
}

fn live(conn: &Connection, finding: &Finding) -> Result<Option<i64>, Fault> {
    Ok(conn
        .prepare_cached(
            "SELECT number FROM finding
             WHERE rule = ?1 AND host_id = ?2 AND subject = ?3 AND state <> 'closed'",
        )?
        .query_row(
            params![finding.rule, finding.host_id, finding.subject],
            |r| r.get(0),
        )
        .optional()?)
}

/// Closes what is live on a host that is judged no more.
pub(in crate::store) fn close_all(
    conn: &Connection,
    host_id: &str,
    now_ms: i64,
) -> Result<(), Fault> {
    for finding in list(conn, None)? {
        if finding.host_id == host_id {
            let closed = Finding {
                state: State::Closed,
                closed_ms: Some(now_ms),
                judged_ms: now_ms,
                ..finding
            };
            save(conn, &closed, now_ms)?;
        }
    }
    Ok(())
}
