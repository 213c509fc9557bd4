//! The naive history: everything in memory, nothing clever. What the store must answer.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::series::{Agg, Grid, Series};

/// One host of the model.
#[derive(Clone, Debug, Default)]
struct ModelHost {
    merged_into: Option<usize>,
    merged_at: usize,
    /// First value committed for each (series, time).
    samples: BTreeMap<(SeriesName, i64), f64>,
    /// Dealt with, by spool.
    held: BTreeMap<u8, BTreeSet<u64>>,
    gaps: Vec<GapRecord>,
}

/// A whole history with hosts `h0`, `h1`, ….
#[derive(Clone, Debug)]
pub(super) struct Model {
    hosts: Vec<ModelHost>,
    pub(super) merges: usize,
}

impl Model {
    pub(super) fn new(hosts: usize) -> Model {
        Model {
            hosts: vec![ModelHost::default(); hosts],
            merges: 0,
        }
    }

    pub(super) fn append(
        &mut self,
        host: usize,
        (spool, sequence): (u8, u64),
        samples: impl Iterator<Item = (SeriesName, i64, f64)>,
    ) -> Appended {
        let host = &mut self.hosts[host];
        if !host.held.entry(spool).or_default().insert(sequence) {
            return Appended::Duplicate;
        }
        for (name, time, value) in samples {
            host.samples.entry((name, time)).or_insert(value);
        }
        Appended::Stored
    }

    pub(super) fn append_gap(&mut self, host: usize, spool: u8, gap: GapRecord) -> Appended {
        let host = &mut self.hosts[host];
        let held = host.held.entry(spool).or_default();
        let before = held.len();
        held.extend(gap.first_sequence..=gap.last_sequence);
        if held.len() == before {
            return Appended::Duplicate;
        }
        host.gaps.push(gap);
        Appended::Stored
    }

    /// Whether a host is not part of another one.
    pub(super) fn stands(&self, host: usize) -> bool {
        self.hosts[host].merged_into.is_none()
    }

    pub(super) fn merge(&mut self, host: usize, into: usize) {
        self.merges += 1;
        self.hosts[host].merged_into = Some(into);
        self.hosts[host].merged_at = self.merges;
    }

    pub(super) fn holding(&self, host: usize, spool: u8) -> Vec<(u64, u64)> {
        let held: Vec<u64> = self.hosts[host]
            .held
            .get(&spool)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        held.chunk_by(|a, b| a + 1 == *b)
            .map(|run| (run[0], run[run.len() - 1]))
            .collect()
    }

    /// A host, then what was merged into it, breadth first, the earlier merged first.
    fn parts(&self, host: usize) -> Vec<usize> {
        let mut parts = vec![host];
        let mut at = 0;
        while at < parts.len() {
            let mut next: Vec<usize> = (0..self.hosts.len())
                .filter(|h| self.hosts[*h].merged_into == Some(parts[at]))
                .collect();
            next.sort_by_key(|h| self.hosts[*h].merged_at);
            parts.extend(next);
            at += 1;
        }
        parts
    }

    pub(super) fn gap_count(&self, host: usize) -> usize {
        self.parts(host)
            .iter()
            .map(|h| self.hosts[*h].gaps.len())
            .sum()
    }

    pub(super) fn windows(&self, query: &WindowQuery) -> Vec<Window> {
        (0..self.hosts.len())
            .filter(|h| self.stands(*h))
            .map(|h| self.window(h, query))
            .collect()
    }

    /// The newest sample of each series of the windows.
    pub(super) fn latest(&self, query: &WindowQuery) -> Vec<Window> {
        let mut windows = self.windows(query);
        for series in windows.iter_mut().flat_map(|w| &mut w.series) {
            series.times_ms.drain(..series.times_ms.len() - 1);
            series.values.drain(..series.values.len() - 1);
        }
        windows
    }

    /// One sample a series: the aggregation of all of them.
    pub(super) fn whole(&self, query: &WindowQuery, agg: Agg) -> Vec<Window> {
        let mut windows = self.windows(query);
        for series in windows.iter_mut().flat_map(|w| &mut w.series) {
            let grid = Grid {
                from_ms: query.from_ms,
                to_ms: query.to_ms,
                step_ms: i64::MAX / 4,
            };
            let one = series.resample(grid, agg, 10_000);
            series.times_ms = vec![query.from_ms];
            series.values = one.values;
        }
        windows
    }

    fn window(&self, host: usize, query: &WindowQuery) -> Window {
        let mut merged: BTreeMap<&SeriesName, BTreeMap<i64, f64>> = BTreeMap::new();
        for part in self.parts(host) {
            for ((name, time), value) in &self.hosts[part].samples {
                let asked = query.metrics.is_empty() || query.metrics.contains(&name.metric);
                if asked && (query.from_ms..=query.to_ms).contains(time) {
                    merged
                        .entry(name)
                        .or_default()
                        .entry(*time)
                        .or_insert(*value);
                }
            }
        }
        let series = merged
            .into_iter()
            .map(|(name, points)| Series {
                name: name.clone(),
                kind: Kind::Gauge,
                times_ms: points.keys().copied().collect(),
                values: points.values().copied().collect(),
            })
            .collect();
        Window {
            host: format!("h{host}"),
            from_ms: query.from_ms,
            to_ms: query.to_ms,
            interval_ms: 10_000,
            series,
        }
    }
}
