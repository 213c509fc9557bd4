//! A filesystem that is almost full.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::{Grade, KEEP_BYTES};
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::series::derived::{Filesystem, Space, size_scaled, writable_filesystems};
use crate::words;

const SIZE: &str = "node_filesystem_size_bytes";
const AVAIL: &str = "node_filesystem_avail_bytes";

pub(super) const RULE: Rule = Rule {
    name: "disk_full",
    title: Bilingual {
        en: "Filesystem almost full",
        zh: "文件系统即将写满",
    },
    watches: &[
        SIZE,
        AVAIL,
        "node_filesystem_free_bytes",
        "node_filesystem_readonly",
    ],
    doc: Doc {
        what: "Watches every writable filesystem. Used is what df shows: used ÷ (used + available). \
               Opens as a warning when over 80 % is used and either less than 10 GB is left or the \
               last hour's pace fills it within 24 hours; as critical over 90 % used with less \
               than 5 GB or 4 hours left; both after 5 minutes. On filesystems above 20 GB the \
               percentages rise with size (1 TB: 86 and 93 %). Closes two points lower, or when a \
               quarter more than the absolute limit is free and the pace has halved.",
        why: "When a filesystem is full, databases stop, logs are lost, updates break half way, \
              and services fail in ways that look like anything but a full disk.",
        todo: "Find what grew (`du -xh --max-depth=2 MOUNTPOINT | sort -h | tail`), rotate or \
               delete it, or enlarge the filesystem. If it grows steadily, plan the extension \
               before the time left is shorter than your change window.",
        example: "/var is 93 % used: 3.4 GiB left, full in about 3 h 10 min at the pace of \
                  the last hour.",
        source: "Percent and absolute or time left: Zabbix's Linux template (80/90 %, 10/5 GB, 1 \
                 day). Lead times of 24 and 4 hours: the node_exporter mixin. Scaling by size: \
                 Checkmk's magic factor 0.9 at 20 GB, applied upwards only.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When a filesystem is almost full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Used ratio.
    pub warning: Band,
    /// Used ratio.
    pub critical: Band,
    /// Only with less than this available …
    pub warning_bytes_left: f64,
    /// … or full within this time at the last hour's pace.
    pub warning_hours_left: f64,
    /// The same for critical.
    pub critical_bytes_left: f64,
    /// The same for critical.
    pub critical_hours_left: f64,
    /// For this long.
    pub for_seconds: i64,
    /// Above `size_norm_bytes` the free part that is asked for shrinks by (size ÷ norm) to the
    /// power of this minus one; 1 turns it off.
    pub size_exponent: f64,
    /// Size at which the plain percentages hold.
    pub size_norm_bytes: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning: Band::new(0.80, 0.78),
            critical: Band::new(0.90, 0.88),
            warning_bytes_left: 10e9,
            warning_hours_left: 24.0,
            critical_bytes_left: 5e9,
            critical_hours_left: 4.0,
            for_seconds: 300,
            size_exponent: 0.9,
            size_norm_bytes: 20e9,
        }
    }
}

impl Levels {
    fn scaled(&self, band: Band, size: f64) -> Band {
        let scaled = |level| size_scaled(level, size, self.size_norm_bytes, self.size_exponent);
        Band::new(scaled(band.raise), scaled(band.clear))
    }
}

/// How many times as long it must last before the finding closes.
const KEEP_HOURS: f64 = 2.0;

fn judge(case: &Case<'_>) -> Judged {
    let window = &case.input.window;
    if window.all(SIZE).is_empty() {
        return Judged::NotEnoughData("no filesystem is reported".into());
    }
    let subjects: Vec<Subject> = writable_filesystems(window, case.now_ms)
        .iter()
        .filter_map(|filesystem| subject(case, filesystem))
        .collect();
    if subjects.is_empty() {
        return Judged::NotEnoughData("no writable filesystem has reported lately".into());
    }
    Judged::Subjects(subjects)
}

/// A filesystem as it stands.
struct Standing<'a> {
    filesystem: &'a Filesystem<'a>,
    /// Ascending.
    space: Vec<Space>,
    now: Space,
    left_hours: Option<f64>,
}

