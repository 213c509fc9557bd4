//! A line that is almost full.

use serde::{Deserialize, Serialize};

use super::devices::{device, interfaces};
use super::judge::{Case, Judged, Measured, Subject};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::series::derived::sibling;
use crate::words;

const RECEIVED: &str = "node_network_receive_bytes_total";
const SENT: &str = "node_network_transmit_bytes_total";
const SPEED: &str = "node_network_speed_bytes";

pub(super) const RULE: Rule = Rule {
    name: "link_busy",
    title: Bilingual {
        en: "Line almost full",
        zh: "链路带宽即将占满",
    },
    watches: &[RECEIVED, SENT, SPEED],
    doc: Doc {
        what: "Opens as a warning when an interface has used more than 90 % of its line's speed, in \
               the busier direction and on average over 5 minutes, for 10 minutes; closes below 85 \
               %. Interfaces whose speed is not known (most virtual machines) are not judged, nor \
               are those of containers and tunnels.",
        why: "On a full line everything waits for everything, and packets are dropped: a backup \
              slows down the shop.",
        todo: "See who uses it (`iftop -i DEVICE`, `nethogs`). Give bulk traffic a limit or another \
               time, or plan a faster line.",
        example: "eth0 used 94 % of its 1 Gbit/s over the last 5 min.",
        source: "90 → 85 % of a known speed: Netdata's traffic overflow alarms. Over 5 minutes: \
                 awesome-prometheus-alerts, which says 80 %.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When a line is almost full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Bytes ÷ what the line can carry, in the busier direction.
    pub warning: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
    /// And above the level for this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.90, 0.85),
            average_seconds: 300,
            for_seconds: 600,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let known = interfaces(case, SPEED)
        .filter(|speed| case.current(speed).is_some_and(|bytes| bytes > 0.0))
        .filter(|speed| sibling(&case.input.window, RECEIVED, speed).is_some());
    let absent = "it reports no interface with a known speed";
    case.each(known, absent, |speed| subject(case, speed))
}

fn subject(case: &Case<'_>, speed: &Series) -> Subject {
    let levels = &case.policy.link_busy;
    let device = device(speed);
    let rates = |metric| {
        let series = sibling(&case.input.window, metric, speed)?;
        Some(case.rates(series, levels.average_seconds))
    };
    let received = rates(RECEIVED).unwrap_or_default();
    let sent = rates(SENT).unwrap_or_default();
    let busier = match sent.now > received.now {
        true => SENT,
        false => RECEIVED,
    };
    let full = case.current(speed).unwrap_or(f64::INFINITY);
    case.measured(Measured {
        name: device,
        course: received.worse(sent).map(|bytes| bytes / full),
        grades: &[(Severity::Warning, levels.warning, levels.for_seconds)],
        what: "share of the line's speed",
        unit: "ratio",
        selector: format!("{busier}{{device=\"{device}\"}}"),
        words: &|used| {
            format!(
                "{device} used {} of its {} over the last {}.",
                words::share(used),
                words::bits_per_second(full),
                words::duration(levels.average_seconds * 1000)
            )
        },
        advice: Bilingual {
            en: format!(
                "See who uses it (`iftop -i {device}`, `nethogs`): give bulk traffic a limit or \
                 another time, or plan a faster line."
            ),
            zh: format!(
                "查看是谁在占用带宽（`iftop -i {device}`、`nethogs`）：对大流量任务限速或错峰，\
                 或者规划更高的带宽。"
            ),
        },
        silenced_by: &[],
    })
}
