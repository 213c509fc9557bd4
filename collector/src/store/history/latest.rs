//! The newest sample of each series: what live views ask for.
//!
//! A host's newest batches lie in the head, and nearly always they tell all of it: they are read
//! from the newest backwards until nothing older can matter. What is sealed is told by the host's row
//! of newest samples; only what both leave open is looked for in blocks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::Connection;

use super::super::error::Fault;
use super::super::types::{Chosen, WindowQuery};
use super::checksum::verified;
use super::head::Entry;
use super::newest;
use super::parcel::{Opener, Parcel};
use super::series::{self, SeriesRow};
use super::window::{self, Ask, Room, Source};
use crate::series::{Kind, Series, SeriesName, Window};

/// The newest sample of a series so far: when and what.
type Newest = Option<(i64, f64)>;

/// A series of a host, and its newest sample.
type Found = (Arc<SeriesName>, Kind, Newest);

/// The series of one host number, by their ids, and what is known of them.
struct Number {
    rows: Vec<SeriesRow>,
    newest: Vec<Newest>,
    /// Of which no block has to be opened: the host's row tells.
    told: Vec<bool>,
}

impl Number {
    fn of(mut rows: Vec<SeriesRow>) -> Number {
        rows.sort_unstable_by_key(|row| row.id);
        Number {
            newest: vec![None; rows.len()],
            told: vec![false; rows.len()],
            rows,
        }
    }

    fn place(&self, id: i64) -> Option<usize> {
        self.rows.binary_search_by_key(&id, |row| row.id).ok()
    }

    /// Offers a sample that was committed before all that were offered so far: of equal times it
    /// is the one that counts.
    fn offer(&mut self, id: i64, (time_ms, value): (i64, f64)) {
        let Some(place) = self.place(id) else {
            return;
        };
        let newest = &mut self.newest[place];
        if newest.is_none_or(|(known_ms, _)| time_ms >= known_ms) {
            *newest = Some((time_ms, value));
        }
    }

