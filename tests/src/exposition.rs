//! Reading Prometheus text: what node_exporter says and what our agent prints.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wait::seconds;

/// A series: metric name and labels, sorted.
pub type Series = (String, BTreeMap<String, String>);

/// The samples of an exposition.
///
/// Panics on a line that is no sample and no comment, and on a series that comes twice.
pub fn parse(text: &str) -> BTreeMap<Series, f64> {
    let mut samples = BTreeMap::new();
    for line in text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let (series, value) = sample(line).unwrap_or_else(|| panic!("no sample: {line:?}"));
        assert!(
            samples.insert(series, value).is_none(),
            "series twice: {line}"
        );
    }
    samples
}

fn sample(line: &str) -> Option<(Series, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, tail) = rest.split_once("=\"")?;
            let (value, tail) = quoted(tail)?;
            labels.insert(label.to_owned(), value);
            rest = tail.strip_prefix(',').unwrap_or(tail);
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(((name.to_owned(), labels), value))
}

/// The text up to the closing quote, unescaped, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

/// What an HTTP server answers to a GET, without the headers.
///
/// Panics when it does not answer 200.
#[track_caller]
pub fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(seconds(20))).unwrap();
    // HTTP/1.0: the answer ends with the connection and is never chunked.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{path}: {head}");
    body.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a b\na 1\nb{x=\"1,\\\"2\\\"}\",y=\"\\\\n\"} 2.5e+09\nc{} NaN 123\n";
        let samples = parse(text);
        let labels = BTreeMap::from([
            ("x".to_owned(), "1,\"2\"}".to_owned()),
            ("y".to_owned(), "\\n".to_owned()),
        ]);
        assert_eq!(samples[&("a".to_owned(), BTreeMap::new())], 1.0);
        assert_eq!(samples[&("b".to_owned(), labels)], 2.5e9);
        assert!(samples[&("c".to_owned(), BTreeMap::new())].is_nan());
    }

    #[test]
    #[should_panic(expected = "series twice")]
    fn a_series_that_comes_twice_is_an_error() {
        parse("a{b=\"c\"} 1\na{b=\"c\"} 1");
    }
}
