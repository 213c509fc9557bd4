//! `/proc/diskstats`: what each block device did.

use hostwell_proto::metric::Metric;

use super::kept::{KeptFile, KeptTable};
use super::scan::{self, Fields, Line, Malformed};
use super::select::Selection;
use super::{Probe, ProbeError, ProbeOptions};
use crate::sample::Readings;
use crate::source::Source;

/// The kernel counts sectors of this size, whatever the device has.
const SECTOR_BYTES: f64 = 512.0;
const MILLISECONDS: f64 = 1000.0;

#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Plain,
    Sectors,
    Milliseconds,
}

/// The columns after the name, in order. Discards came with 4.18, flushes with 5.5.
const COLUMNS: [(Metric, Scale); 17] = [
    (Metric::DiskReads, Scale::Plain),
    (Metric::DiskReadsMerged, Scale::Plain),
    (Metric::DiskReadBytes, Scale::Sectors),
    (Metric::DiskReadTime, Scale::Milliseconds),
    (Metric::DiskWrites, Scale::Plain),
    (Metric::DiskWritesMerged, Scale::Plain),
    (Metric::DiskWrittenBytes, Scale::Sectors),
    (Metric::DiskWriteTime, Scale::Milliseconds),
    (Metric::DiskIoNow, Scale::Plain),
    (Metric::DiskIoTime, Scale::Milliseconds),
    (Metric::DiskIoTimeWeighted, Scale::Milliseconds),
    (Metric::DiskDiscards, Scale::Plain),
    (Metric::DiskDiscardsMerged, Scale::Plain),
    (Metric::DiskDiscardedSectors, Scale::Plain),
    (Metric::DiskDiscardTime, Scale::Milliseconds),
    (Metric::DiskFlushes, Scale::Plain),
    (Metric::DiskFlushTime, Scale::Milliseconds),
];
const COLUMNS_MIN: usize = 11;
/// Partitions of kernels before 2.6.25 have only four columns.
const COLUMNS_OLD_PARTITION: usize = 4;

/// The rest of a device's line: most devices are partitions and loops, whose numbers nobody reads.
struct Counters<'a> {
    line: Line<'a>,
    fields: Fields<'a>,
}

impl Counters<'_> {
    /// The columns that there are, and how many; nothing for a partition of an old kernel.
    fn read(self) -> Result<([u64; COLUMNS.len()], usize), Malformed> {
        let (mut columns, mut count) = ([0; COLUMNS.len()], 0);
        for (column, field) in columns.iter_mut().zip(self.fields) {
            *column = self.line.number(Some(field), "expected a counter")?;
            count += 1;
        }
        match count {
            COLUMNS_OLD_PARTITION => Ok((columns, 0)),
            COLUMNS_MIN.. => Ok((columns, count)),
            _ => Err(self.line.malformed("expected at least eleven counters")),
        }
    }
}

/// Calls `each` with every device and its counters.
fn parse<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a [u8], Counters<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for line in scan::lines(text) {
        let mut fields = line.fields();
        for what in ["expected a major number", "expected a minor number"] {
            line.number(fields.next(), what)?;
        }
        let name = fields.next();
        let name = name.ok_or_else(|| line.malformed("expected the name of a device"))?;
        each(name, Counters { line, fields })?;
    }
    Ok(())
}

/// Whether a device is a partition (its disk is counted) or no disk at all (RAM, loop, floppy).
fn is_part_or_toy(name: &str) -> bool {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if base.len() == name.len() {
        return false;
    }
    if matches!(base, "ram" | "loop" | "fd") {
        return true;
    }
    let drive = ["hd", "sd", "vd", "xvd"]
        .iter()
        .find_map(|prefix| base.strip_prefix(prefix));
    if drive.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_lowercase())) {
        return true;
    }
    (base.starts_with("nvme") || base.starts_with("mmcblk")) && base.ends_with('p')
}

/// The probe.
#[derive(Debug)]
pub(super) struct Disk {
    table: KeptTable,
    disks: Selection,
}

impl Disk {
    /// Reads the devices that the options ask for.
    pub(super) fn new(options: &ProbeOptions) -> Disk {
        Disk {
            table: KeptTable::of(KeptFile::rows("proc/diskstats", 512)),
            disks: Selection::new(&options.disks_include, &options.disks_exclude),
        }
    }
}

impl Probe for Disk {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let disks = &self.disks;
        self.table.read(source, |text, rows| {
            parse(text, |name, counters| {
                let numbers = rows.numbers(name, || {
                    let name = scan::label(name);
                    let wanted = disks.includes(&name) || !is_part_or_toy(&name);
                    if !(wanted && disks.takes(&name)) {
                        return Vec::new();
                    }
                    COLUMNS.map(|(m, _)| out.table.number(m, &[&name])).to_vec()
                });
                if numbers.is_empty() {
                    return Ok(());
                }
                let (columns, count) = counters.read()?;
                let values = columns.iter().take(count);
                for ((number, (_, scale)), value) in numbers.iter().zip(COLUMNS).zip(values) {
                    let value = *value as f64;
                    let value = match scale {
                        Scale::Plain => value,
                        Scale::Sectors => value * SECTOR_BYTES,
                        Scale::Milliseconds => value / MILLISECONDS,
                    };
                    out.readings.push((*number, value));
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

    fn parsed(text: &str) -> Result<Vec<(String, Vec<u64>)>, Malformed> {
        let mut found = Vec::new();
        parse(text.as_bytes(), |name, counters| {
            let (columns, count) = counters.read()?;
            if count > 0 {
                found.push((scan::label(name).into_owned(), columns[..count].to_vec()));
            }
            Ok(())
        })
        .map(|()| found)
    }

    #[test]
    fn devices_of_old_and_new_kernels_are_read() {
        let text = "   8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n   8 1 sda1 1 2 3 4\n\
                    259 0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n";
        let found = parsed(text).unwrap();
        let sizes: Vec<(&str, usize)> = found.iter().map(|(n, c)| (n.as_str(), c.len())).collect();
        assert_eq!(sizes, [("sda", 11), ("nvme0n1", 17)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line) in [
            ("8 x sda 1 2 3 4\n", 1),
            ("8 0\n", 1),
            ("8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 16 sdb 1 2 3\n", 2),
            ("8 0 sda 1 2 3 4 5 6 7 8 9 10 -11\n", 1),
        ] {
            assert_eq!(parsed(text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn whole_disks_count_and_their_partitions_do_not() {
        for name in [
            "sda", "sdaa", "vda", "xvdb", "nvme0n1", "mmcblk0", "md127", "dm-3", "sr0", "zram0",
            "nbd1", "rbd0",
        ] {
            assert!(!is_part_or_toy(name), "{name}");
        }
        for name in [
            "sda1",
            "sdaa12",
            "vda2",
            "xvdb1",
            "nvme0n1p3",
            "mmcblk0p1",
            "loop7",
            "ram0",
            "fd0",
            "hdc1",
        ] {
            assert!(is_part_or_toy(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, |_, counters| counters.read().map(drop));
        }

        #[test]
        fn counters_come_back(columns in prop::collection::vec(any::<u64>(), 11..=17)) {
            let words: Vec<String> = columns.iter().map(u64::to_string).collect();
            let text = format!("   8       0 sda {}\n", words.join(" "));
            prop_assert_eq!(parsed(&text), Ok(vec![("sda".to_owned(), columns)]));
        }
    }
}
