//! Which processes stand behind a finding: those that used most of what it is about, when it began.

use serde::{Deserialize, Serialize};

use super::{DiskSource, ProcessNote, Resource, User};
use crate::words;

/// Notes from so long before a finding began are worth reading.
pub const LEAD_MS: i64 = 300_000;
/// And from so long after.
pub const TRAIL_MS: i64 = 900_000;
/// How many are named in one line.
const NAMED: usize = 3;

/// What a rule's findings are about; none where processes would explain nothing.
pub fn resource_of(rule: &str, subject: &str) -> Option<Resource> {
    match (rule, subject) {
        ("cpu_saturation" | "load_high", _) | ("pressure_high", "cpu") => Some(Resource::Cpu),
        (
            "memory_low" | "memory_leak" | "oom_kill" | "swap_thrashing" | "swap_full"
            | "major_faults",
            _,
        )
        | ("pressure_high", "memory") => Some(Resource::Memory),
        ("disk_busy" | "disk_queue" | "disk_slow" | "cpu_iowait" | "tasks_blocked", _)
        | ("pressure_high", "io") => Some(Resource::Disk),
        ("disk_full" | "filesystem_filling", _) => Some(Resource::DiskWrites),
        _ => None,
    }
}

/// Who used most of what a finding is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspects {
    /// Of what.
    pub resource: Resource,
    /// The end of the stretch that was looked at, collector's clock, milliseconds since the Unix
    /// epoch.
    pub at_ms: i64,
    /// How long it was.
    pub span_ms: i64,
    /// Where the figures about disks come from.
    pub disk_source: DiskSource,
    /// The most first.
    pub users: Vec<User>,
}

/// Who used most of what a finding is about, when it began at `since_ms` (collector's clock) on a host
/// whose clock is `skew_ms` ahead. `notes` are those around that moment, in any order; what the kernel
/// has killed is looked for before it, everything else in the first stretch that lies within.
pub fn suspects(
    (rule, subject): (&str, &str),
    since_ms: i64,
    skew_ms: i64,
    notes: &[ProcessNote],
) -> Option<Suspects> {
    let resource = resource_of(rule, subject)?;
    let middle_ms = |note: &ProcessNote| note.at_ms - i64::from(note.span_ms) / 2 - skew_ms;
    let near =
        |note: &&ProcessNote| (since_ms - LEAD_MS..=since_ms + TRAIL_MS).contains(&middle_ms(note));
    let before = notes
        .iter()
        .filter(near)
        .filter(|note| middle_ms(note) < since_ms)
        .max_by_key(|note| middle_ms(note));
    let after = notes
        .iter()
        .filter(near)
        .filter(|note| middle_ms(note) >= since_ms)
        .min_by_key(|note| middle_ms(note));
    let note = match rule {
        "oom_kill" => before.or(after),
        _ => after.or(before),
    }?;
    let users = note.top(resource);
    (!users.is_empty()).then(|| Suspects {
        resource,
        at_ms: note.at_ms - skew_ms,
        span_ms: i64::from(note.span_ms),
        disk_source: note.disk_source,
        users,
    })
}

impl Suspects {
    /// "make 160 % of a CPU by children (pid 17, build), cc 92 % of a CPU (pid 21, build)".
    pub fn words(&self) -> String {
        let named: Vec<String> = self
            .users
            .iter()
            .take(NAMED)
            .map(|user| {
                format!(
                    "{} {}{}",
                    user.name,
                    amount(user, self.resource),
                    whose(user)
                )
            })
            .collect();
        named.join(", ")
    }
}

fn whose(user: &User) -> String {
    match (user.pid, user.user.as_str()) {
        (Some(pid), "") => format!(" (pid {pid})"),
        (Some(pid), name) => format!(" (pid {pid}, {name})"),
        (None, _) => String::new(),
    }
}

/// How much of a resource somebody uses, in words.
fn amount(user: &User, resource: Resource) -> String {
    match resource {
        Resource::Cpu => {
            let all = words::share(user.cpu + user.children_cpu);
            match user.children_cpu > user.cpu {
                true => format!("{all} of a CPU by children"),
                false => format!("{all} of a CPU"),
            }
        }
        Resource::Memory => words::bytes(user.resident_bytes as f64),
        Resource::Disk => words::bytes_per_second(
            (user.read_bytes_per_second + user.write_bytes_per_second) as f64,
        ),
        Resource::DiskWrites => format!(
            "{} written",
            words::bytes_per_second(user.write_bytes_per_second as f64)
        ),
    }
}
