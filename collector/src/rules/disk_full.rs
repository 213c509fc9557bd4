//! A filesystem that is almost full.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::{Grade, Moment};
use super::{Band, Doc, Evidence, Rule, Severity};
use crate::series::derived::{Filesystem, writable_filesystems};
use crate::words;

const SIZE: &str = "node_filesystem_size_bytes";
const AVAIL: &str = "node_filesystem_avail_bytes";

pub(super) const RULE: Rule = Rule {
    name: "disk_full",
    title: "Filesystem almost full",
    watches: &[SIZE, AVAIL, "node_filesystem_readonly"],
    doc: Doc {
        what: "Watches every writable filesystem. Opens as a warning when it is over 80 % used \
               and either less than 10 GB is left or the last hour's pace fills it within 24 \
               hours; as critical over 90 % used with less than 5 GB or 4 hours left; both after \
               5 minutes. Used counts what only root may still write. On filesystems above 20 GB \
               the percentages rise with size (1 TB: 87 and 93 %). Closes two points lower, or \
               when a quarter more than the absolute limit is free and the pace has halved.",
        why: "When a filesystem is full, databases stop, logs are lost, updates break half way, \
              and services fail in ways that look like anything but a full disk.",
        todo: "Find what grew (`du -xh --max-depth=2 MOUNTPOINT | sort -h | tail`), rotate or \
               delete it, or enlarge the filesystem. If it grows steadily, plan the extension \
               before the time left is shorter than your change window.",
        example: "/var is 93 % used: 3.4 of 50 GiB left, full in about 3 h 10 min at the pace of \
                  the last hour.",
        source: "Percent and absolute or time left: Zabbix's Linux template (80/90 %, 10/5 GB, 1 \
                 day). Lead times of 24 and 4 hours: the node_exporter mixin. Scaling by size: \
                 Checkmk's magic factor 0.9 at 20 GB, applied upwards only.",
    },
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
    fn scale(&self, size: f64) -> f64 {
        let times = (size / self.size_norm_bytes).max(1.0);
        times.powf(self.size_exponent - 1.0).min(1.0)
    }
}

/// How much leaner both conditions must get before the finding closes.
const KEEP_BYTES: f64 = 1.25;
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
    /// (time, size, available), ascending, never empty.
    points: Vec<(i64, f64, f64)>,
    size: f64,
    avail: f64,
    left_hours: Option<f64>,
}

impl Standing<'_> {
    fn used(&self) -> f64 {
        1.0 - self.avail / self.size
    }

    fn grade(
        &self,
        case: &Case<'_>,
        severity: Severity,
        band: Band,
        (bytes_left, hours_left): (f64, f64),
    ) -> Grade {
        let levels = &case.policy.disk_full;
        let moments = self.points.iter().map(|(time_ms, size, avail)| {
            let ratio = band.at(*time_ms, 1.0 - avail / size);
            let short = |bytes: f64, hours: f64| {
                *avail < bytes || self.left_hours.is_some_and(|left| left < hours)
            };
            Moment {
                raise: ratio.raise && short(bytes_left, hours_left),
                keep: ratio.keep && short(bytes_left * KEEP_BYTES, hours_left * KEEP_HOURS),
                ..ratio
            }
        });
        Grade {
            severity,
            since_ms: case.held(self.filesystem.mountpoint, severity, moments),
            for_ms: levels.for_seconds * 1000,
        }
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
            words::percent(self.used()),
            words::bytes_of(self.avail, self.size),
        )
    }

    fn evidence(&self, levels: &Levels, warning: Band) -> Vec<Evidence> {
        let avail = &self.filesystem.avail.name;
        let mut evidence = vec![
            Evidence::new("used space", self.used(), "ratio", avail).against(warning.raise),
            Evidence::new("available space", self.avail, "bytes", avail)
                .against(levels.warning_bytes_left),
            Evidence::new("size", self.size, "bytes", &self.filesystem.size.name),
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
    let points: Vec<(i64, f64, f64)> = filesystem.points().collect();
    let (_, size, avail) = *points.last()?;
    let standing = Standing {
        filesystem,
        size,
        avail,
        left_hours: hours_left(&points),
        points,
    };
    let scale = levels.scale(size);
    let (warning, critical) = (levels.warning.scaled(scale), levels.critical.scaled(scale));
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

fn advice(mountpoint: &str, condition: Condition) -> String {
    let urgency = match condition {
        Condition::Holds(hold) if hold.severity == Severity::Critical => "Make room now",
        _ => "Make room or plan an extension",
    };
    format!(
        "{urgency}: see what grew with du -xh --max-depth=2 {mountpoint} | sort -h | tail, rotate \
         or delete it, or enlarge the filesystem."
    )
}

/// Hours until nothing is left at the pace of these samples (least squares); nothing when they
/// cover less than half an hour, when space does not shrink, or by less than a thousandth of the
/// size an hour, which is noise.
fn hours_left(points: &[(i64, f64, f64)]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if last.0 - first.0 < 1_800_000 || points.len() < 4 {
        return None;
    }
    let hours = |time_ms: i64| (time_ms - first.0) as f64 / 3_600_000.0;
    let n = points.len() as f64;
    let mean_t = points.iter().map(|p| hours(p.0)).sum::<f64>() / n;
    let mean_a = points.iter().map(|p| p.2).sum::<f64>() / n;
    let (mut covariance, mut variance) = (0.0, 0.0);
    for point in points {
        let t = hours(point.0) - mean_t;
        covariance += t * (point.2 - mean_a);
        variance += t * t;
    }
    let pace = -covariance / variance;
    (pace > last.1 / 1000.0).then(|| last.2.max(0.0) / pace)
}
