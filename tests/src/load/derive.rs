//! Many hosts from one recording.
//!
//! Each host begins at a random place of the capture and jumps to another one now and then, so that
//! nothing repeats. Its resource groups are scaled by a factor of its own (log-uniform, 0.2 to 3),
//! every counter's step gets ±40 % of noise, gauges walk a little. Then what is true on a real host
//! is made true again: idle is elapsed time without the other modes, free and available are size
//! without used, the longer loads follow load1. What stands still in the capture stands still.

use std::sync::Arc;

use super::capture::Capture;

/// Scales are between these, uniform in their logarithm.
const SCALES: (f64, f64) = (0.2, 3.0);
/// Noise on a counter's step.
const NOISE: f64 = 0.4;
/// One step in so many jumps to another place.
const JUMP_IN: u64 = 150;
/// How far a gauge walks in a step, relative to itself, and how it comes back.
const WALK: f64 = 1e-4;
const HOME: f64 = 0.999;
/// Memory and disks are given out in pages.
const PAGE: f64 = 4096.0;
/// What a filesystem keeps for its owner, at most.
const RESERVED: f64 = 0.05;

/// A small generator whose sequence is the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub fn part(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Between -1 and 1.
    pub fn swing(&mut self) -> f64 {
        2.0 * self.part() - 1.0
    }
}

/// How a series is made.
#[derive(Clone, Debug, PartialEq)]
enum Role {
    Constant,
    /// Grows by the capture's steps; never by more than all of the time where it is a time.
    Counter {
        group: usize,
        is_busy_time: bool,
    },
    /// What the other modes of a CPU leave.
    Idle {
        others: Vec<usize>,
    },
    /// The first is walked, the longer ones follow it.
    Load {
        group: usize,
        minutes: f64,
        first: usize,
    },
    /// A size without what is used.
    Rest {
        group: usize,
        size: usize,
    },
    /// What is free without what is reserved.
    Available {
        free: usize,
        size: usize,
    },
    /// A part of a size, where it has one.
    Gauge {
        group: usize,
        size: Option<usize>,
    },
}

/// What all hosts share: the capture and how each of its series is made.
#[derive(Clone, Debug)]
pub struct Mould {
    capture: Capture,
    roles: Vec<Role>,
    groups: usize,
}

impl Mould {
    /// Looks at a capture.
    pub fn new(capture: Capture) -> Mould {
        let mut names: Vec<String> = Vec::new();
        let roles = (0..capture.series.len())
            .map(|i| role(&capture, i, &mut names))
            .collect();
        Mould {
            capture,
            roles,
            groups: names.len().max(1),
        }
    }

    /// The series of every host.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }
}

/// The resource a series belongs to.
fn group(capture: &Capture, series: usize) -> String {
    let recorded = &capture.series[series];
    let words: Vec<&str> = recorded.metric.split('_').take(2).collect();
    let device = recorded.label("device").unwrap_or_default();
    let known = ["cpu", "load", "memory", "network", "disk", "filesystem"];
    match words.get(1) {
        Some(word) if known.iter().any(|k| word.starts_with(k)) => {
            format!("{} {device}", word.trim_end_matches(char::is_numeric))
        }
        _ => "kernel".to_owned(),
    }
}

fn role(capture: &Capture, series: usize, names: &mut Vec<String>) -> Role {
    let recorded = &capture.series[series];
    if recorded.is_constant() {
        return Role::Constant;
    }
    let name = group(capture, series);
    let group = names.iter().position(|n| *n == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    });
    let same = |i: usize, metric: &str, label: &str| {
        let other = &capture.series[i];
        other.metric == metric && other.label(label) == recorded.label(label)
    };
    let find =
        |metric: &str, label: &str| (0..capture.series.len()).find(|i| same(*i, metric, label));
    let memory = find("node_memory_MemTotal_bytes", "none");
    let filesystem = find("node_filesystem_size_bytes", "mountpoint");
    let free = find("node_filesystem_free_bytes", "mountpoint");
    match recorded.metric.as_str() {
        "node_cpu_seconds_total" if recorded.label("mode") == Some("idle") => Role::Idle {
            others: (0..capture.series.len())
                .filter(|i| *i != series && same(*i, "node_cpu_seconds_total", "cpu"))
                .collect(),
        },
        load if load.starts_with("node_load") => Role::Load {
            group,
            minutes: load["node_load".len()..].parse().unwrap_or(1.0),
            first: find("node_load1", "none").unwrap_or(series),
        },
        "node_memory_MemFree_bytes" | "node_memory_MemAvailable_bytes" if memory.is_some() => {
            let size = memory.unwrap_or(series);
            Role::Rest { group, size }
        }
        "node_filesystem_free_bytes" if filesystem.is_some() => {
            let size = filesystem.unwrap_or(series);
            Role::Rest { group, size }
        }
        "node_filesystem_avail_bytes" if filesystem.is_some() && free.is_some() => {
            Role::Available {
                free: free.unwrap_or(series),
                size: filesystem.unwrap_or(series),
            }
        }
        _ if recorded.is_counter() => Role::Counter {
            group,
            is_busy_time: recorded.metric.contains("io_time"),
        },
        metric if metric.starts_with("node_memory_") => Role::Gauge {
            group,
            size: memory,
        },
        _ => Role::Gauge { group, size: None },
    }
}

/// One derived host.
#[derive(Clone, Debug)]
pub struct Host {
    mould: Arc<Mould>,
    random: Random,
    scales: Vec<f64>,
    /// Seconds of the capture in a step.
    stride: usize,
    interval_ms: f64,
    at: usize,
    /// Native units; counters keep their fractions here.
    values: Vec<f64>,
    steps: Vec<f64>,
    walks: Vec<f64>,
    /// Ticks of a CPU's time, by its idle series.
    elapsed: Vec<f64>,
}

