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

    /// Whether it has one value for a tick at most.
    fn ascends(&self) -> bool {
        let ticks = self.ticks.iter();
        ticks.flatten().is_sorted_by(|a, b| a < b)
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

/// Whether each batch begins after the one before it has ended.
pub(super) fn ascend<E: Borrow<Entry>>(entries: &[E]) -> bool {
    let times = |entry: &E| (entry.borrow().start_ms, entry.borrow().end_ms);
    entries
        .windows(2)
        .all(|pair| times(&pair[0]).1 < times(&pair[1]).0)
}

/// The samples of several batches; `None` where their times do not ascend, where there are more than
/// `ticks_max` (at most 65,535), where one cannot be read, or has a series twice: of samples with equal
/// times the first committed counts, and only sealing sorts that out.
pub(super) fn gather<E: Borrow<Entry>>(entries: &[E], ticks_max: usize) -> Option<Sheet> {
    let all = || entries.iter().map(Borrow::borrow);
    if !ascend(entries) || entries.is_empty() {
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
    if !series.iter().all(Gathered::ascends) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::super::parcel::{Parcel, wrap};
    use super::*;
    use hostwell_proto::column::encode_numbers;
    use proptest::prelude::*;

    const IDS: [i64; 6] = [3, 4, 9, 11, 5, 1];
    const TICKS_MAX: usize = u16::MAX as usize;
    /// From here on numbers of the machine are not exact.
    const INEXACT: i64 = 1 << 53;

    /// Ticks, and what each series has at them: whether it is in the batch, at which ticks, its values.
    type Batch = (usize, Vec<(bool, Vec<bool>, Numbers)>);

    fn any_numbers() -> impl Strategy<Value = Numbers> {
        let whole = |decimals: u8, mantissas: Vec<i64>| Numbers::Whole {
            decimals,
            mantissas,
        };
        let digits = prop_oneof![
            4 => -2000i64..2000,
            1 => Just(700_000),
            1 => -999_999_999_999_999i64..1_000_000_000_000_000,
        ];
        let ends = vec![i64::MIN, i64::MAX, INEXACT, -INEXACT];
        let raw = prop_oneof![any::<u64>().prop_map(f64::from_bits), Just(-0.0), Just(2.5)];
        prop_oneof![
            8 => (0u8..10, prop::collection::vec(digits, 4)).prop_map(move |(d, m)| whole(d, m)),
            1 => Just(whole(0, vec![INEXACT - 1, 1 - INEXACT, 0, 10])),
            1 => (0u8..10, prop::sample::select(ends)).prop_map(move |(d, m)| whole(d, vec![m; 4])),
            2 => prop::collection::vec(raw, 4).prop_map(Numbers::Raw),
        ]
    }

    fn any_batches() -> impl Strategy<Value = Vec<Batch>> {
        let present = prop_oneof![
            3 => Just(vec![true; 4]),
            1 => prop::collection::vec(any::<bool>(), 4),
        ];
        let series = (prop::bool::weighted(0.8), present, any_numbers());
        let batch = (1usize..5, prop::collection::vec(series, IDS.len()));
        prop::collection::vec(batch, 1..7)
    }

    /// The batch whose ticks begin at a time, packed as it is sent.
    fn entry(begin_ms: i64, (ticks, all): &Batch) -> Entry {
        let times_ms: Vec<i64> = (0..*ticks as i64).map(|tick| begin_ms + tick).collect();
        let (mut ids, mut columns) = (Vec::new(), Vec::new());
        for (id, (_, present, numbers)) in IDS.iter().zip(all).filter(|(_, one)| one.0) {
            let kept: Vec<usize> = (0..*ticks).filter(|tick| present[*tick]).collect();
            let numbers = match numbers {
                Numbers::Whole {
                    decimals,
                    mantissas,
                } => Numbers::Whole {
                    decimals: *decimals,
                    mantissas: kept.iter().map(|tick| mantissas[*tick]).collect(),
                },
                Numbers::Raw(values) => Numbers::Raw(kept.iter().map(|t| values[*t]).collect()),
            };
            let sparse = (kept.len() < *ticks).then(|| kept.iter().map(|t| *t as u16).collect());
            ids.push(*id);
            columns.push((sparse, numbers));
        }
        let columns = columns
            .iter()
            .map(|(sparse, n): &(Option<Vec<u16>>, _)| (sparse.as_deref(), n));
        of(&ids, &times_ms, encode_numbers(&times_ms, columns))
    }

    fn of(ids: &[i64], times_ms: &[i64], block: Vec<u8>) -> Entry {
        Entry {
            numbers: vec![1],
            start_ms: times_ms[0],
            end_ms: times_ms[times_ms.len() - 1],
            received_ms: 0,
            samples: 0,
            payload: wrap(ids, &block),
        }
    }

    type Points = BTreeMap<i64, Vec<(i64, f64)>>;

    /// The samples of the entries by family and series, read one by one.
    fn one_by_one(entries: &[Entry], family_of: impl Fn(i64) -> i64) -> BTreeMap<i64, Points> {
        let mut families: BTreeMap<i64, Points> = BTreeMap::new();
        for entry in entries {
            Parcel::unpack(&entry.payload)
                .unwrap()
                .each(|id, time, value| {
                    let family = families.entry(family_of(id)).or_default();
                    family.entry(id).or_default().push((time, value));
                });
        }
        families
    }

    /// A column's ticks, decimals, and numbers or the bits of doubles: one that is no number is not
    /// equal to itself.
    fn column(column: &TableColumn<'_>) -> (Option<Vec<u16>>, Option<u8>, Vec<i64>) {
        let (decimals, numbers) = match &column.row {
            Row::Whole(decimals, mantissas) => (Some(*decimals), mantissas.to_vec()),
            Row::Raw(_) => (None, values(column)),
        };
        (column.ticks.clone(), decimals, numbers)
    }

    fn values(column: &TableColumn<'_>) -> Vec<i64> {
        let values = column.row.values();
        values.iter().map(|v| v.to_bits() as i64).collect()
    }

    /// Numbers of more digits than these may have two forms of a double, and no matter which.
    fn is_long(column: &TableColumn<'_>) -> bool {
        let long = |m: &i64| m.unsigned_abs() >= 1_000_000_000_000_000;
        matches!(&column.row, Row::Whole(_, mantissas) if mantissas.iter().any(long))
    }

    proptest! {
        #[test]
        fn a_cut_is_the_table_of_its_samples_one_by_one(
            batches in any_batches(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)
        ) {
            let entries: Vec<Entry> =
                (0i64..).zip(&batches).map(|(at, batch)| entry(at * 10, batch)).collect();
            let family_of = |id: i64| id % 2;
            let mut sheets = gather(&entries, TICKS_MAX).unwrap().families(family_of);
            // Series that were sent without a value.
            sheets.retain(|_, sheet| !sheet.times_ms.is_empty());
            let families = one_by_one(&entries, family_of);
            prop_assert_eq!(sheets.keys().collect::<Vec<_>>(), families.keys().collect::<Vec<_>>());
            for (sheet, points) in sheets.values().zip(families.values()) {
                let ticks = sheet.times_ms.len();
                let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(ticks)).collect();
                ends.extend([0, ticks]);
                ends.sort_unstable();
                ends.dedup();
                for range in ends.windows(2) {
                    let times_ms = &sheet.times_ms[range[0]..range[1]];
                    let within = |p: &&(i64, f64)| times_ms.binary_search(&p.0).is_ok();
                    let kept: Vec<(i64, Vec<(i64, f64)>)> = points
                        .iter()
                        .map(|(id, all)| (*id, all.iter().filter(within).copied().collect()))
                        .filter(|(_, kept): &(i64, Vec<_>)| !kept.is_empty())
                        .collect();
                    let borrowed: Vec<_> = kept.iter().map(|(id, p)| (*id, p.as_slice())).collect();
                    let wanted = Parcel::of(&borrowed);
                    let cut = sheet.cut((range[0], range[1]));
                    let wanted = Table::of(&wanted);
                    prop_assert_eq!(&cut.series, &wanted.series);
                    prop_assert_eq!(cut.times_ms, wanted.times_ms);
                    for (one, other) in cut.columns.iter().zip(&wanted.columns) {
                        prop_assert_eq!((&one.ticks, values(one)), (&other.ticks, values(other)));
                        if !is_long(one) && !is_long(other) {
                            prop_assert_eq!(column(one), column(other));
                        }
                    }
                }
                let all: Vec<i64> = points.values().flatten().map(|p| p.0).collect();
                prop_assert!(sheet.times_ms.iter().all(|time| all.contains(time)));
                prop_assert!(all.iter().all(|time| sheet.times_ms.contains(time)));
            }
        }
    }

    /// An entry of so many ticks from a time on, the second series only at the last of them.
    fn long(begin_ms: i64, ticks: usize) -> Entry {
        let times_ms: Vec<i64> = (begin_ms..).take(ticks).collect();
        let whole = |mantissas: Vec<i64>| Numbers::Whole {
            decimals: 0,
            mantissas,
        };
        let (all, last) = (whole(vec![7; ticks]), whole(vec![begin_ms]));
        let at = [(ticks - 1) as u16];
        let columns = [(None, &all), (Some(&at[..]), &last)].into_iter();
        of(&[3, 4], &times_ms, encode_numbers(&times_ms, columns))
    }

    #[test]
    fn as_many_ticks_as_have_a_number_are_gathered_and_no_more() {
        let (first, second) = (long(0, 65_000), long(65_000, 535));
        let sheet = gather(&[first, second], TICKS_MAX).unwrap();
        assert_eq!(sheet.times_ms.len(), TICKS_MAX);
        let table = sheet.cut((65_000, TICKS_MAX));
        let mut found = Vec::new();
        table.each(|id, time, value| found.extend((id == 4).then_some((time, value))));
        assert_eq!(found, [(65_534, 65_000.0)]);
        assert!(gather(&[long(0, 65_000), long(65_000, 536)], TICKS_MAX).is_none());
    }

    #[test]
    fn a_batch_that_has_a_series_twice_is_not_gathered() {
        let one = Numbers::Whole {
            decimals: 0,
            mantissas: vec![1],
        };
        let columns = [(None, &one), (None, &one)].into_iter();
        let twice = of(&[3, 3], &[20], encode_numbers(&[20], columns));
        assert!(gather(&[long(0, 3), twice], TICKS_MAX).is_none());
    }
}
