//! What judging costs: all rules over a fleet, and what is usual on each of its hosts. In this
//! process and from memory: reading what is judged is the history's figure.
//!
//! `HOSTWELL_CAPTURE` is the recording that every host is derived from, as for `make bench-history`;
//! `HOSTWELL_BENCH_HOSTS` (1000).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on the terminal, and stops where it cannot go on"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hostwell::anomaly::Course;
use hostwell::rules::{
    self, FUTURE_MS, Finding, Member, Policy, Roles, RuleInput, Unusual, Verdict,
};
use hostwell::series::{Kind, Series, SeriesName, Window};
use hostwell_proto::metric::Metric;
use hostwell_tests::figures::{Figure, free, table};
use hostwell_tests::load::capture::{Capture, Recorded};
use hostwell_tests::load::derive::{Host, Mould};
use hostwell_tests::load::script::host_name;
use hostwell_tests::process::{cpu_ns, median, rss_mib};
use hostwell_tests::runs::{about, save, setting};

/// How many agents' messages an hour is made of.
const STEP_MS: i64 = 10_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// What is known of a host when it is followed.
const PAST_DAYS: i64 = 3;
/// The first pass begins everything, so it does not count.
const PASSES: usize = 7;
/// Held in memory at a time, as a collector does.
const HOSTS_AT_ONCE: usize = 50;
/// Hosts of one role.
const ROLE: usize = 20;
const NOW_MS: i64 = 1_800_000_000_000;

/// What a fleet cost.
#[derive(Default)]
struct Spent {
    /// CPU of each pass, nanoseconds: following what is usual, and judging.
    follow_ns: [u64; PASSES],
    judge_ns: [u64; PASSES],
    learn_ns: u64,
    /// Resident memory that what is usual takes, MiB.
    learned_mib: f64,
    known: usize,
    /// How often each rule came to each outcome in the last pass.
    outcomes: BTreeMap<String, BTreeMap<&'static str, usize>>,
}

fn spent_ns<T>(into: &mut u64, work: impl FnOnce() -> T) -> T {
    let pid = std::process::id();
    let before = cpu_ns(pid);
    let done = work();
    *into += cpu_ns(pid) - before;
    done
}

fn kind(recorded: &Recorded) -> Kind {
    match recorded.is_counter() {
        true => Kind::Counter,
        false => Kind::Gauge,
    }
}

/// A host's window of so many steps, which ends at a moment.
fn window(mould: &Arc<Mould>, number: usize, (step_ms, steps, end_ms): (i64, i64, i64)) -> Window {
    let mut host = Host::new(mould, 1, number as u64, step_ms as u64);
    let times_ms: Vec<i64> = (0..steps)
        .map(|s| end_ms - (steps - 1 - s) * step_ms)
        .collect();
    let mut columns = vec![Vec::with_capacity(times_ms.len()); mould.capture().series.len()];
    let mut row = Vec::new();
    for _ in &times_ms {
        host.step(&mut row);
        for (column, value) in columns.iter_mut().zip(&row) {
            column.push(*value);
        }
    }
    let series = mould.capture().series.iter().zip(columns);
    let mut series: Vec<Series> = series
        .map(|(recorded, values)| Series {
            name: SeriesName {
                metric: recorded.metric.clone(),
                labels: recorded.labels.clone(),
            },
            kind: kind(recorded),
            times_ms: times_ms.clone(),
            values,
        })
        .collect();
    series.sort_by(|a, b| a.name.cmp(&b.name));
    Window {
        host: host_name(number as u64),
        from_ms: end_ms - steps * step_ms,
        to_ms: end_ms + FUTURE_MS,
        interval_ms: step_ms,
        series,
    }
}

/// What the rules look at: the last hour before a moment.
fn last_hour(whole: &Window, now_ms: i64) -> Window {
    let watched: BTreeSet<&str> = rules::metrics().into_iter().collect();
    let cut = |series: &Series| {
        let from = series
            .times_ms
            .partition_point(|t| *t < now_ms - rules::WINDOW_MS);
        let to = series.times_ms.partition_point(|t| *t <= now_ms);
        Series {
            times_ms: series.times_ms[from..to].to_vec(),
            values: series.values[from..to].to_vec(),
            name: series.name.clone(),
            kind: series.kind,
        }
    };
    let series = whole.series.iter();
    Window {
        host: whole.host.clone(),
        from_ms: now_ms - rules::WINDOW_MS,
        to_ms: now_ms + FUTURE_MS,
        interval_ms: whole.interval_ms,
        series: series
            .filter(|s| watched.contains(s.name.metric.as_str()))
            .map(cut)
            .collect(),
    }
}

fn labels(number: usize) -> BTreeMap<String, String> {
    BTreeMap::from([("role".to_owned(), format!("role-{}", number / ROLE))])
}

/// What is usual on every host, learned from days at a minute.
fn learned(mould: &Arc<Mould>, hosts: usize, spent: &mut Spent) -> Vec<Course> {
    let before = rss_mib(std::process::id());
    let steps = PAST_DAYS * DAY_MS / MINUTE_MS;
    let courses = (0..hosts).map(|number| {
        let past = window(mould, number, (MINUTE_MS, steps, NOW_MS - rules::WINDOW_MS));
        let mut course = Course::default();
        spent_ns(&mut spent.learn_ns, || course.take(past));
        course
    });
    let courses: Vec<Course> = courses.collect();
    spent.learned_mib = rss_mib(std::process::id()) - before;
    spent.known = courses.iter().map(Course::known).sum();
    courses
}

