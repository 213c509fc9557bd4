//! `/proc/stat`: CPU time by core and mode, interrupts, context switches, forks, run queue, boot.

use hostwell_proto::metric::Metric;

use super::kept::{KeptFile, KeptTable};
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

/// The kernel counts CPU time in hundredths of a second wherever Rust's std runs on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const WORDS: [(&[u8], Metric); 6] = [
    (b"intr", Metric::Interrupts),
    (b"ctxt", Metric::ContextSwitches),
    (b"btime", Metric::BootTime),
    (b"processes", Metric::Forks),
    (b"procs_running", Metric::ProcsRunning),
    (b"procs_blocked", Metric::ProcsBlocked),
];

/// What one line says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry<'a> {
    /// A core and its ticks by mode, guest modes last; old kernels have fewer modes.
    Core(&'a [u8], [u64; 10], usize),
    /// One of the single numbers.
    Single(Metric, u64),
}

fn parse<'a>(text: &'a [u8], mut each: impl FnMut(Entry<'a>)) -> Result<(), Malformed> {
    let mut cores = 0;
    for line in scan::lines(text) {
        let mut fields = line.fields();
        let Some(word) = fields.next() else { continue };
        if let Some(core) = word.strip_prefix(b"cpu") {
            if core.is_empty() {
                continue;
            }
            scan::number(core).ok_or_else(|| line.malformed("expected a CPU number"))?;
            let (mut ticks, mut modes) = ([0; 10], 0);
            for (slot, field) in ticks.iter_mut().zip(fields) {
                *slot = line.number(Some(field), "expected CPU time in ticks")?;
                modes += 1;
            }
            if modes < 4 {
                return Err(line.malformed("expected at least four CPU modes"));
            }
            cores += 1;
            each(Entry::Core(core, ticks, modes));
        } else if let Some((_, metric)) = WORDS.iter().find(|(known, _)| *known == word) {
            // Only the first number: the interrupt line goes on for thousands.
            each(Entry::Single(
                *metric,
                line.number(fields.next(), "expected a count")?,
            ));
        }
    }
    match cores {
        0 => Err(Malformed {
            line: 1,
            what: "expected a line for each CPU",
        }),
        _ => Ok(()),
    }
}

/// The probe.
#[derive(Debug)]
pub(super) struct Cpu {
    table: KeptTable,
}

impl Default for Cpu {
    fn default() -> Self {
        Cpu {
            table: KeptTable::of(KeptFile::whole("proc/stat")),
        }
    }
}

impl Probe for Cpu {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        self.table.read(source, |text, rows| {
            parse(text, |entry| match entry {
                Entry::Core(core, ticks, modes) => {
                    let numbers = rows.numbers(core, || {
                        let cpu = scan::label(core);
                        let mode = |metric| {
                            let cpu = cpu.clone();
                            move |mode: &&str| (metric, cpu.to_string(), (*mode).to_owned())
                        };
                        let busy = MODES.iter().map(mode(Metric::CpuSeconds));
                        let guest = GUEST_MODES.iter().map(mode(Metric::CpuGuestSeconds));
                        busy.chain(guest)
                            .map(|(metric, cpu, mode)| out.table.number(metric, &[&cpu, &mode]))
                            .collect()
                    });
                    for (number, ticks) in numbers.iter().zip(&ticks[..modes]) {
                        out.readings
                            .push((*number, *ticks as f64 / TICKS_PER_SECOND));
                    }
                }
                Entry::Single(metric, value) => rows.put_metric(metric, value as f64, out),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<Entry<'_>>, Malformed> {
        let mut entries = Vec::new();
        parse(text.as_bytes(), |entry| entries.push(entry)).map(|()| entries)
    }

    #[test]
    fn cores_and_single_numbers_are_read_and_the_sum_line_is_not() {
        let text = "cpu  9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 77 1 2 3\nctxt 5\nbtime 170\n\
                    processes 3\nprocs_running 2\nprocs_blocked 0\nsoftirq 1 2\n";
        let entries = parsed(text).unwrap();
        assert_eq!(
            entries[0],
            Entry::Core(b"0", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 10)
        );
        assert_eq!(entries[1], Entry::Single(Metric::Interrupts, 77));
        assert_eq!(entries.len(), 7);
    }

    #[test]
    fn an_old_kernel_with_four_modes_is_fine() {
        assert_eq!(
            parsed("cpu0 1 2 3 4\n").unwrap(),
            [Entry::Core(b"0", [1, 2, 3, 4, 0, 0, 0, 0, 0, 0], 4)]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line) in [
            ("cpu0 1 2 3 x\n", 1),
            ("cpu  1\ncpuX 1 2 3 4\n", 2),
            ("cpu0 1 2 3\n", 1),
            ("cpu0 1 2 3 4\nctxt\n", 2),
            ("", 1),
        ] {
            assert_eq!(parsed(text).unwrap_err().line, line, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, |_| ());
        }

        #[test]
        fn every_core_comes_back(cores in prop::collection::vec(any::<[u64; 10]>(), 1..40)) {
            let text: String = cores.iter().enumerate().map(|(i, t)| {
                let ticks: Vec<String> = t.iter().map(u64::to_string).collect();
                format!("cpu{i} {}\n", ticks.join(" "))
            }).collect();
            let got: Vec<[u64; 10]> = parsed(&text).unwrap().into_iter().map(|e| match e {
                Entry::Core(_, ticks, _) => ticks,
                Entry::Single(..) => [0; 10],
            }).collect();
            prop_assert_eq!(got, cores);
        }
    }
}
