//! Numbers as people read them: the same everywhere, no locale, no clock.

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A moment as programs read it: RFC 3339 in UTC, with milliseconds where there are any.
pub fn rfc3339(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(t) => t.to_string(),
        Err(_) => ms.to_string(),
    }
}

/// "3 d 4 h", "12 min", "40 s": the two largest units that say something.
pub fn duration(span_ms: i64) -> String {
    let span_ms = span_ms.max(0);
    let units = [
        (DAY_MS, "d"),
        (HOUR_MS, "h"),
        (MINUTE_MS, "min"),
        (SECOND_MS, "s"),
    ];
    let Some(first) = units.iter().position(|(unit_ms, _)| span_ms >= *unit_ms) else {
        return format!("{span_ms} ms");
    };
    let (unit_ms, unit) = units[first];
    let mut text = format!("{} {unit}", span_ms / unit_ms);
    if let Some((next_ms, next)) = units.get(first + 1) {
        let rest = span_ms % unit_ms / next_ms;
        if rest > 0 {
            text.push_str(&format!(" {rest} {next}"));
        }
    }
    text
}

/// "42 %", "3.5 %", "0.04 %": as many decimals as say something; 100 only when it is.
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    let text = match value.abs() {
        v if (99.0..100.0).contains(&v) => trimmed((value * 100.0).floor() / 100.0, 2),
        v if !(0.005..10.0).contains(&v) => trimmed(value, 0),
        v if v >= 1.0 => trimmed(value, 1),
        _ => trimmed(value, 2),
    };
    format!("{text} %")
}

/// "42 %", "5.5 %", "0 %": how much of something is used or waited for. Two digits are all that
/// such a number is worth; 100 only when it is.
pub fn share(ratio: f64) -> String {
    let value = ratio * 100.0;
    let text = match value.abs() {
        v if (99.0..100.0).contains(&v) => trimmed(value.trunc(), 0),
        v if v >= 9.95 => trimmed(value, 0),
        _ => trimmed(value, 1),
    };
    format!("{text} %")
}

/// "13.6 GiB": binary units, for memory and disks.
pub fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// "13.6 of 23.5 GiB": a part of a whole, the unit once where both share it.
pub fn bytes_of(part: f64, whole: f64) -> String {
    let (part, whole) = (bytes(part), bytes(whole));
    match (part.rsplit_once(' '), whole.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {whole}"),
        _ => format!("{part} of {whole}"),
    }
}

/// "1.4 MB/s": decimal units, for the network.
pub fn bytes_per_second(value: f64) -> String {
    scaled(value, 1000.0, &["B/s", "kB/s", "MB/s", "GB/s", "TB/s"])
}

/// "1 Gbit/s": the speed of a line, given in bytes a second, as it is sold.
pub fn bits_per_second(bytes_per_second: f64) -> String {
    let units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
    scaled(bytes_per_second * 8.0, 1000.0, &units)
}

/// "1.25", "3": up to two decimals.
pub fn number(value: f64) -> String {
    trimmed(value, 2)
}

/// "1,234,567": a whole number of things.
pub fn count(value: f64) -> String {
    let digits = trimmed(value, 0);
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        let is_digit = |c: &char| c.is_ascii_digit();
        if at > 0
            && (digits.len() - at).is_multiple_of(3)
            && digits.chars().nth(at - 1).as_ref().is_some_and(is_digit)
        {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1.2 ms", "3.5 s", "2 min 5 s": a short time given in seconds.
pub fn seconds(value: f64) -> String {
    match value.abs() {
        v if v < 0.001 => format!("{} µs", trimmed(value * 1e6, 0)),
        v if v < 1.0 => format!("{} ms", trimmed(value * 1e3, 1)),
        v if v < 60.0 => format!("{} s", trimmed(value, 1)),
        _ => duration((value.abs() * 1e3) as i64),
    }
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut scaled = value;
    let mut unit = 0;
    // 1023.6 would print as "1024": step up before the rounding shows.
    while scaled.abs() >= base - 0.5 && unit + 1 < units.len() {
        scaled /= base;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && scaled.abs() < 99.95);
    format!("{} {}", trimmed(scaled, decimals), units[unit])
}

fn trimmed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "unknown".into();
    }
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    match text {
        "-0" => "0".into(),
        text => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        const GIB: f64 = (1u64 << 30) as f64;
        let cases = [
            (duration(0), "0 ms"),
            (duration(40_000), "40 s"),
            (duration(750_000), "12 min 30 s"),
            (duration(3 * DAY_MS + 4 * HOUR_MS + 5), "3 d 4 h"),
            (duration(3 * DAY_MS + 4 * MINUTE_MS), "3 d"),
            (percent(0.42), "42 %"),
            (percent(0.0351), "3.5 %"),
            (percent(0.0004), "0.04 %"),
            (percent(0.0), "0 %"),
            (percent(0.99996), "99.99 %"),
            (percent(1.0), "100 %"),
            (percent(f64::NAN), "unknown %"),
            (share(0.9996), "99 %"),
            (share(0.4249), "42 %"),
            (share(0.0549), "5.5 %"),
            (share(0.0996), "10 %"),
            (share(0.0004), "0 %"),
            (bytes(13.6 * GIB), "13.6 GiB"),
            (bytes(1023.8), "1 KiB"),
            (bytes_of(13.6 * GIB, 23.5 * GIB), "13.6 of 23.5 GiB"),
            (bytes_of(0.5 * GIB, 23.5 * GIB), "512 MiB of 23.5 GiB"),
            (bytes_per_second(1_440_000.0), "1.4 MB/s"),
            (bits_per_second(1.25e8), "1 Gbit/s"),
            (number(1.999), "2"),
            (number(-0.001), "0"),
            (count(1_234_567.0), "1,234,567"),
            (count(-123.0), "-123"),
            (count(999.0), "999"),
            (seconds(0.0000301), "30 µs"),
            (seconds(0.0512), "51.2 ms"),
            (seconds(125.0), "2 min 5 s"),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }
}
