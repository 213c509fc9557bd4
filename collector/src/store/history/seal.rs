//! Sealing: a host's journal becomes compressed, immutable blocks.
//!
//! A block holds one family (CPU, memory, …) of one host over one stretch of time, so that a
//! question about CPU reads no disk counters. Late data gets blocks of its own, which may overlap
//! older ones in time but never repeat a sample of theirs: what is sealed already came first.
//! Blocks are made on a reading thread; the writer only inserts them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use hostwell_proto::column::Room;
use rusqlite::{Connection, params};

use super::super::error::Fault;
use super::super::writer::Ledger;
use super::checksum::verified;
use super::gather::{Sheet, gather};
use super::head::{Due, Entry, Head};
use super::journal;
use super::newest;
use super::parcel::{Newest, Opener, Parcel, times_of};
use super::relations::{Names, Relations, Sorts, names};
use super::rollup;
use super::sealed::Plans;
use super::table::Table;
use super::total;

/// A journal is sealed at the next turn of its host's hour, …
const PERIOD_MS: i64 = 3_600_000;
/// … or earlier when it is this large.
const HOST_BYTES_MAX: usize = 8 << 20;
/// Most ticks in a block: two hours at 10 s is 720, at 1 s there are two blocks an hour.
pub(in crate::store) const TICKS_MAX: usize = 2048;
/// A block of so many ticks is good enough, and two of them are a full one. Of half as many, six hours at
/// 10 s that came at once lay in 3.2 blocks of a family instead of 2.2, and a question for one series took a fifth more; what
/// waits in memory is 40 kB less a host of sixty series.
const TICKS_GOOD: usize = TICKS_MAX / 2;
/// Most rows of the journal that are dropped in a commit: live data must not wait for long.
const DROPPED_MAX: i64 = 20_000;
/// Most ticks of a host that are sealed in order at once; a host that sent more is sealed as if they came
/// in any order.
const TICKS_AT_ONCE: usize = u16::MAX as usize;
/// A hole this long ends a block, so that retention can drop what is before it.
pub(in crate::store) const HOLE_MS: i64 = 3_600_000;

/// A block that is not in the file yet.
#[derive(Debug)]
pub(in crate::store) struct Fresh {
    pub family: i64,
    start_ms: i64,
    end_ms: i64,
    pub ticks: usize,
    pub samples: usize,
    /// The newest sample of each of its series.
    pub newest: Vec<Newest>,
    payload: Vec<u8>,
    /// What its gauges come to.
    totals: Option<Vec<u8>>,
}

/// What is known of a host's series.
#[derive(Clone, Copy)]
pub(in crate::store) struct Known<'a> {
    pub relations: &'a Relations,
    pub sorts: &'a Sorts,
    pub names: &'a Names,
}

impl Fresh {
    /// Packs a table. `own`: how the host's series were foretold in another block.
    pub(in crate::store) fn of(
        family: i64,
        table: &Table<'_>,
        known: Known<'_>,
        own: Option<Plans>,
    ) -> Result<Fresh, Fault> {
        let Known {
            relations, names, ..
        } = known;
        let (start_ms, end_ms) = table.span().unwrap_or((0, 0));
        let is_alone = |id: i64| known.sorts.get(&id).is_some_and(|sort| sort.is_asked_alone);
        let guide = relations.guide(names, (&table.series, is_alone), own);
        let payload = table.seal(Some(&guide))?;
        relations.learn(names, &guide, Parcel::plans(&payload)?);
        let ticks = table.times_ms.len();
        let is_gauge = |id: i64| known.sorts.get(&id).is_some_and(|sort| sort.is_gauge);
        Ok(Fresh {
            totals: total::encode(ticks, &total::of_table(table, is_gauge)),
            family,
            start_ms,
            end_ms,
            ticks,
            samples: table.samples(),
            newest: newest::of_table(table),
            payload,
        })
    }

