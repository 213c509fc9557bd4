//! Numbers and times as people read them. Deterministic: no locale, no time zone but UTC.

use super::document::Unit;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// From here on digits say nothing and would break a page: written with an exponent.
const ABSURD: f64 = 1e9;

/// "2026-11-21T19:33:25Z": RFC 3339 in UTC, whole seconds; the number itself when out of range.
pub fn time(at_ms: i64) -> String {
    match jiff::Timestamp::from_second(at_ms.div_euclid(SECOND_MS)) {
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

/// "3 d 4 h", "12 min", "40 s": the two largest units that say something.
pub fn duration(span_ms: i64) -> String {
    let span_ms = span_ms.max(0);
    if span_ms < SECOND_MS {
        return format!("{span_ms} ms");
    }
    let parts = [
        (span_ms / DAY_MS, "d"),
        (span_ms % DAY_MS / HOUR_MS, "h"),
        (span_ms % HOUR_MS / MINUTE_MS, "min"),
        (span_ms % MINUTE_MS / SECOND_MS, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let mut text = format!("{} {}", parts[first].0, parts[first].1);
    if let Some((count, unit)) = parts.get(first + 1).filter(|(count, _)| *count > 0) {
        text.push_str(&format!(" {count} {unit}"));
    }
    text
}

/// "42 %", "3.5 %", "0.04 %": as many decimals as say something, never a false 0 or 100.
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    if !value.is_finite() {
        return "unknown".into();
    }
    let text = match value.abs() {
        v if v >= ABSURD => format!("{value:.1e}"),
        v if !(0.005..99.995).contains(&v) => format!("{value:.0}"),
        v if v > 99.0 && v < 100.0 => trim(format!("{:.2}", (value * 100.0).floor() / 100.0)),
        v if v >= 10.0 => format!("{value:.0}"),
        v if v >= 1.0 => trim(format!("{value:.1}")),
        _ => trim(format!("{value:.2}")),
    };
    format!("{text} %")
}

/// "12.3 GiB": binary units, for memory and disks.
pub fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// "1.4 MB/s": decimal units, for the network.
pub fn rate(value: f64) -> String {
    scaled(value, 1000.0, &["B/s", "kB/s", "MB/s", "GB/s", "TB/s"])
}

/// "1.25", "3": up to two decimals.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".into();
    }
    match value.abs() {
        v if v >= ABSURD => format!("{value:.1e}"),
        _ => trim(format!("{value:.2}")),
    }
}

/// "1,234,567".
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 host", "3 hosts".
pub fn counted(value: usize, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        count(value as u64),
        if value == 1 { one } else { many }
    )
}

/// A value of a chart.
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio => percent(value),
        Unit::BytesPerSecond => rate(value),
        Unit::Number => number(value),
    }
}

/// A value of a finding's evidence, whose unit is a word.
pub fn measured(value: f64, unit: &str) -> String {
    match unit {
        "ratio" => percent(value),
        "bytes" => bytes(value),
        "bytes_per_second" => rate(value),
        "seconds" if value.is_finite() && value.abs() >= 60.0 => duration((value * 1e3) as i64),
        "seconds" if value.abs() < 1.0 => format!("{} ms", number(value * 1e3)),
        "seconds" => format!("{} s", number(value)),
        "count" | "" => number(value),
        other => format!("{} {other}", number(value)),
    }
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    if !value.is_finite() {
        return "unknown".into();
    }
    let mut scaled = value;
    let mut unit = 0;
    // 999.6 would print as "1000": step up before the rounding shows.
    while scaled.abs() >= base - 0.5 && unit + 1 < units.len() {
        scaled /= base;
        unit += 1;
    }
    let text = match scaled.abs() {
        v if v >= ABSURD => format!("{scaled:.1e}"),
        _ if unit == 0 => format!("{scaled:.0}"),
        v if v >= 99.95 => format!("{scaled:.0}"),
        _ => trim(format!("{scaled:.1}")),
    };
    format!("{text} {}", units[unit])
}

fn trim(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    let trimmed = text.trim_end_matches('0').trim_end_matches('.');
    if trimmed == "-0" {
        "0".into()
    } else {
        trimmed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_name_their_two_largest_units() {
        for (span_ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (40_000, "40 s"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h"),
            (5 * HOUR_MS + 59_000, "5 h"),
            (76 * HOUR_MS, "3 d 4 h"),
            (-5, "0 ms"),
        ] {
            assert_eq!(duration(span_ms), expected, "{span_ms}");
        }
    }

    #[test]
    fn percentages_never_round_to_a_false_nothing_or_everything() {
        for (ratio, expected) in [
            (0.0, "0 %"),
            (0.0004, "0.04 %"),
            (0.0345, "3.5 %"),
            (0.42, "42 %"),
            (0.999_49, "99.94 %"),
            (0.999_9, "99.99 %"),
            (1.0, "100 %"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(percent(ratio), expected, "{ratio}");
        }
    }

    #[test]
    fn sizes_and_rates_carry_the_fitting_unit() {
        for (value, expected) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1023.7, "1 KiB"),
            (1.5e12, "1.4 TiB"),
        ] {
            assert_eq!(bytes(value), expected);
        }
        for (value, expected) in [
            (999.0, "999 B/s"),
            (999.7, "1 kB/s"),
            (1_440_000.0, "1.4 MB/s"),
            (123e6, "123 MB/s"),
        ] {
            assert_eq!(rate(value), expected);
        }
    }

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
}
