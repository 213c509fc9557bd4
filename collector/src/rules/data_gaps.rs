//! A host of which too much is missing.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::Hold;
use super::{Band, Bilingual, Doc, Evidence, Rule, Severity, WINDOW_MS, WhenDown};
use crate::series::union_times_ms;
use crate::words;

/// Sampled at every tick; one of them is enough.
const EVERY_TICK: &[&str] = &[
    "node_load1",
    "node_memory_MemTotal_bytes",
    "node_time_seconds",
];
const DROPPED: &str = "hostwell_agent_dropped_samples_total";

pub(super) const RULE: Rule = Rule {
    name: "data_gaps",
    title: Bilingual {
        en: "Samples are missing",
        zh: "采样数据缺失",
    },
    watches: &[
        "node_load1",
        "node_memory_MemTotal_bytes",
        "node_time_seconds",
        DROPPED,
    ],
    doc: Doc {
        what: "Two things, both for information. Gaps: more than 10 % of the last hour is missing, \
               in 3 pieces or more, for 10 minutes; closes below 5 %, or with fewer than 2 pieces. \
               One long piece is an outage, and host_down tells it. Dropped: the agent has thrown \
               samples away within the last hour because its spool was full.",
        why: "Averages, availability and forecasts of this host rest on less than they seem to, \
              and what happened in the gaps nobody will ever know.",
        todo: "Gaps: the agent does not get to run, or the host stands still; see its log \
               (`journalctl -u hostwell-agent`) and `hostwell_agent_missed_ticks_total`. A virtual \
               machine that is paused for backups has such gaps. Dropped: the collector could not \
               be reached for longer than the spool holds; enlarge it, or bring the line back.",
        example: "18 % of the last hour is missing, in 7 pieces.",
        source: "That gaps must be told: section 6.3 of the peers' survey. The levels are our own.",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When too much is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Missing part of the last hour.
    pub missing: Band,
    /// Only in at least this many pieces.
    pub pieces: Band,
    /// For this long.
    pub for_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            missing: Band::new(0.10, 0.05),
            pieces: Band::new(3.0, 2.0),
            for_seconds: 600,
        }
    }
}

/// Less than this much of the past says nothing about gaps.
const PAST_MIN_MS: i64 = WINDOW_MS / 2;

const ADVICE: Bilingual<&str> = Bilingual {
    en: "See the agent's log (`journalctl -u hostwell-agent`): does it get to run, does it reach \
         the collector, is its spool large enough.",
    zh: "查看 agent 的日志（`journalctl -u hostwell-agent`）：能否得到调度，能否连上 collector，\
         spool 是否足够大。",
};

fn judge(case: &Case<'_>) -> Judged {
    let subjects: Vec<Subject> = [gaps(case), dropped(case)].into_iter().flatten().collect();
    if subjects.is_empty() {
        return Judged::NotEnoughData(format!(
            "fewer than {} of samples",
            words::duration(PAST_MIN_MS)
        ));
    }
    Judged::Subjects(subjects)
}

fn gaps(case: &Case<'_>) -> Option<Subject> {
    let window = &case.input.window;
    let levels = &case.policy.data_gaps;
    let told = EVERY_TICK.iter().flat_map(|metric| window.all(metric));
    let mut times_ms = union_times_ms(told);
    let from_ms = case.now_ms - WINDOW_MS;
    times_ms.retain(|time_ms| (from_ms..=case.now_ms).contains(time_ms));
    let past_ms = times_ms.last()? - times_ms.first()?;
    if past_ms < PAST_MIN_MS {
        return None;
    }
    let holes = times_ms.windows(2).map(|w| w[1] - w[0]);
    let holes = holes.filter(|apart_ms| *apart_ms > window.hole_ms());
    let (pieces, missing_ms) = holes.fold((0, 0), |(pieces, missing_ms), apart_ms| {
        (pieces + 1, missing_ms + apart_ms - window.interval_ms)
    });
    let missing = missing_ms as f64 / past_ms as f64;
    let in_pieces = levels.pieces.at(case.now_ms, f64::from(pieces));
    let moment = levels.missing.at(case.now_ms, missing);
    let moment = moment.and(in_pieces.raise, in_pieces.keep);
    let grade = case.grade("gaps", Severity::Info, levels.for_seconds, [moment]);
    Some(Subject {
        name: "gaps".into(),
        condition: case.condition(&[grade]),
        summary: match pieces {
            0 => "Nothing of the last hour is missing.".to_owned(),
            pieces => format!(
                "{} of the last hour is missing, in {pieces} {}.",
                words::share(missing),
                if pieces == 1 { "piece" } else { "pieces" }
            ),
        },
        evidence: vec![
            Evidence::new("missing part", missing, "ratio", EVERY_TICK[0])
                .against(levels.missing.raise),
            Evidence::new("pieces", f64::from(pieces), "count", EVERY_TICK[0])
                .against(levels.pieces.raise),
        ],
        advice: ADVICE.into(),
        silenced_by: &[],
    })
}

fn dropped(case: &Case<'_>) -> Option<Subject> {
    let all = case.input.window.all(DROPPED);
    let counted = all.iter().filter(|series| case.current(series).is_some());
    let (mut samples, mut since_ms) = (0.0, None);
    for series in counted.clone() {
        let (increase, first_ms) = case.happened(series, WINDOW_MS);
        samples += increase;
        since_ms = [since_ms, first_ms].into_iter().flatten().min();
    }
    counted.count().checked_sub(1)?;
    let condition = since_ms.map_or(Condition::Clear, |since_ms| {
        Condition::Holds(Hold::now(Severity::Info, since_ms))
    });
    Some(Subject {
        name: "dropped".into(),
        condition,
        summary: match samples {
            0.0 => "The agent has dropped no sample in the last hour.".to_owned(),
            samples => format!(
                "The agent has dropped {} samples in the last hour.",
                words::count(samples)
            ),
        },
        evidence: vec![Evidence::new("dropped samples", samples, "count", DROPPED).against(1.0)],
        advice: ADVICE.into(),
        silenced_by: &[],
    })
}