    /// The same of samples of each series, ascending in time without a time twice.
    pub(in crate::store) fn of_points(
        family: i64,
        points: &[(i64, &[(i64, f64)])],
        known: Known<'_>,
        own: Option<Plans>,
    ) -> Result<Fresh, Fault> {
        Fresh::of(family, &Table::of(&Parcel::of(points)), known, own)
    }
}

/// Blocks and the journal entries they replace.
#[derive(Debug)]
pub(in crate::store) struct Sealed {
    pub host: i64,
    /// The newest row of the journal that is in them: all of the host's before it are too.
    to: i64,
    blocks: Vec<Fresh>,
}

impl Sealed {
    /// From the first to the last sample of the blocks.
    pub(in crate::store) fn span(&self) -> Option<(i64, i64)> {
        let start_ms = self.blocks.iter().map(|b| b.start_ms).min()?;
        Some((start_ms, self.blocks.iter().map(|b| b.end_ms).max()?))
    }

    /// Samples in the blocks.
    pub(in crate::store) fn samples(&self) -> usize {
        self.blocks.iter().map(|b| b.samples).sum()
    }
}

/// A number of the host's own below `below`: neighbouring numbers are far apart.
fn spread(host: i64, below: u64) -> u64 {
    // Fibonacci hashing.
    (host as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % below
}

/// Whether a host's journal should be sealed now. Every host's hour turns at its own moment, so
/// that a thousand hosts are not sealed at once.
pub(in crate::store) fn is_due(journal: &Due, now_ms: i64) -> bool {
    let phase = spread(journal.host, PERIOD_MS as u64);
    let turn = |ms: i64| ms.saturating_add(phase as i64).div_euclid(PERIOD_MS);
    // "Not equal": a clock that jumped back must not keep a journal growing.
    journal.bytes > HOST_BYTES_MAX
        || is_full(journal.host, journal.ticks)
        || turn(journal.received_ms) != turn(now_ms)
}

/// Whether a host's journal makes good blocks whatever its turn: then it need not stay in memory.
/// Every host has a bound of its own, because those that came together would all reach it at once.
pub(in crate::store) fn is_full(host: i64, ticks: usize) -> bool {
    ticks >= TICKS_GOOD + spread(host, TICKS_GOOD as u64) as usize
}

pub(in crate::store) type Points = Vec<(i64, f64)>;

/// Puts points in order; of equal times the first given wins.
pub(in crate::store) fn settle(points: &mut Points) {
    if !points.is_sorted_by(|a, b| a.0 < b.0) {
        points.sort_by_key(|p| p.0);
        points.dedup_by_key(|p| p.0);
    }
}

/// Makes the blocks for some entries of a host, given in the order of commits.
pub(in crate::store) fn prepare(
    conn: &Connection,
    host: i64,
    entries: &[Arc<Entry>],
    relations: &Relations,
) -> Result<Sealed, Fault> {
    let (sorts, names) = names(conn, host)?;
    let known = Known {
        relations,
        sorts: &sorts,
        names: &names,
    };
    let blocks = match gather(entries, TICKS_AT_ONCE) {
        Some(sheet) => of_sheet(conn, host, sheet, known)?,
        None => of_entries(conn, host, entries, known)?,
    };
    Ok(Sealed {
        host,
        to: entries
            .iter()
            .map(|entry| entry.newest())
            .max()
            .unwrap_or(i64::MIN),
        blocks,
    })
}

fn family_of(known: Known<'_>, id: i64) -> i64 {
    known.sorts.get(&id).map_or(0, |sort| sort.family)
}

/// Entries that came in the order of their times, as nearly all do.
fn of_sheet(
    conn: &Connection,
    host: i64,
    sheet: Sheet,
    known: Known<'_>,
) -> Result<Vec<Fresh>, Fault> {
    let mut blocks = Vec::new();
    for (family, sheet) in sheet.families(|id| family_of(known, id)) {
        let mut begin = 0;
        for stretch in stretches(&sheet.times_ms) {
            let end = begin + stretch.len();
            let table = sheet.cut((begin, end));
            begin = end;
            let Some(span) = table.span() else {
                continue;
            };
            if touches(conn, (host, family), span)? {
                let mut members: BTreeMap<i64, Points> = BTreeMap::new();
                table.each(|id, time, value| members.entry(id).or_default().push((time, value)));
                blocks.extend(of_members(conn, (host, family), &members, known)?);
            } else {
                let own = earlier_plans(conn, (host, family), span.0)?;
                blocks.push(Fresh::of(family, &table, known, own)?);
            }
        }
    }
    Ok(blocks)
}

/// Any entries: of samples with equal times the first committed counts.
fn of_entries(
    conn: &Connection,
    host: i64,
    entries: &[Arc<Entry>],
    known: Known<'_>,
) -> Result<Vec<Fresh>, Fault> {
    let mut families: BTreeMap<i64, BTreeMap<i64, Points>> = BTreeMap::new();
    let mut opener = Opener::default();
    for entry in entries {
        let take = |id: i64, times: &[i64], room: &Room| {
            let members = families.entry(family_of(known, id)).or_default();
            let samples = room.samples().map(|(tick, value)| (times[tick], value));
            members.entry(id).or_default().extend(samples);
        };
        opener.each(&entry.payload, |_| true, take)?;
    }
    let mut blocks = Vec::new();
    for (family, mut members) in families {
        members.values_mut().for_each(settle);
        blocks.extend(of_members(conn, (host, family), &members, known)?);
    }
    Ok(blocks)
}

/// The samples of a family's series that no block holds already.
fn of_members(
    conn: &Connection,
    (host, family): (i64, i64),
    members: &BTreeMap<i64, Points>,
    known: Known<'_>,
) -> Result<Vec<Fresh>, Fault> {
    let mut blocks = Vec::new();
    for (start_ms, end_ms) in spans(members) {
        let Some(kept) = fresh(conn, (host, family), (start_ms, end_ms), members)? else {
            continue;
        };
        let borrowed: Vec<_> = kept.iter().map(|(id, p)| (*id, &**p)).collect();
        let own = earlier_plans(conn, (host, family), start_ms)?;
        blocks.push(Fresh::of_points(family, &borrowed, known, own)?);
    }
    Ok(blocks)
}

/// Whether a sealed block of a family touches a range.
fn touches(
    conn: &Connection,
    (host, family): (i64, i64),
    (start_ms, end_ms): (i64, i64),
) -> Result<bool, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM block
         WHERE host = ?1 AND family = ?2 AND end_ms >= ?3 AND start_ms <= ?4)",
    )?;
    Ok(select.query_row([host, family, start_ms, end_ms], |r| r.get(0))?)
}

