use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::rules::language::tests::check_alike;
use crate::rules::{Evidence, Finding, RULES, Rule, default_levels, told_in};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rules")
}

#[track_caller]
fn run(text: &str) -> Vec<Failure> {
    Script::parse(text).unwrap_or_else(|e| panic!("{e}")).run()
}

#[track_caller]
fn check(text: &str) {
    let failures = run(text);
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_rule_has_a_script_that_fires_and_one_that_stays_silent() {
    let mut expected = BTreeSet::new();
    for rule in RULES {
        for kind in ["fires", "silent"] {
            let name = format!("{}.{kind}.script", rule.name);
            let text = std::fs::read_to_string(folder().join(&name))
                .unwrap_or_else(|e| panic!("testdata/rules/{name}: {e}"));
            let script = Script::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let failures = script.run();
            assert!(failures.is_empty(), "{name}: {failures:#?}");
            let fires = script.fires().any(|fired| fired == rule.name);
            assert_eq!(fires, kind == "fires", "{name} is about {}", rule.name);
            let silences = script.silences().any(|silent| silent == rule.name);
            assert!(silences, "{name} never expects no {}", rule.name);
            let last = script.expectations.iter().max_by_key(|e| e.at_ms);
            let is_over = last.is_some_and(|e| matches!(&e.what, What::No(of) if *of == rule.name));
            assert!(
                kind == "silent" || is_over,
                "{name}: clear must follow raise"
            );
            expected.insert(name);
        }
    }
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = std::fs::read_to_string(folder().join(&name)).unwrap();
        if !expected.contains(&name) {
            let failures = run(&text);
            assert!(failures.is_empty(), "{name}: {failures:#?}");
        }
    }
}

/// Units that reports and tables know how to write.
const UNITS: &[&str] = &[
    "ratio",
    "bytes",
    "bytes_per_second",
    "seconds",
    "per_second",
    "count",
    "°C",
];

#[test]
fn every_evidence_can_be_queried_and_every_sentence_ends() {
    let known = |metric: &str| hostwell_proto::metric::Metric::by_name(metric).is_some();
    let mut judged = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        replay::run(&Script::parse(&text).unwrap(), |_, findings, _| {
            for finding in findings {
                judged.insert(finding.rule.clone());
                assert!(finding.summary.ends_with('.'), "{}", finding.summary);
                for evidence in &finding.evidence {
                    let selector: crate::series::Selector = evidence.selector.parse().unwrap();
                    assert!(known(&selector.metric), "{}", evidence.selector);
                    assert!(UNITS.contains(&evidence.unit.as_str()), "{}", evidence.unit);
                    assert!(
                        evidence.value.is_finite(),
                        "{}: {}",
                        finding.rule,
                        evidence.what
                    );
                }
            }
        });
    }
    assert_eq!(judged.len(), RULES.len(), "{judged:?}");
}

/// A rule's default levels as they are told, of a band where it begins: level, number, unit.
fn told(rule: &'static Rule) -> (&'static str, Vec<(String, f64, &'static str)>) {
    let levels = default_levels(rule)
        .into_iter()
        .filter_map(|(level, value)| {
            let value = value.get("raise").unwrap_or(&value);
            let number = value.as_float().or(value.as_integer().map(|n| n as f64))?;
            let (number, unit) = told_in(rule.name, &level, number);
            Some((level, number, unit))
        });
    (rule.name, levels.collect())
}

#[test]
fn levels_are_told_in_the_unit_of_what_is_held_against_them() {
    let levels: BTreeMap<_, _> = RULES.iter().map(told).collect();
    let mut held = BTreeSet::new();
    let mut hold = |finding: &Finding, evidence: &Evidence| {
        let of_rule = levels[finding.rule.as_str()].iter();
        let same: Vec<_> = of_rule
            .filter(|l| evidence.threshold == Some(l.1))
            .collect();
        let fits = same.iter().find(|(.., unit)| *unit == evidence.unit);
        let what = (&finding.rule, &evidence.what, &evidence.unit);
        assert!(same.is_empty() || fits.is_some(), "{what:?} but {same:?}");
        held.extend(fits.map(|(level, ..)| format!("{}.{level}", finding.rule)));
    };
    for entry in std::fs::read_dir(folder()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        replay::run(&Script::parse(&text).unwrap(), |_, findings, _| {
            for finding in findings {
                finding.evidence.iter().for_each(|of| hold(finding, of));
            }
        });
    }
    assert!(held.len() > 30, "{held:?}");
    for level in [
        "listen_overflows.warning",
        "memory_broken.warning_bytes",
        "data_gaps.pieces",
    ] {
        assert!(held.contains(level), "{level}: {held:?}");
    }
}

#[test]
fn every_rule_that_fires_says_what_to_do_in_english_and_in_chinese() {
    let mut advised = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        replay::run(&Script::parse(&text).unwrap(), |_, findings, _| {
            for finding in findings {
                check_alike(&finding.advice, &finding.advice_zh);
                advised.insert(finding.rule.clone());
            }
        });
    }
    assert_eq!(advised.len(), RULES.len(), "{advised:?}");
}

