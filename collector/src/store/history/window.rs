//! Windows: sealed blocks and what is not sealed yet, merged; of equal times the first wins.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::Connection;

use super::super::error::{Fault, StoreError};
use super::super::types::WindowQuery;
use super::head::Head;
use super::parcel::Parcel;
use super::seal::{each_block, settle};
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
}

#[derive(Debug)]
struct Slot {
    kind: Kind,
    points: Vec<(i64, f64)>,
}

/// Samples of one host while they are gathered.
#[derive(Debug, Default)]
struct Gathering {
    slots: BTreeMap<SeriesName, Slot>,
    taken: usize,
}

impl Gathering {
    fn compact(&mut self) {
        self.slots.values_mut().for_each(|s| settle(&mut s.points));
        self.taken = self.slots.values().map(|s| s.points.len()).sum();
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
        let series = self
            .slots
            .into_iter()
            .filter(|(_, slot)| !slot.points.is_empty())
            .map(|(name, slot)| Series {
                name,
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
    let (mut wanted, mut families) = (HashMap::new(), BTreeSet::new());
    for row in series::of_host(conn, number, &query.metrics)? {
        families.insert(row.family);
        into.slots.entry(row.name.clone()).or_insert_with(|| Slot {
            kind: row.kind,
            points: Vec::new(),
        });
        wanted.insert(row.id, row.name);
    }
    for family in families {
        let of_ours = |id: i64| wanted.contains_key(&id);
        each_block(conn, (number, family), range, of_ours, |parcel| {
            add(&parcel, &wanted, range, into);
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
    for payload in payloads {
        add(&Parcel::unpack(payload)?, &wanted, range, into);
        into.hold(room, query.samples_max)?;
    }
    Ok(())
}

fn add(
    parcel: &Parcel,
    wanted: &HashMap<i64, SeriesName>,
    (from_ms, to_ms): (i64, i64),
    into: &mut Gathering,
) {
    for column in &parcel.block.columns {
        let Some(name) = wanted.get(&parcel.series[column.number as usize]) else {
            continue;
        };
        let Some(slot) = into.slots.get_mut(name) else {
            continue;
        };
        for (tick, value) in column.samples() {
            let time = parcel.block.times_ms[tick];
            if (from_ms..=to_ms).contains(&time) {
                slot.points.push((time, value));
                into.taken += 1;
            }
        }
    }
}
