//! Two weeks of a host: what it would need.

use super::{Hour, Hourly, Past};
use crate::forecast::{DAY_MS, HOUR_MS};
use crate::series::quantile;

/// Busy CPU.
pub(super) const CPU: Hourly = Hourly {
    metric: "hostwell_cpu_busy_ratio",
    hour: Hour::Mean,
    settled: true,
};

/// Used memory.
pub(super) const MEMORY: Hourly = Hourly {
    metric: "hostwell_memory_used_ratio",
    hour: Hour::Mean,
    settled: false,
};

/// Received by an interface, bytes each second.
pub(super) const RECEIVED: Hourly = Hourly {
    metric: "hostwell_network_receive_bytes_per_second",
    hour: Hour::Mean,
    settled: true,
};

/// Sent by an interface, bytes each second.
pub(super) const SENT: Hourly = Hourly {
    metric: "hostwell_network_transmit_bytes_per_second",
    hour: Hour::Mean,
    settled: true,
};

/// Days that are looked at.
pub(super) const DAYS: i64 = 14;
/// Days of them whose hours must be known.
const DAYS_MIN: i64 = 12;

/// A level over two weeks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weeks {
    /// The busiest hour.
    pub(super) busiest: f64,
    /// What 995 hours of 1,000 stay below.
    pub(super) nearly_always: f64,
}

impl Weeks {
    /// Of a metric that a host has once; says why not where too little is known.
    pub(super) fn of(past: &Past, hourly: Hourly) -> Result<Weeks, String> {
        let series = past.all(hourly).first();
        let mut values = series.map_or(Vec::new(), |series| {
            let last_ms = series.times_ms.last().copied().unwrap_or_default();
            let from_ms = last_ms + HOUR_MS - DAYS * DAY_MS;
            let from = series.times_ms.partition_point(|t| *t < from_ms);
            series.values[from..].to_vec()
        });
        let known = values.len() as i64 * HOUR_MS / DAY_MS;
        if known < DAYS_MIN {
            return Err(format!(
                "{known} of the last {DAYS} days are known; {DAYS_MIN} are needed"
            ));
        }
        Ok(Weeks {
            busiest: values.iter().copied().fold(0.0, f64::max),
            nearly_always: quantile(&mut values, 0.995).unwrap_or(0.0),
        })
    }
}
