//! TCP that sends again.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const AGAIN: &str = "node_netstat_Tcp_RetransSegs";
const SENT: &str = "node_netstat_Tcp_OutSegs";

pub(super) const RULE: Rule = Rule {
    name: "tcp_retransmits",
    title: Bilingual {
        en: "TCP sends much again",
        zh: "TCP 重传过多",
    },
    watches: &[AGAIN, SENT],
    doc: Doc {
        what: "Opens as a warning when in the last 10 minutes more than 5 in 100 TCP segments had to \
               be sent again, and that for 10 minutes; closes below 3. Only with at least 10,000 \
               segments sent in those 10 minutes. Keeps silent while interface_errors, \
               interface_drops, link_busy or link_degraded have the same host: they say why.",
        why: "Each of them is a wait of a fifth of a second or more for somebody. The network \
              between this host and those it talks to loses packets, or they do not answer.",
        todo: "See to whom (`ss -ti | grep -B1 retrans`). One peer: look at that peer and the way \
               to it. All: look at this host's line, its switch port, its firewall.",
        example: "TCP sent 6.2 % of its segments again in the last 10 min.",
        source: "The signal: the USE method's saturation of the network. The levels are our own: \
                 below 1 % is usual, and none of the accepted rule sets has one. The least number \
                 is Netdata's for dropped packets.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When sending again is a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Segments sent again ÷ segments sent.
    pub warning: Band,
    /// Over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
    /// Only with at least this many segments sent in that time.
    pub segments_min: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.05, 0.03),
            average_seconds: 600,
            for_seconds: 600,
            segments_min: 10_000.0,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.tcp_retransmits;
    let window = &case.input.window;
    let both = window.find(AGAIN, &[]).zip(window.find(SENT, &[]));
    let absent = "it does not report what TCP sends";
    case.each(both.map(|(again, _)| again), absent, |again| {
        let span = levels.average_seconds;
        let course = both.map(|(_, sent)| case.parts(again, sent, span, levels.segments_min));
        case.measured(Measured {
            name: "",
            course: course.unwrap_or_default(),
            grades: &[(Severity::Warning, levels.warning, levels.for_seconds)],
            what: "sent again ÷ sent",
            unit: "ratio",
            selector: AGAIN.into(),
            words: &|part| {
                format!(
                    "TCP sent {} of its segments again in the last {}.",
                    words::percent(part),
                    words::duration(span * 1000)
                )
            },
            advice: Bilingual {
                en: "See to whom (`ss -ti | grep -B1 retrans`): one peer, or all of them; then \
                     look at that peer, or at this host's line and switch port.",
                zh: "查看重传发往谁（`ss -ti | grep -B1 retrans`）：如果只有一个对端，检查该对端；\
                     如果所有对端都有，检查本机的线路和交换机端口。",
            }
            .into(),
            silenced_by: &[
                "interface_errors",
                "interface_drops",
                "link_busy",
                "link_degraded",
            ],
        })
    })
}