#[test]
fn every_watched_metric_is_in_the_catalogue() {
    for metric in crate::rules::metrics()
        .into_iter()
        .chain(crate::indicators::metrics())
    {
        let known = hostwell_proto::metric::Metric::by_name(metric);
        assert!(known.is_some(), "{metric}");
    }
}

#[test]
fn what_gets_worse_is_worse_once_that_has_held_for_long_enough_however_long_that_is() {
    // Longer than the hour that is looked at.
    check(
        "policy disk_full.for_seconds = 7200\n\
         load 1m node_filesystem_size_bytes{mountpoint=\"/\"} 20Gx480\n\
         load 1m node_filesystem_avail_bytes{mountpoint=\"/\"} 3Gx239 1Gx129 3Gx100\n\
         at 1h expect pending disk_full\n\
         at 3h expect disk_full warning\n\
         at 350m expect disk_full warning\n\
         at 361m expect disk_full critical\n\
         at 400m expect disk_full warning\n",
    );
}

#[test]
fn what_is_worse_only_lately_opens_as_what_it_was_for_long() {
    check(
        "policy disk_full.for_seconds = 7200\n\
         load 1m node_filesystem_size_bytes{mountpoint=\"/\"} 20Gx480\n\
         load 1m node_filesystem_avail_bytes{mountpoint=\"/\"} 3Gx49 1Gx430\n\
         at 115m expect pending disk_full\n\
         at 121m expect disk_full warning\n\
         at 165m expect disk_full warning\n\
         at 171m expect disk_full critical\n",
    );
}

#[test]
fn a_severity_that_a_policy_sets_changes_no_level() {
    // Two machines take turns; the third time it shows is 81 minutes after the beginning, and after
    // 101 minutes the hour before holds but two.
    let uptimes = "86k+60x30 3600+60x9 88460+60x9 4800+60x9 89660+60x9 6000+60x9 90860+60x120";
    for severity in ["info", "warning", "critical"] {
        check(&format!(
            "policy severity.clone_suspected = \"{severity}\"\n\
             load 60s hostwell_uptime_seconds {uptimes}\n\
             at 85m  expect clone_suspected {severity}\n\
             at 110m expect clone_suspected {severity}\n\
             at 3h   expect no clone_suspected\n"
        ));
    }
}

#[test]
fn an_expectation_that_does_not_come_true_says_what_was_found() {
    let failures = run(
        "load 1m node_load1 1x30\nload 1m node_memory_MemTotal_bytes 8Gi x\n"
            .replace(" x\n", "x30\n")
            .as_str(),
    );
    assert_eq!(failures, []);
    let failures = run(
        "load 1m hostwell_filesystem_stuck{mountpoint=\"/n\"} 1x30\n\
                        at 1m expect filesystem_stuck\nat 9m expect no filesystem_stuck\n\
                        at 9m expect oom_kill\n",
    );
    assert_eq!(failures.len(), 3, "{failures:#?}");
    assert!(
        failures[0]
            .found
            .starts_with("pending filesystem_stuck critical on \"/n\"")
    );
    assert!(failures[1].found.starts_with("open filesystem_stuck"));
    assert_eq!(
        failures[2].found,
        "oom_kill is NotApplicable: this kernel does not count such kills"
    );
}

#[test]
fn mistakes_name_the_line() {
    let bad = |text: &str, line: usize, what: &str| {
        let error = Script::parse(text).unwrap_err();
        assert!(error.line == line && error.what.contains(what), "{error}");
    };
    bad("", 0, "nothing is loaded");
    bad("\nlaod 1m x 1", 2, "no command \"laod\"");
    bad("load 1m node_load1", 1, "no values");
    bad("load 0s node_load1 1", 1, "above 0");
    bad("load 1y node_load1 1", 1, "not a time");
    bad("load 1m node_load1 1q", 1, "no unit \"q\"");
    bad("load 1m node_load1 x3", 1, "not a number");
    bad("load 1m node_load1 ä+1x3", 1, "no unit");
    bad("load 1m node_load1 1x99999999", 1, "count");
    bad("load 1m node_load1{a=~\"b\"} 1", 1, "label=\"value\"");
    bad("load 1m a 1\nload 1m a 2", 2, "twice");
    bad("group 0 role=web", 1, "expected group TIME");
    bad("group 0 role=web none", 1, "number of hosts");
    bad("group 0 role=web 3 20%", 1, "none of cpu");
    bad("group 0 role=web 3 cpu 1 2 3", 1, "3 hosts with it");
    bad("load 1m a 1\nat 1m expect dsk_full", 2, "no rule");
    bad("load 1m a 1\nat 1m expect disk_full soon", 2, "no severity");
    bad(
        "load 1m a 1\nat 1m expect disk_full is fine",
        2,
        "no verdict",
    );
    bad(
        "load 1m a 1\npolicy disk_full.warnin = 1",
        2,
        "unknown field",
    );
    bad(
        "load 1m a 1\npolicy disk_full.warning = { raise = 1, clear = 2 }",
        2,
        "above raise",
    );
}

