//! Reading a block, as much of it as is asked for.

use std::ops::Range;
use std::rc::Rc;

use hostwell_proto::column::{self, Block, Column};

use super::super::super::error::Fault;
use super::super::parcel::{LIMITS, Newest, Parcel, take_runs};
use super::super::varint::{self, Cursor};
use super::predict::{Plan, apply};
use super::steps::{differences, sums, sums_to};
use super::{
    CONSTANT, DOUBLES, IN_RUNS, Plans, SPARSE, VERSION_OLDEST_FIRST, WHOLE, is_ours, numbers,
    presence,
};

/// Reads the columns of the series that are `wanted`, of the ticks from the first to the last
/// moment of a range; the parcel holds nothing else.
pub(in crate::store) fn decode(
    bytes: &[u8],
    wanted: impl Fn(i64) -> bool,
    (from_ms, to_ms): (i64, i64),
) -> Result<Parcel, Fault> {
    let (series, mut times_ms, mut reading) = Reading::begin(bytes)?;
    // Times ascend.
    let first = times_ms.partition_point(|t| *t < from_ms);
    let end = times_ms.partition_point(|t| *t <= to_ms).max(first);
    reading.within = first..end;
    times_ms.truncate(end);
    times_ms.drain(..first);
    let mut parcel = Parcel {
        series: Vec::new(),
        block: Block {
            times_ms,
            columns: Vec::new(),
        },
    };
    for (place, id) in series.iter().enumerate() {
        if wanted(*id) {
            let column = reading.column(place, parcel.series.len() as u32)?;
            parcel.series.push(*id);
            parcel.block.columns.push(column);
        }
    }
    Ok(parcel)
}

/// The newest sample within a range of each series that is `wanted`.
pub(in crate::store) fn newest(
    bytes: &[u8],
    wanted: impl Fn(i64) -> bool,
    (from_ms, to_ms): (i64, i64),
) -> Result<Vec<Newest>, Fault> {
    let (series, times_ms, mut reading) = Reading::begin(bytes)?;
    if times_ms.last().is_some_and(|last_ms| *last_ms > to_ms) {
        // Somewhere in the middle: only reading all of it tells.
        let parcel = decode(bytes, wanted, (from_ms, to_ms))?;
        let mut found = Vec::new();
        for column in &parcel.block.columns {
            let newest = column.samples().last();
            let id = parcel.series[column.number as usize];
            found.extend(newest.map(|(tick, v)| (id, (parcel.block.times_ms[tick], v))));
        }
        return Ok(found);
    }
    let mut found = Vec::new();
    for (place, id) in series.iter().enumerate().filter(|(_, id)| wanted(**id)) {
        let newest = reading.newest(place)?;
        let newest = newest.map(|(tick, value)| (*id, (times_ms[tick], value)));
        found.extend(newest.filter(|(_, (time_ms, _))| *time_ms >= from_ms));
    }
    Ok(found)
}

/// The series of a block.
pub(in crate::store) fn series(bytes: &[u8]) -> Result<Vec<i64>, Fault> {
    Ok(Reading::begin(bytes)?.0)
}

/// How the columns of a block are foretold.
pub(in crate::store) fn plans(bytes: &[u8]) -> Result<Plans, Fault> {
    let (series, _, reading) = Reading::begin(bytes)?;
    let mut plans = Plans::default();
    for (place, id) in series.iter().enumerate() {
        let mut opened = reading.open(place)?;
        if opened.header & 3 == WHOLE {
            let plan = take_plan(&mut opened.body, place, series.len())?;
            let sources = plan.sources.iter().map(|s| (series[s.0], s.1));
            plans.add(*id, plan.order, sources.collect());
        }
    }
    Ok(plans)
}

fn take_times(cursor: &mut Cursor<'_>) -> Result<Vec<i64>, Fault> {
    let ticks = cursor.count(LIMITS.ticks_max)?;
    let first = cursor.signed()?;
    let length = cursor.count(usize::MAX)?;
    let steps = numbers::read(cursor.take(length)?, ticks.saturating_sub(1))?;
    if ticks == 0 {
        return Ok(Vec::new());
    }
    Ok(sums(&[first], steps))
}

