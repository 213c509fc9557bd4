//! A host that does what it never does.

use serde::{Deserialize, Serialize};

use super::boots::booted_ms;
use super::judge::{Case, Condition, Judged, Subject};
use super::level::Hold;
use super::{
    Bilingual, Doc, Evidence, Finding, LONG_METRIC, Rule, Severity, WhenDown, clone_suspected,
    reboot,
};
use crate::anomaly::{Anomaly, FAR, Moved};
use crate::series::Selector;
use crate::words;
use hostwell_proto::metric::Metric;

pub(super) const RULE: Rule = Rule {
    name: "anomaly",
    title: Bilingual {
        en: "Host does what it never does",
        zh: "主机行为异常",
    },
    watches: &[
        "node_load1",
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_memory_MemAvailable_bytes",
        "node_filesystem_size_bytes",
        "node_filesystem_avail_bytes",
        "node_filesystem_free_bytes",
        "node_filesystem_readonly",
        "node_disk_io_time_seconds_total",
        "node_network_receive_bytes_total",
        "node_network_transmit_bytes_total",
        LONG_METRIC,
    ],
    doc: Doc {
        what: "Learns each host from itself: load, CPU, memory, file systems, disks and network by \
               the minute, their level, their course over the day, and how far they stray on an \
               ordinary day. Opens for information when two of them are, in the same minute, \
               more than 1.75 times as far away as on most days; closes when none was for 30 \
               minutes. Two whole days must be known. What happens within an hour after a boot \
               is the boot's doing. What begins on hosts of one `role` (and `service`, `env`) \
               within 30 minutes is one entry: it names the hosts and is open while one of them \
               goes on.",
        why: "What no level is set for shows itself so: a process that runs wild, a backup by \
              day, a service that nobody asks any more. It is where to look first when \
              something else is wrong, and seldom a risk by itself.",
        todo: "See what moved, and since when (`hostwell host NAME`); compare with what was \
               changed at that time. If it is meant to be so, nothing: in some days it is usual.",
        example: "Unusual at this hour: load 12 (usually 1.2; 3.4 of its usual daily extremes), \
                  used memory 93 % (usually 41 %; 2.1).",
        source: "Measured on five labelled sets of real hosts, one configuration for all: \
                 docs/anomaly.md (half a finding a host and week that no label explains).",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When an anomaly counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Not what began earlier than this after a boot.
    pub uptime_min_seconds: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            uptime_min_seconds: 3600.0,
        }
    }
}

/// What is known of a host's usual, and what is unusual now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unusual {
    /// Of how many series enough is known to judge them.
    pub known: usize,
    /// What is unusual now.
    pub on: Option<Anomaly>,
}

const ADVICE: Bilingual<&str> = Bilingual {
    en: "See what moved and since when (`hostwell host NAME`), and what was changed then; in some \
         days it is usual.",
    zh: "查看哪些指标异常、从何时开始（`hostwell host NAME`），以及当时有哪些变更；\
         持续几天后会被视为常态。",
};

fn judge(case: &Case<'_>) -> Judged {
    let Some(unusual) = &case.input.unusual else {
        return Judged::Kept;
    };
    if unusual.known == 0 {
        return Judged::NotEnoughData("fewer than two whole days are known of it".into());
    }
    let told = unusual.on.as_ref().filter(|on| !is_boot(case, on));
    Judged::Subjects(vec![match told {
        Some(anomaly) => subject(case, anomaly),
        None => Subject {
            name: String::new(),
            condition: Condition::Clear,
            summary: format!("All {} that is watched is as usual.", unusual.known),
            evidence: Vec::new(),
            advice: ADVICE.into(),
            silenced_by: &[],
        },
    }])
}

/// Whether it began so soon after a boot that it is the boot's doing.
fn is_boot(case: &Case<'_>, anomaly: &Anomaly) -> bool {
    let least_ms = case.policy.anomaly.uptime_min_seconds * 1000.0;
    booted_ms(case)
        .is_some_and(|ms| anomaly.start_ms < ms + least_ms as i64 && anomaly.last_ms >= ms)
}

