//! A filesystem that will be full within days.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::{Grade, Moment};
use super::{
    Bilingual, Doc, Evidence, Hour, Hourly, Past, Rule, Severity, State, WhenDown, disk_full,
    inodes_full,
};
use crate::forecast::{self, Filling, HOUR_MS, Hours, Meets};
use crate::series::Series;
use crate::series::derived::writable_filesystems;
use crate::words;

const SIZE: &str = "node_filesystem_size_bytes";

const SPACE: Hourly = Hourly {
    metric: "hostwell_filesystem_used_ratio",
    hour: Hour::Mean,
    settled: false,
};
const FILES: Hourly = Hourly {
    metric: "node_filesystem_files",
    hour: Hour::Mean,
    settled: false,
};
const FILES_FREE: Hourly = Hourly {
    metric: "node_filesystem_files_free",
    hour: Hour::Mean,
    settled: false,
};

pub(super) const RULE: Rule = Rule {
    name: "filesystem_filling",
    title: Bilingual {
        en: "Filesystem full within days",
        zh: "文件系统数天内将写满",
    },
    watches: &[
        SIZE,
        "node_filesystem_avail_bytes",
        "node_filesystem_free_bytes",
        "node_filesystem_readonly",
    ],
    doc: Doc {
        what: "Watches space and inodes of every writable filesystem. Draws a straight line through \
               the hours of the last seven days, of which four must be known. Opens as a warning \
               when the line reaches the end within 5 days, as critical within 4 hours; closes \
               when it has not for a day. A rise that came at once is no pace: without its \
               largest hour at least half of it must be left. Silent where disk_full or \
               inodes_full says already that it is as bad.",
        why: "There is time to act by day, in order, and at the price of a planned extension. \
              A few days later the same is an outage at night.",
        todo: "Find what grows (`du -xh --max-depth=2 MOUNTPOINT | sort -h | tail`, for inodes \
               `du --inodes -xd3`), and shorten its retention, rotate it, or order the extension \
               now. `hostwell forecast --host HOST --resource disk` says where it will be in a \
               month, and how well that was foretold so far.",
        example: "/var is 82 % used and full in about 3 d 4 h (80 % band: 2 d 9 h to 5 d 1 h) at \
                  the pace of the last week.",
        source: "A line through seven days and a warning five days ahead: the best of the rules \
                 that were measured on real growth, see docs/forecast.md (without the condition on \
                 the largest hour it warned 24 h before in 96 of 100 cases, 0.02 false warnings a \
                 series and week; what that condition misses and spares is not measured). \
                 Critical at 4 hours: the node_exporter mixin. The largest hour: our own.",
    },
    past: &[SPACE, FILES, FILES_FREE],
    when_down: WhenDown::Waits,
    judge,
};

/// When a filesystem fills too fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// A warning when full within this time.
    pub warning_hours: i64,
    /// Critical when full within this time.
    pub critical_hours: i64,
    /// Over when that has not been so for this long.
    pub quiet_hours: i64,
    /// Only where this part of the week's rise is left without its largest hour.
    pub steady_part: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            warning_hours: forecast::WARN_MS / HOUR_MS,
            critical_hours: 4,
            quiet_hours: forecast::QUIET_MS / HOUR_MS,
            steady_part: 0.5,
        }
    }
}

/// Used ÷ whole.
const FULL: f64 = 1.0;

fn judge(case: &Case<'_>) -> Judged {
    let Some(past) = &case.input.past else {
        return Judged::Kept;
    };
    let window = &case.input.window;
    if window.all(SIZE).is_empty() {
        return Judged::NotEnoughData("no filesystem is reported".into());
    }
    let mut subjects = Vec::new();
    for filesystem in writable_filesystems(window, case.now_ms) {
        let labels = &filesystem.size.name.labels;
        if let Some(space) = past.find(SPACE, labels) {
            subjects.push(space_of(case, past, filesystem.mountpoint, space));
        }
        subjects.extend(inodes_of(case, past, filesystem.mountpoint, labels));
    }
    if subjects.is_empty() {
        return Judged::NotEnoughData("no writable filesystem has a past yet".into());
    }
    Judged::Subjects(subjects)
}

fn space_of(case: &Case<'_>, past: &Past, mountpoint: &str, space: &Series) -> Subject {
    let what = Watched {
        name: mountpoint.to_owned(),
        hours: Hours::of(space.points()),
        now_ms: past.to_ms,
        selector: space.name.to_string(),
        used: "used space",
        state: |used| format!("is {used} used"),
        causes: &[disk_full::RULE.name],
        advice: Bilingual {
            en: format!(
                "Find what grows with `du -xh --max-depth=2 {mountpoint} | sort -h | tail`; keep \
                 less of it, or order the extension now."
            ),
            zh: format!(
                "用 `du -xh --max-depth=2 {mountpoint} | sort -h | tail` 找出持续增长的内容；\
                 减少保留量，或者现在就申请扩容。"
            ),
        },
    };
    what.subject(case, mountpoint)
}

