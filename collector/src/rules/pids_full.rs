//! A host that runs out of process numbers.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged};
use super::limits::{self, Limited};
use super::{Band, Bilingual, Doc, Rule, WhenDown};

const PROCESSES: &str = "node_processes_pids";
const PROCESSES_MAX: &str = "node_processes_max_processes";
const THREADS: &str = "node_processes_threads";
const THREADS_MAX: &str = "node_processes_max_threads";

pub(super) const RULE: Rule = Rule {
    name: "pids_full",
    title: Bilingual {
        en: "Almost out of process numbers",
        zh: "进程号即将耗尽",
    },
    watches: &[PROCESSES, PROCESSES_MAX, THREADS, THREADS_MAX],
    doc: Doc {
        what: "Every thread takes a number, as a process does. Opens as a warning when more than 90 \
               % of the numbers, or of the threads the kernel allows, have been in use for 5 \
               minutes, as critical above 95 %; closes below 85 and 90 %.",
        why: "Without a free number nothing can be started: no command, no login, no thread of a \
              service that runs already.",
        todo: "See who has so many (`ps -eo nlwp,pid,comm --sort=-nlwp | head`, `ps -eo comm | sort \
               | uniq -c | sort -n | tail`): a fork loop, a pool without a bound, children nobody \
               waits for. Wanted: raise `kernel.pid_max`.",
        example: "29,800 of 32,768 processes and threads are in use (91 %).",
        source: "90 → 85 % and 95 → 90 %: Netdata's active_processes; Zabbix warns at 80 %. 5 \
                 minutes is our own.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When numbers run out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Threads ÷ limit.
    pub warning: Band,
    /// The same.
    pub critical: Band,
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.90, 0.85),
            critical: Band::new(0.95, 0.90),
            for_seconds: 300,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let levels = &case.policy.pids_full;
    let limits = [PROCESSES_MAX, THREADS_MAX];
    let limits = limits.map(|metric| window.current(metric, &[], case.now_ms));
    limits::judge(
        case,
        &Limited {
            used: [THREADS, PROCESSES]
                .into_iter()
                .find_map(|metric| window.find(metric, &[])),
            limit: limits.into_iter().flatten().reduce(f64::min),
            things: "processes and threads",
            advice: Bilingual {
                en: "See who has so many (`ps -eo nlwp,pid,comm --sort=-nlwp | head`): a fork \
                     loop, a pool without a bound. Wanted: raise `kernel.pid_max`.",
                zh: "查看是谁创建了这么多（`ps -eo nlwp,pid,comm --sort=-nlwp | head`）：\
                     可能是循环 fork，或线程池没有上限。如果属于正常需求：调大 `kernel.pid_max`。",
            },
            absent: "it does not report its processes",
            warning: levels.warning,
            critical: levels.critical,
            for_seconds: levels.for_seconds,
        },
    )
}
