//! Stretches of time as people say them: "24h", "2026-11-21T08:00Z", "2026-Q4", "last-week".
//!
//! They stay unresolved until the question is answered, because "24h ago" means something else for
//! a file at rest than for a running collector. Everything is UTC: a report made in two places
//! covers the same hours.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::words;
pub use crate::words::rfc3339;

/// A moment, said relatively or absolutely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// So many milliseconds before the moment the question is answered for.
    AgoMs(i64),
    /// Milliseconds since the Unix epoch.
    AtMs(i64),
}

/// A stretch of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// From one moment to another.
    Between {
        /// Its start.
        from: Moment,
        /// Its end.
        to: Moment,
    },
    /// A quarter of a year.
    Quarter {
        /// Such as 2026.
        year: i16,
        /// 1 to 4.
        quarter: i8,
    },
    /// A month of a year.
    Month {
        /// Such as 2026.
        year: i16,
        /// 1 to 12.
        month: i8,
    },
    /// A year.
    Year {
        /// Such as 2026.
        year: i16,
    },
    /// The whole week (Monday to Sunday) before the current one.
    LastWeek,
    /// The whole month before the current one.
    LastMonth,
    /// The whole quarter before the current one.
    LastQuarter,
}

/// Ten years: longer stretches are a slip of the hand.
const DURATION_MS_MAX: i64 = 3_660 * 86_400_000;

impl Range {
    /// The last so many milliseconds.
    pub fn last_ms(duration_ms: i64) -> Range {
        Range::Between {
            from: Moment::AgoMs(duration_ms),
            to: Moment::AgoMs(0),
        }
    }

    /// What it is called: "last 7 d", "2026-Q4", "last week".
    pub fn name(&self) -> String {
        match self {
            Range::Between {
                from: Moment::AgoMs(ago_ms),
                to: Moment::AgoMs(0),
            } => format!("last {}", words::duration(*ago_ms)),
            Range::Between { .. } => "as asked".into(),
            Range::Quarter { year, quarter } => format!("{year}-Q{quarter}"),
            Range::Month { year, month } => format!("{year}-{month:02}"),
            Range::Year { year } => year.to_string(),
            Range::LastWeek => "last week".into(),
            Range::LastMonth => "last month".into(),
            Range::LastQuarter => "last quarter".into(),
        }
    }

    /// First and last moment in milliseconds since the Unix epoch, ending no later than `now_ms`
    /// when it is a period of the calendar that is still running.
    ///
    /// # Errors
    /// When it ends before it begins, or the calendar has no such period.
    pub fn resolve(&self, now_ms: i64) -> Result<(i64, i64), String> {
        let moment = |m: Moment| match m {
            Moment::AgoMs(ago) => now_ms.saturating_sub(ago),
            Moment::AtMs(at) => at,
        };
        let (from, to) = match self {
            Range::Between { from, to } => (moment(*from), moment(*to)),
            calendar => {
                let (from, end) = calendar
                    .days(now_ms)
                    .ok_or_else(|| format!("the calendar has no {calendar:?}"))?;
                if from > now_ms {
                    return Err(format!(
                        "that period begins at {}, which is still to come",
                        format_ms(from)
                    ));
                }
                (from, (end - 1).min(now_ms))
            }
        };
        if from > to {
            return Err(format!(
                "the range ends ({}) before it begins ({})",
                format_ms(to),
                format_ms(from)
            ));
        }
        Ok((from, to))
    }

