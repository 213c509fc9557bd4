//! A filesystem that does not answer.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::{Band, Doc, Evidence, Rule, Severity};

const STUCK: &str = "hostwell_filesystem_stuck";

pub(super) const RULE: Rule = Rule {
    name: "filesystem_stuck",
    title: "Filesystem does not answer",
    watches: &[STUCK],
    doc: Doc {
        what: "Opens as critical when asking a filesystem for its free space has not come back for \
               2 minutes; closes when it answers.",
        why: "Every process that touches such a filesystem hangs and cannot be killed. A dead \
              network mount or a failing disk takes the whole host with it, slowly.",
        todo: "A network filesystem: bring its server or the way to it back, or unmount it (`umount \
               -l`). A local one: read the kernel's log (`dmesg -T | tail`) for disk errors.",
        example: "/mnt/backup has not answered for more than 2 min.",
        source: "2 minutes, critical: the filesystem error rule of awesome-prometheus-alerts.",
    },
    judge,
};

/// When a filesystem is stuck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels { for_seconds: 120 }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.filesystem_stuck;
    let always = Band::new(1.0, 1.0);
    let subjects: Vec<Subject> = case
        .input
        .window
        .all(STUCK)
        .iter()
        .filter_map(|series| Some((series, case.current(series)?)))
        .map(|(series, stuck)| {
            let mountpoint = series.label("mountpoint").unwrap_or("");
            let points: Vec<(i64, f64)> = series.points().collect();
            let summary = if stuck >= 1.0 {
                format!("{mountpoint} does not answer: whatever touches it hangs.")
            } else {
                format!("{mountpoint} answers.")
            };
            Subject {
                name: mountpoint.to_owned(),
                condition: case.against(
                    mountpoint,
                    &points,
                    &[(Severity::Critical, always, levels.for_seconds)],
                ),
                summary,
                evidence: vec![Evidence::new("stuck", stuck, "count", &series.name).against(1.0)],
                advice: "A network filesystem: bring its server back or unmount it (umount -l). A \
                         local one: look for disk errors (dmesg -T | tail)."
                    .into(),
                silenced_by: &[],
            }
        })
        .collect();
    if subjects.is_empty() {
        return Judged::NotApplicable("no filesystem is reported".into());
    }
    Judged::Subjects(subjects)
}
