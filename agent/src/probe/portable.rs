//! The portable subset, through `sysinfo`: what macOS and Windows can tell. Compiled on Linux for
//! its tests only, so that it cannot rot.

use hostwell_proto::metric::Metric;
use sysinfo::{Components, Disks, InterfaceOperationalState, Networks, System};

use super::{Pace, Probe, ProbeError, ProbeOptions, ProbeSpec};
use crate::sample::Readings;
use crate::source::Source;

/// The probes of systems that are not Linux.
pub(super) static PROBES: &[ProbeSpec] = &[
    portable("cpu", Pace::Hot, |_| Box::new(Cpu::default())),
    portable("memory", Pace::Hot, |_| Box::new(Memory::default())),
    portable("network", Pace::Hot, |_| Box::new(Network::default())),
    portable("filesystem", Pace::Slow, |options| {
        Box::new(Filesystem::new(options))
    }),
    portable("temperature", Pace::Slow, |_| {
        Box::new(Temperature::default())
    }),
    portable("kernel", Pace::Slow, |_| Box::new(Kernel)),
];

const fn portable(
    name: &'static str,
    pace: Pace,
    make: fn(&ProbeOptions) -> Box<dyn Probe>,
) -> ProbeSpec {
    ProbeSpec {
        name,
        pace,
        deadline_ms: 2000,
        make,
    }
}

/// What `sysinfo` does not have here is absent.
fn absent(_: sysinfo::Error) -> ProbeError {
    ProbeError::Absent
}

/// Keeps what is made at the first reading.
fn kept<T>(
    slot: &mut Option<T>,
    make: fn() -> Result<T, sysinfo::Error>,
) -> Result<&mut T, ProbeError> {
    if slot.is_none() {
        *slot = Some(make().map_err(absent)?);
    }
    slot.as_mut().ok_or(ProbeError::Absent)
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

#[derive(Default)]
struct Cpu {
    system: Option<System>,
}

impl Probe for Cpu {
    fn read(&mut self, _: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let first = self.system.is_none();
        let system = kept(&mut self.system, System::new)?;
        system.refresh_cpu_usage();
        // Busy since the reading before: the first one has none.
        if !first {
            for (cpu, i) in system.cpus().iter().zip(0u32..) {
                let busy = f64::from(cpu.usage()) / 100.0;
                out.add(Metric::CpuCoreBusyRatio, &[&i.to_string()], busy);
            }
        }
        if let Ok(load) = System::load_average() {
            for (metric, value) in [
                (Metric::Load1, load.one),
                (Metric::Load5, load.five),
                (Metric::Load15, load.fifteen),
            ] {
                out.add(metric, &[], value);
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Memory {
    system: Option<System>,
}

impl Probe for Memory {
    fn read(&mut self, _: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let system = kept(&mut self.system, System::new)?;
        system.refresh_memory();
        for (metric, bytes) in [
            (Metric::MemTotal, system.total_memory()),
            (Metric::MemFree, system.free_memory()),
            (Metric::MemAvailable, system.available_memory()),
            (Metric::SwapTotal, system.total_swap()),
            (Metric::SwapFree, system.free_swap()),
        ] {
            out.add(metric, &[], bytes as f64);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Network {
    networks: Option<Networks>,
}

impl Probe for Network {
    fn read(&mut self, _: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let networks = kept(&mut self.networks, Networks::new)?;
        networks.refresh(true);
        for (name, data) in networks.iter() {
            let name = &*name.to_string_lossy();
            if name.starts_with("lo") {
                continue;
            }
            for (metric, value) in [
                (Metric::NetReceiveBytes, data.total_received()),
                (Metric::NetTransmitBytes, data.total_transmitted()),
                (Metric::NetReceivePackets, data.total_packets_received()),
                (Metric::NetTransmitPackets, data.total_packets_transmitted()),
                (Metric::NetReceiveErrs, data.total_errors_on_received()),
                (Metric::NetTransmitErrs, data.total_errors_on_transmitted()),
            ] {
                out.add(metric, &[name], value as f64);
            }
            let up = data.operational_state() == InterfaceOperationalState::Up;
            out.add(Metric::NetUp, &[name], flag(up));
        }
        Ok(())
    }
}

struct Filesystem {
    disks: Option<Disks>,
    excluded: Vec<String>,
}

impl Filesystem {
    fn new(options: &ProbeOptions) -> Filesystem {
        Filesystem {
            disks: None,
            excluded: options.mountpoints_exclude.clone(),
        }
    }
}

impl Probe for Filesystem {
    fn read(&mut self, _: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let disks = kept(&mut self.disks, Disks::new)?;
        disks.refresh(true);
        for disk in disks.iter() {
            let labels = [
                disk.name().to_string_lossy(),
                disk.file_system().to_string_lossy(),
                disk.mount_point().to_string_lossy(),
            ];
            let labels = [&*labels[0], &*labels[1], &*labels[2]];
            if self.excluded.iter().any(|point| point == labels[2]) {
                continue;
            }
            let (size, free) = (disk.total_space() as f64, disk.available_space() as f64);
            for (metric, value) in [
                (Metric::FilesystemSize, size),
                (Metric::FilesystemFree, free),
                (Metric::FilesystemAvail, free),
                (Metric::FilesystemReadonly, flag(disk.is_read_only())),
            ] {
                out.add(metric, &labels, value);
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Temperature {
    components: Option<Components>,
}

impl Probe for Temperature {
    fn read(&mut self, _: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let components = kept(&mut self.components, Components::new)?;
        components.refresh(true);
        for component in components.iter() {
            if let Some(celsius) = component.temperature() {
                let labels = ["sysinfo", component.label()];
                out.add(Metric::HwmonTemp, &labels, f64::from(celsius));
            }
        }
        Ok(())
    }
}

struct Kernel;

impl Probe for Kernel {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let boot = System::boot_time().map_err(absent)?;
        out.add(Metric::BootTime, &[], boot as f64);
        if let Ok(uptime) = System::uptime() {
            out.add(Metric::Uptime, &[], uptime as f64);
        }
        out.add(Metric::Time, &[], source.now_ms() as f64 / 1000.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rack;
    use super::*;
    use crate::sample::SeriesTable;

    #[test]
    fn the_portable_subset_has_memory_network_and_boot_time() {
        let mut rack = Rack::of(
            PROBES,
            &ProbeOptions::default(),
            std::time::Duration::from_secs(10),
        );
        let source = Source::live(std::path::Path::new("/"));
        let (mut table, mut readings) = (SeriesTable::default(), Vec::new());
        for tick in 0..2 {
            for index in 0..rack.len() {
                let mut out = Readings {
                    table: &mut table,
                    readings: &mut readings,
                };
                let result = rack.read(index, &source, tick, &mut out);
                assert!(!matches!(
                    result,
                    Some(Err(ProbeError::Malformed { .. } | ProbeError::Io { .. }))
                ));
            }
        }
        for metric in [Metric::MemTotal, Metric::BootTime, Metric::CpuCoreBusyRatio] {
            let found = readings
                .iter()
                .any(|(n, v)| table.key(*n).unwrap().metric == metric && v.is_finite());
            assert!(found, "{}", metric.name());
        }
    }
}
