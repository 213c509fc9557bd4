//! Coarse answers: numbers by step, from rollups where they are cheaper or all that is left, from
//! samples elsewhere.
//!
//! [`cut`] is the planner: it covers a range with the coarsest steps that fit into it and into the
//! asked steps, finer ones at its edges, samples at the very edges. A day whose samples are not
//! rolled up yet is read from them instead, as long as they are there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hostwell_proto::metric::{Family, Metric};
use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::{Fault, StoreError};
use super::super::types::{AggregateQuery, Aggregated, Read, RowsRead, WindowQuery};
use super::budget;
use super::head::Head;
use super::rollup::payload::{self, Key};
use super::rollup::roll::{SKETCHED_MS, first_tick};
use super::rollup::{DAY_MS, DERIVED_FROM, chunk_of, day_before, verified};
use super::seal::HOLE_MS;
use super::series::{self, FAMILIES, SeriesRow};
use super::window::{self, Ask};
use crate::series::rollup::{Step, can_tell, steps};
use crate::series::{Agg, Kind, Series, SeriesName, derived};

/// Most rows of rollups that one answer reads.
const ROWS_MAX: u64 = 500_000;
/// A range up to here is answered from samples: exact, and no slower.
const SAMPLES_RANGE_MS: i64 = 2 * DAY_MS;
/// How far behind a stretch the sample that ends its last pair is looked for, in intervals.
const NEXT_INTERVALS: i64 = 36;

/// A stretch of time and the steps it is answered from; `None`: from samples.
type Piece = (Option<i64>, i64, i64);

/// Covers `from_ms..end_ms`, given the lengths of steps from the coarsest to the finest.
fn cut(from_ms: i64, end_ms: i64, lengths: &[i64]) -> Vec<Piece> {
    if from_ms >= end_ms {
        return Vec::new();
    }
    let Some((length, finer)) = lengths.split_first() else {
        return vec![(None, from_ms, end_ms)];
    };
    let first = (from_ms + length - 1).div_euclid(*length) * length;
    let last = end_ms.div_euclid(*length) * length;
    if first >= last {
        return cut(from_ms, end_ms, finer);
    }
    let mut pieces = cut(from_ms, first, finer);
    pieces.push((Some(*length), first, last));
    pieces.extend(cut(last, end_ms, finer));
    pieces
}

/// The steps that can answer a question, the coarsest first; none: only samples can.
fn lengths(query: &AggregateQuery, host: &Host<'_>, agg: Agg, tiers: &[i64]) -> Vec<i64> {
    let grid = query.grid;
    let short = grid.to_ms.saturating_sub(grid.from_ms) <= SAMPLES_RANGE_MS;
    let there = host.past.gone_before(grid.from_ms).is_none();
    if (short && there) || !can_tell(host.kind, agg) {
        return Vec::new();
    }
    let fits = |length: &i64| {
        let whole = grid.step_ms > grid.to_ms.saturating_sub(grid.from_ms).saturating_mul(2);
        (whole || grid.step_ms % length == 0) && (!is_quantile(agg) || *length >= SKETCHED_MS)
    };
    let mut found: Vec<i64> = tiers.iter().copied().filter(fits).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

fn is_quantile(agg: Agg) -> bool {
    matches!(agg, Agg::P50 | Agg::P95 | Agg::P99)
}

/// Everything that is gathered under one name.
struct Group {
    kind: Kind,
    steps: BTreeMap<i64, Step>,
}

/// An answer while it is put together.
struct Gathering<'a> {
    query: &'a AggregateQuery,
    agg: Option<Agg>,
    groups: BTreeMap<SeriesName, Group>,
    read: Read,
    tiers: Vec<i64>,
    kept_since_ms: Option<i64>,
}

