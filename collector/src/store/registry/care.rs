//! What people decided about findings: where they stand with each, and every decision for ever.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::{Fault, StoreError};
use super::super::register::{Care, ClosedByHand, Deed, Entry, Happened, RiskEdit, RiskEvent};
use super::findings::{self, list, state_text};
use super::outbox;
use crate::rules::{Finding, Severity, State};

fn conflict(text: String) -> Fault {
    StoreError::Conflict(text).into()
}

fn text<T: serde::Serialize>(what: &T) -> Result<String, Fault> {
    serde_json::to_string(what).map_err(|e| {
        let source = Box::new(std::io::Error::from(e));
        let doing = "write what was decided about a finding";
        StoreError::Io { doing, source }.into()
    })
}

fn value<T: serde::de::DeserializeOwned>(text: &str, number: i64) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|e| Fault::damaged(format!("what was decided about finding {number}: {e}")))
}

/// Where people stand with a finding.
pub(in crate::store) fn of(conn: &Connection, number: i64) -> Result<Care, Fault> {
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM care WHERE finding = ?1")?
        .query_row([number], |r| r.get(0))
        .optional()?;
    body.map_or(Ok(Care::default()), |body| value(&body, number))
}

/// Writes that down.
pub(in crate::store) fn put(conn: &Connection, number: i64, care: &Care) -> Result<(), Fault> {
    if *care == Care::default() {
        conn.prepare_cached("DELETE FROM care WHERE finding = ?1")?
            .execute([number])?;
        return Ok(());
    }
    conn.prepare_cached("INSERT OR REPLACE INTO care (finding, body) VALUES (?1, ?2)")?
        .execute(params![number, text(care)?])?;
    Ok(())
}

