//! A disk that is asked more than it can answer.

use serde::{Deserialize, Serialize};

use super::devices::{self, device, disks};
use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const WEIGHTED: &str = "node_disk_io_time_weighted_seconds_total";

pub(super) const RULE: Rule = Rule {
    name: "disk_queue",
    title: Bilingual {
        en: "Queue before a disk",
        zh: "磁盘请求排队",
    },
    watches: &[WEIGHTED],
    doc: Doc {
        what: "Opens as a warning when on average over 5 minutes more than 10 operations were \
               waiting for a disk or being worked on, and that for 30 minutes; closes below 8. Keeps \
               silent while disk_slow has the same host: it says what the queue does. Devices that \
               stand for others (device mapper, arrays, loops) are left out.",
        why: "More is asked of the disk than it gets done. Every further user of it waits behind \
              the others.",
        todo: "See who reads and writes (`pidstat -d 5`, `iotop -o`). Move or slow down what may \
               wait (backups, scans), or plan a faster disk. A drive that works on many operations \
               at once (NVMe) bears more: raise the level there.",
        example: "sda: 14.2 operations were under way on average over the last 5 min.",
        source: "10 over 5 minutes, for 30 minutes: the node_exporter mixin. 8 to close: a fifth \
                 lower, as Zabbix's templates recover.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When a queue is too long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Operations under way.
    pub warning: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(10.0, 8.0),
            average_seconds: 300,
            for_seconds: 1800,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.disk_queue;
    case.each(disks(case, WEIGHTED), devices::NO_DISK, |series| {
        let device = device(series);
        case.measured(Measured {
            name: device,
            course: case.rates(series, levels.average_seconds),
            grades: &[(Severity::Warning, levels.warning, levels.for_seconds)],
            what: "operations under way",
            unit: "count",
            selector: series.name.to_string(),
            words: &|queue| {
                format!(
                    "{device}: {} operations were under way on average over the last {}.",
                    words::number(queue),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: format!(
                    "See who reads and writes {device} (`pidstat -d 5`, `iotop -o`): move or slow \
                     down what may wait, or plan a faster disk."
                ),
                zh: format!(
                    "查看是谁在读写 {device}（`pidstat -d 5`、`iotop -o`）：\
                     将可以等待的任务迁走或限速，或者规划更快的磁盘。"
                ),
            },
            silenced_by: &["disk_slow"],
        })
    })
}
