use super::*;
use crate::rules::Severity;

const NOW_MS: i64 = 1_800_000_000_000;
const MINUTE_MS: i64 = 60_000;

/// What is unusual on a host, judged at a moment.
fn unusual(host: &str, since_ms: i64, now_ms: i64) -> Finding {
    let evidence = |what: &str, value| Evidence {
        what: what.into(),
        value,
        unit: "count".into(),
        threshold: None,
        selector: "node_load1{a=\"b\"}".into(),
    };
    Finding {
        id: 0,
        rule: RULE.name.into(),
        host_id: format!("id of {host}"),
        host: host.into(),
        subject: String::new(),
        severity: Severity::Info,
        state: State::Open,
        since_ms,
        opened_ms: Some(now_ms),
        closed_ms: None,
        judged_ms: now_ms,
        summary: format!("Unusual on {host}."),
        evidence: vec![
            evidence("load", 40.0),
            evidence("load, usual at this hour", 1.0),
            evidence("load, in usual daily extremes", 3.0),
        ],
        advice: "Look.".into(),
        advice_zh: "查看。".into(),
        held_ms: Default::default(),
    }
}

/// A register of its own, judged by whoever moves.
#[derive(Default)]
struct Fleet {
    together: Together,
    register: Vec<Finding>,
    roles: RolesById,
    /// Roles of hosts that are not known yet.
    unknown: HashSet<Arc<str>>,
    now_ms: i64,
}

impl Fleet {
    fn of(hosts: &[(&str, &str)]) -> Fleet {
        let id = |(host, role): &(&str, &str)| (format!("id of {host}"), Arc::from(*role));
        Fleet {
            roles: hosts.iter().filter(|h| !h.1.is_empty()).map(id).collect(),
            now_ms: NOW_MS,
            ..Fleet::default()
        }
    }

    /// A turn a minute later, in parts: (host, since when in minutes before now, if it moves).
    /// Answers what became of each.
    fn turn(&mut self, parts: &[&[(&str, Option<i64>)]]) -> Vec<Verdict> {
        self.now_ms += MINUTE_MS;
        let open: Vec<Finding> = self.register.clone();
        let unknown = self.unknown.clone();
        self.together.begin(&open, &self.roles, unknown);
        let mut verdicts = Vec::new();
        for part in parts {
            let id = |host: &str| format!("id of {host}");
            let of_part = |f: &&Finding| part.iter().any(|(host, _)| id(host) == f.host_id);
            let previous: Vec<Finding> = open.iter().filter(of_part).cloned().collect();
            let mut found = Assessment::default();
            for (host, minutes) in *part {
                let before = previous.iter().find(|f| f.host == *host);
                let verdict = match (minutes, before) {
                    (Some(minutes), _) => {
                        let since_ms = self.now_ms - minutes * MINUTE_MS;
                        let now = unusual(host, since_ms, self.now_ms);
                        found.findings.push(Finding {
                            since_ms: before.map_or(since_ms, |f| f.since_ms),
                            ..now
                        });
                        Verdict::Risk
                    }
                    (None, Some(before)) => {
                        found.findings.push(Finding {
                            state: State::Closed,
                            closed_ms: Some(self.now_ms),
                            judged_ms: self.now_ms,
                            ..before.clone()
                        });
                        Verdict::Ok
                    }
                    (None, None) => Verdict::Ok,
                };
                found.outcomes.push(Outcome {
                    rule: RULE.name.into(),
                    host_id: id(host),
                    host: (*host).into(),
                    verdict,
                    words: String::new(),
                });
            }
            self.together
                .fold(&mut found, &previous, &self.roles, self.now_ms);
            verdicts.extend(found.outcomes.iter().map(|o| o.verdict));
            self.register.retain(|f| !of_part(&f));
            self.register.extend(found.findings);
            self.register.retain(|f| f.state == State::Open);
        }
        verdicts
    }

