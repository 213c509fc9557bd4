//! The samples of a host that the rules look at: those that the clock has passed and that are not too
//! old, and those to come.

use std::collections::BTreeMap;

use super::super::{Finding, LONG_METRIC, LONG_MS, WINDOW_MS, metrics, wants_long};
use crate::series::{Series, SeriesName, Window};

/// A series on both sides of the clock.
#[derive(Debug)]
struct Sides {
    /// As far back as some rule may want it.
    seen: Series,
    coming: Series,
    /// How many of those that were coming have come.
    come: usize,
}

/// All series, by name.
#[derive(Debug, Default)]
pub(super) struct Past {
    series: BTreeMap<SeriesName, Sides>,
    /// What rules look at; found out once.
    metrics: Vec<&'static str>,
}

fn empty(of: &Series) -> Series {
    Series {
        name: of.name.clone(),
        kind: of.kind,
        times_ms: Vec::new(),
        values: Vec::new(),
    }
}

/// What holds a place while its series is looked at: costs nothing.
fn hollow(of: &Series) -> Series {
    Series {
        name: SeriesName {
            metric: String::new(),
            labels: Vec::new(),
        },
        kind: of.kind,
        times_ms: Vec::new(),
        values: Vec::new(),
    }
}

impl Past {
    /// Takes samples later than all before.
    pub(super) fn take(&mut self, series: Vec<Series>) {
        if self.metrics.is_empty() {
            self.metrics = metrics();
        }
        for one in series {
            let metric = one.name.metric.as_str();
            if self.metrics.binary_search(&metric).is_err() {
                continue;
            }
            let sides = self
                .series
                .entry(one.name.clone())
                .or_insert_with(|| Sides {
                    seen: empty(&one),
                    coming: empty(&one),
                    come: 0,
                });
            sides.coming.times_ms.drain(..sides.come);
            sides.coming.values.drain(..sides.come);
            sides.come = 0;
            sides.coming.times_ms.extend(one.times_ms);
            sides.coming.values.extend(one.values);
        }
    }

    /// Fills a window with what a collector would have had at a moment; see [`Past::put_back`].
    pub(super) fn window(
        &mut self,
        mut window: Window,
        previous: &[Finding],
        now_ms: i64,
    ) -> Window {
        for sides in self.series.values_mut() {
            sides.pass(now_ms);
            if sides.seen.name.metric == LONG_METRIC {
                window.series.extend(sides.lately(now_ms));
            } else if !sides.seen.times_ms.is_empty() {
                let hollow = hollow(&sides.seen);
                window
                    .series
                    .push(std::mem::replace(&mut sides.seen, hollow));
            }
        }
        if wants_long(&window, previous) {
            window.series.retain(|one| one.name.metric != LONG_METRIC);
            let long = self.series.values().map(|sides| &sides.seen);
            let long = long.filter(|s| s.name.metric == LONG_METRIC && !s.times_ms.is_empty());
            window.series.extend(long.cloned());
            window.series.sort_by(|a, b| a.name.cmp(&b.name));
        }
        window
    }

    /// Gives the series of a window back.
    pub(super) fn put_back(&mut self, window: Window) {
        for series in window.series {
            if series.name.metric == LONG_METRIC {
                continue;
            }
            if let Some(sides) = self.series.get_mut(&series.name) {
                sides.seen = series;
            }
        }
    }
}

impl Sides {
    /// The clock passes on.
    fn pass(&mut self, now_ms: i64) {
        let rest = &self.coming.times_ms[self.come..];
        let fresh = rest.iter().take_while(|time_ms| **time_ms <= now_ms);
        let end = self.come + fresh.count();
        let range = self.come..end;
        let seen = &mut self.seen;
        seen.times_ms
            .extend_from_slice(&self.coming.times_ms[range.clone()]);
        seen.values.extend_from_slice(&self.coming.values[range]);
        self.come = end;
        let kept_ms = match seen.name.metric == LONG_METRIC {
            true => LONG_MS,
            false => WINDOW_MS,
        };
        let from_ms = now_ms - kept_ms;
        let old = seen.times_ms.iter().take_while(|t| **t < from_ms).count();
        seen.times_ms.drain(..old);
        seen.values.drain(..old);
    }

    /// The last hour of it, if there is any.
    fn lately(&self, now_ms: i64) -> Option<Series> {
        let times_ms = &self.seen.times_ms;
        let begin = times_ms.partition_point(|t| *t < now_ms - WINDOW_MS);
        (begin < times_ms.len()).then(|| Series {
            times_ms: times_ms[begin..].to_vec(),
            values: self.seen.values[begin..].to_vec(),
            ..empty(&self.seen)
        })
    }
}
