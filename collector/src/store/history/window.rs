//! Windows: sealed blocks and what is not sealed yet, merged; of equal times the first wins.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;

use super::super::error::{Fault, StoreError};
use super::super::moment::Moment;
use super::super::types::{Chosen, Shape, WindowQuery};
use super::head::{Entry, Head};
use super::names::Names;
use super::parcel::{Opener, Parcel};
use super::seal::{Passed, Points, open_blocks, settle};
use super::series::SeriesRow;
use super::{journal, series};
use crate::series::{Kind, Series, SeriesName, Window};

/// A series gets room for at most so many times what its first block holds: the range may be much
/// longer than what is kept.
const ROOM_TIMES: usize = 4;

/// What a question is answered from.
#[derive(Clone, Copy)]
pub(in crate::store) struct Source<'a> {
    /// The file.
    pub conn: &'a Connection,
    /// What is not sealed yet; none where another process writes, or nobody.
    pub head: Option<&'a Head>,
    /// Names of series that were read before.
    pub names: &'a Names,
}

/// A host as the registry resolved it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Ask {
    /// Its name.
    pub host: String,
    /// Its declared interval.
    pub interval_ms: i64,
    /// Its own number, then those of hosts merged into it: where both have a sample, the first.
    pub numbers: Vec<i64>,
    /// Its history stays whatever its age and the disk budget.
    pub kept: bool,
}

impl Ask {
    /// The answer for this host: series by name.
    pub(super) fn window(self, query: &WindowQuery, mut series: Vec<Series>) -> Window {
        series.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Window {
            host: self.host,
            from_ms: query.from_ms,
            to_ms: query.to_ms,
            interval_ms: self.interval_ms,
            series,
        }
    }
}

/// How many samples an answer may still hold; shared by those who read parts of it at once.
#[derive(Debug)]
pub(in crate::store) struct Room {
    left: AtomicUsize,
    samples_max: usize,
}

impl Room {
    /// Room for so many.
    pub(in crate::store) fn new(samples_max: usize) -> Room {
        Room {
            left: AtomicUsize::new(samples_max),
            samples_max,
        }
    }

    /// Whether so many more have room.
    fn holds(&self, samples: usize) -> Result<(), Fault> {
        let left = self.left.load(Ordering::Relaxed);
        if samples <= left {
            return Ok(());
        }
        Err(StoreError::Limit {
            what: "samples in one answer",
            got: (self.samples_max - left + samples) as u64,
            max: self.samples_max as u64,
            remedy: "ask for fewer hosts or metrics, or for a shorter time",
        }
        .into())
    }

    /// Takes the room of so many.
    pub(super) fn take(&self, samples: usize) -> Result<(), Fault> {
        let less = |left: usize| left.checked_sub(samples);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map(drop).or_else(|_| self.holds(samples))
    }
}

/// A series while its samples are gathered: in the order of commits, which is nearly always that of
/// their times.
#[derive(Debug)]
struct Slot {
    name: Arc<SeriesName>,
    kind: Kind,
    times_ms: Vec<i64>,
    values: Vec<f64>,
}

impl Slot {
    /// Makes room for all that is expected before the first sample comes.
    fn make_room(&mut self, samples: usize) {
        if self.times_ms.is_empty() {
            self.times_ms.reserve(samples);
            self.values.reserve(samples);
        }
    }

    /// Puts the samples in order; of equal times the first given wins.
    fn settle(&mut self) {
        if self.times_ms.is_sorted_by(|a, b| a < b) {
            return;
        }
        let samples = self.times_ms.iter().copied().zip(self.values.drain(..));
        let mut points: Points = samples.collect();
        settle(&mut points);
        (self.times_ms, self.values) = points.into_iter().unzip();
    }
}

/// Samples of one host while they are gathered.
#[derive(Debug, Default)]
struct Gathering {
    slots: Vec<Slot>,
    /// Where a name is, known only once a second host number may repeat it.
    named: HashMap<Arc<SeriesName>, usize>,
    taken: usize,
    /// How many samples of a series there will be, about.
    expected: usize,
}

