//! The whole report on a small fixed fleet, on hostile strings and on many hosts.

use expect_test::expect_file;
use proptest::prelude::*;

use super::*;
use crate::rules::{Evidence, Finding, Severity, State};

const NOW_MS: i64 = 1_795_289_600_000;
const HOUR_MS: i64 = 3_600_000;

fn indicator(name: &str, status: Status, now: f64, unit: Unit) -> IndicatorInput {
    let step = |at: usize| {
        let mean = now * (0.7 + 0.1 * at as f64);
        (at != 2).then_some([mean * 0.8, mean, mean * 1.1])
    };
    IndicatorInput {
        name: name.into(),
        status,
        now: Some(now),
        unit,
        words: format!("{name} in words."),
        threshold: (unit == Unit::Ratio).then_some(0.9),
        levels: "80 / 90 %: where they come from".into(),
        trend: Some(Trend {
            from_ms: NOW_MS - 24 * HOUR_MS,
            to_ms: NOW_MS,
            points: (0..4).map(step).collect(),
        }),
    }
}

fn host(name: &str, number: u8) -> HostInput {
    HostInput {
        name: name.into(),
        id: format!("{number:032x}"),
        labels: [("role".to_owned(), "db".to_owned())].into(),
        os: "Debian GNU/Linux 13 (trixie)".into(),
        kernel: "6.12.48".into(),
        arch: "x86_64".into(),
        cpus: 8,
        memory_bytes: 32 << 30,
        boot_time_ms: NOW_MS - 40 * 24 * HOUR_MS,
        agent_version: "0.1.0".into(),
        interval_ms: 10_000,
        first_seen_ms: NOW_MS - 30 * 24 * HOUR_MS,
        last_sample_ms: Some(NOW_MS - 4_000),
        retired_ms: None,
        indicators: vec![
            indicator("CPU", Status::Ok, 0.34, Unit::Ratio),
            indicator("Load", Status::Ok, 0.42, Unit::Number),
            indicator("Memory", Status::Watch, 0.83, Unit::Ratio),
            indicator("Network", Status::Ok, 1_440_000.0, Unit::BytesPerSecond),
            indicator("Disk", Status::Ok, 0.61, Unit::Ratio),
        ],
        availability: AvailabilityInput {
            up_ms: 24 * HOUR_MS,
            ..AvailabilityInput::default()
        },
        outcomes: String::new(),
        coverage: CoverageInput {
            expected: 8640,
            received: 8640,
            gaps: Vec::new(),
        },
    }
}

fn finding(id: i64, on: &HostInput, rule: &str, severity: Severity, summary: &str) -> Finding {
    Finding {
        id,
        rule: rule.into(),
        host_id: on.id.clone(),
        host: on.name.clone(),
        subject: "/".into(),
        severity,
        state: State::Open,
        since_ms: NOW_MS - 5 * HOUR_MS,
        opened_ms: Some(NOW_MS - 4 * HOUR_MS),
        closed_ms: None,
        judged_ms: NOW_MS,
        summary: summary.into(),
        evidence: vec![Evidence {
            what: "available space".into(),
            value: 0.043,
            unit: "ratio".into(),
            threshold: Some(0.05),
            selector: "node_filesystem_avail_bytes{mountpoint=\"/\"}".into(),
        }],
        advice: "Free space (`du -xh /`) or grow the filesystem.".into(),
        advice_zh: "清理空间（`du -xh /`）或扩容文件系统。".into(),
        held_ms: Default::default(),
    }
}

fn input(hosts: Vec<HostInput>, findings: Vec<Finding>) -> Input {
    Input {
        scope: "all hosts".into(),
        period: Period {
            name: "last 24 h".into(),
            from_ms: NOW_MS - 24 * HOUR_MS,
            to_ms: NOW_MS,
        },
        now_ms: NOW_MS,
        hosts,
        findings,
        who: Default::default(),
        care: Default::default(),
        collector: CollectorInput {
            source: "collector at http://127.0.0.1:7443".into(),
            version: "0.1.0".into(),
            watched: vec![(NOW_MS - 24 * HOUR_MS, NOW_MS)],
            samples: 1_234_567,
            series: 789,
            file_bytes: 12 << 20,
            oldest_ms: Some(NOW_MS - 30 * 24 * HOUR_MS),
        },
        rules: vec![RuleNote {
            rule: "disk_full".into(),
            opens_when: "less than 5 % of a filesystem is available for 5 min".into(),
            if_ignored: "Writes fail: databases stop and logs are lost.".into(),
        }],
    }
}

