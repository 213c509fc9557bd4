//! Memory that is being written to swap in earnest.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::derived::{time_shares, trailing};
use crate::words;

const SWAP_OUT: &str = "node_vmstat_pswpout";
const SWAP_TOTAL: &str = "node_memory_SwapTotal_bytes";
const MEMORY: &str = "node_memory_MemTotal_bytes";

/// The kernel counts pages. Kernels with larger ones exist on arm64; there this sees too little.
const PAGE_BYTES: f64 = 4096.0;

pub(super) const RULE: Rule = Rule {
    name: "swap_thrashing",
    title: Bilingual {
        en: "Swapping hard",
        zh: "内存频繁换出到 swap",
    },
    watches: &[SWAP_OUT, SWAP_TOTAL, MEMORY],
    doc: Doc {
        what: "Opens as a warning when more than 30 % of the memory's size has been written to swap \
               within 30 minutes, closes below 20 %. Counts pages of 4 KiB. Says nothing on hosts \
               without swap, and keeps silent while memory_low has the same host.",
        why: "A host that keeps writing its memory to disk spends its time waiting for it. Idle \
              pages swapped out once are harmless; this much is not.",
        todo: "See who needs the memory (`ps aux --sort=-rss | head`, `vmstat 5`) and move it, \
               limit it, or add memory.",
        example: "41 % of the memory's size was written to swap in the last 30 min.",
        source: "30 → 20 % in 30 minutes: Netdata's 30min_ram_swapped_out.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When swapping is thrashing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Bytes swapped out ÷ memory.
    pub warning: Band,
    /// Within this long.
    pub within_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.30, 0.20),
            within_seconds: 1800,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let levels = &case.policy.swap_thrashing;
    let now = |metric| window.current(metric, &[], case.now_ms);
    if now(SWAP_TOTAL).is_none_or(|total| total <= 0.0) {
        return Judged::NotApplicable("it has no swap".into());
    }
    let (Some(memory), Some(series)) = (now(MEMORY), window.find(SWAP_OUT, &[])) else {
        return Judged::NotEnoughData("swapping is not reported".into());
    };
    let span_ms = levels.within_seconds * 1000;
    let shares = time_shares(series, window.interval_ms);
    // Less than the whole span behind a moment: what was written is what was written.
    let points: Vec<(i64, f64)> = trailing(&shares, span_ms, span_ms / 6)
        .into_iter()
        .map(|(t, pages_a_second)| {
            let pages = pages_a_second * levels.within_seconds as f64;
            (t, pages * PAGE_BYTES / memory)
        })
        .collect();
    let Some((_, written)) = points.last().copied() else {
        return Judged::NotEnoughData("fewer than 5 min of samples".into());
    };
    Judged::Subjects(vec![Subject {
        name: String::new(),
        condition: case.against("", &points, &[(Severity::Warning, levels.warning, 0)]),
        summary: format!(
            "Memory is written to swap at a pace of {} of its size in {}.",
            words::share(written),
            words::duration(span_ms)
        ),
        evidence: vec![
            Evidence::new("swapped out ÷ memory", written, "ratio", SWAP_OUT)
                .against(levels.warning.raise),
        ],
        advice: Bilingual {
            en: "See who needs the memory (`ps aux --sort=-rss | head`; `vmstat 5`): move it, \
                 limit it, or add memory.",
            zh: "查看是谁需要内存（`ps aux --sort=-rss | head`、`vmstat 5`）：将其迁走、\
                 限制其用量，或增加内存。",
        }
        .into(),
        silenced_by: &["memory_low"],
    }])
}
