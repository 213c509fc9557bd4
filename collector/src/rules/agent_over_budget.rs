//! An agent that takes more than it should.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured, Subject};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::series::Series;
use crate::words;

const CPU: &str = "hostwell_agent_cpu_seconds_total";
const MEMORY: &str = "hostwell_agent_resident_memory_bytes";

pub(super) const RULE: Rule = Rule {
    name: "agent_over_budget",
    title: Bilingual {
        en: "Agent takes more than it should",
        zh: "agent 资源占用超标",
    },
    watches: &[CPU, MEMORY],
    doc: Doc {
        what: "Opens as a warning when the agent has used more than 5 % of one CPU on average over \
               10 minutes, and that for 10 minutes, or has held more than 48 MiB of memory for 10 \
               minutes; closes below 3 % and 40 MiB.",
        why: "Who watches must not weigh. An agent that does not stay within its budget is slowed \
              down or killed by its own unit, and then nobody sees the host.",
        todo: "See which probe is slow (`hostwell query 'hostwell_probe_duration_seconds' --host \
               NAME`): very many devices, file systems or processes. Leave out what nobody needs, \
               or choose a longer interval. Tell us.",
        example: "The agent used 7.5 % of a CPU over the last 10 min.",
        source: "Our own: a quarter of the CPU and three quarters of the memory that the agent's \
                 systemd unit allows it (20 %, 64 MiB).",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// What an agent may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Share of one CPU.
    pub cpu: Band,
    /// The CPU's share is averaged over this long.
    pub average_seconds: i64,
    /// Resident memory.
    pub memory_bytes: Band,
    /// Both for this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        const MIB: f64 = (1u64 << 20) as f64;
        Levels {
            cpu: Band::new(0.05, 0.03),
            average_seconds: 600,
            memory_bytes: Band::new(48.0 * MIB, 40.0 * MIB),
            for_seconds: 600,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    let series = [CPU, MEMORY].map(|metric| window.find(metric, &[]));
    let absent = "what its agent takes is not reported";
    case.each(series.into_iter().flatten(), absent, |series| {
        match series.name.metric == CPU {
            true => cpu(case, series),
            false => memory(case, series),
        }
    })
}

const ADVICE: Bilingual<&str> = Bilingual {
    en: "See which probe is slow (`hostwell query hostwell_probe_duration_seconds`); leave out \
         devices nobody needs, or choose a longer interval.",
    zh: "查看哪个探针慢（`hostwell query hostwell_probe_duration_seconds`）；排除不需要的设备，\
         或调大采集间隔。",
};

fn cpu(case: &Case<'_>, series: &Series) -> Subject {
    let levels = &case.policy.agent_over_budget;
    case.measured(Measured {
        name: "cpu",
        course: case.rates(series, levels.average_seconds),
        grades: &[(Severity::Warning, levels.cpu, levels.for_seconds)],
        what: "share of a CPU",
        unit: "ratio",
        selector: CPU.into(),
        words: &|share| {
            format!(
                "The agent used {} of a CPU over the last {}.",
                words::percent(share),
                words::duration(levels.average_seconds * 1000)
            )
        },
        advice: ADVICE.into(),
        silenced_by: &[],
    })
}

fn memory(case: &Case<'_>, series: &Series) -> Subject {
    let levels = &case.policy.agent_over_budget;
    case.measured(Measured {
        name: "memory",
        course: case.values(series),
        grades: &[(Severity::Warning, levels.memory_bytes, levels.for_seconds)],
        what: "resident memory",
        unit: "bytes",
        selector: MEMORY.into(),
        words: &|bytes| format!("The agent holds {} of memory.", words::bytes(bytes)),
        advice: ADVICE.into(),
        silenced_by: &[],
    })
}
