//! Wide tables: the first column is the time, each other column one series.
//!
//! A column's header is a name with labels, `node_disk_io_time_seconds_total{device=sda}`, and
//! may end in the unit the values are in where it is not the metric's own: ` [ms]`,
//! ` [ticks of 0.01 s]`, ` [KiB]`. A header that is no such name is kept as it is.

use std::borrow::Cow;

use super::gather::{Gatherer, TIME, Track, is_time};
use super::input::{Input, Wrong};
use super::{name, shape};

/// Times from this number on are milliseconds: as seconds it would be the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// How the first column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Seconds,
    Milliseconds,
    Text,
}

/// Reads the whole table.
pub(super) fn read(input: &mut Input, gatherer: &mut Gatherer) -> anyhow::Result<()> {
    if !input.advance()? {
        let wrong = Wrong::new(0, "a header: the time, then a column for each series", "");
        return Err(input.wrong(&wrong));
    }
    let separator = separator(input.text());
    let (mut columns, mut clock) =
        header(input.text(), separator, gatherer).map_err(|w| input.wrong(&w))?;
    while input.advance()? {
        let line = input.text();
        if line.is_empty() {
            continue;
        }
        row(line, separator, &mut clock, &mut columns, gatherer).map_err(|e| match e {
            Bad::Wrong(wrong) => input.wrong(&wrong),
            Bad::Stopped(stopped) => stopped.into(),
        })?;
    }
    Ok(())
}

enum Bad {
    Wrong(Wrong),
    Stopped(super::gather::Stopped),
}

/// Comma, or what stands in the header instead.
fn separator(header: &str) -> char {
    [',', ';', '\t']
        .into_iter()
        .find(|c| header.contains(*c))
        .unwrap_or(',')
}

/// The fields of a line with the byte each begins at.
fn fields(line: &str, separator: char) -> Fields<'_> {
    Fields {
        line,
        separator,
        pos: Some(0),
    }
}

struct Fields<'a> {
    line: &'a str,
    separator: char,
    /// Where the next field begins.
    pos: Option<usize>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(usize, Cow<'a, str>), Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.pos?;
        let rest = &self.line[at..];
        if !rest.starts_with('"') {
            let end = rest.find(self.separator);
            self.pos = end.map(|end| at + end + 1);
            return Some(Ok((at, Cow::Borrowed(&rest[..end.unwrap_or(rest.len())]))));
        }
        let mut field = String::new();
        let mut from = 1;
        loop {
            let Some(quote) = rest[from..].find('"').map(|q| from + q) else {
                self.pos = None;
                return Some(Err(Wrong::new(at, "a closing double quote", rest)));
            };
            field.push_str(&rest[from..quote]);
            let behind = &rest[quote + 1..];
            if let Some(next) = behind.chars().next() {
                if next == '"' {
                    field.push('"');
                    from = quote + 2;
                    continue;
                }
                if next != self.separator {
                    self.pos = None;
                    let expected = format!("{:?} after a quoted field", self.separator);
                    return Some(Err(Wrong::new(at + quote + 1, expected, behind)));
                }
                self.pos = Some(at + quote + 2);
            } else {
                self.pos = None;
            }
            return Some(Ok((at, Cow::Owned(field))));
        }
    }
}

type Columns = Vec<Vec<Track>>;

/// The columns of the series, and the clock where the header tells it.
fn header(
    line: &str,
    separator: char,
    gatherer: &mut Gatherer,
) -> Result<(Columns, Option<Clock>), Wrong> {
    let mut fields = fields(line, separator);
    let (_, time) = fields.next().transpose()?.unwrap_or_default();
    let clock = clock_named(time.trim());
    let mut columns = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for field in fields {
        let (at, field) = field?;
        let field = field.trim();
        if field.is_empty() {
            return Err(Wrong::new(at, "the name of a series", ""));
        }
        let (text, factor) = without_unit(field);
        let named = name::read(text, at, true);
        let (metric, labels) = match named {
            Ok((name, end)) if end == text.len() => (name.metric, name.labels),
            // Not a name as ours are: the whole header is the name.
            _ => (text.to_owned(), Vec::new()),
        };
        if !seen.insert((metric.clone(), labels.clone())) {
            return Err(Wrong::new(at, "each series once", field));
        }
        let tracks = gatherer
            .track(text, &metric, &labels, (None, factor))
            .map_err(|expected| Wrong::new(at, expected, field))?;
        columns.push(tracks);
    }
    if columns.is_empty() {
        let expected = "a header: the time, then a column for each series";
        return Err(Wrong::new(0, expected, line));
    }
    Ok((columns, clock))
}

