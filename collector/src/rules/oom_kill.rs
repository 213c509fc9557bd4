//! The kernel killed processes because memory ran out.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::Hold;
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::words;

/// (subject, counter): the whole host, and the container the agent runs in.
const KILLS: &[(&str, &str)] = &[
    ("", "node_vmstat_oom_kill"),
    ("container", "hostwell_cgroup_oom_kills_total"),
];

pub(super) const RULE: Rule = Rule {
    name: "oom_kill",
    title: Bilingual {
        en: "Processes killed for lack of memory",
        zh: "进程因内存不足被杀",
    },
    watches: &["node_vmstat_oom_kill", "hostwell_cgroup_oom_kills_total"],
    doc: Doc {
        what: "Opens as a warning when the kernel has killed a process for lack of memory, on the \
               host or in a memory-limited group, in the last 30 minutes; closes when 30 minutes \
               have passed without another.",
        why: "Something that was running is not running any more, and the kernel chose which. It \
              will happen again.",
        todo: "See who was killed and who asked for the memory (`journalctl -k | grep -i oom`). \
               Give the service a limit that fits, fix its leak, or add memory.",
        example: "2 processes were killed for lack of memory in the last 30 min.",
        source: "More than none in 30 minutes: Netdata's oom_kill and awesome-prometheus-alerts.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When kills count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Looks this far back.
    pub last_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels { last_seconds: 1800 }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let subjects: Vec<Subject> = KILLS
        .iter()
        .filter_map(|(name, metric)| {
            let series = window.find(metric, &[])?;
            case.current(series)?;
            Some(subject(case, name, series))
        })
        .collect();
    if subjects.is_empty() {
        return Judged::NotApplicable("this kernel does not count such kills".into());
    }
    Judged::Subjects(subjects)
}

fn subject(case: &Case<'_>, name: &str, series: &Series) -> Subject {
    let span_ms = case.policy.oom_kill.last_seconds * 1000;
    let (kills, since_ms) = case.happened(series, span_ms);
    let condition = since_ms.map_or(Condition::Clear, |since_ms| {
        Condition::Holds(Hold::now(Severity::Warning, since_ms))
    });
    let place = if name.is_empty() {
        ""
    } else {
        " in this container"
    };
    let were = if kills == 1.0 {
        "process was"
    } else {
        "processes were"
    };
    Subject {
        name: name.to_owned(),
        condition,
        summary: format!(
            "{} {were} killed for lack of memory{place} in the last {}.",
            words::count(kills),
            words::duration(span_ms)
        ),
        evidence: vec![Evidence::new("kills", kills, "count", &series.name).against(1.0)],
        advice: Bilingual {
            en: "See who was killed and who asked for the memory (`journalctl -k | grep -i oom`); \
                 give the service a limit that fits, fix its leak, or add memory.",
            zh: "查看是谁被杀、是谁申请了内存（`journalctl -k | grep -i oom`）；\
                 为该服务设置合适的内存上限，修复泄漏，或增加内存。",
        }
        .into(),
        silenced_by: &[],
    }
}