impl Gathering {
    /// The places of the series of one host number.
    fn places(&mut self, rows: Vec<SeriesRow>) -> HashMap<i64, usize> {
        if !self.slots.is_empty() && self.named.is_empty() {
            let slots = self.slots.iter().enumerate();
            self.named = slots.map(|(i, s)| (Arc::clone(&s.name), i)).collect();
        }
        let mut places = HashMap::with_capacity(rows.len());
        for row in rows {
            let place = self.named.get(&row.name).copied().unwrap_or_else(|| {
                self.slots.push(Slot {
                    name: row.name,
                    kind: row.kind,
                    times_ms: Vec::new(),
                    values: Vec::new(),
                });
                self.slots.len() - 1
            });
            places.insert(row.id, place);
        }
        // Whatever a third number brings is looked up among all.
        self.named.clear();
        places
    }

    fn compact(&mut self) {
        self.slots.iter_mut().for_each(Slot::settle);
        self.taken = self.slots.iter().map(|s| s.times_ms.len()).sum();
    }

    /// Holds the limit; samples that are there twice count once.
    fn hold(&mut self, room: &Room) -> Result<(), Fault> {
        if room.holds(self.taken).is_err() {
            self.compact();
        }
        room.holds(self.taken)
    }

    /// The answer of what was compacted.
    fn window(self, ask: Ask, query: &WindowQuery) -> Window {
        let slots = self.slots.into_iter();
        let series = slots
            .filter(|slot| !slot.times_ms.is_empty())
            .map(|slot| Series {
                name: Arc::unwrap_or_clone(slot.name),
                kind: slot.kind,
                times_ms: slot.times_ms,
                values: slot.values,
            });
        ask.window(query, series.collect())
    }
}

/// What is not sealed yet of some host numbers, as packed parcels in the order of commits.
pub(super) type Recent = HashMap<i64, Vec<Arc<Entry>>>;

/// Looks at the head, then begins to read the file: so sealing in between shows a sample in both
/// places, never in none. Without a head the journal is read as of the same moment as the rest.
pub(super) fn begin<'a>(
    from: Source<'a>,
    asks: &[Ask],
    range: (i64, i64),
) -> Result<(Moment<'a>, Recent), Fault> {
    let numbers = || asks.iter().flat_map(|ask| ask.numbers.iter().copied());
    let Some(head) = from.head else {
        let moment = Moment::of(from.conn)?;
        let numbers: HashSet<i64> = numbers().collect();
        let mut recent = Recent::new();
        for (number, entries) in journal::of_hosts(&moment, &numbers, range)? {
            recent.insert(number, entries.into_iter().map(Arc::new).collect());
        }
        return Ok((moment, recent));
    };
    let mut recent = Recent::new();
    for number in numbers() {
        let entries = head.entries(number, range.0, range.1);
        if !entries.is_empty() {
            recent.insert(number, entries);
        }
    }
    Ok((Moment::of(from.conn)?, recent))
}

/// One window for each ask, in the same order, with the series that are `chosen`, as `shape` leaves
/// it.
pub(in crate::store) fn read(
    from: Source<'_>,
    asks: Vec<Ask>,
    (query, chosen, shape): (&WindowQuery, Option<&Chosen>, &Shape),
    room: &Room,
) -> Result<Vec<Window>, Fault> {
    let (moment, recent) = begin(from, &asks, (query.from_ms, query.to_ms))?;
    let none = Passed::new();
    let mut windows = Vec::with_capacity(asks.len());
    for ask in asks {
        let parts = parts(&moment, from.names, (&ask, query, chosen), &recent)?;
        windows.push(shape(of_parts(&moment, ask, parts, (query, room, &none))?));
    }
    Ok(windows)
}

/// What is asked for of one host number.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) number: i64,
    /// The series.
    pub(super) rows: Vec<SeriesRow>,
    /// What is not sealed yet, in the order of commits.
    pub(super) fresh: &'a [Arc<Entry>],
}

/// The numbers of a host, with the series that are `chosen`.
pub(super) fn parts<'a>(
    conn: &Connection,
    names: &Names,
    (ask, query, chosen): (&Ask, &WindowQuery, Option<&Chosen>),
    recent: &'a Recent,
) -> Result<Vec<Part<'a>>, Fault> {
    let part = |number: &i64| {
        let mut rows = series::of_host(conn, names, *number, &query.metrics)?;
        if let Some(chosen) = chosen {
            rows.retain(|row| chosen(&ask.host, &row.name));
        }
        Ok(Part {
            number: *number,
            rows,
            fresh: recent.get(number).map_or(&[][..], Vec::as_slice),
        })
    };
    ask.numbers.iter().map(part).collect()
}

