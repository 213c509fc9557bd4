#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::Path;

use hostwell_proto::column::{self, Limits};
use hostwell_proto::metric::Metric;

use super::*;
use crate::config::SpoolConfig;
use crate::spool;

const LIMITS: Limits = Limits {
    ticks_max: 1000,
    columns_max: 10_000,
    samples_max: 100_000,
};

fn handoff(dir: &Path) -> Arc<Handoff> {
    let bounds = SpoolConfig {
        free_bytes_min: 0,
        free_ratio_min: 0.0,
        ..SpoolConfig::default()
    };
    let (spool, table) = spool::open(dir, bounds, 0).unwrap();
    Arc::new(Handoff::new(spool, table, 1))
}

fn rhythm() -> Rhythm {
    Rhythm {
        interval: Duration::from_secs(1),
        probes: ProbeOptions::default(),
        disabled: Vec::new(),
        sign_of_life: None,
        top: None,
    }
}

/// A root with memory, and a load average that nobody answers for: opening the FIFO hangs.
fn root_with_a_hanging_file() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let proc = root.path().join("proc");
    std::fs::create_dir(&proc).unwrap();
    std::fs::copy("/proc/meminfo", proc.join("meminfo")).unwrap();
    make_fifo(&proc.join("loadavg"));
    root
}

