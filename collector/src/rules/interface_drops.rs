//! An interface that drops packets.

use serde::{Deserialize, Serialize};

use super::course::Part;
use super::devices::{self, device, interfaces};
use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const RECEIVE_DROPS: &str = "node_network_receive_drop_total";
const TRANSMIT_DROPS: &str = "node_network_transmit_drop_total";
const RECEIVED: &str = "node_network_receive_packets_total";
const SENT: &str = "node_network_transmit_packets_total";

pub(super) const RULE: Rule = Rule {
    name: "interface_drops",
    title: Bilingual {
        en: "Interface drops packets",
        zh: "网络接口丢包",
    },
    watches: &[RECEIVE_DROPS, TRANSMIT_DROPS, RECEIVED, SENT],
    doc: Doc {
        what: "Opens as a warning when more than 2 % of the packets received or to be sent by an \
               interface in the last 10 minutes were dropped (wireless: 10 %), for 5 minutes; closes \
               below 1 % (wireless: 5 %). Only with at least 10,000 packets received, or 1,000 sent, \
               in those 10 minutes: drops among little traffic are usually frames for nobody here. \
               Keeps silent while link_busy has the same host. Interfaces of containers and tunnels \
               are left out.",
        why: "What is dropped is sent again, after a wait, or is lost for good. The host takes in \
              more than it gets through, or sends more than the line takes.",
        todo: "Received: see whether one processor does all the work (`mpstat -P ALL 5`, softirq), \
               and enlarge the ring (`ethtool -g DEVICE`, `ethtool -G DEVICE rx N`). Sent: the line \
               or its shaping is the limit (`tc -s qdisc`).",
        example: "eth0 dropped 3.1 % of its packets in the last 10 min.",
        source: "2 % over 10 minutes with more than 10,000 packets received or 1,000 sent, 10 % on \
                 wireless: Netdata's packet drop ratios. Half of that to close is our own.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When drops are a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Dropped packets ÷ packets, in the worse direction.
    pub warning: Band,
    /// The same of wireless interfaces.
    pub wireless_warning: Band,
    /// Over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
    /// Only with at least this many packets received in that time …
    pub received_min: f64,
    /// … or sent.
    pub sent_min: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.02, 0.01),
            wireless_warning: Band::new(0.10, 0.05),
            average_seconds: 600,
            for_seconds: 300,
            received_min: 10_000.0,
            sent_min: 1000.0,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.interface_drops;
    let directions = [
        Part {
            part: RECEIVE_DROPS,
            whole: RECEIVED,
            whole_min: levels.received_min,
        },
        Part {
            part: TRANSMIT_DROPS,
            whole: SENT,
            whole_min: levels.sent_min,
        },
    ];
    let all = interfaces(case, RECEIVE_DROPS);
    case.each(all, devices::NO_INTERFACE, |series| {
        let device = device(series);
        let band = match device.starts_with("wl") {
            true => levels.wireless_warning,
            false => levels.warning,
        };
        let (course, selector) = case.worst_part(series, &directions, levels.average_seconds);
        case.measured(Measured {
            name: device,
            course,
            grades: &[(Severity::Warning, band, levels.for_seconds)],
            what: "dropped ÷ all packets",
            unit: "ratio",
            selector,
            words: &|dropped| {
                format!(
                    "{device} dropped {} of its packets in the last {}.",
                    words::percent(dropped),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: format!(
                    "Received: see whether one processor does all the work (`mpstat -P ALL 5`), \
                     enlarge the ring (`ethtool -g {device}`). Sent: the line or its shaping is \
                     the limit (`tc -s qdisc`)."
                ),
                zh: format!(
                    "接收方向：查看是否由单个处理器承担了全部工作（`mpstat -P ALL 5`），\
                     增大环形缓冲区（`ethtool -g {device}`）。发送方向：\
                     瓶颈在于线路或流量整形（`tc -s qdisc`）。"
                ),
            },
            silenced_by: &["link_busy"],
        })
    })
}