/// The window of a host, without blocks that are passed over.
pub(super) fn of_parts(
    conn: &Connection,
    ask: Ask,
    parts: Vec<Part<'_>>,
    (query, room, passed): (&WindowQuery, &Room, &Passed),
) -> Result<Window, Fault> {
    let mut gathering = Gathering {
        expected: expected(query, ask.interval_ms),
        ..Gathering::default()
    };
    for part in parts {
        gather(conn, part, (query, room, passed), &mut gathering)?;
    }
    gathering.compact();
    room.take(gathering.taken)?;
    Ok(gathering.window(ask, query))
}

/// How many samples a series has in the range when none is missing.
fn expected(query: &WindowQuery, interval_ms: i64) -> usize {
    let span_ms = query.to_ms.saturating_sub(query.from_ms);
    let samples = span_ms.div_euclid(interval_ms.max(1)).saturating_add(1);
    usize::try_from(samples).unwrap_or(0)
}

/// Adds one host number's samples of some series: sealed ones first, they were committed first.
fn gather(
    conn: &Connection,
    part: Part<'_>,
    (query, room, passed): (&WindowQuery, &Room, &Passed),
    into: &mut Gathering,
) -> Result<(), Fault> {
    let Part {
        number,
        rows,
        fresh,
    } = part;
    let range = (query.from_ms, query.to_ms);
    let families: BTreeSet<i64> = rows.iter().map(|r| r.family).collect();
    let places = into.places(rows);
    let wanted = |id: i64| places.contains_key(&id);
    for family in families {
        let open = |payload: &[u8]| Parcel::unseal_within(payload, wanted, range);
        open_blocks(conn, (number, family), (range, passed), open, |parcel| {
            into.add(parcel, &places, range);
            into.hold(room)
        })?;
    }
    if places.is_empty() {
        return Ok(());
    }
    let mut opener = Opener::default();
    for entry in fresh {
        opener.each(&entry.payload, wanted, |id, times_ms, room| {
            if let Some(place) = places.get(&id) {
                let ticks = room.sparse.then_some(room.ticks.as_slice());
                into.add_column(*place, (times_ms, ticks), &room.values, range);
            }
        })?;
        into.hold(room)?;
    }
    Ok(())
}

impl Gathering {
    /// Adds the samples of a column that lie in a range. `ticks`: at which of the times its values
    /// are, where not at all of them.
    fn add_column(
        &mut self,
        place: usize,
        (times_ms, ticks): (&[i64], Option<&[u16]>),
        values: &[f64],
        (from_ms, to_ms): (i64, i64),
    ) {
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        let before = slot.times_ms.len();
        let within = |time_ms: &i64| (from_ms..=to_ms).contains(time_ms);
        match ticks {
            None if times_ms.iter().all(within) => {
                slot.times_ms.extend_from_slice(times_ms);
                slot.values.extend_from_slice(values);
            }
            None => {
                let samples = times_ms.iter().zip(values).filter(|(time, _)| within(time));
                for (time_ms, value) in samples {
                    slot.times_ms.push(*time_ms);
                    slot.values.push(*value);
                }
            }
            Some(ticks) => {
                let times = ticks.iter().map(|tick| times_ms[usize::from(*tick)]);
                for (time_ms, value) in times.zip(values).filter(|(time, _)| within(time)) {
                    slot.times_ms.push(time_ms);
                    slot.values.push(*value);
                }
            }
        }
        self.taken += slot.times_ms.len() - before;
    }

    /// Adds a sealed block's samples.
    fn add(&mut self, parcel: Parcel, places: &HashMap<i64, usize>, (from_ms, to_ms): (i64, i64)) {
        let times_ms = &parcel.block.times_ms;
        // Times of a sealed block ascend: most of a long block is outside of a short range.
        let first = times_ms.partition_point(|t| *t < from_ms);
        let end = times_ms.partition_point(|t| *t <= to_ms).max(first);
        for column in parcel.block.columns {
            let Some(place) = places.get(&parcel.series[column.number as usize]) else {
                continue;
            };
            match (column.ticks, self.slots.get_mut(*place)) {
                (Some(ticks), _) => {
                    let at = (times_ms.as_slice(), Some(ticks.as_slice()));
                    self.add_column(*place, at, &column.values, (from_ms, to_ms));
                }
                (None, Some(slot)) => {
                    slot.make_room((ROOM_TIMES * (end - first)).min(self.expected));
                    slot.times_ms.extend_from_slice(&times_ms[first..end]);
                    slot.values.extend_from_slice(&column.values[first..end]);
                    self.taken += end - first;
                }
                (None, None) => {}
            }
        }
    }
}
