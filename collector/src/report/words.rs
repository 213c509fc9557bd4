//! What the report needs beyond [`crate::words`]: times in UTC, counts, values by their unit.

pub use crate::words::{bytes, bytes_per_second as rate, duration, number};

use super::document::Unit;
use crate::words;

/// From here on digits say nothing and would only break a page.
const ABSURD: f64 = 1e18;

/// "2026-11-21T19:33:25Z": RFC 3339 in UTC, whole seconds; the number itself when out of range.
pub fn time(at_ms: i64) -> String {
    match jiff::Timestamp::from_second(at_ms.div_euclid(1000)) {
        Ok(at) => at.to_string(),
        Err(_) => format!("{at_ms} ms"),
    }
}

/// "2026-11-21 19:33 UTC": the same for running text.
pub fn moment(at_ms: i64) -> String {
    strftime(at_ms, "%Y-%m-%d %H:%M UTC")
}

/// A time in a format of `jiff::fmt::strtime`, in UTC.
pub(crate) fn strftime(at_ms: i64, format: &str) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => at.strftime(format).to_string(),
        Err(_) => format!("{at_ms} ms"),
    }
}

/// "1,234,567".
pub fn count(value: u64) -> String {
    words::count(value as f64)
}

/// "1 host", "3 hosts".
pub fn counted(value: usize, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        count(value as u64),
        if value == 1 { one } else { many }
    )
}

/// "42 %"; "unknown" for what is no number.
pub fn percent(ratio: f64) -> String {
    sane(ratio).map_or("unknown".into(), words::percent)
}

/// A value of a chart or a tile.
pub fn value(value: f64, unit: Unit) -> String {
    let Some(value) = sane(value) else {
        return "unknown".into();
    };
    match unit {
        Unit::Ratio => words::percent(value),
        Unit::BytesPerSecond => rate(value),
        Unit::Number => number(value),
    }
}

/// A value of a finding's evidence, whose unit is a word.
pub fn measured(value: f64, unit: &str) -> String {
    let Some(value) = sane(value) else {
        return "unknown".into();
    };
    match unit {
        "ratio" => words::percent(value),
        "bytes" => bytes(value),
        "bytes_per_second" => rate(value),
        "seconds" => words::seconds(value),
        "per_second" => format!("{} a second", number(value)),
        "count" | "" => number(value),
        other => format!("{} {other}", number(value)),
    }
}

/// Whether a number can be shown at all.
pub(crate) fn sane(value: f64) -> Option<f64> {
    (value.is_finite() && value.abs() < ABSURD).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(time(1_795_289_605_000), "2026-11-21T19:33:25Z");
        assert_eq!(moment(1_795_289_605_000), "2026-11-21 19:33 UTC");
        assert_eq!(time(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn counts_are_grouped_in_thousands() {
        for (value, expected) in [(7, "7"), (1234, "1,234"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), expected);
        }
    }

    #[test]
    fn what_is_no_sane_number_is_unknown() {
        for wild in [f64::NAN, f64::INFINITY, -1e300] {
            assert_eq!(value(wild, Unit::Ratio), "unknown");
            assert_eq!(measured(wild, "bytes"), "unknown");
        }
        assert_eq!(measured(187_000.0, "seconds"), "2 d 3 h");
    }
}