/// Entries that are live, and those closed since a moment; by number.
pub(in crate::store) fn entries(
    conn: &Connection,
    closed_since_ms: Option<i64>,
) -> Result<Vec<Entry>, Fault> {
    let mut silenced = outbox::silenced(conn)?;
    let mut entries = Vec::new();
    for finding in list(conn, closed_since_ms)? {
        let care = of(conn, finding.id)?;
        let silenced_in = silenced.remove(&finding.id);
        let entry = Entry {
            silenced_in,
            ..Entry::new(finding, care)
        };
        let by_hand = entry.care.closed.as_ref();
        let listed =
            by_hand.is_none_or(|c| closed_since_ms.is_some_and(|since| c.by.at_ms >= since));
        if listed || entry.finding.state != State::Closed {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// One entry.
pub(in crate::store) fn entry(conn: &Connection, number: i64) -> Result<Entry, Fault> {
    let finding = findings::one(conn, number)?;
    Ok(Entry {
        silenced_in: outbox::silenced(conn)?.remove(&number),
        ..Entry::new(finding, of(conn, number)?)
    })
}

/// Notes a decision; answers the entry as it is then.
pub(in crate::store) fn decide(
    conn: &Connection,
    number: i64,
    edit: &RiskEdit,
    deed: &Deed,
) -> Result<Entry, Fault> {
    let finding = findings::one(conn, number)?;
    let mut care = of(conn, number)?;
    apply(&finding, &mut care, edit, deed)?;
    put(conn, number, &care)?;
    let entry = Entry::new(finding, care);
    conn.prepare_cached(
        "INSERT INTO finding_event (finding, at_ms, state, severity, body, edit, who, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        number,
        deed.at_ms,
        state_text(entry.finding.state),
        entry.finding.severity.name(),
        text(&entry.finding)?,
        text(edit)?,
        deed.who,
        deed.note,
    ])?;
    Ok(entry)
}

fn apply(finding: &Finding, care: &mut Care, edit: &RiskEdit, deed: &Deed) -> Result<(), Fault> {
    let number = finding.id;
    match finding.state {
        State::Pending => {
            return Err(conflict(format!(
                "{number} is only pending: there is nothing to decide before it opens"
            )));
        }
        State::Closed if *edit == RiskEdit::Reopen => {
            return Err(conflict(format!(
                "{number} is over: its condition does not hold; when it does again it opens by itself"
            )));
        }
        State::Closed => {
            return Err(conflict(format!(
                "{number} is closed: `hostwell risk show {number}` tells what happened"
            )));
        }
        State::Open => {}
    }
    let by_hand = care.closed.is_some();
    match edit {
        RiskEdit::Reopen if !by_hand => return Err(conflict(format!("{number} is open already"))),
        RiskEdit::Reopen => care.closed = None,
        _ if by_hand => {
            return Err(conflict(format!(
                "{number} was closed by hand: `hostwell risk reopen {number}` first"
            )));
        }
        RiskEdit::Acknowledge => care.acknowledged = Some(deed.clone()),
        RiskEdit::Assign { owner } => care.owner.clone_from(owner),
        RiskEdit::Mute { until_ms } => {
            care.muted_until_ms = Some(*until_ms).filter(|until| *until > deed.at_ms);
        }
        RiskEdit::Close => {
            care.closed = Some(ClosedByHand {
                by: deed.clone(),
                severity: finding.severity,
            });
        }
    }
    Ok(())
}

/// Brings the decisions up to date with a verdict: what was closed by hand is closed until it gets
/// worse; when the condition is over it is over for good, and a mute of it as well.
pub(in crate::store) fn follow(
    conn: &Connection,
    finding: &Finding,
    number: i64,
) -> Result<(), Fault> {
    let mut care = of(conn, number)?;
    let over = finding.state == State::Closed;
    let worse = (care.closed.as_ref()).is_some_and(|closed| finding.severity > closed.severity);
    if care.closed.is_some() && (over || worse) {
        care.closed = None;
        put(conn, number, &care)?;
    }
    Ok(())
}

/// All that happened to a finding, oldest first.
pub(in crate::store) fn events(conn: &Connection, number: i64) -> Result<Vec<RiskEvent>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT at_ms, body, edit, who, note FROM finding_event WHERE finding = ?1 ORDER BY number",
    )?;
    let mut rows = select.query([number])?;
    let (mut events, mut before) = (Vec::new(), Before::default());
    while let Some(r) = rows.next()? {
        let body: String = r.get(1)?;
        let edit: Option<String> = r.get(2)?;
        let edit = edit.map(|edit| value(&edit, number)).transpose()?;
        let finding: Finding = value(&body, number)?;
        events.push(RiskEvent {
            at_ms: r.get(0)?,
            happened: before.happened(&finding, edit),
            severity: finding.severity,
            summary: finding.summary,
            who: r.get(3)?,
            note: r.get(4)?,
        });
    }
    Ok(events)
}

/// What is known of a finding before an event.
#[derive(Default)]
struct Before {
    state: Option<State>,
    was_open: bool,
    /// How bad it was when somebody closed it by hand.
    by_hand: Option<Severity>,
}

impl Before {
    fn happened(&mut self, now: &Finding, edit: Option<RiskEdit>) -> Happened {
        let better = self.by_hand.is_some_and(|then| now.severity <= then);
        let happened = match (edit, now.state) {
            (Some(edit), _) => Happened::Decided { edit },
            (None, State::Pending) => Happened::Pending,
            (None, State::Closed) => Happened::Closed,
            (None, State::Open) if better => Happened::Severity,
            (None, State::Open) if self.by_hand.is_none() && self.state == Some(State::Open) => {
                Happened::Severity
            }
            (None, State::Open) if self.was_open => Happened::Reopened,
            (None, State::Open) => Happened::Opened,
        };
        match &happened {
            Happened::Decided {
                edit: RiskEdit::Close,
            } => self.by_hand = Some(now.severity),
            Happened::Severity if better => {}
            Happened::Decided { .. } if self.by_hand.is_some() && now.state == State::Closed => {}
            _ => self.by_hand = None,
        }
        self.state = Some(now.state);
        self.was_open |= now.state == State::Open;
        happened
    }
}
