//! Hysteresis and duration: since when has a condition held.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Severity;
use crate::series::Series;

/// A level at which a condition begins to hold, and one below which it is over. Between the two
/// it stays what it was, so that a value that trembles around one level does not flap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Begins to hold at this value.
    pub raise: f64,
    /// Holds on until the value is below this one; at most `raise`.
    pub clear: f64,
}

impl Band {
    /// From its two levels.
    pub const fn new(raise: f64, clear: f64) -> Band {
        Band { raise, clear }
    }

    /// What a value means at a moment.
    pub(crate) fn at(self, time_ms: i64, value: f64) -> Moment {
        Moment {
            time_ms,
            raise: value >= self.raise,
            keep: value >= self.clear,
        }
    }
}

/// Whether a condition would begin, and whether it would go on, at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) time_ms: i64,
    pub(crate) raise: bool,
    pub(crate) keep: bool,
}

/// An absolute limit ("less than 10 GB left") is over when this many times as much is there.
pub(crate) const KEEP_BYTES: f64 = 1.25;

impl Moment {
    /// Begins, and goes on, only where another condition does too.
    pub(crate) fn and(self, raise: bool, keep: bool) -> Moment {
        Moment {
            raise: self.raise && raise,
            keep: self.keep && keep,
            ..self
        }
    }
}

/// What a state means that only counts where it began while we looked: what has been so from the
/// start is meant to be so.
pub(crate) fn turned(series: &Series, is_bad: impl Fn(f64) -> bool) -> Vec<Moment> {
    let mut was_good = false;
    let moments = series.points().map(|(time_ms, value)| {
        let keep = is_bad(value);
        let raise = keep && was_good;
        was_good |= !keep;
        Moment {
            time_ms,
            raise,
            keep,
        }
    });
    moments.collect()
}

/// Since when a condition has held at the last of these moments (ascending). `before_ms` tells
/// that it held before the first of them, and since when.
pub(crate) fn held_since(
    moments: impl IntoIterator<Item = Moment>,
    before_ms: Option<i64>,
) -> Option<i64> {
    moments
        .into_iter()
        .fold(before_ms, |held, moment| match held {
            Some(_) if !moment.keep => None,
            None if moment.raise => Some(moment.time_ms),
            held => held,
        })
}

/// A severity with what it takes: since when its condition has held, and how long it must.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Grade {
    pub(crate) severity: Severity,
    pub(crate) since_ms: Option<i64>,
    pub(crate) for_ms: i64,
}

/// A condition that holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hold {
    pub(crate) severity: Severity,
    pub(crate) since_ms: i64,
    /// It has held for long enough.
    pub(crate) matured: bool,
    /// Since when each severity holds; none of a condition without grades.
    held_ms: [Option<i64>; Severity::ALL.len()],
}

impl Hold {
    /// Holds for long enough with its first moment.
    pub(crate) fn now(severity: Severity, since_ms: i64) -> Hold {
        Hold {
            severity,
            since_ms,
            matured: true,
            held_ms: Default::default(),
        }
    }

    /// Since when each severity holds; empty where a finding of this severity says it by itself: all up
    /// to its own hold as long as it does, and no worse one does.
    pub(crate) fn held_ms(&self, severity: Severity) -> BTreeMap<Severity, i64> {
        let all = Severity::ALL.into_iter().zip(self.held_ms);
        let held: BTreeMap<Severity, i64> = all.filter_map(|(s, ms)| Some((s, ms?))).collect();
        let said = |(of, ms): (&Severity, &i64)| *of <= severity && *ms == self.since_ms;
        match held.last_key_value() {
            Some((worst, _)) if severity <= *worst && held.iter().all(said) => BTreeMap::new(),
            _ => held,
        }
    }
}

