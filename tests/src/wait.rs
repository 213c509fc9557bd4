//! Waiting for something to become true: polls with a deadline, never a fixed sleep.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Seconds, for deadlines that read well at the call.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The condition's value once it has one.
///
/// Panics with `what` when the deadline passes first.
#[track_caller]
pub fn until<T>(what: impl Display, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(
            start.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        std::thread::sleep(POLL);
    }
}

/// The same for a condition without a value.
#[track_caller]
pub fn until_true(what: impl Display, deadline: Duration, mut probe: impl FnMut() -> bool) {
    until(what, deadline, || probe().then_some(()));
}

/// Lets time pass in the world under test: an outage that lasts. Not for waiting until something is
/// so.
pub fn pass(span: Duration) {
    std::thread::sleep(span);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_polled_until_it_holds() {
        let mut looks = 0;
        let value = until("third look", seconds(5), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(value, 3);
    }

    #[test]
    #[should_panic(expected = "in vain: pigs fly")]
    fn a_deadline_that_passes_names_what_was_waited_for() {
        until_true("pigs fly", Duration::from_millis(30), || false);
    }
}