fn input(window: Window, number: usize, now_ms: i64) -> RuleInput {
    RuleInput {
        host_id: format!("{number:032x}"),
        window,
        past: None,
        unusual: None,
        agent: None,
        group: None,
        first_seen_ms: now_ms - PAST_DAYS * DAY_MS,
        last_sample_ms: Some(now_ms),
        last_received_ms: Some(now_ms),
        clock_skew_ms: 0,
        watching_since_ms: Some(now_ms - DAY_MS),
        retired_ms: None,
    }
}

/// Judges some hosts again and again, ten seconds later each time.
fn judged(
    mould: &Arc<Mould>,
    hosts: std::ops::Range<usize>,
    courses: &mut [Course],
    spent: &mut Spent,
) {
    let steps = rules::WINDOW_MS / STEP_MS + PASSES as i64;
    let end_ms = NOW_MS + PASSES as i64 * STEP_MS;
    let wholes: Vec<Window> = hosts
        .clone()
        .map(|number| window(mould, number, (STEP_MS, steps, end_ms)))
        .collect();
    let all: Vec<BTreeMap<String, String>> = hosts.clone().map(labels).collect();
    let policy = Policy::default();
    let mut previous: Vec<Finding> = Vec::new();
    for pass in 0..PASSES {
        let now_ms = NOW_MS + pass as i64 * STEP_MS;
        let mut inputs: Vec<RuleInput> = hosts
            .clone()
            .zip(&wholes)
            .map(|(number, whole)| input(last_hour(whole, now_ms), number, now_ms))
            .collect();
        spent_ns(&mut spent.follow_ns[pass], || {
            for (input, course) in inputs.iter_mut().zip(&mut *courses) {
                course.follow(&input.window);
                input.unusual = Some(Unusual {
                    known: course.known(),
                    on: course.on().cloned(),
                });
            }
        });
        let found = spent_ns(&mut spent.judge_ns[pass], || {
            let member = |labels| Member {
                labels,
                carries: None,
            };
            let roles = Roles::of(all.iter().map(member));
            for (input, labels) in inputs.iter_mut().zip(&all) {
                input.group = roles.group(member(labels));
            }
            rules::assess(&inputs, &previous, &policy, now_ms)
        });
        if pass == PASSES - 1 {
            for outcome in &found.outcomes {
                let of_rule = spent.outcomes.entry(outcome.rule.to_string()).or_default();
                *of_rule.entry(called(outcome.verdict)).or_default() += 1;
            }
        }
        previous = found.findings;
    }
}

fn called(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotEnoughData | Verdict::NotApplicable | Verdict::Kept => "without data",
        _ => "judged",
    }
}

fn milliseconds(ns: &[u64]) -> f64 {
    let counted: Vec<f64> = ns[1..].iter().map(|ns| *ns as f64 / 1e6).collect();
    median(&counted)
}

fn main() {
    let Some(capture) = std::env::var_os("HOSTWELL_CAPTURE") else {
        eprintln!("rules: HOSTWELL_CAPTURE names no recording that hosts can be derived from");
        std::process::exit(2);
    };
    let hosts = setting("HOSTWELL_BENCH_HOSTS", 1000) as usize;
    let mould = Arc::new(Mould::new(Capture::read(Path::new(&capture)).unwrap()));
    let mut spent = Spent::default();
    eprintln!("rules: learning what is usual on {hosts} hosts");
    let mut courses = learned(&mould, hosts, &mut spent);
    eprintln!("rules: judging them");
    for (part, courses) in courses.chunks_mut(HOSTS_AT_ONCE).enumerate() {
        let first = part * HOSTS_AT_ONCE;
        judged(&mould, first..first + courses.len(), courses, &mut spent);
    }
    let (follow_ms, judge_ms) = (
        milliseconds(&spent.follow_ns),
        milliseconds(&spent.judge_ns),
    );
    let rows = [Figure::below(
        &format!("all rules and detectors over {hosts} hosts, one pass: CPU ms"),
        (500.0, 100.0),
        follow_ms + judge_ms,
    )];
    let series = &mould.capture().series;
    let watched = series
        .iter()
        .filter(|s| Metric::by_name(&s.metric).is_some());
    let has_data = |of: &&BTreeMap<&str, usize>| of.get("judged").is_some_and(|n| *n > 0);
    let cells = vec![
        vec![
            "following what is usual, CPU ms".to_owned(),
            format!("{follow_ms:.1}"),
        ],
        vec!["judging, CPU ms".to_owned(), format!("{judge_ms:.1}")],
        vec![
            "learning what is usual, once after a start, CPU ms a host".to_owned(),
            format!("{:.2}", spent.learn_ns as f64 / 1e6 / hosts as f64),
        ],
        vec![
            "what is usual, kB a host".to_owned(),
            format!("{:.1}", spent.learned_mib * 1024.0 / hosts as f64),
        ],
        vec![
            "series that it knows, a host".to_owned(),
            format!("{:.1}", spent.known as f64 / hosts as f64),
        ],
    ];
    let report = format!(
        "# What judging costs\n\n{}\n`make bench-rules`, {hosts} hosts × {} series at {} s, {} of them in the \
         catalogue; {} of {} rules found data to judge by\n\n{}\n{}",
        about(),
        series.len(),
        STEP_MS / 1000,
        watched.count(),
        spent.outcomes.values().filter(has_data).count(),
        rules::RULES.len(),
        table(&rows),
        free(&["", "median of the passes"], &cells),
    );
    println!("{report}");
    println!("saved as {}", save("rules", &report).display());
    if rows.iter().any(Figure::is_missed) {
        std::process::exit(1);
    }
}