/// A column's bytes, taken apart as far as its row.
struct Opened<'a> {
    header: u8,
    present: Option<Vec<u16>>,
    count: usize,
    body: Cursor<'a>,
}

struct Reading<'a> {
    /// Whether columns begin with their oldest numbers, not with their newest.
    oldest_first: bool,
    ticks: usize,
    bodies: Vec<&'a [u8]>,
    /// Whole numbers that were read already.
    read: Vec<Option<Rc<Vec<i64>>>>,
    /// Columns that wait for others they are foretold from.
    waits: Vec<bool>,
    /// Samples that may still be read.
    room: usize,
    /// Ticks that are wanted.
    within: Range<usize>,
}

impl<'a> Reading<'a> {
    /// Reads everything but the columns: series, times, where each column is.
    fn begin(bytes: &'a [u8]) -> Result<(Vec<i64>, Vec<i64>, Reading<'a>), Fault> {
        let mut cursor = Cursor::new(bytes, "a block");
        if !is_ours(bytes) {
            return Err(Fault::damaged("a block of unknown version"));
        }
        let oldest_first = cursor.byte()? == VERSION_OLDEST_FIRST;
        let series = take_runs(&mut cursor)?;
        let times_ms = take_times(&mut cursor)?;
        let mut lengths = Vec::with_capacity(series.len().min(bytes.len()));
        for _ in 0..series.len() {
            lengths.push(cursor.count(bytes.len())?);
        }
        let mut bodies = Vec::with_capacity(lengths.len());
        for length in lengths {
            bodies.push(cursor.take(length)?);
        }
        cursor.end()?;
        let reading = Reading {
            oldest_first,
            ticks: times_ms.len(),
            within: 0..times_ms.len(),
            read: vec![None; bodies.len()],
            waits: vec![false; bodies.len()],
            bodies,
            room: LIMITS.samples_max,
        };
        Ok((series, times_ms, reading))
    }