    /// Start of the first and end of the last day of a calendar period.
    fn days(&self, now_ms: i64) -> Option<(i64, i64)> {
        let today = Timestamp::from_millisecond(now_ms)
            .ok()?
            .to_zoned(TimeZone::UTC)
            .date();
        let (first, length): (Date, Span) = match self {
            Range::Between { .. } => return None,
            Range::Quarter { year, quarter } => (
                Date::new(*year, quarter.checked_mul(3)?.checked_sub(2)?, 1).ok()?,
                3.months(),
            ),
            Range::Month { year, month } => (Date::new(*year, *month, 1).ok()?, 1.months()),
            Range::Year { year } => (Date::new(*year, 1, 1).ok()?, 1.years()),
            Range::LastWeek => {
                let into = i64::from(today.weekday().to_monday_zero_offset());
                (today.checked_sub((into + 7).days()).ok()?, 7.days())
            }
            Range::LastMonth => (
                today.first_of_month().checked_sub(1.months()).ok()?,
                1.months(),
            ),
            Range::LastQuarter => {
                let begun = Date::new(today.year(), (today.month() - 1) / 3 * 3 + 1, 1).ok()?;
                (begun.checked_sub(3.months()).ok()?, 3.months())
            }
        };
        let ms = |date: Date| {
            Some(
                date.to_zoned(TimeZone::UTC)
                    .ok()?
                    .timestamp()
                    .as_millisecond(),
            )
        };
        Some((ms(first)?, ms(first.checked_add(length).ok()?)?))
    }
}

/// Reads a duration such as "90s", "24h", "1h30m", "7d", "2w", "500ms"; milliseconds.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no duration; write 90s, 15m, 24h, 7d, 2w or 1h30m");
    let mut rest = text.trim();
    let mut total: i64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let after = &rest[digits..];
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let unit_ms = match &after[..letters] {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return Err(wrong()),
        };
        total = number
            .checked_mul(unit_ms)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= DURATION_MS_MAX)
            .ok_or_else(|| format!("{text:?} is more than ten years"))?;
        rest = &after[letters..];
    }
    Ok(total)
}

/// Reads a moment: "now", a duration ("6h" = six hours ago), RFC 3339, or a date or date and time
/// without an offset, which is UTC.
///
/// # Errors
/// Says what a moment looks like.
pub fn parse_moment(text: &str) -> Result<Moment, String> {
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(Moment::AgoMs(0));
    }
    let relative = trimmed.strip_prefix("now-").unwrap_or(trimmed);
    if let Ok(ago) = parse_duration_ms(relative) {
        return Ok(Moment::AgoMs(ago));
    }
    let civil = |dt: DateTime| {
        dt.to_zoned(TimeZone::UTC)
            .ok()
            .map(|z| z.timestamp().as_millisecond())
    };
    trimmed
        .parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_millisecond)
        .or_else(|| trimmed.parse::<DateTime>().ok().and_then(civil))
        .map(Moment::AtMs)
        .ok_or_else(|| {
            format!(
                "{text:?} is no time; write 2026-11-21T08:00:00Z, 2026-11-21, 6h (six hours ago) \
                 or now"
            )
        })
}

/// Reads a period: "2026-Q4", "2026-11", "2026", "last-week", "last-month", "last-quarter", or a
/// duration up to now ("7d").
///
/// # Errors
/// Says what a period looks like.
pub fn parse_period(text: &str) -> Result<Range, String> {
    let wrong = || {
        format!(
            "{text:?} is no period; write 7d, last-week, last-month, last-quarter, 2026-Q4, \
             2026-11 or 2026"
        )
    };
    match text.trim() {
        "last-week" => return Ok(Range::LastWeek),
        "last-month" => return Ok(Range::LastMonth),
        "last-quarter" => return Ok(Range::LastQuarter),
        _ => {}
    }
    if let Ok(ms) = parse_duration_ms(text) {
        return Ok(Range::last_ms(ms));
    }
    let (year, part) = match text.trim().split_once('-') {
        Some((year, part)) => (year, Some(part)),
        None => (text.trim(), None),
    };
    if year.len() != 4 {
        return Err(wrong());
    }
    let year: i16 = year.parse().map_err(|_| wrong())?;
    let Some(part) = part else {
        return Ok(Range::Year { year });
    };
    match part.strip_prefix(['Q', 'q']) {
        Some(quarter) => match quarter.parse() {
            Ok(quarter @ 1..=4) => Ok(Range::Quarter { year, quarter }),
            _ => Err(wrong()),
        },
        None => match part.parse() {
            Ok(month @ 1..=12) if part.len() == 2 => Ok(Range::Month { year, month }),
            _ => Err(wrong()),
        },
    }
}