/// Waits for ticks until one shows what is asked for; fails after far too long.
#[track_caller]
fn wait_for(handoff: &Handoff, what: &str, shows: impl Fn(&BTreeMap<String, f64>) -> bool) {
    for _ in 0..600 {
        while let Some(batch) = handoff.next_backfill() {
            let table = handoff.table();
            let block = column::decode(&batch.block, LIMITS).unwrap();
            let mut tick = BTreeMap::new();
            for column in &block.columns {
                let key = table.key(column.number).unwrap();
                let labels = key.label_values.join(",");
                tick.insert(format!("{}/{labels}", key.metric.name()), column.values[0]);
            }
            if shows(&tick) {
                return;
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("no tick shows {what}");
}

#[test]
fn a_probe_that_hangs_is_left_behind_and_taken_back_when_it_answers() {
    let root = root_with_a_hanging_file();
    let state = tempfile::tempdir().unwrap();
    let handoff = handoff(state.path());
    let source = Arc::new(Source::live(root.path()));
    let finished = CancellationToken::new();
    let sampler = start(rhythm(), source, handoff.clone(), finished.clone()).unwrap();

    let success = "hostwell_probe_success/load";
    let memory = "hostwell_probe_success/memory";
    for _ in 0..2 {
        wait_for(&handoff, "memory beside a stuck load probe", |tick| {
            tick.get(success) == Some(&0.0) && tick.get(memory) == Some(&1.0)
        });
    }
    assert!(
        handoff.progress().missed_ticks >= 1,
        "the tick it hung in is counted"
    );
    let load = root.path().join("proc/loadavg");
    let fresh = root.path().join("proc/fresh");
    std::fs::write(&fresh, "0.1 0.2 0.3 1/2 3\n").unwrap();
    // Opening the other end lets the hanging reader go; then a real file takes its place.
    let other_end = std::fs::OpenOptions::new().write(true).open(&load).unwrap();
    std::fs::rename(&fresh, &load).unwrap();
    drop(other_end);
    wait_for(&handoff, "the load probe again", |tick| {
        tick.get(success) == Some(&1.0) && tick.contains_key("node_load1/")
    });
    sampler.stop();
    while !finished.is_cancelled() {
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_tick_a_probe_that_hangs_costs_is_counted() {
    let root = root_with_a_hanging_file();
    let state = tempfile::tempdir().unwrap();
    let handoff = handoff(state.path());
    let source = Arc::new(Source::live(root.path()));
    let finished = CancellationToken::new();
    // Many of these go by before the watchdog gives the first one up.
    let interval = Duration::from_millis(100);
    let rhythm = Rhythm {
        interval,
        ..rhythm()
    };
    let began_ms = source.wall_ns() / 1_000_000;
    let sampler = start(rhythm, source, handoff.clone(), finished.clone()).unwrap();
    let take = |times_ms: &mut Vec<i64>| {
        while let Some(batch) = handoff.next_backfill() {
            let block = column::decode(&batch.block, LIMITS).unwrap();
            times_ms.extend(&block.times_ms);
        }
    };
    let mut times_ms: Vec<i64> = Vec::new();
    until("ten ticks without the probe that hangs", || {
        take(&mut times_ms);
        times_ms.len() >= 10
    });
    sampler.stop();
    until("it ends", || finished.is_cancelled());
    take(&mut times_ms);
    assert!(times_ms.is_sorted_by(|a, b| a < b), "{times_ms:?}");
    let interval_ms = interval.as_millis() as i64;
    let first_ms = began_ms + (-began_ms).rem_euclid(interval_ms);
    let due = (times_ms[times_ms.len() - 1] - first_ms) / interval_ms + 1;
    let missed = handoff.progress().missed_ticks as i64;
    assert!(missed >= 4, "{missed} in the half second it hung");
    // The very first tick may be one later than the look at the clock above.
    let taken = times_ms.len() as i64;
    assert!(
        (due - 1..=due).contains(&(taken + missed)),
        "{taken} taken and {missed} missed of {due}"
    );
}

/// A named pipe: opening it hangs until somebody opens the other end.
fn make_fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, fifo, mode, 0).unwrap();
}

/// Waits until it is so; fails after far too long.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("in vain: {what}");
}

#[test]
fn a_spool_whose_disk_hangs_delays_no_tick_and_loses_none() {
    let state = tempfile::tempdir().unwrap();
    let (mut spool, table) = spool::open(state.path(), SpoolConfig::default(), 0).unwrap();
    // Too old: the first batch drops it and writes the list of gaps, which hangs.
    let old = spool::Packed {
        samples: 1,
        ..spool::Packed::default()
    };
    spool.push(&table, old, 0);
    let gaps = state.path().join("gaps.new");
    make_fifo(&gaps);
    let handoff = Arc::new(Handoff::new(spool, table, 1));
    let source = Arc::new(Source::live(Path::new("/")));
    let finished = CancellationToken::new();
    let sampler = start(rhythm(), source, handoff.clone(), finished.clone()).unwrap();

    until("later ticks find the spool busy", || {
        handoff.progress().stalled
    });
    let other_end = std::fs::read(&gaps).unwrap();
    assert!(!other_end.is_empty(), "it is the list of gaps that hung");
    until("what waited is in the spool", || {
        let progress = handoff.progress();
        !progress.stalled && progress.spool.batches >= 6
    });
    sampler.stop();
    until("the last tick is there", || finished.is_cancelled());

    let mut times = Vec::new();
    while let Some(batch) = handoff.next_backfill() {
        times.extend(column::decode(&batch.block, LIMITS).unwrap().times_ms);
    }
    let holes: i64 = times.windows(2).map(|w| (w[1] - w[0]) / 1000 - 1).sum();
    let missed = handoff.progress().missed_ticks;
    assert!(holes as u64 <= missed, "{missed} confessed: {times:?}");
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[test]
fn once_goes_on_without_a_probe_that_hangs() {
    let root = root_with_a_hanging_file();
    let source = Source::live(root.path());
    let (table, sample) = once(source, &rhythm(), 7).unwrap();
    let value = |metric: Metric, labels: &[&str]| {
        sample.readings.iter().find_map(|(number, value)| {
            let key = table.key(*number)?;
            let same = key
                .label_values
                .iter()
                .map(|v| &**v)
                .eq(labels.iter().copied());
            (key.metric == metric && same).then_some(*value)
        })
    };
    assert_eq!(value(Metric::ProbeSuccess, &["load"]), Some(0.0));
    assert_eq!(value(Metric::ProbeSuccess, &["memory"]), Some(1.0));
    assert_eq!(sample.time_ms, 7);
}

#[test]
fn a_disabled_probe_does_not_run() {
    let mut rhythm = rhythm();
    rhythm.disabled.push("load".into());
    let (table, sample) = once(Source::live(Path::new("/")), &rhythm, 0).unwrap();
    let ran = |probe: &str| {
        sample.readings.iter().any(|(number, _)| {
            let key = table.key(*number).unwrap();
            key.metric == Metric::ProbeSuccess && &*key.label_values[0] == probe
        })
    };
    assert!(!ran("load") && ran("memory"));
}

#[test]
fn a_stopped_sampler_hands_over_what_it_has() {
    let state = tempfile::tempdir().unwrap();
    let bounds = SpoolConfig::default();
    let (spool, table) = spool::open(state.path(), bounds, 0).unwrap();
    let handoff = Arc::new(Handoff::new(spool, table, 600));
    let source = Arc::new(Source::live(Path::new("/")));
    let finished = CancellationToken::new();
    let sampler = start(rhythm(), source, handoff.clone(), finished.clone()).unwrap();
    // The first tick travels alone; the next ones wait for a batch of 600 that will not fill.
    while handoff.ticks() == 0 {
        thread::sleep(Duration::from_millis(20));
    }
    sampler.stop();
    while !finished.is_cancelled() {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(handoff.progress().spool.batches, 2);
}
