//! Plays a script's samples to the rules, the way a collector would.

use super::{RUNS_MAX, Script};
use crate::anomaly::Course;
use crate::rules::past::Gathered;
use crate::rules::{
    Agent, Carries, Finding, Group, LONG_METRIC, LONG_MS, Outcome, PAST_MS, Past, RuleInput, State,
    Unusual, WINDOW_MS, assess, whole_hours_ms,
};
use crate::series::{Series, Window};

/// Where the script's 0 is: a round moment, so that steps fall on round times.
const START_MS: i64 = 1_800_000_000_000;

/// Runs the rules at each step and at each expected moment, and shows what was found.
pub(super) fn run(script: &Script, mut show: impl FnMut(i64, &[Finding], &[Outcome])) {
    let mut moments: Vec<i64> = script.expectations.iter().map(|e| e.at_ms).collect();
    let end_ms = moments.iter().copied().max().unwrap_or(0);
    let every_ms = script.every_ms.max(end_ms / RUNS_MAX + 1);
    moments.extend((0..=end_ms / every_ms).map(|i| i * every_ms));
    moments.sort_unstable();
    moments.dedup();
    let mut findings: Vec<Finding> = Vec::new();
    let mut hour_ms = None;
    let mut watch = Course::default();
    let mut carries = None;
    for at_ms in moments {
        if within(&script.away, at_ms) {
            // A collector that is not running judges nothing; what is expected then is what the
            // register says.
            show(at_ms, &findings, &[]);
            continue;
        }
        let mut input = input(script, at_ms);
        let hour = whole_hours_ms(START_MS + at_ms + script.skew_ms);
        if hour_ms.replace(hour) != Some(hour) {
            let past = past(script, at_ms, hour);
            carries = Some(Carries::of(&past));
            input.past = Some(past);
        }
        input.group = script.group(at_ms, carries);
        watch.follow(&input.window);
        input.unusual = Some(Unusual {
            known: watch.known(),
            on: watch.on().cloned(),
        });
        let assessed = assess(&[input], &findings, &script.policy, START_MS + at_ms);
        findings = assessed.findings;
        findings.retain(|finding| finding.state != State::Closed);
        show(at_ms, &findings, &assessed.outcomes);
    }
}

fn within(spans: &[(i64, i64)], at_ms: i64) -> bool {
    spans.iter().any(|(from, to)| (*from..*to).contains(&at_ms))
}

impl Script {
    /// Which agent it has.
    fn agent(&self, now_ms: i64) -> Option<Agent> {
        let so_far = self.agents.iter().filter(|(from_ms, _)| *from_ms <= now_ms);
        so_far
            .max_by_key(|(from_ms, _)| *from_ms)
            .map(|(_, agent)| *agent)
    }

    /// Of which role it is, and what the others of it do.
    fn group(&self, now_ms: i64, own: Option<Carries>) -> Option<Group> {
        let so_far = self.groups.iter().filter(|(from_ms, _)| *from_ms <= now_ms);
        let (_, beside) = so_far.max_by_key(|(from_ms, _)| *from_ms)?;
        Some(Group::beside(
            &beside.name,
            beside.hosts,
            own,
            &beside.carry,
        ))
    }

    /// When a sample arrives; nothing when it is never taken.
    fn arrival_ms(&self, taken_ms: i64) -> Option<i64> {
        if within(&self.silent, taken_ms) {
            return None;
        }
        let late = self
            .late
            .iter()
            .find(|(from, to, _)| (*from..*to).contains(&taken_ms));
        let mut arrival = late.map_or(taken_ms, |(_, _, at)| *at);
        // What is sent to a collector that is not running waits in the spool.
        while let Some((_, back)) = self
            .away
            .iter()
            .find(|(from, to)| (*from..*to).contains(&arrival))
        {
            arrival = *back;
        }
        Some(arrival)
    }
}

/// The weeks before, made of all that has arrived.
fn past(script: &Script, now_ms: i64, to_ms: i64) -> Past {
    let arrived = |whole: &Series| {
        let points = whole.points().filter(|(taken_ms, _)| {
            let arrival_ms = script.arrival_ms(*taken_ms);
            now_ms - taken_ms <= PAST_MS && arrival_ms.is_some_and(|at| at <= now_ms)
        });
        let (times_ms, values) = points
            .map(|(t, v)| (START_MS + t + script.skew_ms, v))
            .unzip();
        Series {
            times_ms,
            values,
            ..whole.clone()
        }
    };
    let mut gathered = Gathered::default();
    gathered.take(&Window {
        host: "host".into(),
        from_ms: to_ms - PAST_MS,
        to_ms,
        interval_ms: script.interval_ms,
        series: script.series.iter().map(arrived).collect(),
    });
    gathered.past(to_ms)
}

fn input(script: &Script, now_ms: i64) -> RuleInput {
    let (mut last_sample_ms, mut last_received_ms) = (None, None);
    let mut series = Vec::new();
    for whole in &script.series {
        let (mut times_ms, mut values) = (Vec::new(), Vec::new());
        let kept_ms = match whole.name.metric == LONG_METRIC {
            true => LONG_MS,
            false => WINDOW_MS,
        };
        for (taken_ms, value) in whole.points().take_while(|(t, _)| *t <= now_ms) {
            let Some(arrival_ms) = script.arrival_ms(taken_ms).filter(|at| *at <= now_ms) else {
                continue;
            };
            let stamped_ms = START_MS + taken_ms + script.skew_ms;
            last_sample_ms = last_sample_ms.max(Some(stamped_ms));
            last_received_ms = last_received_ms.max(Some(START_MS + arrival_ms));
            if now_ms - taken_ms <= kept_ms {
                times_ms.push(stamped_ms);
                values.push(value);
            }
        }
        if !times_ms.is_empty() {
            series.push(Series {
                times_ms,
                values,
                ..whole.clone()
            });
        }
    }
    let back_ms = script
        .away
        .iter()
        .map(|(_, to)| *to)
        .filter(|to| *to <= now_ms)
        .max();
    RuleInput {
        host_id: "0".repeat(32),
        window: Window {
            host: "host".into(),
            from_ms: START_MS + now_ms - WINDOW_MS,
            to_ms: START_MS + now_ms + script.skew_ms.max(0),
            interval_ms: script.interval_ms,
            series,
        },
        past: None,
        unusual: None,
        agent: script.agent(now_ms),
        group: None,
        first_seen_ms: START_MS,
        last_sample_ms,
        last_received_ms,
        clock_skew_ms: script.skew_ms,
        watching_since_ms: Some(START_MS + back_ms.unwrap_or(-86_400_000)),
        retired_ms: None,
    }
}