fn small() -> Input {
    let mut full = host("db-1", 1);
    full.availability.down_ms = HOUR_MS / 2;
    full.availability.up_ms -= HOUR_MS / 2;
    full.availability.outages = vec![(NOW_MS - 9 * HOUR_MS, NOW_MS - 8 * HOUR_MS - HOUR_MS / 2)];
    full.coverage.received = 7000;
    full.coverage.gaps = vec![GapInput {
        from_ms: NOW_MS - 9 * HOUR_MS,
        to_ms: NOW_MS - 8 * HOUR_MS - HOUR_MS / 2,
        reason: "the host was down".into(),
    }];
    let mut silent = host("edge-7", 3);
    silent.last_sample_ms = None;
    silent.indicators.clear();
    silent.availability = AvailabilityInput::default();
    silent.coverage = CoverageInput::default();
    let calm = host("web-1", 2);
    let open = finding(7, &full, "disk_full", Severity::Critical, "/ is 96 % full.");
    let mut over = finding(5, &calm, "cpu_busy", Severity::Warning, "CPU was busy.");
    over.state = State::Closed;
    over.closed_ms = Some(NOW_MS - HOUR_MS);
    let mut pending = finding(8, &calm, "load_high", Severity::Critical, "Load is high.");
    pending.state = State::Pending;
    input(vec![calm, silent, full], vec![over, pending, open])
}

#[test]
fn a_small_fleet_reads_well_in_markdown() {
    expect_file!["golden/small.md"].assert_eq(&markdown(&build(&small())));
}

#[test]
fn a_small_fleet_is_one_html_page() {
    expect_file!["golden/small.html"].assert_eq(&html(&build(&small())));
}

