//! `/proc/pressure`: how long tasks waited for CPU, memory, input and output.

use hostwell_proto::metric::Metric;

use super::kept::KeptFile;
use super::rows::Rows;
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const MICROSECONDS: f64 = 1e6;

/// A pressure file's totals in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    /// Some task waited.
    some: Option<u64>,
    /// Every task waited.
    full: Option<u64>,
}

fn parse(text: &[u8]) -> Result<Totals, Malformed> {
    let mut totals = Totals::default();
    for line in scan::lines(text) {
        let mut fields = line.fields();
        let slot = match fields.next() {
            Some(b"some") => &mut totals.some,
            Some(b"full") => &mut totals.full,
            _ => return Err(line.malformed("expected `some` or `full`")),
        };
        let total = fields.find_map(|field| field.strip_prefix(b"total="));
        *slot = Some(line.number(total, "expected total=microseconds")?);
    }
    match totals.some {
        Some(_) => Ok(totals),
        None => Err(Malformed {
            line: 1,
            what: "expected a line `some`",
        }),
    }
}

/// The probe.
#[derive(Debug)]
pub(super) struct Pressure {
    files: [(KeptFile, Metric, Metric); 3],
    rows: Rows,
}

impl Default for Pressure {
    fn default() -> Self {
        Pressure {
            files: [
                (
                    KeptFile::whole("proc/pressure/cpu"),
                    Metric::PressureCpuWaiting,
                    Metric::PressureCpuStalled,
                ),
                (
                    KeptFile::whole("proc/pressure/memory"),
                    Metric::PressureMemoryWaiting,
                    Metric::PressureMemoryStalled,
                ),
                (
                    KeptFile::whole("proc/pressure/io"),
                    Metric::PressureIoWaiting,
                    Metric::PressureIoStalled,
                ),
            ],
            rows: Rows::default(),
        }
    }
}

impl Probe for Pressure {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        self.rows.start();
        for (file, some, full) in &mut self.files {
            let path = file.path();
            let totals = parse(file.read(source)?).map_err(|m| m.at(path))?;
            // Kernels before 5.13 have no `full` line for the CPU.
            for (metric, total) in [(*some, totals.some), (*full, totals.full)] {
                if let Some(total) = total {
                    let seconds = total as f64 / MICROSECONDS;
                    self.rows.put_metric(metric, seconds, out);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOME: &str = "some avg10=0.00 avg60=0.10 avg300=1.00 total=123456";

    #[test]
    fn totals_are_read_with_and_without_a_full_line() {
        let full = format!("{SOME}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
        assert_eq!(
            parse(full.as_bytes()),
            Ok(Totals {
                some: Some(123_456),
                full: Some(7)
            })
        );
        assert_eq!(parse(SOME.as_bytes()).map(|t| t.full), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line) in [
            (String::new(), 1),
            ("full total=1\n".to_owned(), 1),
            (format!("{SOME}\nfull avg10=0.00\n"), 2),
            (format!("{SOME}\nmore total=1\n"), 2),
            ("some total=-1\n".to_owned(), 1),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().line, line, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn totals_come_back(some: u64, full: u64) {
            let text = format!("some avg10=0.00 total={some}\nfull avg10=0.00 total={full}\n");
            let totals = Totals { some: Some(some), full: Some(full) };
            prop_assert_eq!(parse(text.as_bytes()), Ok(totals));
        }
    }
}
