//! What everybody derives from the raw metrics, derived once: CPU shares, memory used, the
//! writable filesystems. Rules, indicators and rollups take it from here.

mod table;

pub use table::{DERIVED, Derived, derive, inputs, of_family};

use super::{Grid, Series, Window, union_times_ms};

/// What part of a whole fell between two moments: busy of all CPU seconds, waiting of all seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// When it began, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// When it ended.
    pub to_ms: i64,
    /// The part.
    pub part: f64,
    /// The whole, above zero.
    pub whole: f64,
}

impl Share {
    /// Part over whole.
    pub fn ratio(&self) -> f64 {
        self.part / self.whole
    }
}

/// Part over whole of all shares that begin at or after `from_ms`.
pub fn share_since(shares: &[Share], from_ms: i64) -> Option<f64> {
    let start = shares.partition_point(|s| s.from_ms < from_ms);
    let (part, whole) = sums(&shares[start..]);
    (whole > 0.0).then(|| part / whole)
}

/// At the end of each share: part over whole of the `span_ms` before it. Moments with less than
/// `covered_min_ms` of data behind them are left out: an average of nothing is no average.
pub fn trailing(shares: &[Share], span_ms: i64, covered_min_ms: i64) -> Vec<(i64, f64)> {
    trailing_of(shares, span_ms, covered_min_ms, f64::MIN_POSITIVE)
        .filter_map(|(time_ms, ratio)| Some((time_ms, ratio?)))
        .collect()
}

/// The same, and nothing in place of a ratio where the whole is below `whole_min`: two errors
/// among three packets are no share.
pub fn trailing_of(
    shares: &[Share],
    span_ms: i64,
    covered_min_ms: i64,
    whole_min: f64,
) -> impl Iterator<Item = (i64, Option<f64>)> + '_ {
    let mut start = 0;
    let (mut part, mut whole, mut covered_ms) = (0.0, 0.0, 0);
    shares.iter().enumerate().filter_map(move |(i, share)| {
        part += share.part;
        whole += share.whole;
        covered_ms += share.to_ms - share.from_ms;
        while start < i && shares[start].from_ms < share.to_ms - span_ms {
            part -= shares[start].part;
            whole -= shares[start].whole;
            covered_ms -= shares[start].to_ms - shares[start].from_ms;
            start += 1;
        }
        let ratio = (whole >= whole_min).then(|| (part / whole).max(0.0));
        (covered_ms >= covered_min_ms).then_some((share.to_ms, ratio))
    })
}

/// Smallest, mean and largest share of each step of a grid; nothing where nothing was measured.
pub fn share_steps(shares: &[Share], grid: Grid) -> Vec<Option<[f64; 3]>> {
    let mut rest = shares;
    grid.steps()
        .map(|step| {
            let start = rest.partition_point(|s| s.from_ms < step);
            rest = &rest[start..];
            let length = rest.partition_point(|s| s.from_ms < step + grid.step_ms);
            let (here, after) = rest.split_at(length);
            rest = after;
            let (part, whole) = sums(here);
            let ratios = || here.iter().map(Share::ratio);
            let min = ratios().reduce(f64::min)?;
            let max = ratios().reduce(f64::max)?;
            Some([min, part / whole, max])
        })
        .collect()
}

fn sums(shares: &[Share]) -> (f64, f64) {
    shares
        .iter()
        .fold((0.0, 0.0), |(p, w), s| (p + s.part, w + s.whole))
}

/// Seconds that all CPUs together spent between two neighbouring samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTime {
    /// Older sample.
    pub from_ms: i64,
    /// Newer sample.
    pub to_ms: i64,
    /// All modes.
    pub total: f64,
    /// Idle.
    pub idle: f64,
    /// Idle, with a disk request outstanding.
    pub iowait: f64,
    /// Wanted, and given to another guest by the hypervisor.
    pub steal: f64,
}

impl CpuTime {
    /// A share of the total.
    pub fn share(&self, part: impl Fn(&CpuTime) -> f64) -> Share {
        Share {
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            part: part(self),
            whole: self.total,
        }
    }

    /// Everything but idle and iowait.
    pub fn busy(&self) -> f64 {
        (self.total - self.idle - self.iowait).max(0.0)
    }
}

