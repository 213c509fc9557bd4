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

pub use course::{Course, STEP_MS, wants, watches};
pub use usual::{Strays, Usual};

/// A series strays when it is so many of its usual daily extremes away.
pub const FAR: f64 = 1.75;
/// So many series of a host have to stray at once; of a host with fewer, all.
const SERIES_MIN: usize = 2;
/// It is over when nothing strayed for so long.
const QUIET_MS: i64 = 1_800_000;
/// So many series are named, those that strayed furthest.
const NAMED_MAX: usize = 5;

/// So many series of a host are watched; where there are more, those that came first, unless they fell
/// silent for a day.
const SERIES_MAX: usize = 256;
const SILENT_MS: i64 = 86_400_000;

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
    /// What else did since, each at its furthest.
    pub also: Vec<Moved>,
}

impl Anomaly {
    /// It goes on.
    fn goes_on(&mut self, time_ms: i64, moved: Vec<Moved>) {
        self.last_ms = time_ms;
        for one in moved {
            if self.moved.iter().any(|known| known.series == one.series) {
                continue;
            }
            match self
                .also
                .iter_mut()
                .find(|known| known.series == one.series)
            {
                Some(known) if known.times < one.times => *known = one,
                Some(_) => {}
                None => self.also.push(one),
            }
        }
        furthest(&mut self.also);
    }
}

/// Keeps those that strayed furthest.
fn furthest(moved: &mut Vec<Moved>) {
    moved.sort_by(|a, b| b.times.total_cmp(&a.times));
    moved.truncate(NAMED_MAX);
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
                if value.is_finite() && self.has_room(time_ms) {
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
                on.goes_on(time_ms, moved);
                None
            }
            Some(on) if time_ms - on.last_ms >= QUIET_MS => self.on.take(),
            None if strays => {
                furthest(&mut moved);
                self.on = Some(Anomaly {
                    start_ms: time_ms,
                    last_ms: time_ms,
                    moved,
                    also: Vec::new(),
                });
                None
            }
            _ => None,
        }
    }

    /// Makes room for another series, if there is any.
    fn has_room(&mut self, time_ms: i64) -> bool {
        if self.usual.len() >= SERIES_MAX {
            self.usual
                .retain(|_, usual| usual.last_ms() > time_ms - SILENT_MS);
        }
        self.usual.len() < SERIES_MAX
    }

    /// Of how many series enough is known to judge them.
    pub fn known(&self) -> usize {
        self.usual.values().filter(|usual| usual.is_known()).count()
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
    fn what_strays_later_is_told_as_what_moved_too() {
        let mut watch = Watch::default();
        let at = 9 * 288 + 100;
        for n in 0..at + 6 {
            let value = |of: i64| match n >= at + 3 * (of / 2) {
                true => 400.0,
                false => day(n, of as f64),
            };
            let values = [("a", value(0)), ("b", value(1)), ("c", value(2))];
            watch.note(n * STEP_MS, values);
        }
        let on = watch.on().unwrap();
        assert_eq!(on.moved.len(), 2, "{on:?}");
        let also: Vec<&str> = on.also.iter().map(|m| m.series.as_str()).collect();
        assert_eq!(also, ["c"]);
    }

    #[test]
    fn more_series_than_there_is_room_for_are_not_watched() {
        let mut watch = Watch::default();
        let names: Vec<String> = (0..SERIES_MAX + 9).map(|n| format!("s{n}")).collect();
        watch.note(0, names.iter().map(|name| (name.as_str(), 1.0)));
        assert_eq!(watch.usual.len(), SERIES_MAX);
        watch.note(SILENT_MS, [("new", 1.0)]);
        assert_eq!(watch.usual.len(), 1, "the silent ones made room");
    }

    #[test]
    fn one_series_alone_is_none() {
        assert_eq!(anomalies(1), []);
    }
}