/// Cuts the times of a family, ascending, into stretches without long holes and with bounded ticks.
fn stretches(times_ms: &[i64]) -> impl Iterator<Item = &[i64]> {
    times_ms
        .chunk_by(|a, b| b.saturating_sub(*a) <= HOLE_MS)
        .flat_map(|stretch| stretch.chunks(TICKS_MAX))
}

/// Where the stretches of a family's samples begin and end.
pub(in crate::store) fn spans(members: &BTreeMap<i64, Points>) -> Vec<(i64, i64)> {
    stretches(&times_of(members.values().map(Vec::as_slice)))
        .filter_map(|ticks| Some((*ticks.first()?, *ticks.last()?)))
        .collect()
}

/// A series with its samples, or those that are left of them.
type Kept<'a> = (i64, Cow<'a, [(i64, f64)]>);

/// The samples of a stretch, without those that overlapping blocks hold already.
fn fresh<'a>(
    conn: &Connection,
    (host, family): (i64, i64),
    (start_ms, end_ms): (i64, i64),
    members: &'a BTreeMap<i64, Points>,
) -> Result<Option<Vec<Kept<'a>>>, Fault> {
    let mut held: HashSet<(i64, i64)> = HashSet::new();
    let all = |_: i64| true;
    each_block(conn, (host, family), (start_ms, end_ms), all, |parcel| {
        parcel.each(|id, time, _| {
            if (start_ms..=end_ms).contains(&time) {
                held.insert((id, time));
            }
        });
        Ok(())
    })?;
    let mut kept: Vec<Kept<'_>> = Vec::new();
    for (id, points) in members {
        let from = points.partition_point(|p| p.0 < start_ms);
        let to = points.partition_point(|p| p.0 <= end_ms);
        let mut points = Cow::Borrowed(&points[from..to]);
        if !held.is_empty() {
            points.to_mut().retain(|p| !held.contains(&(*id, p.0)));
        }
        if !points.is_empty() {
            kept.push((*id, points));
        }
    }
    // Without the repeated samples the stretch may be shorter than it was.
    Ok(Some(kept).filter(|k| !k.is_empty()))
}

