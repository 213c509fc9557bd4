//! Counters: raw and cumulative in the store, growth and rates on reading.

use super::Series;

/// A counter that fell by less than this share of itself was corrected, not restarted: the kernel
/// takes back hundredths of idle and iowait time. Counting such a fall as a restart would add the
/// whole counter at once.
const CORRECTION_SHARE: f64 = 0.01;

/// Two neighbouring samples of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Time of the older sample.
    pub from_ms: i64,
    /// Time of the newer sample.
    pub to_ms: i64,
    /// What was counted between them, at least: a counter that restarted counted what it shows.
    pub increase: f64,
    /// The counter restarted between them.
    pub reset: bool,
    /// They are too far apart to say anything about a rate.
    pub hole: bool,
}

/// What a counter counted between two values, and whether it restarted.
#[inline]
pub(super) fn grown(before: f64, after: f64) -> (f64, bool) {
    if after >= before {
        (after - before, false)
    } else if after >= before * (1.0 - CORRECTION_SHARE) {
        (0.0, false)
    } else {
        (after.max(0.0), true)
    }
}

impl Pair {
    fn between(older: (i64, f64), newer: (i64, f64), hole_ms: i64) -> Pair {
        let (from_ms, before) = older;
        let (to_ms, after) = newer;
        let (increase, reset) = grown(before, after);
        Pair {
            from_ms,
            to_ms,
            increase,
            reset,
            hole: to_ms - from_ms > hole_ms,
        }
    }

    /// Seconds between the two.
    pub fn seconds(&self) -> f64 {
        (self.to_ms - self.from_ms) as f64 / 1000.0
    }

    /// Growth each second; nothing across a hole.
    pub fn rate(&self) -> Option<f64> {
        (!self.hole && self.to_ms > self.from_ms).then(|| self.increase / self.seconds())
    }
}

/// What a counter did over a range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    /// Counted between neighbours without a hole.
    pub increase: f64,
    /// Counted across holes: known as a sum, not in time.
    pub in_holes: f64,
    /// Time without holes, milliseconds.
    pub covered_ms: i64,
    /// How often the counter restarted.
    pub resets: u32,
    /// How many pairs of neighbours.
    pub pairs: u32,
}

impl Growth {
    /// Everything that was counted.
    pub fn total(&self) -> f64 {
        self.increase + self.in_holes
    }

    /// Growth each second of covered time; holes are in neither part of the fraction.
    pub fn rate(&self) -> Option<f64> {
        (self.covered_ms > 0).then(|| self.increase * 1000.0 / self.covered_ms as f64)
    }

    /// Takes a pair in.
    pub fn add(&mut self, pair: Pair) {
        self.pairs += 1;
        self.resets += u32::from(pair.reset);
        if pair.hole {
            self.in_holes += pair.increase;
        } else {
            self.increase += pair.increase;
            self.covered_ms += pair.to_ms - pair.from_ms;
        }
    }
}

impl Series {
    /// The pairs of neighbours that begin in `from_ms..to_ms`, ascending.
    pub fn pairs(
        &self,
        from_ms: i64,
        to_ms: i64,
        interval_ms: i64,
    ) -> impl Iterator<Item = Pair> + '_ {
        let hole_ms = self.hole_ms(interval_ms);
        let start = self.times_ms.partition_point(|&t| t < from_ms);
        let end = self.times_ms.partition_point(|&t| t < to_ms).max(start);
        // The pair that begins last ends one sample further on.
        let end = (end + 1).min(self.times_ms.len());
        let times = &self.times_ms[start..end];
        let values = &self.values[start..end];
        times
            .windows(2)
            .zip(values.windows(2))
            .map(move |(t, v)| Pair::between((t[0], v[0]), (t[1], v[1]), hole_ms))
    }

    /// What the counter did in the pairs that begin in `from_ms..to_ms`; nothing when there is
    /// no pair.
    pub fn growth(&self, from_ms: i64, to_ms: i64, interval_ms: i64) -> Option<Growth> {
        let mut growth = Growth::default();
        for pair in self.pairs(from_ms, to_ms, interval_ms) {
            growth.add(pair);
        }
        (growth.pairs > 0).then_some(growth)
    }

    /// Growth each second over the pairs that begin in `from_ms..to_ms`.
    pub fn rate(&self, from_ms: i64, to_ms: i64, interval_ms: i64) -> Option<f64> {
        self.growth(from_ms, to_ms, interval_ms)?.rate()
    }
}
