//! What rollups and samples say of a stretch of time.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, params};

use super::super::super::error::{Fault, StoreError};
use super::super::super::types::{Read, RowsRead, WindowQuery, as_it_is};
use super::super::checksum::verified;
use super::super::head::Head;
use super::super::rollup::payload::{self, Key};
use super::super::rollup::roll::first_tick;
use super::super::rollup::{DAY_MS, chunk_of};
use super::super::seal::HOLE_MS;
use super::super::window::{self, Room, Source};
use super::Gathering;
use super::host::{Host, day_of};
use super::plan::{cut, is_quantile};
use crate::series::rollup::Step;
use crate::series::rollup::steps;
use crate::series::{Agg, Kind, SeriesName, derived};

/// Most rows of rollups that one answer reads.
const ROWS_MAX: u64 = 500_000;
/// How far behind a stretch the sample that ends its last pair is looked for, in intervals.
const NEXT_INTERVALS: i64 = 36;

/// Adds what rollups say of a stretch, the coarsest that there are; answers what is left to samples.
pub(super) fn cover(
    conn: &Connection,
    host: &Host<'_>,
    (from_ms, end_ms): (i64, i64),
    lengths: &[i64],
    into: &mut Gathering<'_>,
) -> Result<Vec<(i64, i64)>, Fault> {
    let mut samples: Vec<(i64, i64)> = Vec::new();
    for (length, from_ms, end_ms) in cut(from_ms, end_ms, lengths) {
        let Some(length) = length else {
            samples.push((from_ms, end_ms));
            continue;
        };
        let left = from_rollups(conn, host, length, (from_ms, end_ms), into)?;
        samples.extend(left.to_samples);
        // Steps of this length may be younger, or older, than those of the next.
        let finer = lengths.iter().position(|one| *one == length);
        let finer = finer.map_or(&[][..], |at| &lengths[at + 1..]);
        for stretch in left.to_finer {
            samples.extend(cover(conn, host, stretch, finer, into)?);
        }
    }
    Ok(samples)
}

/// The end of the last day of a stretch that rollups know of but nothing that can tell what is asked.
pub(super) fn gone_before(
    conn: &Connection,
    host: &Host<'_>,
    (from_ms, end_ms): (i64, i64),
    tiers: &[i64],
) -> Result<Option<i64>, Fault> {
    let end_ms = end_ms.min(host.past.raw_since_ms);
    let from_ms = from_ms.max(host.past.rolled_since_ms);
    if from_ms >= end_ms {
        return Ok(None);
    }
    for day in (day_of(from_ms)..=day_of(end_ms - 1)).rev() {
        if host.is_rolled(conn, day, tiers)? {
            return Ok(Some(end_ms.min((day + 1) * DAY_MS)));
        }
    }
    Ok(None)
}

/// What the rollups of one length leave of a stretch, ascending.
#[derive(Debug, Default)]
struct Left {
    /// Samples say it better.
    to_samples: Vec<(i64, i64)>,
    /// There are none.
    to_finer: Vec<(i64, i64)>,
}

/// What the rollups of one length tell of a stretch.
#[derive(Debug, Default)]
struct Told {
    lines: Vec<(SeriesName, Kind, Vec<Step>)>,
    /// Days they tell of.
    days: BTreeSet<i64>,
    /// Days that several of the host's numbers tell of: of samples of one moment the first counts, which
    /// steps do not know, nor what lies between the last sample of one and the first of another.
    days_of_several: BTreeSet<i64>,
}

fn told(
    conn: &Connection,
    host: &Host<'_>,
    length: i64,
    (from_ms, end_ms): (i64, i64),
    into: &mut Gathering<'_>,
) -> Result<Told, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, start_ms, crc32c, payload FROM rollup
         WHERE host = ?1 AND family = ?2 AND tier_ms = ?3 AND start_ms >= ?4 AND start_ms < ?5
         ORDER BY start_ms",
    )?;
    let first_row_ms = chunk_of(length, from_ms).0;
    let mut told = Told::default();
    for (number, names) in &host.rows {
        let names: HashMap<i64, &SeriesName> = names.iter().map(|r| (r.id, &*r.name)).collect();
        let mut days: BTreeSet<i64> = BTreeSet::new();
        let range = params![number, host.family, length, first_row_ms, end_ms];
        let mut rows = select.query(range)?;
        while let Some(r) = rows.next()? {
            let bytes = r.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
            verified("rollup", r.get(0)?, r.get(2)?, bytes)?;
            into.read.rows(length, bytes.len())?;
            if length < DAY_MS {
                days.insert(day_of(r.get(1)?));
            }
            let lines = payload::decode(bytes, |key| match key {
                Key::Id(id) => names.contains_key(id),
                Key::Named(name) => name.metric == into.query.metric,
            })?;
            for mut line in lines {
                let within = |s: &Step| (from_ms..end_ms).contains(&s.start_ms);
                line.steps.retain(within);
                if length >= DAY_MS {
                    // A row of many days need not know of each of them.
                    days.extend(line.steps.iter().map(|s| day_of(s.start_ms)));
                }
                let name = match line.key {
                    Key::Id(id) => names.get(&id).map(|name| (*name).clone()),
                    Key::Named(name) => Some(name),
                };
                told.lines
                    .extend(name.map(|name| (name, line.kind, line.steps)));
            }
        }
        told.days_of_several.extend(told.days.intersection(&days));
        told.days.append(&mut days);
    }
    Ok(told)
}

