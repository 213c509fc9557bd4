use proptest::prelude::*;

use super::*;
use crate::series::{Kind, Series, SeriesName};

const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_800_000_000_000;

fn series(name: &str, labels: &[(&str, &str)], points: &[(i64, f64)]) -> Series {
    Series {
        name: SeriesName::new(name, labels),
        kind: match name.ends_with("_total") {
            true => Kind::Counter,
            false => Kind::Gauge,
        },
        times_ms: points.iter().map(|p| p.0).collect(),
        values: points.iter().map(|p| p.1).collect(),
    }
}

fn window(from_ms: i64, to_ms: i64, series: Vec<Series>) -> Window {
    Window {
        host: "web-1".into(),
        from_ms,
        to_ms,
        interval_ms: MINUTE_MS,
        series,
    }
}

fn replay() -> Replay {
    let played = Played {
        host_id: "0".repeat(32),
        host: "web-1".into(),
        interval_ms: MINUTE_MS,
        retired_ms: None,
        fellows: Arc::default(),
    };
    Replay::new(played, Arc::new(Policy::default()), MINUTE_MS)
}

/// A day of samples each minute: the CPU is busy in the third hour, the host is silent for 200 s and
/// for an hour, boots after both and once more, and a disk that fills from the tenth hour on.
fn day() -> Vec<Series> {
    let boots = [0, 300, 480, 600];
    let silent = |minute: i64| (297..300).contains(&minute) || (420..480).contains(&minute);
    let minutes: Vec<i64> = (0..1_440).filter(|minute| !silent(*minute)).collect();
    let points = |value: &dyn Fn(i64) -> f64| -> Vec<(i64, f64)> {
        let at = |minute: &i64| START_MS + minute * MINUTE_MS + 20_000;
        minutes.iter().map(|m| (at(m), value(*m))).collect()
    };
    let busy = |minute: i64| (minute - 120).clamp(0, 60) as f64 * 59.0;
    let uptime = |minute: i64| {
        let boot = boots.iter().rev().find(|boot| **boot <= minute);
        (minute - boot.unwrap_or(&0)) as f64 * 60.0 + 15.0
    };
    let root = [
        ("mountpoint", "/"),
        ("device", "/dev/sda1"),
        ("fstype", "ext4"),
    ];
    let free = |minute: i64| 4e11 - (minute - 600).max(0) as f64 * 4.7e8;
    vec![
        series("hostwell_uptime_seconds", &[], &points(&uptime)),
        series(
            "node_cpu_seconds_total",
            &[("cpu", "0"), ("mode", "idle")],
            &points(&|minute| minute as f64 * 60.0 - busy(minute)),
        ),
        series(
            "node_cpu_seconds_total",
            &[("cpu", "0"), ("mode", "user")],
            &points(&busy),
        ),
        series("node_filesystem_avail_bytes", &root, &points(&free)),
        series("node_filesystem_size_bytes", &root, &points(&|_| 5e11)),
    ]
}

fn part(from_ms: i64, to_ms: i64) -> Window {
    let cut = |one: Series| {
        let points: Vec<(i64, f64)> = one
            .points()
            .filter(|(time_ms, _)| (from_ms..=to_ms).contains(time_ms))
            .collect();
        Series {
            times_ms: points.iter().map(|p| p.0).collect(),
            values: points.iter().map(|p| p.1).collect(),
            ..one
        }
    };
    window(from_ms, to_ms, day().into_iter().map(cut).collect())
}

const END_MS: i64 = START_MS + 1_440 * MINUTE_MS;

fn spells(cuts: &[i64]) -> Vec<Spell> {
    let mut replay = replay();
    let mut from_ms = START_MS;
    for to_ms in cuts.iter().copied().chain([END_MS]) {
        replay.take(part(from_ms, to_ms));
        replay.advance(to_ms);
        from_ms = to_ms + 1;
    }
    replay.finish(&[], &BTreeMap::new())
}