/// How the series of the block before were foretold from each other.
fn earlier_plans(
    conn: &Connection,
    (host, family): (i64, i64),
    start_ms: i64,
) -> Result<Option<Plans>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT payload FROM block WHERE host = ?1 AND family = ?2 AND end_ms < ?3
         ORDER BY end_ms DESC LIMIT 1",
    )?;
    let mut rows = select.query(params![host, family, start_ms])?;
    match rows.next()? {
        Some(r) => Parcel::plans(r.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?),
        None => Ok(None),
    }
}

/// Visits the sealed blocks of a family that touch a range, by their ends, whole, with at
/// least the series that are `wanted`.
pub(in crate::store) fn each_block(
    conn: &Connection,
    of: (i64, i64),
    range: (i64, i64),
    wanted: impl Fn(i64) -> bool,
    visit: impl FnMut(Parcel) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let open = |payload: &[u8]| Parcel::unseal_some(payload, &wanted);
    open_blocks(conn, of, (range, &Passed::new()), open, visit)
}

/// Numbers of blocks that are passed over.
pub(in crate::store) type Passed = HashSet<i64>;

/// The same, each block opened by `open`, without those that are passed over.
pub(in crate::store) fn open_blocks<T>(
    conn: &Connection,
    (host, family): (i64, i64),
    ((from_ms, to_ms), passed): ((i64, i64), &Passed),
    open: impl Fn(&[u8]) -> Result<T, Fault>,
    mut visit: impl FnMut(T) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, crc32c, payload FROM block
         WHERE host = ?1 AND family = ?2 AND end_ms >= ?3 AND start_ms <= ?4 ORDER BY end_ms",
    )?;
    let mut rows = select.query([host, family, from_ms, to_ms])?;
    while let Some(r) = rows.next()? {
        if passed.contains(&r.get(0)?) {
            continue;
        }
        let payload = r.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        verified("block", r.get(0)?, r.get(1)?, payload)?;
        visit(open(payload)?)?;
    }
    Ok(())
}

/// Writes blocks of a host.
pub(in crate::store) fn insert(
    conn: &Connection,
    host: i64,
    blocks: &[Fresh],
) -> Result<(), Fault> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO block (host, family, start_ms, end_ms, samples, crc32c, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut beside =
        conn.prepare_cached("INSERT INTO total (block, crc32c, payload) VALUES (?1, ?2, ?3)")?;
    for b in blocks {
        insert.execute(params![
            host,
            b.family,
            b.start_ms,
            b.end_ms,
            b.samples as i64,
            crc32c::crc32c(&b.payload),
            b.payload
        ])?;
        if let Some(totals) = &b.totals {
            let number = conn.last_insert_rowid();
            beside.execute(params![number, crc32c::crc32c(totals), totals])?;
        }
    }
    Ok(())
}

