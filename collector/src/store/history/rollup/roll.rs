//! Rolling up: a day of a host's sealed samples becomes steps of every tier.
//!
//! Made on a reading thread from blocks alone (what is sealed later marks the day again); the
//! writer only puts the rows in place. Whatever is asked twice gives the same rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::super::error::{Fault, Trouble};
use super::super::super::types::{Keeping, Tier};
use super::super::super::writer::Ledger;
use super::super::checksum::verified;
use super::super::names::Names;
use super::super::seal::{HOLE_MS, each_block, settle};
use super::super::series::{self, SeriesRow};
use super::payload::{self, Key, Line};
use super::{DAY_MS, DERIVED_FROM, PRESENCE, PRESENCE_NAME, chunk_of};
use crate::series::derived;
use crate::series::presence::{self, PRESENCE_METRICS, PRESENCE_STEP_MS};
use crate::series::rollup::steps;
use crate::series::{Kind, Series, SeriesName, Window, union_times_ms};

/// Steps of this length and longer carry what quantiles are told from.
pub(in crate::store) const SKETCHED_MS: i64 = 3_600_000;
/// The end of a day may arrive this late without the day being rolled up twice.
const LAG_MS: i64 = 2 * 3_600_000;
/// Hosts take their turns over this time.
const SPREAD_MS: i64 = 4 * 3_600_000;

/// A day of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Due {
    pub host: i64,
    /// Days since the Unix epoch.
    pub day: i64,
}

/// What to roll up, and by which rules.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Task<'a> {
    pub due: Due,
    /// The host's declared interval.
    pub interval_ms: i64,
    /// Tiers of no age are made only where they are already.
    pub keeping: &'a Keeping,
    /// Samples before may be gone already: for comparing.
    pub raw_since_ms: i64,
    /// Steps that end before are too old for their tier; `None` for a host that is kept.
    pub now_ms: Option<i64>,
}

/// One row of the table.
#[derive(Debug)]
pub(in crate::store) struct Row {
    pub family: i64,
    pub tier_ms: i64,
    pub start_ms: i64,
    end_ms: i64,
    samples: u64,
    payload: Vec<u8>,
}

/// A day's rows.
#[derive(Debug)]
pub(in crate::store) struct Rolled {
    due: Due,
    rows: Vec<Row>,
}

/// Whether a day is over for long enough, hosts one after the other.
fn is_due(due: Due, now_ms: i64) -> bool {
    let phase = (due.host as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % SPREAD_MS as u64;
    let over_ms = due.day.saturating_add(1).saturating_mul(DAY_MS);
    now_ms >= over_ms.saturating_add(LAG_MS + phase as i64)
}

/// Days that should be rolled up now, the oldest first.
pub(in crate::store) fn due(conn: &Connection, now_ms: i64) -> Result<Vec<Due>, Fault> {
    let mut select = conn.prepare_cached("SELECT host, day FROM unrolled ORDER BY day, host")?;
    let rows = select.query_map([], |r| {
        let (host, day) = (r.get(0)?, r.get(1)?);
        Ok(Due { host, day })
    })?;
    let all: Vec<Due> = rows.collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|d| is_due(*d, now_ms)).collect())
}

/// Makes the rows of a day. A row stays that speaks for more samples than are there: age or the disk
/// budget took some.
pub(in crate::store) fn prepare(conn: &Connection, task: Task<'_>) -> Result<Rolled, Fault> {
    let Due { host, day } = task.due;
    let (from_ms, end_ms) = (day * DAY_MS, (day + 1) * DAY_MS);
    let mut rows = Vec::new();
    for (family, window) in families(conn, host, (from_ms, end_ms), task.interval_ms)? {
        for tier in tiers_of(family, task.keeping) {
            let too_old = |now_ms: i64| end_ms < now_ms.saturating_sub(tier.age_ms);
            let wanted = tier.age_ms > 0 && !task.now_ms.is_some_and(too_old);
            let of = (host, family, tier.step_ms);
            let held = held_day(conn, of, &window)?;
            // What is not wanted any more must not say what is not true any more.
            if !wanted && held.is_empty() {
                continue;
            }
            let fresh = lines(&window, tier.step_ms);
            if samples(&held) <= samples(&fresh) {
                rows.extend(row(conn, of, &window, fresh)?);
            }
        }
    }
    Ok(Rolled {
        due: task.due,
        rows,
    })
}

