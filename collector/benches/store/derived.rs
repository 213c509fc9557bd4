//! Many hosts out of one capture, no two alike, with what is true on every real host kept true.
//!
//! A host starts at a random place of the capture, walks it at ten rows a tick and jumps now and
//! then. Each group of resources has a scale of its own; every step of a counter gets ±40 % noise,
//! every level a small walk. Afterwards the sums are made whole again: a CPU's modes make up the
//! elapsed time, free is size without what is used, the slow loads follow the fast one.

use super::Capture;

/// Rows of the capture between two ticks.
const STRIDE: usize = 10;
/// One tick in so many continues somewhere else.
const JUMP: u64 = 90;
/// A CPU's 10 s in its own ticks.
const ELAPSED: f64 = 1000.0;
const PAGE: f64 = 4096.0;

/// A small generator of random numbers (splitmix64), so that a run can be repeated.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from `low..high`.
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a series is, as far as making it up goes.
#[derive(Clone, Copy, PartialEq)]
enum Nature {
    /// Whole steps, never down; the value is divided by this.
    Counter(f64),
    /// Moves in pages.
    Level,
    /// Does not move.
    Constant,
    Load,
}

struct Subject {
    name: String,
    group: usize,
    nature: Nature,
    unit: f64,
}

const GROUPS: usize = 6;

fn subjects(capture: &Capture) -> Vec<Subject> {
    let group = |metric: &str| match metric {
        m if m.starts_with("node_cpu") => 0,
        m if m.starts_with("node_memory") => 1,
        m if m.starts_with("node_network") => 2,
        m if m.starts_with("node_disk") => 3,
        m if m.starts_with("node_filesystem") => 4,
        _ => 5,
    };
    let subject = |(i, name): (usize, &crate::SeriesName)| {
        let labels: Vec<&str> = name.labels.iter().map(|l| l.1.as_str()).collect();
        let column = &capture.columns[i];
        let moves = column.iter().any(|v| *v != column[0]);
        let unit = capture.units[i];
        let nature = match name.metric.as_str() {
            m if m.starts_with("node_load") => Nature::Load,
            _ if !moves => Nature::Constant,
            m if m.ends_with("_total") => Nature::Counter(unit),
            _ => Nature::Level,
        };
        Subject {
            name: format!("{} {}", name.metric, labels.join(" ")),
            group: group(&name.metric),
            nature,
            unit,
        }
    };
    capture.names.iter().enumerate().map(subject).collect()
}

/// A host's values: one column for each series of the capture, `ticks` long.
pub(crate) fn host(capture: &Capture, seed: u64, ticks: usize) -> Vec<Vec<f64>> {
    let subjects = subjects(capture);
    let mut dice = Dice(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let mut scales = [0.0; GROUPS];
    for scale in &mut scales {
        *scale = (dice.between(0.2f64.ln(), 3f64.ln())).exp();
    }
    let rows = capture.columns[0].len();
    let mut at = dice.next() as usize % (rows - STRIDE);
    let path: Vec<usize> = (0..ticks)
        .map(|_| {
            at += STRIDE;
            if at + STRIDE >= rows || dice.next().is_multiple_of(JUMP) {
                at = dice.next() as usize % (rows - STRIDE);
            }
            at
        })
        .collect();
    let mut columns: Vec<Vec<f64>> = subjects
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let column = &capture.columns[i];
            match s.nature {
                Nature::Counter(unit) => counter(column, &path, (scales[s.group], unit), &mut dice),
                Nature::Level => level(column, &path, scales[s.group], &mut dice),
                Nature::Load => path.iter().map(|r| column[*r]).collect(),
                Nature::Constant => vec![column[0] * s.unit; ticks],
            }
        })
        .collect();
    restore(&subjects, capture, &path, &scales, &mut columns);
    for (column, subject) in columns.iter_mut().zip(&subjects) {
        column.iter_mut().for_each(|v| *v /= subject.unit);
    }
    columns
}

/// A counter in its native unit.
fn counter(column: &[f64], path: &[usize], (scale, unit): (f64, f64), dice: &mut Dice) -> Vec<f64> {
    let mut value = (column[path[0]] * unit).round();
    path.iter()
        .map(|row| {
            let step = (column[row + STRIDE] - column[*row]) * unit;
            value += (step.max(0.0) * scale * dice.between(0.6, 1.4)).round();
            value
        })
        .collect()
}

