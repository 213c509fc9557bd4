//! More tasks than the cores can take.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::derived::{cores, time_shares, trailing};
use crate::words;

const LOAD1: &str = "node_load1";
const WAITS: &[&str] = &[
    "node_pressure_cpu_waiting_seconds_total",
    "node_pressure_memory_waiting_seconds_total",
    "node_pressure_io_waiting_seconds_total",
];

pub(super) const RULE: Rule = Rule {
    name: "load_high",
    title: Bilingual {
        en: "Load above what the cores can take",
        zh: "负载超出 CPU 核心的承受能力",
    },
    watches: &[
        LOAD1,
        "node_cpu_seconds_total",
        "node_pressure_cpu_waiting_seconds_total",
        "node_pressure_memory_waiting_seconds_total",
        "node_pressure_io_waiting_seconds_total",
    ],
    doc: Doc {
        what: "Opens as a warning when the load average over 1 minute has been above 2 for each \
               core for 15 minutes; closes below 1.5. Where the kernel reports pressure, only while \
               tasks really waited for CPU, memory or disks at least 10 % of the last 10 minutes: \
               the load average also counts tasks that sleep in the kernel and harm nobody. Keeps \
               silent while disk_slow, disk_queue, memory_low, cpu_saturation, cpu_steal, pressure_high, \
               cpu_iowait or tasks_blocked have the same host: they say why.",
        why: "Every task waits for its turn; answers take a multiple of their time.",
        todo: "See whether tasks want the CPU (state R) or wait for disks (state D): `ps -eo \
               state,pid,comm | grep '^[RD]'`.",
        example: "Load 9.4 on 4 cores: 2.35 a core.",
        source: "2 a core for 15 minutes: the node_exporter mixin; 1.5 is the level of Zabbix's \
                 Linux template. Pressure as the second witness: netdata issue 17178.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When load is a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Load average over 1 minute ÷ cores.
    pub warning: Band,
    /// For this long.
    pub for_seconds: i64,
    /// Where pressure is known: some task waited at least this share of the time.
    pub waiting_min: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(2.0, 1.5),
            for_seconds: 900,
            waiting_min: 0.10,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let levels = &case.policy.load_high;
    let (Some(series), Some(cores)) = (window.find(LOAD1, &[]), cores(window, case.now_ms)) else {
        return Judged::NotEnoughData("load or the number of cores is not reported".into());
    };
    let points: Vec<(i64, f64)> = series
        .points()
        .map(|(t, v)| (t, v / cores as f64))
        .collect();
    let Some(per_core) = case.fresh(&points) else {
        return Judged::NotEnoughData("load has not been reported lately".into());
    };
    let grades = [(Severity::Warning, levels.warning, levels.for_seconds)];
    // Only a high load needs the second witness.
    let waited = (per_core >= levels.warning.clear)
        .then(|| waited(case))
        .flatten();
    let harmless = waited.is_some_and(|share| share < levels.waiting_min);
    let condition = if harmless {
        Condition::Clear
    } else {
        case.against("", &points, &grades)
    };
    let mut summary = format!(
        "Load {} on {cores} cores: {} a core",
        words::number(per_core * cores as f64),
        words::number(per_core)
    );
    if harmless && per_core >= levels.warning.raise {
        summary.push_str(", but nothing waits");
    }
    let mut evidence =
        vec![Evidence::new("load a core", per_core, "count", LOAD1).against(levels.warning.raise)];
    evidence.extend(waited.map(|share| {
        Evidence::new("share of time waited", share, "ratio", WAITS[0]).against(levels.waiting_min)
    }));
    Judged::Subjects(vec![Subject {
        name: String::new(),
        condition,
        summary: summary + ".",
        evidence,
        advice: Bilingual {
            en: "See whether tasks want the CPU (state R) or wait for disks (state D): `ps -eo \
                 state,pid,comm | grep '^[RD]'`.",
            zh: "判断任务是在争用 CPU（状态 R）还是在等待磁盘（状态 D）：`ps -eo state,pid,comm | \
                 grep '^[RD]'`。",
        }
        .into(),
        silenced_by: &[
            "disk_slow",
            "disk_queue",
            "memory_low",
            "cpu_saturation",
            "cpu_steal",
            "pressure_high",
            "cpu_iowait",
            "tasks_blocked",
        ],
    }])
}

/// The largest share of the last 10 minutes in which a task waited; nothing where the kernel does
/// not say.
fn waited(case: &Case<'_>) -> Option<f64> {
    let window = &case.input.window;
    WAITS
        .iter()
        .filter_map(|metric| {
            let shares = time_shares(window.find(metric, &[])?, window.interval_ms);
            case.fresh(&trailing(&shares, 600_000, 0))
        })
        .reduce(f64::max)
}
