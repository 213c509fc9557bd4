//! System calls of a tick, from strace's record.

use std::collections::{BTreeMap, BTreeSet};

use hostwell_tests::process::median;

/// System calls a tick.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Calls {
    /// Ticks looked at.
    pub(crate) ticks: usize,
    /// Of an ordinary tick.
    pub(crate) median: f64,
    /// Over all ticks, slow subjects and sends included.
    pub(crate) mean: f64,
    /// The most in one tick.
    pub(crate) most: u64,
    /// Per tick on average for counting processes, not in the figures above.
    pub(crate) process_scan: f64,
    /// Per tick on average for making the spool durable, not in the figures above.
    pub(crate) fsync: f64,
}

/// What kind of call a line of the record is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Tick,
    ProcessScan,
    Fsync,
}

/// Reads `strace -f -ttt` output; ticks are whole seconds of the wall clock, those outside
/// `from..to` are start and stop.
pub(crate) fn read(record: &str, from: u64, to: u64) -> Calls {
    let mut by_tick: BTreeMap<u64, u64> = (from..to).map(|t| (t, 0)).collect();
    let (mut scans, mut fsyncs) = (0u64, 0u64);
    let mut scanning = BTreeSet::new();
    for line in record.lines() {
        // "PID  SECONDS CALL", the process id padded to five places.
        let Some((time, call)) = line
            .split_once(' ')
            .and_then(|(_pid, rest)| rest.trim_start().split_once(' '))
        else {
            continue;
        };
        let call = call.trim_start();
        let is_call = call.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let Some(time) = time.parse::<f64>().ok().filter(|_| is_call) else {
            continue;
        };
        let kind = classify(call, &mut scanning);
        let Some(count) = by_tick.get_mut(&(time as u64)) else {
            continue;
        };
        match kind {
            Kind::Tick => *count += 1,
            Kind::ProcessScan => scans += 1,
            Kind::Fsync => fsyncs += 1,
        }
    }
    let counts: Vec<f64> = by_tick.values().map(|c| *c as f64).collect();
    let ticks = counts.len();
    Calls {
        ticks,
        median: median(&counts),
        mean: counts.iter().sum::<f64>() / ticks as f64,
        most: by_tick.values().copied().max().unwrap_or(0),
        process_scan: scans as f64 / ticks as f64,
        fsync: fsyncs as f64 / ticks as f64,
    }
}

/// `scanning` holds the descriptors that the process scan has open.
fn classify(call: &str, scanning: &mut BTreeSet<String>) -> Kind {
    let name = call.split('(').next().unwrap_or_default();
    let arguments = &call[name.len()..];
    if name == "fsync" || name == "fdatasync" {
        return Kind::Fsync;
    }
    let of_process = |path: &str| {
        let rest = path.strip_prefix("/proc").unwrap_or("?");
        let rest = rest.trim_start_matches('/');
        rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit() && c != '1')
    };
    if let Some(path) = arguments
        .split('"')
        .nth(1)
        .filter(|_| name.starts_with("open"))
    {
        if !of_process(path) {
            return Kind::Tick;
        }
        if let Some(descriptor) = call.rsplit("= ").next() {
            scanning.insert(descriptor.trim().to_owned());
        }
        return Kind::ProcessScan;
    }
    let first = arguments.trim_start_matches('(').split([',', ')']).next();
    let descriptor = first.unwrap_or_default().trim();
    if !scanning.contains(descriptor) {
        return Kind::Tick;
    }
    if name == "close" {
        scanning.remove(descriptor);
    }
    Kind::ProcessScan
}
