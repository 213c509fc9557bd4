//! When a host booted, by how long it says it runs.

use super::judge::Case;
use super::{Finding, LONG_METRIC, LONG_MS, State, WINDOW_MS, flapping};
use crate::series::{Series, Window};

/// Boots are counted over this long, and told after a span of two of them.
pub(super) const DAY_MS: i64 = LONG_MS / 2;

/// An uptime that falls or leaps by less than this is the clocks' doing.
pub(super) const MARGIN_MS: i64 = 60_000;

/// A boot, by the host's clock.
#[derive(Clone, Copy)]
pub(super) struct Boot {
    pub(super) at_ms: i64,
    /// The first sample after it.
    pub(super) seen_ms: i64,
}

/// How long a host runs, if it says so.
pub(super) fn uptime<'a>(case: &Case<'a>) -> Option<&'a Series> {
    case.input.window.find(LONG_METRIC, &[])
}

/// When the host booted last, by its clock, if it says how long it runs.
pub(super) fn booted_ms(case: &Case<'_>) -> Option<i64> {
    let (time_ms, seconds) = uptime(case)?.latest(case.now_ms)?;
    Some(began_ms(time_ms, seconds))
}

/// When something began that at a moment has run for so long.
fn began_ms(time_ms: i64, seconds: f64) -> i64 {
    time_ms - (seconds * 1000.0) as i64
}

/// Whether [`LONG_METRIC`] is wanted over [`LONG_MS`]: of a host that booted lately, and of one that is
/// said to boot again and again, also when it has fallen silent.
pub fn wants_long(window: &Window, previous: &[Finding]) -> bool {
    let flaps = |finding: &Finding| {
        finding.rule == flapping::RULE.name
            && finding.state != State::Closed
            && finding.host == window.host
    };
    has_booted(window) || previous.iter().any(flaps)
}

/// Whether the host's newest sample says that it runs for less than a day.
fn has_booted(window: &Window) -> bool {
    let uptime = window.find(LONG_METRIC, &[]);
    let newest = uptime.and_then(|series| series.values.last());
    newest.is_some_and(|seconds| *seconds < DAY_MS as f64 / 1000.0)
}

/// The boots of a host, ascending, as far as its samples reach. The boot before which nobody knew
/// the host is its beginning and not among them.
pub(super) fn boots(case: &Case<'_>, uptime: &Series) -> Vec<Boot> {
    let known_since_ms = case.input.first_seen_ms + case.input.skew_ms();
    // A boot that samples could have been seen after has been seen before, unless they begin here.
    let reach_ms = match has_booted(&case.input.window) {
        true => LONG_MS,
        false => WINDOW_MS,
    };
    let unseen_since_ms = known_since_ms.max(case.now_ms - reach_ms);
    let mut boots = Vec::new();
    // The newest boot so far, and the uptime before. A boot is later than all others: two machines
    // that take turns do not boot each time. And the uptime falls: a clock that is set is no boot.
    let mut before: Option<(i64, f64)> = None;
    for (time_ms, seconds) in uptime.points().take_while(|(t, _)| *t <= case.now_ms) {
        let at_ms = began_ms(time_ms, seconds);
        let (newest_ms, has_fallen) = match before {
            Some((newest_ms, earlier)) => (newest_ms, seconds < earlier),
            None => (unseen_since_ms, true),
        };
        if has_fallen && at_ms > newest_ms + MARGIN_MS {
            boots.push(Boot {
                at_ms,
                seen_ms: time_ms,
            });
        }
        let newest_ms = before.map_or(at_ms, |(newest_ms, _)| newest_ms.max(at_ms));
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
