//! Handles and tables that run out: open files and tracked connections at every tick, the limits
//! that hardly ever change (processes, threads, connections) now and then.

use hostwell_proto::metric::Metric;

use super::kept::KeptFile;
use super::rows::Rows;
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

/// The `column`-th number of a file that is one line.
fn parse(text: &[u8], column: usize) -> Result<u64, Malformed> {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut fields = scan::fields(line);
    fields.nth(column).and_then(scan::number).ok_or(Malformed {
        line: 1,
        what: "expected a number",
    })
}

/// Files of one line each and what their columns are; what a host lacks is left out.
#[derive(Debug)]
pub(super) struct Numbers {
    files: Vec<(KeptFile, Vec<(usize, Metric)>)>,
    rows: Rows,
}

impl Numbers {
    fn new(files: &[(&'static str, &[(usize, Metric)])]) -> Numbers {
        let file = |(path, columns): &(&'static str, &[(usize, Metric)])| {
            (KeptFile::whole(path), columns.to_vec())
        };
        Numbers {
            files: files.iter().map(file).collect(),
            rows: Rows::default(),
        }
    }

    /// `/proc/sys/fs/file-nr`: file handles in use and the limit.
    pub(super) fn file_handles() -> Numbers {
        Numbers::new(&[(
            "proc/sys/fs/file-nr",
            &[(0, Metric::FilesAllocated), (2, Metric::FilesMaximum)],
        )])
    }

    /// The connections the firewall tracks.
    pub(super) fn conntrack() -> Numbers {
        Numbers::new(&[(
            "proc/sys/net/netfilter/nf_conntrack_count",
            &[(0, Metric::ConntrackEntries)],
        )])
    }

    /// Limits of connections, process numbers and threads.
    pub(super) fn limits() -> Numbers {
        Numbers::new(&[
            (
                "proc/sys/net/netfilter/nf_conntrack_max",
                &[(0, Metric::ConntrackLimit)],
            ),
            ("proc/sys/kernel/pid_max", &[(0, Metric::ProcessesMax)]),
            ("proc/sys/kernel/threads-max", &[(0, Metric::ThreadsMax)]),
        ])
    }
}

impl Probe for Numbers {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        self.rows.start();
        let mut found = false;
        for (file, columns) in &mut self.files {
            let path = file.path();
            let text = match file.read(source) {
                Ok(text) => text,
                Err(ProbeError::Absent) => continue,
                Err(e) => return Err(e),
            };
            for (column, metric) in columns {
                let value = parse(text, *column).map_err(|m| m.at(path))?;
                self.rows.put_metric(*metric, value as f64, out);
            }
            found = true;
        }
        match found {
            true => Ok(()),
            false => Err(ProbeError::Absent),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_asked_column_is_read() {
        assert_eq!(parse(b"637\t0\t2466183\n", 0), Ok(637));
        assert_eq!(parse(b"637\t0\t2466183\n", 2), Ok(2_466_183));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "\n", "x\n", "1 2\n", "0 0 -1"] {
            assert!(parse(text.as_bytes(), 2).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, column in 0usize..4) {
            let _ = parse(&bytes, column);
        }

        #[test]
        fn every_value_comes_back(value: u64) {
            prop_assert_eq!(parse(format!("{value}\n").as_bytes(), 0), Ok(value));
        }
    }
}
