//! A host that nobody uses.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::Moment;
use super::weeks::{CPU, DAYS, RECEIVED, SENT, Weeks};
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::device::is_interface;
use crate::words;

pub(super) const RULE: Rule = Rule {
    name: "host_idle",
    title: Bilingual {
        en: "Host that nobody uses",
        zh: "主机闲置",
    },
    watches: &[
        "node_cpu_seconds_total",
        "node_network_receive_bytes_total",
        "node_network_transmit_bytes_total",
    ],
    doc: Doc {
        what: "Looks at the last 14 days that are over, of which 12 must be known. Opens for \
               information when the CPU was less than 5 % busy even in the busiest hour, and all \
               interfaces of its own together received and sent less than 20 MB a day. Closes at \
               one and a half times as much of either.",
        why: "It costs what a used one costs, and is patched by nobody, because nobody knows what \
              it is for.",
        todo: "Ask its owner. Switch it off for two weeks before it is given back \
               (`hostwell host retire` keeps its history). A stand-by belongs into a group whose \
               overrides disable this rule.",
        example: "In 14 days its busiest hour took 2.1 % of the CPU, and its network carried 9 \
                  MiB a day.",
        source: "Less than 5 % CPU at the peak over 14 days: AWS Compute Optimizer. Its 5 MB a \
                 day are 20 here, because the agent sends some itself.",
    },
    past: &[CPU, RECEIVED, SENT],
    when_down: WhenDown::Waits,
    judge,
};

/// When a host is idle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Busy part of the CPU in the busiest hour.
    pub cpu_busiest_hour: f64,
    /// Received and sent, of all interfaces.
    pub bytes_a_day: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            cpu_busiest_hour: 0.05,
            bytes_a_day: 20e6,
        }
    }
}

/// It is over at so many times as much.
const KEEP: f64 = 1.5;

fn judge(case: &Case<'_>) -> Judged {
    let Some(past) = &case.input.past else {
        return Judged::Kept;
    };
    let weeks = match Weeks::of(past, CPU) {
        Ok(weeks) => weeks,
        Err(why) => return Judged::NotEnoughData(why),
    };
    let lines = || past.all(RECEIVED).iter().chain(past.all(SENT));
    let own = lines().filter(|s| is_interface(s.label("device").unwrap_or_default()));
    let each: Vec<f64> = own.filter_map(|s| mean(&s.values)).collect();
    if each.is_empty() {
        return Judged::NotApplicable("it reports no network interface of its own".into());
    }
    let a_day = each.iter().sum::<f64>() * 86_400.0;
    Judged::Subjects(vec![subject(case, past.to_ms, weeks.busiest, a_day)])
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn subject(case: &Case<'_>, time_ms: i64, busiest: f64, a_day: f64) -> Subject {
    let levels = &case.policy.host_idle;
    let below = |times: f64| {
        busiest < levels.cpu_busiest_hour * times && a_day < levels.bytes_a_day * times
    };
    let moment = Moment {
        time_ms,
        raise: below(1.0),
        keep: below(KEEP),
    };
    let condition: Condition = case.condition(&[case.grade("", Severity::Info, 0, [moment])]);
    Subject {
        name: String::new(),
        condition,
        summary: format!(
            "In {DAYS} days its busiest hour took {} of the CPU, and its network carried {} a day.",
            words::share(busiest),
            words::bytes(a_day)
        ),
        evidence: vec![
            Evidence::new("busy CPU, busiest hour", busiest, "ratio", CPU.metric)
                .against(levels.cpu_busiest_hour),
            Evidence::new("received and sent a day", a_day, "bytes", RECEIVED.metric)
                .against(levels.bytes_a_day),
        ],
        advice: Bilingual {
            en: "Ask its owner whether it is needed; switch it off for two weeks before it is \
                 given back.",
            zh: "向负责人确认是否还需要；归还之前先关机观察两周。",
        }
        .into(),
        silenced_by: &[],
    }
}
