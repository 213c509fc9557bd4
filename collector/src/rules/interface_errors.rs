//! An interface that breaks packets.

use serde::{Deserialize, Serialize};

use super::course::Part;
use super::devices::{self, device, interfaces};
use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const RECEIVE_ERRORS: &str = "node_network_receive_errs_total";
const TRANSMIT_ERRORS: &str = "node_network_transmit_errs_total";
const RECEIVED: &str = "node_network_receive_packets_total";
const SENT: &str = "node_network_transmit_packets_total";

pub(super) const RULE: Rule = Rule {
    name: "interface_errors",
    title: Bilingual {
        en: "Interface breaks packets",
        zh: "网络接口错包",
    },
    watches: &[RECEIVE_ERRORS, TRANSMIT_ERRORS, RECEIVED, SENT],
    doc: Doc {
        what: "Opens as a warning when more than 1 % of the packets received or sent by an \
               interface in the last 10 minutes were broken, and that for an hour; closes below 0.8 \
               %. Only with at least 1,000 packets in those 10 minutes. Interfaces of containers \
               and tunnels are left out.",
        why: "Broken packets are sent again, after a wait: connections over this interface are \
              slow and now and then break. The cause is nearly always a cable, a plug or a port, \
              and it gets worse.",
        todo: "See what kind of errors they are (`ethtool -S DEVICE | grep -i err`). Check that \
               both ends agree on speed and duplex (`ethtool DEVICE`), then change the cable, then \
               the port.",
        example: "eth0 broke 2.4 % of its packets in the last 10 min.",
        source: "1 % for an hour: the node_exporter mixin. 0.8 % to close: a fifth lower, as \
                 Zabbix's interface trigger recovers. A least number of packets, as Netdata asks.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When errors are a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Broken packets ÷ packets, in the worse direction.
    pub warning: Band,
    /// Over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
    /// Only with at least this many packets in that direction and time.
    pub packets_min: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.01, 0.008),
            average_seconds: 600,
            for_seconds: 3600,
            packets_min: 1000.0,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.interface_errors;
    let whole_min = levels.packets_min;
    let directions =
        [(RECEIVE_ERRORS, RECEIVED), (TRANSMIT_ERRORS, SENT)].map(|(part, whole)| Part {
            part,
            whole,
            whole_min,
        });
    let all = interfaces(case, RECEIVE_ERRORS);
    case.each(all, devices::NO_INTERFACE, |series| {
        let device = device(series);
        let (course, selector) = case.worst_part(series, &directions, levels.average_seconds);
        case.measured(Measured {
            name: device,
            course,
            grades: &[(Severity::Warning, levels.warning, levels.for_seconds)],
            what: "broken ÷ all packets",
            unit: "ratio",
            selector,
            words: &|broken| {
                format!(
                    "{device} broke {} of its packets in the last {}.",
                    words::percent(broken),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: format!(
                    "See what kind of errors they are (`ethtool -S {device} | grep -i err`), check \
                     speed and duplex of both ends, change the cable, then the port."
                ),
                zh: format!(
                    "查看错误类型（`ethtool -S {device} | grep -i err`），\
                     核对两端的速率和双工模式，先换线缆，再换端口。"
                ),
            },
            silenced_by: &[],
        })
    })
}
