//! A line that is lost, or slower than it was.

use serde::{Deserialize, Serialize};

use super::devices::{self, device, interfaces};
use super::judge::{Case, Judged, Subject};
use super::level::{Grade, turned};
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::series::derived::sibling;
use crate::words;

const UP: &str = "node_network_up";
const SPEED: &str = "node_network_speed_bytes";

/// The evidence that remembers how fast the line was once that is out of the window.
const SPEED_BEFORE: &str = "speed before";

pub(super) const RULE: Rule = Rule {
    name: "link_degraded",
    title: Bilingual {
        en: "Line lost, or slower than before",
        zh: "链路中断或降速",
    },
    watches: &[UP, SPEED],
    doc: Doc {
        what: "Opens as a warning when an interface that was up within the last hour has been down \
               for 5 minutes, and for information when its line runs slower than it did; closes \
               when it is up, at the speed it had, or no longer there. An interface that was never \
               up is not missed. Interfaces of containers and tunnels are left out.",
        why: "One of two lines that is lost is not noticed until the other one goes. A line that \
              fell from 1000 to 100 Mbit/s is a cable about to fail, and a bottleneck until then.",
        todo: "Check cable, plug and port at both ends (`ethtool DEVICE`, `ip -s link show \
               DEVICE`). If it was taken out of use on purpose, remove the interface from the \
               configuration, or leave it out of what the agent reads.",
        example: "eth1 is down; it was up before.",
        source: "Down after having been up, and slower than before: Zabbix's network interface \
                 triggers (average and information). 5 minutes: the node_exporter mixin's bonding \
                 rule.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When a line is missed.
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
    let all = interfaces(case, UP);
    case.each(all, devices::NO_INTERFACE, |up| subject(case, up))
}

/// A line's speed in bytes a second: now, where the driver tells it, and the fastest it was.
#[derive(Clone, Copy)]
struct Speed {
    now: Option<f64>,
    before: f64,
}

fn subject(case: &Case<'_>, up: &Series) -> Subject {
    let device = device(up);
    let grade = |severity, moments| {
        case.grade(
            device,
            severity,
            case.policy.link_degraded.for_seconds,
            moments,
        )
    };
    let down = grade(Severity::Warning, turned(up, |up| up == 0.0));
    let speeds = sibling(&case.input.window, SPEED, up);
    let speed = speed(case, device, speeds);
    // A driver that does not tell the speed now says nothing about it.
    let slower = speeds.zip(speed.filter(|speed| speed.now.is_some()));
    let slower = slower.map(|(speeds, Speed { before, .. })| {
        grade(Severity::Info, turned(speeds, |speed| speed < before))
    });
    let is_up = up.values.last().copied().unwrap_or(0.0);
    let mut evidence = vec![Evidence::new("up", is_up, "count", &up.name).against(1.0)];
    if let Some(Speed { now, before }) = speed {
        let selector = format!("{SPEED}{{device=\"{device}\"}}");
        let told = |what, value| Evidence::new(what, value, "bytes_per_second", &selector);
        evidence.extend(now.map(|now| told("speed", now).against(before)));
        evidence.push(told(SPEED_BEFORE, before));
    }
    let grades: Vec<Grade> = slower.into_iter().chain([down]).collect();
    Subject {
        name: device.to_owned(),
        condition: case.condition(&grades),
        summary: summary(
            device,
            down,
            slower.and_then(|slower| slower.since_ms),
            speed,
        ),
        evidence,
        advice: Bilingual {
            en: format!(
                "Check cable, plug and port at both ends (`ethtool {device}`); if it was taken out \
                 of use on purpose, leave it out of what the agent reads."
            ),
            zh: format!(
                "检查两端的线缆、接头和端口（`ethtool {device}`）；如果是有意停用，将其从 agent \
                 的采集范围中排除。"
            ),
        },
        silenced_by: &[],
    }
}

/// Nothing where the driver has not told any since anybody remembers.
fn speed(case: &Case<'_>, device: &str, speeds: Option<&Series>) -> Option<Speed> {
    let remembered = case
        .previous(device)
        .and_then(|finding| finding.evidence.iter().find(|e| e.what == SPEED_BEFORE))
        .map(|evidence| evidence.value);
    let seen = speeds
        .iter()
        .flat_map(|speeds| speeds.values.iter().copied());
    Some(Speed {
        now: speeds.and_then(|speeds| case.current(speeds)),
        before: seen.chain(remembered).reduce(f64::max)?,
    })
}

fn summary(device: &str, down: Grade, slower_ms: Option<i64>, speed: Option<Speed>) -> String {
    if down.since_ms.is_some() {
        return format!("{device} is down; it was up before.");
    }
    match speed.filter(|_| slower_ms.is_some()) {
        Some(speed) => format!(
            "{device} runs at {}; it was {} before.",
            words::bits_per_second(speed.now.unwrap_or(0.0)),
            words::bits_per_second(speed.before)
        ),
        None => format!("{device} is as it was."),
    }
}