#[test]
fn values_are_written_short() {
    let script = Script::parse("load 10s a{b=\"x y # z\"} 1 2x2 5-2x2 _x2 -1+1x1 50% 1.5Ki # c");
    let series = script.unwrap().series.remove(0);
    assert_eq!(series.label("b"), Some("x y # z"));
    assert_eq!(
        series.values,
        [1.0, 2.0, 2.0, 2.0, 5.0, 3.0, 1.0, -1.0, 0.0, 0.5, 1536.0]
    );
    assert_eq!(series.times_ms[7], 90_000);
}

/// A quiet host: whatever is left out of a script would be a reason not to judge.
fn quiet(more: &str) -> String {
    format!(
        "interval 10s\n\
         load 10s node_time_seconds 1.8G+10x1440\n\
         load 10s node_memory_MemTotal_bytes 16Gix1440\n\
         load 10s node_memory_MemAvailable_bytes 8Gix1440\n\
         load 10s node_cpu_seconds_total{{cpu=\"0\",mode=\"idle\"}} 0+9x1440\n\
         load 10s node_cpu_seconds_total{{cpu=\"0\",mode=\"user\"}} 0+1x1440\n\
         load 10s node_load1 0.1x1440\n\
         load 10s node_filesystem_size_bytes{{mountpoint=\"/\"}} 500Gx1440\n\
         load 10s node_filesystem_avail_bytes{{mountpoint=\"/\"}} 300Gx1440\n{more}"
    )
}

#[test]
fn a_quiet_host_has_no_findings_and_says_what_it_judged() {
    check(&quiet(
        "at 0 expect nothing\n\
         at 5m expect cpu_saturation is not_enough_data\n\
         at 1h expect nothing\n\
         at 1h expect cpu_saturation is ok\n\
         at 1h expect disk_full is ok\n\
         at 1h expect raid_degraded is not_applicable\n\
         at 4h expect nothing\n",
    ));
}

#[test]
fn a_fast_clock_is_a_finding_and_marks_the_rest_as_suspect() {
    check(&quiet(
        "skew 5m\n\
         at 1h expect clock_off warning on skew\n\
         at 1h expect disk_full is data_suspect\n",
    ));
    check(&quiet(
        "skew -5m\n\
         at 1h expect clock_off warning on skew\n\
         at 1h expect disk_full is data_suspect\n",
    ));
}

#[test]
fn a_host_that_is_down_silences_its_other_rules() {
    // The disk was filling up; nothing more is known about it, and it is not over either.
    check(
        "interval 10s\n\
         load 10s node_time_seconds 1.8G+10x720\n\
         load 10s node_filesystem_size_bytes{mountpoint=\"/\"} 100Gx720\n\
         load 10s node_filesystem_avail_bytes{mountpoint=\"/\"} 4Gx720\n\
         silent 1h 90m\n\
         at 59m expect disk_full critical on /\n\
         at 59m expect no host_down\n\
         at 70m expect host_down critical\n\
         at 70m expect disk_full critical on /\n\
         at 70m expect disk_full is silenced\n\
         at 91m expect no host_down\n\
         at 91m expect disk_full critical on /\n",
    );
}

#[test]
fn a_filesystem_that_is_gone_leaves_no_finding_behind() {
    check(
        "interval 10s\n\
         load 10s node_filesystem_size_bytes{mountpoint=\"/\"} 100Gx720\n\
         load 10s node_filesystem_avail_bytes{mountpoint=\"/\"} 50Gx720\n\
         load 10s node_filesystem_size_bytes{mountpoint=\"/mnt\"} 100Gx360\n\
         load 10s node_filesystem_avail_bytes{mountpoint=\"/mnt\"} 1Gx360\n\
         at 59m expect disk_full critical on /mnt\n\
         at 62m expect no disk_full\n",
    );
}