#[test]
fn the_json_format_is_the_report_and_reads_back() {
    let report = build(&small());
    let json = serde_json::to_string_pretty(&report).unwrap() + "\n";
    expect_file!["golden/small.json"].assert_eq(&json);
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn the_verdict_is_one_sentence_for_every_kind_of_fleet() {
    let silent = || {
        let mut host = host("edge-7", 9);
        host.last_sample_ms = None;
        host
    };
    let calm = || host("web-1", 2);
    let full = |on: HostInput| {
        let open = finding(1, &on, "disk_full", Severity::Warning, "/ is 91 % full.");
        (on, open)
    };
    let (alone, open) = full(calm());
    let cases = [
        (
            input(vec![], vec![]),
            "No host has reported yet, so there is nothing to judge.",
        ),
        (
            input(vec![calm()], vec![]),
            "web-1 is healthy: no risk is open.",
        ),
        (
            input(vec![silent()], vec![]),
            "There is not enough data to judge edge-7.",
        ),
        (
            input(vec![alone.clone()], vec![open.clone()]),
            "web-1 is at risk: / is 91 % full.",
        ),
        (
            input(vec![calm(), host("web-2", 4)], vec![]),
            "All 2 hosts are healthy: no risk is open.",
        ),
        (
            input(vec![calm(), silent()], vec![]),
            "No risk is open on the 1 host that reported; for 1 host there is not enough data.",
        ),
        (
            input(vec![silent(), silent()], vec![]),
            "No verdict is possible: none of the 2 hosts sent enough data.",
        ),
        (
            input(vec![host("web-2", 4), alone], vec![open]),
            "1 of 2 hosts is at risk; the most urgent is web-1: / is 91 % full.",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(build(&input).summary.sentence, expected);
    }
}

#[test]
fn hosts_that_are_stale_or_retired_are_not_called_healthy() {
    let mut stale = host("old", 1);
    stale.last_sample_ms = Some(NOW_MS - 91_000);
    let mut gone = host("gone", 2);
    gone.retired_ms = Some(NOW_MS - HOUR_MS);
    let summary = build(&input(vec![stale, gone], vec![])).summary;
    assert_eq!((summary.hosts, summary.healthy, summary.unknown), (1, 0, 1));
}

#[test]
fn a_healthy_host_with_a_high_indicator_is_named_beside_the_verdict() {
    let mut busy = host("web-1", 2);
    busy.indicators[0].status = Status::Risk;
    let report = build(&input(vec![busy, host("web-2", 3)], vec![]));
    let Block::Verdict(verdict) = &report.chapters[0].blocks[0] else {
        panic!("the verdict comes first");
    };
    assert_eq!(
        verdict.sentence,
        "All 2 hosts are healthy: no risk is open."
    );
    assert_eq!(
        verdict.detail,
        "High right now, but not for long enough to be a risk: web-1 (CPU)."
    );
}

#[test]
fn only_what_is_longer_than_the_grace_is_a_gap() {
    let drawn = |step_ms: i64, points: &str| {
        let mut host = host("web-1", 2);
        host.indicators.truncate(1);
        host.indicators[0].trend = Some(Trend {
            from_ms: NOW_MS - step_ms * points.len() as i64,
            to_ms: NOW_MS,
            points: points
                .chars()
                .map(|c| (c == 'x').then_some([0.5; 3]))
                .collect(),
        });
        let report = build(&input(vec![host], vec![]));
        let card = report.chapters[1]
            .blocks
            .iter()
            .find_map(|block| match block {
                Block::HostCard(card) => card.indicators[0].chart.clone(),
                _ => None,
            });
        let points = card.unwrap().points;
        points
            .iter()
            .map(|p| if p.is_some() { 'x' } else { '.' })
            .collect::<String>()
    };
    // Slow subjects at one sample a second, and a spool that is sent every few seconds.
    assert_eq!(drawn(3_000, "..x.x..xx..."), "..xxxxxxxxxx");
    assert_eq!(drawn(30_000, "x...x....x"), "xxxxx....x");
    // The newest step has only begun.
    assert_eq!(drawn(HOUR_MS, "x.x."), "x.x");
    assert_eq!(drawn(HOUR_MS, "x.."), "x.");
}

#[test]
fn two_hundred_hosts_still_begin_with_the_verdict_and_the_worst() {
    let hosts: Vec<HostInput> = (0..200).map(|n| host(&format!("web-{n:03}"), n)).collect();
    let mut findings: Vec<Finding> = (100..140)
        .map(|n| {
            let on = &hosts[n];
            finding(
                n as i64,
                on,
                "disk_full",
                Severity::Warning,
                "/ is 91 % full.",
            )
        })
        .collect();
    findings.push(finding(
        1,
        &hosts[150],
        "host_down",
        Severity::Critical,
        "It is down.",
    ));
    let report = build(&input(hosts, findings));
    assert_eq!(
        report.summary.sentence,
        "41 of 200 hosts are at risk; the most urgent is web-150: It is down."
    );
    let actions = report.chapters[0]
        .blocks
        .iter()
        .find_map(|block| match block {
            Block::Actions(actions) => Some(&actions.items),
            _ => None,
        });
    let hosts: Vec<&str> = actions.unwrap().iter().map(|a| a.host.as_str()).collect();
    assert_eq!(hosts, ["web-150", "web-100 and 39 hosts more"]);
    let page = html(&report);
    assert_eq!(page.matches("<article class=\"host").count(), 16);
    assert!(
        page.contains("190 rows are left out here"),
        "the first page says what it omits"
    );
    assert!(page.find("web-150").unwrap() < page.find("web-100").unwrap());
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
}

/// Every string a host, an agent or an operator controls, set to `text`.
fn hostile(text: &str) -> Input {
    let mut input = small();
    input.scope = text.into();
    input.period.name = text.into();
    input.collector.source = text.into();
    for host in &mut input.hosts {
        host.name = text.into();
        host.labels = [(text.to_owned(), text.to_owned())].into();
        host.os = text.into();
        host.kernel = text.into();
        for indicator in &mut host.indicators {
            indicator.words = text.into();
        }
        for gap in &mut host.coverage.gaps {
            gap.reason = text.into();
        }
    }
    for finding in &mut input.findings {
        finding.host = text.into();
        finding.rule = text.into();
        finding.summary = text.into();
        finding.advice = text.into();
        for evidence in &mut finding.evidence {
            evidence.what = text.into();
            evidence.unit = text.into();
            evidence.selector = text.into();
        }
    }
    input
}

/// A page's tags with their attributes, texts dropped: what a browser would take as markup.
fn tags(page: &str) -> Vec<&str> {
    let body = &page[page.find("</style>").unwrap()..];
    body.split('<')
        .skip(1)
        .map(|piece| piece.split('>').next().unwrap())
        .collect()
}

/// What is left of the tags when attribute values (quoted, all of them) are taken out.
fn names(page: &str) -> Vec<String> {
    let bare = |tag: &&str| tag.split('"').step_by(2).collect::<String>();
    // Paired backticks in advice may become code: that is all a string can do.
    let harmless = |tag: &String| tag != "code" && tag != "/code";
    tags(page).iter().map(bare).filter(harmless).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_hostile_string_is_never_markup(text in "[<>\"'&`|\\\\/a-z =\n\u{0}-\u{1f}\u{202e}\u{2066}é]{1,40}") {
        let page = html(&build(&hostile(&text)));
        let calm = html(&build(&hostile("x")));
        prop_assert_eq!(names(&page), names(&calm));
        let shown = page[page.find("</style>").unwrap()..].replace('\n', "");
        let hidden = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        prop_assert_eq!(shown.find(hidden), None);
        let plain = markdown(&build(&hostile(&text)));
        let lines = |text: &str| text.lines().count();
        prop_assert_eq!(lines(&plain), lines(&markdown(&build(&hostile("x")))));
    }
}

#[test]
fn script_markup_and_links_in_names_stay_text() {
    let evil = "<script>alert(1)</script>[a](http://evil)![b](x)`c`|d|www.evil.test*e*";
    let page = html(&build(&hostile(evil)));
    assert!(!page.contains("<script") && !page.contains("http-equiv=\"refresh"));
    let plain = markdown(&build(&hostile(evil)));
    // Inside code spans markup is text already; outside of them everything is escaped.
    let outside: String = plain
        .lines()
        .filter(|line| !line.contains("``"))
        .collect::<Vec<_>>()
        .join("\n");
    for markup in ["<script", "[a](", "http://evil", " www.", "*e*"] {
        assert!(!outside.contains(markup), "{markup}");
    }
}

#[test]
fn the_page_fetches_nothing_and_runs_nothing() {
    let page = html(&build(&small()));
    for forbidden in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "@import",
        "javascript:",
        " on",
        "src=",
    ] {
        let found = tags(&page).iter().any(|tag| tag.contains(forbidden));
        assert!(!found, "{forbidden}");
    }
    assert!(!page.contains("style=\"") && !page.contains("url(http"));
    assert!(page.contains("Content-Security-Policy"));
    let ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .map(|s| s.split('"').next().unwrap())
        .collect();
    let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "ids are unique");
}

#[test]
fn what_was_decided_is_a_column_of_the_table_where_anybody_decided_anything() {
    let on = host("db-1", 1);
    let of = |id| finding(id, &on, "disk_full", Severity::Warning, "/ is 90 % full.");
    let mut input = input(vec![host("db-1", 1)], (1..=22).map(of).collect());
    let heads = |input: &Input| {
        let text = markdown(&build(input));
        let heads = text.lines().filter(|l| l.contains("| Finding | Since |"));
        heads.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(heads(&input), ["| Severity | Host | Finding | Since |"]);
    let care = Care {
        owner: "anna".into(),
        standing: "acknowledged by bert".into(),
    };
    input.care.insert(22, care);
    assert_eq!(
        heads(&input),
        ["| Severity | Host | Finding | Since | Decided |"]
    );
    let text = markdown(&build(&input));
    assert!(text.contains("| anna, acknowledged by bert |"), "{text}");
}
