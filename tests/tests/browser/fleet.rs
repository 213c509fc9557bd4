//! A fleet with everything in it that a page can stumble over: long names, gaps, an outage,
//! silence, hostile strings, numbers of every size.

use hostwell::report::{
    AvailabilityInput, CollectorInput, CoverageInput, GapInput, HostInput, IndicatorInput, Input,
    Period, RuleNote, Status, Trend, Unit,
};
use hostwell::rules::{Evidence, Finding, Severity, State};

const NOW_MS: i64 = 1_795_289_600_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const STEPS: usize = 96;

/// Seven days of nine hosts.
pub(crate) fn rich() -> Input {
    let hosts = hosts();
    let findings = findings(&hosts);
    Input {
        scope: "all hosts".into(),
        period: Period {
            name: "last 7 days".into(),
            from_ms: NOW_MS - 7 * DAY_MS,
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
            watched: vec![
                (NOW_MS - 7 * DAY_MS, NOW_MS - 4 * DAY_MS),
                (NOW_MS - 4 * DAY_MS + HOUR_MS, NOW_MS),
            ],
            samples: 48_233_871,
            series: 2_914,
            file_bytes: 91 << 20,
            oldest_ms: Some(NOW_MS - 15 * DAY_MS),
        },
        rules: rules(),
    }
}

fn hosts() -> Vec<HostInput> {
    let mut hosts = vec![
        host(
            "db-primary-1",
            1,
            &[("role", "db"), ("site", "fra1"), ("team", "storage")],
        ),
        host(
            "db-replica-2",
            2,
            &[("role", "db"), ("site", "fra1"), ("team", "storage")],
        ),
        host("web-1", 3, &[("role", "web"), ("site", "fra1")]),
        host("web-2", 4, &[("role", "web"), ("site", "ams2")]),
        host(
            "k8s-worker-0193.prod.eu-central-1.compute.internal.example.org",
            5,
            &[
                ("service", "a-rather-long-service-name-that-somebody-chose"),
                ("env", "production"),
            ],
        ),
        host(
            "<img src=x onerror=alert(1)>\u{202e}gpj.exe",
            6,
            &[("note", "<b>\"quoted\" & 'odd'")],
        ),
        host("edge-branch-office-7", 7, &[("site", "poor-line")]),
        host("mail", 8, &[]),
        host("backup", 9, &[("role", "backup")]),
    ];
    crowd(
        &mut hosts[0],
        [0.44, 0.5, 0.71, 12.4e6, 0.957],
        [4, 0, 0, 0, 1],
    );
    crowd(&mut hosts[1], [0.28, 0.4, 0.66, 6.1e6, 0.74], [0; 5]);
    crowd(
        &mut hosts[2],
        [0.93, 1.84, 0.58, 93.0e6, 0.41],
        [2, 2, 0, 0, 0],
    );
    crowd(
        &mut hosts[4],
        [0.61, 0.9, 0.91, 1.2e9, 0.62],
        [0, 0, 2, 0, 0],
    );
    outage(&mut hosts[3]);
    silent(&mut hosts[6]);
    hosts[8].first_seen_ms = NOW_MS - 26 * HOUR_MS;
    hosts
}

fn host(name: &str, number: u8, labels: &[(&str, &str)]) -> HostInput {
    let mut host = HostInput {
        name: name.into(),
        id: format!("{number:032x}"),
        labels: labels
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
        os: "Debian GNU/Linux 13 (trixie)".into(),
        kernel: "6.12.48+deb13-cloud-amd64".into(),
        arch: "x86_64".into(),
        cpus: 4 * u32::from(number),
        memory_bytes: u64::from(number) << 33,
        boot_time_ms: NOW_MS - i64::from(number) * 9 * DAY_MS,
        agent_version: "0.1.0".into(),
        interval_ms: 10_000,
        first_seen_ms: NOW_MS - 15 * DAY_MS,
        last_sample_ms: Some(NOW_MS - 4_000),
        retired_ms: None,
        indicators: Vec::new(),
        availability: AvailabilityInput {
            up_ms: 7 * DAY_MS - HOUR_MS,
            unknown_ms: HOUR_MS,
            ..Default::default()
        },
        outcomes: "47 rules: 40 ok, 1 risk, 2 not enough data, 4 not applicable".into(),
        coverage: CoverageInput {
            expected: 60_480,
            received: 60_118,
            gaps: collector_gap(),
        },
    };
    let calm = f64::from(number);
    crowd(
        &mut host,
        [
            0.05 * calm,
            0.07 * calm,
            0.3 + 0.04 * calm,
            2e4 * calm.powi(3),
            0.2 + 0.05 * calm,
        ],
        [0; 5],
    );
    host
}

