//! A filesystem that does not answer.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};

const STUCK: &str = "hostwell_filesystem_stuck";

pub(super) const RULE: Rule = Rule {
    name: "filesystem_stuck",
    title: Bilingual {
        en: "Filesystem does not answer",
        zh: "文件系统无响应",
    },
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
    past: &[],
    when_down: WhenDown::Waits,
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
    let for_seconds = case.policy.filesystem_stuck.for_seconds;
    let all = case.input.window.all(STUCK);
    case.each(all, "no filesystem is reported", |series| {
        let mountpoint = series.label("mountpoint").unwrap_or("");
        case.measured(Measured {
            name: mountpoint,
            course: case.values(series),
            grades: &[(Severity::Critical, Band::new(1.0, 1.0), for_seconds)],
            what: "stuck",
            unit: "count",
            selector: series.name.to_string(),
            words: &|stuck| match stuck >= 1.0 {
                true => format!("{mountpoint} does not answer: whatever touches it hangs."),
                false => format!("{mountpoint} answers."),
            },
            advice: Bilingual {
                en: "A network filesystem: bring its server back or unmount it (`umount -l`). A \
                     local one: look for disk errors (`dmesg -T | tail`).",
                zh: "网络文件系统：恢复其服务器，或将其卸载（`umount -l`）。本地文件系统：\
                     查找磁盘错误（`dmesg -T | tail`）。",
            }
            .into(),
            silenced_by: &[],
        })
    })
}