/// The worst severity that has held for long enough; failing that, the worst that holds.
pub(crate) fn hold(grades: &[Grade], now_ms: i64) -> Option<Hold> {
    let holding = || {
        grades
            .iter()
            .filter_map(|grade| grade.since_ms.map(|since_ms| (grade, since_ms)))
    };
    let since_ms = holding().map(|(_, since_ms)| since_ms).min()?;
    let matured = holding()
        .filter(|(grade, since_ms)| now_ms - since_ms >= grade.for_ms)
        .map(|(grade, _)| grade.severity)
        .max();
    let worst = holding().map(|(grade, _)| grade.severity).max()?;
    let mut held_ms = [None; Severity::ALL.len()];
    for (grade, since_ms) in holding() {
        held_ms[grade.severity as usize] = Some(since_ms);
    }
    Some(Hold {
        severity: matured.unwrap_or(worst),
        since_ms,
        matured: matured.is_some(),
        held_ms,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BAND: Band = Band::new(0.9, 0.8);

    fn since(values: &[f64], before_ms: Option<i64>) -> Option<i64> {
        held_since((0..).zip(values).map(|(t, v)| BAND.at(t, *v)), before_ms)
    }

    #[test]
    fn a_condition_begins_at_one_level_and_ends_at_another() {
        assert_eq!(since(&[0.5, 0.85, 0.89], None), None);
        assert_eq!(since(&[0.5, 0.95, 0.85], None), Some(1));
        assert_eq!(since(&[0.95, 0.75, 0.85], None), None);
        assert_eq!(since(&[0.95, 0.75, 0.95, 0.85], None), Some(2));
        // What held before goes on between the levels, and is forgotten below them.
        assert_eq!(since(&[0.85, 0.85], Some(-7)), Some(-7));
        assert_eq!(since(&[0.85, 0.75, 0.85], Some(-7)), None);
        assert_eq!(since(&[], Some(-7)), Some(-7));
    }

    #[test]
    fn the_worst_severity_that_held_long_enough_counts() {
        let grades = |warning, critical| {
            [
                Grade {
                    severity: Severity::Warning,
                    since_ms: warning,
                    for_ms: 100,
                },
                Grade {
                    severity: Severity::Critical,
                    since_ms: critical,
                    for_ms: 50,
                },
            ]
        };
        let f = |warning, critical, now| {
            hold(&grades(warning, critical), now).map(|h| (h.severity, h.since_ms, h.matured))
        };
        assert_eq!(f(None, None, 1000), None);
        assert_eq!(f(Some(0), None, 99), Some((Severity::Warning, 0, false)));
        assert_eq!(f(Some(0), None, 100), Some((Severity::Warning, 0, true)));
        assert_eq!(
            f(Some(0), Some(80), 99),
            Some((Severity::Critical, 0, false))
        );
        assert_eq!(
            f(Some(0), Some(80), 100),
            Some((Severity::Warning, 0, true))
        );
        assert_eq!(
            f(Some(0), Some(80), 130),
            Some((Severity::Critical, 0, true))
        );
    }

    #[test]
    fn since_when_a_severity_holds_is_kept_where_the_finding_does_not_say_it() {
        use Severity::{Critical, Info, Warning};
        let held = |warning, critical, severity| {
            let grade = |severity, since_ms| Grade {
                severity,
                since_ms,
                for_ms: 0,
            };
            let grades = [grade(Warning, warning), grade(Critical, critical)];
            let held = hold(&grades, 1000).map(|hold| hold.held_ms(severity));
            held.map_or(Vec::new(), |held| held.into_iter().collect())
        };
        assert_eq!(held(Some(3), None, Warning), []);
        assert_eq!(held(Some(3), Some(3), Critical), []);
        assert_eq!(held(None, Some(3), Critical), []);
        let both = [(Warning, 3), (Critical, 7)];
        assert_eq!(held(Some(3), Some(7), Warning), both);
        assert_eq!(held(Some(3), Some(7), Critical), both);
        assert_eq!(
            held(Some(3), Some(3), Warning),
            [(Warning, 3), (Critical, 3)]
        );
        // What a policy says it is.
        assert_eq!(held(Some(3), None, Info), [(Warning, 3)]);
        assert_eq!(held(Some(3), None, Critical), [(Warning, 3)]);
        assert_eq!(Hold::now(Warning, 3).held_ms(Info), BTreeMap::new());
    }

    proptest! {
        #[test]
        fn it_never_holds_below_the_clear_level(
            values in prop::collection::vec(0.0..1.0f64, 1..50), before: Option<i64>,
        ) {
            if since(&values, before).is_some() {
                prop_assert!(*values.last().unwrap() >= BAND.clear);
            } else {
                prop_assert!(*values.last().unwrap() < BAND.raise);
            }
        }

        #[test]
        fn cutting_the_past_in_two_changes_nothing(
            values in prop::collection::vec(0.0..1.0f64, 2..50), cut in 0usize..50,
        ) {
            let cut = cut.min(values.len());
            let moments: Vec<Moment> = (0..).zip(&values).map(|(t, v)| BAND.at(t, *v)).collect();
            let first = held_since(moments[..cut].iter().copied(), None);
            let both = held_since(moments[cut..].iter().copied(), first);
            prop_assert_eq!(both, held_since(moments, None));
        }
    }
}
