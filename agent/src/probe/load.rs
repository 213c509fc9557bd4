//! `/proc/loadavg`: load averages and the number of threads.

use hostwell_proto::metric::Metric;

use super::kept::{KeptFile, KeptTable};
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const METRICS: [Metric; 3] = [Metric::Load1, Metric::Load5, Metric::Load15];

/// What the line says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Averages {
    loads: [f64; 3],
    /// Threads there are, kernel threads included.
    threads: u64,
}

fn parse(text: &[u8]) -> Result<Averages, Malformed> {
    let wrong = Malformed {
        line: 1,
        what: "expected three load averages and running/threads",
    };
    let mut loads = [0.0; 3];
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut fields = scan::fields(line);
    for load in &mut loads {
        *load = fields.next().and_then(scan::fraction).ok_or(wrong)?;
    }
    if loads.iter().any(|load| *load < 0.0) {
        return Err(wrong);
    }
    let (_, threads) = fields
        .next()
        .and_then(|field| scan::split_once(field, b'/'))
        .ok_or(wrong)?;
    let threads = scan::number(threads).ok_or(wrong)?;
    Ok(Averages { loads, threads })
}

/// The probe.
#[derive(Debug)]
pub(super) struct Load {
    table: KeptTable,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            table: KeptTable::of(KeptFile::whole("proc/loadavg")),
        }
    }
}

impl Probe for Load {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        self.table.read(source, |text, rows| {
            let averages = parse(text)?;
            for (metric, load) in METRICS.into_iter().zip(averages.loads) {
                rows.put_metric(metric, load, out);
            }
            let threads = averages.threads as f64;
            rows.put_metric(Metric::Threads, threads, out);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_three_numbers_are_the_loads() {
        let expected = Averages {
            loads: [0.21, 0.37, 12.39],
            threads: 719,
        };
        assert_eq!(parse(b"0.21 0.37 12.39 1/719 19737\n"), Ok(expected));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "0.1 0.2",
            "0.1 x 0.3 1/2",
            "-1 0 0 1/2",
            "NaN 0 0 1/2",
            "1 2 3",
            "1 2 3 4",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn loads_come_back(hundredths: [u32; 3], threads: u64) {
            let loads = hundredths.map(|h| f64::from(h) / 100.0);
            let text = format!(
                "{:.2} {:.2} {:.2} 1/{threads} 3\n", loads[0], loads[1], loads[2]
            );
            prop_assert_eq!(parse(text.as_bytes()), Ok(Averages { loads, threads }));
        }
    }
}