impl Gathering<'_> {
    fn add(&mut self, host: &str, name: &SeriesName, kind: Kind, found: &[Step]) {
        let Some(under) = (self.query.under)(host, name) else {
            return;
        };
        let grid = self.query.grid;
        let group = self.groups.entry(under).or_insert_with(|| Group {
            kind,
            steps: BTreeMap::new(),
        });
        for step in found {
            let start_ms = grid.step_of(step.start_ms);
            let into = group.steps.entry(start_ms);
            into.or_insert_with(|| Step::empty(start_ms)).merge(step);
        }
    }

    fn answer(self) -> Aggregated {
        let quantile = self.agg.is_some_and(is_quantile);
        let series = self.groups.into_iter().filter_map(|(name, group)| {
            let agg = self.agg?;
            let value = |step: &Step| Some((step.start_ms, step.value(group.kind, agg)?));
            let (times_ms, values): (Vec<i64>, Vec<f64>) =
                group.steps.values().filter_map(value).unzip();
            (!times_ms.is_empty()).then_some(Series {
                name,
                kind: Kind::Gauge,
                times_ms,
                values,
            })
        });
        Aggregated {
            series: series.collect(),
            agg: self.agg,
            // Steps of rollups and of samples alike tell quantiles from a sketch here.
            error: quantile.then_some(crate::series::sketch::ERROR),
            kept_since_ms: self.kept_since_ms,
            read: self.read,
        }
    }
}

/// Where a host's samples begin, and where its rollups do.
#[derive(Clone, Copy, Debug)]
struct Past {
    /// The oldest sample.
    raw_since_ms: i64,
    /// Where the disk budget stopped taking samples, if that is later.
    whole_since_ms: i64,
    /// The oldest day that was rolled up.
    rolled_since_ms: i64,
}

impl Past {
    fn of(
        conn: &Connection,
        head: Option<&Head>,
        ask: &Ask,
        families: &[(i64, i64)],
        tiers: &[i64],
    ) -> Result<Past, Fault> {
        // The first that ends is the first that begins, or late data that lies beside it.
        let mut raw = conn.prepare_cached(
            "SELECT start_ms FROM block WHERE host = ?1 AND family = ?2 ORDER BY end_ms LIMIT 1",
        )?;
        let mut journal =
            conn.prepare_cached("SELECT min(start_ms) FROM journal WHERE host = ?1")?;
        let mut rolled = conn.prepare_cached(
            "SELECT min(start_ms) FROM rollup WHERE host = ?1 AND family = ?2 AND tier_ms = ?3",
        )?;
        let (mut raw_since, mut rolled_since) = (Vec::new(), Vec::new());
        for number in &ask.numbers {
            let waiting: Option<i64> = match head {
                Some(head) => head.oldest(*number),
                None => journal.query_row([number], |r| r.get(0))?,
            };
            raw_since.extend(waiting);
            for (blocks, rollups) in families {
                let first = raw.query_row([number, blocks], |r| r.get::<_, i64>(0));
                raw_since.extend(first.optional()?);
                for step_ms in tiers.iter().filter(|step_ms| **step_ms < DAY_MS) {
                    let row = [number, rollups, step_ms];
                    rolled_since.extend(rolled.query_row(row, |r| r.get::<_, Option<i64>>(0))?);
                }
            }
        }
        let raw_since_ms = raw_since.into_iter().min().unwrap_or(i64::MAX);
        let whole_since_ms = match ask.kept {
            true => raw_since_ms,
            false => raw_since_ms.max(budget::samples_until(conn)?),
        };
        Ok(Past {
            raw_since_ms,
            whole_since_ms,
            rolled_since_ms: rolled_since.into_iter().min().unwrap_or(i64::MAX),
        })
    }

    /// The moment before which samples are gone, where they are for a range that begins there.
    fn gone_before(&self, from_ms: i64) -> Option<i64> {
        let first_day_ms = day_of(self.whole_since_ms).saturating_mul(DAY_MS);
        (from_ms < self.whole_since_ms && self.rolled_since_ms < first_day_ms)
            .then_some(self.whole_since_ms)
    }
}

/// Since when hosts have samples, where what was before is only known by rollups.
pub(in crate::store) fn samples_since(
    conn: &Connection,
    head: Option<&Head>,
    ask: &Ask,
    tiers: &[i64],
) -> Result<Option<i64>, Fault> {
    let families: Vec<(i64, i64)> = FAMILIES.map(|family| (family, family)).collect();
    let past = Past::of(conn, head, ask, &families, tiers)?;
    Ok(past.gone_before(i64::MIN))
}

