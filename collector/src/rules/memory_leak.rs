//! Used memory that climbs from day to day and never comes back.

use serde::{Deserialize, Serialize};

use super::boots::booted_ms;
use super::judge::{Case, Judged, Subject};
use super::level::Moment;
use super::weeks::MEMORY;
use super::{Band, Bilingual, Doc, Evidence, LONG_METRIC, Past, Rule, Severity, WhenDown};
use crate::forecast::{DAY_MS, HOUR_MS};
use crate::words;

const TOTAL: &str = "node_memory_MemTotal_bytes";

pub(super) const RULE: Rule = Rule {
    name: "memory_leak",
    title: Bilingual {
        en: "Used memory climbs from day to day",
        zh: "内存占用逐日攀升",
    },
    watches: &[TOTAL, "node_memory_MemAvailable_bytes", LONG_METRIC],
    doc: Doc {
        what: "Looks at the lowest hour of each of the last seven days, of which five must be known \
               since the last boot. Opens where it rose on at least four days of five, by 5 % of \
               the memory or more, not by one step alone, and would use the rest up within 30 \
               days: for information, as a warning within 7. Closes when the host boots, or when \
               it rose on fewer than three days of five, by less than 3 %, or would last twice as \
               long. What the page cache takes does not count as used.",
        why: "A process that gives nothing back ends in swapping and in the kernel killing \
              something, often not the one that leaks, and often at night.",
        todo: "See who grew (`ps -eo rss,etimes,args --sort=-rss | head`, today and tomorrow; \
               `slabtop` where no process did). Restart it at an hour of your choice, give it a \
               limit (`MemoryMax=`), and tell whoever writes it.",
        example: "Used memory has climbed from 41 % to 63 % within 6 d, hour of least use against \
                  hour of least use: used up in about 10 d.",
        source: "Our own, careful because memory that trends comes back more often than not on \
                 real hosts (docs/forecast.md): lowest hours instead of means, days counted \
                 instead of a line drawn. The 5 % are those from which the forecasts were scored.",
    },
    past: &[MEMORY],
    when_down: WhenDown::Over,
    judge,
};

/// When a climb is a leak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Days that must be known since the last boot.
    pub days_min: usize,
    /// Part of the days on which the lowest hour was higher than the day before.
    pub rising_part: Band,
    /// By how much it rose, as a part of the memory.
    pub rise: Band,
    /// Only where this part of the rise is left without its largest step.
    pub steady_part: f64,
    /// For information when used up within so many days.
    pub info_days: f64,
    /// A warning when used up within so many days.
    pub warning_days: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            days_min: 5,
            rising_part: Band::new(0.8, 0.6),
            rise: Band::new(0.05, 0.03),
            steady_part: 0.5,
            info_days: 30.0,
            warning_days: 7.0,
        }
    }
}

/// Days that are looked at.
const DAYS: i64 = 7;
/// Hours of a day that must be known.
const HOURS_MIN: usize = 18;
/// A start is no climb.
const START_MS: i64 = HOUR_MS;
/// It must last so many times as long before it is over.
const KEEP_DAYS: f64 = 2.0;

fn judge(case: &Case<'_>) -> Judged {
    let Some(past) = &case.input.past else {
        return Judged::Kept;
    };
    let booted_ms = booted_ms(case);
    let least = floors(past, booted_ms.map_or(i64::MIN, |ms| ms + START_MS));
    let days_min = case.policy.memory_leak.days_min.max(3);
    if least.len() < days_min {
        let known_ms = case.previous("").map(|f| f.since_ms + case.input.skew_ms());
        return match (known_ms, booted_ms) {
            // What climbed is gone.
            (Some(known_ms), Some(booted_ms)) if booted_ms > known_ms => {
                Judged::Subjects(Vec::new())
            }
            _ => Judged::NotEnoughData(format!(
                "{} days in a row are known since its last boot; {days_min} are needed",
                least.len()
            )),
        };
    }
    Judged::Subjects(vec![subject(case, past, &Climb::of(&least))])
}

