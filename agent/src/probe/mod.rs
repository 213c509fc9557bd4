//! Probes: each turns one kernel subject into readings. A failure costs that subject only.
//!
//! [`PROBES`] is the list; a [`Rack`] is the live set. Hot subjects are read at every tick from
//! descriptors that stay open, one `pread` a file; slow ones by the clock, once a minute, which is
//! at every n-th tick, spread over the ticks so that they do not meet. What a host does not have is
//! tried again every [`ABSENT_RETRY_TICKS`] ticks and never alarms anybody.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sample::Readings;
use crate::source::Source;

#[cfg(target_os = "linux")]
mod bonding;
#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod cpu;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod filesystem;
#[cfg(target_os = "linux")]
mod kept;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod md;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod netstat;
#[cfg(target_os = "linux")]
mod network;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
#[cfg(target_os = "linux")]
mod pressure;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod rows;
#[cfg(target_os = "linux")]
mod scan;
#[cfg(target_os = "linux")]
mod select;
#[cfg(target_os = "linux")]
mod sockstat;
#[cfg(target_os = "linux")]
mod sysfs;
#[cfg(target_os = "linux")]
mod temperature;
#[cfg(target_os = "linux")]
mod vmstat;

/// After this many ticks a subject that was absent is looked for again (a module may be loaded).
pub const ABSENT_RETRY_TICKS: u64 = 60;

/// What probes may be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeOptions {
    /// Interfaces to read although `interfaces_exclude` names them; `*` and `?` are wild.
    pub interfaces_include: Vec<String>,
    /// Interfaces not to read. The default leaves physical, bond, bridge and VLAN interfaces.
    pub interfaces_exclude: Vec<String>,
    /// Block devices to read although they are partitions or RAM, loop or floppy disks.
    pub disks_include: Vec<String>,
    /// Block devices not to read, beside those.
    pub disks_exclude: Vec<String>,
    /// Mount points not to read, beside pseudo, image and container file systems.
    pub mountpoints_exclude: Vec<String>,
    /// Whether to ask network file systems (nfs, cifs, …) for their size. They can hang.
    pub network_filesystems: bool,
    /// Slow subjects are read at least this often, where the interval is not longer.
    pub slow_every: Duration,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        let patterns = [
            "lo", "veth*", "docker*", "br-*", "cali*", "tap*", "tun*", "wg*", "cni*", "flannel*",
            "lxc*", "vnet*", "ifb*", "dummy*", "sit*", "gre*", "ip6gre*", "ip6tnl*", "erspan*",
            "tunl*", "ip_vti*", "ip6_vti*",
        ];
        ProbeOptions {
            interfaces_include: Vec::new(),
            interfaces_exclude: patterns.map(str::to_owned).to_vec(),
            disks_include: Vec::new(),
            disks_exclude: Vec::new(),
            mountpoints_exclude: Vec::new(),
            network_filesystems: false,
            slow_every: Duration::from_secs(60),
        }
    }
}

/// Why a probe has no readings this time.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// This host does not have the subject: normal, never an alarm.
    #[error("this host does not have it")]
    Absent,
    /// A kernel file says something else than expected. Nothing of it is used.
    #[error("{path} line {line}: {what}")]
    Malformed {
        /// The file, relative to the root prefix.
        path: String,
        /// Counted from 1.
        line: u32,
        /// What was expected.
        what: &'static str,
    },
    /// A file or system call failed.
    #[error("read {path}")]
    Io {
        /// The file, relative to the root prefix, or the system call.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The kernel did not answer within the deadline.
    #[error("no answer within the deadline")]
    Stuck,
}

#[cfg(target_os = "linux")]
impl ProbeError {
    /// A failed operation on `path`: absent where there is nothing, else the failure.
    pub(crate) fn io(path: &str, source: std::io::Error) -> ProbeError {
        use std::io::ErrorKind::{NotFound, Unsupported};
        match source.kind() {
            NotFound | Unsupported => ProbeError::Absent,
            _ => ProbeError::Io {
                path: path.to_owned(),
                source,
            },
        }
    }
}

/// One kernel subject.
pub trait Probe: Send {
    /// Adds the subject's readings.
    ///
    /// # Errors
    /// [`ProbeError::Absent`] where the host lacks the subject; else what went wrong. The caller
    /// drops what was added before an error.
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError>;
}

/// How often a subject is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At every tick.
    Hot,
    /// As often as [`ProbeOptions::slow_every`] says: it changes slowly or costs much.
    Slow,
}

/// A row of [`PROBES`].
pub struct ProbeSpec {
    /// Value of the `probe` label.
    pub name: &'static str,
    /// When it is due.
    pub pace: Pace,
    /// A reading that takes longer has hung.
    pub deadline_ms: u64,
    /// Makes the probe; opens nothing yet.
    pub make: fn(&ProbeOptions) -> Box<dyn Probe>,
}

