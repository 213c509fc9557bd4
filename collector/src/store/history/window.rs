//! Windows: sealed blocks and what is not sealed yet, merged; of equal times the first wins.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use super::super::error::{Fault, StoreError};
use super::super::types::WindowQuery;
use super::head::Head;
use super::parcel::{Opener, Parcel};
use super::seal::{Points, open_blocks, settle};
use super::series::SeriesRow;
use super::{journal, series};
use crate::series::{Kind, Series, SeriesName, Window};

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

#[derive(Debug)]
struct Slot {
    name: Arc<SeriesName>,
    kind: Kind,
    points: Points,
}

/// Samples of one host while they are gathered.
#[derive(Debug, Default)]
struct Gathering {
    slots: Vec<Slot>,
    /// Where a name is, known only once a second host number may repeat it.
    named: HashMap<Arc<SeriesName>, usize>,
    taken: usize,
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
                    points: Points::new(),
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
        self.slots.iter_mut().for_each(|s| settle(&mut s.points));
        self.taken = self.slots.iter().map(|s| s.points.len()).sum();
    }

    /// Holds the limit; samples that are there twice count once.
    fn hold(&mut self, room: usize, samples_max: usize) -> Result<(), Fault> {
        if self.taken > room {
            self.compact();
        }
        if self.taken > room {
            return Err(StoreError::Limit {
                what: "samples in one answer",
                got: (samples_max - room + self.taken) as u64,
                max: samples_max as u64,
                remedy: "ask for fewer hosts or metrics, or for a shorter time",
            }
            .into());
        }
        Ok(())
    }

    fn window(mut self, ask: Ask, query: &WindowQuery) -> Window {
        self.compact();
        self.slots.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let series = self
            .slots
            .into_iter()
            .filter(|slot| !slot.points.is_empty())
            .map(|slot| Series {
                name: Arc::unwrap_or_clone(slot.name),
                kind: slot.kind,
                times_ms: slot.points.iter().map(|p| p.0).collect(),
                values: slot.points.iter().map(|p| p.1).collect(),
            })
            .collect();
        Window {
            host: ask.host,
            from_ms: query.from_ms,
            to_ms: query.to_ms,
            interval_ms: ask.interval_ms,
            series,
        }
    }
}

/// What is not sealed yet of one host, as packed parcels in the order of commits.
enum Recent<'a> {
    Head(&'a Head),
    Journal(HashMap<i64, Vec<super::head::Entry>>),
}

/// One window for each ask, in the same order.
///
/// With a head, the head of a host is looked at before its blocks: sealing in between shows a
/// sample in both places, never in none. Without one, journal and blocks are read in one
/// transaction.
pub(in crate::store) fn read(
    conn: &Connection,
    head: Option<&Head>,
    asks: Vec<Ask>,
    query: &WindowQuery,
) -> Result<Vec<Window>, Fault> {
    let range = (query.from_ms, query.to_ms);
    let moment = if head.is_none() {
        Some(conn.unchecked_transaction()?)
    } else {
        None
    };
    let recent = match head {
        Some(head) => Recent::Head(head),
        None => {
            let numbers: HashSet<i64> = asks.iter().flat_map(|a| a.numbers.clone()).collect();
            Recent::Journal(journal::of_hosts(conn, &numbers, range)?)
        }
    };
    let (mut windows, mut room) = (Vec::with_capacity(asks.len()), query.samples_max);
    for ask in asks {
        let mut gathering = Gathering::default();
        for number in &ask.numbers {
            gather(conn, (&recent, *number), query, room, &mut gathering)?;
        }
        gathering.hold(room, query.samples_max)?;
        gathering.compact();
        room -= gathering.taken;
        windows.push(gathering.window(ask, query));
    }
    if let Some(moment) = moment {
        moment.finish()?;
    }
    Ok(windows)
}

/// Adds one host number's samples: sealed ones first, they were committed first.
fn gather(
    conn: &Connection,
    (recent, number): (&Recent<'_>, i64),
    query: &WindowQuery,
    room: usize,
    into: &mut Gathering,
) -> Result<(), Fault> {
    let range = (query.from_ms, query.to_ms);
    let fresh = match recent {
        Recent::Head(head) => head.entries(number, range.0, range.1),
        Recent::Journal(_) => Vec::new(),
    };
    let rows = series::of_host(conn, number, &query.metrics)?;
    let families: BTreeSet<i64> = rows.iter().map(|r| r.family).collect();
    let places = into.places(rows);
    for family in families {
        let of_ours = |id: i64| places.contains_key(&id);
        let open = |payload: &[u8]| Parcel::unseal_within(payload, of_ours, range);
        open_blocks(conn, (number, family), range, open, |parcel| {
            add(&parcel, &places, range, into);
            into.hold(room, query.samples_max)
        })?;
    }
    let payloads: Vec<&[u8]> = match recent {
        Recent::Head(_) => fresh.iter().map(|e| e.payload.as_slice()).collect(),
        Recent::Journal(all) => all
            .get(&number)
            .into_iter()
            .flatten()
            .map(|e| e.payload.as_slice())
            .collect(),
    };
    let mut opener = Opener::default();
    for payload in payloads {
        let wanted = |id: i64| places.contains_key(&id);
        opener.each(payload, wanted, |id, times_ms, room| {
            if let Some(place) = places.get(&id) {
                let within = room.samples().map(|(tick, value)| (times_ms[tick], value));
                into.add(*place, within, range);
            }
        })?;
        into.hold(room, query.samples_max)?;
    }
    Ok(())
}

impl Gathering {
    fn add(
        &mut self,
        place: usize,
        samples: impl Iterator<Item = (i64, f64)>,
        (from_ms, to_ms): (i64, i64),
    ) {
        if let Some(slot) = self.slots.get_mut(place) {
            let before = slot.points.len();
            slot.points
                .extend(samples.filter(|(time, _)| (from_ms..=to_ms).contains(time)));
            self.taken += slot.points.len() - before;
        }
    }
}

/// Adds a sealed block's samples.
fn add(
    parcel: &Parcel,
    places: &HashMap<i64, usize>,
    (from_ms, to_ms): (i64, i64),
    into: &mut Gathering,
) {
    let times_ms = &parcel.block.times_ms;
    // Times of a sealed block ascend: most of a long block is outside of a short range.
    let first = times_ms.partition_point(|t| *t < from_ms);
    let end = times_ms.partition_point(|t| *t <= to_ms).max(first);
    for column in &parcel.block.columns {
        let Some(place) = places.get(&parcel.series[column.number as usize]) else {
            continue;
        };
        match &column.ticks {
            None => {
                let (times_ms, values) = (&times_ms[first..end], &column.values[first..end]);
                let samples = times_ms.iter().copied().zip(values.iter().copied());
                into.add(*place, samples, (i64::MIN, i64::MAX));
            }
            Some(_) => {
                let samples = column
                    .samples()
                    .map(|(tick, value)| (times_ms[tick], value));
                into.add(*place, samples, (from_ms, to_ms));
            }
        }
    }
}