/// Writes the blocks of some hosts and marks what they replace; answers what the head may forget: a
/// host's batches up to a number. Rows before which nothing waits any more go.
pub(in crate::store) fn commit(
    ledger: &mut Ledger,
    head: &Head,
    all: Vec<Sealed>,
) -> Result<HashMap<i64, i64>, Fault> {
    let mut sealed_to: HashMap<i64, i64> = HashMap::new();
    for sealed in &all {
        newest::note(&ledger.conn, sealed.host, &sealed.blocks)?;
        insert(&ledger.conn, sealed.host, &sealed.blocks)?;
        for b in &sealed.blocks {
            let of = (sealed.host, b.family);
            rollup::mark(&ledger.conn, of, (b.start_ms, b.end_ms))?;
        }
        journal::mark_sealed(&ledger.conn, sealed.host, sealed.to)?;
        sealed_to.insert(sealed.host, sealed.to);
    }
    // What was written since the last commit is not in the head yet; its numbers are above all there were.
    let before = match head.oldest_row(|host| sealed_to.get(&host).copied()) {
        Some(oldest) => oldest,
        None => journal::sealed_to(&ledger.conn)?.saturating_add(1),
    };
    journal::drop_before(&ledger.conn, before, DROPPED_MAX)?;
    Ok(sealed_to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(host: i64, received_ms: i64, bytes: usize) -> Due {
        Due {
            host,
            received_ms,
            bytes,
            ticks: 0,
            oldest: 0,
        }
    }

    #[test]
    fn hosts_are_sealed_once_an_hour_each_at_its_own_moment() {
        let turns = |host: i64| -> Vec<i64> {
            (1..=120)
                .filter(|m| is_due(&journal(host, (m - 1) * 60_000, 0), m * 60_000))
                .collect()
        };
        let mut moments = HashSet::new();
        for host in 1..=40 {
            let turns = turns(host);
            assert_eq!(turns.len(), 2, "host {host}: {turns:?}");
            assert_eq!(turns[1] - turns[0], 60, "host {host}");
            moments.insert(turns[0]);
        }
        assert!(
            moments.len() > 20,
            "only {} different minutes",
            moments.len()
        );
    }

    #[test]
    fn a_large_journal_and_a_clock_that_jumped_back_are_due() {
        assert!(is_due(&journal(1, 0, HOST_BYTES_MAX + 1), 0));
        assert!(is_due(&journal(1, 10 * PERIOD_MS, 0), 0));
    }

    #[test]
    fn a_journal_of_many_ticks_is_full_at_a_bound_of_its_host() {
        let bound = |host: i64| (0..TICKS_MAX).find(|ticks| is_full(host, *ticks)).unwrap();
        let bounds: HashSet<usize> = (1..100).map(bound).collect();
        assert!(bounds.len() > 50, "only {} different bounds", bounds.len());
        assert!(
            bounds
                .iter()
                .all(|b| (TICKS_GOOD..2 * TICKS_GOOD).contains(b))
        );
    }

    #[test]
    fn a_hole_ends_a_stretch_and_so_do_too_many_ticks() {
        let points = |times: &[i64]| times.iter().map(|t| (*t, 0.0)).collect::<Points>();
        let members = BTreeMap::from([
            (1, points(&[0, 10, HOLE_MS + 11])),
            (2, points(&[5, HOLE_MS + 20])),
        ]);
        assert_eq!(spans(&members), [(0, 10), (HOLE_MS + 11, HOLE_MS + 20)]);
        let long: Vec<i64> = (0..TICKS_MAX as i64 + 1).collect();
        let cut = TICKS_MAX as i64;
        assert_eq!(
            spans(&BTreeMap::from([(1, points(&long))])),
            [(0, cut - 1), (cut, cut)]
        );
    }

    #[test]
    fn of_equal_times_the_first_wins() {
        let mut points = vec![(3, 1.0), (1, 2.0), (3, 9.0), (2, 4.0), (1, 8.0)];
        settle(&mut points);
        assert_eq!(points, [(1, 2.0), (2, 4.0), (3, 1.0)]);
    }
}