/// Every probe, hot ones first.
#[cfg(target_os = "linux")]
pub static PROBES: &[ProbeSpec] = &[
    hot("cpu", |_| Box::<cpu::Cpu>::default()),
    hot("load", |_| Box::<load::Load>::default()),
    hot("memory", |_| Box::<memory::Memory>::default()),
    hot("vmstat", |_| Box::<vmstat::Vmstat>::default()),
    hot("pressure", |_| Box::<pressure::Pressure>::default()),
    hot("network", |o| Box::new(network::Network::new(o))),
    hot("netstat", |_| Box::new(netstat::Netstat::main())),
    hot("sockstat", |_| Box::<sockstat::Sockstat>::default()),
    hot("conntrack", |_| Box::new(files::Numbers::conntrack())),
    hot("disk", |o| Box::new(disk::Disk::new(o))),
    hot("files", |_| Box::new(files::Numbers::file_handles())),
    slow("tcpext", |_| Box::new(netstat::Netstat::further())),
    slow("filesystem", |o| Box::new(filesystem::Filesystem::new(o))),
    slow("link", |o| Box::new(link::Link::new(o))),
    slow("bonding", |_| Box::new(bonding::Bonding)),
    slow("md", |_| Box::new(md::Md)),
    slow("temperature", |_| Box::new(temperature::Temperature)),
    slow("cgroup", |_| Box::new(cgroup::Cgroup)),
    slow("clock", |_| Box::new(clock::Clock)),
    slow("kernel", |_| Box::<kernel::Kernel>::default()),
    slow("limits", |_| Box::new(files::Numbers::limits())),
    slow("processes", |_| Box::new(processes::Processes)),
];

/// The portable subset.
#[cfg(not(target_os = "linux"))]
pub static PROBES: &[ProbeSpec] = portable::PROBES;

#[cfg(target_os = "linux")]
const fn hot(name: &'static str, make: fn(&ProbeOptions) -> Box<dyn Probe>) -> ProbeSpec {
    ProbeSpec {
        name,
        pace: Pace::Hot,
        deadline_ms: 500,
        make,
    }
}

#[cfg(target_os = "linux")]
const fn slow(name: &'static str, make: fn(&ProbeOptions) -> Box<dyn Probe>) -> ProbeSpec {
    ProbeSpec {
        pace: Pace::Slow,
        deadline_ms: 1000,
        ..hot(name, make)
    }
}

/// The live set of probes, with what each keeps from tick to tick.
pub struct Rack {
    slots: Vec<Slot>,
    slow_ticks: u64,
}

struct Slot {
    spec: &'static ProbeSpec,
    probe: Box<dyn Probe>,
    next_tick: Option<u64>,
}

impl Rack {
    /// One of each of [`PROBES`], for ticks that are `interval` apart.
    pub fn new(options: &ProbeOptions, interval: Duration) -> Rack {
        Rack::of(PROBES, options, interval)
    }

    fn of(specs: &'static [ProbeSpec], options: &ProbeOptions, interval: Duration) -> Rack {
        let slot = |spec: &'static ProbeSpec| Slot {
            spec,
            probe: (spec.make)(options),
            next_tick: None,
        };
        Rack {
            slots: specs.iter().map(slot).collect(),
            slow_ticks: ticks_within(options.slow_every, interval),
        }
    }

    /// How many probes there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The `index`-th probe's row of [`PROBES`]; `None` past the end.
    pub fn spec(&self, index: usize) -> Option<&'static ProbeSpec> {
        self.slots.get(index).map(|slot| slot.spec)
    }

    /// Reads the `index`-th probe; `None` when it is not due at this tick. Every probe is due the
    /// first time it is asked. A failed probe adds nothing.
    pub fn read(
        &mut self,
        index: usize,
        source: &Source,
        tick: u64,
        out: &mut Readings<'_>,
    ) -> Option<Result<(), ProbeError>> {
        let slot = self.slots.get_mut(index)?;
        if slot.next_tick.is_some_and(|next| tick < next) {
            return None;
        }
        let before = out.readings.len();
        let result = slot.probe.read(source, out);
        if result.is_err() {
            out.readings.truncate(before);
        }
        let every = match slot.spec.pace {
            Pace::Hot => 1,
            Pace::Slow => self.slow_ticks,
        };
        let wait = match result {
            Err(ProbeError::Absent) => ABSENT_RETRY_TICKS.max(every),
            _ => every,
        };
        slot.next_tick = Some(match slot.next_tick {
            // The first time all are due; from then on each keeps its own place in the cycle.
            None => tick + 1 + (index as u64 + tick) % wait,
            Some(_) => tick + wait,
        });
        Some(result)
    }
}

/// How many ticks fit into a time: at least one.
fn ticks_within(time: Duration, interval: Duration) -> u64 {
    let ticks = time.as_millis() / interval.as_millis().max(1);
    u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests;
