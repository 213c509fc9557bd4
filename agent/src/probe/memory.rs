//! `/proc/meminfo`: memory, swap and huge pages.

use hostwell_proto::metric::Metric;

use super::kept::{KeptFile, KeptTable};
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const KIB: u64 = 1024;

/// Each word of the file that is read.
const WORDS: &[(&str, Metric)] = &[
    ("MemTotal", Metric::MemTotal),
    ("MemFree", Metric::MemFree),
    ("MemAvailable", Metric::MemAvailable),
    ("Buffers", Metric::MemBuffers),
    ("Cached", Metric::MemCached),
    ("SwapCached", Metric::SwapCached),
    ("Active", Metric::MemActive),
    ("Inactive", Metric::MemInactive),
    ("Unevictable", Metric::MemUnevictable),
    ("Mlocked", Metric::MemMlocked),
    ("SwapTotal", Metric::SwapTotal),
    ("SwapFree", Metric::SwapFree),
    ("Dirty", Metric::MemDirty),
    ("Writeback", Metric::MemWriteback),
    ("AnonPages", Metric::MemAnonPages),
    ("Mapped", Metric::MemMapped),
    ("Shmem", Metric::MemShmem),
    ("Slab", Metric::MemSlab),
    ("SReclaimable", Metric::MemSReclaimable),
    ("SUnreclaim", Metric::MemSUnreclaim),
    ("KernelStack", Metric::MemKernelStack),
    ("PageTables", Metric::MemPageTables),
    ("CommitLimit", Metric::MemCommitLimit),
    ("Committed_AS", Metric::MemCommittedAs),
    ("HardwareCorrupted", Metric::MemHardwareCorrupted),
    ("AnonHugePages", Metric::MemAnonHugePages),
    ("HugePages_Total", Metric::HugePagesTotal),
    ("HugePages_Free", Metric::HugePagesFree),
    ("Hugepagesize", Metric::HugePageSize),
];

/// Calls `each` with every word and its value: bytes where the file says kB, else as it is.
fn parse<'a>(text: &'a [u8], mut each: impl FnMut(&'a [u8], u64)) -> Result<(), Malformed> {
    let mut total = false;
    for line in scan::lines(text) {
        // A line without a colon is a table of kernels before 2.6; the words follow it.
        let Some((word, rest)) = scan::split_once(line.bytes, b':') else {
            return Err(line.malformed("expected `word: number`"));
        };
        let found = scan::leading_number(rest.trim_ascii_start());
        let found = found.filter(|(_, unit)| matches!(unit.first(), None | Some(b' ' | b'\t')));
        let (value, unit) = found.ok_or_else(|| line.malformed("expected a number"))?;
        let bytes = match unit.trim_ascii() {
            b"kB" => value
                .checked_mul(KIB)
                .ok_or_else(|| line.malformed("expected a sane amount of memory"))?,
            _ => value,
        };
        total |= word == b"MemTotal";
        each(word, bytes);
    }
    match total {
        true => Ok(()),
        false => Err(Malformed {
            line: 1,
            what: "expected MemTotal",
        }),
    }
}

/// The probe.
#[derive(Debug)]
pub(super) struct Memory {
    table: KeptTable,
}

impl Default for Memory {
    fn default() -> Self {
        Memory {
            table: KeptTable::of(KeptFile::whole("proc/meminfo")),
        }
    }
}

impl Probe for Memory {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        self.table.read(source, |text, rows| {
            parse(text, |word, value| {
                let numbers = rows.numbers(word, || {
                    let known = WORDS.iter().filter(|(known, _)| known.as_bytes() == word);
                    known.map(|(_, m)| out.table.number(*m, &[])).collect()
                });
                for number in numbers {
                    out.readings.push((*number, value as f64));
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, u64)>, Malformed> {
        let mut found = Vec::new();
        parse(text.as_bytes(), |word, value| {
            found.push((scan::label(word).into_owned(), value));
        })
        .map(|()| found)
    }

    #[test]
    fn kilobytes_become_bytes_and_counts_stay() {
        assert_eq!(
            parsed("MemTotal:  2 kB\nHugePages_Total:   3\n").unwrap(),
            [
                ("MemTotal".to_owned(), 2048),
                ("HugePages_Total".to_owned(), 3)
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line) in [
            ("MemTotal: 1 kB\nMemFree 3 kB\n", 2),
            ("MemTotal: x kB\n", 1),
            ("MemTotal: 18446744073709551615 kB\n", 1),
            ("MemFree: 1 kB\n", 1),
            ("", 1),
        ] {
            assert_eq!(parsed(text).unwrap_err().line, line, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, |_, _| ());
        }

        #[test]
        fn every_value_comes_back(kib in 0..u64::MAX / KIB) {
            let text = format!("MemTotal:    {kib} kB\n");
            prop_assert_eq!(parsed(&text).unwrap()[0].1, kib * KIB);
        }
    }
}