/// Adds what the rollups of one length say of a stretch.
fn from_rollups(
    conn: &Connection,
    host: &Host<'_>,
    length: i64,
    (from_ms, end_ms): (i64, i64),
    into: &mut Gathering<'_>,
) -> Result<Left, Fault> {
    let told = told(conn, host, length, (from_ms, end_ms), into)?;
    // A day that changed is read from samples, unless some that its rollup knows of are gone.
    let steps = told.lines.iter().flat_map(|(_, _, steps)| steps);
    let gone: BTreeSet<i64> = steps
        .filter(|s| s.start_ms.saturating_add(length) <= host.past.whole_since_ms)
        .map(|s| day_of(s.start_ms))
        .collect();
    let better = |day: i64| {
        let inexact = host.fresh.contains(&day) || told.days_of_several.contains(&day);
        inexact && host.has_samples((day + 1) * DAY_MS) && !gone.contains(&day)
    };
    for (name, kind, mut steps) in told.lines {
        steps.retain(|s| !better(day_of(s.start_ms)));
        into.add(&host.ask.host, &name, kind, &steps);
    }
    let mut left = Left::default();
    for day in day_of(from_ms)..=day_of(end_ms - 1) {
        let stretch = (
            (day * DAY_MS).max(from_ms),
            ((day + 1) * DAY_MS).min(end_ms),
        );
        let to = match told.days.contains(&day) {
            _ if better(day) => &mut left.to_samples,
            true => continue,
            false => &mut left.to_finer,
        };
        match to.last_mut() {
            Some(last) if last.1 == stretch.0 => last.1 = stretch.1,
            _ => to.push(stretch),
        }
    }
    Ok(left)
}

/// Where to stop looking for the samples that end the last pairs of a stretch.
fn next_ms(
    conn: &Connection,
    head: Option<&Head>,
    host: &Host<'_>,
    end_ms: i64,
) -> Result<i64, Fault> {
    let mut until_ms = end_ms.saturating_add(NEXT_INTERVALS * host.ask.interval_ms.max(1));
    for number in &host.ask.numbers {
        let sealed = first_tick(conn, (*number, host.blocks), end_ms)?;
        let waiting = head.map_or_else(Vec::new, |head| head.entries(*number, end_ms, i64::MAX));
        let waiting = waiting.iter().map(|entry| entry.start_ms.max(end_ms));
        let first = waiting.chain(sealed).min();
        until_ms = until_ms.max(first.map_or(end_ms, |ms| ms.saturating_add(HOLE_MS)));
    }
    Ok(until_ms)
}

/// Adds what the samples of a stretch say.
pub(super) fn from_samples(
    from: Source<'_>,
    host: &Host<'_>,
    ((from_ms, end_ms), agg): ((i64, i64), Agg),
    into: &mut Gathering<'_>,
) -> Result<(), Fault> {
    let query = into.query;
    if !host.has_samples(end_ms) {
        return Ok(());
    }
    let next_ms = next_ms(from.conn, from.head, host, end_ms)?;
    let inputs = derived::inputs(&query.metric);
    let ask = WindowQuery {
        hosts: Vec::new(),
        metrics: [query.metric.as_str()]
            .into_iter()
            .chain(inputs.iter().copied())
            .map(str::to_owned)
            .collect(),
        from_ms,
        // Beyond the range nothing is looked at.
        to_ms: next_ms.min(query.grid.to_ms),
        samples_max: query.samples_max.saturating_sub(into.read.samples as usize),
    };
    let room = Room::new(ask.samples_max);
    // What something is derived from comes under no name of its own.
    let chosen = query.chosen().filter(|_| inputs.is_empty());
    let how = (&ask, chosen.as_ref(), &as_it_is());
    let read = window::read(from, vec![host.ask.clone()], how, &room)?;
    for mut window in read {
        into.read.samples += window
            .series
            .iter()
            .map(|s| s.values.len() as u64)
            .sum::<u64>();
        derived::derive(&mut window, &query.metric);
        for one in window.all(&query.metric) {
            let range = (from_ms, end_ms);
            let step_ms = query.grid.step_ms;
            let found = steps(one, range, step_ms, window.interval_ms, is_quantile(agg));
            into.add(&host.ask.host, &one.name, one.kind, &found);
        }
    }
    Ok(())
}

impl Read {
    fn rows(&mut self, step_ms: i64, bytes: usize) -> Result<(), Fault> {
        match self.rollups.iter_mut().find(|of| of.step_ms == step_ms) {
            Some(of) => of.rows += 1,
            None => self.rollups.push(RowsRead { step_ms, rows: 1 }),
        }
        self.bytes += bytes as u64;
        let all: u64 = self.rollups.iter().map(|of| of.rows).sum();
        if all > ROWS_MAX {
            return Err(StoreError::Limit {
                what: "rows of rollups in one answer",
                got: all,
                max: ROWS_MAX,
                remedy: "ask for fewer hosts, a longer step, or a shorter time",
            }
            .into());
        }
        Ok(())
    }
}
