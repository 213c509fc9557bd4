//! CPU time that the hypervisor gave to others.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::series::derived::Share;
use crate::words;

const CPU: &str = "node_cpu_seconds_total";

pub(super) const RULE: Rule = Rule {
    name: "cpu_steal",
    title: Bilingual {
        en: "CPU stolen by other guests",
        zh: "CPU 被其他虚拟机抢占",
    },
    watches: &[CPU],
    doc: Doc {
        what: "Opens as a warning when more than 10 % of CPU time over 20 minutes was wanted by this \
               host and given to other guests by the hypervisor; closes below 5 %. Needs 10 \
               minutes of samples.",
        why: "The host is slower than its own numbers say, and nothing on it can be tuned to help.",
        todo: "Ask the provider for a move to another machine or for reserved cores; for burstable \
               instances, check the credits.",
        example: "14 % of CPU time was stolen by other guests over the last 20 min.",
        source: "10 → 5 % over 20 minutes: Netdata's 20min_steal_cpu; 10 %: \
                 awesome-prometheus-alerts.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When steal is a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Stolen ratio.
    pub warning: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.10, 0.05),
            average_seconds: 1200,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.cpu_steal;
    let steals = case.input.window.find(CPU, &[("mode", "steal")]);
    case.each(steals, "its system does not tell this time", |series| {
        let shares: Vec<Share> = case
            .cpu_times()
            .iter()
            .map(|cpu| cpu.share(|cpu| cpu.steal))
            .collect();
        case.measured(Measured {
            name: "",
            course: case.averages(series, &shares, levels.average_seconds),
            grades: &[(Severity::Warning, levels.warning, 0)],
            what: "steal",
            unit: "ratio",
            selector: format!("{CPU}{{mode=\"steal\"}}"),
            words: &|stolen| {
                format!(
                    "{} of CPU time was stolen by other guests over the last {}.",
                    words::share(stolen),
                    words::duration(levels.average_seconds * 1000)
                )
            },
            advice: Bilingual {
                en: "Ask the provider for a move to another machine or for reserved cores.",
                zh: "向服务商申请迁移到其他物理机，或申请预留 CPU 核心。",
            }
            .into(),
            silenced_by: &[],
        })
    })
}