/// How the CPUs spent their time, pair by pair; holes are left out.
pub fn cpu_times(window: &Window) -> Vec<CpuTime> {
    let all = window.all("node_cpu_seconds_total");
    let times = union_times_ms(all);
    // Seconds of a moment: total, idle, iowait, steal, anything else.
    let mut spent = vec![(0i64, [0.0f64; 5]); times.len()];
    for series in all {
        let mode = match series.label("mode") {
            Some("idle") => 1,
            Some("iowait") => 2,
            Some("steal") => 3,
            _ => 4,
        };
        let mut at = 0;
        for pair in series.pairs(i64::MIN, i64::MAX, window.interval_ms) {
            while times[at] < pair.to_ms {
                at += 1;
            }
            if !pair.hole {
                let (from_ms, seconds) = &mut spent[at];
                *from_ms = pair.from_ms;
                seconds[0] += pair.increase;
                seconds[mode] += pair.increase;
            }
        }
    }
    times
        .iter()
        .zip(&spent)
        .filter(|(_, (_, seconds))| seconds[0] > 0.0)
        .map(|(to_ms, (from_ms, seconds))| CpuTime {
            from_ms: *from_ms,
            to_ms: *to_ms,
            total: seconds[0],
            idle: seconds[1],
            iowait: seconds[2],
            steal: seconds[3],
        })
        .collect()
}

/// How many logical CPUs report at `now_ms`.
pub fn cores(window: &Window, now_ms: i64) -> Option<usize> {
    let count = window
        .all("node_cpu_seconds_total")
        .iter()
        .filter(|s| s.label("mode") == Some("idle"))
        .filter(|s| s.current(now_ms, window.interval_ms).is_some())
        .count();
    (count > 0).then_some(count)
}

/// The part of the time that a counter of seconds grew, pair by pair: pressure, disk busy.
pub fn time_shares(series: &Series, interval_ms: i64) -> Vec<Share> {
    series
        .pairs(i64::MIN, i64::MAX, interval_ms)
        .filter(|pair| !pair.hole && pair.to_ms > pair.from_ms)
        .map(|pair| Share {
            from_ms: pair.from_ms,
            to_ms: pair.to_ms,
            part: pair.increase,
            whole: pair.seconds(),
        })
        .collect()
}

/// What part of one counter's growth another's is, pair by pair: errors of packets, seconds of
/// operations. Unlike elsewhere the whole may be 0: see [`trailing_of`].
pub fn growth_shares(part: &Series, whole: &Series, interval_ms: i64) -> Vec<Share> {
    let mut wholes = whole.pairs(i64::MIN, i64::MAX, interval_ms).peekable();
    part.pairs(i64::MIN, i64::MAX, interval_ms)
        .filter_map(|pair| {
            while wholes.next_if(|of| of.from_ms < pair.from_ms).is_some() {}
            let of = wholes.next_if(|of| (of.from_ms, of.to_ms) == (pair.from_ms, pair.to_ms))?;
            (!pair.hole && pair.to_ms > pair.from_ms).then_some(Share {
                from_ms: pair.from_ms,
                to_ms: pair.to_ms,
                part: pair.increase,
                whole: of.increase,
            })
        })
        .collect()
}

/// A gauge as shares, so that it averages over time and not over samples.
pub fn gauge_shares(points: &[(i64, f64)], hole_ms: i64) -> Vec<Share> {
    points
        .windows(2)
        .filter(|w| w[1].0 - w[0].0 <= hole_ms && w[1].0 > w[0].0)
        .map(|w| {
            let whole = (w[1].0 - w[0].0) as f64 / 1000.0;
            Share {
                from_ms: w[0].0,
                to_ms: w[1].0,
                part: w[1].1 * whole,
                whole,
            }
        })
        .collect()
}

/// Memory at one moment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// When, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// MemTotal.
    pub total: f64,
    /// MemAvailable, or what comes nearest.
    pub available: f64,
    /// The kernel is older than 3.14 and has no MemAvailable: free, buffers, cache and reclaimable
    /// slab were added up instead, less shared memory.
    pub estimated: bool,
}

impl Memory {
    /// The part that is not available, 0 to 1.
    pub fn used_ratio(&self) -> f64 {
        (1.0 - self.available / self.total).clamp(0.0, 1.0)
    }
}