fn inodes_of(
    case: &Case<'_>,
    past: &Past,
    mountpoint: &str,
    labels: &[(String, String)],
) -> Option<Subject> {
    let (files, free) = (past.find(FILES, labels)?, past.find(FILES_FREE, labels)?);
    let used = files
        .points()
        .enumerate()
        .filter_map(|(i, (time_ms, all))| {
            let free = free.at(time_ms, i)?;
            (all > 0.0).then(|| (time_ms, 1.0 - free / all))
        });
    let used: Vec<(i64, f64)> = used.collect();
    // Some filesystems have no fixed number of them.
    used.last()?;
    let what = Watched {
        name: format!("{mountpoint}:inodes"),
        hours: Hours::of(used),
        now_ms: past.to_ms,
        selector: free.name.to_string(),
        used: "used inodes",
        state: |used| format!("has used {used} of its inodes"),
        causes: &[inodes_full::RULE.name],
        advice: Bilingual {
            en: format!(
                "Find the directory with the many files (`du --inodes -xd3 {mountpoint} | sort -n \
                 | tail`) and keep fewer of them."
            ),
            zh: format!(
                "找出文件数量多的目录（`du --inodes -xd3 {mountpoint} | sort -n | tail`），\
                 减少保留的文件数。"
            ),
        },
    };
    Some(what.subject(case, mountpoint))
}

/// Space or inodes of a filesystem.
struct Watched {
    name: String,
    hours: Hours,
    /// The end of the last hour that is over.
    now_ms: i64,
    selector: String,
    used: &'static str,
    state: fn(String) -> String,
    /// The rules that tell when it is full.
    causes: &'static [&'static str],
    advice: Bilingual,
}

impl Watched {
    fn subject(self, case: &Case<'_>, mountpoint: &str) -> Subject {
        let Some(filling) = forecast::filling(&self.hours, self.now_ms, FULL) else {
            return Subject {
                summary: format!(
                    "Fewer than four of the last seven days of {mountpoint} are known."
                ),
                name: self.name,
                condition: Condition::Unknown,
                evidence: Vec::new(),
                advice: self.advice,
                silenced_by: &[],
            };
        };
        let levels = &case.policy.filesystem_filling;
        let grades = [
            self.grade(case, Severity::Warning, levels.warning_hours),
            self.grade(case, Severity::Critical, levels.critical_hours),
        ];
        let condition = case.condition(&grades);
        let dates = match condition {
            Condition::Holds(_) => filling.dates(&self.hours, self.now_ms, FULL),
            _ => Meets::default(),
        };
        Subject {
            condition,
            summary: self.summary(mountpoint, &filling, &dates),
            evidence: self.evidence(&filling, &dates, levels),
            silenced_by: self.silenced_by(case, mountpoint, condition),
            name: self.name,
            advice: self.advice,
        }
    }

    fn near(&self, now_ms: i64, within_ms: i64) -> bool {
        let filling = forecast::filling(&self.hours, now_ms, FULL);
        let full_ms = filling.and_then(|filling| filling.full_ms);
        full_ms.is_some_and(|full_ms| full_ms - now_ms <= within_ms)
    }

    fn grade(&self, case: &Case<'_>, severity: Severity, hours: i64) -> Grade {
        let levels = &case.policy.filesystem_filling;
        let near = |now_ms| self.near(now_ms, hours.saturating_mul(HOUR_MS));
        let steady = || forecast::steadiness(&self.hours, self.now_ms) >= levels.steady_part;
        let raise = near(self.now_ms) && steady();
        // Only what is open can go on.
        let goes_on = || (0..=levels.quiet_hours).any(|ago| near(self.now_ms - ago * HOUR_MS));
        let moment = Moment {
            time_ms: self.now_ms,
            raise,
            keep: raise || (case.previous(&self.name).is_some() && goes_on()),
        };
        case.grade(&self.name, severity, 0, [moment])
    }

    /// What is as bad already says more.
    fn silenced_by(
        &self,
        case: &Case<'_>,
        mountpoint: &str,
        condition: Condition,
    ) -> &'static [&'static str] {
        let Condition::Holds(hold) = condition else {
            return &[];
        };
        let explains = case.found.iter().any(|finding| {
            self.causes.contains(&finding.rule.as_str())
                && finding.subject == mountpoint
                && finding.state == State::Open
                && finding.severity >= hold.severity
        });
        if explains { self.causes } else { &[] }
    }

    fn summary(&self, mountpoint: &str, filling: &Filling, dates: &Meets) -> String {
        let state = (self.state)(words::share(filling.level.clamp(0.0, FULL)));
        let left = |ms: i64| words::duration((ms - self.now_ms).max(0));
        let Some(full_ms) = filling.full_ms else {
            return format!("{mountpoint} {state} and did not grow in the last week.");
        };
        let band = match (dates.earliest_ms, dates.latest_ms) {
            (Some(early), Some(late)) => {
                format!(" (80 % band: {} to {})", left(early), left(late))
            }
            (Some(early), None) => format!(" (80 % band: {} or later)", left(early)),
            _ => String::new(),
        };
        let full = left(full_ms);
        format!("{mountpoint} {state} and full in about {full}{band} at the pace of the last week.")
    }

    fn evidence(&self, filling: &Filling, dates: &Meets, levels: &Levels) -> Vec<Evidence> {
        let left = |what, ms: i64| {
            let seconds = (ms - self.now_ms).max(0) as f64 / 1000.0;
            Evidence::new(what, seconds, "seconds", &self.selector)
        };
        let warning = levels.warning_hours as f64 * 3600.0;
        let full = filling
            .full_ms
            .map(|ms| left("time left", ms).against(warning));
        let early = dates
            .earliest_ms
            .map(|ms| left("time left, at the least", ms));
        let late = dates.latest_ms.map(|ms| left("time left, at the most", ms));
        let mut evidence: Vec<Evidence> = [full, early, late].into_iter().flatten().collect();
        evidence.push(Evidence::new(
            self.used,
            filling.level,
            "ratio",
            &self.selector,
        ));
        evidence.push(Evidence::new(
            "growth a day",
            filling.a_day,
            "ratio",
            &self.selector,
        ));
        evidence
    }
}
