//! When a host booted, by how long it says it runs.

use super::judge::Case;
use super::{DAY_METRIC, DAY_MS};
use crate::series::{Series, Window};

/// An uptime that falls or leaps by less than this is the clocks' doing.
const MARGIN_MS: i64 = 60_000;

/// How long a host runs, if it says so.
pub(super) fn uptime<'a>(case: &Case<'a>) -> Option<&'a Series> {
    case.input.window.find(DAY_METRIC, &[])
}

/// Whether a host booted so lately that [`DAY_METRIC`] is wanted over [`DAY_MS`].
pub fn wants_day(window: &Window) -> bool {
    let uptime = window.find(DAY_METRIC, &[]);
    let newest = uptime.and_then(|series| series.values.last());
    newest.is_some_and(|seconds| *seconds < DAY_MS as f64 / 1000.0)
}

/// Moments at which a host booted, ascending, as far as the samples reach. The boot before which
/// nobody knew the host is its beginning and not among them.
pub(super) fn boots(case: &Case<'_>, uptime: &Series) -> Vec<i64> {
    let known_since_ms = case.input.first_seen_ms + case.input.skew_ms();
    let mut boots = Vec::new();
    // The newest boot so far, and the uptime before. A boot is later than all others: two machines
    // that take turns do not boot each time. And the uptime falls: a clock that is set is no boot.
    let mut before: Option<(i64, f64)> = None;
    for (time_ms, seconds) in uptime.points().take_while(|(t, _)| *t <= case.now_ms) {
        let boot_ms = time_ms - (seconds * 1000.0) as i64;
        let (newest_ms, has_fallen) = match before {
            Some((newest_ms, earlier)) => (newest_ms, seconds < earlier),
            None => (known_since_ms, true),
        };
        if has_fallen && boot_ms > newest_ms + MARGIN_MS {
            boots.push(boot_ms);
        }
        let newest_ms = before.map_or(boot_ms, |(newest_ms, _)| newest_ms.max(boot_ms));
        before = Some((newest_ms, seconds));
    }
    boots
}

/// How often in a span the uptime grew by more than the time that passed: what no host does alone.
pub(super) fn leaps(uptime: &Series, from_ms: i64) -> usize {
    let pairs = uptime.times_ms.windows(2).zip(uptime.values.windows(2));
    pairs
        .filter(|(times, _)| times[0] >= from_ms)
        .filter(|(times, seconds)| {
            let grown_ms = (seconds[1] - seconds[0]) * 1000.0;
            grown_ms > (times[1] - times[0] + MARGIN_MS) as f64
        })
        .count()
}
