//! The outbox: bounded, in order for each target, written together with what it tells.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::error::{Fault, StoreError};
use super::super::outbox::{Delivery, Letter, Noise, Outcome, TargetState, Telling, Told};
use super::super::register::Entry;
use super::{care, findings};

/// Most messages that wait for one target.
pub(in crate::store) const WAITING_MAX: i64 = 1_000;
/// Most bytes of an error that is kept.
const ERROR_BYTES_MAX: usize = 500;

fn text<T: Serialize>(what: &T) -> Result<String, Fault> {
    serde_json::to_string(what).map_err(|e| {
        let source = Box::new(std::io::Error::from(e));
        let doing = "write what is told";
        StoreError::Io { doing, source }.into()
    })
}

fn value<T: DeserializeOwned>(text: &str, target: &str) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|e| Fault::damaged(format!("what is told to {target:?}: {e}")))
}

/// What a target was told, by number of the finding.
pub(in crate::store) fn told(
    conn: &Connection,
    target: &str,
) -> Result<BTreeMap<i64, Told>, Fault> {
    let mut select = conn.prepare_cached("SELECT finding, body FROM told WHERE target = ?1")?;
    let mut rows = select.query([target])?;
    let mut told = BTreeMap::new();
    while let Some(r) = rows.next()? {
        let body: String = r.get(1)?;
        told.insert(r.get(0)?, value(&body, target)?);
    }
    Ok(told)
}

/// By host, how many messages told of it lately.
pub(in crate::store) fn noise(conn: &Connection, now_ms: i64) -> Result<Vec<Noise>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT t.target, t.body, f.number FROM told AS t JOIN finding AS f ON f.number = t.finding",
    )?;
    let mut rows = select.query([])?;
    let mut moments: BTreeMap<String, BTreeMap<String, BTreeSet<i64>>> = BTreeMap::new();
    while let Some(r) = rows.next()? {
        let (target, body): (String, String) = (r.get(0)?, r.get(1)?);
        let told: Told = value(&body, &target)?;
        let fired = Told::counted(Some(&told), now_ms);
        if fired.is_empty() {
            continue;
        }
        let host = findings::one(conn, r.get(2)?)?.host;
        let of_host = moments.entry(host).or_default();
        of_host.entry(target).or_default().extend(fired);
    }
    let mut noise: Vec<Noise> = moments
        .into_iter()
        .map(|(host, targets)| Noise {
            host,
            messages: targets.values().map(BTreeSet::len).max().unwrap_or(0) as u64,
        })
        .collect();
    noise.sort_by(|a, b| (b.messages, &a.host).cmp(&(a.messages, &b.host)));
    Ok(noise)
}

/// Entries by number; those that are gone are left out.
pub(in crate::store) fn entries(conn: &Connection, numbers: &[i64]) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    for number in numbers {
        match care::entry(conn, *number) {
            Ok(entry) => entries.push(entry),
            Err(Fault::Ours(StoreError::Conflict(_))) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(entries)
}

/// Writes messages and what they tell.
pub(in crate::store) fn tell(
    conn: &Connection,
    target: &str,
    telling: &Telling,
    now_ms: i64,
) -> Result<(), Fault> {
    for (finding, told) in &telling.told {
        match told {
            Some(told) => conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO told (target, finding, body) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![target, finding, text(told)?])?,
            None => conn
                .prepare_cached("DELETE FROM told WHERE target = ?1 AND finding = ?2")?
                .execute(params![target, finding])?,
        };
    }
    for body in &telling.messages {
        let number: i64 = conn
            .prepare_cached(
                "UPDATE given SET last = last + 1 WHERE what = 'outbox' RETURNING last",
            )?
            .query_row([], |r| r.get(0))
            .optional()?
            .map_or_else(|| first_number(conn), Ok)?;
        conn.prepare_cached(
            "INSERT INTO outbox (number, target, made_ms, next_ms, tries, body)
             VALUES (?1, ?2, ?3, ?3, 0, ?4)",
        )?
        .execute(params![number, target, now_ms, body])?;
    }
    let gone = conn
        .prepare_cached(
            "DELETE FROM outbox WHERE target = ?1 AND number <=
               (SELECT number FROM outbox WHERE target = ?1
                ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![target, WAITING_MAX])?;
    if gone > 0 {
        let mut delivery = delivery(conn, target)?;
        *delivery.lost.entry("queue".to_owned()).or_default() += gone as u64;
        put(conn, target, &delivery)?;
    }
    Ok(())
}

/// Numbers of messages are how a target knows that it has one already: never given out twice.
fn first_number(conn: &Connection) -> Result<i64, Fault> {
    conn.execute("INSERT INTO given (what, last) VALUES ('outbox', 1)", [])?;
    Ok(1)
}

/// The oldest message to a target.
pub(in crate::store) fn next(conn: &Connection, target: &str) -> Result<Option<Letter>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, made_ms, next_ms, tries, body FROM outbox WHERE target = ?1
         ORDER BY number LIMIT 1",
    )?;
    let letter = select.query_row([target], |r| {
        Ok(Letter {
            number: r.get(0)?,
            made_ms: r.get(1)?,
            next_ms: r.get(2)?,
            tries: r.get(3)?,
            body: r.get(4)?,
        })
    });
    Ok(letter.optional()?)
}

