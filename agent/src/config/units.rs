//! Durations, sizes and ratios as people write them.

use std::time::Duration;

/// `500ms`, `10s`, `5m`, `2h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a duration like \"10s\" (ms, s, m, h, d), got {text:?}");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let ms = number.parse::<u64>().map_err(|_| wrong())?;
    ms.checked_mul(unit_ms)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// `4096`, `64KiB`, `256MiB`, `2GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!("expected a size like \"256MiB\" (plain bytes, KiB, MiB, GiB, TiB), got {text:?}")
    };
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(wrong()),
    };
    let count = number.parse::<u64>().map_err(|_| wrong())?;
    count.checked_mul(1u64 << shift).ok_or_else(wrong)
}

/// `10%` or `0.1`.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let wrong = || format!("expected a share like \"10%\" or 0.1, got {text:?}");
    let value = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => text.trim().parse::<f64>(),
    };
    let value = value.map_err(|_| wrong())?;
    if (0.0..1.0).contains(&value) {
        Ok(value)
    } else {
        Err(wrong())
    }
}

/// `true` or `false`.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("expected true or false, got {text:?}"))
}

fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_as_people_write_them() {
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(duration(" 500 ms"), Ok(Duration::from_millis(500)));
        assert_eq!(bytes("256MiB"), Ok(256 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(ratio("10%"), Ok(0.1));
        assert_eq!(ratio("0.25"), Ok(0.25));
        assert_eq!(flag("true"), Ok(true));
    }

    #[test]
    fn what_has_no_clear_meaning_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 parsecs",
            "99999999999999999999s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "MiB", "1MB", "-4", "99999999999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for text in ["", "x", "100%", "1", "-0.1", "NaN"] {
            assert!(ratio(text).is_err(), "{text}");
        }
        assert!(flag("yes").is_err());
    }
}
