//! Numbers as people read them.

use crate::answer::HostState;
use crate::answer::range::rfc3339;
use crate::rules::{Finding, Severity, State};

use super::table::{Cell, Tone};

/// A length of time in its one or two largest units: "42 s", "3 min", "5 h 20 min", "12 d 4 h".
pub(super) fn duration(ms: i64) -> String {
    let s = ms.max(0) / 1_000;
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big} {unit}"),
        _ => format!("{big} {unit} {small} {small_unit}"),
    };
    match s {
        _ if ms < 1_000 => format!("{} ms", ms.max(0)),
        0..=119 => format!("{s} s"),
        120..=7_199 => format!("{} min", s / 60),
        7_200..=172_799 => two(s / 3_600, "h", s % 3_600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

/// Bytes in binary units with three significant digits: "512 B", "1.50 GiB".
pub(super) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match value.abs() {
        _ if unit == 0 => format!("{value:.0} B"),
        v if v < 10.0 => format!("{value:.2} {}", UNITS[unit]),
        v if v < 100.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A plain number, with as many digits as tell something.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => value.to_string(),
        _ if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value:.0}"),
        v if v >= 1000.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.3}"),
        v if v >= 0.001 => format!("{value:.5}"),
        _ => format!("{value:e}"),
    }
}

/// A value of a metric in its unit.
pub(super) fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => bytes(value),
        "bytes/s" => format!("{}/s", bytes(value)),
        _ => number(value),
    }
}

/// A moment for programs: RFC 3339, or nothing.
pub(super) fn moment(ms: Option<i64>) -> serde_json::Value {
    ms.map(rfc3339).into()
}

/// Where a finding stands, as one word.
pub(super) fn finding_state(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Open => "open",
        State::Closed => "closed",
    }
}

/// A host's state, in its tone.
pub(super) fn state(state: HostState) -> Cell {
    match state {
        HostState::Up => Cell::toned("up", Tone::Good),
        HostState::Down => Cell::toned("DOWN", Tone::Bad),
        HostState::Waiting => Cell::toned("waiting", Tone::Watch),
        HostState::Retired => Cell::toned("retired", Tone::Faint),
    }
}

/// A finding's severity; one that is not open yet says so.
pub(super) fn severity(finding: &Finding) -> Cell {
    let word = severity_word(finding.severity);
    match finding.state {
        State::Pending => Cell::toned(format!("({word})"), Tone::Faint),
        State::Open => Cell::toned(word, severity_tone(finding.severity)),
        State::Closed => Cell::toned(word, Tone::Faint),
    }
}

/// A severity as one word.
pub(super) fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// The tone of a severity.
pub(super) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Plain,
        Severity::Warning => Tone::Watch,
        Severity::Critical => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        for (ms, words) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (-5, "0 ms"),
            (42_000, "42 s"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (19_200_000, "5 h 20 min"),
            (1_051_200_000, "12 d 4 h"),
        ] {
            assert_eq!(duration(ms), words);
        }
    }

    #[test]
    fn bytes_show_three_digits_in_binary_units() {
        for (value, words) in [
            (0.0, "0 B"),
            (512.0, "512 B"),
            (1536.0, "1.50 KiB"),
            (53_687_091_200.0, "50.0 GiB"),
            (536_870_912_000.0, "500 GiB"),
        ] {
            assert_eq!(bytes(value), words);
        }
    }

    #[test]
    fn numbers_show_what_tells_something() {
        for (value, words) in [
            (0.0, "0"),
            (3.0, "3"),
            (0.25, "0.25000"),
            (1.23456, "1.235"),
            (12345.678, "12345.7"),
            (0.00001, "1e-5"),
        ] {
            assert_eq!(number(value), words);
        }
    }
}