/// What is known of one host before anything is read.
struct Host<'a> {
    ask: &'a Ask,
    /// The series that are stored, by number and id.
    rows: HashMap<i64, Vec<SeriesRow>>,
    /// Which blocks hold the metric, or what it is derived from, …
    blocks: i64,
    /// … and which rollups.
    family: i64,
    kind: Kind,
    /// Days with samples that no rollup knows of.
    fresh: BTreeSet<i64>,
    past: Past,
}

/// The day of a moment, counted from the Unix epoch.
pub(in crate::store) fn day_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(DAY_MS)
}

impl<'a> Host<'a> {
    fn of(
        conn: &Connection,
        head: Option<&Head>,
        ask: &'a Ask,
        (query, tiers): (&AggregateQuery, &[i64]),
    ) -> Result<Option<Host<'a>>, Fault> {
        let inputs = derived::inputs(&query.metric);
        let (mut rows, mut stored) = (HashMap::new(), Vec::new());
        let mut fresh = BTreeSet::new();
        for number in &ask.numbers {
            let of = series::of_host(conn, *number, std::slice::from_ref(&query.metric))?;
            stored.extend(of.iter().map(|r| (r.family, r.kind)));
            rows.insert(*number, of);
        }
        let catalogued = Metric::by_name(&query.metric).map(|m| m.descriptor());
        let (family, kind) = match (stored.first(), catalogued) {
            (Some(found), _) if inputs.is_empty() => *found,
            (_, Some(row)) if !inputs.is_empty() => (row.family as i64 + DERIVED_FROM, row.kind),
            (_, Some(row)) => (row.family as i64, row.kind),
            (_, None) => return Ok(None),
        };
        let blocks = match family {
            derived if derived > DERIVED_FROM => derived - DERIVED_FROM,
            family if (1..=Family::Other as i64).contains(&family) => family,
            _ => return Ok(None),
        };
        for number in &ask.numbers {
            let range = (query.grid.from_ms, query.grid.to_ms);
            fresh.extend(unrolled(conn, head, (*number, Some(blocks)), range)?);
        }
        Ok(Some(Host {
            ask,
            rows,
            blocks,
            family,
            kind,
            fresh,
            past: Past::of(conn, head, ask, &[(blocks, family)], tiers)?,
        }))
    }

    /// Whether samples of a stretch may be there.
    fn has_samples(&self, end_ms: i64) -> bool {
        end_ms > self.past.raw_since_ms
    }

    /// Whether rollups of any length know of a day.
    fn is_rolled(&self, conn: &Connection, day: i64, tiers: &[i64]) -> Result<bool, Fault> {
        let mut there = conn.prepare_cached(
            "SELECT 1 FROM rollup WHERE host = ?1 AND family = ?2 AND tier_ms = ?3 AND start_ms = ?4",
        )?;
        for step_ms in tiers.iter().filter(|step_ms| **step_ms < DAY_MS) {
            for number in &self.ask.numbers {
                if there.exists([*number, self.family, *step_ms, day * DAY_MS])? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Ascending stretches, neighbours that are no further apart than `near_ms` as one.
fn joined(stretches: &[(i64, i64)], near_ms: i64) -> Vec<(i64, i64)> {
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from_ms, end_ms) in stretches.iter().copied() {
        match joined.last_mut() {
            Some(last) if last.1.saturating_add(near_ms) >= from_ms => last.1 = last.1.max(end_ms),
            _ => joined.push((from_ms, end_ms)),
        }
    }
    joined
}

/// Days of a host number that are marked, or have batches that are not sealed; with a family also
/// the days whose last pairs end with these.
pub(in crate::store) fn unrolled(
    conn: &Connection,
    head: Option<&Head>,
    (number, family): (i64, Option<i64>),
    (from_ms, to_ms): (i64, i64),
) -> Result<BTreeSet<i64>, Fault> {
    // First what is not sealed: sealing marks the days before it takes the batches away.
    let mut spans: Vec<(i64, i64)> = match head {
        Some(head) => {
            let entries = head.entries(number, i64::MIN, i64::MAX);
            entries.iter().map(|e| (e.start_ms, e.end_ms)).collect()
        }
        None => {
            let mut select =
                conn.prepare_cached("SELECT start_ms, end_ms FROM journal WHERE host = ?1")?;
            let rows = select.query_map([number], |r| Ok((r.get(0)?, r.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        }
    };
    let mut select = conn.prepare_cached("SELECT day FROM unrolled WHERE host = ?1")?;
    let days = select.query_map([number], |r| r.get(0))?;
    let mut days: BTreeSet<i64> = days.collect::<Result<_, _>>()?;
    spans.sort_unstable();
    for (start_ms, end_ms) in joined(&spans, HOLE_MS) {
        days.extend(day_of(start_ms.max(from_ms))..=day_of(end_ms.min(to_ms)));
        if let Some(family) = family {
            days.extend(day_before(conn, (number, family), start_ms)?);
        }
    }
    Ok(days)
}

/// Answers for the hosts asked for. `tiers`: which steps there are.
pub(in crate::store) fn read(
    conn: &Connection,
    head: Option<&Head>,
    asks: &[Ask],
    query: &AggregateQuery,
    tiers: &[i64],
) -> Result<Aggregated, Fault> {
    let mut gathering = Gathering {
        query,
        agg: query.agg,
        groups: BTreeMap::new(),
        read: Read::default(),
        tiers: tiers.to_vec(),
        kept_since_ms: None,
    };
    for ask in asks {
        if let Some(host) = Host::of(conn, head, ask, (query, tiers))? {
            of_host(conn, head, &host, &mut gathering)?;
        }
    }
    Ok(gathering.answer())
}

fn of_host(
    conn: &Connection,
    head: Option<&Head>,
    host: &Host<'_>,
    into: &mut Gathering<'_>,
) -> Result<(), Fault> {
    let grid = into.query.grid;
    let agg = *into.agg.get_or_insert(Agg::default_for(host.kind));
    let lengths = lengths(into.query, host, agg, &into.tiers);
    if lengths.is_empty() {
        into.kept_since_ms = into.kept_since_ms.max(host.past.gone_before(grid.from_ms));
    }
    let range = (grid.from_ms, grid.to_ms.saturating_add(1));
    let mut samples = cover(conn, host, range, &lengths, into)?;
    // Neighbours are read together, so that no pair is lost between them.
    samples.sort_unstable();
    let finest = lengths.last().copied().unwrap_or(i64::MAX);
    for stretch in joined(&samples, 0) {
        if stretch.1 - stretch.0 >= finest {
            let gone = gone_before(conn, host, stretch, &into.tiers)?;
            into.kept_since_ms = into.kept_since_ms.max(gone);
        }
        from_samples(conn, head, host, (stretch, agg), into)?;
    }
    Ok(())
}

/// Adds what rollups say of a stretch, the coarsest that there are; answers what is left to samples.
fn cover(
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
fn gone_before(
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

/// Adds what the rollups of one length say of a stretch.
fn from_rollups(
    conn: &Connection,
    host: &Host<'_>,
    length: i64,
    (from_ms, end_ms): (i64, i64),
    into: &mut Gathering<'_>,
) -> Result<Left, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, start_ms, crc32c, payload FROM rollup
         WHERE host = ?1 AND family = ?2 AND tier_ms = ?3 AND start_ms >= ?4 AND start_ms < ?5
         ORDER BY start_ms",
    )?;
    let first_row_ms = chunk_of(length, from_ms).0;
    let mut there: BTreeSet<i64> = BTreeSet::new();
    let mut found: Vec<(SeriesName, Kind, Vec<Step>)> = Vec::new();
    for (number, names) in &host.rows {
        let names: HashMap<i64, &SeriesName> = names.iter().map(|r| (r.id, &*r.name)).collect();
        let range = params![number, host.family, length, first_row_ms, end_ms];
        let mut rows = select.query(range)?;
        while let Some(r) = rows.next()? {
            let bytes = r.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
            verified(r.get(0)?, r.get(2)?, bytes)?;
            into.read.rows(length, bytes.len())?;
            if length < DAY_MS {
                there.insert(day_of(r.get(1)?));
            }
            let lines = payload::decode(bytes, |key| match key {
                Key::Id(id) => names.contains_key(id),
                Key::Named(name) => name.metric == into.query.metric,
            })?;
            for mut line in lines {
                let within = |s: &Step| (from_ms..end_ms).contains(&s.start_ms);
                line.steps.retain(within);
                let name = match line.key {
                    Key::Id(id) => names.get(&id).map(|name| (*name).clone()),
                    Key::Named(name) => Some(name),
                };
                found.extend(name.map(|name| (name, line.kind, line.steps)));
            }
        }
    }
    // A day that changed is read from samples, unless some that its rollup knows of are gone.
    let steps = found.iter().flat_map(|(_, _, steps)| steps);
    let gone: BTreeSet<i64> = steps
        .filter(|s| s.start_ms.saturating_add(length) <= host.past.whole_since_ms)
        .map(|s| day_of(s.start_ms))
        .collect();
    if length >= DAY_MS {
        // A row of many days need not know of each of them.
        let steps = found.iter().flat_map(|(_, _, steps)| steps);
        there.extend(steps.map(|s| day_of(s.start_ms)));
    }
    let better = |day: i64| {
        host.fresh.contains(&day) && host.has_samples((day + 1) * DAY_MS) && !gone.contains(&day)
    };
    for (name, kind, mut steps) in found {
        steps.retain(|s| !better(day_of(s.start_ms)));
        into.add(&host.ask.host, &name, kind, &steps);
    }
    let mut left = Left::default();
    for day in day_of(from_ms)..=day_of(end_ms - 1) {
        let stretch = (
            (day * DAY_MS).max(from_ms),
            ((day + 1) * DAY_MS).min(end_ms),
        );
        let to = match there.contains(&day) {
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
fn from_samples(
    conn: &Connection,
    head: Option<&Head>,
    host: &Host<'_>,
    ((from_ms, end_ms), agg): ((i64, i64), Agg),
    into: &mut Gathering<'_>,
) -> Result<(), Fault> {
    let query = into.query;
    if !host.has_samples(end_ms) {
        return Ok(());
    }
    let next_ms = next_ms(conn, head, host, end_ms)?;
    let inputs = derived::inputs(&query.metric).iter().copied();
    let ask = WindowQuery {
        hosts: Vec::new(),
        metrics: [query.metric.as_str()]
            .into_iter()
            .chain(inputs)
            .map(str::to_owned)
            .collect(),
        from_ms,
        // Beyond the range nothing is looked at.
        to_ms: next_ms.min(query.grid.to_ms),
        samples_max: query.samples_max.saturating_sub(into.read.samples as usize),
    };
    for mut window in window::read(conn, head, vec![host.ask.clone()], &ask)? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_range_is_whole_days_then_hours_then_samples_at_its_edges() {
        let pieces = cut(HOUR / 2, 2 * DAY_MS + HOUR + 7, &[DAY_MS, HOUR]);
        assert_eq!(
            pieces,
            [
                (None, HOUR / 2, HOUR),
                (Some(HOUR), HOUR, DAY_MS),
                (Some(DAY_MS), DAY_MS, 2 * DAY_MS),
                (Some(HOUR), 2 * DAY_MS, 2 * DAY_MS + HOUR),
                (None, 2 * DAY_MS + HOUR, 2 * DAY_MS + HOUR + 7),
            ]
        );
        assert_eq!(cut(5, 9, &[HOUR]), [(None, 5, 9)]);
        assert!(cut(5, 5, &[HOUR]).is_empty());
    }

    proptest! {
        #[test]
        fn pieces_lie_side_by_side_and_cover_the_range(
            from in -5 * DAY_MS..5 * DAY_MS, length in 1..9 * DAY_MS
        ) {
            let end = from + length;
            let pieces = cut(from, end, &[DAY_MS, HOUR, 60_000]);
            prop_assert_eq!(pieces[0].1, from);
            prop_assert_eq!(pieces[pieces.len() - 1].2, end);
            for two in pieces.windows(2) {
                prop_assert_eq!(two[0].2, two[1].1);
            }
            for (length, from, end) in pieces {
                prop_assert!(from < end);
                let length = length.unwrap_or(1);
                prop_assert_eq!((from % length, end % length), (0, 0));
            }
        }
    }
}
