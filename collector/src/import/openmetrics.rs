//! Lines of samples with their times: OpenMetrics, Prometheus' text format, what
//! `promtool tsdb dump` prints, and the JSON lines of VictoriaMetrics' `/api/v1/export`.
//!
//! ```text
//! # TYPE node_load1 gauge
//! node_load1{job="node"} 0.5 1600000000.000
//! {__name__="node_load1", job="node"} 0.5 1600000000000
//! {"metric":{"__name__":"node_load1"},"values":[0.5],"timestamps":[1600000000000]}
//! ```

use std::collections::HashMap;

use hostwell_proto::metric::Kind;
use serde::Deserialize;
use serde_json::Value;

use super::gather::{Gatherer, Stopped, TIME, Track, is_time};
use super::input::{Input, Wrong};
use super::name::{self, Name};

/// Whole numbers from here on are milliseconds, as Prometheus' older format has them.
const MILLISECONDS_FROM: f64 = 1e11;
/// Families whose TYPE is remembered: a file has a few hundred.
const TYPES_MAX: usize = 100_000;

enum Bad {
    Wrong(Wrong),
    Stopped(Stopped),
}

impl From<Wrong> for Bad {
    fn from(wrong: Wrong) -> Bad {
        Bad::Wrong(wrong)
    }
}

impl From<Stopped> for Bad {
    fn from(stopped: Stopped) -> Bad {
        Bad::Stopped(stopped)
    }
}

/// What the file has said so far.
struct Reader<'a> {
    gatherer: &'a mut Gatherer,
    /// By the name of the family.
    types: HashMap<String, String>,
    /// Where the samples of a series go, by its name as written.
    tracks: HashMap<String, Vec<Track>>,
    ended: bool,
}

/// Reads the whole file.
pub(super) fn read(input: &mut Input, gatherer: &mut Gatherer) -> anyhow::Result<()> {
    let mut reader = Reader {
        gatherer,
        types: HashMap::new(),
        tracks: HashMap::new(),
        ended: false,
    };
    while input.advance()? {
        reader.line(input.text()).map_err(|bad| match bad {
            Bad::Wrong(wrong) => input.wrong(&wrong),
            Bad::Stopped(stopped) => stopped.into(),
        })?;
    }
    Ok(())
}

