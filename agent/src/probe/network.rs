//! `/proc/net/dev`: traffic, errors and drops of each interface.

use hostwell_proto::metric::Metric;

use super::kept::{KeptFile, KeptTable};
use super::scan::{self, Line, Malformed};
use super::select::Selection;
use super::{Probe, ProbeError, ProbeOptions};
use crate::sample::Readings;
use crate::source::Source;

const HEADER_LINES: u32 = 2;
const COLUMNS: usize = 16;

/// The table's columns that are read, and what they are.
const READ: [(usize, Metric); 14] = [
    (0, Metric::NetReceiveBytes),
    (1, Metric::NetReceivePackets),
    (2, Metric::NetReceiveErrs),
    (3, Metric::NetReceiveDrop),
    (4, Metric::NetReceiveFifo),
    (5, Metric::NetReceiveFrame),
    (7, Metric::NetReceiveMulticast),
    (8, Metric::NetTransmitBytes),
    (9, Metric::NetTransmitPackets),
    (10, Metric::NetTransmitErrs),
    (11, Metric::NetTransmitDrop),
    (12, Metric::NetTransmitFifo),
    (13, Metric::NetTransmitColls),
    (14, Metric::NetTransmitCarrier),
];

/// The rest of an interface's line: those of containers are read by nobody.
struct Counters<'a> {
    line: Line<'a>,
    text: &'a [u8],
}

impl Counters<'_> {
    fn read(&self) -> Result<[u64; COLUMNS], Malformed> {
        let mut counters = [0; COLUMNS];
        let mut fields = scan::fields(self.text);
        for counter in &mut counters {
            let field = fields.next();
            *counter = self.line.number(field, "expected sixteen counters")?;
        }
        Ok(counters)
    }
}

/// Calls `each` with every interface and its counters.
fn parse<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a [u8], Counters<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for line in scan::lines(text).filter(|line| line.number > HEADER_LINES) {
        // The last colon: an alias has one in its name, a number never.
        let colon = line.bytes.iter().rposition(|b| *b == b':');
        let colon = colon.ok_or_else(|| line.malformed("expected `interface: counters`"))?;
        let name = line.bytes[..colon].trim_ascii();
        if name.is_empty() {
            return Err(line.malformed("expected the name of an interface"));
        }
        let text = &line.bytes[colon + 1..];
        each(name, Counters { line, text })?;
    }
    Ok(())
}

/// The probe.
#[derive(Debug)]
pub(super) struct Network {
    table: KeptTable,
    interfaces: Selection,
}

impl Network {
    /// Reads the interfaces that the options ask for.
    pub(super) fn new(options: &ProbeOptions) -> Network {
        Network {
            table: KeptTable::of(KeptFile::rows("proc/net/dev", 512)),
            interfaces: Selection::new(&options.interfaces_include, &options.interfaces_exclude),
        }
    }
}

impl Probe for Network {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let interfaces = &self.interfaces;
        self.table.read(source, |text, rows| {
            parse(text, |name, counters| {
                let numbers = rows.numbers(name, || {
                    let name = scan::label(name);
                    if !interfaces.takes(&name) {
                        return Vec::new();
                    }
                    READ.map(|(_, m)| out.table.number(m, &[&name])).to_vec()
                });
                if numbers.is_empty() {
                    return Ok(());
                }
                let counters = counters.read()?;
                for (number, (column, _)) in numbers.iter().zip(READ) {
                    out.readings.push((*number, counters[column] as f64));
                }
                Ok(())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "Inter-|   Receive |  Transmit\n face |bytes packets\n";

    fn parsed(text: &str) -> Result<Vec<(String, [u64; COLUMNS])>, Malformed> {
        let mut found = Vec::new();
        parse(text.as_bytes(), |name, counters| {
            found.push((scan::label(name).into_owned(), counters.read()?));
            Ok(())
        })
        .map(|()| found)
    }

    #[test]
    fn interfaces_are_read_even_when_the_number_touches_the_colon() {
        let text = format!(
            "{HEADER}    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n\
             eth0:1:170 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
        );
        let found = parsed(&text).unwrap();
        assert_eq!(found[0].0, "lo");
        assert_eq!((found[1].0.as_str(), found[1].1[0]), ("eth0:1", 170));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (line, number) in [
            ("eth0 1 2 3\n", 3),
            ("eth0: 1 2 3\n", 3),
            (": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", 3),
            ("eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 -1\n", 3),
        ] {
            let text = format!("{HEADER}{line}");
            assert_eq!(parsed(&text).unwrap_err().line, number, "{line:?}");
        }
        assert_eq!(parsed(HEADER), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, |_, counters| counters.read().map(drop));
        }

        #[test]
        fn counters_come_back(counters: [u64; COLUMNS], name in "[a-z][a-z0-9.:@-]{0,14}") {
            let words: Vec<String> = counters.iter().map(u64::to_string).collect();
            let text = format!("{HEADER}{name:>6}: {}\n", words.join("  "));
            prop_assert_eq!(parsed(&text), Ok(vec![(name, counters)]));
        }
    }
}
