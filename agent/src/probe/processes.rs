//! How many processes there are: the folders of `/proc` whose name is a number. Nothing in them
//! is opened, so that hosts with thousands of processes cost a few system calls.

use hostwell_proto::metric::Metric;

use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const PATH: &str = "proc";

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Processes;

impl Probe for Processes {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let entries = std::fs::read_dir(source.path(PATH));
        let entries = entries.map_err(|e| ProbeError::io(PATH, e))?;
        let is_process = |name: &[u8]| name.iter().all(u8::is_ascii_digit);
        let count = entries
            .filter_map(Result::ok)
            .filter(|entry| is_process(entry.file_name().as_encoded_bytes()))
            .count();
        if count == 0 {
            return Err(ProbeError::Absent);
        }
        out.add(Metric::Processes, &[], count as f64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_a_number_are_processes() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::fixture(dir.path()).unwrap();
        let (mut table, mut readings) = Default::default();
        let mut out = Readings {
            table: &mut table,
            readings: &mut readings,
        };
        std::fs::create_dir_all(dir.path().join("proc/sys")).unwrap();
        let empty = Processes.read(&source, &mut out);
        assert!(matches!(empty, Err(ProbeError::Absent)));
        for name in ["1", "42", "7x"] {
            std::fs::create_dir(dir.path().join("proc").join(name)).unwrap();
        }
        Processes.read(&source, &mut out).unwrap();
        assert_eq!(readings, [(0, 2.0)]);
    }
}
