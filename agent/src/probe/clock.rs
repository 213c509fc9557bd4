//! `adjtimex`: whether the clock follows a reference, and how well.

use hostwell_proto::metric::Metric;

use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::{ClockState, Source};

/// The clock is not synchronised.
const TIME_ERROR: i64 = 5;
/// The offset is in nanoseconds, else in microseconds.
const STA_NANO: i64 = 0x2000;
const MICROSECONDS: f64 = 1e6;
const NANOSECONDS: f64 = 1e9;
/// Units of the frequency correction: 2^-16 parts per million.
const FREQUENCY_UNITS: f64 = 65_536.0 * 1e6;

fn figures(clock: &ClockState) -> [(Metric, f64); 9] {
    let offset_units = match clock.status & STA_NANO {
        0 => MICROSECONDS,
        _ => NANOSECONDS,
    };
    let synced = f64::from(u8::from(clock.state != TIME_ERROR));
    [
        (Metric::TimexSync, synced),
        (Metric::TimexOffset, clock.offset as f64 / offset_units),
        (Metric::TimexMaxError, clock.maxerror as f64 / MICROSECONDS),
        (
            Metric::TimexEstimatedError,
            clock.esterror as f64 / MICROSECONDS,
        ),
        (
            Metric::TimexFrequency,
            1.0 + clock.frequency as f64 / FREQUENCY_UNITS,
        ),
        (Metric::TimexLoopTimeConstant, clock.constant as f64),
        (Metric::TimexTick, clock.tick as f64 / MICROSECONDS),
        (Metric::TimexStatus, clock.status as f64),
        (Metric::TimexTai, clock.tai as f64),
    ]
}

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Clock;

impl Probe for Clock {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let clock = source
            .adjtimex()
            .map_err(|e| ProbeError::io("adjtimex", e))?;
        for (metric, value) in figures(&clock) {
            out.add(metric, &[], value);
        }
        out.add(Metric::Time, &[], source.now_ms() as f64 / 1000.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(clock: &ClockState, metric: Metric) -> f64 {
        let found = figures(clock).into_iter().find(|(m, _)| *m == metric);
        found.unwrap().1
    }

    #[test]
    fn the_offset_is_in_the_unit_that_the_status_names() {
        let micro = ClockState {
            offset: -1500,
            ..ClockState::default()
        };
        let nano = ClockState {
            status: STA_NANO,
            ..micro
        };
        assert_eq!(value(&micro, Metric::TimexOffset), -0.0015);
        assert_eq!(value(&nano, Metric::TimexOffset), -0.000_001_5);
    }

    #[test]
    fn a_clock_in_error_is_not_in_sync() {
        for (state, sync) in [(0, 1.0), (4, 1.0), (TIME_ERROR, 0.0)] {
            let clock = ClockState {
                state,
                ..ClockState::default()
            };
            assert_eq!(value(&clock, Metric::TimexSync), sync);
        }
    }

    proptest! {
        #[test]
        fn every_figure_is_finite(offset: i64, frequency: i64, maxerror: i64, status: i64) {
            let clock = ClockState { offset, frequency, maxerror, status, ..ClockState::default() };
            prop_assert!(figures(&clock).iter().all(|(_, v)| v.is_finite()));
        }
    }
}
