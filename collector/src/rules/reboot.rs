//! A host that has booted.

use serde::{Deserialize, Serialize};

use super::boots::{Boot, MARGIN_MS, boots, uptime};
use super::judge::{Case, Condition, Judged, Subject};
use super::level::Hold;
use super::{Bilingual, Doc, Evidence, LONG_METRIC, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::words;

pub(super) const RULE: Rule = Rule {
    name: "reboot",
    title: Bilingual {
        en: "Host has booted",
        zh: "主机已重启",
    },
    watches: &[LONG_METRIC],
    doc: Doc {
        what: "Opens for information when a host that was known before has booted; closes 10 \
               minutes after that was seen, or when the host is down again. A host that is \
               seen for the first time after its boot is new. Keeps silent while clone_suspected \
               has the same host.",
        why: "A planned one is no risk. One that nobody planned is a crash, a power failure or \
              somebody who should not be there, and whatever does not start by itself is gone.",
        todo: "If nobody planned it: read the end of the log before it (`journalctl -b -1 -e`), who \
               asked for it (`last -x reboot shutdown`), and what the hardware says (`ipmitool sel \
               list`). See that all services are back (`systemctl --failed`).",
        example: "It booted 4 min ago; before that it had been up for 61 d 3 h.",
        source: "Up for less than 10 minutes after having been known: Netdata's \
                 system_reboot_detection and Zabbix's host restarted, which is a warning there.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When a boot is news.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// For this long after it was seen.
    pub last_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels { last_seconds: 600 }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let absent = "it does not say how long it has been up";
    case.each(uptime(case), absent, |uptime| subject(case, uptime))
}

fn subject(case: &Case<'_>, uptime: &Series) -> Subject {
    let last_ms = case.policy.reboot.last_seconds * 1000;
    let boot = boots(case, uptime)
        .pop()
        .filter(|boot| case.now_ms - boot.seen_ms < last_ms);
    // Another boot is another finding: the one before closes first.
    let is_another = |boot: &Boot| {
        case.previous("").is_some_and(|finding| {
            let since_ms = finding.since_ms + case.input.skew_ms();
            (since_ms - boot.at_ms).abs() > MARGIN_MS
        })
    };
    let boot_ms = boot.filter(|boot| !is_another(boot)).map(|boot| boot.at_ms);
    let seconds = case.current(uptime).unwrap_or(0.0);
    let (condition, summary) = match boot_ms {
        None => (
            Condition::Clear,
            format!("It has been up for {}.", words::seconds(seconds)),
        ),
        Some(since_ms) => {
            let before = uptime
                .latest(since_ms)
                .map_or(String::new(), |(_, before)| {
                    let before = words::seconds(before);
                    format!("; before that it had been up for {before}")
                });
            let hold = Hold::now(Severity::Info, since_ms);
            let ago = words::duration(case.now_ms - since_ms);
            (
                Condition::Holds(hold),
                format!("It booted {ago} ago{before}."),
            )
        }
    };
    Subject {
        name: String::new(),
        condition,
        summary,
        evidence: vec![
            Evidence::new("uptime", seconds, "seconds", LONG_METRIC)
                .against(last_ms as f64 / 1000.0),
        ],
        advice: Bilingual {
            en: "If nobody planned it: read the end of the log before it (`journalctl -b -1 -e`), \
                 see who asked for it (`last -x reboot shutdown`), and that all services are back \
                 (`systemctl --failed`).",
            zh: "如果不是计划内重启：查看重启前日志的末尾（`journalctl -b -1 -e`），\
                 查明是谁触发的（`last -x reboot shutdown`），并确认所有服务都已恢复（`systemctl \
                 --failed`）。",
        }
        .into(),
        silenced_by: &["clone_suspected"],
    }
}