/// Memory at every sample.
pub fn memory(window: &Window) -> Vec<Memory> {
    let Some(total) = window.find("node_memory_MemTotal_bytes", &[]) else {
        return Vec::new();
    };
    let exact = window.find("node_memory_MemAvailable_bytes", &[]);
    let find = |name: &str| window.find(name, &[]);
    let added = [
        find("node_memory_MemFree_bytes"),
        find("node_memory_Buffers_bytes"),
        find("node_memory_Cached_bytes"),
        find("node_memory_SReclaimable_bytes"),
    ];
    let shared = find("node_memory_Shmem_bytes");
    let estimate = |time_ms: i64, i: usize| {
        let free = added[0]?.at(time_ms, i)?;
        let rest: f64 = added[1..]
            .iter()
            .flatten()
            .filter_map(|series| series.at(time_ms, i))
            .sum();
        let shared = shared
            .and_then(|series| series.at(time_ms, i))
            .unwrap_or(0.0);
        Some((free + rest - shared).max(free))
    };
    total
        .points()
        .enumerate()
        .filter(|(_, (_, total))| *total > 0.0)
        .filter_map(|(i, (time_ms, total))| {
            let (available, estimated) = match exact {
                Some(series) => (series.at(time_ms, i)?, false),
                None => (estimate(time_ms, i)?, true),
            };
            Some(Memory {
                time_ms,
                total,
                available,
                estimated,
            })
        })
        .collect()
}

/// The part of a filesystem that is used, the way df shows it: used ÷ (used + available). What is
/// reserved for root is in neither. Without the free bytes the reserve counts as used.
pub fn space_used_ratio(size: f64, free: Option<f64>, avail: f64) -> f64 {
    let used = (size - free.unwrap_or(avail)).max(0.0);
    let avail = avail.max(0.0);
    if used + avail > 0.0 {
        used / (used + avail)
    } else {
        1.0
    }
}

/// Levels for a used ratio ask for less free space on large filesystems: a tenth of 50 TB is
/// plenty. The free part shrinks by (size ÷ norm) to the power of exponent - 1, the way Checkmk's
/// magic factor does, but never grows on small ones.
pub fn size_scaled(level: f64, size: f64, norm: f64, exponent: f64) -> f64 {
    let times = (size / norm).max(1.0);
    1.0 - (1.0 - level) * times.powf(exponent - 1.0).min(1.0)
}

/// Space of a filesystem at one moment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Space {
    /// When, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Its size, above zero.
    pub size: f64,
    /// What an unprivileged process may still write.
    pub avail: f64,
    /// As df shows it: see [`space_used_ratio`].
    pub used_ratio: f64,
}

/// A filesystem that can be written to, with its series.
#[derive(Clone, Copy, Debug)]
pub struct Filesystem<'a> {
    /// Where it is mounted.
    pub mountpoint: &'a str,
    /// `node_filesystem_size_bytes`.
    pub size: &'a Series,
    /// `node_filesystem_avail_bytes`.
    pub avail: &'a Series,
    /// `node_filesystem_free_bytes`.
    pub free: Option<&'a Series>,
}

impl Filesystem<'_> {
    /// Its space at each moment at which both size and available space were sampled.
    pub fn space(&self) -> impl Iterator<Item = Space> + '_ {
        self.avail
            .points()
            .enumerate()
            .filter_map(|(i, (time_ms, avail))| {
                let size = self.size.at(time_ms, i).filter(|size| *size > 0.0)?;
                let free = self.free.and_then(|series| series.at(time_ms, i));
                Some(Space {
                    time_ms,
                    size,
                    avail,
                    used_ratio: space_used_ratio(size, free, avail),
                })
            })
    }
}

/// The filesystems that report at `now_ms`, have a size and are not read-only.
pub fn writable_filesystems(window: &Window, now_ms: i64) -> Vec<Filesystem<'_>> {
    let now = |series: &Series| series.current(now_ms, window.interval_ms);
    filesystems(window, now)
        .filter(|fs| now(fs.size).is_some_and(|size| size > 0.0))
        .collect()
}

/// Those that are not read-only by what `value` says of a series.
fn filesystems<'a>(
    window: &'a Window,
    value: impl Fn(&Series) -> Option<f64>,
) -> impl Iterator<Item = Filesystem<'a>> {
    let sizes = window.all("node_filesystem_size_bytes").iter();
    sizes.filter_map(move |size| {
        let avail = sibling(window, "node_filesystem_avail_bytes", size)?;
        let readonly = sibling(window, "node_filesystem_readonly", size).and_then(&value);
        (readonly != Some(1.0)).then_some(Filesystem {
            mountpoint: size.label("mountpoint").unwrap_or(""),
            size,
            avail,
            free: sibling(window, "node_filesystem_free_bytes", size),
        })
    })
}

/// The series of another metric with the same labels.
pub fn sibling<'a>(window: &'a Window, metric: &str, of: &Series) -> Option<&'a Series> {
    let all = window.all(metric);
    let index = all
        .binary_search_by(|s| s.name.labels.cmp(&of.name.labels))
        .ok()?;
    all.get(index)
}
