//! Memory that is almost used up.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::level::KEEP_BYTES;
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::derived::Memory;
use crate::words;

const TOTAL: &str = "node_memory_MemTotal_bytes";
const AVAILABLE: &str = "node_memory_MemAvailable_bytes";

pub(super) const RULE: Rule = Rule {
    name: "memory_low",
    title: Bilingual {
        en: "Memory almost used up",
        zh: "内存即将耗尽",
    },
    watches: &[
        TOTAL,
        AVAILABLE,
        "node_memory_MemFree_bytes",
        "node_memory_Buffers_bytes",
        "node_memory_Cached_bytes",
        "node_memory_SReclaimable_bytes",
        "node_memory_Shmem_bytes",
    ],
    doc: Doc {
        what: "Used is what is not available to new work without swapping (1 - MemAvailable ÷ \
               MemTotal). Opens as a warning when over 90 % has been used for 5 minutes and less \
               than 32 GiB is available, as critical at 98 % with less than 8 GiB; closes below 80 \
               and 90 %. Kernels without MemAvailable are judged by an estimate, which is said.",
        why: "When memory runs out the kernel first drops file cache, which slows everything, \
              then swaps, then kills processes of its own choice.",
        todo: "See who holds it (`ps aux --sort=-rss | head`). Restart what leaks, limit what may \
               be limited, move work away, or add memory.",
        example: "Memory is 94 % used: 0.9 of 15.6 GiB available.",
        source: "90 → 80 % and 98 → 90 %: Netdata's ram_in_use; 90 %: the node_exporter mixin and \
                 Zabbix. The absolute limits are our own: a tenth of a very large memory is \
                 plenty.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When memory is almost used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Used ratio.
    pub warning: Band,
    /// Used ratio.
    pub critical: Band,
    /// Only with less than this available.
    pub warning_bytes_left: f64,
    /// The same for critical.
    pub critical_bytes_left: f64,
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        const GIB: f64 = (1u64 << 30) as f64;
        Levels {
            warning: Band::new(0.90, 0.80),
            critical: Band::new(0.98, 0.90),
            warning_bytes_left: 32.0 * GIB,
            critical_bytes_left: 8.0 * GIB,
            for_seconds: 300,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let points = case.memory();
    let Some(now) = points.last() else {
        return Judged::NotEnoughData("memory is not reported".into());
    };
    if window.current(TOTAL, &[], case.now_ms).is_none() {
        return Judged::NotEnoughData("memory has not been reported lately".into());
    }
    let levels = &case.policy.memory_low;
    let grade = |severity, band: Band, bytes_left: f64| {
        let moments = points.iter().map(|memory| {
            band.at(memory.time_ms, memory.used_ratio()).and(
                memory.available < bytes_left,
                memory.available < bytes_left * KEEP_BYTES,
            )
        });
        case.grade("", severity, levels.for_seconds, moments)
    };
    let condition = case.condition(&[
        grade(Severity::Warning, levels.warning, levels.warning_bytes_left),
        grade(
            Severity::Critical,
            levels.critical,
            levels.critical_bytes_left,
        ),
    ]);
    Judged::Subjects(vec![Subject {
        name: String::new(),
        condition,
        summary: summary(now),
        evidence: evidence(now, levels),
        advice: Bilingual {
            en: "See who holds it (`ps aux --sort=-rss | head`): restart what leaks, move work \
                 away or add memory.",
            zh: "查看是谁占用了内存（`ps aux --sort=-rss | head`）：重启有泄漏的进程，\
                 迁走部分业务，或增加内存。",
        }
        .into(),
        silenced_by: &[],
    }])
}

fn summary(now: &Memory) -> String {
    let how = if now.estimated {
        " (estimated: this kernel has no MemAvailable)"
    } else {
        ""
    };
    format!(
        "Memory is {} used: {} available{how}.",
        words::share(now.used_ratio()),
        words::bytes_of(now.available, now.total),
    )
}

fn evidence(now: &Memory, levels: &Levels) -> Vec<Evidence> {
    let available = if now.estimated {
        "node_memory_MemFree_bytes"
    } else {
        AVAILABLE
    };
    vec![
        Evidence::new("used memory", now.used_ratio(), "ratio", available)
            .against(levels.warning.raise),
        Evidence::new("available memory", now.available, "bytes", available)
            .against(levels.warning_bytes_left),
        Evidence::new("memory", now.total, "bytes", TOTAL),
    ]
}