/// Presence has steps of its own, whatever is configured for samples; what is derived is kept like
/// what it is derived from.
pub(in crate::store) fn tiers_of(family: i64, keeping: &Keeping) -> Vec<Tier> {
    if family == PRESENCE {
        return vec![Tier {
            step_ms: PRESENCE_STEP_MS,
            age_ms: keeping.longest_ms(),
        }];
    }
    let number = match family > DERIVED_FROM {
        true => family - DERIVED_FROM,
        false => family,
    };
    keeping.tiers_of(number).to_vec()
}

fn samples(lines: &[Line]) -> u64 {
    lines.iter().flat_map(|l| &l.steps).map(|s| s.samples).sum()
}

/// What is stored of a day; of a row that cannot be read nothing.
fn held_day(conn: &Connection, of: (i64, i64, i64), day: &Day) -> Result<Vec<Line>, Fault> {
    let (start_ms, _) = chunk_of(of.2, day.from_ms);
    let mut held = readable(stored(conn, of, start_ms))?.unwrap_or_default();
    for line in &mut held {
        line.steps.retain(|s| day.holds(s.start_ms));
    }
    held.retain(|line| !line.steps.is_empty());
    Ok(held)
}

/// Of damaged lines nothing: they are made anew.
fn readable(lines: Result<Option<Vec<Line>>, Fault>) -> Result<Option<Vec<Line>>, Fault> {
    match lines {
        Err(Fault::Sql(Trouble::Damaged(what))) => {
            tracing::error!("{what}; it is made anew from the samples that are there");
            Ok(None)
        }
        other => other,
    }
}

/// A day of one family: its series, each with its key.
#[derive(Debug)]
pub(super) struct Day {
    from_ms: i64,
    end_ms: i64,
    interval_ms: i64,
    series: Vec<(Key, Series)>,
    /// Only when there are samples counts.
    presence: bool,
}

impl Day {
    fn holds(&self, time_ms: i64) -> bool {
        (self.from_ms..self.end_ms).contains(&time_ms)
    }
}

/// The families of a host that have samples of a day, derived ones as families of their own.
fn families(
    conn: &Connection,
    host: i64,
    (from_ms, end_ms): (i64, i64),
    interval_ms: i64,
) -> Result<Vec<(i64, Day)>, Fault> {
    let mut members: BTreeMap<i64, Vec<SeriesRow>> = BTreeMap::new();
    for row in series::of_host(conn, &Names::default(), host, &[])? {
        members.entry(row.family).or_default().push(row);
    }
    let day = |series, presence| Day {
        from_ms,
        end_ms,
        interval_ms,
        series,
        presence,
    };
    let (mut found, mut ticks) = (Vec::new(), Vec::new());
    for (family, rows) in members {
        let named = gather(conn, (host, family), rows, (from_ms, end_ms))?;
        if named.is_empty() {
            continue;
        }
        let (ids, mut series): (Vec<i64>, Vec<Series>) = named.into_iter().unzip();
        // Derivations look series up by name; ids follow their series.
        let mut order: Vec<usize> = (0..series.len()).collect();
        order.sort_by(|a, b| series[*a].name.cmp(&series[*b].name));
        let ids: Vec<i64> = order.iter().map(|i| ids[*i]).collect();
        series.sort_by(|a, b| a.name.cmp(&b.name));
        let window = Window {
            host: String::new(),
            from_ms,
            to_ms: end_ms,
            interval_ms,
            series,
        };
        let tells = |s: &&Series| PRESENCE_METRICS.contains(&s.name.metric.as_str());
        let telling = window.series.iter().filter(tells).cloned();
        ticks.extend(telling.map(|series| (Key::Named(series.name.clone()), series)));
        let computed = derived::of_family(&window, family);
        let keyed = ids.into_iter().map(Key::Id).zip(window.series).collect();
        found.push((family, day(keyed, false)));
        if !computed.is_empty() {
            let named = |s: Series| (Key::Named(s.name.clone()), s);
            let keyed = computed.into_iter().map(named).collect();
            found.push((family + DERIVED_FROM, day(keyed, false)));
        }
    }
    if !ticks.is_empty() {
        found.push((PRESENCE, day(ticks, true)));
    }
    Ok(found)
}

/// Where to stop looking for the sample that ends the last pair of a day's counters: [`HOLE_MS`]
/// behind the family's first tick after the day. Told by samples, never by how blocks lie, so that
/// a merge changes nothing.
fn until(conn: &Connection, of: (i64, i64), end_ms: i64) -> Result<i64, Fault> {
    let first = first_tick(conn, of, end_ms)?;
    Ok(first.map_or(end_ms, |ms| ms.saturating_add(HOLE_MS)))
}

