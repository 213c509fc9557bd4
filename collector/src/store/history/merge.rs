//! Merging: small neighbouring blocks of a family become larger ones, which pack better.
//!
//! Every seal leaves a block of an hour, late data smaller ones. The newest are merged with those
//! before them for as long as the older one is no larger than what is merged already, as in a
//! binary counter: so a sample is written again about as often as its block doubles. A full block
//! is never touched again. What is merged is decided anew from the file after each seal of a host,
//! and once for each host after a start; nothing has to be remembered.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::super::error::Fault;
use super::super::writer::Ledger;
use super::checksum::verified;
use super::parcel::Parcel;
use super::relations::{Relations, names};
use super::seal::{Fresh, HOLE_MS, Known, Points, TICKS_MAX, insert, settle, spans};
use super::series::FAMILIES;

/// How many blocks before and behind the fresh ones are looked at.
const NEIGHBOURS: i64 = 8;
/// Most ticks merged in one go.
const TICKS_AT_ONCE: usize = 4 * TICKS_MAX;

/// Blocks as they are in the file.
#[derive(Clone, Debug, PartialEq)]
struct Old {
    number: i64,
    start_ms: i64,
    end_ms: i64,
    ticks: usize,
}

/// Blocks and those they replace.
#[derive(Debug)]
pub(in crate::store) struct Merged {
    host: i64,
    replaced: Vec<i64>,
    blocks: Vec<Fresh>,
}

impl Merged {
    /// Samples that are written again.
    pub(in crate::store) fn samples(&self) -> usize {
        self.blocks.iter().map(|b| b.samples).sum()
    }
}

/// Families of a host that have blocks.
pub(in crate::store) fn families(conn: &Connection, host: i64) -> Result<Vec<i64>, Fault> {
    let mut select = conn.prepare_cached("SELECT DISTINCT family FROM block WHERE host = ?1")?;
    let rows = select.query_map([host], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The next merge of a family around a stretch of time, if one is due.
pub(in crate::store) fn prepare(
    conn: &Connection,
    (host, family): (i64, i64),
    around: (i64, i64),
    relations: &Relations,
) -> Result<Option<Merged>, Fault> {
    for group in groups(&neighbours(conn, (host, family), around)?) {
        let merged = merged(conn, (host, family), &group, relations)?;
        // A merge that fills no block and saves none would be done again and again.
        let fills = merged.blocks.iter().any(|b| b.ticks == TICKS_MAX);
        if fills || merged.blocks.len() < group.len() {
            return Ok(Some(merged));
        }
    }
    Ok(None)
}

/// Blocks around a stretch, by their beginnings.
fn neighbours(
    conn: &Connection,
    (host, family): (i64, i64),
    (from_ms, to_ms): (i64, i64),
) -> Result<Vec<Old>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT number, start_ms, end_ms, payload FROM block WHERE number IN (
           SELECT number FROM (SELECT number FROM block WHERE host = ?1 AND family = ?2
             AND end_ms < ?3 ORDER BY end_ms DESC LIMIT ?5)
           UNION ALL
           SELECT number FROM (SELECT number FROM block WHERE host = ?1 AND family = ?2
             AND end_ms >= ?3 AND start_ms <= ?4 ORDER BY end_ms LIMIT 4 * ?5)
           UNION ALL
           SELECT number FROM (SELECT number FROM block WHERE host = ?1 AND family = ?2
             AND end_ms > ?4 AND start_ms > ?4 ORDER BY end_ms LIMIT ?5))
         ORDER BY start_ms, number",
    )?;
    let mut rows = select.query(params![host, family, from_ms, to_ms, NEIGHBOURS])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let payload = r.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        found.push(Old {
            number: r.get(0)?,
            start_ms: r.get(1)?,
            end_ms: r.get(2)?,
            ticks: Parcel::unseal_some(payload, |_| false)?
                .block
                .times_ms
                .len(),
        });
    }
    Ok(found)
}

