//! Block formats 2 and 3: what a sealed block's bytes are.
//!
//! ```text
//! block    = version(3)  runs  ticks  columns
//! ticks    = count  first-ms(zigzag)  length  row of count - 1 steps
//! columns  = for each series of the runs: length; then the columns one after another
//! column   = header  [presence]  body
//! header   = kind (bits 0-1) | sparse (bit 2) | presence in runs (bit 3) | decimals (bits 4-7)
//! ```
//! A column can be read without the others, except for those it is foretold from; its newest number
//! without anything else, which is all that format 3 does otherwise than format 2. The full
//! description is docs/format/block.md.

mod numbers;
mod predict;
mod presence;
mod read;
mod steps;

use std::collections::{HashMap, HashSet};

use self::predict::{Candidate, Plan, apply};
pub(in crate::store) use self::read::{decode, newest, plans, series};
use self::steps::differences;
use super::super::error::Fault;
use super::parcel::put_runs;
use super::table::{Row, Table, TableColumn};
use super::varint;

/// The first byte.
const VERSION: u8 = 3;
/// The first byte of blocks whose columns begin with their oldest numbers.
const VERSION_OLDEST_FIRST: u8 = 2;
const CONSTANT: u8 = 0;
const WHOLE: u8 = 1;
const DOUBLES: u8 = 2;
const SPARSE: u8 = 4;
const IN_RUNS: u8 = 8;

/// Whether bytes are a block of these formats.
pub(in crate::store) fn is_ours(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(&(VERSION | VERSION_OLDEST_FIRST)))
}

/// A column made ready for writing.
struct Prepared<'a> {
    header: u8,
    presence: Vec<u8>,
    values: Values<'a>,
}

enum Values<'a> {
    Whole(&'a [i64]),
    /// Doubles that are kept as they are.
    Raw(&'a [f64]),
}

impl Prepared<'_> {
    fn numbers(&self) -> Option<&[i64]> {
        match self.values {
            Values::Whole(numbers) => Some(numbers),
            Values::Raw(_) => None,
        }
    }
}

/// From which other series each series of a block is foretold, to be tried on another block: a
/// relation that held for an hour mostly holds for the next one, and finding it costs more than
/// all the rest of sealing.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Plans {
    known: HashMap<i64, (usize, Vec<(i64, bool)>)>,
    /// Series to be searched, because nothing is known of them.
    search: HashSet<i64>,
}

impl Plans {
    /// Whether nothing is known.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Notes how a series is foretold.
    pub(in crate::store) fn add(&mut self, id: i64, order: usize, sources: Vec<(i64, bool)>) {
        self.known.insert(id, (order, sources));
    }

    /// Whether a series is foretold from others.
    pub(in crate::store) fn foretells(&self, id: i64) -> bool {
        self.known.get(&id).is_some_and(|p| !p.1.is_empty())
    }

    /// Has a series stand alone.
    pub(in crate::store) fn forget(&mut self, id: i64) {
        self.known.remove(&id);
    }

    /// Has a series searched.
    pub(in crate::store) fn search(&mut self, id: i64) {
        self.search.insert(id);
    }

    /// The series that are to be searched.
    pub(in crate::store) fn searched(&self) -> impl Iterator<Item = i64> + '_ {
        self.search.iter().copied()
    }

    /// The series that are foretold: id, order, sources.
    pub(in crate::store) fn each(&self) -> impl Iterator<Item = (i64, usize, &[(i64, bool)])> {
        let foretold = self.known.iter().filter(|(_, plan)| !plan.1.is_empty());
        foretold.map(|(id, (order, sources))| (*id, *order, sources.as_slice()))
    }

    /// What is known of each series of a list, by places in it, and which are to be searched.
    fn places(&self, series: &[i64]) -> (Vec<Plan>, Vec<bool>) {
        let place: HashMap<i64, usize> = series.iter().enumerate().map(|(i, s)| (*s, i)).collect();
        let plan = |id: &i64| {
            let Some((order, sources)) = self.known.get(id) else {
                return Plan::alone(1);
            };
            let sources = sources
                .iter()
                .map(|(id, added)| Some((*place.get(id)?, *added)))
                .collect::<Option<Vec<_>>>();
            Plan {
                order: *order,
                sources: sources.unwrap_or_default(),
            }
        };
        let search = series.iter().map(|id| self.search.contains(id));
        (series.iter().map(plan).collect(), search.collect())
    }
}