fn subject(case: &Case<'_>, anomaly: &Anomaly) -> Subject {
    let before = case.previous("").map(|f| f.since_ms + case.input.skew_ms());
    let moved = anomaly.moved.iter().enumerate();
    let moved: Vec<String> = moved.map(|(i, one)| Seen::of(one).words(i == 0)).collect();
    let also: Vec<String> = anomaly
        .also
        .iter()
        .map(|m| Seen::of(m).words(false))
        .collect();
    let also = match also.is_empty() {
        true => String::new(),
        false => format!(" Since then also {}.", also.join(", ")),
    };
    Subject {
        name: String::new(),
        condition: Condition::Holds(Hold::now(
            Severity::Info,
            before.unwrap_or(anomaly.start_ms),
        )),
        summary: format!("Unusual at this hour: {}.{also}", moved.join(", ")),
        evidence: anomaly
            .moved
            .iter()
            .flat_map(|one| Seen::of(one).evidence())
            .collect(),
        advice: ADVICE.into(),
        silenced_by: &[reboot::RULE.name, clone_suspected::RULE.name],
    }
}

/// A number in words.
pub(super) fn value(unit: &str, value: f64) -> String {
    match unit {
        "ratio" => words::share(value),
        "bytes_per_second" => words::bytes_per_second(value),
        _ => words::number(value),
    }
}

/// What an entry says moved on its host, each one number: as [`Seen::evidence`] puts it.
pub(super) fn moved(finding: &Finding) -> impl Iterator<Item = &Evidence> {
    finding.evidence.iter().step_by(3)
}

/// What moved, in words for people.
struct Seen<'a> {
    moved: &'a Moved,
    what: String,
    unit: &'static str,
}

impl Seen<'_> {
    fn of(moved: &Moved) -> Seen<'_> {
        let selector = moved.series.parse::<Selector>().ok();
        let label = |name: &str| {
            let matchers = selector.iter().flat_map(|s| &s.matchers);
            let mut found = matchers.filter(|m| m.label == name);
            found
                .next()
                .and_then(|m| m.op.value())
                .unwrap_or_default()
                .to_owned()
        };
        let metric = selector.as_ref().and_then(|s| Metric::by_name(&s.metric));
        let (what, unit) = match metric {
            Some(Metric::Load1) => ("load".to_owned(), "count"),
            Some(Metric::MemoryUsedRatio) => ("used memory".to_owned(), "ratio"),
            Some(Metric::FilesystemUsedRatio) => {
                (format!("used space of {}", label("mountpoint")), "ratio")
            }
            Some(Metric::CpuBusyRatio) => ("busy CPU".to_owned(), "ratio"),
            Some(Metric::CpuIowaitRatio) => ("CPU waiting for disks".to_owned(), "ratio"),
            Some(Metric::CpuStealRatio) => ("stolen CPU".to_owned(), "ratio"),
            Some(Metric::NetReceiveRate) => (
                format!("received by {}", label("device")),
                "bytes_per_second",
            ),
            Some(Metric::NetTransmitRate) => {
                (format!("sent by {}", label("device")), "bytes_per_second")
            }
            Some(Metric::DiskBusyRatio) => (format!("busy {}", label("device")), "ratio"),
            _ => (moved.series.clone(), "count"),
        };
        Seen { moved, what, unit }
    }

    /// `first`: says in full what the last number is.
    fn words(&self, first: bool) -> String {
        let Moved {
            value,
            usual,
            times,
            ..
        } = self.moved;
        let (value, usual) = (
            self::value(self.unit, *value),
            self::value(self.unit, usual.max(0.0)),
        );
        let of = if first {
            " of its usual daily extremes"
        } else {
            ""
        };
        let times = words::number((times * 10.0).round() / 10.0);
        format!("{} {value} (usually {usual}; {times}{of})", self.what)
    }

    fn evidence(&self) -> [Evidence; 3] {
        let selector = &self.moved.series;
        let (usual, times) = (
            format!("{}, usual at this hour", self.what),
            format!("{}, in usual daily extremes", self.what),
        );
        [
            Evidence::new(&self.what, self.moved.value, self.unit, selector),
            Evidence::new(&usual, self.moved.usual, self.unit, selector),
            Evidence::new(&times, self.moved.times, "count", selector).against(FAR),
        ]
    }
}
