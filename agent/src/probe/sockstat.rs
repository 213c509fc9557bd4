//! `/proc/net/sockstat`: sockets in use and the memory they hold.

use hostwell_proto::metric::Metric;

use super::kept::{KeptFile, KeptTable};
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

/// Each word that is read, with its protocol as the file writes it.
const WORDS: [(&[u8], &[u8], Metric); 8] = [
    (b"sockets", b"used", Metric::SocketsUsed),
    (b"TCP", b"inuse", Metric::TcpSocketsInUse),
    (b"TCP", b"orphan", Metric::TcpSocketsOrphan),
    (b"TCP", b"tw", Metric::TcpSocketsTimeWait),
    (b"TCP", b"alloc", Metric::TcpSocketsAlloc),
    (b"TCP", b"mem", Metric::TcpSocketsMem),
    (b"UDP", b"inuse", Metric::UdpSocketsInUse),
    (b"UDP", b"mem", Metric::UdpSocketsMem),
];

/// Calls `each` with the words that are read: `TCP: inuse 5 orphan 0 …`.
fn parse(text: &[u8], mut each: impl FnMut(Metric, u64)) -> Result<(), Malformed> {
    for line in scan::lines(text) {
        let Some((protocol, rest)) = scan::split_once(line.bytes, b':') else {
            return Err(line.malformed("expected `protocol: name number …`"));
        };
        let mut fields = scan::fields(rest);
        while let Some(name) = fields.next() {
            let value = line.number(fields.next(), "expected a number after each name")?;
            let known = WORDS.iter().find(|(p, n, _)| *p == protocol && *n == name);
            if let Some((_, _, metric)) = known {
                each(*metric, value);
            }
        }
    }
    Ok(())
}

/// The probe.
#[derive(Debug)]
pub(super) struct Sockstat {
    table: KeptTable,
}

impl Default for Sockstat {
    fn default() -> Self {
        Sockstat {
            table: KeptTable::of(KeptFile::whole("proc/net/sockstat")),
        }
    }
}

impl Probe for Sockstat {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let page_bytes = source.page_bytes() as f64;
        self.table.read(source, |text, rows| {
            parse(text, |metric, value| {
                let value = value as f64;
                rows.put_metric(metric, value, out);
                let in_bytes = match metric {
                    Metric::TcpSocketsMem => Metric::TcpSocketsMemBytes,
                    Metric::UdpSocketsMem => Metric::UdpSocketsMemBytes,
                    _ => return,
                };
                rows.put_metric(in_bytes, value * page_bytes, out);
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<(Metric, u64)>, Malformed> {
        let mut found = Vec::new();
        parse(text.as_bytes(), |metric, value| found.push((metric, value))).map(|()| found)
    }

    #[test]
    fn known_words_are_read() {
        assert_eq!(
            parsed("sockets: used 9\nTCP: inuse 1 orphan 2 mem 3\nRAW: inuse 4\n").unwrap(),
            [
                (Metric::SocketsUsed, 9),
                (Metric::TcpSocketsInUse, 1),
                (Metric::TcpSocketsOrphan, 2),
                (Metric::TcpSocketsMem, 3)
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line) in [("sockets used 1\n", 1), ("a: b 1\nTCP: inuse\n", 2)] {
            assert_eq!(parsed(text).unwrap_err().line, line, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, |_, _| ());
        }

        #[test]
        fn every_value_comes_back(value: u64) {
            let expected = [(Metric::UdpSocketsInUse, value)];
            prop_assert_eq!(parsed(&format!("UDP: inuse {value}\n")).unwrap(), expected);
        }
    }
}
