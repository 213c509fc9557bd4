//! What the rules about numbers of things share that the kernel has a limit for.

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Severity};
use crate::series::Series;
use crate::words;

/// Things that there can be only so many of.
pub(super) struct Limited<'a> {
    /// What is in use, if the host tells it.
    pub(super) used: Option<&'a Series>,
    /// How many there can be.
    pub(super) limit: Option<f64>,
    /// "file handles".
    pub(super) things: &'static str,
    pub(super) advice: Bilingual<&'static str>,
    pub(super) absent: &'static str,
    /// Used ÷ limit.
    pub(super) warning: Band,
    /// The same.
    pub(super) critical: Band,
    pub(super) for_seconds: i64,
}

/// Holds them against their limit.
pub(super) fn judge(case: &Case<'_>, limited: &Limited<'_>) -> Judged {
    let things = limited.things;
    let limit = limited.limit.filter(|limit| *limit > 0.0);
    let known = limited.used.zip(limit);
    case.each(known.map(|(used, _)| used), limited.absent, |used| {
        let limit = limit.unwrap_or(f64::INFINITY);
        case.measured(Measured {
            name: "",
            course: case.values(used).map(|used| used / limit),
            grades: &[
                (Severity::Warning, limited.warning, limited.for_seconds),
                (Severity::Critical, limited.critical, limited.for_seconds),
            ],
            what: "in use ÷ limit",
            unit: "ratio",
            selector: used.name.to_string(),
            words: &|ratio| {
                // Some kernels have a limit that nobody will ever reach.
                let limit = match limit {
                    huge if huge >= 1e15 => "practically unlimited".to_owned(),
                    limit => words::count(limit),
                };
                let used = words::count(ratio * limited.limit.unwrap_or(0.0));
                let share = words::share(ratio);
                format!("{used} of {limit} {things} are in use ({share}).")
            },
            advice: limited.advice.into(),
            silenced_by: &[],
        })
    })
}