fn of<'a>(spells: &'a [Spell], rule: &str) -> Vec<&'a Spell> {
    spells.iter().filter(|spell| spell.rule == rule).collect()
}

fn minute(minute: i64) -> i64 {
    START_MS + minute * MINUTE_MS + 20_000
}

#[test]
fn a_silence_is_raised_when_it_is_too_long_and_ends_with_the_next_sample() {
    let all = spells(&[]);
    let down: Vec<(i64, Option<i64>)> = of(&all, "host_down")
        .iter()
        .map(|spell| (spell.start_ms, spell.end_ms))
        .collect();
    let raised = |last| minute(last) + 3 * MINUTE_MS + 1;
    assert_eq!(
        down,
        [
            (raised(296), Some(minute(300))),
            (raised(419), Some(minute(480)))
        ]
    );
}

#[test]
fn boots_are_raised_at_the_first_sample_after_them_and_three_of_them_flap() {
    let all = spells(&[]);
    let reboots: Vec<i64> = of(&all, "reboot").iter().map(|s| s.start_ms).collect();
    assert_eq!(reboots, [minute(300), minute(480), minute(600)]);
    let flapping = of(&all, "flapping");
    assert_eq!(flapping.len(), 1, "{flapping:?}");
    assert_eq!(
        (flapping[0].start_ms, flapping[0].end_ms),
        (minute(600), None)
    );
}

#[test]
fn what_was_raised_has_its_moment_its_end_its_worst_and_its_words() {
    let all = spells(&[]);
    let [busy] = of(&all, "cpu_saturation")[..] else {
        panic!("{all:?}")
    };
    // Above 85 % of ten minutes in the ninth, below 75 again three minutes after the hour.
    assert_eq!(
        (busy.start_ms, busy.end_ms),
        (minute(129), Some(minute(183)))
    );
    assert_eq!(busy.severity, Severity::Critical);
    assert!(busy.selector.starts_with("node_cpu_seconds_total"));
    let [full] = of(&all, "disk_full")[..] else {
        panic!("{all:?}")
    };
    assert_eq!((full.subject.as_str(), full.end_ms), ("/", None));
    let eta_ms = full.eta_ms.unwrap();
    // 851 minutes after the tenth hour nothing is left.
    assert!((eta_ms - minute(1_451)).abs() < 3 * 3_600_000, "{full:?}");
}

#[test]
fn the_end_of_the_data_is_no_outage_unless_the_clock_goes_on() {
    let until = |end_ms| {
        let mut replay = replay();
        replay.take(part(START_MS, minute(200)));
        replay.advance(end_ms);
        replay.finish(&[], &BTreeMap::new())
    };
    assert!(of(&until(minute(200)), "host_down").is_empty());
    let all = until(minute(260));
    let [down] = of(&all, "host_down")[..] else {
        panic!("{all:?}")
    };
    assert_eq!((down.start_ms, down.end_ms), (minute(203) + 1, None));
}

#[test]
fn without_samples_nothing_is_raised() {
    let mut replay = replay();
    replay.take(window(START_MS, END_MS, Vec::new()));
    replay.advance(END_MS);
    assert_eq!(
        (replay.turns(), replay.finish(&[], &BTreeMap::new())),
        (0, Vec::new())
    );
}

#[test]
fn a_retired_host_has_no_findings_from_then_on() {
    let mut replay = replay();
    replay.played.retired_ms = Some(minute(150));
    replay.take(part(START_MS, END_MS));
    replay.advance(END_MS);
    let all = replay.finish(&[], &BTreeMap::new());
    let [busy] = &all[..] else { panic!("{all:?}") };
    assert_eq!(
        (busy.rule.as_str(), busy.end_ms),
        ("cpu_saturation", Some(minute(150)))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn cutting_the_past_into_stretches_changes_nothing(
        mut cuts in prop::collection::vec(START_MS..END_MS, 1..5),
    ) {
        cuts.sort_unstable();
        prop_assert_eq!(spells(&cuts), spells(&[]));
    }
}