/// A header without the unit in brackets behind it, and the factor of that unit.
fn without_unit(field: &str) -> (&str, f64) {
    let unit = || {
        let (text, unit) = field.strip_suffix(']')?.rsplit_once('[')?;
        Some((text.trim_end(), shape::unit(unit.trim())?))
    };
    unit().unwrap_or((field, 1.0))
}

/// The clock that the header of the first column names.
fn clock_named(header: &str) -> Option<Clock> {
    let lower = header.to_ascii_lowercase();
    let ends = |words: &[&str]| words.iter().any(|w| lower.ends_with(w));
    if ends(&["_ms", "[ms]", "(ms)", "millis", "milliseconds"]) {
        Some(Clock::Milliseconds)
    } else if ends(&["_s", "[s]", "(s)", "_seconds", "_sec"]) {
        Some(Clock::Seconds)
    } else {
        None
    }
}

fn row(
    line: &str,
    separator: char,
    clock: &mut Option<Clock>,
    columns: &mut Columns,
    gatherer: &mut Gatherer,
) -> Result<(), Bad> {
    let mut fields = fields(line, separator);
    let (_, time) = fields
        .next()
        .transpose()
        .map_err(Bad::Wrong)?
        .unwrap_or_default();
    let time_ms = time_ms(time.trim(), clock)
        .filter(|t| is_time(*t))
        .ok_or_else(|| Bad::Wrong(Wrong::new(0, TIME, &time)))?;
    let wanted = columns.len();
    let mut columns = columns.iter_mut();
    for field in fields {
        let (at, field) = field.map_err(Bad::Wrong)?;
        let Some(tracks) = columns.next() else {
            let expected = format!("{} fields as in the header", wanted + 1);
            return Err(Bad::Wrong(Wrong::new(at, expected, &line[at..])));
        };
        let field = field.trim();
        if field.is_empty() {
            gatherer.tally.empty += 1;
            continue;
        }
        let value: f64 = field
            .parse()
            .map_err(|_| Bad::Wrong(Wrong::new(at, "a number or nothing", field)))?;
        gatherer
            .take(tracks, time_ms, value)
            .map_err(Bad::Stopped)?;
    }
    let missing = columns.len();
    if missing > 0 {
        let expected = format!("{} fields as in the header", wanted + 1);
        let found = format!("{}", wanted + 1 - missing);
        return Err(Bad::Wrong(Wrong {
            at: line.len(),
            expected,
            found,
        }));
    }
    Ok(())
}