    fn entries(&self) -> Vec<&str> {
        let mut hosts: Vec<&str> = self.register.iter().map(|f| f.host.as_str()).collect();
        hosts.sort_unstable();
        hosts
    }
}

const WEB: &[(&str, &str)] = &[("a", "role=web"), ("b", "role=web"), ("c", "role=web")];

#[test]
fn hosts_of_a_role_that_move_together_are_one_entry_that_names_them() {
    for parts in [
        &[&[("a", Some(3)), ("b", Some(5)), ("c", Some(1))][..]][..],
        &[&[("b", Some(5))], &[("a", Some(3)), ("c", Some(1))]],
    ] {
        let mut fleet = Fleet::of(WEB);
        let verdicts = fleet.turn(parts);
        assert_eq!(fleet.entries(), ["b"], "{parts:?}");
        let silenced = |v: &&Verdict| **v == Verdict::Silenced;
        assert_eq!(verdicts.iter().filter(silenced).count(), 2);
        fleet.turn(parts);
        assert_eq!(fleet.entries(), ["b"]);
        let entry = &fleet.register[0];
        assert_eq!(
            entry.summary,
            "Unusual on b. With it in role=web: a (load 40), c (load 40)."
        );
        let more: Vec<(&str, &str)> = entry.evidence[3..]
            .iter()
            .map(|e| (e.what.as_str(), e.selector.as_str()))
            .collect();
        let of = |host| format!("node_load1{{a=\"b\",host=\"{host}\"}}");
        assert_eq!(
            more,
            [("a, load", &*of("a")), ("c, load", &*of("c"))],
            "each can be queried"
        );
    }
}

#[test]
fn an_entry_stays_open_while_one_of_its_hosts_goes_on_also_when_its_own_does_not() {
    let mut fleet = Fleet::of(WEB);
    fleet.turn(&[&[("a", Some(2)), ("b", Some(1))]]);
    let since_ms = fleet.register[0].since_ms;
    for minutes in 2..5 {
        fleet.turn(&[&[("a", None)], &[("b", Some(minutes))]]);
        assert_eq!(fleet.entries(), ["a"]);
        assert_eq!(fleet.register[0].since_ms, since_ms);
        let summary = &fleet.register[0].summary;
        assert_eq!(summary, "Unusual on a. With it in role=web: b (load 40).");
    }
    fleet.turn(&[&[("a", None), ("b", None)]]);
    assert_eq!(fleet.entries(), Vec::<&str>::new());
}

#[test]
fn what_begins_later_or_in_another_role_or_in_none_is_an_entry_of_its_own() {
    let mut fleet = Fleet::of(&[
        ("a", "role=web"),
        ("b", "role=web"),
        ("c", "role=db"),
        ("d", ""),
        ("e", ""),
    ]);
    let all = |before| {
        [
            ("a", Some(1)),
            ("b", Some(1 + before)),
            ("c", Some(1)),
            ("d", Some(1)),
            ("e", Some(1)),
        ]
    };
    fleet.turn(&[&all(TOGETHER_MS / MINUTE_MS)]);
    assert_eq!(fleet.entries(), ["b", "c", "d", "e"]);
    fleet.turn(&[&all(0).map(|(host, _)| (host, None))]);
    fleet.turn(&[&all(TOGETHER_MS / MINUTE_MS + 1)]);
    assert_eq!(fleet.entries(), ["a", "b", "c", "d", "e"]);
    let of_b = fleet.register.iter().find(|f| f.host == "b").unwrap();
    assert_eq!(
        of_b.summary,
        "Unusual on b. Entries of their own in role=web: a."
    );
}

