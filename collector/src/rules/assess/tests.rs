use super::*;
use crate::series::{Kind, Series, SeriesName};

const NOW_MS: i64 = 1_800_000_000_000;

/// A host with one filesystem of 20 GB that has had this much available for the last hour.
fn input(available: f64) -> RuleInput {
    let times_ms: Vec<i64> = (0..=360).rev().map(|i| NOW_MS - i * 10_000).collect();
    let series = |metric: &str, value: f64| Series {
        name: SeriesName::new(metric, &[("mountpoint", "/")]),
        kind: Kind::Gauge,
        values: vec![value; times_ms.len()],
        times_ms: times_ms.clone(),
    };
    RuleInput {
        host_id: "a".repeat(32),
        window: Window {
            host: "web-1".into(),
            from_ms: NOW_MS - 3_600_000,
            to_ms: NOW_MS,
            interval_ms: 10_000,
            series: vec![
                series("node_filesystem_avail_bytes", available),
                series("node_filesystem_size_bytes", 20e9),
            ],
        },
        past: None,
        unusual: None,
        agent: None,
        group: None,
        first_seen_ms: 0,
        last_sample_ms: Some(NOW_MS),
        last_received_ms: Some(NOW_MS),
        clock_skew_ms: 0,
        watching_since_ms: Some(0),
        retired_ms: None,
    }
}

fn assess_one(input: RuleInput, previous: &[Finding]) -> Assessment {
    assess(&[input], previous, &Policy::default(), NOW_MS)
}

fn open_finding() -> Finding {
    let mut findings = assess_one(input(1e9), &[]).findings;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings[0].id = 7;
    findings.remove(0)
}

#[test]
fn a_finding_carries_its_evidence_and_its_moment() {
    let finding = open_finding();
    assert_eq!(finding.state, State::Open);
    assert_eq!(finding.severity, Severity::Critical);
    assert_eq!(
        (finding.rule.as_str(), finding.subject.as_str()),
        ("disk_full", "/")
    );
    // It held all through the window, so it opens at once, with the true beginning.
    assert_eq!(finding.since_ms, NOW_MS - 3_600_000);
    assert_eq!(finding.opened_ms, Some(NOW_MS));
    assert_eq!(finding.summary, "/ is 95 % used: 954 MiB left.");
    assert_eq!(
        finding.evidence[0].selector,
        "node_filesystem_avail_bytes{mountpoint=\"/\"}"
    );
}

#[test]
fn judging_twice_changes_nothing() {
    let first = open_finding();
    let again = assess_one(input(1e9), std::slice::from_ref(&first));
    assert_eq!(again.findings, [first]);
}

#[test]
fn a_finding_keeps_its_number_until_it_closes_and_a_new_one_begins() {
    let first = open_finding();
    let closed = assess_one(input(15e9), std::slice::from_ref(&first)).findings;
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0].id, closed[0].state), (7, State::Closed));
    assert_eq!(closed[0].closed_ms, Some(NOW_MS));
    // What it was about stays readable.
    assert_eq!(closed[0].summary, first.summary);
    assert_eq!(assess_one(input(15e9), &closed).findings, []);
    let reopened = assess_one(input(1e9), &closed).findings;
    assert_eq!((reopened[0].id, reopened[0].state), (0, State::Open));
}

#[test]
fn severity_follows_the_values() {
    let first = open_finding();
    let milder = assess_one(input(3e9), &[first]).findings;
    assert_eq!(milder[0].severity, Severity::Warning);
    assert_eq!((milder[0].id, milder[0].state), (7, State::Open));
}

#[test]
fn findings_of_a_retired_host_close_and_nothing_is_judged() {
    let mut retired = input(1e9);
    retired.retired_ms = Some(NOW_MS - 1);
    let found = assess_one(retired, &[open_finding()]);
    assert_eq!(found.findings[0].state, State::Closed);
    assert_eq!(found.count(Verdict::NotApplicable), RULES.len());
}

