//! A service that does not take its connections in time.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const OVERFLOWS: &str = "node_netstat_TcpExt_ListenOverflows";

pub(super) const RULE: Rule = Rule {
    name: "listen_overflows",
    title: Bilingual {
        en: "Connections lost before they were accepted",
        zh: "连接在被接受前丢失",
    },
    watches: &[OVERFLOWS],
    doc: Doc {
        what: "Opens as a warning when over 5 minutes more than 1 connection a second was lost \
               because a program did not accept in time, as critical above 5; closes below 0.5 and \
               1.",
        why: "Users see a service that does not answer, while it runs and its host looks idle.",
        todo: "See which service has a full queue (`ss -ltn`: Recv-Q near Send-Q). It has too few \
               workers or hangs; a longer queue (its backlog, `net.core.somaxconn`) helps against \
               peaks only.",
        example: "3.2 connections a second were lost over the last 5 min: a program does not \
                  accept in time.",
        source: "1 and 5 a second: Netdata's accept queue alarms, there over 1 minute; these \
                 counters are read once a minute. Critical clears at 1 as there.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When lost connections are a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Lost connections a second.
    pub warning: Band,
    /// Lost connections a second.
    pub critical: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(1.0, 0.5),
            critical: Band::new(5.0, 1.0),
            average_seconds: 300,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.listen_overflows;
    let counter = case.input.window.find(OVERFLOWS, &[]);
    case.each(counter, "it does not count lost connections", |series| {
        case.measured(Measured {
            name: "",
            course: case.rates(series, levels.average_seconds),
            grades: &[
                (Severity::Warning, levels.warning, 0),
                (Severity::Critical, levels.critical, 0),
            ],
            what: "connections lost",
            unit: "per_second",
            selector: OVERFLOWS.into(),
            words: &|lost| {
                format!(
                    "{} connections a second were lost over the last {}: a program does not \
                     accept in time.",
                    words::number(lost),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: "See which service has a full queue (`ss -ltn`: Recv-Q near Send-Q): it has \
                     too few workers or hangs.",
                zh: "查看是哪个服务的队列已满（`ss -ltn`：Recv-Q 接近 Send-Q）：其工作进程过少，\
                     或者已经卡住。",
            }
            .into(),
            silenced_by: &[],
        })
    })
}
