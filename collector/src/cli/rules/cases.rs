//! The cases file of a backtest: CSV with a header, fields in double quotes where they need them.

use std::path::Path;

use anyhow::{Context, bail};

use crate::answer::backtest::Case;
use crate::answer::range::{self, Moment};

/// Longest file.
const BYTES_MAX: u64 = 16 << 20;
const COLUMNS: &str = "case,series,capacity,from,to";

/// Reads the cases.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Case>> {
    let name = file.display();
    let size = std::fs::metadata(file)
        .with_context(|| format!("open {name}"))?
        .len();
    if size > BYTES_MAX {
        bail!("{name} has {size} bytes; a file of cases has at most {BYTES_MAX}");
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("read {name}"))?;
    parse(&text).with_context(|| format!("in {name}"))
}

fn parse(text: &str) -> anyhow::Result<Vec<Case>> {
    let mut lines = (1..).zip(text.lines());
    let header = lines.next().map(|(_, line)| fields(line)).transpose()?;
    let header = header.unwrap_or_default();
    let column = |name: &str| {
        let in_ms = format!("{name}_ms");
        let found = header.iter().position(|h| h == name || *h == in_ms);
        found.with_context(|| format!("line 1: no column {name}; there must be {COLUMNS}"))
    };
    let at = [
        column("case")?,
        column("series")?,
        column("capacity")?,
        column("from")?,
        column("to")?,
    ];
    let mut cases = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let case = case(line, header.len(), at).with_context(|| format!("line {number}"))?;
        cases.push(case);
    }
    if cases.is_empty() {
        bail!("there is no case in it");
    }
    Ok(cases)
}

fn case(line: &str, columns: usize, at: [usize; 5]) -> anyhow::Result<Case> {
    let fields = fields(line)?;
    if fields.len() != columns {
        bail!("{} fields, {columns} in the header", fields.len());
    }
    let [name, series, capacity, from, to] = at.map(|at| fields[at].trim());
    let number = capacity.parse::<f64>().ok().filter(|n| n.is_finite());
    Ok(Case {
        name: name.to_owned(),
        series: series.to_owned(),
        capacity: number.with_context(|| format!("capacity {capacity:?} is no number"))?,
        from_ms: moment(from).context("from")?,
        to_ms: moment(to).context("to")?,
    })
}

/// A moment: milliseconds since the Unix epoch, RFC 3339 or a UTC date; nothing where it is empty.
fn moment(text: &str) -> anyhow::Result<Option<i64>> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(ms) = text.parse() {
        return Ok(Some(ms));
    }
    match range::parse_moment(text) {
        Ok(Moment::AtMs(ms)) => Ok(Some(ms)),
        _ => bail!("{text:?} is no moment: RFC 3339, a UTC date, or Unix milliseconds"),
    }
}

/// The fields of a line.
fn fields(line: &str) -> anyhow::Result<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if quoted {
        bail!("a double quote is not closed");
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_a_line_and_its_moments_may_be_left_out() {
        let text = "to,case,series,capacity,from_ms\n\
                    2026-01-01,a,\"used{host=\"\"db-1\"\",mode=\"\"x\"\"}\",1.5e9,1000\r\n\
                    ,b,db-2,7,\n";
        let cases = parse(text).unwrap();
        assert_eq!(cases[0].series, "used{host=\"db-1\",mode=\"x\"}");
        assert_eq!(
            (cases[0].capacity, cases[0].from_ms, cases[0].to_ms),
            (1.5e9, Some(1_000), Some(1_767_225_600_000))
        );
        assert_eq!((cases[1].from_ms, cases[1].to_ms), (None, None));
    }

    #[test]
    fn what_is_no_case_is_named_by_its_line() {
        for (text, expected) in [
            ("", "no column case"),
            ("case,series,capacity,from\n", "no column to"),
            ("case,series,capacity,from,to\n", "no case"),
            (
                "case,series,capacity,from,to\na,b,c,,\n",
                "line 2: capacity \"c\"",
            ),
            (
                "case,series,capacity,from,to\na,b,1,x,\n",
                "line 2: from: \"x\"",
            ),
            (
                "case,series,capacity,from,to\na,b,1,\n",
                "line 2: 4 fields, 5",
            ),
            (
                "case,series,capacity,from,to\na,\"b,1,,\n",
                "line 2: a double quote",
            ),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
