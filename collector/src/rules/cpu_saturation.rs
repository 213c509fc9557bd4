//! CPUs that have been busy for long.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::derived::{CpuTime, Share, trailing};
use crate::words;

const CPU: &str = "node_cpu_seconds_total";

pub(super) const RULE: Rule = Rule {
    name: "cpu_saturation",
    title: Bilingual {
        en: "CPU saturated",
        zh: "CPU 饱和",
    },
    watches: &[CPU],
    doc: Doc {
        what: "Busy is everything but idle and waiting for disks, over all CPUs, averaged over \
               the last 10 minutes. Opens as a warning above 85 % and as critical above 95 %; \
               closes below 75 and 85 %. Needs 8 minutes of samples in those 10.",
        why: "Above that, work queues: answers take longer, timers fire late, and a small peak \
              more is an outage. A host that is meant to compute all day is no risk: give it a \
              higher level.",
        todo: "See what uses it (`top`, `pidstat 5`). If it is wanted work, spread it, plan more \
               cores, or raise the level for this host; if not, stop it.",
        example: "CPU has been 92 % busy over the last 10 min (steal 0 %, waiting for disks 2 %).",
        source: "85 → 75 % and 95 → 85 % averaged over 10 minutes: Netdata's 10min_cpu_usage. The \
                 node_exporter mixin says 90 % for 15 minutes, Zabbix 90 % for 5.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When CPUs are saturated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Busy ratio.
    pub warning: Band,
    /// Busy ratio.
    pub critical: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.85, 0.75),
            critical: Band::new(0.95, 0.85),
            average_seconds: 600,
            for_seconds: 0,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.cpu_saturation;
    let span_ms = levels.average_seconds * 1000;
    let times = case.cpu_times();
    let shares = |part: fn(&CpuTime) -> f64| -> Vec<Share> {
        times.iter().map(|cpu| cpu.share(part)).collect()
    };
    // An average over less than most of its span says little about it.
    let covered_min_ms = span_ms * 4 / 5;
    let busy = trailing(&shares(CpuTime::busy), span_ms, covered_min_ms);
    let Some(ratio) = case.fresh(&busy) else {
        return Judged::NotEnoughData(format!(
            "fewer than {} of samples in the last {}",
            words::duration(covered_min_ms),
            words::duration(span_ms)
        ));
    };
    let condition = case.against(
        "",
        &busy,
        &[
            (Severity::Warning, levels.warning, levels.for_seconds),
            (Severity::Critical, levels.critical, levels.for_seconds),
        ],
    );
    let average = |part| {
        trailing(&shares(part), span_ms, 0)
            .last()
            .map_or(0.0, |(_, ratio)| *ratio)
    };
    let steal = average(|cpu| cpu.steal);
    let iowait = average(|cpu| cpu.iowait);
    let selector = |mode| format!("{CPU}{{mode=\"{mode}\"}}");
    Judged::Subjects(vec![Subject {
        name: String::new(),
        condition,
        summary: format!(
            "CPU has been {} busy over the last {} (steal {}, waiting for disks {}).",
            words::share(ratio),
            words::duration(span_ms),
            words::share(steal),
            words::share(iowait),
        ),
        evidence: vec![
            Evidence::new(
                "busy",
                ratio,
                "ratio",
                format!("{CPU}{{mode!~\"idle|iowait\"}}"),
            )
            .against(levels.warning.raise),
            Evidence::new("steal", steal, "ratio", selector("steal")),
            Evidence::new("waiting for disks", iowait, "ratio", selector("iowait")),
        ],
        advice: advice(condition, ratio, steal).into(),
        silenced_by: &[],
    }])
}

fn advice(condition: Condition, busy: f64, steal: f64) -> Bilingual<&'static str> {
    if !matches!(condition, Condition::Clear) && steal > busy / 4.0 {
        return Bilingual {
            en: "Much of it is stolen by other guests of the same hypervisor: ask for a move or \
                 for reserved cores.",
            zh: "其中很大一部分被同一宿主机上的其他虚拟机抢占：申请迁移，或申请预留核心。",
        };
    }
    Bilingual {
        en: "See what uses it (`top`, `pidstat 5`). Wanted work: spread it or plan more cores, or \
             raise the level for this host. Unwanted: stop it.",
        zh: "查看是谁在占用 CPU（`top`、`pidstat 5`）。如果是正常业务：分散负载、规划更多核心，\
             或调高这台主机的阈值。如果不是：将其停止。",
    }
}
