//! A host that is larger than it needs to be.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::level::Moment;
use super::weeks::{CPU, DAYS, MEMORY, Weeks};
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::derived::cores;
use crate::words;

const TOTAL: &str = "node_memory_MemTotal_bytes";

pub(super) const RULE: Rule = Rule {
    name: "host_over_provisioned",
    title: Bilingual {
        en: "Host larger than it needs to be",
        zh: "主机配置过剩",
    },
    watches: &[
        "node_cpu_seconds_total",
        TOTAL,
        "node_memory_MemAvailable_bytes",
    ],
    doc: Doc {
        what: "Looks at the hours of the last 14 days, of which 12 must be known, of hosts with at \
               least two CPUs. Opens for information when half of the CPUs and half of the memory \
               would still leave a fifth free: the CPU at most 40 % busy in 995 hours of 1,000, \
               memory never above 40 %. Closes at 45 % of either. Silent where host_idle speaks: \
               nothing is counted twice.",
        why: "The next size down would do, at half of the price.",
        todo: "Look at the peaks inside the hours too (`hostwell query hostwell_cpu_busy_ratio \
               --since 14d --step 1h --agg p99`) and at what comes at the quarter's end; then take \
               the next smaller size at the next change.",
        example: "Half of its 8 CPUs and 31.3 GiB would do: in 14 days the CPU was at most 12 % \
                  busy in nearly every hour, and memory at most 31 % used.",
        source: "P99.5 of the CPU, a headroom of 20 %, at least 14 days, the next size down: AWS \
                 Compute Optimizer.",
    },
    past: &[CPU, MEMORY],
    when_down: WhenDown::Waits,
    judge,
};

/// When a host is too large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// What must be left free on half of the host.
    pub headroom: f64,
    /// Over when both parts together have risen by this much.
    pub clear_margin: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            headroom: 0.20,
            clear_margin: 0.05,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let Some(past) = &case.input.past else {
        return Judged::Kept;
    };
    let window = &case.input.window;
    let cores = match cores(window, case.now_ms) {
        Some(cores) if cores >= 2 => cores,
        Some(_) => return Judged::NotApplicable("it has one CPU only".into()),
        None => return Judged::NotEnoughData("its CPUs have not been reported lately".into()),
    };
    let Some(total) = window.current(TOTAL, &[], case.now_ms) else {
        return Judged::NotEnoughData("its memory has not been reported lately".into());
    };
    let weeks = Weeks::of(past, CPU).and_then(|cpu| Ok((cpu, Weeks::of(past, MEMORY)?)));
    let (cpu, memory) = match weeks {
        Ok((cpu, memory)) => (cpu.nearly_always, memory.busiest),
        Err(why) => return Judged::NotEnoughData(why),
    };
    let levels = &case.policy.host_over_provisioned;
    let half = (1.0 - levels.headroom) / 2.0;
    let fits = |limit: f64| cpu <= limit && memory <= limit;
    let moment = Moment {
        time_ms: past.to_ms,
        raise: fits(half),
        keep: fits(half + levels.clear_margin),
    };
    let (cpu_words, memory_words) = (words::share(cpu), words::share(memory));
    let now = format!(
        "in {DAYS} days the CPU was at most {cpu_words} busy in nearly every hour, and memory at \
         most {memory_words} used"
    );
    Judged::Subjects(vec![Subject {
        name: String::new(),
        condition: case.condition(&[case.grade("", Severity::Info, 0, [moment])]),
        summary: match moment.keep {
            true => format!(
                "Half of its {cores} CPUs and {} would do: {now}.",
                words::bytes(total)
            ),
            false => format!("It is not too large: {now}."),
        },
        evidence: vec![
            Evidence::new("busy CPU, 995 hours of 1,000", cpu, "ratio", CPU.metric).against(half),
            Evidence::new("used memory, fullest hour", memory, "ratio", MEMORY.metric)
                .against(half),
            Evidence::new("CPUs", cores as f64, "count", "node_cpu_seconds_total"),
            Evidence::new("memory", total, "bytes", TOTAL),
        ],
        advice: Bilingual {
            en: "Look at the peaks inside the hours and at what comes at the quarter's end, then \
                 take the next smaller size.",
            zh: "先查看每小时内的峰值以及季度末的负载，再换用小一档的规格。",
        }
        .into(),
        silenced_by: &["host_idle"],
    }])
}
