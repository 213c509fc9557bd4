use hostwell_proto::metric::Metric;

use super::*;
use crate::sample::SeriesTable;

struct Script(Vec<Result<(), ProbeError>>);

impl Probe for Script {
    fn read(&mut self, _: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        out.add(Metric::Load1, &[], 1.0);
        self.0.pop().unwrap_or(Ok(()))
    }
}

fn ticks_read(specs: &'static [ProbeSpec], index: usize, ticks: u64) -> Vec<u64> {
    let mut rack = Rack::of(specs, &ProbeOptions::default(), Duration::from_secs(10));
    let source = Source::live(std::path::Path::new("/"));
    let (mut table, mut readings) = (SeriesTable::default(), Vec::new());
    (0..ticks)
        .filter(|tick| {
            let mut out = Readings {
                table: &mut table,
                readings: &mut readings,
            };
            rack.read(index, &source, *tick, &mut out).is_some()
        })
        .collect()
}

static SPECS: &[ProbeSpec] = &[
    ProbeSpec {
        name: "hot",
        pace: Pace::Hot,
        deadline_ms: 1,
        make: |_| Box::new(Script(Vec::new())),
    },
    ProbeSpec {
        name: "slow",
        pace: Pace::Slow,
        deadline_ms: 1,
        make: |_| Box::new(Script(Vec::new())),
    },
    ProbeSpec {
        name: "missing",
        pace: Pace::Hot,
        deadline_ms: 1,
        make: |_| Box::new(Script(vec![Err(ProbeError::Absent)])),
    },
    ProbeSpec {
        name: "broken",
        pace: Pace::Hot,
        deadline_ms: 1,
        make: |_| Box::new(Script(vec![Err(ProbeError::Stuck)])),
    },
];

#[test]
fn a_hot_probe_is_read_at_every_tick_and_a_slow_one_once_a_minute() {
    assert_eq!(ticks_read(SPECS, 0, 4), [0, 1, 2, 3]);
    assert_eq!(ticks_read(SPECS, 1, 20), [0, 2, 8, 14]);
}

#[test]
fn slow_subjects_go_by_the_clock_whatever_the_interval() {
    let minute = Duration::from_secs(60);
    for (interval_s, ticks) in [(1, 60), (7, 8), (10, 6), (60, 1), (3600, 1)] {
        assert_eq!(ticks_within(minute, Duration::from_secs(interval_s)), ticks);
    }
}

#[test]
fn an_absent_subject_is_looked_for_again_after_a_while() {
    assert_eq!(ticks_read(SPECS, 2, 10), [0, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_failed_probe_adds_nothing_and_the_others_stay() {
    let mut rack = Rack::of(SPECS, &ProbeOptions::default(), Duration::from_secs(10));
    let source = Source::live(std::path::Path::new("/"));
    let (mut table, mut readings) = (SeriesTable::default(), Vec::new());
    for index in 0..rack.len() {
        let mut out = Readings {
            table: &mut table,
            readings: &mut readings,
        };
        let result = rack.read(index, &source, 0, &mut out);
        assert_eq!(result.is_some_and(|r| r.is_err()), index >= 2);
    }
    assert_eq!(readings.len(), 2);
    assert!(rack.spec(rack.len()).is_none());
}

#[test]
fn every_probe_has_a_name_of_its_own_and_sane_figures() {
    let mut names = std::collections::HashSet::new();
    for spec in PROBES {
        assert!(names.insert(spec.name), "{} twice", spec.name);
        assert!(spec.deadline_ms >= 100, "{}", spec.name);
    }
}
