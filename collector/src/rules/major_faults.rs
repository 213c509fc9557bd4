//! Programs that wait for their own memory to be read from disk.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const FAULTS: &str = "node_vmstat_pgmajfault";

pub(super) const RULE: Rule = Rule {
    name: "major_faults",
    title: Bilingual {
        en: "Programs wait for their memory to be read from disk",
        zh: "程序等待从磁盘读取内存页",
    },
    watches: &[FAULTS],
    doc: Doc {
        what: "Opens as a warning when over 5 minutes more than 500 page faults a second had to read \
               a disk, and that for 15 minutes; closes below 400. Keeps silent while memory_low or \
               swap_thrashing have the same host: they say why.",
        why: "Programs stand still at places where they do nothing but compute: what they need was \
              pushed out of memory. Everything is slow and nothing looks busy but the disk.",
        todo: "See who faults (`pidstat -r 5`, column majflt/s). Usually memory is too small for \
               what runs; a program that maps large files by design needs a higher level here.",
        example: "740 page faults a second had to read a disk over the last 5 min.",
        source: "500 a second over 5 minutes, for 15: the node_exporter mixin. 400 to close: a fifth \
                 lower, as Zabbix's templates recover.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When faults are a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Faults a second.
    pub warning: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(500.0, 400.0),
            average_seconds: 300,
            for_seconds: 900,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.major_faults;
    let counter = case.input.window.find(FAULTS, &[]);
    case.each(counter, "its kernel does not count them", |series| {
        case.measured(Measured {
            name: "",
            course: case.rates(series, levels.average_seconds),
            grades: &[(Severity::Warning, levels.warning, levels.for_seconds)],
            what: "major page faults",
            unit: "per_second",
            selector: FAULTS.into(),
            words: &|faults| {
                format!(
                    "{} page faults a second had to read a disk over the last {}.",
                    words::count(faults),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: "See who faults (`pidstat -r 5`, column majflt/s); usually memory is too small \
                     for what runs.",
                zh: "查看是谁在缺页（`pidstat -r 5`，majflt/s 列）；\
                     通常是内存不足以支撑所运行的程序。",
            }
            .into(),
            silenced_by: &["memory_low", "swap_thrashing"],
        })
    })
}