    fn open(&self, place: usize) -> Result<Opened<'a>, Fault> {
        let mut body = Cursor::new(self.bodies[place], "a column");
        let header = body.byte()?;
        if header & 3 > DOUBLES || header >> 4 > column::DECIMALS_MAX {
            return Err(Fault::damaged("a column's header is unknown"));
        }
        let present = match header & (SPARSE | IN_RUNS) {
            0 => None,
            SPARSE => Some(presence::take_bits(&mut body, self.ticks)?),
            _ => Some(presence::take_runs(&mut body, self.ticks)?),
        };
        let count = present.as_ref().map_or(self.ticks, Vec::len);
        Ok(Opened {
            header,
            present,
            count,
            body,
        })
    }

    fn charge(&mut self, samples: usize) -> Result<(), Fault> {
        let left = self.room.checked_sub(samples);
        self.room = left.ok_or_else(|| Fault::damaged("a block holds too many samples"))?;
        Ok(())
    }

    fn column(&mut self, place: usize, number: u32) -> Result<Column, Fault> {
        let opened = self.open(place)?;
        self.charge(opened.count)?;
        let mut body = opened.body;
        let decimals = opened.header >> 4;
        let Range { start, end } = self.within;
        // Which values have their ticks within.
        let places = match &opened.present {
            None => start..end,
            Some(present) => {
                let place = |tick: usize| present.partition_point(|p| usize::from(*p) < tick);
                place(start)..place(end)
            }
        };
        let values = match opened.header & 3 {
            DOUBLES => {
                let mut values = numbers::read_doubles(body.rest(), opened.count)?;
                values.truncate(places.end);
                values.drain(..places.start);
                values
            }
            CONSTANT => {
                let value = column::decimal(body.signed()?, decimals);
                body.end()?;
                vec![value; places.len()]
            }
            _ => {
                let numbers = self.numbers(place)?;
                column::decimals(&numbers[places.clone()], decimals)
            }
        };
        let ticks = opened.present.map(|present| {
            let ticks = present[places].iter();
            ticks.map(|tick| *tick - start as u16).collect()
        });
        Ok(Column {
            number,
            ticks,
            values,
        })
    }

    /// The whole numbers of a column, after those it is foretold from. Without recursion: the
    /// bytes say how long a chain is.
    fn numbers(&mut self, place: usize) -> Result<Rc<Vec<i64>>, Fault> {
        let mut waiting = vec![place];
        while let Some(top) = waiting.last().copied() {
            if self.read[top].is_none()
                && let Some(missing) = self.read_or_name_source(top)?
            {
                self.waits[top] = true;
                if self.waits[missing] {
                    return Err(Fault::damaged("a column is foretold from itself"));
                }
                waiting.push(missing);
                continue;
            }
            self.waits[top] = false;
            waiting.pop();
        }
        let read = self.read[place].clone();
        read.ok_or_else(|| Fault::damaged("a column was not read"))
    }

    /// Reads a column's whole numbers, or answers a source that must be read before.
    fn read_or_name_source(&mut self, place: usize) -> Result<Option<usize>, Fault> {
        let opened = self.open(place)?;
        if opened.header & 3 != WHOLE {
            return Err(Fault::damaged(
                "a column is foretold from one without whole numbers",
            ));
        }
        let mut body = opened.body;
        let plan = take_plan(&mut body, place, self.bodies.len())?;
        if let Some((missing, _)) = plan.sources.iter().find(|s| self.read[s.0].is_none()) {
            return Ok(Some(*missing));
        }
        let order = plan.order;
        self.charge(opened.count)?;
        let heads = take_heads(&mut body, order, opened.count)?;
        let count = opened.count - heads.len();
        let known = |source: usize| {
            let theirs = self.read[source]
                .as_deref()
                .filter(|t| t.len() == opened.count);
            theirs.ok_or_else(|| Fault::damaged("a column is foretold from one at other ticks"))
        };
        let mut row = numbers::read(body.rest(), count)?;
        for (source, added) in &plan.sources {
            // What the writer took away is added, and the other way round.
            apply(&mut row, &differences(known(*source)?, order), *added);
        }
        let numbers = match self.oldest_first {
            true => sums(&heads, row),
            false => sums_to(&heads, row),
        };
        self.read[place] = Some(Rc::new(numbers));
        Ok(None)
    }

    /// The newest value of a column and its tick, none where it has no values.
    fn newest(&mut self, place: usize) -> Result<Option<(usize, f64)>, Fault> {
        let opened = self.open(place)?;
        let tick = match &opened.present {
            None => opened.count.checked_sub(1),
            Some(present) => present.last().map(|tick| usize::from(*tick)),
        };
        let Some(tick) = tick else {
            return Ok(None);
        };
        if opened.header & 3 == WHOLE && !self.oldest_first {
            let mut body = opened.body;
            let plan = take_plan(&mut body, place, self.bodies.len())?;
            let heads = take_heads(&mut body, plan.order, opened.count)?;
            if let Some(head) = heads.first() {
                return Ok(Some((tick, column::decimal(*head, opened.header >> 4))));
            }
        }
        let values = self.column(place, 0)?.values;
        Ok(values.last().map(|value| (tick, *value)))
    }
}

/// The numbers a column begins with.
fn take_heads(body: &mut Cursor<'_>, order: usize, count: usize) -> Result<Vec<i64>, Fault> {
    (0..order.min(count)).map(|_| body.signed()).collect()
}

fn take_plan(body: &mut Cursor<'_>, place: usize, columns: usize) -> Result<Plan, Fault> {
    let away = |distance: i64| {
        (place as i64)
            .checked_add(distance)
            .and_then(|s| usize::try_from(s).ok())
            .filter(|s| *s < columns)
            .ok_or_else(|| Fault::damaged("a column is foretold from none"))
    };
    let head = body.byte()?;
    if head & 3 == 3 {
        return Err(Fault::damaged("a column's order is unknown"));
    }
    let mut plan = Plan::alone(usize::from(head & 3));
    for _ in 0..head >> 2 {
        let word = body.unsigned()?;
        plan.sources
            .push((away(varint::unzigzag(word >> 1))?, word & 1 == 1));
    }
    Ok(plan)
}