/// A host of which everything is the same all the time: each resource at this part of its warning
/// level. What there is of everything (packets, connections, bytes) can be scaled.
fn busy_host(part: f64, of: f64, scale: f64) -> String {
    let all = of * scale;
    let mut text = String::from("every 30m\ninterval 1m\n");
    let mut gauge =
        |series: &str, value: f64| text.push_str(&format!("load 1m {series} {value}x240\n"));
    for (used, limit, level) in [
        (
            "node_nf_conntrack_entries",
            "node_nf_conntrack_entries_limit",
            0.75,
        ),
        ("node_filefd_allocated", "node_filefd_maximum", 0.7),
        ("node_processes_pids", "node_processes_max_processes", 0.9),
    ] {
        gauge(used, part * level * all);
        gauge(limit, all);
    }
    gauge("node_network_speed_bytes{device=\"eth0\"}", all);
    gauge("node_memory_MemTotal_bytes", all);
    gauge(
        "node_memory_MemAvailable_bytes",
        all * (1.0 - 0.69 * part).max(0.0),
    );
    gauge("node_memory_SwapTotal_bytes", all);
    gauge(
        "node_memory_SwapFree_bytes",
        all * (1.0 - 0.9 * part).max(0.0),
    );
    let mut counter = |series: &str, rate: f64| {
        let step = rate * 60.0;
        text.push_str(&format!("load 1m {series} 0+{step}x240\n"));
    };
    let packets = all * 100.0;
    for (series, rate) in [
        (
            "node_network_receive_bytes_total{device=\"eth0\"}",
            0.9 * all,
        ),
        (
            "node_network_transmit_bytes_total{device=\"eth0\"}",
            0.5 * all,
        ),
        ("node_disk_io_time_seconds_total{device=\"sda\"}", 0.98),
        (
            "node_disk_io_time_weighted_seconds_total{device=\"sda\"}",
            10.0,
        ),
        (
            "node_network_receive_errs_total{device=\"eth0\"}",
            0.01 * packets,
        ),
        (
            "node_network_receive_drop_total{device=\"eth0\"}",
            0.02 * packets,
        ),
        ("node_netstat_Tcp_RetransSegs", 0.05 * packets),
        ("node_vmstat_pgmajfault", 500.0),
    ] {
        // Just below the level where everything is at it.
        counter(series, 0.999 * part * rate);
    }
    counter(
        "node_network_receive_packets_total{device=\"eth0\"}",
        packets,
    );
    counter("node_netstat_Tcp_OutSegs", packets);
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_constant_host_within_its_levels_never_alarms(
        used in 0.0..0.79f64, memory in 0.0..0.89f64, busy in 0.0..0.8f64, load in 0.0..1.9f64,
    ) {
        let failures = run(&format!(
            "every 5m\n\
             load 1m node_filesystem_size_bytes{{mountpoint=\"/\"}} 100Gx120\n\
             load 1m node_filesystem_avail_bytes{{mountpoint=\"/\"}} {}Gx120\n\
             load 1m node_memory_MemTotal_bytes 16Gx120\n\
             load 1m node_memory_MemAvailable_bytes {}Gx120\n\
             load 1m node_cpu_seconds_total{{cpu=\"0\",mode=\"user\"}} 0+{}x120\n\
             load 1m node_cpu_seconds_total{{cpu=\"0\",mode=\"idle\"}} 0+{}x120\n\
             load 1m node_load1 {load}x120\n\
             at 1h expect nothing\nat 2h expect nothing\n",
            100.0 * (1.0 - used), 16.0 * (1.0 - memory), 60.0 * busy, 60.0 * (1.0 - busy),
        ));
        prop_assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn constant_rates_within_their_levels_never_alarm(
        part in 0.0..1.0f64, of in 1.0..1e6f64,
    ) {
        let failures = run(&format!(
            "{}at 2h expect nothing\nat 4h expect nothing\n",
            busy_host(part, of, 1.0)
        ));
        prop_assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn scaling_units_changes_no_verdict(part in 0.0..1.5f64, of in 1e3..1e6f64, scale in 1.0..1e3f64) {
        let verdicts = |scale: f64| {
            let mut last = Vec::new();
            let script = Script::parse(&(busy_host(part, of, scale) + "at 4h expect nothing\n"));
            replay::run(&script.unwrap(), |_, _, outcomes| {
                last = outcomes.iter().map(|o| (o.rule.clone(), o.verdict)).collect();
            });
            last
        };
        prop_assert_eq!(verdicts(1.0), verdicts(scale));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(load 1m [a-c]{1,2} [0-9x+_.-]{0,6}\n|.{0,30}\n){0,5}") {
        let _ = Script::parse(&text);
    }
}
