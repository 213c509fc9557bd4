//! A bond that has lost a line.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::series::derived::sibling;
use crate::words;

const SLAVES: &str = "node_bonding_slaves";
const ACTIVE: &str = "node_bonding_active";

pub(super) const RULE: Rule = Rule {
    name: "bond_degraded",
    title: Bilingual {
        en: "Bond without all of its lines",
        zh: "bond 缺少成员链路",
    },
    watches: &[SLAVES, ACTIVE],
    doc: Doc {
        what: "Opens as a warning when fewer interfaces of a bond have had a line than are \
               configured in it, for 5 minutes; closes when all are back.",
        why: "The bond exists so that one line may fail. Now one has, and the next one takes the \
              host off the network.",
        todo: "See which one it is (`cat /proc/net/bonding/BOND`), check cable, plug and port.",
        example: "bond0 has 1 of 2 lines.",
        source: "Any missing for 5 minutes: the node_exporter mixin.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When a bond is degraded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels { for_seconds: 300 }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let for_seconds = case.policy.bond_degraded.for_seconds;
    let bonds = case.input.window.all(ACTIVE);
    case.each(bonds, "it has no bond", |active| {
        let bond = active.label("master").unwrap_or("");
        let configured = sibling(&case.input.window, SLAVES, active)
            .and_then(|slaves| case.current(slaves))
            .unwrap_or(0.0);
        case.measured(Measured {
            name: bond,
            course: case.values(active).map(|active| configured - active),
            grades: &[(Severity::Warning, Band::new(1.0, 1.0), for_seconds)],
            what: "lines missing",
            unit: "count",
            selector: active.name.to_string(),
            words: &|missing| {
                format!(
                    "{bond} has {} of {} lines.",
                    words::count(configured - missing),
                    words::count(configured)
                )
            },
            advice: Bilingual {
                en: format!(
                    "See which one it is (`cat /proc/net/bonding/{bond}`), check cable, plug and \
                     port."
                ),
                zh: format!(
                    "确认是哪个成员接口（`cat /proc/net/bonding/{bond}`），检查线缆、接头和端口。"
                ),
            },
            silenced_by: &[],
        })
    })
}
