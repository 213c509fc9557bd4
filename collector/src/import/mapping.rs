//! The mapping file: which foreign name becomes which metric, with which labels and unit. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use hostwell_proto::metric::Kind;
use serde::Deserialize;

use super::shape::{self, Become, Shape};

/// A mapping; the default one changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// The text it was read from: part of what an import is known by.
    text: String,
    /// Only series with these labels are taken.
    only: BTreeMap<String, String>,
    drop_labels: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    only: BTreeMap<String, String>,
    drop_labels: Vec<String>,
    series: Vec<RowText>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowText {
    from: String,
    #[serde(default)]
    metric: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    factor: Option<f64>,
    #[serde(default)]
    rest_of: Option<f64>,
    #[serde(default)]
    becomes: Become,
    #[serde(default)]
    kind: Option<KindText>,
    #[serde(default)]
    skip: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindText {
    Counter,
    Gauge,
}

#[derive(Clone, Debug)]
struct Row {
    from: Pattern,
    /// `None` leaves the series out.
    to: Option<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    metric: Option<String>,
    labels: BTreeMap<String, String>,
    factor: Option<f64>,
    rest_of: Option<f64>,
    becomes: Become,
    kind: Option<Kind>,
}

/// What a foreign series becomes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    /// Metric name, perhaps not a legal one.
    pub metric: String,
    /// Labels of the mapping over the foreign ones.
    pub labels: Vec<(String, String)>,
    /// What the mapping says.
    pub kind: Option<Kind>,
    /// What its values go through.
    pub shape: Shape,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub fn parse(text: &str) -> anyhow::Result<Mapping> {
        let file: File = toml::from_str(text)?;
        let rows = file
            .series
            .into_iter()
            .map(|row| {
                let from = row.from.clone();
                Row::new(row).with_context(|| format!("the series from {from:?}"))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Mapping {
            text: text.to_owned(),
            only: file.only,
            drop_labels: file.drop_labels,
            rows,
        })
    }

    /// The text it was read from.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a series with these labels is wanted at all.
    pub(super) fn wants(&self, labels: &[(String, String)]) -> bool {
        self.only
            .iter()
            .all(|(name, value)| labels.iter().any(|(n, v)| n == name && v == value))
    }

    /// Labels that are taken off.
    pub(super) fn drops(&self, label: &str) -> bool {
        self.only.contains_key(label) || self.drop_labels.iter().any(|l| l == label)
    }

    /// What becomes of a series that is called `text` (in full) or `metric` (without its labels);
    /// `factor` is that of a unit the file itself gives. Nothing: it is left out.
    pub(super) fn outputs(
        &self,
        text: &str,
        metric: &str,
        labels: &[(String, String)],
        factor: f64,
    ) -> Vec<Output> {
        let mut meant = false;
        let mut outputs = Vec::new();
        for row in &self.rows {
            let matched = row.from.matches(text).or_else(|| row.from.matches(metric));
            let Some(found) = matched else { continue };
            meant = true;
            let Some(to) = &row.to else { continue };
            let mut all: BTreeMap<String, String> = labels.iter().cloned().collect();
            all.extend(found);
            all.extend(to.labels.clone());
            outputs.push(Output {
                metric: to.metric.clone().unwrap_or_else(|| metric.to_owned()),
                labels: all.into_iter().collect(),
                kind: to.kind,
                shape: Shape::new(to.factor.unwrap_or(factor), to.rest_of, to.becomes),
            });
        }
        if !meant {
            outputs.push(Output {
                metric: metric.to_owned(),
                labels: labels.to_vec(),
                kind: None,
                shape: Shape::new(factor, None, Become::Value),
            });
        }
        outputs
    }
}

impl Row {
    fn new(row: RowText) -> anyhow::Result<Row> {
        let from = Pattern::new(&row.from)?;
        if row.skip {
            return Ok(Row { from, to: None });
        }
        let factor = match (&row.unit, row.factor) {
            (None, factor) => factor,
            (Some(_), Some(_)) => bail!("unit and factor exclude each other: give one"),
            (Some(unit), None) => Some(shape::unit(unit).with_context(|| {
                format!(
                    "{unit:?} is not a known unit; known are {}; or give a factor",
                    shape::unit_names()
                )
            })?),
        };
        if factor.is_some_and(|f| !f.is_finite() || f == 0.0) {
            bail!("a factor is a number other than 0");
        }
        Ok(Row {
            from,
            to: Some(Target {
                metric: row.metric,
                labels: row.labels,
                factor,
                rest_of: row.rest_of,
                becomes: row.becomes,
                kind: row.kind.map(|kind| match kind {
                    KindText::Counter => Kind::Counter,
                    KindText::Gauge => Kind::Gauge,
                }),
            }),
        })
    }
}

/// A name in which `{label}` stands for any text, which becomes that label.
#[derive(Clone, Debug, PartialEq)]
struct Pattern {
    start: String,
    /// Each label, and the text behind it.
    rest: Vec<(String, String)>,
}

impl Pattern {
    fn new(text: &str) -> anyhow::Result<Pattern> {
        if text.is_empty() {
            bail!("`from` is empty: give the name the file uses");
        }
        let mut start = String::new();
        let mut rest: Vec<(String, String)> = Vec::new();
        let mut remaining = text;
        while let Some(open) = remaining.find('{') {
            let (before, after) = remaining.split_at(open);
            let place = after[1..].find('}').map(|close| &after[1..=close]);
            // Anything else in braces is part of the name.
            let Some(label) = place.filter(|l| is_word(l)) else {
                push(&mut start, &mut rest, &remaining[..=open]);
                remaining = &after[1..];
                continue;
            };
            push(&mut start, &mut rest, before);
            if rest.last().is_some_and(|(_, literal)| literal.is_empty()) {
                bail!("between two labels in braces there must be some text");
            }
            rest.push((label.to_owned(), String::new()));
            remaining = &after[label.len() + 2..];
        }
        push(&mut start, &mut rest, remaining);
        Ok(Pattern { start, rest })
    }

    fn matches(&self, name: &str) -> Option<Vec<(String, String)>> {
        let mut left = name.strip_prefix(self.start.as_str())?;
        let mut found = Vec::with_capacity(self.rest.len());
        for (label, behind) in &self.rest {
            let end = if behind.is_empty() {
                left.len()
            } else {
                // At least one character belongs to the label.
                let first = left.chars().next()?.len_utf8();
                first + left[first..].find(behind.as_str())?
            };
            if end == 0 {
                return None;
            }
            found.push((label.clone(), left[..end].to_owned()));
            left = &left[end + behind.len()..];
        }
        left.is_empty().then_some(found)
    }
}

fn push(start: &mut String, rest: &mut [(String, String)], text: &str) {
    match rest.last_mut() {
        Some((_, behind)) => behind.push_str(text),
        None => start.push_str(text),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).into(), (*v).into()))
            .collect()
    }

    #[test]
    fn braces_in_a_name_catch_labels() {
        for (pattern, name, expected) in [
            ("a", "a", Some(vec![])),
            ("a", "ab", None),
            (
                "disk.{device}",
                "disk.sda",
                Some(labels(&[("device", "sda")])),
            ),
            ("disk.{device}", "disk.", None),
            (
                "net-{device}.{way}",
                "net-eth0.in",
                Some(labels(&[("device", "eth0"), ("way", "in")])),
            ),
            ("{x}%", "CPU%", Some(labels(&[("x", "CPU")]))),
            ("m{cpu=0,mode=user}", "m{cpu=0,mode=user}", Some(vec![])),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(pattern.matches(name), expected, "{pattern:?} {name}");
        }
        assert!(Pattern::new("{a}{b}").is_err());
        assert!(Pattern::new("").is_err());
    }

    #[test]
    fn a_series_becomes_what_the_file_says() {
        let mapping = Mapping::parse(
            r#"
            only = { instance = "a:9100" }
            drop_labels = ["job"]
            [[series]]
            from = "disk.read-{device}"
            metric = "node_disk_read_bytes_total"
            unit = "KiB"
            [[series]]
            from = "cpu"
            metric = "node_cpu_seconds_total"
            labels = { cpu = "0", mode = "user" }
            unit = "%"
            becomes = "integral"
            [[series]]
            from = "cpu"
            metric = "node_cpu_seconds_total"
            labels = { cpu = "0", mode = "idle" }
            unit = "%"
            rest_of = 1.0
            becomes = "integral"
            [[series]]
            from = "junk"
            skip = true
            "#,
        )
        .unwrap();
        let read = |name: &str| mapping.outputs(name, name, &labels(&[("x", "y")]), 1.0);
        let disk = read("disk.read-sda");
        assert_eq!(disk[0].metric, "node_disk_read_bytes_total");
        assert_eq!(disk[0].labels, labels(&[("device", "sda"), ("x", "y")]));
        assert_eq!(disk[0].shape.clone().apply(0, 2.0), 2048.0);
        assert_eq!(read("cpu").len(), 2);
        assert!(read("junk").is_empty());
        assert_eq!(read("else")[0].metric, "else");
        assert!(mapping.wants(&labels(&[("instance", "a:9100")])));
        assert!(!mapping.wants(&labels(&[("instance", "b:9100")])));
        assert!(mapping.drops("job") && mapping.drops("instance") && !mapping.drops("cpu"));
    }

    #[test]
    fn a_mapping_that_cannot_be_meant_is_refused_with_the_place() {
        for (text, expected) in [
            (
                "[[series]]\nfrom = \"a\"\nunit = \"furlong\"",
                "known are s, ms",
            ),
            (
                "[[series]]\nfrom = \"a\"\nunit = \"ms\"\nfactor = 2.0",
                "exclude",
            ),
            ("[[series]]\nfrom = \"a\"\nfactor = 0.0", "other than 0"),
            ("[[series]]\nfrom = \"a\"\nmetrc = \"b\"", "metrc"),
            ("[[serie]]\nfrom = \"a\"", "serie"),
        ] {
            let error = format!("{:#}", Mapping::parse(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_mapping_or_refused(text in any::<String>(), name in any::<String>()) {
            let _ = Mapping::parse(&text);
            if let Ok(pattern) = Pattern::new(&text) {
                let _ = pattern.matches(&name);
            }
        }
    }
}