/// A table as a block; `None` when it has no tick. With plans these are tried, and only the columns
/// they name are searched; without, all are.
pub(in crate::store) fn encode(
    table: &Table<'_>,
    known: Option<&Plans>,
) -> Result<Option<Vec<u8>>, Fault> {
    let ticks = table.times_ms.len();
    if ticks == 0 {
        return Ok(None);
    }
    let prepared: Vec<Prepared> = table.columns.iter().map(|c| prepare(c, ticks)).collect();
    let candidates = candidates(&prepared);
    let plans = match known {
        Some(known) => predict::plans(&candidates, known.places(&table.series)),
        None => {
            let count = candidates.len();
            predict::plans(
                &candidates,
                (vec![Plan::alone(1); count], vec![true; count]),
            )
        }
    };
    let mut bodies = Vec::new();
    let mut lengths = Vec::with_capacity(prepared.len());
    for (place, plan) in plans.iter().enumerate() {
        let begin = bodies.len();
        put_column(&mut bodies, place, plan, &prepared)?;
        lengths.push(bodies.len() - begin);
    }
    let mut out = vec![VERSION];
    put_runs(&mut out, &table.series);
    put_times(&mut out, table.times_ms)?;
    for length in lengths {
        varint::put(&mut out, length as u64);
    }
    out.extend_from_slice(&bodies);
    Ok(Some(out))
}

fn put_times(out: &mut Vec<u8>, times_ms: &[i64]) -> Result<(), Fault> {
    varint::put(out, times_ms.len() as u64);
    varint::put_signed(out, times_ms.first().copied().unwrap_or(0));
    let mut row = Vec::new();
    numbers::put(&mut row, &differences(times_ms, 1))?;
    varint::put(out, row.len() as u64);
    out.extend_from_slice(&row);
    Ok(())
}

fn prepare<'a>(column: &'a TableColumn<'_>, ticks: usize) -> Prepared<'a> {
    let constant = |m: &[i64]| m.iter().all(|one| Some(one) == m.first());
    let (kind, values) = match &column.row {
        Row::Whole(decimals, m) if constant(m) => (CONSTANT | decimals << 4, Values::Whole(m)),
        Row::Whole(decimals, m) => (WHOLE | decimals << 4, Values::Whole(m)),
        Row::Raw(values) => (DOUBLES, Values::Raw(values)),
    };
    let (mark, presence) = match &column.ticks {
        None => (0, Vec::new()),
        Some(present) => presence::put(present, ticks),
    };
    Prepared {
        header: kind | mark,
        presence,
        values,
    }
}

/// Columns that can foretell each other: whole numbers at the same ticks.
fn candidates<'a>(prepared: &'a [Prepared<'_>]) -> Vec<Option<Candidate<'a>>> {
    let mut marks: Vec<(u8, &[u8])> = Vec::new();
    prepared
        .iter()
        .map(|column| {
            let numbers = column.numbers()?;
            if column.header & 3 != WHOLE {
                return None;
            }
            let key = (
                column.header & (SPARSE | IN_RUNS),
                column.presence.as_slice(),
            );
            let mark = marks.iter().position(|m| *m == key).unwrap_or_else(|| {
                marks.push(key);
                marks.len() - 1
            });
            Some(Candidate { numbers, mark })
        })
        .collect()
}

fn put_column(
    out: &mut Vec<u8>,
    place: usize,
    plan: &Plan,
    all: &[Prepared<'_>],
) -> Result<(), Fault> {
    let column = &all[place];
    out.push(column.header);
    out.extend_from_slice(&column.presence);
    let own = match column.values {
        Values::Whole(own) => own,
        Values::Raw(values) => return numbers::put_doubles(out, values),
    };
    if column.header & 3 == CONSTANT {
        varint::put_signed(out, own.first().copied().unwrap_or(0));
        return Ok(());
    }
    out.push(plan.order as u8 | (plan.sources.len() as u8) << 2);
    for (source, added) in &plan.sources {
        let distance = varint::zigzag(*source as i64 - place as i64);
        varint::put(out, distance << 1 | u64::from(*added));
    }
    let order = plan.order;
    let mut row = differences(own, order);
    // The newest numbers stand as they are: whoever wants only these need not unpack the row.
    let mut heads = own[own.len().saturating_sub(order)..].to_vec();
    for _ in 0..order {
        if let Some(head) = heads.last() {
            varint::put_signed(out, *head);
        }
        heads = differences(&heads, 1);
    }
    for (source, added) in &plan.sources {
        if let Some(theirs) = all[*source].numbers() {
            apply(&mut row, &differences(theirs, order), !added);
        }
    }
    numbers::put(out, &row)
}

#[cfg(test)]
pub(in crate::store) mod tests;
