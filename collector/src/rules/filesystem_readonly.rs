//! A filesystem that was writable and is not any more.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::level::turned;
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::Series;

const READONLY: &str = "node_filesystem_readonly";

pub(super) const RULE: Rule = Rule {
    name: "filesystem_readonly",
    title: Bilingual {
        en: "Filesystem has become read-only",
        zh: "文件系统变为只读",
    },
    watches: &[READONLY],
    doc: Doc {
        what: "Opens as critical when a filesystem that could be written to within the last hour \
               has been read-only for 2 minutes; closes when it can be written to again or is no \
               longer mounted. One that was read-only from the start (an image, a boot medium) is \
               meant to be.",
        why: "The kernel does this when it finds the filesystem or the disk below it broken. \
              Nothing can be saved any more, and programs that do not look at their errors go on \
              as if it were.",
        todo: "Read the kernel's log (`dmesg -T | grep -iE 'error|remount'`). Check the backup, \
               then the disk (`smartctl -a`), then the filesystem (`fsck`, unmounted). If somebody \
               did it on purpose, it closes with the next `mount -o remount,rw`.",
        example: "/var can no longer be written to.",
        source: "2 minutes, critical: the filesystem error rule of awesome-prometheus-alerts.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When read-only is a risk.
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
    let all = case.input.window.all(READONLY);
    case.each(all, "no filesystem is reported", |series| {
        subject(case, series)
    })
}

fn subject(case: &Case<'_>, series: &Series) -> Subject {
    let mountpoint = series.label("mountpoint").unwrap_or("");
    let grade = case.grade(
        mountpoint,
        Severity::Critical,
        case.policy.filesystem_readonly.for_seconds,
        turned(series, |readonly| readonly == 1.0),
    );
    let readonly = series.values.last().copied().unwrap_or(0.0);
    let summary = match (grade.since_ms, readonly) {
        (Some(_), _) => format!("{mountpoint} can no longer be written to."),
        (None, 0.0) => format!("{mountpoint} can be written to."),
        (None, _) => format!("{mountpoint} is read-only and has been all the time."),
    };
    Subject {
        name: mountpoint.to_owned(),
        condition: case.condition(&[grade]),
        summary,
        evidence: vec![Evidence::new("read-only", readonly, "count", &series.name).against(1.0)],
        advice: Bilingual {
            en: "Read the kernel's log (`dmesg -T | grep -iE 'error|remount'`), check the backup, \
                 then the disk (`smartctl -a`) and the filesystem (`fsck`).",
            zh: "查看内核日志（`dmesg -T | grep -iE 'error|remount'`），先确认备份可用，\
                 再检查磁盘（`smartctl -a`）和文件系统（`fsck`）。",
        }
        .into(),
        silenced_by: &[],
    }
}
