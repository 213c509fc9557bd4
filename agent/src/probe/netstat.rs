//! `/proc/net/snmp` and `/proc/net/netstat`: TCP, UDP, IP and ICMP counters.
//!
//! Two probes: the kernel adds the second file's 180 counters up over all CPUs, which costs as
//! much as half of all other subjects of a tick together, so that one is slow.

use hostwell_proto::metric::Metric;

use super::kept::{KeptFile, KeptTable};
use super::scan::{self, Line, Malformed};
use super::{Probe, ProbeError};
use crate::sample::{Readings, SeriesNumber};
use crate::source::Source;

/// Each word that is read, with its protocol as the file writes it.
const WORDS: &[(&str, &str, Metric)] = &[
    ("Ip", "Forwarding", Metric::IpForwarding),
    ("Icmp", "InMsgs", Metric::IcmpInMsgs),
    ("Icmp", "InErrors", Metric::IcmpInErrors),
    ("Icmp", "OutMsgs", Metric::IcmpOutMsgs),
    ("Tcp", "ActiveOpens", Metric::TcpActiveOpens),
    ("Tcp", "PassiveOpens", Metric::TcpPassiveOpens),
    ("Tcp", "CurrEstab", Metric::TcpCurrEstab),
    ("Tcp", "InSegs", Metric::TcpInSegs),
    ("Tcp", "OutSegs", Metric::TcpOutSegs),
    ("Tcp", "RetransSegs", Metric::TcpRetransSegs),
    ("Tcp", "InErrs", Metric::TcpInErrs),
    ("Tcp", "OutRsts", Metric::TcpOutRsts),
    ("TcpExt", "ListenOverflows", Metric::TcpListenOverflows),
    ("TcpExt", "ListenDrops", Metric::TcpListenDrops),
    ("TcpExt", "TCPSynRetrans", Metric::TcpSynRetrans),
    ("TcpExt", "TCPTimeouts", Metric::TcpTimeouts),
    ("TcpExt", "SyncookiesSent", Metric::TcpSyncookiesSent),
    ("TcpExt", "SyncookiesRecv", Metric::TcpSyncookiesRecv),
    ("TcpExt", "SyncookiesFailed", Metric::TcpSyncookiesFailed),
    ("Udp", "InDatagrams", Metric::UdpInDatagrams),
    ("Udp", "OutDatagrams", Metric::UdpOutDatagrams),
    ("Udp", "NoPorts", Metric::UdpNoPorts),
    ("Udp", "InErrors", Metric::UdpInErrors),
    ("Udp", "RcvbufErrors", Metric::UdpRcvbufErrors),
    ("Udp", "SndbufErrors", Metric::UdpSndbufErrors),
    ("IpExt", "InOctets", Metric::IpExtInOctets),
    ("IpExt", "OutOctets", Metric::IpExtOutOctets),
];

/// Stands for a column that is not read.
const UNREAD: SeriesNumber = SeriesNumber::MAX;

/// Calls `each` with every pair of lines: the names (`Tcp: ActiveOpens …`) and the numbers.
fn parse<'a>(
    text: &'a [u8],
    mut each: impl FnMut(Line<'a>, Line<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut lines = scan::lines(text);
    while let Some(names) = lines.next() {
        let values = lines.next();
        let values =
            values.ok_or_else(|| names.malformed("expected a line of numbers after it"))?;
        let (Some((protocol, _)), Some((same, _))) = (
            scan::split_once(names.bytes, b':'),
            scan::split_once(values.bytes, b':'),
        ) else {
            return Err(names.malformed("expected `protocol: names`"));
        };
        if protocol != same {
            return Err(values.malformed("expected the numbers of the line before"));
        }
        each(names, values)?;
    }
    Ok(())
}