    /// The places of series that the host's row does not tell of.
    fn untold(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rows.len()).filter(|place| !self.told[*place])
    }

    /// Where nothing older can matter any more to the series of a family (of all where none is
    /// named) that the host's row does not tell of; the beginning of time while one of them is
    /// unknown.
    fn settled_ms(&self, family: Option<i64>) -> i64 {
        self.untold()
            .filter(|place| family.is_none_or(|family| self.rows[*place].family == family))
            .map(|place| self.newest[place].map_or(i64::MIN, |(time_ms, _)| time_ms))
            .min()
            .unwrap_or(i64::MAX)
    }

    /// Offers what batches hold, given in the order of commits.
    fn offer_entries(
        &mut self,
        entries: &[Arc<Entry>],
        (from_ms, to_ms): (i64, i64),
    ) -> Result<(), Fault> {
        let mut opener = Opener::default();
        let mut settled_ms = i64::MIN;
        for entry in entries.iter().rev() {
            // A later commit may be older: late data lies between.
            if entry.end_ms < settled_ms {
                continue;
            }
            let mut found: Vec<(i64, (i64, f64))> = Vec::new();
            let wanted = |id: i64| self.place(id).is_some();
            opener.each(&entry.payload, wanted, |id, times_ms, room| {
                let samples = room.samples().map(|(tick, value)| (times_ms[tick], value));
                let within = samples.filter(|(time, _)| (from_ms..=to_ms).contains(time));
                // Of equal times within a batch the first counts.
                let newest = within.reduce(|a, b| if b.0 > a.0 { b } else { a });
                found.extend(newest.map(|newest| (id, newest)));
            })?;
            found
                .into_iter()
                .for_each(|(id, newest)| self.offer(id, newest));
            settled_ms = self.settled_ms(None);
        }
        Ok(())
    }

    /// Offers what the host's row says of blocks. It says nothing of the time before its samples.
    fn offer_row(
        &mut self,
        conn: &Connection,
        number: i64,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<(), Fault> {
        newest::each(conn, number, |id, newest| {
            let Some(place) = self.place(id).filter(|_| newest.0 <= to_ms) else {
                return;
            };
            self.told[place] = true;
            if newest.0 >= from_ms {
                self.offer(id, newest);
            }
        })
    }

    /// Offers what blocks hold, those that end last first, while it can matter.
    fn offer_blocks(
        &mut self,
        conn: &Connection,
        number: i64,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<(), Fault> {
        let mut select = conn.prepare_cached(
            "SELECT number, crc32c, payload, end_ms FROM block
             WHERE host = ?1 AND family = ?2 AND end_ms >= ?3 AND start_ms <= ?4
             ORDER BY end_ms DESC",
        )?;
        let families: BTreeSet<i64> = self.untold().map(|at| self.rows[at].family).collect();
        for family in families {
            let mut settled_ms = self.settled_ms(Some(family)).max(from_ms);
            let mut rows = select.query([number, family, settled_ms, to_ms])?;
            while let Some(r) = rows.next()? {
                if r.get::<_, i64>(3)? < settled_ms {
                    break;
                }
                let payload = r.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
                verified("block", r.get(0)?, r.get(1)?, payload)?;
                let wanted = |id: i64| self.place(id).is_some_and(|place| !self.told[place]);
                let found = Parcel::newest_within(payload, wanted, (from_ms, to_ms))?;
                // Of two blocks none holds a sample of the other.
                for (id, newest) in found {
                    self.offer(id, newest);
                }
                settled_ms = self.settled_ms(Some(family)).max(from_ms);
            }
        }
        Ok(())
    }
}

/// One window for each ask, in the same order, with the newest sample in the range of each series
/// that is chosen.
pub(in crate::store) fn read(
    from: Source<'_>,
    asks: Vec<Ask>,
    (query, chosen): (&WindowQuery, &Chosen),
    room: &Room,
) -> Result<Vec<Window>, Fault> {
    let range = (query.from_ms, query.to_ms);
    let (moment, recent) = window::begin(from, &asks, range)?;
    let mut windows = Vec::with_capacity(asks.len());
    for ask in asks {
        let mut found: Vec<Found> = Vec::new();
        for number in &ask.numbers {
            let mut rows = series::of_host(&moment, from.names, *number, &query.metrics)?;
            rows.retain(|row| chosen(&ask.host, &row.name));
            let mut of_number = Number::of(rows);
            let fresh = recent.get(number).map_or(&[][..], Vec::as_slice);
            of_number.offer_entries(fresh, range)?;
            of_number.offer_row(&moment, *number, range)?;
            of_number.offer_blocks(&moment, *number, range)?;
            let rows = of_number.rows.into_iter().zip(of_number.newest);
            let more = rows.map(|(row, newest)| (row.name, row.kind, newest));
            match found.is_empty() {
                true => found.extend(more),
                false => found = merged(found, more),
            }
        }
        room.take(found.len())?;
        windows.push(ask.window(query, found.into_iter().filter_map(series).collect()));
    }
    Ok(windows)
}

/// Two host numbers' series as one: where both have a sample of one time, the first counts.
fn merged(found: Vec<Found>, more: impl Iterator<Item = Found>) -> Vec<Found> {
    let by_name = |(name, kind, newest)| (name, (kind, newest));
    let mut all: HashMap<Arc<SeriesName>, (Kind, Newest)> =
        found.into_iter().map(by_name).collect();
    for (name, kind, newest) in more {
        let (_, known) = all.entry(name).or_insert((kind, None));
        if newest.map(|n| n.0) > known.map(|k| k.0) {
            *known = newest;
        }
    }
    let found = all.into_iter();
    found
        .map(|(name, (kind, newest))| (name, kind, newest))
        .collect()
}

fn series((name, kind, newest): Found) -> Option<Series> {
    newest.map(|(time_ms, value)| Series {
        name: Arc::unwrap_or_clone(name),
        kind,
        times_ms: vec![time_ms],
        values: vec![value],
    })
}
