//! Whether a resource is under pressure, from the readings of the ticks.

use hostwell_proto::metric::Metric;

use crate::sample::{Sample, SeriesTable};

/// Readings are held against those of so long before.
const EVERY_MS: i64 = 10_000;
/// Part of all CPUs' time.
const CPU_BUSY: f64 = 0.80;
/// Part of the memory that is available.
const MEMORY_LEFT: f64 = 0.10;
/// Part of the time in which a disk had something to do.
const DISK_BUSY: f64 = 0.80;
/// Part of the time in which some task waited for a CPU or a disk.
const WAITING: f64 = 0.40;
/// And for memory.
const WAITING_FOR_MEMORY: f64 = 0.10;

/// What a series says about pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Nothing,
    /// Seconds a CPU was not busy.
    Idle,
    /// Seconds a CPU was busy.
    Busy,
    MemoryTotal,
    MemoryLeft,
    DiskTime,
    Waiting,
    WaitingForMemory,
}

impl Part {
    fn of(metric: Metric, label_values: &[Box<str>]) -> Part {
        match metric {
            Metric::CpuSeconds => match label_values.get(1).map(|mode| &**mode) {
                Some("idle" | "iowait") => Part::Idle,
                _ => Part::Busy,
            },
            Metric::MemTotal => Part::MemoryTotal,
            Metric::MemAvailable => Part::MemoryLeft,
            Metric::DiskIoTime => Part::DiskTime,
            Metric::PressureCpuWaiting | Metric::PressureIoWaiting => Part::Waiting,
            Metric::PressureMemoryWaiting => Part::WaitingForMemory,
            _ => Part::Nothing,
        }
    }

    /// Part of the time above which there is pressure.
    fn level(self) -> Option<f64> {
        match self {
            Part::DiskTime => Some(DISK_BUSY),
            Part::Waiting => Some(WAITING),
            Part::WaitingForMemory => Some(WAITING_FOR_MEMORY),
            _ => None,
        }
    }
}

/// Watches the readings.
#[derive(Debug, Default)]
pub(super) struct Pressed {
    /// By series number.
    parts: Vec<Part>,
    /// Counters as they were, by series number.
    before: Vec<f64>,
    looked_ms: Option<i64>,
    pressed: bool,
}

impl Pressed {
    /// Whether there is pressure. Looks at a tick's readings now and then.
    pub(super) fn look(&mut self, table: &SeriesTable, sample: &Sample) -> bool {
        let passed_ms = self.looked_ms.map(|last| sample.time_ms - last);
        if passed_ms.is_some_and(|ms| (0..EVERY_MS).contains(&ms)) {
            return self.pressed;
        }
        for number in self.parts.len()..table.len() {
            let key = table.key(number as u32);
            self.parts
                .push(key.map_or(Part::Nothing, |k| Part::of(k.metric, &k.label_values)));
        }
        self.before.resize(self.parts.len(), f64::NAN);
        let seconds = passed_ms.filter(|ms| *ms > 0).map(|ms| ms as f64 / 1e3);
        self.pressed = self.judge(sample, seconds);
        self.looked_ms = Some(sample.time_ms);
        self.pressed
    }

    fn judge(&mut self, sample: &Sample, seconds: Option<f64>) -> bool {
        let (mut busy, mut idle, mut waited) = (0.0, 0.0, false);
        let (mut total, mut left) = (None, None);
        for (number, value) in &sample.readings {
            let number = *number as usize;
            let Some(part) = self.parts.get(number).filter(|p| **p != Part::Nothing) else {
                continue;
            };
            // Not a number where there was none before, and then no comparison holds.
            let grown = value - std::mem::replace(&mut self.before[number], *value);
            match part {
                Part::MemoryTotal => total = Some(*value),
                Part::MemoryLeft => left = Some(*value),
                Part::Idle => idle += grown.max(0.0),
                Part::Busy => busy += grown.max(0.0),
                other => {
                    let level = other.level().zip(seconds);
                    waited |= level.is_some_and(|(level, seconds)| grown >= level * seconds);
                }
            }
        }
        let short = total
            .zip(left)
            .is_some_and(|(all, left)| left < MEMORY_LEFT * all);
        let busy = seconds.is_some() && busy > 0.0 && busy >= CPU_BUSY * (busy + idle);
        short || busy || waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with one CPU, a disk and memory, a tick each 10 s.
    struct Host {
        pressed: Pressed,
        table: SeriesTable,
        sample: Sample,
    }

    impl Host {
        fn new() -> Host {
            let mut table = SeriesTable::default();
            let readings = [
                (Metric::CpuSeconds, &["0", "user"][..], 1000.0),
                (Metric::CpuSeconds, &["0", "idle"], 5000.0),
                (Metric::MemTotal, &[], 100.0),
                (Metric::MemAvailable, &[], 50.0),
                (Metric::DiskIoTime, &["sda"], 70.0),
                (Metric::PressureMemoryWaiting, &[], 3.0),
                (Metric::PressureIoWaiting, &[], 3.0),
                (Metric::Load1, &[], 99.0),
            ];
            let readings =
                readings.map(|(metric, labels, value)| (table.number(metric, labels), value));
            let sample = Sample {
                time_ms: 0,
                readings: readings.to_vec(),
            };
            let pressed = Pressed::default();
            Host {
                pressed,
                table,
                sample,
            }
        }

        /// A tick later, with so much more of everything.
        fn tick(&mut self, grown: [f64; 8]) -> bool {
            self.sample.time_ms += 10_000;
            for ((_, value), grown) in self.sample.readings.iter_mut().zip(grown) {
                *value += grown;
            }
            self.pressed.look(&self.table, &self.sample)
        }
    }

    #[test]
    fn each_resource_alone_is_enough_and_none_is_not() {
        let calm = [7.0, 3.0, 0.0, 0.0, 5.0, 0.5, 3.0, 0.0];
        for (at, grown, pressed) in [
            (0, 7.0, false),
            (0, 12.0, true),
            (3, -41.0, true),
            (4, 8.0, true),
            (5, 1.0, true),
            (6, 4.0, true),
            (7, 1e6, false),
        ] {
            let mut host = Host::new();
            assert!(!host.tick([0.0; 8]), "nothing to compare with");
            let mut change = calm;
            change[at] = grown;
            assert_eq!(host.tick(change), pressed, "{at} by {grown}");
            host.tick([0.0, 9.0, 0.0, 100.0, 0.0, 0.0, 0.0, 0.0]);
            assert!(!host.tick(calm), "it passes");
        }
    }

    #[test]
    fn a_memory_that_is_short_is_seen_at_once() {
        let mut host = Host::new();
        assert!(host.tick([0.0, 0.0, 0.0, -45.0, 0.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn between_looks_it_stays_what_it_was() {
        let mut host = Host::new();
        host.tick([0.0; 8]);
        assert!(host.tick([20.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
        host.sample.time_ms += 1_000;
        assert!(host.pressed.look(&host.table, &host.sample));
    }
}
