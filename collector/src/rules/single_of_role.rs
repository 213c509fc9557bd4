//! A host without which its role is gone.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Subject};
use super::level::Moment;
use super::{Bilingual, Doc, Evidence, LONG_METRIC, Rule, Severity, WhenDown};
use crate::words;

pub(super) const RULE: Rule = Rule {
    name: "single_of_role",
    title: Bilingual {
        en: "Single host of a role",
        zh: "角色仅有一台主机",
    },
    watches: &[],
    doc: Doc {
        what: "Counts the hosts that were heard of within the last day by their labels `role`, \
               `service` and `env`; retired ones are left out. Opens for information when a host \
               has been the only one of its role for a day, closes when there is another. Hosts \
               without the label `role` are not judged, and none is in the first hour after the \
               collector was away.",
        why: "When it fails, all that it does is gone until it is back: there is none to take \
              over, and none to work meanwhile when it has to be maintained.",
        todo: "Decide whether the role may be away for as long as a new host takes. If not, add a \
               second one; if so, note that (`hostwell risk mute` with a note, or an override \
               that disables the rule for the group).",
        example: "It is the only host of role=db, env=prod: when it fails, nothing takes over.",
        source: "Single points of failure as a chapter of what is planned: section 6.4 of \
                 the peers' survey. A day, because hosts come one after the other.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When a host is alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            for_seconds: 86_400,
        }
    }
}

/// By then the others have been heard of after the collector was away.
const BACK_MS: i64 = 3_600_000;

fn judge(case: &Case<'_>) -> Judged {
    let Some(group) = &case.input.group else {
        return Judged::NotApplicable("it has no label role".into());
    };
    let own_ms = case.now_ms - case.input.skew_ms();
    let watching_since_ms = case.input.watching_since_ms;
    if watching_since_ms.is_none_or(|since_ms| own_ms - since_ms < BACK_MS) {
        return Judged::NotEnoughData(format!(
            "the collector has been watching for less than {}",
            words::duration(BACK_MS)
        ));
    }
    let alone = group.hosts <= 1;
    let moment = Moment {
        time_ms: case.now_ms,
        raise: alone,
        keep: alone,
    };
    let for_seconds = case.policy.single_of_role.for_seconds;
    let name = &group.name;
    let grade = case.grade(name, Severity::Info, for_seconds, [moment]);
    Judged::Subjects(vec![Subject {
        name: name.to_string(),
        condition: case.condition(&[grade]),
        summary: match alone {
            true => {
                format!("It is the only host of {name}: when it fails, nothing takes over.")
            }
            false => format!("It is one of {} hosts of {name}.", group.hosts),
        },
        evidence: vec![
            Evidence::new("hosts", group.hosts as f64, "count", LONG_METRIC).against(1.0),
        ],
        advice: Bilingual {
            en: "Decide whether what it does may be away for as long as a new host takes; if not, \
                 add a second one.",
            zh: "评估在新主机就绪之前，它所承担的服务能否一直中断；如果不能，再增加一台。",
        }
        .into(),
        silenced_by: &[],
    }])
}
