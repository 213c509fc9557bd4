//! Which series foretell which, by name: what was found on one host is tried on all others.
//!
//! Finding such a relation costs more than all the rest of sealing, and hosts of one kind have the
//! same ones. Only kept in memory: after a start they are found anew, or taken from a block.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostwell_proto::metric::Metric;
use rusqlite::{Connection, params};

use super::super::error::Fault;
use super::names::{NameId, labels_of};
use super::sealed::Plans;

/// A series is searched on so many blocks before it is believed to stand alone.
const SEARCHES: u32 = 3;
/// Most series that something is remembered of; beyond it everything is forgotten.
const NAMES_MAX: usize = 200_000;

/// The series that is asked for by itself: how busy a CPU is, is one less its idle part. It is never
/// foretold, or a question for it would read all modes to say one; which of them is left out of the sum
/// is the same to the block.
const ASKED_ALONE: (Metric, &str, &str) = (Metric::CpuSeconds, "mode", "idle");

/// The names of a host's series: what hosts have in common.
pub(in crate::store) type Names = HashMap<i64, NameId>;

#[derive(Debug, Default)]
struct Relation {
    order: usize,
    sources: Vec<(NameId, bool)>,
    searches: u32,
}

/// What is known.
#[derive(Debug, Default)]
pub(in crate::store) struct Relations(Mutex<HashMap<NameId, Relation>>);

/// What sealing has to know of a series.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Sort {
    pub family: i64,
    pub is_gauge: bool,
    /// Read by itself so often that it is not to be foretold from others.
    pub is_asked_alone: bool,
}

/// The series of a host, by their ids.
pub(in crate::store) type Sorts = HashMap<i64, Sort>;

/// The sort and the name of each series of a host.
pub(in crate::store) fn names(conn: &Connection, host: i64) -> Result<(Sorts, Names), Fault> {
    let mut select = conn.prepare_cached(
        "SELECT s.id, m.family, s.metric, s.labels, m.kind = 'gauge',
                CASE WHEN m.name = ?2 THEN (SELECT text FROM labels WHERE id = s.labels) END
         FROM series AS s JOIN metric AS m ON m.id = s.metric WHERE s.host = ?1",
    )?;
    let (metric, label, value) = ASKED_ALONE;
    let mut rows = select.query(params![host, metric.name()])?;
    let (mut sorts, mut names) = (Sorts::new(), Names::new());
    while let Some(r) = rows.next()? {
        let id = r.get(0)?;
        let name = NameId {
            metric: r.get(2)?,
            labels: r.get(3)?,
        };
        let labels: Option<String> = r.get(5)?;
        // Labels that cannot be read are for `verify` to tell; the host is sealed all the same.
        let labels = labels.and_then(|text| labels_of(&text, name.labels).ok());
        let is_asked_alone = |(n, v): &(String, String)| (n.as_str(), v.as_str()) == (label, value);
        let sort = Sort {
            family: r.get(1)?,
            is_gauge: r.get(4)?,
            is_asked_alone: labels.iter().flatten().any(is_asked_alone),
        };
        sorts.insert(id, sort);
        names.insert(id, name);
    }
    Ok((sorts, names))
}

impl Relations {
    fn known(&self) -> MutexGuard<'_, HashMap<NameId, Relation>> {
        // A relation that is only half right saves nothing and is not used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to try on a block of these series, and which of them to search. `own` is what held in
    /// the host's block before; series that are `alone` are to stay so.
    pub(in crate::store) fn guide(
        &self,
        names: &Names,
        (series, alone): (&[i64], impl Fn(i64) -> bool),
        own: Option<Plans>,
    ) -> Plans {
        let mut plans = own.unwrap_or_default();
        let known = self.known();
        let ids: HashMap<NameId, i64> = series
            .iter()
            .filter_map(|id| Some((*names.get(id)?, *id)))
            .collect();
        for id in series {
            if alone(*id) {
                plans.forget(*id);
                continue;
            }
            if plans.foretells(*id) {
                continue;
            }
            let relation = names.get(id).and_then(|name| known.get(name));
            let sources: Option<Vec<(i64, bool)>> =
                relation.filter(|r| !r.sources.is_empty()).and_then(|r| {
                    let id = |s: &(NameId, bool)| Some((*ids.get(&s.0)?, s.1));
                    r.sources.iter().map(id).collect()
                });
            match (relation, sources) {
                (Some(relation), Some(sources)) => plans.add(*id, relation.order, sources),
                (Some(relation), None) if relation.searches >= SEARCHES => {}
                _ => plans.search(*id),
            }
        }
        plans
    }

    /// Remembers what held in a block that was made by a guide.
    pub(in crate::store) fn learn(&self, names: &Names, guide: &Plans, made: Option<Plans>) {
        let mut known = self.known();
        if known.len() > NAMES_MAX {
            known.clear();
        }
        for id in guide.searched() {
            if let Some(name) = names.get(&id) {
                known.entry(*name).or_default().searches += 1;
            }
        }
        for (id, order, sources) in made.iter().flat_map(Plans::each) {
            let named = sources
                .iter()
                .map(|(id, added)| Some((*names.get(id)?, *added)))
                .collect::<Option<Vec<_>>>();
            if let (Some(name), Some(sources)) = (names.get(&id), named) {
                let relation = known.entry(*name).or_default();
                if relation.sources.is_empty() {
                    relation.order = order;
                    relation.sources = sources;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[(i64, i64)]) -> Names {
        let name = |metric: i64| NameId { metric, labels: 1 };
        of.iter().map(|(id, metric)| (*id, name(*metric))).collect()
    }

    fn never(_: i64) -> bool {
        false
    }

    #[test]
    fn what_is_asked_for_alone_is_not_foretold_whatever_held_before() {
        let relations = Relations::default();
        let one = names(&[(1, 10), (2, 20), (3, 30)]);
        let mut own = Plans::default();
        own.add(3, 1, vec![(1, false), (2, true)]);
        let guide = relations.guide(&one, (&[1, 2, 3], never), Some(own.clone()));
        assert!(guide.foretells(3));
        let guide = relations.guide(&one, (&[1, 2, 3], |id| id == 3), Some(own));
        assert!(!guide.foretells(3));
        let mut searched: Vec<i64> = guide.searched().collect();
        searched.sort_unstable();
        assert_eq!(searched, [1, 2]);
    }

    #[test]
    fn what_held_on_one_host_is_tried_on_another_one() {
        let relations = Relations::default();
        let one = names(&[(1, 10), (2, 20), (3, 30)]);
        let guide = relations.guide(&one, (&[1, 2, 3], never), None);
        assert_eq!(guide.searched().count(), 3);
        let mut made = Plans::default();
        made.add(3, 1, vec![(1, false), (2, true)]);
        relations.learn(&one, &guide, Some(made));

        let other = names(&[(8, 30), (7, 20), (6, 10)]);
        let guide = relations.guide(&other, (&[6, 7, 8], never), None);
        let found: Vec<_> = guide.each().collect();
        assert_eq!(found, [(8, 1, &[(6, false), (7, true)][..])]);
        let without = relations.guide(&other, (&[7, 8], never), None);
        assert!(!without.foretells(8), "a source is not in the block");
    }

    #[test]
    fn a_series_that_stands_alone_is_searched_a_few_times_only() {
        let relations = Relations::default();
        let one = names(&[(1, 10)]);
        for turn in 0..5 {
            let guide = relations.guide(&one, (&[1], never), None);
            assert_eq!(guide.searched().count() == 1, turn < SEARCHES, "{turn}");
            relations.learn(&one, &guide, None);
        }
    }
}
