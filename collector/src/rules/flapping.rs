//! A host that boots again and again.

use serde::{Deserialize, Serialize};

use super::boots::{Boot, DAY_MS, boots, uptime};
use super::judge::{Case, Judged, Subject};
use super::{Band, Bilingual, Doc, Evidence, LONG_METRIC, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::words;

pub(super) const RULE: Rule = Rule {
    name: "flapping",
    title: Bilingual {
        en: "Host boots again and again",
        zh: "主机反复重启",
    },
    watches: &[LONG_METRIC],
    doc: Doc {
        what: "Opens as a warning when a host has booted 3 times within 24 hours; closes after 24 \
               hours without a boot, also while the host is down. Keeps silent while clone_suspected has the same host.",
        why: "Whatever makes it boot makes it boot again: a power supply, memory, a watchdog, a \
              kernel that panics. Between two boots it looks healthy.",
        todo: "Compare the ends of the logs before the boots (`journalctl --list-boots`, \
               `journalctl -b -1 -e`, `journalctl -b -2 -e`), read what the hardware noted \
               (`ipmitool sel list`), test the memory. Take it out of service until it is known.",
        example: "It has booted 4 times within 24 h.",
        source: "3 boots in 24 hours: the labels of Hostwell's reference data. That a restart is to \
                 be told at all: Netdata and Zabbix.",
    },
    past: &[],
    when_down: WhenDown::Passes,
    judge,
};

/// When boots are too many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Boots within 24 hours.
    pub warning: Band,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(3.0, 1.0),
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    if !case.previous.is_empty() {
        // Of a host that has fallen silent it is known when it booted last.
        let subjects = uptime(case).map(|uptime| subject(case, uptime));
        return Judged::Subjects(subjects.into_iter().collect());
    }
    let absent = "it does not say how long it has been up";
    case.each(uptime(case), absent, |uptime| subject(case, uptime))
}

fn subject(case: &Case<'_>, uptime: &Series) -> Subject {
    let band = case.policy.flapping.warning;
    let boots = boots(case, uptime);
    let count = |now_ms: i64| {
        let recent = |boot: &&Boot| (now_ms - DAY_MS..=now_ms).contains(&boot.at_ms);
        boots.iter().filter(recent).count() as f64
    };
    // A day ago and later is known for certain. A day without a boot may end before the next one.
    let lately = boots.iter().map(|boot| boot.at_ms);
    let lately = lately.filter(|at_ms| case.now_ms - at_ms < DAY_MS);
    let moments = lately.flat_map(|at_ms| [at_ms - 1, at_ms]);
    let moments = moments.chain([case.now_ms]);
    let moments = moments.map(|time_ms| band.at(time_ms, count(time_ms)));
    let grade = case.grade("", Severity::Warning, 0, moments);
    let now = count(case.now_ms);
    let times = if now == 1.0 { "time" } else { "times" };
    Subject {
        name: String::new(),
        condition: case.condition(&[grade]),
        summary: format!("It has booted {} {times} within 24 h.", words::count(now)),
        evidence: vec![Evidence::new("boots", now, "count", LONG_METRIC).against(band.raise)],
        advice: Bilingual {
            en: "Compare the ends of the logs before the boots (`journalctl --list-boots`; \
                 `journalctl -b -1 -e`), read what the hardware noted (`ipmitool sel list`), test \
                 the memory.",
            zh: "对比历次重启前日志的末尾（`journalctl --list-boots`、`journalctl -b -1 -e`），\
                 查看硬件事件日志（`ipmitool sel list`），并检测内存。",
        }
        .into(),
        silenced_by: &["clone_suspected"],
    }
}
