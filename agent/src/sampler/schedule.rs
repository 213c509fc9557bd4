//! When to sample: at multiples of the interval by the wall clock, however that clock behaves.
//!
//! The tick's time is the multiple itself, so that hosts line up and packed times cost nothing.
//! Ticks missed are those that should have had a time between two that were taken; where the clock
//! was set between them, the monotonic one counts: a wall clock set an hour ahead misses none.
//! Set back by less than [`WAIT_MAX_MS`] it is waited for, because a time is never given twice;
//! set back further, sampling goes on at the new time, and the collector keeps what it had first.

use crate::source::Source;

/// A wall clock set back by more than this is believed instead of waited for. Less than the 90 s
/// after which a silent host counts as down.
pub(super) const WAIT_MAX_MS: i64 = 60_000;
/// Waking this much before the tick is on time: the kernel's timers round.
const EARLY_NS: i64 = 500_000;
const MS: i64 = 1_000_000;

/// Both clocks at one moment, in nanoseconds: the wall clock since the Unix epoch, the monotonic
/// one since any moment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) wall_ns: i64,
    pub(super) mono_ns: i64,
}

impl Now {
    /// The host's clocks; no system call where the vDSO answers.
    pub(super) fn read(source: &Source, start: std::time::Instant) -> Now {
        Now {
            wall_ns: source.wall_ns(),
            mono_ns: start.elapsed().as_nanos() as i64,
        }
    }
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing for so many nanoseconds, at most one interval.
    Sleep(u64),
    /// Sample.
    Tick(Tick),
}

/// A moment to sample.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// Its time, milliseconds since the Unix epoch, a multiple of the interval.
    pub(super) time_ms: i64,
    /// How many ticks before it were slept through.
    pub(super) missed: u64,
    /// By how much the wall clock was set since the last tick, if it was; positive is ahead.
    pub(super) jump_ms: Option<i64>,
}

/// The rhythm of one sampler.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    interval_ms: i64,
    due_ms: i64,
    last: Option<Now>,
}

impl Schedule {
    /// The first tick is the next multiple of the interval.
    pub(super) fn new(interval_ms: i64, now: Now) -> Schedule {
        let interval_ms = interval_ms.max(1);
        let wall_ms = now.wall_ns.div_euclid(MS);
        Schedule {
            interval_ms,
            due_ms: align_up(wall_ms, interval_ms),
            last: None,
        }
    }

    /// What to do at this moment.
    pub(super) fn turn(&mut self, now: Now) -> Turn {
        let interval_ns = self.interval_ms * MS;
        let ahead_ns = self.due_ms.saturating_mul(MS).saturating_sub(now.wall_ns);
        if ahead_ns > EARLY_NS {
            if ahead_ns > interval_ns.saturating_add(WAIT_MAX_MS * MS) {
                self.due_ms = align_up(now.wall_ns.div_euclid(MS), self.interval_ms);
                return self.turn(now);
            }
            return Turn::Sleep(ahead_ns.min(interval_ns) as u64);
        }
        let wall_ms = now.wall_ns.saturating_add(EARLY_NS).div_euclid(MS);
        let time_ms = align_down(wall_ms, self.interval_ms);
        let (mut missed, mut jump_ms) = (0, None);
        if let Some(last) = self.last {
            let mono_ns = now.mono_ns - last.mono_ns;
            let jump_ns = now
                .wall_ns
                .saturating_sub(last.wall_ns)
                .saturating_sub(mono_ns);
            // Less than this is the clock being disciplined, or a suspended virtual machine's lag.
            let threshold_ns = interval_ns.max(2_000 * MS);
            jump_ms = (jump_ns.saturating_abs() > threshold_ns).then_some(jump_ns / MS);
            missed = match jump_ms {
                None => (time_ms.saturating_sub(self.due_ms) / self.interval_ms) as u64,
                Some(_) => (mono_ns + interval_ns / 2).div_euclid(interval_ns).max(1) as u64 - 1,
            };
        }
        self.last = Some(now);
        self.due_ms = time_ms.saturating_add(self.interval_ms);
        Turn::Tick(Tick {
            time_ms,
            missed,
            jump_ms,
        })
    }

    /// How long until the next tick is due, in nanoseconds.
    pub(super) fn ahead_ns(&self, now: Now) -> u64 {
        let ahead_ns = self.due_ms.saturating_mul(MS).saturating_sub(now.wall_ns);
        ahead_ns.clamp(0, self.interval_ms * MS) as u64
    }
}

fn align_down(ms: i64, interval_ms: i64) -> i64 {
    ms - ms.rem_euclid(interval_ms)
}

