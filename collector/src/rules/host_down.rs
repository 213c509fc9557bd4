//! A host that has fallen silent.

use serde::{Deserialize, Serialize};

use super::judge::{Case, Condition, Judged, Subject};
use super::level::Hold;
use super::{Bilingual, Doc, Evidence, Rule, Severity, WhenDown};
use crate::words;

pub(super) const RULE: Rule = Rule {
    name: "host_down",
    title: Bilingual {
        en: "Host down",
        zh: "主机失联",
    },
    watches: &[],
    doc: Doc {
        what: "Opens when no new sample has come from a host for three of its intervals, and at \
               least 90 seconds, all while the collector itself was watching. Closes with the \
               first new sample. While it is open, every other rule on the host keeps silent; what \
               the host was doing (its CPUs, disks and lines) is over.",
        why: "Either the host does not run, or nobody sees what it does. Both need somebody now.",
        todo: "Reach the host over its console. If it runs, look at the agent (`systemctl status \
               hostwell-agent`) and at the way from it to the collector. If the host is gone for \
               good, say so: `hostwell host retire NAME`. An agent that was only cut off delivers \
               its history later, and the report then counts the time as up.",
        example: "No sample for 12 min 30 s; one is due every 10 s.",
        source: "Three missed intervals, at least 90 s: a grace the field settled on after false \
                 alarms at one minute (Beszel issues 947 and 1052).",
    },
    past: &[],
    when_down: WhenDown::Waits,
    judge,
};

/// When silence means down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// This many sampling intervals without a sample.
    pub missed_intervals: i64,
    /// And at least this long.
    pub silence_min_seconds: i64,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            missed_intervals: 3,
            silence_min_seconds: 90,
        }
    }
}

impl Levels {
    /// How long a host may be silent, by its interval, in milliseconds.
    pub fn grace_ms(&self, interval_ms: i64) -> i64 {
        (self.missed_intervals.saturating_mul(interval_ms))
            .max(self.silence_min_seconds.saturating_mul(1000))
    }
}

fn judge(case: &Case<'_>) -> Judged {
    let input = case.input;
    // This rule thinks in the collector's clock alone.
    let now_ms = case.now_ms - input.skew_ms();
    let interval_ms = input.window.interval_ms;
    let grace_ms = case.policy.host_down.grace_ms(interval_ms);
    let Some(last_ms) = input.last_sample_ms.map(|last| last - input.skew_ms()) else {
        return Judged::NotEnoughData("no sample has ever come from it".into());
    };
    let silent_ms = now_ms - last_ms;
    let due = words::duration(interval_ms);
    let silence = words::duration(silent_ms);
    let (condition, summary) = if silent_ms <= grace_ms {
        (
            Condition::Clear,
            format!("The newest sample is {silence} old."),
        )
    } else {
        let Some(watching_ms) = input.watching_since_ms else {
            return Judged::NotEnoughData("the collector is not watching".into());
        };
        if input
            .last_received_ms
            .is_some_and(|at| now_ms - at <= grace_ms)
        {
            return Judged::NotEnoughData(format!(
                "it sends, but its newest sample is {silence} old: it may be catching up"
            ));
        }
        if now_ms - last_ms.max(watching_ms) <= grace_ms {
            let watching = words::duration(now_ms - watching_ms);
            return Judged::NotEnoughData(format!("the collector is back for {watching} only"));
        }
        // What happened while nobody watched is not known: the outage begins with what was seen.
        let since_ms = match case.previous("") {
            Some(finding) => finding.since_ms,
            None => last_ms.max(watching_ms),
        };
        let hold = Hold::now(Severity::Critical, since_ms + input.skew_ms());
        let summary = format!("No sample for {silence}; one is due every {due}.");
        (Condition::Holds(hold), summary)
    };
    Judged::Subjects(vec![Subject {
        name: String::new(),
        condition,
        summary,
        evidence: vec![
            Evidence::new(
                "silence",
                silent_ms as f64 / 1000.0,
                "seconds",
                "node_time_seconds",
            )
            .against(grace_ms as f64 / 1000.0),
        ],
        advice: Bilingual {
            en: "Check whether the host runs (console, ping). If it does, look at the agent \
                 (`systemctl status hostwell-agent`) and at the network between it and the \
                 collector. If it is gone for good: `hostwell host retire NAME`.",
            zh: "先确认主机是否在运行（控制台、ping）。如果在运行，检查 agent（`systemctl status \
                 hostwell-agent`）以及它与 collector 之间的网络。如果主机已不再使用：`hostwell \
                 host retire NAME`。",
        }
        .into(),
        silenced_by: &[],
    }])
}
