//! Coarse answers: numbers by step, from rollups where they are cheaper or all that is left, from
//! samples elsewhere.
//!
//! `plan` covers a range with the coarsest steps that fit into it and into the
//! asked steps, finer ones at its edges, samples at the very edges. A day whose samples are not
//! rolled up yet is read from them instead, as long as they are there.

mod host;
mod plan;
mod reading;

use std::collections::BTreeMap;

use super::super::error::Fault;
use super::super::types::{AggregateQuery, Aggregated, Read};
use super::window::{Ask, Source};
use crate::series::rollup::Step;
use crate::series::{Agg, Kind, Series, SeriesName};
use host::Host;
pub(in crate::store) use host::{day_of, samples_since, unrolled};
use plan::{is_quantile, joined, lengths};
use reading::{cover, from_samples, gone_before};

/// Everything that is gathered under one name.
struct Group {
    kind: Kind,
    steps: BTreeMap<i64, Step>,
}

/// An answer while it is put together.
struct Gathering<'a> {
    query: &'a AggregateQuery,
    agg: Option<Agg>,
    groups: BTreeMap<SeriesName, Group>,
    read: Read,
    tiers: Vec<i64>,
    kept_since_ms: Option<i64>,
}

impl Gathering<'_> {
    fn add(&mut self, host: &str, name: &SeriesName, kind: Kind, found: &[Step]) {
        let Some(under) = (self.query.under)(host, name) else {
            return;
        };
        let grid = self.query.grid;
        let group = self.groups.entry(under).or_insert_with(|| Group {
            kind,
            steps: BTreeMap::new(),
        });
        for step in found {
            let start_ms = grid.step_of(step.start_ms);
            let into = group.steps.entry(start_ms);
            into.or_insert_with(|| Step::empty(start_ms)).merge(step);
        }
    }

    fn answer(self) -> Aggregated {
        let quantile = self.agg.is_some_and(is_quantile);
        let series = self.groups.into_iter().filter_map(|(name, group)| {
            let agg = self.agg?;
            let value = |step: &Step| Some((step.start_ms, step.value(group.kind, agg)?));
            let (times_ms, values): (Vec<i64>, Vec<f64>) =
                group.steps.values().filter_map(value).unzip();
            (!times_ms.is_empty()).then_some(Series {
                name,
                kind: Kind::Gauge,
                times_ms,
                values,
            })
        });
        Aggregated {
            series: series.collect(),
            agg: self.agg,
            // Steps of rollups and of samples alike tell quantiles from a sketch here.
            error: quantile.then_some(crate::series::sketch::ERROR),
            kept_since_ms: self.kept_since_ms,
            read: self.read,
        }
    }
}

/// Answers for the hosts asked for. `tiers`: which steps there are.
pub(in crate::store) fn read(
    from: Source<'_>,
    asks: &[Ask],
    query: &AggregateQuery,
    tiers: &[i64],
) -> Result<Aggregated, Fault> {
    let mut gathering = Gathering {
        query,
        agg: query.agg,
        groups: BTreeMap::new(),
        read: Read::default(),
        tiers: tiers.to_vec(),
        kept_since_ms: None,
    };
    for ask in asks {
        if let Some(host) = Host::of(from, ask, (query, tiers))? {
            of_host(from, &host, &mut gathering)?;
        }
    }
    Ok(gathering.answer())
}

fn of_host(from: Source<'_>, host: &Host<'_>, into: &mut Gathering<'_>) -> Result<(), Fault> {
    let grid = into.query.grid;
    let agg = *into.agg.get_or_insert(Agg::default_for(host.kind));
    let lengths = lengths(into.query, host, agg, &into.tiers);
    if lengths.is_empty() {
        into.kept_since_ms = into.kept_since_ms.max(host.past.gone_before(grid.from_ms));
    }
    let range = (grid.from_ms, grid.to_ms.saturating_add(1));
    let mut samples = cover(from.conn, host, range, &lengths, into)?;
    // Neighbours are read together, so that no pair is lost between them.
    samples.sort_unstable();
    let finest = lengths.last().copied().unwrap_or(i64::MAX);
    for stretch in joined(&samples, 0) {
        if stretch.1 - stretch.0 >= finest {
            let gone = gone_before(from.conn, host, stretch, &into.tiers)?;
            into.kept_since_ms = into.kept_since_ms.max(gone);
        }
        from_samples(from, host, (stretch, agg), into)?;
    }
    Ok(())
}
