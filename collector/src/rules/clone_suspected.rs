//! Two machines that send as one host.

use serde::{Deserialize, Serialize};

use super::boots::{leaps, uptime};
use super::judge::{Case, Judged, Subject};
use super::{Band, Bilingual, Doc, Evidence, LONG_METRIC, Rule, Severity, WINDOW_MS, WhenDown};
use crate::series::Series;
use crate::words;

pub(super) const RULE: Rule = Rule {
    name: "clone_suspected",
    title: Bilingual {
        en: "Two machines send as one host",
        zh: "两台机器以同一主机身份上报",
    },
    watches: &[LONG_METRIC],
    doc: Doc {
        what: "Opens as a warning when within an hour a host's uptime grew 3 times by more than the \
               time that passed: two machines with different uptimes take turns. Closes when that \
               has not happened for an hour. A clock that is set, or a host that sleeps, does it \
               once.",
        why: "Their samples are mixed: every number of this host belongs to one of two machines, \
              and no verdict about it can be trusted.",
        todo: "Find the machine that was copied with its agent's state folder, stop its agent, \
               remove that folder, start it again: it becomes a host of its own. See \
               docs/operations.md.",
        example: "Its uptime has leapt 14 times within an hour: two machines send as this host.",
        source: "Our own; no peer tells clones apart.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When leaps are too many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Leaps within an hour.
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
    let absent = "it does not say how long it has been up";
    case.each(uptime(case), absent, |uptime| subject(case, uptime))
}

fn subject(case: &Case<'_>, uptime: &Series) -> Subject {
    let band = case.policy.clone_suspected.warning;
    let leaps = leaps(uptime, case.now_ms - WINDOW_MS) as f64;
    let grade = case.grade("", Severity::Warning, 0, [band.at(case.now_ms, leaps)]);
    let summary = match leaps {
        0.0 => "Its uptime grows with the time.".to_owned(),
        leaps => format!(
            "Its uptime has leapt {} times within an hour: two machines send as this host.",
            words::count(leaps)
        ),
    };
    Subject {
        name: String::new(),
        condition: case.condition(&[grade]),
        summary,
        evidence: vec![Evidence::new("leaps", leaps, "count", LONG_METRIC).against(band.raise)],
        advice: Bilingual {
            en: "Find the machine that was copied with its agent's state folder, stop its agent, \
                 remove that folder, start it again.",
            zh: "找出连同 agent 状态目录一起被复制的那台机器，停止其 agent，删除该目录，\
                 再重新启动。",
        }
        .into(),
        silenced_by: &[],
    }
}