/// What should be merged, newest first.
fn groups(blocks: &[Old]) -> Vec<Vec<Old>> {
    let mut groups: Vec<Vec<Old>> = Vec::new();
    let mut group: Vec<Old> = Vec::new();
    for older in blocks.iter().rev().filter(|b| b.ticks < TICKS_MAX) {
        let ticks: usize = group.iter().map(|b| b.ticks).sum();
        let joins = group.last().is_some_and(|newer| {
            newer.start_ms.saturating_sub(older.end_ms) <= HOLE_MS
                && older.ticks <= ticks
                && older.ticks + ticks <= TICKS_AT_ONCE
        });
        if !joins {
            groups.push(std::mem::take(&mut group));
        }
        group.push(older.clone());
    }
    groups.push(group);
    groups.retain(|g| g.len() > 1);
    groups
}

/// The blocks that replace a group.
fn merged(
    conn: &Connection,
    (host, family): (i64, i64),
    group: &[Old],
    relations: &Relations,
) -> Result<Merged, Fault> {
    let mut one = conn.prepare_cached("SELECT crc32c, payload FROM block WHERE number = ?1")?;
    let mut members: BTreeMap<i64, Points> = BTreeMap::new();
    let mut known = None;
    // In the order of commits: should two blocks repeat a sample all the same, the first wins.
    let mut replaced: Vec<i64> = group.iter().map(|o| o.number).collect();
    replaced.sort_unstable();
    for number in &replaced {
        let mut rows = one.query([number])?;
        let Some(r) = rows.next()? else {
            continue;
        };
        let payload = r.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        verified("block", *number, r.get(0)?, payload)?;
        known = Parcel::plans(payload)?.or(known);
        let parcel = Parcel::unseal(payload)?;
        let times = &parcel.block.times_ms;
        for column in &parcel.block.columns {
            let samples = column.samples().map(|(tick, value)| (times[tick], value));
            let id = parcel.series[column.number as usize];
            members.entry(id).or_default().extend(samples);
        }
    }
    members.values_mut().for_each(settle);
    let (sorts, names) = names(conn, host)?;
    let host_knows = Known {
        relations,
        sorts: &sorts,
        names: &names,
    };
    let mut blocks = Vec::new();
    for stretch in spans(&members) {
        let kept = within(&members, stretch);
        blocks.push(Fresh::of_points(family, &kept, host_knows, known.clone())?);
    }
    Ok(Merged {
        host,
        replaced,
        blocks,
    })
}

/// The samples of a stretch, series that have some.
fn within(
    members: &BTreeMap<i64, Points>,
    (start_ms, end_ms): (i64, i64),
) -> Vec<(i64, &[(i64, f64)])> {
    members
        .iter()
        .map(|(id, points)| {
            let from = points.partition_point(|p| p.0 < start_ms);
            let to = points.partition_point(|p| p.0 <= end_ms);
            (*id, &points[from..to])
        })
        .filter(|(_, points)| !points.is_empty())
        .collect()
}

/// Replaces the blocks, if all of them are still there: retention may have dropped one since.
pub(in crate::store) fn commit(ledger: &mut Ledger, merged: &Merged) -> Result<bool, Fault> {
    let mut there = ledger
        .conn
        .prepare_cached("SELECT count(*) FROM block WHERE number = ?1 AND host = ?2")?;
    for number in &merged.replaced {
        if there.query_row([*number, merged.host], |r| r.get::<_, i64>(0))? == 0 {
            return Ok(false);
        }
    }
    let mut delete = ledger
        .conn
        .prepare_cached("DELETE FROM block WHERE number = ?1")?;
    for number in &merged.replaced {
        delete.execute([number])?;
    }
    insert(&ledger.conn, merged.host, &merged.blocks)?;
    Ok(true)
}

/// The hosts that have blocks, and where each one's newest block ends.
pub(in crate::store) fn newest(conn: &Connection) -> Result<Vec<(i64, i64)>, Fault> {
    let mut hosts = conn.prepare("SELECT number FROM host ORDER BY number DESC")?;
    let hosts = hosts.query_map([], |r| r.get(0))?;
    let mut newest =
        conn.prepare("SELECT max(end_ms) FROM block WHERE host = ?1 AND family = ?2")?;
    let mut found = Vec::new();
    for host in hosts {
        let host: i64 = host?;
        let mut end_ms: Option<i64> = None;
        for family in FAMILIES {
            end_ms = end_ms.max(newest.query_row([host, family], |r| r.get(0))?);
        }
        found.extend(end_ms.map(|end_ms| (host, end_ms)));
    }
    Ok(found)
}

