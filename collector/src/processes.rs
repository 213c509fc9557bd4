//! Who uses a host's CPU, memory and disks most: notes that agents take beside the series, and what
//! is read from them. Evidence, kept for a few days. Pure.

use serde::{Deserialize, Serialize};

mod suspects;

pub use suspects::{LEAD_MS, Suspects, TRAIL_MS, resource_of, suspects};

/// How many of each kind are told.
pub const TOP: usize = 5;

/// What an agent saw of a host's processes over a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessNote {
    /// The end of the stretch by the host's clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How long it was.
    pub span_ms: u32,
    /// Processes looked at.
    pub looked_at: u32,
    /// Processes beyond what the agent looks at.
    pub passed_over: u32,
    /// Notes before this one that the agent had to drop.
    pub lost: u32,
    /// Where the figures about disks come from.
    pub disk_source: DiskSource,
    /// The busiest of each kind, each once.
    pub processes: Vec<Process>,
    /// The busiest by disk, where that is known by service only.
    pub services: Vec<Service>,
}

/// Where figures about disks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskSource {
    /// The kernel's account of each process.
    Process,
    /// The counters of control groups.
    Service,
    /// The kernel shows the agent neither.
    #[default]
    None,
}

/// A process that used much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// As the kernel calls it.
    pub name: String,
    /// Whose it is: a name, or a number.
    pub user: String,
    /// When it started, host's clock.
    pub started_ms: i64,
    /// Thousandths of one CPU.
    pub cpu_milli: u32,
    /// The same of its children that ended within the stretch.
    pub children_milli: u32,
    /// Resident memory, whole KiB.
    pub resident_kib: u64,
    /// Bytes read from disks each second.
    pub read_bytes_per_second: u64,
    /// Bytes written to disks each second.
    pub write_bytes_per_second: u64,
    /// Its command line; empty where the host does not tell.
    pub command: String,
}

/// A service that used disks much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its control group.
    pub name: String,
    /// Bytes read from disks each second.
    pub read_bytes_per_second: u64,
    /// Bytes written to disks each second.
    pub write_bytes_per_second: u64,
}

/// What is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Processor time.
    Cpu,
    /// Resident memory.
    Memory,
    /// Bytes read from and written to disks.
    Disk,
    /// Bytes written to disks.
    DiskWrites,
}

/// Who uses something, as people see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The process, or the service.
    pub name: String,
    /// None for a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whose process it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// When it started, host's clock, milliseconds since the Unix epoch; none for a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<i64>,
    /// In CPUs: 1 is all of one. Without its children.
    pub cpu: f64,
    /// The same of its children that ended meanwhile.
    pub children_cpu: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// From disks.
    pub read_bytes_per_second: u64,
    /// To disks.
    pub write_bytes_per_second: u64,
    /// Its command line, where the host tells.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
}

impl User {
    /// How much of a resource it uses, for ordering.
    fn uses(&self, resource: Resource) -> f64 {
        match resource {
            Resource::Cpu => self.cpu + self.children_cpu,
            Resource::Memory => self.resident_bytes as f64,
            Resource::Disk => (self.read_bytes_per_second + self.write_bytes_per_second) as f64,
            Resource::DiskWrites => self.write_bytes_per_second as f64,
        }
    }
}

impl From<&Process> for User {
    fn from(process: &Process) -> User {
        User {
            name: process.name.clone(),
            pid: Some(process.pid),
            user: process.user.clone(),
            started_ms: Some(process.started_ms),
            cpu: f64::from(process.cpu_milli) / 1000.0,
            children_cpu: f64::from(process.children_milli) / 1000.0,
            resident_bytes: process.resident_kib.saturating_mul(1024),
            read_bytes_per_second: process.read_bytes_per_second,
            write_bytes_per_second: process.write_bytes_per_second,
            command: process.command.clone(),
        }
    }
}

impl From<&Service> for User {
    fn from(service: &Service) -> User {
        User {
            name: service.name.clone(),
            read_bytes_per_second: service.read_bytes_per_second,
            write_bytes_per_second: service.write_bytes_per_second,
            ..User::default()
        }
    }
}

impl ProcessNote {
    /// Who uses most of a resource, the most first; nobody who uses none of it.
    pub fn top(&self, resource: Resource) -> Vec<User> {
        let disk = matches!(resource, Resource::Disk | Resource::DiskWrites);
        let mut users: Vec<User> = match (disk, self.disk_source) {
            (false, _) | (true, DiskSource::Process) => {
                self.processes.iter().map(User::from).collect()
            }
            (true, DiskSource::Service) => self.services.iter().map(User::from).collect(),
            (true, DiskSource::None) => Vec::new(),
        };
        users.retain(|user| user.uses(resource) > 0.0);
        // Stable: of equals those that the agent named first.
        users.sort_by(|a, b| b.uses(resource).total_cmp(&a.uses(resource)));
        users.truncate(TOP);
        users
    }
}

/// Who used a host most when it was last looked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Busiest {
    /// The end of the stretch that was looked at, host's clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How long ago that was, a wrong clock of the host allowed for.
    pub age_ms: i64,
    /// How long the stretch was.
    pub span_ms: i64,
    /// Processes looked at.
    pub looked_at: u32,
    /// Processes beyond what the agent looks at.
    pub passed_over: u32,
    /// Notes before this one that the agent had to drop.
    pub lost: u32,
    /// Where the figures about disks come from.
    pub disk_source: DiskSource,
    /// By processor time, with that of children that ended meanwhile, the most first.
    pub cpu: Vec<User>,
    /// By resident memory.
    pub memory: Vec<User>,
    /// By bytes read from and written to disks.
    pub disk: Vec<User>,
}

impl ProcessNote {
    /// What it tells at a moment of the host's clock.
    pub fn busiest(&self, now_ms: i64) -> Busiest {
        Busiest {
            at_ms: self.at_ms,
            age_ms: (now_ms - self.at_ms).max(0),
            span_ms: i64::from(self.span_ms),
            looked_at: self.looked_at,
            passed_over: self.passed_over,
            lost: self.lost,
            disk_source: self.disk_source,
            cpu: self.top(Resource::Cpu),
            memory: self.top(Resource::Memory),
            disk: self.top(Resource::Disk),
        }
    }
}

#[cfg(test)]
mod tests;