/// A moment as people read it, UTC, to the second: "2026-11-21 08:00:00Z".
pub fn format_ms(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(t) => t.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-21T20:00:00Z, a Saturday.
    const NOW_MS: i64 = 1_795_291_200_000;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("90s", 90_000),
            ("15m", 900_000),
            ("24h", 86_400_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("2w", 1_209_600_000),
            ("500ms", 500),
            (" 1d12h ", 129_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for wrong in [
            "",
            "24",
            "h",
            "1.5h",
            "-1h",
            "1y",
            "1h 30m",
            "11000d",
            "99999999999999999w",
        ] {
            assert!(parse_duration_ms(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn moments_are_relative_or_rfc_3339_and_utc_without_an_offset() {
        for (text, moment) in [
            ("now", Moment::AgoMs(0)),
            ("6h", Moment::AgoMs(21_600_000)),
            ("now-6h", Moment::AgoMs(21_600_000)),
            ("2026-11-21T20:00:00Z", Moment::AtMs(NOW_MS)),
            ("2026-11-21T21:00:00+01:00", Moment::AtMs(NOW_MS)),
            ("2026-11-21T20:00", Moment::AtMs(NOW_MS)),
            ("2026-11-21 20:00:00", Moment::AtMs(NOW_MS)),
            ("2026-11-21", Moment::AtMs(NOW_MS - 20 * 3_600_000)),
        ] {
            assert_eq!(parse_moment(text), Ok(moment), "{text}");
        }
        for wrong in ["", "yesterday", "2026-13-01", "21.11.2026", "20:00"] {
            assert!(parse_moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn periods_cover_whole_weeks_months_and_quarters_and_end_now_while_they_run() {
        for (text, from, to) in [
            ("7d", "2026-11-14 20:00:00Z", "2026-11-21 20:00:00Z"),
            ("last-week", "2026-11-09 00:00:00Z", "2026-11-15 23:59:59Z"),
            ("last-month", "2026-10-01 00:00:00Z", "2026-10-31 23:59:59Z"),
            (
                "last-quarter",
                "2026-07-01 00:00:00Z",
                "2026-09-30 23:59:59Z",
            ),
            ("2026-Q4", "2026-10-01 00:00:00Z", "2026-11-21 20:00:00Z"),
            ("2026-q1", "2026-01-01 00:00:00Z", "2026-03-31 23:59:59Z"),
            ("2024-02", "2024-02-01 00:00:00Z", "2024-02-29 23:59:59Z"),
            ("2025", "2025-01-01 00:00:00Z", "2025-12-31 23:59:59Z"),
        ] {
            let (a, b) = parse_period(text).unwrap().resolve(NOW_MS).unwrap();
            assert_eq!(
                (format_ms(a), format_ms(b)),
                (from.into(), to.into()),
                "{text}"
            );
        }
        for wrong in ["", "2026-Q5", "2026-0", "2026-13", "26-01", "next-week"] {
            assert!(parse_period(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_that_makes_no_sense_says_why() {
        let reversed = Range::Between {
            from: Moment::AgoMs(0),
            to: Moment::AgoMs(1_000),
        };
        assert_eq!(
            reversed.resolve(NOW_MS).unwrap_err(),
            "the range ends (2026-11-21 19:59:59Z) before it begins (2026-11-21 20:00:00Z)"
        );
        let to_come = parse_period("2027-Q1").unwrap();
        assert!(
            to_come
                .resolve(NOW_MS)
                .unwrap_err()
                .contains("still to come")
        );
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_readers_of_time(text in ".{0,24}") {
            let _ = parse_duration_ms(&text);
            let _ = parse_moment(&text).map(|m| Range::Between { from: m, to: m }.resolve(NOW_MS));
            let _ = parse_period(&text).map(|p| p.resolve(NOW_MS));
        }

        #[test]
        fn a_printed_moment_reads_back(ms in 0i64..4_102_444_800_000) {
            prop_assert_eq!(parse_moment(&rfc3339(ms)), Ok(Moment::AtMs(ms)));
        }
    }
}
