//! A clock that is wrong or that nobody sets right.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::{Grade, Hold, Moment};
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::words;

const OFFSET: &str = "node_timex_offset_seconds";
const SYNC: &str = "node_timex_sync_status";
const MAX_ERROR: &str = "node_timex_maxerror_seconds";
const UPTIME: &str = "hostwell_uptime_seconds";
const TIME: &str = "node_time_seconds";

/// Improvement is looked for over this long.
const IMPROVING_MS: i64 = 300_000;

pub(super) const RULE: Rule = Rule {
    name: "clock_off",
    title: Bilingual {
        en: "Clock wrong or not synchronised",
        zh: "时钟有偏差或未同步",
    },
    watches: &[OFFSET, SYNC, MAX_ERROR, UPTIME],
    doc: Doc {
        what: "Three things, each a warning. Offset: the kernel's own estimate is above 50 ms and has \
               not come closer within 5 minutes, for 10 minutes; closes below 30 ms or when it comes closer. \
               Unsynchronised: no time service has been setting the clock and its error may be 16 \
               seconds or more, for 10 minutes, from the 17th minute after boot. Skew: the host's \
               clock is more than 60 seconds from the collector's, by the agent's greeting and by \
               the samples that arrive; while it is, the host is judged by its own clock and its \
               good outcomes are marked as suspect.",
        why: "Logs of several hosts can no longer be put in order, certificates and tokens fail, \
              databases disagree about what came first, and every graph of this host lies by as \
              much.",
        todo: "Look at the time service (`timedatectl`, `chronyc tracking`): is one installed, does \
               it run, can it reach its servers? In a container, set the clock of the machine \
               below.",
        example: "The clock is not synchronised: its error may be 16 s.",
        source: "50 ms not improving and unsynchronised with 16 s of possible error, for 10 minutes: \
                 the node_exporter mixin. 17 minutes after boot: Netdata. 60 s from the server: \
                 Zabbix's fuzzytime.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When a clock is off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Absolute offset in seconds.
    pub offset_seconds: Band,
    /// Possible error in seconds from which an unsynchronised clock counts.
    pub max_error_seconds: f64,
    /// Both for this long.
    pub for_seconds: i64,
    /// Unsynchronised is judged from this long after boot.
    pub uptime_min_seconds: f64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            offset_seconds: Band::new(0.05, 0.03),
            max_error_seconds: 16.0,
            for_seconds: 600,
            uptime_min_seconds: 1020.0,
        }
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let subjects = [offset(case), unsynchronised(case), skew(case)];
    Judged::Subjects(subjects.into_iter().flatten().collect())
}

const ADVICE: Bilingual<&str> = Bilingual {
    en: "Look at the time service (`timedatectl`, `chronyc tracking`): is one installed, does it \
         run, can it reach its servers? In a container, set the clock of the machine below.",
    zh: "检查时间同步服务（`timedatectl`、`chronyc tracking`）：是否已安装，是否在运行，\
         能否连上其服务器？如果是容器，校准宿主机的时钟。",
};

fn offset(case: &Case<'_>) -> Option<Subject> {
    let window = &case.input.window;
    let levels = &case.policy.clock_off;
    let series = window.find(OFFSET, &[])?;
    let now = case.current(series)?.abs();
    let moments = series.points().map(|(time_ms, value)| {
        let earlier = series.latest(time_ms - IMPROVING_MS).map(|(_, v)| v.abs());
        let improving = earlier.is_some_and(|earlier| value.abs() < earlier * 0.95);
        let moment = levels.offset_seconds.at(time_ms, value.abs());
        Moment {
            raise: moment.raise && !improving,
            keep: moment.keep && !improving,
            ..moment
        }
    });
    let since_ms = case.held("offset", Severity::Warning, moments);
    let condition = case.condition(&[Grade {
        severity: Severity::Warning,
        since_ms,
        for_ms: levels.for_seconds * 1000,
    }]);
    let error = window.current(MAX_ERROR, &[], case.now_ms).unwrap_or(0.0);
    Some(Subject {
        name: "offset".into(),
        condition,
        summary: format!(
            "The clock is {} off and may be {} off.",
            words::seconds(now),
            words::seconds(error.max(now))
        ),
        evidence: vec![
            Evidence::new("offset", now, "seconds", OFFSET).against(levels.offset_seconds.raise),
        ],
        advice: ADVICE.into(),
        silenced_by: &[],
    })
}

fn unsynchronised(case: &Case<'_>) -> Option<Subject> {
    let window = &case.input.window;
    let levels = &case.policy.clock_off;
    let sync = window.find(SYNC, &[])?;
    let now = case.current(sync)?;
    let error = window.current(MAX_ERROR, &[], case.now_ms)?;
    let young = window
        .current(UPTIME, &[], case.now_ms)
        .is_some_and(|uptime| uptime < levels.uptime_min_seconds);
    let moments = sync.points().map(|(time_ms, status)| {
        let holds = status == 0.0 && error >= levels.max_error_seconds && !young;
        Moment {
            time_ms,
            raise: holds,
            keep: holds,
        }
    });
    let since_ms = case.held("unsynchronised", Severity::Warning, moments);
    let condition = case.condition(&[Grade {
        severity: Severity::Warning,
        since_ms,
        for_ms: levels.for_seconds * 1000,
    }]);
    let summary = if now == 0.0 {
        format!(
            "The clock is not synchronised: no time service sets it, its error may be {} or more.",
            words::seconds(error)
        )
    } else {
        format!(
            "The clock is synchronised to within {}.",
            words::seconds(error)
        )
    };
    Some(Subject {
        name: "unsynchronised".into(),
        condition,
        summary,
        evidence: vec![
            Evidence::new("synchronised", now, "count", SYNC).against(1.0),
            Evidence::new("possible error", error, "seconds", MAX_ERROR)
                .against(levels.max_error_seconds),
        ],
        advice: ADVICE.into(),
        silenced_by: &[],
    })
}

fn skew(case: &Case<'_>) -> Option<Subject> {
    let skew_ms = case.input.skew_ms();
    let size = words::duration(skew_ms.abs());
    let (condition, summary) = if skew_ms == 0 {
        let fine = "The clock agrees with the collector's to within a minute.";
        (Condition::Clear, fine.to_owned())
    } else {
        let since_ms = case
            .previous("skew")
            .map_or(case.now_ms, |finding| finding.since_ms + skew_ms);
        let direction = if skew_ms > 0 { "ahead of" } else { "behind" };
        let hold = Hold::now(Severity::Warning, since_ms);
        (
            Condition::Holds(hold),
            format!("The clock is {size} {direction} the collector's."),
        )
    };
    Some(Subject {
        name: "skew".into(),
        condition,
        summary,
        evidence: vec![
            Evidence::new("skew", skew_ms as f64 / 1000.0, "seconds", TIME).against(60.0),
        ],
        advice: ADVICE.into(),
        silenced_by: &[],
    })
}
