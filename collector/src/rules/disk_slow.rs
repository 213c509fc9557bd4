//! A disk that takes long to answer.

use serde::{Deserialize, Serialize};

use super::course::Part;
use super::devices::{self, device, disks};
use super::judge::{Case, Judged, Measured, Subject};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::words;

const READ_TIME: &str = "node_disk_read_time_seconds_total";
const READS: &str = "node_disk_reads_completed_total";
const WRITE_TIME: &str = "node_disk_write_time_seconds_total";
const WRITES: &str = "node_disk_writes_completed_total";

pub(super) const RULE: Rule = Rule {
    name: "disk_slow",
    title: Bilingual {
        en: "Disk answers slowly",
        zh: "磁盘响应缓慢",
    },
    watches: &[READ_TIME, READS, WRITE_TIME, WRITES],
    doc: Doc {
        what: "Reads and writes are looked at apart; the slower of the two counts. Opens as a \
               warning when one has taken more than 100 ms on average over 5 minutes, and that for \
               15 minutes; closes below 50 ms. Only with at least one operation a second: a disk \
               that wakes up for a single one is not slow. Devices that stand for others (device \
               mapper, arrays, loops) are left out.",
        why: "Whatever waits for this disk waits that long, for every single read: databases and \
              logins first. A disk that has become slow without being asked more is often about to \
              fail.",
        todo: "See whether it is asked too much (`iostat -x 5`: many operations, a long queue) or \
               slow by itself (few operations): then read `smartctl -a /dev/DISK` and `dmesg -T`. \
               In a virtual machine, ask who else uses the storage, and look for a limit on \
               operations.",
        example: "sda: an operation takes 180 ms on average over the last 5 min.",
        source: "100 ms: awesome-prometheus-alerts. 15 minutes: Zabbix's Linux template, whose 20 \
                 ms is usual for a spinning disk; set it where all disks are solid-state. 50 ms to \
                 close is our own.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When a disk is slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Seconds an operation takes.
    pub warning_seconds: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
    /// Only with at least this many operations a second.
    pub operations_min: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning_seconds: Band::new(0.1, 0.05),
            average_seconds: 300,
            for_seconds: 900,
            operations_min: 1.0,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    case.each(disks(case, READ_TIME), devices::NO_DISK, |reads| {
        subject(case, reads)
    })
}

fn subject(case: &Case<'_>, read_time: &Series) -> Subject {
    let levels = &case.policy.disk_slow;
    let span = levels.average_seconds;
    let whole_min = levels.operations_min * span as f64;
    let directions = [(READ_TIME, READS), (WRITE_TIME, WRITES)].map(|(part, whole)| Part {
        part,
        whole,
        whole_min,
    });
    let device = device(read_time);
    let (course, selector) = case.worst_part(read_time, &directions, span);
    case.measured(Measured {
        name: device,
        course,
        grades: &[(
            Severity::Warning,
            levels.warning_seconds,
            levels.for_seconds,
        )],
        what: "time an operation takes",
        unit: "seconds",
        selector,
        words: &|taken| match taken {
            0.0 => format!("{device} has too little to do to be slow."),
            taken => format!(
                "{device}: an operation takes {} on average over the last {}.",
                words::seconds(taken),
                words::duration(span * 1000)
            ),
        },
        advice: Bilingual {
            en: format!(
                "See whether {device} is asked too much (`iostat -x 5`) or slow by itself \
                 (`smartctl -a /dev/{device}`; `dmesg -T`); in a virtual machine, ask who else \
                 uses the storage."
            ),
            zh: format!(
                "判断 {device} 是请求过多（`iostat -x 5`）还是本身变慢（`smartctl -a \
                 /dev/{device}`、`dmesg -T`）；如果是虚拟机，询问还有谁在使用同一存储。"
            ),
        },
        silenced_by: &[],
    })
}
