//! The register of findings, with every change of state or severity kept for ever.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::{Fault, StoreError};
use crate::rules::{Finding, Severity, State};

fn state_text(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Open => "open",
        State::Closed => "closed",
    }
}

fn severity_text(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
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

/// Writes one finding back. A new one (id 0) with the identity of a live one *is* that one.
pub(in crate::store) fn save(
    conn: &Connection,
    finding: &Finding,
    now_ms: i64,
) -> Result<(), Fault> {
    let number = if finding.id == 0 {
        live(conn, finding)?
    } else {
        Some(finding.id)
    };
    let (state, severity) = (state_text(finding.state), severity_text(finding.severity));
    let closed_ms = match finding.state {
        State::Closed => Some(finding.closed_ms.unwrap_or(now_ms)),
        _ => None,
    };
    let finding = Finding {
        closed_ms,
        id: number.unwrap_or(0),
        ..finding.clone()
    };
    let body = serde_json::to_string(&finding).map_err(|e| StoreError::Io {
        doing: "write a finding",
        source: e.into(),
    })?;
    let number = match number {
        Some(number) => {
            let before: Option<(String, String)> = conn
                .prepare_cached("SELECT state, severity FROM finding WHERE number = ?1")?
                .query_row([number], |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()?;
            let Some(before) = before else {
                return Err(StoreError::Conflict(format!("no finding has number {number}")).into());
            };
            conn.prepare_cached(
                "UPDATE finding SET state = ?1, severity = ?2, closed_ms = ?3, body = ?4
                 WHERE number = ?5",
            )?
            .execute(params![state, severity, closed_ms, body, number])?;
            if (before.0.as_str(), before.1.as_str()) == (state, severity) {
                return Ok(());
            }
            number
        }
        None => {
            conn.prepare_cached(
                "INSERT INTO finding (rule, host_id, subject, state, severity, closed_ms, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                finding.rule,
                finding.host_id,
                finding.subject,
                state,
                severity,
                closed_ms,
                body
            ])?;
            conn.last_insert_rowid()
        }
    };
    conn.prepare_cached(
        "INSERT INTO finding_event (finding, at_ms, state, severity, body)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![number, now_ms, state, severity, body])?;
    Ok(())
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
