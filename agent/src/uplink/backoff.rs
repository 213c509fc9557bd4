//! How long to wait before connecting again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Doubling waits with jitter, so that a fleet does not come back all at once.
#[derive(Debug)]
pub(super) struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { bound: FIRST }
    }
}

impl Backoff {
    /// The next wait: between half and all of a bound that doubles up to a minute.
    pub(super) fn next(&mut self) -> Duration {
        let wait = jitter(self.bound, random());
        self.bound = (self.bound * 2).min(LONGEST);
        wait
    }

    /// The wait after an answer that will not change soon.
    pub(super) fn longest(&mut self) -> Duration {
        self.bound = LONGEST;
        self.next()
    }

    /// After a connection that worked.
    pub(super) fn reset(&mut self) {
        self.bound = FIRST;
    }
}

fn jitter(bound: Duration, random: u32) -> Duration {
    bound / 2 + (bound / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

fn random() -> u32 {
    let mut bytes = [0u8; 4];
    // Without randomness every agent waits alike, which is still a wait.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_start_over() {
        let mut backoff = Backoff::default();
        for bound_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.next();
            let bound = Duration::from_secs(bound_s);
            assert!(wait >= bound / 2 && wait <= bound, "{wait:?} of {bound:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
        assert!(backoff.longest() >= LONGEST / 2);
    }

    #[test]
    fn jitter_spreads_over_the_upper_half() {
        let bound = Duration::from_secs(8);
        assert_eq!(jitter(bound, 0), bound / 2);
        assert_eq!(jitter(bound, u32::MAX), bound);
    }
}