impl Reader<'_> {
    fn line(&mut self, line: &str) -> Result<(), Bad> {
        let text = line.trim();
        if text.is_empty() {
            return Ok(());
        }
        if self.ended {
            return Err(Wrong::new(0, "nothing after # EOF", text).into());
        }
        if let Some(comment) = text.strip_prefix('#') {
            self.comment(comment);
            return Ok(());
        }
        let at = line.len() - line.trim_start().len();
        if text.starts_with("{\"metric\":") {
            return self.exported(text, at);
        }
        let (name, end) = name::read(text, at, false)?;
        if name.metric.is_empty() {
            return Err(Wrong::new(at, "a metric's name", text).into());
        }
        let (value, time_ms) = numbers(text, end, at)?;
        let written = &text[..end];
        // Neighbouring lines are often one series; all are looked up by what is written.
        if !self.tracks.contains_key(written) {
            let tracks = self.track(written, &name, at)?;
            self.tracks.insert(written.to_owned(), tracks);
        }
        let Some(tracks) = self.tracks.get_mut(written) else {
            return Ok(());
        };
        Ok(self.gatherer.take(tracks, time_ms, value)?)
    }

    fn track(&mut self, written: &str, name: &Name, at: usize) -> Result<Vec<Track>, Wrong> {
        let kind = self.kind(&name.metric);
        self.gatherer
            .track(written, &name.metric, &name.labels, (kind, 1.0))
            .map_err(|expected| Wrong::new(at, expected, written))
    }

    /// `TYPE`, `EOF`; everything else is for people.
    fn comment(&mut self, comment: &str) {
        let mut words = comment.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("EOF"), None, None) => self.ended = true,
            (Some("TYPE"), Some(family), Some(kind)) if self.types.len() < TYPES_MAX => {
                self.types.insert(family.to_owned(), kind.to_owned());
            }
            _ => {}
        }
    }

    /// What the file says a metric is, by its own name or that of its family.
    fn kind(&self, metric: &str) -> Option<Kind> {
        if let Some(kind) = self.types.get(metric) {
            return match kind.as_str() {
                "counter" => Some(Kind::Counter),
                "unknown" | "untyped" => None,
                _ => Some(Kind::Gauge),
            };
        }
        let family = |suffix: &str| {
            let family = metric.strip_suffix(suffix)?;
            self.types.get(family).map(String::as_str)
        };
        if family("_total") == Some("counter") {
            return Some(Kind::Counter);
        }
        let counted = ["_bucket", "_count", "_sum"]
            .into_iter()
            .any(|suffix| matches!(family(suffix), Some("histogram" | "summary")));
        counted.then_some(Kind::Counter)
    }

    /// One line of VictoriaMetrics' export: a series and its samples.
    fn exported(&mut self, text: &str, at: usize) -> Result<(), Bad> {
        let series: Exported = serde_json::from_str(text).map_err(|e| {
            let place = at + e.column().saturating_sub(1).min(text.len());
            Wrong::new(
                place,
                "{\"metric\":{…},\"values\":[…],\"timestamps\":[…]}",
                &e.to_string(),
            )
        })?;
        let Exported {
            metric: mut labels,
            values,
            timestamps,
        } = series;
        if values.len() != timestamps.len() {
            let expected = format!("as many timestamps as values, {}", values.len());
            return Err(Wrong::new(at, expected, &timestamps.len().to_string()).into());
        }
        let Some(metric) = labels.remove("__name__").filter(|name| !name.is_empty()) else {
            return Err(Wrong::new(at, "a metric's name as __name__", text).into());
        };
        let name = Name {
            metric,
            labels: labels.into_iter().collect(),
        };
        let written = crate::series::SeriesName {
            metric: name.metric.clone(),
            labels: name.labels.clone(),
        };
        let mut tracks = self.track(&written.to_string(), &name, at)?;
        for (value, time) in values.iter().zip(timestamps) {
            if !is_time(time) {
                return Err(Wrong::new(at, TIME, &time.to_string()).into());
            }
            let value = match value {
                Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
                // null, "NaN" and "Infinity": nothing to keep.
                _ => f64::NAN,
            };
            self.gatherer.take(&mut tracks, time, value)?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Exported {
    metric: std::collections::BTreeMap<String, String>,
    values: Vec<Value>,
    timestamps: Vec<i64>,
}

/// Value and time behind a name. An exemplar behind them is not read.
fn numbers(text: &str, end: usize, at: usize) -> Result<(f64, i64), Wrong> {
    let rest = &text[end..];
    let mut words = Words { text: rest, pos: 0 };
    let Some((place, value)) = words.next() else {
        return Err(Wrong::new(at + text.len(), "a value and a time stamp", ""));
    };
    let value = number(value).ok_or_else(|| Wrong::new(at + end + place, "a number", value))?;
    let time = words.next().filter(|(_, word)| *word != "#");
    let Some((place, time)) = time else {
        let expected = "a time stamp behind the value: seconds, or milliseconds";
        return Err(Wrong::new(at + text.len(), expected, ""));
    };
    let time_ms = time_ms(time)
        .filter(|t| is_time(*t))
        .ok_or_else(|| Wrong::new(at + end + place, TIME, time))?;
    match words.next() {
        Some((place, word)) if !word.starts_with('#') => {
            let expected = "the end of the line or an exemplar";
            Err(Wrong::new(at + end + place, expected, word))
        }
        _ => Ok((value, time_ms)),
    }
}

/// Words between blanks, with the byte each begins at.
struct Words<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.pos..];
        let start = self.pos + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        let rest = &self.text[start..];
        if rest.is_empty() {
            return None;
        }
        let end = start + rest.find([' ', '\t']).unwrap_or(rest.len());
        self.pos = end;
        Some((start, &self.text[start..end]))
    }
}

/// A number as the formats write it: `+Inf` and `NaN` are numbers too.
fn number(word: &str) -> Option<f64> {
    word.parse().ok()
}

/// A whole number far from today as seconds is milliseconds; everything else is seconds.
fn time_ms(word: &str) -> Option<i64> {
    let time: f64 = number(word).filter(|t| t.is_finite())?;
    let whole = !word.contains(['.', 'e', 'E']);
    Some(if whole && time.abs() >= MILLISECONDS_FROM {
        word.parse().ok()?
    } else {
        (time * 1000.0).round() as i64
    })
}