/// The metric of each column of a line of names, where it is read.
fn columns(names: Line<'_>) -> Vec<Option<Metric>> {
    let (protocol, rest) = scan::split_once(names.bytes, b':').unwrap_or_default();
    let metric = |name: &[u8]| {
        let known = WORDS
            .iter()
            .find(|(p, n, _)| p.as_bytes() == protocol && n.as_bytes() == name);
        known.map(|(_, _, metric)| *metric)
    };
    scan::fields(rest).map(metric).collect()
}

/// The probe.
#[derive(Debug)]
pub(super) struct Netstat {
    table: KeptTable,
}

impl Netstat {
    /// The protocols' main counters.
    pub(super) fn main() -> Netstat {
        Netstat::new("proc/net/snmp")
    }

    /// Linux' further counters: listen queues, timeouts, SYN cookies.
    pub(super) fn further() -> Netstat {
        Netstat::new("proc/net/netstat")
    }

    fn new(path: &'static str) -> Netstat {
        Netstat {
            table: KeptTable::of(KeptFile::whole(path)),
        }
    }
}

impl Probe for Netstat {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        self.table.read(source, |text, rows| {
            parse(text, |names, values| {
                // The whole line of names is the key: the columns are looked up once a kernel.
                let numbers = rows.numbers(names.bytes, || {
                    let number = |metric: Option<Metric>| match metric {
                        Some(metric) => out.table.number(metric, &[]),
                        None => UNREAD,
                    };
                    let numbers: Vec<_> = columns(names).into_iter().map(number).collect();
                    match numbers.iter().all(|n| *n == UNREAD) {
                        true => Vec::new(),
                        false => numbers,
                    }
                });
                let mut fields = values.fields().skip(1);
                for number in numbers {
                    let field = fields.next();
                    if *number != UNREAD {
                        let value = values.number(field, "expected a number for each name")?;
                        out.readings.push((*number, value as f64));
                    }
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

    fn pairs(text: &str) -> Result<Vec<(u32, u32)>, Malformed> {
        let mut found = Vec::new();
        parse(text.as_bytes(), |names, values| {
            found.push((names.number, values.number));
            Ok(())
        })
        .map(|()| found)
    }

    #[test]
    fn names_and_numbers_come_in_pairs() {
        assert_eq!(
            pairs("Ip: A B\nIp: 1 -1\nTcp: C\nTcp: 2\n"),
            Ok(vec![(1, 2), (3, 4)])
        );
        for (text, line) in [("Ip: A\n", 1), ("Ip: A\nTcp: 1\n", 2), ("Ip A\nIp: 1\n", 1)] {
            assert_eq!(pairs(text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn only_words_of_their_own_protocol_are_read() {
        let line = Line {
            bytes: b"Udp: InDatagrams RetransSegs InErrors",
            number: 1,
        };
        assert_eq!(
            columns(line),
            [
                Some(Metric::UdpInDatagrams),
                None,
                Some(Metric::UdpInErrors)
            ]
        );
    }

    #[test]
    fn a_missing_or_wrong_number_loses_the_probe_and_an_unread_one_may_be_negative() {
        for (snmp, line) in [
            ("Tcp: MaxConn InSegs\nTcp: -1 x\n", Some(2)),
            ("Tcp: MaxConn InSegs\nTcp: -1\n", Some(2)),
            ("Tcp: MaxConn InSegs\nTcp: -1 7\n", None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("proc/net")).unwrap();
            std::fs::write(dir.path().join("proc/net/snmp"), snmp).unwrap();
            let source = Source::fixture(dir.path()).unwrap();
            let (mut table, mut readings) = Default::default();
            let mut out = Readings {
                table: &mut table,
                readings: &mut readings,
            };
            match (Netstat::main().read(&source, &mut out), line) {
                (Ok(()), None) => assert_eq!(readings, [(0, 7.0)]),
                (Err(ProbeError::Malformed { line, .. }), Some(expected)) => {
                    assert_eq!(line, expected);
                }
                (result, _) => panic!("{snmp:?}: {result:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, |names, _| { columns(names); Ok(()) });
        }
    }
}