/// The first tick of a family's blocks at or after a moment.
pub(in crate::store) fn first_tick(
    conn: &Connection,
    of: (i64, i64),
    end_ms: i64,
) -> Result<Option<i64>, Fault> {
    let next: Option<i64> = conn
        .prepare_cached(
            "SELECT start_ms FROM block WHERE host = ?1 AND family = ?2 AND end_ms >= ?3
             ORDER BY end_ms LIMIT 1",
        )?
        .query_row(params![of.0, of.1, end_ms], |r| r.get(0))
        .optional()?;
    let touched_ms = match next {
        None => return Ok(None),
        // Within a block there is no longer hole.
        Some(start_ms) if start_ms < end_ms => end_ms.saturating_add(HOLE_MS),
        Some(start_ms) => start_ms,
    };
    let mut first: Option<i64> = None;
    let only_times = |_: i64| false;
    each_block(conn, of, (end_ms, touched_ms), only_times, |parcel| {
        let after = parcel.block.times_ms.iter().filter(|t| **t >= end_ms);
        first = first.into_iter().chain(after.min().copied()).min();
        Ok(())
    })?;
    Ok(first)
}

/// The samples of a day by series, and of each series the next one after it.
fn gather(
    conn: &Connection,
    (host, family): (i64, i64),
    rows: Vec<SeriesRow>,
    (from_ms, end_ms): (i64, i64),
) -> Result<Vec<(i64, Series)>, Fault> {
    let until_ms = until(conn, (host, family), end_ms)?;
    let mut points: HashMap<i64, Vec<(i64, f64)>> = HashMap::new();
    let all = |_: i64| true;
    each_block(conn, (host, family), (from_ms, until_ms), all, |parcel| {
        parcel.each(|id, time, value| {
            if (from_ms..=until_ms).contains(&time) {
                points.entry(id).or_default().push((time, value));
            }
        });
        Ok(())
    })?;
    let mut found = Vec::new();
    for row in rows {
        let Some(mut points) = points.remove(&row.id) else {
            continue;
        };
        settle(&mut points);
        let within = points.partition_point(|p| p.0 < end_ms);
        if within == 0 {
            continue;
        }
        points.truncate(within + 1);
        let (times_ms, values) = points.into_iter().unzip();
        let series = Series {
            name: Arc::unwrap_or_clone(row.name),
            kind: row.kind,
            times_ms,
            values,
        };
        found.push((row.id, series));
    }
    Ok(found)
}

/// The ticks of a day as lines, one for the n-th runs of all hours.
fn presence_lines(day: &Day) -> Vec<Line> {
    let ticks = union_times_ms(day.series.iter().map(|(_, series)| series));
    let within = ticks.partition_point(|t| *t < day.end_ms);
    let runs = presence::steps(&ticks[..within], day.interval_ms);
    let line = |(n, steps)| Line {
        key: Key::Named(SeriesName::new(
            PRESENCE_NAME,
            &[("run", &format!("{n:02}"))],
        )),
        kind: Kind::Gauge,
        steps,
    };
    runs.into_iter().enumerate().map(line).collect()
}

/// The lines of a day in steps of a tier.
fn lines(day: &Day, tier_ms: i64) -> Vec<Line> {
    if day.presence {
        return presence_lines(day);
    }
    let range = (day.from_ms, day.end_ms);
    let sketched = tier_ms >= SKETCHED_MS;
    let line = |(key, series): &(Key, Series)| {
        let steps = steps(series, range, tier_ms, day.interval_ms, sketched);
        (!steps.is_empty()).then(|| Line {
            key: key.clone(),
            kind: series.kind,
            steps,
        })
    };
    let mut lines: Vec<Line> = day.series.iter().filter_map(line).collect();
    lines.sort_by(|a, b| a.key.cmp(&b.key));
    lines
}

/// The row that a day's lines of a tier belong into, with what else it holds.
fn row(
    conn: &Connection,
    of: (i64, i64, i64),
    day: &Day,
    fresh: Vec<Line>,
) -> Result<Option<Row>, Fault> {
    let (_, family, tier_ms) = of;
    let (start_ms, chunk_end_ms) = chunk_of(tier_ms, day.from_ms);
    let mut all: BTreeMap<Key, Line> = BTreeMap::new();
    if chunk_end_ms - start_ms > DAY_MS {
        for mut line in readable(stored(conn, of, start_ms))?.unwrap_or_default() {
            line.steps.retain(|s| !day.holds(s.start_ms));
            all.insert(line.key.clone(), line);
        }
    }
    for line in fresh {
        match all.get_mut(&line.key) {
            Some(held) => {
                held.steps.extend(line.steps);
                held.steps.sort_by_key(|s| s.start_ms);
            }
            None => drop(all.insert(line.key.clone(), line)),
        }
    }
    let all: Vec<Line> = all.into_values().filter(|l| !l.steps.is_empty()).collect();
    let last = all
        .iter()
        .filter_map(|l| l.steps.last())
        .map(|s| s.start_ms);
    let Some(last_ms) = last.max() else {
        return Ok(None);
    };
    Ok(Some(Row {
        family,
        tier_ms,
        start_ms,
        end_ms: last_ms + tier_ms,
        samples: samples(&all),
        payload: payload::encode(&all)?,
    }))
}

