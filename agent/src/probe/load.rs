//! `/proc/loadavg`: load averages and the number of threads.

use hostwell_proto::metric::Metric;

use super::kept::KeptFile;
use super::rows::Rows;
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const METRICS: [Metric; 3] = [Metric::Load1, Metric::Load5, Metric::Load15];

fn parse(text: &[u8]) -> Result<[f64; 3], Malformed> {
    let wrong = Malformed {
        line: 1,
        what: "expected three load averages",
    };
    let mut loads = [0.0; 3];
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut fields = scan::fields(line);
    for load in &mut loads {
        *load = fields.next().and_then(scan::fraction).ok_or(wrong)?;
    }
    match loads.iter().all(|load| *load >= 0.0) {
        true => Ok(loads),
        false => Err(wrong),
    }
}

/// The probe.
#[derive(Debug)]
pub(super) struct Load {
    file: KeptFile,
    rows: Rows,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            file: KeptFile::whole("proc/loadavg"),
            rows: Rows::default(),
        }
    }
}

impl Probe for Load {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let path = self.file.path();
        let loads = parse(self.file.read(source)?).map_err(|m| m.at(path))?;
        self.rows.start();
        for (metric, load) in METRICS.into_iter().zip(loads) {
            self.rows.put_metric(metric, load, out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_three_numbers_are_the_loads() {
        assert_eq!(
            parse(b"0.21 0.37 12.39 1/719 19737\n"),
            Ok([0.21, 0.37, 12.39])
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "0.1 0.2", "0.1 x 0.3", "-1 0 0", "NaN 0 0"] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn loads_come_back(hundredths: [u32; 3]) {
            let loads = hundredths.map(|h| f64::from(h) / 100.0);
            let text = format!("{:.2} {:.2} {:.2} 1/2 3\n", loads[0], loads[1], loads[2]);
            prop_assert_eq!(parse(text.as_bytes()), Ok(loads));
        }
    }
}
