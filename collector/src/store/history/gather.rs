//! Batches of a host are put together: the same samples, named once, in order of time, and still the
//! whole numbers that were sent.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use hostwell_proto::column::Numbers;

use super::head::Entry;
use super::parcel::Opener;
use super::places::Places;
use super::table::{Row, Table, TableColumn};

/// A series and its samples.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) id: i64,
    pub(super) numbers: Numbers,
    /// The ticks of the values; `None`: all of them.
    pub(super) ticks: Option<Vec<u16>>,
}

impl Gathered {
    /// Notes the ticks of so many values that were added, of a batch whose ticks begin at `begin`;
    /// `present`: those that have one, where some have none.
    #[inline]
    fn added(&mut self, begin: usize, present: Option<&[u16]>, count: usize) {
        let before = self.numbers.len() - count;
        if self.ticks.is_some() || present.is_some() || before != begin {
            self.added_sparse((begin, before), present, count);
        }
    }

    fn added_sparse(
        &mut self,
        (begin, before): (usize, usize),
        present: Option<&[u16]>,
        count: usize,
    ) {
        let ticks = self
            .ticks
            .get_or_insert_with(|| (0..before as u16).collect());
        let tick = |place: usize| (begin + place) as u16;
        match present {
            Some(present) => ticks.extend(present.iter().map(|t| tick(usize::from(*t)))),
            None => ticks.extend((0..count).map(tick)),
        }
    }

    /// Of so many ticks some may be without a value.
    fn end(&mut self, ticks: usize) {
        if self.ticks.is_none() && self.numbers.len() < ticks {
            self.ticks = Some((0..self.numbers.len() as u16).collect());
        }
    }

    /// What it has at the ticks of a range; `None` where that is nothing.
    fn cut(&self, (from, to): (usize, usize)) -> Option<TableColumn<'_>> {
        let (ticks, places) = match &self.ticks {
            None => (None, from..to),
            Some(ticks) => {
                let place = |tick: usize| ticks.partition_point(|t| usize::from(*t) < tick);
                let places = place(from)..place(to);
                let is_full = places.len() == to - from;
                let ticks = ticks[places.clone()].iter();
                let ticks: Vec<u16> = ticks.map(|t| t - from as u16).collect();
                (Some(ticks).filter(|_| !is_full), places)
            }
        };
        if places.is_empty() {
            return None;
        }
        let row = match &self.numbers {
            Numbers::Whole {
                decimals,
                mantissas,
            } => Row::fewest(*decimals, &mantissas[places]),
            Numbers::Raw(values) => Row::of(&values[places]),
        };
        Some(TableColumn { ticks, row })
    }
}

/// Series while they are put together.
#[derive(Default)]
struct Gathering {
    places: Places,
    all: Vec<Gathered>,
}

impl Gathering {
    /// That of an id.
    #[inline]
    fn of(&mut self, id: i64, expected: usize) -> &mut Gathered {
        let (at, is_new) = self.places.of(id);
        if is_new {
            self.all.push(Gathered {
                id,
                numbers: Numbers::with_capacity(expected),
                ticks: None,
            });
        }
        &mut self.all[at]
    }
}

/// Samples of some series over the same ticks.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Ascending.
    pub(super) times_ms: Vec<i64>,
    /// Ascending by id.
    pub(super) series: Vec<Gathered>,
}

/// The samples of several batches; `None` where their times do not ascend, where there are more than
/// `ticks_max` (at most 65,535), or where one cannot be read: of samples with equal times the first
/// committed counts, and only sealing sorts that out.
pub(super) fn gather<E: Borrow<Entry>>(entries: &[E], ticks_max: usize) -> Option<Sheet> {
    let all = || entries.iter().map(Borrow::borrow);
    let ascend = all().zip(all().skip(1)).all(|(a, b)| a.end_ms < b.start_ms);
    if !ascend || entries.is_empty() {
        return None;
    }
    let (mut times_ms, mut gathering) = (Vec::new(), Gathering::default());
    let mut opener = Opener::default();
    for entry in all() {
        gathering.places.begin();
        let begin = times_ms.len();
        let mut parcel = opener.open(&entry.payload).ok()?;
        times_ms.extend_from_slice(parcel.times_ms);
        if times_ms.len() > ticks_max || !times_ms[begin..].is_sorted_by(|a, b| a < b) {
            return None;
        }
        // Batches of a host are about as long as each other.
        let expected = entries.len() * (times_ms.len() - begin);
        loop {
            if let Some((id, single)) = parcel.single() {
                let series = gathering.of(id, expected);
                series.numbers.push(single.decimals, single.mantissa);
                series.added(begin, None, 1);
                continue;
            }
            let Some(id) = parcel.next().ok()? else {
                break;
            };
            let series = gathering.of(id, expected.min(ticks_max));
            let (present, count) = parcel.append_to(&mut series.numbers).ok()?;
            series.added(begin, present, count);
        }
    }
    let mut series = gathering.all;
    series.sort_unstable_by_key(|one| one.id);
    series.iter_mut().for_each(|one| one.end(times_ms.len()));
    Some(Sheet { times_ms, series })
}

impl Sheet {
    /// The series of each family, each over the ticks of its own.
    pub(super) fn families(self, family_of: impl Fn(i64) -> i64) -> BTreeMap<i64, Sheet> {
        let mut families: BTreeMap<i64, Sheet> = BTreeMap::new();
        for one in self.series {
            let family = families.entry(family_of(one.id)).or_default();
            family.series.push(one);
        }
        for family in families.values_mut() {
            family.settle(&self.times_ms);
        }
        families
    }

    /// Leaves out the ticks at which no series has a value.
    fn settle(&mut self, times_ms: &[i64]) {
        if self.series.iter().any(|one| one.ticks.is_none()) {
            self.times_ms = times_ms.to_vec();
            return;
        }
        let mut is_there = vec![false; times_ms.len()];
        let ticks = self
            .series
            .iter()
            .flat_map(|one| one.ticks.iter().flatten());
        ticks.for_each(|tick| is_there[usize::from(*tick)] = true);
        // Where each tick goes.
        let mut places = vec![0u16; times_ms.len()];
        for (tick, time_ms) in times_ms
            .iter()
            .enumerate()
            .filter(|(tick, _)| is_there[*tick])
        {
            places[tick] = self.times_ms.len() as u16;
            self.times_ms.push(*time_ms);
        }
        let count = self.times_ms.len();
        for one in &mut self.series {
            let ticks = one.ticks.iter_mut().flatten();
            ticks.for_each(|tick| *tick = places[usize::from(*tick)]);
            one.ticks = one.ticks.take().filter(|ticks| ticks.len() < count);
        }
    }

    /// The samples of the ticks of a range.
    pub(super) fn cut(&self, (from, to): (usize, usize)) -> Table<'_> {
        let cut = self.series.iter();
        let cut = cut.filter_map(|one| Some((one.id, one.cut((from, to))?)));
        let (series, columns) = cut.unzip();
        Table {
            series,
            times_ms: &self.times_ms[from..to],
            columns,
        }
    }
}