/// A level in bytes (whole pages) or pieces.
fn level(column: &[f64], path: &[usize], scale: f64, dice: &mut Dice) -> Vec<f64> {
    let grain = if column.iter().all(|v| v % PAGE == 0.0) {
        PAGE
    } else {
        1.0
    };
    let mut walk = 0.0;
    path.iter()
        .map(|row| {
            walk = walk * 0.99 + dice.between(-2e-4, 2e-4);
            (column[*row] / grain * scale * (1.0 + walk))
                .round()
                .max(0.0)
                * grain
        })
        .collect()
}

/// Puts right what noise made wrong.
fn restore(
    subjects: &[Subject],
    capture: &Capture,
    path: &[usize],
    scales: &[f64; GROUPS],
    columns: &mut [Vec<f64>],
) {
    let find = |name: &str| subjects.iter().position(|s| s.name == name);
    for cpu in 0.. {
        let Some(idle) = find(&format!("node_cpu_seconds_total {cpu} idle")) else {
            break;
        };
        let others: Vec<usize> = [
            "user", "nice", "system", "iowait", "irq", "softirq", "steal",
        ]
        .iter()
        .filter_map(|mode| find(&format!("node_cpu_seconds_total {cpu} {mode}")))
        .collect();
        whole_cpu(columns, &others, idle);
    }
    let memory = |name: &str| find(&format!("node_memory_{name}_bytes "));
    if let (Some(total), Some(free), Some(available), Some(cached), Some(buffers)) = (
        memory("MemTotal"),
        memory("MemFree"),
        memory("MemAvailable"),
        memory("Cached"),
        memory("Buffers"),
    ) {
        let paged = |v: f64| (v * scales[1] / PAGE).round() * PAGE;
        let size = paged(capture.columns[total][0]);
        columns[total].fill(size);
        for (tick, row) in path.iter().enumerate() {
            // What is held by programs; the looseness between free and available as captured.
            let raw = |i: usize| capture.columns[i][*row];
            let held = paged(raw(total) - raw(free) - raw(cached) - raw(buffers));
            let loose = paged(raw(available) - raw(free) - raw(cached) - raw(buffers));
            let cache = columns[cached][tick] + columns[buffers][tick];
            columns[free][tick] = (size - held - cache).max(0.0);
            columns[available][tick] = (columns[free][tick] + cache + loose).max(0.0);
        }
    }
    let filesystem = |name: &str| find(&format!("node_filesystem_{name}_bytes /"));
    if let (Some(free), Some(available)) = (filesystem("free"), filesystem("avail")) {
        let kept = ((capture.columns[free][0] - capture.columns[available][0]) / PAGE).round();
        columns[available] = columns[free]
            .iter()
            .map(|free| (free - kept * PAGE).max(0.0))
            .collect();
    }
    loads(subjects, columns);
}

/// Idle is what the other modes leave of the elapsed time; together they cannot take more.
fn whole_cpu(columns: &mut [Vec<f64>], others: &[usize], idle: usize) {
    let mut steps: Vec<Vec<f64>> = others.iter().map(|i| steps(&columns[*i])).collect();
    let mut value = columns[idle][0];
    for tick in 1..columns[idle].len() {
        let busy: f64 = steps.iter().map(|s| s[tick]).sum();
        if busy > ELAPSED {
            steps
                .iter_mut()
                .for_each(|s| s[tick] = (s[tick] * ELAPSED / busy).floor());
        }
        let busy: f64 = steps.iter().map(|s| s[tick]).sum();
        value += ELAPSED - busy;
        columns[idle][tick] = value;
        for (i, s) in others.iter().zip(&steps) {
            columns[*i][tick] = columns[*i][tick - 1] + s[tick];
        }
    }
}

fn steps(column: &[f64]) -> Vec<f64> {
    let mut last = column[0];
    column
        .iter()
        .map(|v| v - std::mem::replace(&mut last, *v))
        .collect()
}

/// The slow loads approach what makes the fast one move; two decimals, as the kernel prints them.
fn loads(subjects: &[Subject], columns: &mut [Vec<f64>]) {
    let find = |name: &str| subjects.iter().position(|s| s.name.trim() == name);
    let Some(fast) = find("node_load1") else {
        return;
    };
    for (name, seconds) in [("node_load5", 300.0), ("node_load15", 900.0)] {
        let Some(slow) = find(name) else { continue };
        let keep = (-10.0f64 / seconds).exp();
        let mut value = columns[slow][0];
        for tick in 0..columns[slow].len() {
            value = value * keep + columns[fast][tick] * (1.0 - keep);
            columns[slow][tick] = (value * 100.0).round() / 100.0;
        }
    }
}
