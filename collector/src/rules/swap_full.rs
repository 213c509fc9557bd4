//! Swap that is almost used up.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::words;

const TOTAL: &str = "node_memory_SwapTotal_bytes";
const FREE: &str = "node_memory_SwapFree_bytes";
const MEMORY: &str = "node_memory_MemTotal_bytes";

pub(super) const RULE: Rule = Rule {
    name: "swap_full",
    title: Bilingual {
        en: "Swap almost used up",
        zh: "swap 即将耗尽",
    },
    watches: &[
        TOTAL,
        FREE,
        MEMORY,
        "node_memory_MemAvailable_bytes",
        "node_memory_MemFree_bytes",
        "node_memory_Buffers_bytes",
        "node_memory_Cached_bytes",
        "node_memory_SReclaimable_bytes",
        "node_memory_Shmem_bytes",
    ],
    doc: Doc {
        what: "Opens as a warning when more than 90 % of the swap space has been in use for 5 minutes \
               while more than 70 % of the memory is, as critical above 98 %; closes below 80 and 90 \
               %, or when less than 65 % of the memory is used. Swap full of idle pages beside \
               plenty of memory harms nobody. Keeps silent while memory_low or swap_thrashing have \
               the same host.",
        why: "The reserve is gone: the next program that needs memory will have another one killed.",
        todo: "See whose pages they are (`smem -s swap -r | head`, or VmSwap in `/proc/*/status`). \
               Restart what leaks, add memory; more swap only gains time.",
        example: "Swap is 93 % used: 0.1 of 2 GiB left.",
        source: "90 → 80 % and 98 → 90 %: Netdata's used_swap. Not without memory being short too: \
                 Zabbix's dependency on its memory triggers; the 70 % are our own.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When swap is almost used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Used ratio of swap.
    pub warning: Band,
    /// The same.
    pub critical: Band,
    /// Only while this much of the memory is used.
    pub memory_used: Band,
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.90, 0.80),
            critical: Band::new(0.98, 0.90),
            memory_used: Band::new(0.70, 0.65),
            for_seconds: 300,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let total = window.current(TOTAL, &[], case.now_ms).unwrap_or(0.0);
    let free = window.find(FREE, &[]).filter(|_| total > 0.0);
    case.each(free, "it has no swap", |free| subject(case, free, total))
}

fn subject(case: &Case<'_>, free: &Series, total: f64) -> Subject {
    let levels = &case.policy.swap_full;
    let grade = |severity, band: Band| {
        let moments = case.memory().iter().enumerate().filter_map(|(i, memory)| {
            let used = 1.0 - free.at(memory.time_ms, i)? / total;
            let short = levels.memory_used.at(memory.time_ms, memory.used_ratio());
            Some(band.at(memory.time_ms, used).and(short.raise, short.keep))
        });
        case.grade("", severity, levels.for_seconds, moments)
    };
    let condition = case.condition(&[
        grade(Severity::Warning, levels.warning),
        grade(Severity::Critical, levels.critical),
    ]);
    let left = case.current(free).unwrap_or(0.0);
    let used = 1.0 - left / total;
    let memory_used = case.memory().last().map(|memory| memory.used_ratio());
    let mut evidence = vec![
        Evidence::new("used swap", used, "ratio", FREE).against(levels.warning.raise),
        Evidence::new("swap", total, "bytes", TOTAL),
    ];
    evidence.extend(memory_used.map(|used| {
        Evidence::new("used memory", used, "ratio", MEMORY).against(levels.memory_used.raise)
    }));
    Subject {
        name: String::new(),
        condition,
        summary: format!(
            "Swap is {} used: {} left.",
            words::share(used),
            words::bytes_of(left, total)
        ),
        evidence,
        advice: Bilingual {
            en: "See whose pages they are (`smem -s swap -r | head`): restart what leaks, or add \
                 memory; more swap only gains time.",
            zh: "查看 swap 被谁占用（`smem -s swap -r | head`）：重启有泄漏的进程，或增加内存；\
                 加大 swap 只能拖延时间。",
        }
        .into(),
        silenced_by: &["memory_low", "swap_thrashing"],
    }
}
