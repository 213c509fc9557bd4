//! The catalogue: every metric Hostwell samples, defined once.
//!
//! Names, units and labels are node_exporter's where it has the metric; `hostwell_*` only for what
//! it lacks. Everything else (the wire, the store, `once -o prometheus`, docs/metrics.md) derives
//! from this table. Adding a metric: one row here, the reading in its probe, the goldens.

/// How a metric's values behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Raw cumulative count; falls only when it restarts.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Base unit of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes each second.
    BytesPerSecond,
    /// 0 to 1.
    Ratio,
    /// A plain number of things.
    Count,
    /// Degrees Celsius.
    Celsius,
    /// 1 for a fact that the labels tell; 0 or 1 for a state.
    Flag,
}

/// Which part of a host a metric belongs to. Blocks in the store hold one family of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// CPU time, load, scheduler, pressure.
    Cpu = 1,
    /// Memory, swap, vmstat.
    Memory = 2,
    /// Interfaces, sockets, conntrack, bonds.
    Network = 3,
    /// Block devices and arrays.
    Disk = 4,
    /// File systems.
    Filesystem = 5,
    /// Clock, boot, limits, temperature, processes, kernel facts.
    System = 6,
    /// The agent and collector themselves.
    Own = 7,
    /// What is not in the catalogue.
    Other = 8,
}

/// One row of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// node_exporter's name, or `hostwell_*`.
    pub name: &'static str,
    /// OpenTelemetry's name, with attributes in braces; empty where it has none.
    pub otel: &'static str,
    /// Base unit.
    pub unit: Unit,
    /// Counter or gauge.
    pub kind: Kind,
    /// Label names, sorted.
    pub labels: &'static [&'static str],
    /// Storage family.
    pub family: Family,
    /// Decimal places of the kernel's own resolution (2 for ticks of 10 ms, 3 for milliseconds,
    /// 0 for whole numbers): what packing tries first. Never loses anything: see [`crate::column`].
    pub decimals: u8,
    /// One sentence.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($id:ident = $name:literal, $otel:literal, $unit:ident, $kind:ident, [$($label:literal),*],
       $family:ident, $decimals:literal, $help:literal;)*) => {
        /// Every metric of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[allow(missing_docs, reason = "the table is the documentation: see Descriptor::help")]
        pub enum Metric { $($id),* }

        /// The table, in the order of [`Metric`].
        pub static CATALOGUE: &[Descriptor] = &[$(Descriptor {
            name: $name, otel: $otel, unit: Unit::$unit, kind: Kind::$kind,
            labels: &[$($label),*], family: Family::$family, decimals: $decimals, help: $help,
        }),*];

        /// Every metric, in order.
        pub static ALL: &[Metric] = &[$(Metric::$id),*];
    };
}

catalogue! {
    CpuSeconds = "node_cpu_seconds_total", "system.cpu.time{cpu.logical_number,cpu.mode}",
        Seconds, Counter, ["cpu", "mode"], Cpu, 2, "Seconds each CPU spent in each mode.";
    Load1 = "node_load1", "system.cpu.load_average.1m",
        Count, Gauge, [], Cpu, 2, "Load average over 1 minute.";
}

impl Metric {
    /// The metric's row.
    pub fn descriptor(self) -> &'static Descriptor {
        &CATALOGUE[self as usize]
    }

    /// The metric's name.
    pub fn name(self) -> &'static str {
        self.descriptor().name
    }

    /// The metric with this name, if the catalogue has it.
    pub fn by_name(name: &str) -> Option<Metric> {
        // A linear search over some two hundred short names; callers keep the answer per series.
        ALL.iter().copied().find(|m| m.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        let mut names = std::collections::HashSet::new();
        for row in CATALOGUE {
            assert!(names.insert(row.name), "{} twice", row.name);
            assert!(row.labels.is_sorted(), "{}: labels not sorted", row.name);
            assert!(
                row.help.ends_with('.') && row.help.len() > 10,
                "{}: help",
                row.name
            );
            assert!(
                row.decimals <= crate::column::DECIMALS_MAX,
                "{}: decimals",
                row.name
            );
            assert!(
                row.name.starts_with("node_") || row.name.starts_with("hostwell_"),
                "{}: prefix",
                row.name
            );
        }
        for (i, metric) in ALL.iter().enumerate() {
            assert_eq!(*metric as usize, i);
            assert_eq!(Metric::by_name(metric.name()), Some(*metric));
        }
    }
}
