//! `/proc/vmstat`: page faults, paging, swapping, processes killed for want of memory.

use hostwell_proto::metric::Metric;

use super::kept::{KeptFile, KeptTable};
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

/// Each word of the file that is read.
const WORDS: [(&[u8], Metric); 7] = [
    (b"pgpgin", Metric::PagesIn),
    (b"pgpgout", Metric::PagesOut),
    (b"pswpin", Metric::SwapIn),
    (b"pswpout", Metric::SwapOut),
    (b"pgfault", Metric::PageFaults),
    (b"pgmajfault", Metric::MajorPageFaults),
    (b"oom_kill", Metric::OomKills),
];

/// The last of them: the kernel writes its events in one order.
const LAST: &[u8] = b"oom_kill ";

/// Calls `each` with the words that are read; the hundred others are only passed over.
fn parse(text: &[u8], mut each: impl FnMut(Metric, u64)) -> Result<(), Malformed> {
    for line in scan::lines(text) {
        if !matches!(line.bytes[0], b'p' | b'o') {
            continue;
        }
        let Some((word, value)) = scan::split_once(line.bytes, b' ') else {
            return Err(line.malformed("expected `word number`"));
        };
        if let Some((_, metric)) = WORDS.iter().find(|(known, _)| *known == word) {
            each(*metric, line.number(Some(value), "expected a count")?);
        }
    }
    Ok(())
}

/// The probe.
#[derive(Debug)]
pub(super) struct Vmstat {
    table: KeptTable,
}

impl Default for Vmstat {
    fn default() -> Self {
        Vmstat {
            // The kernel adds its counters up over all CPUs for each piece of a page, and what
            // comes behind the first one is not read.
            table: KeptTable::of(KeptFile::rows_until("proc/vmstat", 64, LAST)),
        }
    }
}

impl Probe for Vmstat {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        self.table.read(source, |text, rows| {
            parse(text, |metric, value| {
                rows.put_metric(metric, value as f64, out);
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
    fn known_words_are_read_and_words_that_begin_alike_are_not() {
        assert_eq!(
            parsed("nr_free_pages x\npgfault 7\npgfaultx 8\noom_kill 1\n").unwrap(),
            [(Metric::PageFaults, 7), (Metric::OomKills, 1)]
        );
    }

    #[test]
    fn a_known_word_without_a_number_is_named_with_its_line() {
        assert_eq!(parsed("a 1\npswpin ?\n").unwrap_err().line, 2);
        assert_eq!(parsed("pswpin\n").unwrap_err().line, 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, |_, _| ());
        }

        #[test]
        fn every_value_comes_back(value: u64) {
            prop_assert_eq!(
                parsed(&format!("pgmajfault {value}\n")).unwrap(),
                [(Metric::MajorPageFaults, value)]
            );
        }
    }
}
