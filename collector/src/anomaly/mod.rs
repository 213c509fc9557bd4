//! What is unusual for a host, judged by that host alone.
//!
//! Eight standard deviations mean something else on every metric: what real hosts do is heavy-tailed.
//! So a deviation is divided by the series' own usual daily extreme ([`Usual`]), and a host is unusual
//! when two of its series stray far beyond theirs at the same moment: one alone often has a reason of
//! its own. One configuration for all hosts. Pure; no look-ahead: docs/anomaly.md.

mod course;
mod usual;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use course::{Course, wants};
pub use usual::{Strays, Usual};

/// A series strays when it is so many of its usual daily extremes away.
const FAR: f64 = 1.75;
/// So many series of a host have to stray at once; of a host with fewer, all.
const SERIES_MIN: usize = 2;
/// It is over when nothing strayed for so long.
const QUIET_MS: i64 = 1_800_000;
/// So many series are named, those that strayed furthest.
const NAMED_MAX: usize = 5;

/// A series that strayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// Its name.
    pub series: String,
    /// What it was.
    pub value: f64,
    /// What it usually is at this hour.
    pub usual: f64,
    /// How many of its usual daily extremes it was away.
    pub times: f64,
}

/// Something unusual on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// When it was noticed.
    pub start_ms: i64,
    /// When something strayed last.
    pub last_ms: i64,
    /// What strayed furthest when it was noticed.
    pub moved: Vec<Moved>,
}

/// Watches one host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    usual: BTreeMap<String, Usual>,
    on: Option<Anomaly>,
}

impl Watch {
    /// Takes what a host measured at a moment; answers an anomaly that ended with it.
    pub fn note<'a>(
        &mut self,
        time_ms: i64,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Option<Anomaly> {
        let mut moved = Vec::new();
        for (series, value) in values {
            let Some(usual) = self.usual.get_mut(series) else {
                if value.is_finite() {
                    let usual = Usual::begin(time_ms, value);
                    self.usual.insert(series.to_owned(), usual);
                }
                continue;
            };
            let strays = usual.note(time_ms, value).filter(|s| s.times > FAR);
            moved.extend(strays.map(|strays| Moved {
                series: series.to_owned(),
                value,
                usual: strays.usual,
                times: strays.times,
            }));
        }
        let strays = !moved.is_empty() && moved.len() >= SERIES_MIN.min(self.usual.len());
        match &mut self.on {
            Some(on) if strays => {
                on.last_ms = time_ms;
                None
            }
            Some(on) if time_ms - on.last_ms >= QUIET_MS => self.on.take(),
            None if strays => {
                moved.sort_by(|a, b| b.times.total_cmp(&a.times));
                moved.truncate(NAMED_MAX);
                self.on = Some(Anomaly {
                    start_ms: time_ms,
                    last_ms: time_ms,
                    moved,
                });
                None
            }
            _ => None,
        }
    }

    /// What is unusual now.
    pub fn on(&self) -> Option<&Anomaly> {
        self.on.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_MS: i64 = 300_000;

    fn day(n: i64, phase: f64) -> f64 {
        let hour = (n % 288) as f64 / 12.0;
        50.0 + 20.0 * (hour / 24.0 * std::f64::consts::TAU + phase).sin()
            + (n * 7919 % 13) as f64 / 4.0
    }

    /// Ten days of three series of which `spikes` jump for half an hour on the last one.
    fn anomalies(spikes: usize) -> Vec<Anomaly> {
        let mut watch = Watch::default();
        let at = 9 * 288 + 100;
        (0..10 * 288)
            .filter_map(|n| {
                let value = |of: usize| match (at..at + 6).contains(&n) && of < spikes {
                    true => 400.0,
                    false => day(n, of as f64),
                };
                let values = [("a", value(0)), ("b", value(1)), ("c", value(2))];
                watch.note(n * STEP_MS, values)
            })
            .collect()
    }

    #[test]
    fn two_series_that_jump_at_once_are_one_anomaly_that_ends_when_it_is_quiet() {
        let found = anomalies(2);
        assert_eq!(found.len(), 1, "{found:?}");
        let start = (9 * 288 + 100) * STEP_MS;
        assert_eq!(
            (found[0].start_ms, found[0].last_ms),
            (start, start + 5 * STEP_MS)
        );
        let named: Vec<&str> = found[0].moved.iter().map(|m| m.series.as_str()).collect();
        assert_eq!(named.len(), 2);
        assert!(named.contains(&"a") && named.contains(&"b"));
        assert!(
            found[0]
                .moved
                .iter()
                .all(|m| m.times > FAR && (20.0..80.0).contains(&m.usual))
        );
    }

    #[test]
    fn one_series_alone_is_none() {
        assert_eq!(anomalies(1), []);
    }
}