/// The lowest hour of each day that ends with the past and begins after `from_ms`, without a break,
/// oldest first.
fn floors(past: &Past, from_ms: i64) -> Vec<f64> {
    let Some(used) = past.all(MEMORY).first() else {
        return Vec::new();
    };
    let day = |ago: i64| {
        let end_ms = past.to_ms - ago * DAY_MS;
        let begin_ms = end_ms - DAY_MS;
        let from = used.times_ms.partition_point(|t| *t < begin_ms);
        let to = used.times_ms.partition_point(|t| *t < end_ms);
        let known = begin_ms >= from_ms && to - from >= HOURS_MIN;
        let hours = known.then(|| used.values[from..to].iter().copied());
        hours.and_then(|hours| hours.reduce(f64::min))
    };
    let mut days: Vec<f64> = (0..DAYS).map_while(day).collect();
    days.reverse();
    days
}

/// How the lowest hours went.
struct Climb {
    first: f64,
    last: f64,
    days: f64,
    rising_part: f64,
    /// Part of the rise that is left without its largest step.
    steady_part: f64,
    /// Days until all is used.
    left_days: f64,
}

impl Climb {
    /// Of at least two.
    fn of(least: &[f64]) -> Climb {
        let steps = || least.windows(2).map(|two| two[1] - two[0]);
        let (first, last) = (least[0], least[least.len() - 1]);
        let (rise, days) = (last - first, (least.len() - 1) as f64);
        let largest = steps().fold(0.0, f64::max);
        Climb {
            first,
            last,
            days,
            rising_part: steps().filter(|step| *step > 0.0).count() as f64 / days,
            steady_part: if rise > 0.0 {
                (rise - largest) / rise
            } else {
                0.0
            },
            left_days: match rise > 0.0 {
                true => (1.0 - last).max(0.0) * days / rise,
                false => f64::INFINITY,
            },
        }
    }
}

fn subject(case: &Case<'_>, past: &Past, climb: &Climb) -> Subject {
    let levels = &case.policy.memory_leak;
    let grade = |severity, within_days: f64| {
        let rise = levels.rise.at(past.to_ms, climb.last - climb.first);
        let rising = levels.rising_part.at(past.to_ms, climb.rising_part);
        let moment: Moment = rise.and(rising.raise, rising.keep).and(
            climb.left_days <= within_days && climb.steady_part >= levels.steady_part,
            climb.left_days <= within_days * KEEP_DAYS,
        );
        case.grade("", severity, 0, [moment])
    };
    let condition = case.condition(&[
        grade(Severity::Info, levels.info_days),
        grade(Severity::Warning, levels.warning_days),
    ]);
    let (first, last) = (words::share(climb.first), words::share(climb.last));
    let within = words::duration((climb.days * DAY_MS as f64) as i64);
    let left_ms = climb.left_days * DAY_MS as f64;
    let is_far = climb.left_days > 365.0;
    let mut evidence = Vec::new();
    if !is_far {
        let level = levels.warning_days * 86_400.0;
        let left = Evidence::new("time left", left_ms / 1000.0, "seconds", MEMORY.metric);
        evidence.push(left.against(level));
    }
    evidence.extend([
        Evidence::new(
            "lowest hour of the last day",
            climb.last,
            "ratio",
            MEMORY.metric,
        ),
        Evidence::new(
            "rise of the lowest hour",
            climb.last - climb.first,
            "ratio",
            MEMORY.metric,
        )
        .against(levels.rise.raise),
        Evidence::new("days it rose", climb.rising_part, "ratio", MEMORY.metric)
            .against(levels.rising_part.raise),
    ]);
    Subject {
        name: String::new(),
        condition,
        summary: match is_far {
            true => {
                format!("Used memory at its lowest hour went from {first} to {last} in {within}.")
            }
            false => format!(
                "Used memory has climbed from {first} to {last} within {within}, hour of least use \
                 against hour of least use: used up in about {}.",
                words::duration(left_ms as i64)
            ),
        },
        evidence,
        advice: Bilingual {
            en: "See who grew (`ps -eo rss,etimes,args --sort=-rss | head`, today and tomorrow), \
                 restart it at an hour of your choice, and give it a limit (`MemoryMax=`).",
            zh: "查看是谁在增长（`ps -eo rss,etimes,args --sort=-rss | head`，\
                 今天和明天各看一次），选择合适的时间重启它，并设置内存上限（`MemoryMax=`）。",
        }
        .into(),
        silenced_by: &["memory_low"],
    }
}