/// The time of a row; the first one decides how all are written.
fn time_ms(text: &str, clock: &mut Option<Clock>) -> Option<i64> {
    let number: Option<f64> = text.parse().ok().filter(|n: &f64| n.is_finite());
    let clock = *clock.get_or_insert(match number {
        None => Clock::Text,
        Some(n) if n.abs() >= MILLISECONDS_FROM => Clock::Milliseconds,
        Some(_) => Clock::Seconds,
    });
    match clock {
        // A header that says `_s` may stand over written times all the same.
        _ if number.is_none() => {
            let at: jiff::Timestamp = text.parse().ok()?;
            Some(at.as_millisecond())
        }
        Clock::Text => None,
        Clock::Seconds => Some((number? * 1000.0).round() as i64),
        Clock::Milliseconds => Some(number?.round() as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::mapping::Mapping;
    use super::super::tests::{read_text, sample, samples};
    use proptest::prelude::*;

    fn table(text: &str) -> Vec<(String, i64, f64)> {
        samples(Format::Csv, text).unwrap()
    }

    fn error(text: &str) -> String {
        samples(Format::Csv, text).unwrap_err()
    }

    #[test]
    fn a_table_becomes_series_in_base_units() {
        let text = "time_seconds,\"node_cpu_seconds_total{cpu=0,mode=user} [ticks of 0.01 s]\",\
            node_disk_io_time_seconds_total{device=vda} [ms],CPU_ALL_Busy\n\
            1795280173.567,10292,50695,\n1795280174.583,10358,50798,7\n";
        assert_eq!(
            table(text),
            [
                sample(
                    "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}",
                    1_795_280_173_567,
                    102.92
                ),
                sample(
                    "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}",
                    1_795_280_174_583,
                    103.58
                ),
                sample(
                    "node_disk_io_time_seconds_total{device=\"vda\"}",
                    1_795_280_173_567,
                    50.695
                ),
                sample(
                    "node_disk_io_time_seconds_total{device=\"vda\"}",
                    1_795_280_174_583,
                    50.798
                ),
                sample("CPU_ALL_Busy", 1_795_280_174_583, 7.0),
            ]
        );
    }

    #[test]
    fn times_are_seconds_milliseconds_or_written() {
        for (text, expected) in [
            ("t,a\n1795280173,1", 1_795_280_173_000),
            ("t,a\n1795280173567,1", 1_795_280_173_567),
            ("t;a\n2026-11-21T20:00:00.250Z;1", 1_795_291_200_250),
            ("t\ta\n2026-11-21T21:00:00+01:00\t1", 1_795_291_200_000),
            ("unix_ms,a\n1000,1", 1_000),
        ] {
            assert_eq!(table(text), [sample("a", expected, 1.0)], "{text}");
        }
    }

    #[test]
    fn a_bad_line_is_named_by_line_column_and_what_belongs_there() {
        for (text, expected) in [
            ("", "file:1:1: expected a header"),
            ("t\n", "file:1:1: expected a header"),
            ("t,a,a\n", "file:1:5: expected each series once"),
            ("t,a,,b\n", "file:1:5: expected the name of a series"),
            (
                "t,a\n5,1\n6,x1\n",
                "file:3:3: expected a number or nothing, found \"x1\"",
            ),
            (
                "t,a\n5,1,2\n",
                "file:2:5: expected 2 fields as in the header",
            ),
            (
                "t,a,b\n5,1\n",
                "file:2:4: expected 3 fields as in the header, found 2",
            ),
            ("t,a\nnever,1\n", "file:2:1: expected a time between"),
            ("t,a\n-5,1\n", "file:2:1: expected a time between"),
            ("t,a\n5,\"1\n", "file:2:3: expected a closing double quote"),
            ("t,a\n5,\"1\"2\n", "file:2:6: expected ',' after"),
        ] {
            assert!(error(text).starts_with(expected), "{}", error(text));
        }
    }

    #[test]
    fn a_mapping_gives_foreign_columns_our_names_and_units() {
        let mapping = Mapping::parse(
            "[[series]]\nfrom = \"kernel.all.load-1 minute\"\nmetric = \"node_load1\"\n\
             [[series]]\nfrom = \"mem_kb\"\nmetric = \"node_memory_MemFree_bytes\"\nunit = \"KiB\"\n",
        );
        let text = "unix_ms,kernel.all.load-1 minute,mem_kb\n60000,0.5,3\n";
        let (samples, _) = read_text(Format::Csv, text, mapping.unwrap()).unwrap();
        assert_eq!(
            samples,
            [
                sample("node_load1", 60_000, 0.5),
                sample("node_memory_MemFree_bytes", 60_000, 3072.0)
            ]
        );
    }

    proptest! {
        #[test]
        fn any_table_is_read_or_refused(text in "[a-z0-9,;\"\t{}=. \\-\n\\[\\]é]{0,200}") {
            let _ = samples(Format::Csv, &text);
        }

        #[test]
        fn every_finite_value_comes_back_bit_for_bit(bits in prop::collection::vec(any::<u64>(), 1..50)) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|v| v.is_finite()).collect();
            let lines: Vec<String> = values.iter().enumerate().map(|(i, v)| format!("{},{v:?}", i + 1)).collect();
            let read = table(&format!("t,a\n{}\n", lines.join("\n")));
            let back: Vec<u64> = read.iter().map(|s| s.2.to_bits()).collect();
            prop_assert_eq!(back, values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        }
    }
}
