//! How long things took, counted in buckets: small, mergeable, within two percent.

use std::time::Duration;

/// Buckets in each doubling.
const PARTS: u64 = 64;
/// Microseconds above this share the last bucket: over an hour.
const BUCKETS: usize = 64 * 28;

/// Counts of durations.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Latency {
            counts: vec![0; BUCKETS],
            total: 0,
            max: Duration::ZERO,
        }
    }
}

/// Below `PARTS` a bucket a microsecond, above it `PARTS` buckets a doubling.
fn bucket(micros: u64) -> usize {
    if micros < PARTS {
        return micros as usize;
    }
    let doubling = u64::from(micros.ilog2() - PARTS.ilog2());
    let at = (doubling + 1) * PARTS + ((micros >> doubling) - PARTS);
    (at as usize).min(BUCKETS - 1)
}

/// The middle of a bucket in microseconds.
fn middle(bucket: usize) -> f64 {
    let at = bucket as u64;
    if at < PARTS {
        return at as f64;
    }
    let (doubling, part) = (at / PARTS - 1, at % PARTS);
    ((PARTS + part) << doubling) as f64 + ((1u64 << doubling) as f64 - 1.0) / 2.0
}

impl Latency {
    /// Counts one.
    pub fn note(&mut self, took: Duration) {
        self.counts[bucket(took.as_micros() as u64)] += 1;
        self.total += 1;
        self.max = self.max.max(took);
    }

    /// Adds another one's counts.
    pub fn add(&mut self, other: &Latency) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest, exactly.
    pub fn max_ms(&self) -> f64 {
        self.max.as_secs_f64() * 1e3
    }

    /// The duration that a share of all do not exceed, in milliseconds; `None` without any.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let wanted = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return Some((middle(at) / 1e3).min(self.max_ms()));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        micros
            .into_iter()
            .for_each(|m| latency.note(Duration::from_micros(m)));
        latency
    }

    #[test]
    fn quantiles_are_within_two_percent() {
        let latency = of((1..=100_000).map(|i| i * 7));
        for (share, exact) in [(0.5, 350.0), (0.95, 665.0), (0.99, 693.0), (1.0, 700.0)] {
            let got = latency.quantile_ms(share).unwrap();
            assert!(
                (got / exact - 1.0).abs() < 0.02,
                "{share}: {got} for {exact}"
            );
        }
        assert_eq!(latency.max_ms(), 700.0);
    }

    #[test]
    fn nothing_has_no_quantile_and_one_is_every_quantile() {
        assert_eq!(Latency::default().quantile_ms(0.5), None);
        let one = of([42]);
        for share in [0.01, 0.5, 0.99] {
            let got = one.quantile_ms(share).unwrap();
            assert!((got - 0.042).abs() < 1e-9, "{share}: {got}");
        }
    }

    #[test]
    fn adding_two_is_counting_both() {
        let mut both = of(1..=500);
        both.add(&of(501..=1000));
        let all = of(1..=1000);
        assert_eq!(both.counts, all.counts);
        assert_eq!((both.count(), both.max_ms()), (1000, 1.0));
    }

    #[test]
    fn buckets_ascend_and_a_day_fits() {
        let mut last = 0;
        for power in 0..40 {
            for micros in [(1u64 << power), (1 << power) + (1 << power) / 3] {
                let at = bucket(micros);
                assert!(at >= last, "{micros}");
                last = at;
            }
        }
        assert!(of([86_400_000_000]).quantile_ms(0.5).is_some());
    }
}