fn collector_gap() -> Vec<GapInput> {
    vec![GapInput {
        from_ms: NOW_MS - 4 * DAY_MS,
        to_ms: NOW_MS - 4 * DAY_MS + HOUR_MS,
        reason: "the collector was not watching".into(),
    }]
}

/// Sets the five indicators: values now, and how each stands (0 ok, 1 risk, 2 watch, 4 ok and spiky).
fn crowd(host: &mut HostInput, now: [f64; 5], how: [u8; 5]) {
    let names = ["CPU", "Load", "Memory", "Network", "Disk"];
    let units = [
        Unit::Ratio,
        Unit::Number,
        Unit::Ratio,
        Unit::BytesPerSecond,
        Unit::Ratio,
    ];
    let levels = [Some(0.9), Some(1.5), Some(0.9), None, Some(0.9)];
    let words = [
        format!(
            "{:.0} % busy over the last five minutes, of {} CPUs.",
            now[0] * 100.0,
            host.cpus
        ),
        format!(
            "{:.2} runnable tasks a CPU; above 1 tasks wait for their turn.",
            now[1]
        ),
        format!(
            "{:.0} % in use; the rest is available without swapping.",
            now[2] * 100.0
        ),
        "Received and sent together over eth0 and bond0; 1.2 % of the links' speed.".to_owned(),
        format!(
            "/var/lib/postgresql is the fullest filesystem; nvme0n1 is {:.0} % busy.",
            now[0] * 60.0
        ),
    ];
    host.indicators = (0..5)
        .map(|at| IndicatorInput {
            name: names[at].into(),
            status: match how[at] {
                1 => Status::Risk,
                2 => Status::Watch,
                _ => Status::Ok,
            },
            now: Some(now[at]),
            unit: units[at],
            words: words[at].clone(),
            threshold: levels[at],
            levels: "80 / 90 %: where they come from".into(),
            trend: Some(trend(now[at], at, host.cpus, units[at] == Unit::Ratio)),
        })
        .collect();
}

/// A day's rhythm with some noise that is the same every time; the hour without a collector is a gap.
fn trend(now: f64, which: usize, salt: u32, ratio: bool) -> Trend {
    let mut seed = u64::from(salt) * 977 + which as u64 * 131 + 7;
    let mut noise = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let step_ms = 7 * DAY_MS / STEPS as i64;
    let point = |at: usize| {
        let day = (at as f64 * step_ms as f64 / DAY_MS as f64 * std::f64::consts::TAU).sin();
        let rhythm = if which == 4 {
            0.8 + 0.2 * at as f64 / STEPS as f64
        } else {
            0.75 + 0.2 * day
        };
        let mean = now * (rhythm + 0.08 * noise());
        let max = (mean * (1.1 + 0.35 * noise())).min(if ratio { 1.0 } else { f64::MAX });
        (!(41..43).contains(&at)).then_some([mean * (0.7 + 0.2 * noise()), mean.min(max), max])
    };
    Trend {
        from_ms: NOW_MS - 7 * DAY_MS,
        to_ms: NOW_MS,
        points: (0..STEPS).map(point).collect(),
    }
}

fn outage(host: &mut HostInput) {
    let (from_ms, to_ms) = (NOW_MS - 30 * HOUR_MS, NOW_MS - 9 * HOUR_MS);
    host.availability.down_ms = to_ms - from_ms;
    host.availability.up_ms -= to_ms - from_ms;
    host.availability.outages = vec![(from_ms, to_ms)];
    host.coverage.received -= 7_560;
    host.coverage.gaps.push(GapInput {
        from_ms,
        to_ms,
        reason: "the host was down".into(),
    });
    for indicator in &mut host.indicators {
        let Some(trend) = &mut indicator.trend else {
            continue;
        };
        trend.points[79..91].fill(None);
        trend.points[84] = Some([0.0, 0.01, 0.02]);
    }
}

fn silent(host: &mut HostInput) {
    host.last_sample_ms = Some(NOW_MS - 3 * DAY_MS);
    host.indicators.clear();
    host.availability = AvailabilityInput {
        unknown_ms: 7 * DAY_MS,
        ..AvailabilityInput::default()
    };
    host.coverage = CoverageInput {
        expected: 60_480,
        received: 12_002,
        gaps: vec![GapInput {
            from_ms: NOW_MS - 3 * DAY_MS,
            to_ms: NOW_MS,
            reason: "the agent's spool was full: 4,112 samples were dropped (bytes_max)".into(),
        }],
    };
}

