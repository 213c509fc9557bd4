//! A host that runs out of file handles.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged};
use super::limits::{self, Limited};
use super::{Band, Bilingual, Doc, Rule, WhenDown};

const ALLOCATED: &str = "node_filefd_allocated";
const MAXIMUM: &str = "node_filefd_maximum";

pub(super) const RULE: Rule = Rule {
    name: "file_handles_full",
    title: Bilingual {
        en: "Almost out of file handles",
        zh: "文件句柄即将耗尽",
    },
    watches: &[ALLOCATED, MAXIMUM],
    doc: Doc {
        what: "Opens as a warning when more than 70 % of the file handles that the kernel allows on \
               the whole host have been in use for 15 minutes, as critical above 90 %; closes below \
               65 and 85 %. Newer kernels allow practically any number.",
        why: "Without a free handle nothing can be opened: no file, no connection, no login.",
        todo: "See who holds them (`lsof -n | awk '{print $1, $2}' | sort | uniq -c | sort -n | \
               tail`). One with very many leaks them: restart it, have it fixed. Wanted: raise \
               `fs.file-max`.",
        example: "71,000 of 98,304 file handles are in use (72 %).",
        source: "70 and 90 % for 15 minutes: the node_exporter mixin. Five points lower to close is \
                 our own.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When handles run out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Handles ÷ limit.
    pub warning: Band,
    /// The same.
    pub critical: Band,
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.70, 0.65),
            critical: Band::new(0.90, 0.85),
            for_seconds: 900,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let levels = &case.policy.file_handles_full;
    limits::judge(
        case,
        &Limited {
            used: window.find(ALLOCATED, &[]),
            limit: window.current(MAXIMUM, &[], case.now_ms),
            things: "file handles",
            advice: Bilingual {
                en: "See who holds them (`lsof -n`, counted by program): one with very many leaks \
                     them. Wanted: raise `fs.file-max`.",
                zh: "查看是谁占用了文件句柄（`lsof -n`，按程序计数）：数量异常多的程序存在泄漏。\
                     如果属于正常需求：调大 `fs.file-max`。",
            },
            absent: "it does not report file handles",
            warning: levels.warning,
            critical: levels.critical,
            for_seconds: levels.for_seconds,
        },
    )
}