/// Hosts whose blocks changed, and where.
#[derive(Debug, Default)]
pub(in crate::store) struct Changed {
    hosts: BTreeMap<i64, (i64, i64)>,
    /// Those that nothing is known of since the start: what a collector before this one sealed may
    /// wait to be merged. `None`: not listed yet.
    unseen: Option<Vec<(i64, i64)>>,
}

impl Changed {
    /// Notes the stretches of blocks that were sealed.
    pub(in crate::store) fn add(&mut self, host: i64, stretch: Option<(i64, i64)>) {
        let Some((from_ms, to_ms)) = stretch else {
            return;
        };
        let all = self.hosts.entry(host).or_insert((from_ms, to_ms));
        *all = (all.0.min(from_ms), all.1.max(to_ms));
    }

    /// Whether it is time to list what an earlier collector may have left.
    pub(in crate::store) fn wants_list(&self) -> bool {
        self.hosts.is_empty() && self.unseen.is_none()
    }

    /// Takes that list: see [`newest`].
    pub(in crate::store) fn list(&mut self, newest: Vec<(i64, i64)>) {
        self.unseen = Some(newest);
    }

    /// The next host to look at: what changed first, then what nobody looked at since the start.
    pub(in crate::store) fn next(&mut self) -> Option<(i64, (i64, i64))> {
        self.hosts.pop_first().or_else(|| {
            let (host, end_ms) = self.unseen.as_mut()?.pop()?;
            Some((host, (end_ms, end_ms)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks one after another, an hour each but with so many ticks.
    fn row(ticks: &[usize]) -> Vec<Old> {
        let old = |(i, ticks): (usize, &usize)| Old {
            number: i as i64,
            start_ms: i as i64 * 1000,
            end_ms: i as i64 * 1000 + 990,
            ticks: *ticks,
        };
        ticks.iter().enumerate().map(old).collect()
    }

    fn merged_numbers(blocks: &[Old]) -> Vec<Vec<i64>> {
        let numbers = |g: &Vec<Old>| g.iter().map(|o| o.number).collect();
        groups(blocks).iter().map(numbers).collect()
    }

    #[test]
    fn a_block_waits_until_as_much_is_behind_it() {
        assert!(merged_numbers(&row(&[720, 360])).is_empty());
        assert_eq!(merged_numbers(&row(&[720, 360, 360])), [[2, 1, 0]]);
        assert_eq!(merged_numbers(&row(&[1440, 360, 360])), [[2, 1]]);
    }

    #[test]
    fn a_full_block_and_one_behind_a_hole_are_left_alone() {
        assert!(merged_numbers(&row(&[TICKS_MAX, TICKS_MAX])).is_empty());
        let mut apart = row(&[5, 5]);
        apart[1].start_ms += HOLE_MS + 1;
        apart[1].end_ms += HOLE_MS + 1;
        assert!(merged_numbers(&apart).is_empty());
    }

    #[test]
    fn a_sample_is_written_again_about_as_often_as_its_block_doubles() {
        let (mut blocks, mut again, hours) = (Vec::new(), 0, 400);
        for _ in 0..hours {
            blocks.extend([120]);
            for group in merged_numbers(&row(&blocks)) {
                let from = *group.last().unwrap() as usize;
                let to = group[0] as usize + 1;
                let ticks: usize = blocks[from..to].iter().sum();
                again += ticks;
                let mut cut = vec![TICKS_MAX; ticks / TICKS_MAX];
                cut.extend(Some(ticks % TICKS_MAX).filter(|t| *t > 0));
                blocks.splice(from..to, cut);
            }
        }
        // 120 ticks double four times and then fill a block.
        assert!(again <= hours * 120 * 6, "{again}");
        assert!(blocks.len() < 32, "{blocks:?}");
    }
}
