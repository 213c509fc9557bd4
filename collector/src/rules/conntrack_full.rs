//! A firewall that cannot keep track of more connections.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged};
use super::limits::{self, Limited};
use super::{Band, Bilingual, Doc, Rule, WhenDown};

const ENTRIES: &str = "node_nf_conntrack_entries";
const LIMIT: &str = "node_nf_conntrack_entries_limit";

pub(super) const RULE: Rule = Rule {
    name: "conntrack_full",
    title: Bilingual {
        en: "Firewall's table of connections almost full",
        zh: "防火墙连接跟踪表即将耗尽",
    },
    watches: &[ENTRIES, LIMIT],
    doc: Doc {
        what: "Opens as a warning when the firewall has kept track of more than 75 % of the \
               connections it can for 5 minutes, as critical above 90 %; closes below 70 and 85 %.",
        why: "When the table is full new connections are dropped without a word: to users and \
              monitors the host is there and not there, at random.",
        todo: "See what fills it (`conntrack -S`, `conntrack -L | awk '{print $3, $4}' | sort | uniq \
               -c | sort -n | tail`). An attack or a chatty service: limit it. Wanted: raise \
               `net.netfilter.nf_conntrack_max`, or take traffic that needs no tracking out of it.",
        example: "203,000 of 262,144 tracked connections are in use (77 %).",
        source: "75 %: the node_exporter mixin. 90 → 85 %: Netdata's netfilter_conntrack_full. 5 \
                 minutes: awesome-prometheus-alerts.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When the table is almost full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Connections ÷ limit.
    pub warning: Band,
    /// The same.
    pub critical: Band,
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.75, 0.70),
            critical: Band::new(0.90, 0.85),
            for_seconds: 300,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let levels = &case.policy.conntrack_full;
    limits::judge(
        case,
        &Limited {
            used: window.find(ENTRIES, &[]),
            limit: window.current(LIMIT, &[], case.now_ms),
            things: "tracked connections",
            advice: Bilingual {
                en: "See what fills the table (`conntrack -S`; `conntrack -L`): limit it, or raise \
                     `net.netfilter.nf_conntrack_max`.",
                zh: "查看是什么占满了连接跟踪表（`conntrack -S`、`conntrack -L`）：加以限制，\
                     或调大 `net.netfilter.nf_conntrack_max`。",
            },
            absent: "its firewall keeps no track of connections",
            warning: levels.warning,
            critical: levels.critical,
            for_seconds: levels.for_seconds,
        },
    )
}