#[test]
fn a_host_that_has_an_entry_keeps_it_and_one_whose_entry_is_gone_gets_its_own() {
    let mut fleet = Fleet::of(WEB);
    fleet.roles.clear();
    fleet.turn(&[&[("a", Some(2)), ("b", Some(1))]]);
    assert_eq!(fleet.entries(), ["a", "b"]);
    // They get their labels.
    fleet.roles = Fleet::of(WEB).roles;
    fleet.turn(&[&[("a", Some(3)), ("b", Some(2)), ("c", Some(1))]]);
    assert_eq!(fleet.entries(), ["a", "b"]);
    // After a restart too.
    fleet.together = Together::default();
    fleet.turn(&[&[("a", Some(4)), ("b", Some(3)), ("c", Some(2))]]);
    assert_eq!(fleet.entries(), ["a", "b"]);
    // Host a is retired.
    fleet.roles.remove("id of a");
    fleet.register.retain(|f| f.host != "a");
    fleet.turn(&[&[("b", None), ("c", Some(3))]]);
    assert_eq!(fleet.entries(), ["c"]);
}

#[test]
fn after_a_restart_an_entry_waits_for_its_role_and_goes_on_with_what_goes_on() {
    for goes_on in [true, false] {
        let mut fleet = Fleet::of(WEB);
        fleet.turn(&[&[("a", Some(2)), ("b", Some(1))]]);
        let first = fleet.register[0].clone();
        let with_b = "Unusual on a. With it in role=web: b (load 40).";
        assert_eq!(first.summary, with_b);
        // Of b nothing is known yet, and a is quiet.
        fleet.together = Together::default();
        fleet.unknown = HashSet::from([Arc::from("role=web")]);
        fleet.turn(&[&[("a", None)]]);
        assert_eq!(fleet.entries(), ["a"]);
        assert_eq!(fleet.register[0].summary, "Unusual on a.");
        assert_eq!(fleet.register[0].evidence.len(), 3, "its own");
        fleet.unknown.clear();
        fleet.turn(&[&[("a", None)], &[("b", goes_on.then_some(3))]]);
        fleet.turn(&[&[("a", None)], &[("b", goes_on.then_some(4))]]);
        let entries: Vec<(&str, i64)> = fleet
            .register
            .iter()
            .map(|f| (f.summary.as_str(), f.since_ms))
            .collect();
        let expected: &[_] = if goes_on {
            &[(with_b, first.since_ms)]
        } else {
            &[]
        };
        assert_eq!(entries, expected);
    }
}

#[test]
fn after_a_restart_an_entry_of_another_role_waits_for_nobody() {
    let mut fleet = Fleet::of(WEB);
    fleet.turn(&[&[("a", Some(2))]]);
    fleet.together = Together::default();
    fleet.unknown = HashSet::from([Arc::from("role=db")]);
    fleet.turn(&[&[("a", None)]]);
    assert_eq!(fleet.entries(), Vec::<&str>::new());
}

#[test]
fn what_was_not_judged_stays_word_for_word() {
    let mut fleet = Fleet::of(WEB);
    fleet.turn(&[&[("a", Some(2)), ("b", Some(1))]]);
    let before = fleet.register[0].clone();
    let mut found = Assessment {
        findings: fleet.register.clone(),
        outcomes: Vec::new(),
    };
    fleet
        .together
        .fold(&mut found, &fleet.register, &fleet.roles, NOW_MS + 9);
    assert_eq!(found.findings, [before]);
}

#[test]
fn of_the_past_what_begins_together_is_the_entry_of_the_first() {
    let stretch = |role: &str, host: &str, minute: i64| Stretch {
        role: (!role.is_empty()).then(|| role.into()),
        host: host.into(),
        start_ms: minute * MINUTE_MS,
    };
    let of = entries(&[
        stretch("web", "b", 10),
        stretch("web", "a", 5),
        stretch("db", "c", 6),
        stretch("web", "d", 35),
        stretch("web", "e", 36),
        stretch("", "f", 5),
        stretch("", "g", 5),
        stretch("web", "a", 30),
    ]);
    assert_eq!(
        of,
        [Some(1), None, None, Some(1), Some(7), None, None, None]
    );
}