#[cfg(test)]
mod tests {
    use super::super::Format::OpenMetrics;
    use super::super::mapping::Mapping;
    use super::super::tests::{read_text, sample, samples};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn openmetrics_is_read_with_types_escapes_and_exemplars() {
        let text = "# HELP odd Some \\n words.\n# TYPE odd gauge\n# UNIT odd bytes\n\
            odd{l=\"a\\\"b\\\\c\"} 1.5 1600000000.25\n\
            # TYPE seen counter\nseen_total 17 1600000000 # {trace_id=\"x\"} 0.6 1.0\n\
            # TYPE took histogram\ntook_bucket{le=\"+Inf\"} 3 1600000001\n\
            odd NaN 1600000001\nodd +Inf 1600000002\n# EOF\n";
        let (got, tally) = read_text(OpenMetrics, text, Mapping::default()).unwrap();
        assert_eq!(
            got,
            [
                sample("odd{l=\"a\\\"b\\\\c\"}", 1_600_000_000_250, 1.5),
                sample("seen_total", 1_600_000_000_000, 17.0),
                sample("took_bucket{le=\"+Inf\"}", 1_600_000_001_000, 3.0),
            ]
        );
        assert_eq!(tally.not_finite, 2);
        let kinds: Vec<Kind> = tally.series.iter().map(|s| s.kind).collect();
        assert_eq!(
            kinds,
            [Kind::Gauge, Kind::Counter, Kind::Counter, Kind::Gauge]
        );
    }

    #[test]
    fn a_dump_of_prometheus_and_an_export_of_victoriametrics_are_read() {
        for text in [
            "{__name__=\"node_load1\", instance=\"a:1\", job=\"node\"} 0.5 1600000000000\n",
            "node_load1{instance=\"a:1\",job=\"node\"} 0.5 1600000000000\n",
            "node_load1 0.5 1600000000.000\n# EOF",
            "{\"metric\":{\"__name__\":\"node_load1\",\"job\":\"node\"},\"values\":[0.5,null],\
             \"timestamps\":[1600000000000,1600000015000]}\n",
        ] {
            let got = samples(OpenMetrics, text).unwrap();
            assert_eq!(
                got,
                [sample("node_load1", 1_600_000_000_000, 0.5)],
                "{text}"
            );
        }
    }

    #[test]
    fn a_bad_line_is_named_by_line_column_and_what_belongs_there() {
        for (text, expected) in [
            ("a 1 1\nb\n", "file:2:2: expected a value and a time stamp"),
            ("a 1\n", "file:1:4: expected a time stamp behind the value"),
            ("a one 1\n", "file:1:3: expected a number, found \"one\""),
            ("a 1 soon\n", "file:1:5: expected a time between"),
            ("a 1 1 1\n", "file:1:7: expected the end of the line"),
            ("a{b=\"c\" 1 1\n", "file:1:9: expected a comma or }"),
            ("{b=\"c\"} 1 1\n", "file:1:1: expected a metric's name"),
            ("# EOF\na 1 1\n", "file:2:1: expected nothing after # EOF"),
            (
                "{\"metric\":{},\"values\":[],\"timestamps\":[]}",
                "file:1:1: expected a metric's",
            ),
            (
                "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[]}",
                "file:1:1: expected as many",
            ),
            ("{\"metric\":{\"__name__\":\"a\"},\"values\":1}", "file:1:"),
            (
                "node_load1{instance=\"a\"} 1 1\nnode_load1{instance=\"b\"} 1 1\n",
                "file:2:1: expected samples of one host only",
            ),
        ] {
            let error = samples(OpenMetrics, text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_mapping_chooses_one_host_of_a_file_with_many() {
        let mapping = Mapping::parse("only = { instance = \"b\" }").unwrap();
        let text = "up{instance=\"a\"} 0 1\nup{instance=\"b\"} 1 1\n";
        let (got, tally) = read_text(OpenMetrics, text, mapping).unwrap();
        assert_eq!(got, [sample("up", 1000, 1.0)]);
        assert_eq!(tally.left_out, 1);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z_\"\\\\{}=, 0-9.#:\n\\[\\]é+-]{0,200}") {
            let _ = samples(OpenMetrics, &text);
        }

        #[test]
        fn any_json_line_is_read_or_refused(text in "[a-z_\"{}, 0-9:\\[\\]]{0,80}") {
            let _ = samples(OpenMetrics, &format!("{{\"metric\"{text}"));
            let line = format!("{{\"metric\":{{\"__name__\":\"a\"}},\"values\":[{text}],\"timestamps\":[1]}}");
            let _ = samples(OpenMetrics, &line);
        }
    }
}
