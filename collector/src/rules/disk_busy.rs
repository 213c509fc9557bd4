//! A disk that is never idle.

use serde::{Deserialize, Serialize};

use super::devices::{self, device, disks};
use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const BUSY: &str = "node_disk_io_time_seconds_total";

pub(super) const RULE: Rule = Rule {
    name: "disk_busy",
    title: Bilingual {
        en: "Disk never idle",
        zh: "磁盘持续繁忙",
    },
    watches: &[BUSY],
    doc: Doc {
        what: "Opens for information when a disk has had something to do more than 98 % of the \
               time over 10 minutes, and that for 30 minutes; closes below 70 %. Keeps silent while \
               disk_slow or disk_queue have the same host: they say that somebody waits. Devices \
               that stand for others (device mapper, arrays, loops) are left out.",
        why: "A spinning disk at that level has nothing left to give. A solid-state drive or an \
              array may have: it works on many things at once, and busy only says it was never \
              without work.",
        todo: "Look at the time an operation takes before doing anything (`iostat -x 5`). If it is \
               fine, and the work is wanted, leave it.",
        example: "sda was busy 99 % of the time over the last 10 min.",
        source: "98 → 70 % over 10 minutes: Netdata's 10min_disk_utilization. Information only: \
                 utilisation is weak evidence on NVMe and arrays (USE method).",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When a disk is busy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Share of time with something to do.
    pub info: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            info: Band::new(0.98, 0.70),
            average_seconds: 600,
            for_seconds: 1800,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.disk_busy;
    case.each(disks(case, BUSY), devices::NO_DISK, |series| {
        let device = device(series);
        case.measured(Measured {
            name: device,
            course: case.rates(series, levels.average_seconds),
            grades: &[(Severity::Info, levels.info, levels.for_seconds)],
            what: "share of time busy",
            unit: "ratio",
            selector: series.name.to_string(),
            words: &|busy| {
                format!(
                    "{device} was busy {} of the time over the last {}.",
                    words::share(busy.min(1.0)),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: "Look at the time an operation takes (`iostat -x 5`); where it is fine and the \
                     work is wanted, leave it.",
                zh: "查看单次操作的耗时（`iostat -x 5`）；如果耗时正常且负载符合预期，无需处理。",
            }
            .into(),
            silenced_by: &["disk_slow", "disk_queue"],
        })
    })
}
