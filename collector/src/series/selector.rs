//! `metric{label="value",other=~"a|b"}`: Prometheus' selector, the only query language we speak.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::SeriesName;

/// Longest selector that is read, in bytes.
const LENGTH_MAX: usize = 4096;

/// How a label is compared.
#[derive(Clone, Debug)]
pub enum Op {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored at both ends.
    Match(Pattern),
    /// `!~`, anchored at both ends.
    NotMatch(Pattern),
}

impl Op {
    /// The one value that it asks for.
    pub fn value(&self) -> Option<&str> {
        match self {
            Op::Equal(value) => Some(value),
            _ => None,
        }
    }
}

/// A regular expression that must match all of a value.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// Words, each with whether anything may follow it: most patterns, and compared at once, where a
    /// regular expression has to be compiled.
    Words(Vec<(String, bool)>),
    Regex(Box<Regex>),
}

impl Pattern {
    fn new(text: &str) -> Result<Pattern, String> {
        let form = match words(text) {
            Some(words) => Form::Words(words),
            None => Form::Regex(Box::new(anchored(text)?)),
        };
        Ok(Pattern {
            text: text.to_owned(),
            form,
        })
    }

    /// Whether all of a value matches.
    pub fn matches(&self, value: &str) -> bool {
        match &self.form {
            Form::Regex(regex) => regex.is_match(value),
            Form::Words(words) => words.iter().any(|(word, open)| {
                let rest = value.strip_prefix(word.as_str());
                // A dot stands for anything but the end of a line.
                rest.is_some_and(|rest| rest.is_empty() || (*open && !rest.contains('\n')))
            }),
        }
    }
}

/// The words of a pattern like `a|b|c.*`, where it is no more than that.
fn words(pattern: &str) -> Option<Vec<(String, bool)>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-:/ ".contains(c);
    let word = |part: &str| {
        let (word, open) = match part.strip_suffix(".*") {
            Some(word) => (word, true),
            None => (part, false),
        };
        word.chars().all(plain).then(|| (word.to_owned(), open))
    };
    pattern.split('|').map(word).collect()
}

/// One condition on a label. A label that a series lacks counts as empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Label name.
    pub label: String,
    /// The comparison.
    pub op: Op,
}

impl Matcher {
    /// Whether a label value fulfils the condition.
    pub fn matches(&self, value: &str) -> bool {
        match &self.op {
            Op::Equal(wanted) => value == wanted,
            Op::NotEqual(unwanted) => value != unwanted,
            Op::Match(pattern) => pattern.matches(value),
            Op::NotMatch(pattern) => !pattern.matches(value),
        }
    }
}

/// A metric and conditions on its labels.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Metric name.
    pub metric: String,
    /// All must hold.
    pub matchers: Vec<Matcher>,
}

impl Selector {
    /// Whether a series is meant.
    pub fn matches(&self, name: &SeriesName) -> bool {
        self.metric == name.metric
            && self
                .matchers
                .iter()
                .all(|m| m.matches(name.label(&m.label).unwrap_or("")))
    }

    /// Takes the conditions on one label out: what is about hosts is answered by the registry.
    pub fn take(&mut self, label: &str) -> Vec<Matcher> {
        let (taken, kept) = self.matchers.drain(..).partition(|m| m.label == label);
        self.matchers = kept;
        taken
    }
}

/// Why a text is not a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {at} of {text:?}; write metric{{label=\"value\"}}")]
pub struct SelectorError {
    /// What was wrong.
    pub what: String,
    /// Where, counted from 1.
    pub at: usize,
    /// The text.
    pub text: String,
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        let mut parser = Parser { text, at: 0 };
        parser.selector().map_err(|what| SelectorError {
            what,
            at: text[..parser.at].chars().count() + 1,
            text: text.chars().take(120).collect(),
        })
    }
}

/// Prints what [`FromStr`] reads.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        for (i, matcher) in self.matchers.iter().enumerate() {
            let (op, value) = match &matcher.op {
                Op::Equal(value) => ("=", value.as_str()),
                Op::NotEqual(value) => ("!=", value.as_str()),
                Op::Match(pattern) => ("=~", pattern.text.as_str()),
                Op::NotMatch(pattern) => ("!~", pattern.text.as_str()),
            };
            let open = if i == 0 { "{" } else { "," };
            write!(f, "{open}{}{op}\"{}\"", matcher.label, escape(value))?;
        }
        f.write_str(if self.matchers.is_empty() { "" } else { "}" })
    }
}

/// A label value as it stands between quotes.
pub(super) fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(1 << 20)
        .build()
        .map_err(|_| format!("{pattern:?} is not a regular expression"))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn selector(&mut self) -> Result<Selector, String> {
        if self.text.len() > LENGTH_MAX {
            return Err(format!("longer than {LENGTH_MAX} bytes"));
        }
        self.space();
        let metric = self.name(true).ok_or("no metric name")?;
        self.space();
        let mut matchers = Vec::new();
        if self.eat("{") {
            loop {
                self.space();
                if self.eat("}") {
                    break;
                }
                matchers.push(self.matcher()?);
                self.space();
                if !self.eat(",") && !self.rest().starts_with('}') {
                    return Err("expected , or }".into());
                }
            }
        }
        self.space();
        if !self.rest().is_empty() {
            return Err("unexpected text".into());
        }
        Ok(Selector { metric, matchers })
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let label = self.name(false).ok_or("no label name")?;
        self.space();
        let op = ["=~", "!~", "!=", "="]
            .into_iter()
            .find(|op| self.eat(op))
            .ok_or("expected =, !=, =~ or !~")?;
        self.space();
        let start = self.at;
        let value = self.quoted()?;
        let op = match op {
            "=" => Op::Equal(value),
            "!=" => Op::NotEqual(value),
            pattern => {
                let read = Pattern::new(&value).inspect_err(|_| self.at = start)?;
                if pattern == "=~" {
                    Op::Match(read)
                } else {
                    Op::NotMatch(read)
                }
            }
        };
        Ok(Matcher { label, op })
    }

    fn quoted(&mut self) -> Result<String, String> {
        if !self.eat("\"") {
            return Err("expected a value in double quotes".into());
        }
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.text[start..].char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + i + 1;
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    // Regular expressions are full of these; nobody wants to double them.
                    Some((_, c)) => value.extend(['\\', c]),
                    None => break,
                },
                c => value.push(c),
            }
        }
        Err("no closing quote".into())
    }

    fn name(&mut self, colon: bool) -> Option<String> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':')))
            .unwrap_or(rest.len());
        let name = rest[..length].to_owned();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.at += length;
        Some(name)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pattern_means_what_the_regular_expression_means(
            pattern in "(a|b|\\.\\*|\\||-|\\.){0,6}", value in "[ab\n.|-]{0,4}"
        ) {
            if let Ok(regex) = anchored(&pattern) {
                let read = Pattern::new(&pattern).unwrap();
                prop_assert_eq!(read.matches(&value), regex.is_match(&value), "{}", pattern);
            }
        }
    }
}