#[test]
fn a_disabled_rule_closes_what_it_opened() {
    let policy = Policy {
        disabled: vec!["disk_full".into()],
        ..Policy::default()
    };
    let found = assess(&[input(1e9)], &[open_finding()], &policy, NOW_MS);
    assert_eq!(found.findings[0].state, State::Closed);
}

#[test]
fn a_rule_that_is_gone_leaves_nothing_open() {
    let mut old = open_finding();
    old.rule = "rule_of_an_older_release".into();
    let found = assess_one(input(15e9), &[old]);
    assert_eq!(found.findings[0].state, State::Closed);
}

#[test]
fn hosts_that_were_not_looked_at_are_left_alone() {
    let found = assess(&[], &[open_finding()], &Policy::default(), NOW_MS);
    assert_eq!(found, Assessment::default());
}

#[test]
fn without_data_a_finding_stays_what_it_was() {
    let mut silent = input(1e9);
    silent.window.series.clear();
    let first = open_finding();
    let found = assess_one(silent, std::slice::from_ref(&first));
    assert_eq!(found.findings, [first]);
}

#[test]
fn every_rule_and_host_has_an_outcome() {
    let found = assess_one(input(15e9), &[]);
    assert_eq!(found.outcomes.len(), RULES.len());
    assert!(found.outcomes.iter().all(|o| !o.words.is_empty()));
    assert!(found.words().starts_with("0 open; "), "{}", found.words());
}

#[test]
fn a_skew_needs_the_samples_as_a_second_witness() {
    let skew = |greeted_s: i64, sample_age_s: i64| {
        let mut host = input(15e9);
        host.clock_skew_ms = greeted_s * 1000;
        host.last_sample_ms = Some(NOW_MS - sample_age_s * 1000);
        host.skew_ms() / 1000
    };
    assert_eq!(skew(0, 5), 0);
    assert_eq!(skew(30, -30), 0);
    // Set right since the greeting.
    assert_eq!(skew(-300, 5), 0);
    assert_eq!(skew(300, 5), 0);
    assert_eq!(skew(-300, 305), -300);
    assert_eq!(skew(300, -295), 295);
    // An agent that catches up, or whose sampler hangs, sends old samples with a right clock.
    assert_eq!(skew(0, 4000), 0);
}

/// The rules that a rule's source names as what explains its findings. Lists are written where they are
/// used, with names or with `other::RULE.name`.
fn causes(rule: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in ["silenced_by: ", "causes: "] {
        for rest in source.split(word).skip(1) {
            let passed_on = ["&'static ", "self.silenced_by(", "resource.silenced_by"];
            if passed_on.iter().any(|begin| rest.starts_with(begin)) {
                continue;
            }
            let list = rest.strip_prefix("&[").and_then(|r| r.split_once(']'));
            let (list, _) = list.unwrap_or_else(|| panic!("{rule}: {word}is no list"));
            for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
                let quoted = entry.strip_prefix('"').and_then(|e| e.strip_suffix('"'));
                let name = quoted.or(entry.strip_suffix("::RULE.name"));
                found.push(name.unwrap_or_else(|| panic!("{rule}: {entry}")).to_owned());
            }
        }
    }
    found
}

#[test]
fn a_rule_is_silenced_only_by_rules_that_are_judged_before_it() {
    let place = |name: &str| RULES.iter().position(|rule| rule.name == name);
    let mut count = 0;
    for (own, rule) in RULES.iter().enumerate() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules");
        let source = std::fs::read_to_string(format!("{folder}/{}.rs", rule.name)).unwrap();
        for cause in causes(rule.name, &source) {
            let before = place(&cause);
            let before = before.unwrap_or_else(|| panic!("{}: no rule {cause}", rule.name));
            assert!(before < own, "{} is judged before {cause}", rule.name);
            count += 1;
        }
    }
    assert!(count > 25, "{count} causes were read");
}