fn findings(hosts: &[HostInput]) -> Vec<Finding> {
    let mut findings = vec![
        finding(
            11,
            &hosts[0],
            "disk_full",
            Severity::Critical,
            "/var/lib/postgresql is 95.7 % full: 41.3 GiB of 960 GiB are left.",
            "Grow the volume or move old WAL archives off the host; the three largest folders are worth a look first.",
        ),
        finding(
            12,
            &hosts[2],
            "cpu_saturated",
            Severity::Warning,
            "CPU was 93 % busy for 47 min.",
            "Find the process with hostwell host web-1, or add a third web host.",
        ),
        finding(
            13,
            &hosts[2],
            "load_high",
            Severity::Warning,
            "1.84 tasks a CPU were runnable for 47 min.",
            "Same cause as the CPU finding: add capacity or move work.",
        ),
        finding(
            14,
            &hosts[4],
            "memory_low",
            Severity::Warning,
            "91 % of memory is in use: 3.6 GiB are available.",
            "Lower the memory limit of the largest workload or move one away.",
        ),
        finding(
            15,
            &hosts[5],
            "clock_off",
            Severity::Info,
            "The clock is 0.8 s off <script>alert(1)</script>.",
            "Check that a time service runs.",
        ),
        finding(
            9,
            &hosts[3],
            "host_down",
            Severity::Critical,
            "No sample for 21 h.",
            "Check power, network and the agent.",
        ),
        finding(
            3,
            &hosts[7],
            "memory_low",
            Severity::Warning,
            "93 % of memory was in use.",
            "Add memory.",
        ),
    ];
    for over in &mut findings[5..] {
        over.state = State::Closed;
        over.since_ms = NOW_MS - 30 * HOUR_MS;
        over.closed_ms = Some(NOW_MS - 9 * HOUR_MS);
    }
    findings[0].evidence.push(time_left());
    findings
}

fn time_left() -> Evidence {
    Evidence {
        what: "time until it is full at the pace of the last day".into(),
        value: 187_000.0,
        unit: "seconds".into(),
        threshold: Some(345_600.0),
        selector: "node_filesystem_avail_bytes{mountpoint=\"/var/lib/postgresql\"}".into(),
    }
}

fn finding(
    id: i64,
    on: &HostInput,
    rule: &str,
    severity: Severity,
    summary: &str,
    advice: &str,
) -> Finding {
    Finding {
        id,
        rule: rule.into(),
        host_id: on.id.clone(),
        host: on.name.clone(),
        subject: String::new(),
        severity,
        state: State::Open,
        since_ms: NOW_MS - id * 17 * HOUR_MS / 10,
        opened_ms: Some(NOW_MS - id * 17 * HOUR_MS / 10 + 300_000),
        closed_ms: None,
        judged_ms: NOW_MS,
        summary: summary.into(),
        evidence: vec![Evidence {
            what: "measured share".into(),
            value: 0.957,
            unit: "ratio".into(),
            threshold: Some(0.9),
            selector: "node_filesystem_avail_bytes{device=\"/dev/nvme0n1p1\",fstype=\"ext4\",mountpoint=\"/var/lib/postgresql\"}".into(),
        }],
        advice: advice.into(),
        advice_zh: String::new(),
        held_ms: Default::default(),
    }
}

fn rules() -> Vec<RuleNote> {
    [
        ("disk_full", "a filesystem has less than 10 % (warning) or 5 % (critical) available for 5 min", "Writes fail: databases stop, logs and mail are lost, and a full root filesystem can keep a host from booting."),
        ("memory_low", "less than 10 % (warning) or 5 % (critical) of memory is available for 10 min", "The kernel kills the largest process, usually the one that matters."),
        ("cpu_saturated", "the CPUs are more than 90 % busy for 15 min", "Answers become slow first and fail under the next peak."),
        ("load_high", "more than 1.5 tasks a CPU want to run for 15 min", "Work queues up; latency grows faster than load."),
        ("host_down", "no sample for three intervals, at least 90 s, while the collector watches", "Whatever ran there does not run."),
        ("clock_off", "the clock is off by more than 0.5 s or not synchronised", "Logs cannot be compared and certificates fail."),
    ]
    .into_iter()
    .map(|(rule, opens_when, if_ignored)| RuleNote {
        rule: rule.into(),
        opens_when: opens_when.into(),
        if_ignored: if_ignored.into(),
    })
    .collect()
}