/// The lines of a row, its checksum verified.
pub(super) fn stored(
    conn: &Connection,
    (host, family, tier_ms): (i64, i64, i64),
    start_ms: i64,
) -> Result<Option<Vec<Line>>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, crc32c, payload FROM rollup
         WHERE host = ?1 AND family = ?2 AND tier_ms = ?3 AND start_ms = ?4",
    )?;
    let mut rows = select.query(params![host, family, tier_ms, start_ms])?;
    let Some(r) = rows.next()? else {
        return Ok(None);
    };
    let bytes = r.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    verified("rollup", r.get(0)?, r.get(1)?, bytes)?;
    Ok(Some(payload::decode(bytes, |_| true)?))
}

/// Puts the rows in place and takes the day's mark away: nothing was sealed since they were made.
pub(in crate::store) fn commit(ledger: &mut Ledger, rolled: Rolled) -> Result<(), Fault> {
    let Due { host, day } = rolled.due;
    let mut put = ledger.conn.prepare_cached(
        "INSERT INTO rollup (host, family, tier_ms, start_ms, end_ms, samples, crc32c, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (host, family, tier_ms, start_ms) DO UPDATE SET end_ms = excluded.end_ms,
           samples = excluded.samples, crc32c = excluded.crc32c, payload = excluded.payload",
    )?;
    for row in &rolled.rows {
        put.execute(params![
            host,
            row.family,
            row.tier_ms,
            row.start_ms,
            row.end_ms,
            row.samples as i64,
            crc32c::crc32c(&row.payload),
            row.payload
        ])?;
    }
    ledger
        .conn
        .prepare_cached("DELETE FROM unrolled WHERE host = ?1 AND day = ?2")?
        .execute([host, day])?;
    Ok(())
}

/// What a recomputation of a day finds different from what is stored, in plain words.
pub(in crate::store) fn differences(
    conn: &Connection,
    task: Task<'_>,
) -> Result<Vec<String>, Fault> {
    let Due { host, day } = task.due;
    let (from_ms, end_ms) = (day * DAY_MS, (day + 1) * DAY_MS);
    let mut found = Vec::new();
    for (family, window) in families(conn, host, (from_ms, end_ms), task.interval_ms)? {
        for tier in tiers_of(family, task.keeping) {
            let which = format!("family {family}, steps of {} s", tier.step_ms / 1000);
            let wanted = lines(&window, tier.step_ms);
            let of = (host, family, tier.step_ms);
            let (start_ms, _) = chunk_of(tier.step_ms, from_ms);
            let mut held = match stored(conn, of, start_ms) {
                Ok(Some(held)) => held,
                Ok(None) => continue,
                Err(Fault::Sql(Trouble::Damaged(what))) => {
                    found.push(format!("{which}: {what}"));
                    continue;
                }
                Err(other) => return Err(other),
            };
            for line in &mut held {
                line.steps.retain(|s| window.holds(s.start_ms));
            }
            held.retain(|line| !line.steps.is_empty());
            // A row of many days that says nothing of this one, as where there is no row.
            if held.is_empty() {
                continue;
            }
            let (there, had) = (samples(&wanted), samples(&held));
            // Samples that are gone cannot be recomputed from.
            if from_ms < task.raw_since_ms && there < had {
                continue;
            }
            // As text, because NaN stands where there is no value.
            if format!("{wanted:?}") != format!("{held:?}") {
                found.push(format!(
                    "{which}: stored and recomputed differ ({had} and {there} samples)"
                ));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_due_when_it_is_over_and_its_host_has_its_turn() {
        let due = |host, hours: i64| is_due(Due { host, day: 0 }, DAY_MS + hours * 3_600_000);
        for host in 0..50 {
            assert!(!due(host, 1));
            assert!(due(host, 6));
        }
        let early = (0..50).filter(|host| due(*host, 4)).count();
        assert!((10..40).contains(&early), "{early} of 50 in half the time");
    }
}
