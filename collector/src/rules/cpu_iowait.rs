//! CPUs that idle because work waits for disks.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::series::derived::Share;
use crate::words;

const CPU: &str = "node_cpu_seconds_total";

pub(super) const RULE: Rule = Rule {
    name: "cpu_iowait",
    title: Bilingual {
        en: "CPU idle because work waits for disks",
        zh: "CPU 空闲等待磁盘",
    },
    watches: &[CPU],
    doc: Doc {
        what: "Opens as a warning when over 10 minutes more than 40 % of all CPU time was idle with \
               a disk request outstanding, and that for 30 minutes; closes below 20 %. Keeps silent \
               while disk_slow, disk_queue, pressure_high or swap_thrashing have the same host: \
               they say more.",
        why: "There is work, and processors for it, and it stands still for the disks.",
        todo: "See which disk (`iostat -x 5`) and for whom (`pidstat -d 5`). More memory for the \
               file cache often helps more than a faster disk.",
        example: "CPUs were waiting for disks 47 % of the time over the last 10 min.",
        source: "40 → 20 % over 10 minutes, notified after 30: Netdata's 10min_cpu_iowait.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When waiting is a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Share of CPU time.
    pub warning: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.40, 0.20),
            average_seconds: 600,
            for_seconds: 1800,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.cpu_iowait;
    let waits = case.input.window.find(CPU, &[("mode", "iowait")]);
    case.each(waits, "its system does not tell this time", |series| {
        let shares: Vec<Share> = case
            .cpu_times()
            .iter()
            .map(|cpu| cpu.share(|cpu| cpu.iowait))
            .collect();
        case.measured(Measured {
            name: "",
            course: case.averages(series, &shares, levels.average_seconds),
            grades: &[(Severity::Warning, levels.warning, levels.for_seconds)],
            what: "waiting for disks",
            unit: "ratio",
            selector: format!("{CPU}{{mode=\"iowait\"}}"),
            words: &|waited| {
                format!(
                    "CPUs were waiting for disks {} of the time over the last {}.",
                    words::share(waited),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: "See which disk (`iostat -x 5`) and for whom (`pidstat -d 5`); more memory for \
                     the file cache often helps more than a faster disk.",
                zh: "查看是哪块磁盘（`iostat -x 5`）、由谁引起（`pidstat -d 5`）；\
                     增加内存以扩大文件缓存，往往比换更快的磁盘更有效。",
            }
            .into(),
            silenced_by: &["disk_slow", "disk_queue", "pressure_high", "swap_thrashing"],
        })
    })
}