/// Notes how a try went.
pub(in crate::store) fn tried(
    conn: &Connection,
    target: &str,
    letter: Option<i64>,
    outcome: &Outcome,
    now_ms: i64,
) -> Result<(), Fault> {
    let mut delivery = delivery(conn, target)?;
    let mut gone = true;
    match outcome {
        Outcome::Delivered => {
            delivery.delivered += 1;
            delivery.last_ok_ms = Some(now_ms);
        }
        Outcome::Postponed { next_ms, error } => {
            gone = false;
            failed(&mut delivery, error, now_ms);
            conn.prepare_cached(
                "UPDATE outbox SET tries = tries + 1, next_ms = ?2 WHERE number = ?1",
            )?
            .execute(params![letter, next_ms])?;
        }
        Outcome::Lost { reason, error } => {
            failed(&mut delivery, error, now_ms);
            *delivery.lost.entry((*reason).to_owned()).or_default() += 1;
        }
    }
    if gone {
        conn.prepare_cached("DELETE FROM outbox WHERE number = ?1")?
            .execute([letter])?;
    }
    put(conn, target, &delivery)
}

fn failed(delivery: &mut Delivery, error: &str, now_ms: i64) {
    delivery.failed += 1;
    let mut end = error.len().min(ERROR_BYTES_MAX);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    delivery.last_error = Some(error[..end].to_owned());
    delivery.last_error_ms = Some(now_ms);
}

fn delivery(conn: &Connection, target: &str) -> Result<Delivery, Fault> {
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM delivery WHERE target = ?1")?
        .query_row([target], |r| r.get(0))
        .optional()?;
    body.map_or(Ok(Delivery::default()), |body| value(&body, target))
}

fn put(conn: &Connection, target: &str, delivery: &Delivery) -> Result<(), Fault> {
    conn.prepare_cached("INSERT OR REPLACE INTO delivery (target, body) VALUES (?1, ?2)")?
        .execute(params![target, text(delivery)?])?;
    Ok(())
}

/// Forgets targets that are no more.
pub(in crate::store) fn keep(conn: &Connection, targets: &[String]) -> Result<(), Fault> {
    for state in self::targets(conn)? {
        if targets.contains(&state.target) {
            continue;
        }
        if state.waiting > 0 {
            let mut delivery = state.delivery;
            *delivery.lost.entry("removed".to_owned()).or_default() += state.waiting;
            put(conn, &state.target, &delivery)?;
        }
        conn.execute("DELETE FROM outbox WHERE target = ?1", [&state.target])?;
        conn.execute("DELETE FROM told WHERE target = ?1", [&state.target])?;
    }
    Ok(())
}

/// Every target that ever was told something, by name.
pub(in crate::store) fn targets(conn: &Connection) -> Result<Vec<TargetState>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT t.target, count(o.number), min(o.made_ms)
         FROM (SELECT target FROM delivery UNION SELECT target FROM outbox
               UNION SELECT target FROM told) AS t
         LEFT JOIN outbox AS o ON o.target = t.target
         GROUP BY t.target ORDER BY t.target",
    )?;
    let mut rows = select.query([])?;
    let mut states = Vec::new();
    while let Some(r) = rows.next()? {
        let target: String = r.get(0)?;
        let delivery = delivery(conn, &target)?;
        states.push(TargetState {
            waiting: r.get::<_, i64>(1)? as u64,
            oldest_ms: r.get(2)?,
            delivery,
            target,
        });
    }
    Ok(states)
}

/// The findings that some target says are silenced there.
pub(in crate::store) fn silenced(conn: &Connection) -> Result<BTreeMap<i64, String>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT finding, target FROM told WHERE json_extract(body, '$.silenced') = 1",
    )?;
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
