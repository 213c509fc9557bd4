//! `metric{label="value",other=value}`: names as foreign files write them. Pure.

use super::input::Wrong;

/// A name and its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    /// The metric; empty when only a `__name__` label could say it and none did.
    pub metric: String,
    /// As written, in their order, without `__name__`.
    pub labels: Vec<(String, String)>,
}

/// Reads a name at the start of `text`; answers it with the bytes it took. `at` is where `text`
/// begins in its line. With `loose`, values may stand without quotes, as in headers of tables.
pub(super) fn read(text: &str, at: usize, loose: bool) -> Result<(Name, usize), Wrong> {
    let mut name = Name::default();
    let brace = text.find(['{', ' ', '\t']).unwrap_or(text.len());
    name.metric = text[..brace].to_owned();
    if !text[brace..].starts_with('{') {
        return Ok((name, brace));
    }
    let mut scan = Scan {
        text,
        pos: brace + 1,
        at,
    };
    loop {
        scan.blanks();
        if scan.eat('}') {
            break;
        }
        scan.label(&mut name, loose)?;
        scan.blanks();
        if !scan.eat(',') && !scan.rest().starts_with('}') {
            return Err(scan.wrong("a comma or } after a label"));
        }
    }
    Ok((name, scan.pos))
}

struct Scan<'a> {
    text: &'a str,
    pos: usize,
    at: usize,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        &self.text[self.pos..]
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.rest().starts_with(c);
        if there {
            self.pos += c.len_utf8();
        }
        there
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.pos += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn wrong(&self, expected: &str) -> Wrong {
        let found: String = self.rest().chars().take(20).collect();
        Wrong::new(self.at + self.pos, expected, &found)
    }

    /// `label="value"`, or a quoted metric name alone.
    fn label(&mut self, name: &mut Name, loose: bool) -> Result<(), Wrong> {
        let start = self.pos;
        let label = if self.rest().starts_with('"') {
            self.quoted()?
        } else {
            let rest = self.rest();
            let end = rest
                .find(['=', ',', '}', '"', ' ', '\t'])
                .unwrap_or(rest.len());
            let label = rest[..end].to_owned();
            self.pos += end;
            label
        };
        self.blanks();
        if !self.eat('=') {
            // OpenMetrics writes a metric whose name is not plain as {"its name",…}.
            if self.text[start..].starts_with('"') && name.metric.is_empty() {
                name.metric = label;
                return Ok(());
            }
            return Err(self.wrong("= after a label's name"));
        }
        if label.is_empty() {
            self.pos = start;
            return Err(self.wrong("a label's name"));
        }
        self.blanks();
        let value = if self.rest().starts_with('"') {
            self.quoted()?
        } else if loose {
            let rest = self.rest();
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            let value = rest[..end].trim_end().to_owned();
            self.pos += end;
            value
        } else {
            return Err(self.wrong("a label's value in double quotes"));
        };
        if label == "__name__" {
            name.metric = value;
        } else {
            name.labels.push((label, value));
        }
        Ok(())
    }

    /// A text in double quotes with `\\`, `\"` and `\n`.
    fn quoted(&mut self) -> Result<String, Wrong> {
        let start = self.pos;
        let mut value = String::new();
        let mut escaped = false;
        for (i, c) in self.text[start..].char_indices().skip(1) {
            match (escaped, c) {
                (true, 'n') => value.push('\n'),
                (true, '\\' | '"') => value.push(c),
                (true, other) => {
                    // Not an escape: both characters are meant.
                    value.push('\\');
                    value.push(other);
                }
                (false, '\\') => {
                    escaped = true;
                    continue;
                }
                (false, '"') => {
                    self.pos = start + i + 1;
                    return Ok(value);
                }
                (false, plain) => value.push(plain),
            }
            escaped = false;
        }
        Err(self.wrong("a closing double quote"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(metric: &str, labels: &[(&str, &str)]) -> Name {
        Name {
            metric: metric.into(),
            labels: labels
                .iter()
                .map(|(n, v)| ((*n).into(), (*v).into()))
                .collect(),
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (text, expected, rest) in [
            ("up 1", name("up", &[]), " 1"),
            ("up{} 1", name("up", &[]), " 1"),
            (
                r#"a{b="c d", e="\"\\\n\t"} 1"#,
                name("a", &[("b", "c d"), ("e", "\"\\\n\\t")]),
                " 1",
            ),
            (
                r#"{__name__="up",job="x",} 1"#,
                name("up", &[("job", "x")]),
                " 1",
            ),
            (
                r#"{"my.metric",a="b"} 1"#,
                name("my.metric", &[("a", "b")]),
                " 1",
            ),
        ] {
            let (got, end) = read(text, 0, false).unwrap();
            assert_eq!((got, &text[end..]), (expected, rest), "{text}");
        }
        let (got, _) = read("node{cpu=0, mode=user}", 0, true).unwrap();
        assert_eq!(got, name("node", &[("cpu", "0"), ("mode", "user")]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, at, expected) in [
            ("a{b=\"c\" 1", 8, "a comma or }"),
            ("a{b}", 3, "= after"),
            ("a{=\"c\"}", 2, "a label's name"),
            ("a{b=c}", 4, "in double quotes"),
            ("a{b=\"c", 4, "a closing double quote"),
            ("a{", 2, "= after"),
        ] {
            let wrong = read(text, 0, false).unwrap_err();
            assert_eq!(wrong.at, at, "{text}: {wrong}");
            assert!(wrong.expected.contains(expected), "{text}: {wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), loose: bool) {
            if let Ok((_, end)) = read(&text, 0, loose) {
                prop_assert!(text.is_char_boundary(end));
            }
        }

        #[test]
        fn a_written_name_comes_back(value in any::<String>()) {
            let series = crate::series::SeriesName::new("m", &[("l", &value)]);
            let (got, _) = read(&series.to_string(), 0, false).unwrap();
            prop_assert_eq!(&got.labels[0].1, &value);
        }
    }
}
