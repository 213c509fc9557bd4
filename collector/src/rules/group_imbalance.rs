//! A host that carries much more than the others of its role.

use serde::{Deserialize, Serialize};

use super::group::{DAYS, DAYS_MIN, Group, Shared, Work};
use super::judge::{Case, Condition, Judged, Subject};
use super::level::Moment;
use super::weeks::{CPU, MEMORY, RECEIVED, SENT};
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::words;

pub(super) const RULE: Rule = Rule {
    name: "group_imbalance",
    title: Bilingual {
        en: "Imbalance in a group",
        zh: "组内负载不均",
    },
    watches: &[
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_memory_MemAvailable_bytes",
        "node_network_receive_bytes_total",
        "node_network_transmit_bytes_total",
    ],
    doc: Doc {
        what: "Compares what a host carried in the mean of the last seven days, of which five must \
               be known, with the other hosts of its group: those with the same labels `role`, \
               `service`, `env` and `site`, at least four together, retired ones and those not \
               heard of for a day left out. Opens for information when busy CPU, used memory or \
               what the network carried is one and a half times the group's median, and beyond \
               it by 20 points (5 MB each second of the network) and by three and a half times \
               the group's usual spread. Closes at four fifths of these distances. A host without \
               the label `role` is not judged.",
        why: "The group can take no more than its busiest host: it is full while the others have \
              room, and one of them is bought for nothing.",
        todo: "See how work reaches it: weights and sticky sessions of the load balancer, a shard \
               or a tenant that is larger than others, jobs that run on one host only. Where it is \
               meant to be so (a primary and its copies), give it a `role` of its own, or disable \
               the rule for the group.",
        example: "Its CPU was 62 % busy in the mean of 7 days; the 6 hosts of role=web are at 21 % \
                  in the median.",
        source: "Median and median absolute deviation, 3.5 times: Iglewicz and Hoaglin's modified \
                 z-score. The least distances are our own: what is idle is never out of balance.",
    },
    past: &[CPU, MEMORY, RECEIVED, SENT],
    when_down: WhenDown::Waits,
    judge,
};

/// When a group is out of balance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// The fewest hosts of a group.
    pub hosts_min: usize,
    /// So many times the median.
    pub times: f64,
    /// So many usual spreads beyond the median.
    pub spreads: f64,
    /// Busy CPU beyond the median.
    pub cpu_beyond: f64,
    /// Used memory beyond the median.
    pub memory_beyond: f64,
    /// Bytes each second, received and sent, beyond the median.
    pub network_beyond_bytes: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            hosts_min: 4,
            times: 1.5,
            spreads: 3.5,
            cpu_beyond: 0.20,
            memory_beyond: 0.20,
            network_beyond_bytes: 5e6,
        }
    }
}

/// It is over at this part of the distance.
const KEEP: f64 = 0.8;
/// This part of the hosts must be known: after a start they become so one by one.
const KNOWN_MIN: f64 = 0.75;

impl Levels {
    fn beyond(&self, work: Work) -> f64 {
        match work {
            Work::Cpu => self.cpu_beyond,
            Work::Memory => self.memory_beyond,
            Work::Network => self.network_beyond_bytes,
        }
    }

    /// From what value on a host carries more than it should.
    fn level(&self, work: Work, shared: Shared, part: f64) -> f64 {
        let relative = (self.times - 1.0) * shared.median;
        let spread = self.spreads * shared.spread;
        let distance = relative.max(spread).max(self.beyond(work));
        shared.median + distance * part
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let Some(group) = &case.input.group else {
        return Judged::NotApplicable("it has no label role".into());
    };
    let (peers, hosts_min) = (&group.peers, case.policy.group_imbalance.hosts_min);
    if peers.hosts < hosts_min {
        return Judged::NotApplicable(format!(
            "{} of {} to be compared; at least {hosts_min} are needed",
            hosts(peers.hosts),
            peers.name
        ));
    }
    let Some(own) = group.own else {
        return Judged::Kept;
    };
    let of = |work| Some(subject(case, group, work, own.get(work)?));
    let subjects: Vec<Subject> = Work::ALL.into_iter().filter_map(of).collect();
    match subjects.is_empty() {
        true => Judged::NotEnoughData(format!(
            "fewer than {DAYS_MIN} of the last {DAYS} days are known"
        )),
        false => Judged::Subjects(subjects),
    }
}

fn hosts(count: usize) -> String {
    match count {
        1 => "there is 1 host".to_owned(),
        count => format!("there are {count} hosts"),
    }
}

fn subject(case: &Case<'_>, group: &Group, work: Work, own: f64) -> Subject {
    let levels = &case.policy.group_imbalance;
    let peers = &group.peers;
    let enough = (peers.hosts as f64 * KNOWN_MIN).max(levels.hosts_min as f64);
    let shared = peers.shared(work);
    let shared = shared.filter(|shared| shared.known as f64 >= enough);
    let (name, value): (_, fn(f64) -> String) = match work {
        Work::Cpu | Work::Memory => (work.name(), words::share),
        Work::Network => (work.name(), words::bytes_per_second),
    };
    let carried = match work {
        Work::Cpu => format!("Its CPU was {} busy", value(own)),
        Work::Memory => format!("Its memory was {} used", value(own)),
        Work::Network => format!("Its network carried {}", value(own)),
    };
    let (condition, others, evidence) = match shared {
        Some(shared) => {
            let raise = levels.level(work, shared, 1.0);
            let moment = Moment {
                time_ms: case.now_ms,
                raise: own >= raise,
                keep: own >= levels.level(work, shared, KEEP),
            };
            (
                case.condition(&[case.grade(name, Severity::Info, 0, [moment])]),
                format!("are at {} in the median", value(shared.median)),
                evidence(work, own, shared, raise),
            )
        }
        None => (
            Condition::Unknown,
            "are not known yet".to_owned(),
            Vec::new(),
        ),
    };
    Subject {
        name: name.to_owned(),
        condition,
        summary: format!(
            "{carried} in the mean of {DAYS} days; the {} hosts of {} {others}.",
            peers.hosts, peers.name
        ),
        evidence,
        advice: Bilingual {
            en: "See how work reaches it: the load balancer's weights, a larger shard or tenant, \
                 jobs that run here only.",
            zh: "查看负载是如何分配到这台主机的：负载均衡器的权重、较大的分片或租户、\
                 只在本机运行的任务。",
        }
        .into(),
        silenced_by: &[],
    }
}

fn evidence(work: Work, own: f64, shared: Shared, raise: f64) -> Vec<Evidence> {
    let (what, unit, selector) = match work {
        Work::Cpu => ("busy CPU, mean of a week", "ratio", CPU.metric),
        Work::Memory => ("used memory, mean of a week", "ratio", MEMORY.metric),
        Work::Network => (
            "received and sent, mean of a week",
            "bytes_per_second",
            RECEIVED.metric,
        ),
    };
    vec![
        Evidence::new(what, own, unit, selector).against(raise),
        Evidence::new("the group's median", shared.median, unit, selector),
        Evidence::new("the group's usual spread", shared.spread, unit, selector),
    ]
}