impl Host {
    /// Host `number` of the fleet that a seed stands for, stepping by `interval_ms`.
    pub fn new(mould: &Arc<Mould>, seed: u64, number: u64, interval_ms: u64) -> Host {
        let mut random = Random::new(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let (low, high) = SCALES;
        let scales = (0..mould.groups)
            .map(|_| low * (high / low).powf(random.part()))
            .collect();
        let rows = mould.capture.rows();
        let stride = ((interval_ms / 1000).max(1) as usize).min(rows / 2);
        let at = (random.bits() % (rows - stride) as u64) as usize;
        let series = &mould.capture.series;
        let values: Vec<f64> = series.iter().map(|s| s.values[at] as f64).collect();
        let elapsed = mould.roles.iter().enumerate().map(|(i, role)| match role {
            Role::Idle { others } => values[i] + others.iter().map(|o| values[*o]).sum::<f64>(),
            _ => 0.0,
        });
        Host {
            elapsed: elapsed.collect(),
            steps: vec![0.0; values.len()],
            walks: vec![0.0; values.len()],
            mould: Arc::clone(mould),
            interval_ms: interval_ms as f64,
            random,
            scales,
            stride,
            at,
            values,
        }
    }

    /// The next sample of every series, in base units, in the capture's order.
    pub fn step(&mut self, out: &mut Vec<f64>) {
        self.advance();
        let mould = Arc::clone(&self.mould);
        self.grow(&mould);
        for (i, role) in mould.roles.iter().enumerate() {
            self.gauge(&mould, i, role);
        }
        for (i, role) in mould.roles.iter().enumerate() {
            self.restore(&mould, i, role);
        }
        out.clear();
        let natives = self.values.iter().zip(&mould.capture.series);
        out.extend(natives.map(|(value, series)| value.round() / series.units));
    }

    /// Moves on in the capture, or to another place of it.
    fn advance(&mut self) {
        let last = self.mould.capture.rows() - self.stride;
        self.at += self.stride;
        if self.at >= last || self.random.bits().is_multiple_of(JUMP_IN) {
            self.at = (self.random.bits() % last as u64) as usize;
        }
    }

    /// Counters take a step.
    fn grow(&mut self, mould: &Mould) {
        for (i, role) in mould.roles.iter().enumerate() {
            let Role::Counter {
                group,
                is_busy_time,
            } = role
            else {
                continue;
            };
            let captured = &mould.capture.series[i].values;
            let step = captured[self.at + self.stride] - captured[self.at];
            let noise = 1.0 + NOISE * self.random.swing();
            let step = step.max(0) as f64 * self.scales[*group] * noise;
            self.steps[i] = match is_busy_time {
                true => step.min(self.interval_ms * mould.capture.series[i].units / 1000.0),
                false => step,
            };
        }
        for (i, role) in mould.roles.iter().enumerate() {
            let Role::Idle { others } = role else {
                continue;
            };
            // A CPU cannot be busier than time passes, nor can whole ticks of its modes.
            let elapsed = self.interval_ms * mould.capture.series[i].units / 1000.0;
            let most = (elapsed - others.len() as f64).max(0.0);
            let busy: f64 = others.iter().map(|o| self.steps[*o]).sum();
            if busy > most {
                others.iter().for_each(|o| self.steps[*o] *= most / busy);
            }
            self.elapsed[i] += elapsed;
        }
        for (value, step) in self.values.iter_mut().zip(&mut self.steps) {
            *value += std::mem::take(step);
        }
    }

    fn gauge(&mut self, mould: &Mould, i: usize, role: &Role) {
        let captured = |series: usize| mould.capture.series[series].values[self.at] as f64;
        let value = match role {
            Role::Gauge { group, size } => {
                let scaled = captured(i) * self.scales[*group];
                match size {
                    Some(size) => part_of(captured(*size), scaled),
                    None => scaled,
                }
            }
            Role::Rest { group, size } => {
                let used = (captured(*size) - captured(i)) * self.scales[*group];
                captured(*size) - part_of(captured(*size), used)
            }
            Role::Load { group, first, .. } if *first == i => captured(i) * self.scales[*group],
            _ => return,
        };
        self.walks[i] = self.walks[i] * HOME + WALK * self.random.swing();
        let value = value * (1.0 + self.walks[i]);
        self.values[i] = match mould.capture.series[i].metric.ends_with("_bytes") {
            true => (value / PAGE).round() * PAGE,
            false => value.round(),
        };
    }

    /// What is true on a real host.
    fn restore(&mut self, mould: &Mould, i: usize, role: &Role) {
        match role {
            Role::Idle { others } => {
                let busy: f64 = others.iter().map(|o| self.values[*o].round()).sum();
                self.values[i] = self.elapsed[i].round() - busy;
            }
            Role::Load { minutes, first, .. } if *first != i => {
                let share = 1.0 - (-self.interval_ms / (minutes * 60_000.0)).exp();
                self.values[i] += (self.values[*first] - self.values[i]) * share;
            }
            Role::Available { free, size } => {
                let row = |series: usize| mould.capture.series[series].values[0] as f64;
                let reserved = (row(*free) - row(i)).min(row(*size) * RESERVED);
                let reserved = (reserved / PAGE).round() * PAGE;
                self.values[i] = (self.values[*free] - reserved).max(0.0);
            }
            Role::Rest { size, .. } => {
                self.values[i] = self.values[i].clamp(0.0, self.values[*size]);
            }
            _ => {}
        }
    }
}

/// What `used` of a size becomes when scaled: never all of it, however large the scale.
fn part_of(size: f64, used: f64) -> f64 {
    size * (1.0 - (-used / size).exp())
}

#[cfg(test)]
mod tests;
