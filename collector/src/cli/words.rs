//! Numbers as people read them.

use crate::answer::HostState;
use crate::answer::range::rfc3339;
use crate::indicators::Verdict;
use crate::rules::{Finding, Severity, State};
use crate::words;

use super::table::{Cell, Tone};

/// A plain number, with as many digits as tell something.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        _ if !value.is_finite() => return value.to_string(),
        v if v >= 1000.0 => 1,
        v if v >= 1.0 => 3,
        v if v >= 0.001 || v == 0.0 => 5,
        _ => return small(value),
    };
    trimmed(&format!("{value:.digits$}"))
}

/// "3.643e-6".
fn small(value: f64) -> String {
    let text = format!("{value:.3e}");
    match text.split_once('e') {
        Some((digits, power)) => format!("{}e{power}", trimmed(digits)),
        None => text,
    }
}

fn trimmed(digits: &str) -> String {
    digits
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// An age or a length of time; below a second nobody cares.
pub(super) fn span(ms: i64) -> String {
    match ms {
        ..1_000 => "0 s".into(),
        ms => words::duration(ms),
    }
}

/// A value of a metric in its unit.
pub(super) fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => words::bytes(value),
        "bytes/s" => format!("{}/s", words::bytes(value)),
        "ratio" => words::percent(value),
        _ => number(value),
    }
}

/// A moment for programs: RFC 3339, or nothing.
pub(super) fn moment(ms: Option<i64>) -> serde_json::Value {
    ms.map(rfc3339).into()
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

/// An indicator's headline with the mark of its verdict: `!` watch, `!!` risk, so that it reads
/// without colour too.
pub(super) fn indicator(short: &str, verdict: Verdict) -> Cell {
    match verdict {
        Verdict::Ok => Cell::from(short),
        Verdict::Unknown => Cell::toned(short, Tone::Faint),
        Verdict::Watch => Cell::toned(format!("{short} !"), Tone::Watch),
        Verdict::Risk => Cell::toned(format!("{short} !!"), Tone::Bad),
    }
}

/// A verdict as one word.
pub(super) fn verdict(verdict: Verdict) -> Cell {
    match verdict {
        Verdict::Ok => Cell::toned("ok", Tone::Good),
        Verdict::Unknown => Cell::toned("unknown", Tone::Faint),
        Verdict::Watch => Cell::toned("watch !", Tone::Watch),
        Verdict::Risk => Cell::toned("risk !!", Tone::Bad),
    }
}

/// A finding's severity; one that is not open yet says so.
pub(super) fn severity(finding: &Finding) -> Cell {
    let word = finding.severity.name();
    match finding.state {
        State::Pending => Cell::toned(format!("({word})"), Tone::Faint),
        State::Open => Cell::toned(word, severity_tone(finding.severity)),
        State::Closed => Cell::toned(word, Tone::Faint),
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
    fn numbers_show_what_tells_something() {
        for (value, words) in [
            (0.0, "0"),
            (3.0, "3"),
            (0.25, "0.25"),
            (1.23456, "1.235"),
            (100.0, "100"),
            (-0.5, "-0.5"),
            (12345.678, "12345.7"),
            (0.00001, "1e-5"),
            (-0.000_003_642_766, "-3.643e-6"),
        ] {
            assert_eq!(number(value), words);
        }
    }
}
