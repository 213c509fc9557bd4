//! A filesystem that runs out of inodes.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::derived::sibling;
use crate::words;

const FILES: &str = "node_filesystem_files";
const FREE: &str = "node_filesystem_files_free";
const READONLY: &str = "node_filesystem_readonly";

pub(super) const RULE: Rule = Rule {
    name: "inodes_full",
    title: Bilingual {
        en: "Filesystem almost out of inodes",
        zh: "文件系统 inode 即将耗尽",
    },
    watches: &[FILES, FREE, READONLY],
    doc: Doc {
        what: "Watches every writable filesystem that has a fixed number of inodes. Opens as a \
               warning when over 80 % of them are used, as critical over 90 %, after 5 minutes; \
               closes two points lower. Filesystems without such a number (btrfs, ZFS) are not \
               judged.",
        why: "Without a free inode no file can be created, although there is space: the errors \
              say the disk is full while every tool says it is not.",
        todo: "Find the directory with the many files (`du --inodes -xd3 MOUNTPOINT | sort -n | \
               tail`): sessions, caches and mail queues are the usual ones. Delete them; where \
               they are wanted, make the filesystem anew with more inodes.",
        example: "/var has used 91 % of its inodes: 290,000 left.",
        source: "20 and 10 % free: Zabbix's Linux template.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When a filesystem is almost out of inodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Used ratio.
    pub warning: Band,
    /// Used ratio.
    pub critical: Band,
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.80, 0.78),
            critical: Band::new(0.90, 0.88),
            for_seconds: 300,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let levels = &case.policy.inodes_full;
    let mut subjects = Vec::new();
    for files in window.all(FILES) {
        let current = |series| case.current(series);
        let readonly = sibling(window, READONLY, files).and_then(current) == Some(1.0);
        let (Some(total), Some(free)) = (current(files), sibling(window, FREE, files)) else {
            continue;
        };
        let Some(left) = current(free).filter(|_| total > 0.0 && !readonly) else {
            continue;
        };
        let points: Vec<(i64, f64)> = free.points().map(|(t, v)| (t, 1.0 - v / total)).collect();
        let mountpoint = files.label("mountpoint").unwrap_or("");
        let used = 1.0 - left / total;
        subjects.push(Subject {
            name: mountpoint.to_owned(),
            condition: case.against(
                mountpoint,
                &points,
                &[
                    (Severity::Warning, levels.warning, levels.for_seconds),
                    (Severity::Critical, levels.critical, levels.for_seconds),
                ],
            ),
            summary: format!(
                "{mountpoint} has used {} of its inodes: {} left.",
                words::share(used),
                words::count(left)
            ),
            evidence: vec![
                Evidence::new("used inodes", used, "ratio", &free.name)
                    .against(levels.warning.raise),
                Evidence::new("free inodes", left, "count", &free.name),
            ],
            advice: Bilingual {
                en: format!(
                    "Find the directory with the many files (`du --inodes -xd3 {mountpoint} | sort \
                     -n | tail`) and delete what is not needed."
                ),
                zh: format!(
                    "找出文件数量多的目录（`du --inodes -xd3 {mountpoint} | sort -n | tail`），\
                     删除不需要的文件。"
                ),
            },
            silenced_by: &[],
        });
    }
    if subjects.is_empty() {
        return Judged::NotApplicable(
            "no writable filesystem with a fixed number of inodes is reported".into(),
        );
    }
    Judged::Subjects(subjects)
}
