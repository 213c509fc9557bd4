//! An array that has lost a disk.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::level::{Grade, Moment};
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::words;

const REQUIRED: &str = "node_md_disks_required";
const DISKS: &str = "node_md_disks";

pub(super) const RULE: Rule = Rule {
    name: "raid_degraded",
    title: Bilingual {
        en: "RAID array degraded",
        zh: "RAID 阵列降级",
    },
    watches: &[REQUIRED, DISKS],
    doc: Doc {
        what: "Watches Linux software RAID. Opens as a warning as soon as an array has a failed disk, \
               and as critical when it has had fewer active disks than it needs for 15 minutes; \
               closes when it is whole again.",
        why: "The next disk that fails takes the data with it, and rebuilding is when disks fail.",
        todo: "See which disk it is (`cat /proc/mdstat`, `mdadm --detail /dev/mdX`), replace it, and \
               watch the rebuild. Check the backup first.",
        example: "md0 runs on 1 of 2 disks, 1 failed.",
        source: "Missing for 15 minutes critical, failed at once a warning: the node_exporter mixin.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When an array is degraded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Disks missing for this long.
    pub missing_for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            missing_for_seconds: 900,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let subjects: Vec<Subject> = case
        .input
        .window
        .all(REQUIRED)
        .iter()
        .filter_map(|required| subject(case, required))
        .collect();
    if subjects.is_empty() {
        return Judged::NotApplicable("it has no software RAID".into());
    }
    Judged::Subjects(subjects)
}

fn subject(case: &Case<'_>, required: &Series) -> Option<Subject> {
    let window = &case.input.window;
    let device = required.label("device")?;
    let disks = |state| window.find(DISKS, &[("device", device), ("state", state)]);
    let needed = case.current(required)?;
    let active = disks("active")?;
    let running = case.current(active)?;
    let failed_series = disks("failed");
    let failed = failed_series
        .and_then(|series| case.current(series))
        .unwrap_or(0.0);
    let held = |severity, series: &Series, holds: &dyn Fn(f64) -> bool| {
        let moments = series.points().map(|(time_ms, value)| Moment {
            time_ms,
            raise: holds(value),
            keep: holds(value),
        });
        case.held(device, severity, moments)
    };
    let condition = case.condition(&[
        Grade {
            severity: Severity::Warning,
            since_ms: failed_series.and_then(|s| held(Severity::Warning, s, &|v| v > 0.0)),
            for_ms: 0,
        },
        Grade {
            severity: Severity::Critical,
            since_ms: held(Severity::Critical, active, &|v| v < needed),
            for_ms: case.policy.raid_degraded.missing_for_seconds * 1000,
        },
    ]);
    let lost = match failed {
        0.0 => String::new(),
        failed => format!(", {} failed", words::count(failed)),
    };
    Some(Subject {
        name: device.to_owned(),
        condition,
        summary: format!(
            "{device} runs on {} of {} disks{lost}.",
            words::count(running),
            words::count(needed)
        ),
        evidence: vec![
            Evidence::new("active disks", running, "count", &active.name).against(needed),
            Evidence::new(
                "failed disks",
                failed,
                "count",
                format!("{DISKS}{{device=\"{device}\",state=\"failed\"}}"),
            ),
        ],
        advice: Bilingual {
            en: format!(
                "See which disk it is (`mdadm --detail /dev/{device}`), check the backup, replace \
                 the disk and watch the rebuild."
            ),
            zh: format!(
                "确认是哪块磁盘（`mdadm --detail /dev/{device}`），检查备份，\
                 更换磁盘并关注重建过程。"
            ),
        },
        silenced_by: &[],
    })
}
