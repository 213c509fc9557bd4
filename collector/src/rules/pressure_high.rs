//! Tasks that wait for CPU, memory or disks.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Judged, Measured, Subject};
use super::{Band, Bilingual, Doc, Rule, Severity, WhenDown};
use crate::words;

const CPU: &str = "node_pressure_cpu_waiting_seconds_total";
const MEMORY: &str = "node_pressure_memory_stalled_seconds_total";
const IO: &str = "node_pressure_io_stalled_seconds_total";

pub(super) const RULE: Rule = Rule {
    name: "pressure_high",
    title: Bilingual {
        en: "Tasks wait for a resource",
        zh: "任务等待资源",
    },
    watches: &[CPU, MEMORY, IO],
    doc: Doc {
        what: "Reads the kernel's pressure figures over the last 10 minutes. CPU: opens as a \
               warning when some task was waiting for a CPU more than 40 % of the time, and that \
               for another 10 minutes; closes below 25 %. Memory: when all tasks stood still for \
               lack of memory more than 10 % of the time (critical 40 %), closes below 5 and 20 \
               %. Disks: when all tasks stood still for a disk more than 40 % of the time, closes \
               below 25 %. Pressure on CPU and memory keeps silent while cpu_saturation, \
               cpu_steal, memory_low or swap_thrashing have the same host, pressure on disks while \
               disk_slow or disk_queue have it: they name the cause. \
               Kernels without pressure figures are judged by load_high.",
        why: "This is what users feel: time in which work could go on and does not.",
        todo: "CPU: see who computes (`top`) and spread it. Memory: see who holds it (`ps aux \
               --sort=-rss | head`). Disks: see who reads and writes (`iotop -o`, `pidstat -d 5`) \
               and whether the device is slow or merely asked too much.",
        example: "All tasks stood still for a disk 52 % of the time over the last 10 min.",
        source: "Pressure before load: what Netdata's users ask for (netdata issue 17178). The \
                 levels are our own; for comparison, systemd-oomd begins to kill at 60 % memory \
                 pressure.",
    },
    past: &[],
    when_down: WhenDown::Over,
    judge,
};

/// When waiting is a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Share of time in which some task waited for a CPU.
    pub cpu_warning: Band,
    /// For this long; longer than the averages of the rules that would name the cause.
    pub cpu_for_seconds: i64,
    /// Share of time in which all tasks stood still for memory.
    pub memory_warning: Band,
    /// The same.
    pub memory_critical: Band,
    /// Share of time in which all tasks stood still for a disk.
    pub io_warning: Band,
    /// Averaged over this long.
    pub average_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            cpu_warning: Band::new(0.40, 0.25),
            cpu_for_seconds: 600,
            memory_warning: Band::new(0.10, 0.05),
            memory_critical: Band::new(0.40, 0.20),
            io_warning: Band::new(0.40, 0.25),
            average_seconds: 600,
        }
    }
}

/// One resource.
struct Resource<'a> {
    name: &'static str,
    metric: &'static str,
    grades: &'a [(Severity, Band, i64)],
    sentence: &'static str,
    advice: Bilingual<&'static str>,
    silenced_by: &'static [&'static str],
}

fn judge(case: &Case<'_>) -> Judged {
    let levels = &case.policy.pressure_high;
    let resources = [
        Resource {
            name: "cpu",
            metric: CPU,
            grades: &[(
                Severity::Warning,
                levels.cpu_warning,
                levels.cpu_for_seconds,
            )],
            sentence: "Some task was waiting for a CPU",
            advice: Bilingual {
                en: "See who computes (`top`) and spread it, or plan more cores.",
                zh: "查看是谁在占用 CPU（`top`），分散负载，或规划更多核心。",
            },
            silenced_by: &["cpu_saturation", "cpu_steal"],
        },
        Resource {
            name: "memory",
            metric: MEMORY,
            grades: &[
                (Severity::Warning, levels.memory_warning, 0),
                (Severity::Critical, levels.memory_critical, 0),
            ],
            sentence: "All tasks stood still for lack of memory",
            advice: Bilingual {
                en: "See who holds the memory (`ps aux --sort=-rss | head`): limit it, move it, or \
                     add memory.",
                zh: "查看是谁占用了内存（`ps aux --sort=-rss | head`）：限制其用量，将其迁走，\
                     或增加内存。",
            },
            silenced_by: &["memory_low", "swap_thrashing"],
        },
        Resource {
            name: "io",
            metric: IO,
            grades: &[(Severity::Warning, levels.io_warning, 0)],
            sentence: "All tasks stood still for a disk",
            advice: Bilingual {
                en: "See who reads and writes (`iotop -o`, `pidstat -d 5`), and whether the device \
                     is slow or merely asked too much.",
                zh: "查看是谁在读写（`iotop -o`、`pidstat -d 5`），并判断是设备本身慢，\
                     还是请求过多。",
            },
            silenced_by: &["disk_slow", "disk_queue"],
        },
    ];
    if resources
        .iter()
        .all(|r| case.input.window.all(r.metric).is_empty())
    {
        return Judged::NotApplicable(
            "this kernel does not report pressure; load_high judges instead".into(),
        );
    }
    let subjects = resources.iter().filter_map(|r| subject(case, r)).collect();
    Judged::Subjects(subjects)
}

fn subject(case: &Case<'_>, resource: &Resource<'_>) -> Option<Subject> {
    let average_seconds = case.policy.pressure_high.average_seconds;
    let series = case.input.window.find(resource.metric, &[])?;
    Some(case.measured(Measured {
        name: resource.name,
        course: case.rates(series, average_seconds),
        grades: resource.grades,
        what: "share of time",
        unit: "ratio",
        selector: resource.metric.into(),
        words: &|waited| {
            format!(
                "{} {} of the time over the last {}.",
                resource.sentence,
                words::share(waited.min(1.0)),
                words::duration(average_seconds * 1000)
            )
        },
        advice: resource.advice.into(),
        silenced_by: resource.silenced_by,
    }))
}