impl Standing<'_> {
    fn grade(
        &self,
        case: &Case<'_>,
        severity: Severity,
        band: Band,
        (bytes_left, hours_left): (f64, f64),
    ) -> Grade {
        let moments = self.space.iter().map(|space| {
            let short = |bytes: f64, hours: f64| {
                space.avail < bytes || self.left_hours.is_some_and(|left| left < hours)
            };
            band.at(space.time_ms, space.used_ratio).and(
                short(bytes_left, hours_left),
                short(bytes_left * KEEP_BYTES, hours_left * KEEP_HOURS),
            )
        });
        let for_seconds = case.policy.disk_full.for_seconds;
        case.grade(self.filesystem.mountpoint, severity, for_seconds, moments)
    }

    fn summary(&self) -> String {
        let pace = match self.left_hours {
            Some(hours) if hours < 30.0 * 24.0 => format!(
                ", full in about {} at the pace of the last hour",
                words::duration((hours * 3_600_000.0) as i64)
            ),
            _ => String::new(),
        };
        format!(
            "{} is {} used: {} left{pace}.",
            self.filesystem.mountpoint,
            words::share(self.now.used_ratio),
            words::bytes(self.now.avail),
        )
    }

    fn evidence(&self, levels: &Levels, warning: Band) -> Vec<Evidence> {
        let avail = &self.filesystem.avail.name;
        let mut evidence = vec![
            Evidence::new("used space", self.now.used_ratio, "ratio", avail).against(warning.raise),
            Evidence::new("available space", self.now.avail, "bytes", avail)
                .against(levels.warning_bytes_left),
            Evidence::new("size", self.now.size, "bytes", &self.filesystem.size.name),
        ];
        evidence.extend(self.left_hours.map(|hours| {
            Evidence::new("time left", hours * 3600.0, "seconds", avail)
                .against(levels.warning_hours_left * 3600.0)
        }));
        evidence
    }
}

fn subject(case: &Case<'_>, filesystem: &Filesystem<'_>) -> Option<Subject> {
    let levels = &case.policy.disk_full;
    let space: Vec<Space> = filesystem.space().collect();
    let now = *space.last()?;
    let standing = Standing {
        filesystem,
        now,
        left_hours: hours_left(&space),
        space,
    };
    let warning = levels.scaled(levels.warning, now.size);
    let critical = levels.scaled(levels.critical, now.size);
    let warning_left = (levels.warning_bytes_left, levels.warning_hours_left);
    let critical_left = (levels.critical_bytes_left, levels.critical_hours_left);
    let condition = case.condition(&[
        standing.grade(case, Severity::Warning, warning, warning_left),
        standing.grade(case, Severity::Critical, critical, critical_left),
    ]);
    Some(Subject {
        name: filesystem.mountpoint.to_owned(),
        condition,
        summary: standing.summary(),
        evidence: standing.evidence(levels, warning),
        advice: advice(filesystem.mountpoint, condition),
        silenced_by: &[],
    })
}

fn advice(mountpoint: &str, condition: Condition) -> Bilingual {
    let urgency = match condition {
        Condition::Holds(hold) if hold.severity == Severity::Critical => Bilingual {
            en: "Make room now",
            zh: "立即清理空间",
        },
        _ => Bilingual {
            en: "Make room or plan an extension",
            zh: "清理空间或规划扩容",
        },
    };
    Bilingual {
        en: format!(
            "{}: see what grew with `du -xh --max-depth=2 {mountpoint} | sort -h | tail`, rotate \
             or delete it, or enlarge the filesystem.",
            urgency.en
        ),
        zh: format!(
            "{}：用 `du -xh --max-depth=2 {mountpoint} | sort -h | tail` 找出增长的内容，\
             轮转或删除，或者扩容文件系统。",
            urgency.zh
        ),
    }
}

/// Hours until nothing is left at the pace of these samples (least squares); nothing when they
/// cover less than half an hour, when space does not shrink, or by less than a thousandth of the
/// size an hour, which is noise.
fn hours_left(space: &[Space]) -> Option<f64> {
    let (first, last) = (space.first()?, space.last()?);
    if last.time_ms - first.time_ms < 1_800_000 || space.len() < 4 {
        return None;
    }
    let hours = |at: &Space| (at.time_ms - first.time_ms) as f64 / 3_600_000.0;
    let n = space.len() as f64;
    let mean_hours = space.iter().map(hours).sum::<f64>() / n;
    let mean_avail = space.iter().map(|at| at.avail).sum::<f64>() / n;
    let (mut covariance, mut variance) = (0.0, 0.0);
    for at in space {
        let t = hours(at) - mean_hours;
        covariance += t * (at.avail - mean_avail);
        variance += t * t;
    }
    let pace = -covariance / variance;
    (pace > last.size / 1000.0).then(|| last.avail.max(0.0) / pace)
}
