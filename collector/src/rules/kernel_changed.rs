//! A host that runs another kernel than before.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::Hold;
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::Series;

const UNAME: &str = "node_uname_info";

pub(super) const RULE: Rule = Rule {
    name: "kernel_changed",
    title: Bilingual {
        en: "Other kernel than before",
        zh: "内核版本变更",
    },
    watches: &[UNAME],
    doc: Doc {
        what: "Opens for information when a host runs another kernel than within the last hour \
               before; closes an hour after the old one was last seen. A host that was away for \
               longer between the two is not noticed.",
        why: "When something behaves differently from today on, this is the first suspect.",
        todo: "Nothing, if it was planned. If not, see who installed it (`/var/log/dpkg.log`, `dnf \
               history`) and why the host booted.",
        example: "The kernel changed from 6.1.0-26-amd64 to 6.1.0-27-amd64.",
        source: "Any change within an hour, for information: awesome-prometheus-alerts.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When a change is news.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// For this long after the old kernel was last seen.
    pub last_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels { last_seconds: 3600 }
    }
}

/// What tells one kernel from another: the other labels tell the host.
fn kernel(series: &Series) -> [Option<&str>; 2] {
    ["release", "version"].map(|label| series.label(label))
}

fn judge(case: &Case<'_>) -> Judged {
    let all = case.input.window.all(UNAME);
    let newest = all.iter().max_by_key(|series| series.times_ms.last());
    let absent = "it does not say which kernel it runs";
    case.each(newest, absent, |now| {
        let last_ms = case.policy.kernel_changed.last_seconds * 1000;
        let before = all
            .iter()
            .filter(|series| kernel(series) != kernel(now))
            .filter(|series| series.times_ms.last() < now.times_ms.first())
            .max_by_key(|series| series.times_ms.last())
            .filter(|series| {
                let seen_ms = series.times_ms.last();
                seen_ms.is_some_and(|seen_ms| case.now_ms - seen_ms < last_ms)
            });
        subject(now, before)
    })
}

fn subject(now: &Series, before: Option<&Series>) -> Subject {
    let release = |series: &Series| series.label("release").unwrap_or("another").to_owned();
    let (condition, summary) = match before.zip(now.times_ms.first()) {
        None => (
            Condition::Clear,
            format!("It runs kernel {}.", release(now)),
        ),
        Some((before, since_ms)) => {
            let hold = Hold::now(Severity::Info, *since_ms);
            let (from, to) = (release(before), release(now));
            let summary = match from == to {
                true => format!("The kernel {to} was built anew."),
                false => format!("The kernel changed from {from} to {to}."),
            };
            (Condition::Holds(hold), summary)
        }
    };
    Subject {
        name: String::new(),
        condition,
        summary,
        evidence: vec![Evidence::new("kernel", 1.0, "count", UNAME)],
        advice: Bilingual {
            en: "Nothing, if it was planned; if not, see who installed it (`/var/log/dpkg.log`, \
                 `dnf history`) and why the host booted.",
            zh: "如果是计划内变更，无需处理；否则查明是谁安装的（`/var/log/dpkg.log`、`dnf \
                 history`），以及主机为何重启。",
        }
        .into(),
        silenced_by: &["clone_suspected"],
    }
}
