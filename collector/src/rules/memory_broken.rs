//! Memory that the kernel has taken out of use because it is broken.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const CORRUPTED: &str = "node_memory_HardwareCorrupted_bytes";

pub(super) const RULE: Rule = Rule {
    name: "memory_broken",
    title: Bilingual {
        en: "Memory is broken",
        zh: "内存硬件故障",
    },
    watches: &[CORRUPTED],
    doc: Doc {
        what: "Opens as a warning as soon as the kernel has taken memory out of use because the \
               hardware reported it broken; closes when none is, which takes a boot.",
        why: "What broke once breaks further. The next fault may hit a page that cannot be given \
              up, and the host stops, or the data in it is wrong.",
        todo: "Read which module it is (`ras-mc-ctl --errors`, `ipmitool sel list`, `dmesg -T | \
               grep -i 'hardware error'`), move the work away, and have the module replaced.",
        example: "8 KiB of memory are broken and out of use.",
        source: "Any: Netdata's 1hour_memory_hw_corrupted.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When broken memory is a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Memory out of use.
    pub warning_bytes: Band,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning_bytes: Band::new(1.0, 1.0),
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.memory_broken;
    let gauge = case.input.window.find(CORRUPTED, &[]);
    case.each(gauge, "its kernel does not tell broken memory", |series| {
        case.measured(Measured {
            name: "",
            course: case.values(series),
            grades: &[(Severity::Warning, levels.warning_bytes, 0)],
            what: "broken memory",
            unit: "bytes",
            selector: CORRUPTED.into(),
            words: &|bytes| match bytes {
                0.0 => "No memory is known to be broken.".to_owned(),
                bytes => format!(
                    "{} of memory are broken and out of use.",
                    words::bytes(bytes)
                ),
            },
            advice: Bilingual {
                en: "Read which module it is (`ras-mc-ctl --errors`; `ipmitool sel list`), move \
                     the work away, have it replaced.",
                zh: "查明是哪条内存（`ras-mc-ctl --errors`、`ipmitool sel list`），迁走业务，\
                     更换故障内存。",
            }
            .into(),
            silenced_by: &[],
        })
    })
}