fn align_up(ms: i64, interval_ms: i64) -> i64 {
    align_down(ms.saturating_add(interval_ms - 1), interval_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const START_MS: i64 = 1_760_000_000_000;

    fn at(wall_ms: i64, mono_ms: i64) -> Now {
        Now {
            wall_ns: wall_ms * MS,
            mono_ns: mono_ms * MS,
        }
    }

    /// Runs a script of (wall, monotonic) steps of 100 ms with jumps; the ticks it gives.
    fn run(interval_ms: i64, for_ms: i64, jumps: &[(i64, i64)]) -> Vec<Tick> {
        let mut offset = 0;
        let mut schedule = Schedule::new(interval_ms, at(START_MS, 0));
        let mut ticks = Vec::new();
        for mono in (0..for_ms).step_by(100) {
            offset += jumps
                .iter()
                .filter(|(t, _)| *t == mono)
                .map(|(_, j)| j)
                .sum::<i64>();
            if let Turn::Tick(tick) = schedule.turn(at(START_MS + mono + offset, mono)) {
                ticks.push(tick);
            }
        }
        ticks
    }

    #[test]
    fn ticks_are_multiples_of_the_interval() {
        let ticks = run(10_000, 60_000, &[]);
        assert_eq!(ticks.len(), 6);
        assert!(
            ticks
                .iter()
                .all(|t| t.time_ms % 10_000 == 0 && t.missed == 0)
        );
        let mut schedule = Schedule::new(1000, at(START_MS + 1, 0));
        assert_eq!(
            schedule.turn(at(START_MS + 1, 0)),
            Turn::Sleep(999 * MS as u64)
        );
        let early = Now {
            wall_ns: (START_MS + 1000) * MS - 400_000,
            mono_ns: 999 * MS,
        };
        let Turn::Tick(tick) = schedule.turn(early) else {
            panic!("a timer that rounds down is on time");
        };
        assert_eq!(tick.time_ms, START_MS + 1000);
        assert!(
            matches!(schedule.turn(at(START_MS + 1000, 1000)), Turn::Sleep(_)),
            "once"
        );
    }

    #[test]
    fn a_clock_set_an_hour_ahead_gives_one_tick_and_goes_on_there() {
        let ticks = run(1000, 10_000, &[(5_000, HOUR_MS)]);
        assert_eq!(ticks.len(), 10);
        assert_eq!(
            ticks.iter().map(|t| t.missed).sum::<u64>(),
            0,
            "none was missed"
        );
        assert_eq!(ticks[5].jump_ms, Some(HOUR_MS));
        assert_eq!(ticks[5].time_ms, START_MS + 5_000 + HOUR_MS);
        assert!(ticks[6..].iter().all(|t| t.jump_ms.is_none()));
    }

    #[test]
    fn a_clock_set_an_hour_back_goes_on_at_the_new_time() {
        let ticks = run(1000, 10_000, &[(5_000, -HOUR_MS)]);
        assert_eq!(ticks.len(), 10);
        assert_eq!(ticks[5].jump_ms, Some(-HOUR_MS));
        assert_eq!(ticks[5].time_ms, START_MS + 5_000 - HOUR_MS);
    }

    #[test]
    fn a_clock_set_back_a_little_is_waited_for() {
        let ticks = run(1000, 30_000, &[(5_000, -7_000)]);
        let times: Vec<i64> = ticks.iter().map(|t| t.time_ms).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "no time twice: {times:?}");
        let waited = ticks.iter().find(|t| t.jump_ms.is_some()).unwrap();
        assert_eq!((waited.jump_ms, waited.missed), (Some(-7_000), 7));
    }

    #[test]
    fn a_sampler_held_up_counts_what_it_missed() {
        let mut schedule = Schedule::new(1000, at(START_MS, 0));
        schedule.turn(at(START_MS, 0));
        let Turn::Tick(late) = schedule.turn(at(START_MS + 5_300, 5_300)) else {
            panic!("a late tick is a tick");
        };
        assert_eq!(
            (late.time_ms, late.missed, late.jump_ms),
            (START_MS + 5_000, 4, None)
        );
        let Turn::Tick(later) = schedule.turn(at(START_MS + 6_800, 6_800)) else {
            panic!("a late tick is a tick");
        };
        assert_eq!(
            (later.time_ms, later.missed),
            (START_MS + 6_000, 0),
            "nearly a whole interval late, and still the very next"
        );
    }

    proptest! {
        #[test]
        fn any_clock_gives_at_most_one_tick_an_interval_and_two_a_jump(
            jumps in proptest::collection::vec((0i64..600, -2 * HOUR_MS..2 * HOUR_MS), 0..5),
            interval_ms in prop_oneof![Just(1000i64), Just(10_000), 1000i64..30_000],
        ) {
            let jumps: Vec<(i64, i64)> = jumps.iter().map(|(t, j)| (t * 100, *j)).collect();
            let ticks = run(interval_ms, 60_000, &jumps);
            // Between jumps: one at once, because the time it was due at has passed, one at the
            // next multiple, which may be near, and one each interval from there.
            let most = 60_000 / interval_ms + 2 * (jumps.len() as i64 + 1);
            prop_assert!(ticks.len() as i64 <= most, "{} ticks", ticks.len());
            prop_assert!(ticks.iter().all(|t| t.time_ms % interval_ms == 0));
        }

        #[test]
        fn no_clock_makes_it_panic_or_sleep_long(
            clocks in proptest::collection::vec((any::<i64>(), 0..i64::MAX / 4), 1..20),
        ) {
            let first = Now { wall_ns: clocks[0].0, mono_ns: 0 };
            let mut schedule = Schedule::new(1000, first);
            let mut mono_ns = 0i64;
            for (wall_ns, step) in clocks {
                mono_ns = mono_ns.saturating_add(step);
                if let Turn::Sleep(ns) = schedule.turn(Now { wall_ns, mono_ns }) {
                    prop_assert!(ns <= 1_000_000_000);
                }
            }
        }
    }
}
