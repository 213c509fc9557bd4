//! Tasks that are stuck in the kernel.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const BLOCKED: &str = "node_procs_blocked";

pub(super) const RULE: Rule = Rule {
    name: "tasks_blocked",
    title: Bilingual {
        en: "Tasks stuck waiting for input or output",
        zh: "任务阻塞于输入输出",
    },
    watches: &[BLOCKED],
    doc: Doc {
        what: "Opens as a warning when on average over 10 minutes 10 tasks or more were blocked \
               waiting for input or output, and that for 10 minutes; closes below 5. Keeps silent \
               while filesystem_stuck, disk_slow, disk_queue, pressure_high, cpu_iowait or \
               swap_thrashing have the same host: they say for what.",
        why: "A blocked task cannot even be killed. When they pile up something below has stopped \
              answering: a network filesystem, a disk, a driver.",
        todo: "See which and where (`ps -eo state,pid,wchan:32,comm | grep ^D`, `cat /proc/PID/stack` \
               as root), and what the kernel says (`dmesg -T | grep -i hung`).",
        example: "23 tasks were blocked on average over the last 10 min.",
        source: "The signal: the USE method's errors of kernel limits. The levels are our own; none \
                 of the accepted rule sets has one.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When blocked tasks are a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Blocked tasks.
    pub warning: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(10.0, 5.0),
            average_seconds: 600,
            for_seconds: 600,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.tasks_blocked;
    let gauge = case.input.window.find(BLOCKED, &[]);
    case.each(gauge, "it does not report blocked tasks", |series| {
        case.measured(Measured {
            name: "",
            course: case.means(series, levels.average_seconds),
            grades: &[(Severity::Warning, levels.warning, levels.for_seconds)],
            what: "blocked tasks",
            unit: "count",
            selector: BLOCKED.into(),
            words: &|blocked| {
                format!(
                    "{} tasks were blocked on average over the last {}.",
                    words::number(blocked),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: "See which and where (`ps -eo state,pid,wchan:32,comm | grep ^D`), and what \
                     the kernel says (`dmesg -T | grep -i hung`).",
                zh: "查看是哪些任务、阻塞在何处（`ps -eo state,pid,wchan:32,comm | grep ^D`），\
                     以及内核日志怎么说（`dmesg -T | grep -i hung`）。",
            }
            .into(),
            silenced_by: &[
                "filesystem_stuck",
                "disk_slow",
                "disk_queue",
                "pressure_high",
                "cpu_iowait",
                "swap_thrashing",
            ],
        })
    })
}
