//! The five indicators of a host: CPU, load, memory, network, disk.
//!
//! Each is a value now with its unit, a verdict with the level and where the level comes from,
//! a plain sentence with the numbers in it, and how it went over the window. What is missing is
//! `unknown`, with the reason: never a guess, never a zero.

mod cpu;
mod disk;
mod load;
mod memory;
mod network;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::series::derived::{Share, share_since, share_steps};
use crate::series::{Grid, Window, nice_step_ms};
use crate::words;

/// What "now" averages over, for whatever is measured by counters; at least two intervals.
const NOW_MS: i64 = 60_000;

/// Most steps of a trend.
const STEPS_MAX: i64 = 120;

/// How an indicator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Below every level.
    Ok,
    /// Cannot be said; `words` has the reason.
    Unknown,
    /// Worth an eye.
    Watch,
    /// At the level where the rules begin to count.
    Risk,
}

/// The levels a verdict was taken from, in the indicator's unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// From here on: watch.
    pub watch: f64,
    /// From here on: risk.
    pub risk: f64,
    /// Where they come from.
    pub source: String,
}

/// A number of an indicator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it measures ("busy", "steal", "available").
    pub name: String,
    /// Of what, where there are several ("/var", "eth0"); empty for the host.
    pub of: String,
    /// In `unit`.
    pub value: f64,
    /// "ratio", "bytes", "bytes_per_second", "seconds", "count", "per_second".
    pub unit: String,
}

/// How a value went over the window, in equal steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Start of the first step, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Length of a step.
    pub step_ms: i64,
    /// [min, mean, max] of each step, in the headline's unit; nothing where nothing was measured.
    pub points: Vec<Option<[f64; 3]>>,
}

/// One of the five.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Indicator {
    /// "CPU", "Load", "Memory", "Network", "Disk".
    pub name: String,
    /// How it stands.
    pub verdict: Verdict,
    /// The headline in a table's cell ("42 %", "0.31 a core"); "-" when unknown.
    pub short: String,
    /// One sentence with the numbers in it, or why there are none.
    pub words: String,
    /// The headline, in `unit`.
    pub value: Option<f64>,
    /// The headline's unit: "ratio", "count" (load a core), "bytes_per_second".
    pub unit: String,
    /// What the verdict was held against, where there is something.
    pub levels: Option<Levels>,
    /// Every number behind the sentence; the headline first.
    pub figures: Vec<Figure>,
    /// The headline over the window.
    pub trend: Option<Trend>,
}

/// The five indicators of one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Indicators {
    /// The host's name.
    pub host: String,
    /// The moment they are for, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Share of CPU time that was neither idle nor waiting for disks.
    pub cpu: Indicator,
    /// Runnable and blocked tasks for each core; pressure where the kernel tells.
    pub load: Indicator,
    /// Share of memory that is not available.
    pub memory: Indicator,
    /// Bytes each second in and out; the share of the link's speed where it is known.
    pub network: Indicator,
    /// The fullest writable filesystem; the busiest device.
    pub disk: Indicator,
}

impl Indicators {
    /// The five in their order.
    pub fn all(&self) -> [&Indicator; 5] {
        [
            &self.cpu,
            &self.load,
            &self.memory,
            &self.network,
            &self.disk,
        ]
    }
}

/// Every metric the indicators look at, sorted: what a window must hold for them.
pub fn metrics() -> Vec<&'static str> {
    let mut metrics = [
        cpu::METRICS,
        load::METRICS,
        memory::METRICS,
        network::METRICS,
        disk::METRICS,
    ]
    .concat();
    metrics.sort_unstable();
    metrics.dedup();
    metrics
}

/// The five indicators at `now_ms`, with their course over the window. A minute of samples is
/// enough for the values, the trend has what the window has.
pub fn indicators(window: &Window, now_ms: i64) -> Indicators {
    let view = View { window, now_ms };
    Indicators {
        host: window.host.clone(),
        at_ms: now_ms,
        cpu: cpu::indicator(&view),
        load: load::indicator(&view),
        memory: memory::indicator(&view),
        network: network::indicator(&view),
        disk: disk::indicator(&view),
    }
}

/// A window, looked at from a moment.
struct View<'a> {
    window: &'a Window,
    now_ms: i64,
}

impl View<'_> {
    fn interval_ms(&self) -> i64 {
        self.window.interval_ms.max(1)
    }

    /// Where "now" begins.
    fn recent_ms(&self) -> i64 {
        // One interval more than the span: the newest pair ends up to an interval ago.
        self.now_ms - NOW_MS.max(2 * self.interval_ms()) - self.interval_ms()
    }

    /// Part over whole of the shares that are recent, unless the newest is stale.
    fn recent(&self, shares: &[Share], stale_ms: i64) -> Option<f64> {
        let newest = shares.last()?;
        if self.now_ms - newest.to_ms > stale_ms {
            return None;
        }
        // A slow subject may have one share only, and that one begins earlier.
        share_since(shares, self.recent_ms().min(newest.from_ms))
    }

    fn grid(&self) -> Grid {
        let range_ms = self.window.to_ms - self.window.from_ms;
        Grid {
            from_ms: self.window.from_ms,
            to_ms: self.window.to_ms,
            step_ms: nice_step_ms(range_ms, STEPS_MAX, self.interval_ms()),
        }
    }

    /// How shares went over the window.
    fn trend(&self, shares: &[Share]) -> Option<Trend> {
        let grid = self.grid();
        let points = share_steps(shares, grid);
        points.iter().any(Option::is_some).then(|| Trend {
            from_ms: grid.step_of(grid.from_ms),
            step_ms: grid.step_ms,
            points,
        })
    }

    /// Why nothing can be said about a subject that has not arrived.
    fn missing(&self, what: &str) -> String {
        match self.window.newest_ms(self.now_ms) {
            None => "No sample in this time.".into(),
            Some(newest) if self.now_ms - newest > self.window.stale_ms() => format!(
                "The newest sample is {} old.",
                words::duration(self.now_ms - newest)
            ),
            Some(_) => format!("{what}."),
        }
    }
}

impl Indicator {
    fn unknown(name: &str, unit: &str, why: String) -> Indicator {
        Indicator {
            name: name.to_owned(),
            verdict: Verdict::Unknown,
            short: "-".into(),
            words: why,
            value: None,
            unit: unit.to_owned(),
            levels: None,
            figures: Vec::new(),
            trend: None,
        }
    }
}

impl Levels {
    fn new(watch: f64, risk: f64, source: &str) -> Levels {
        Levels {
            watch,
            risk,
            source: source.to_owned(),
        }
    }

    fn verdict(&self, value: f64) -> Verdict {
        if value >= self.risk {
            Verdict::Risk
        } else if value >= self.watch {
            Verdict::Watch
        } else {
            Verdict::Ok
        }
    }
}

impl Figure {
    fn new(name: &str, of: &str, value: f64, unit: &str) -> Figure {
        Figure {
            name: name.to_owned(),
            of: of.to_owned(),
            value,
            unit: unit.to_owned(),
        }
    }
}
