//! Notes of what used a host most. Pure.

use std::collections::HashMap;

use hostwell_proto::id::HostId;
use hostwell_proto::wire::{self, RefusalReason};

use super::Refused;
use crate::processes::{DiskSource, Process, ProcessNote, Service};

/// Most processes in a note: an agent sends five of each of three kinds.
const PROCESSES_MAX: usize = 32;
/// Most services in a note.
const SERVICES_MAX: usize = 16;
/// Most bytes of a process's or a user's name.
const NAME_BYTES_MAX: usize = 64;
/// Most bytes of a service's name: control groups of containers have long ones.
const SERVICE_BYTES_MAX: usize = 128;
/// Most bytes of a command line.
const COMMAND_BYTES_MAX: usize = 512;
/// Longest stretch that a note may be about: an agent samples once an hour at least.
const SPAN_MAX_MS: u32 = 4 * 3_600_000;
/// A host may send so many notes at once: what its agent held while the collector was away.
const BURST: i64 = 96;
/// And one more in this time.
const EVERY_MS: i64 = 5_000;

/// When a note may have been taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Collector's clock, milliseconds since the Unix epoch.
    pub(super) now_ms: i64,
    /// So far ahead of it.
    pub(super) ahead_ms: i64,
    /// So far behind.
    pub(super) behind_ms: i64,
}

/// A note that may be stored.
pub(super) fn note(said: wire::ProcessNote, times: Times) -> Result<ProcessNote, Refused> {
    let (processes, services) = (said.processes.len(), said.services.len());
    if processes > PROCESSES_MAX || services > SERVICES_MAX {
        return Err(Refused::limit(format!(
            "a note of {processes} processes and {services} services; at most {PROCESSES_MAX} and \
             {SERVICES_MAX} are allowed"
        )));
    }
    let possible =
        times.now_ms.saturating_sub(times.behind_ms)..=times.now_ms.saturating_add(times.ahead_ms);
    if !possible.contains(&said.time_ms) || said.span_ms > SPAN_MAX_MS {
        return Err(Refused::new(
            RefusalReason::Time,
            format!(
                "a note of processes at {} ms over {} ms: check the host's clock",
                said.time_ms, said.span_ms
            ),
        ));
    }
    Ok(ProcessNote {
        at_ms: said.time_ms,
        span_ms: said.span_ms,
        looked_at: said.looked_at,
        passed_over: said.passed_over,
        lost: said.lost,
        disk_source: match said.disk_source() {
            wire::DiskSource::Process => DiskSource::Process,
            wire::DiskSource::Service => DiskSource::Service,
            wire::DiskSource::None | wire::DiskSource::Unspecified => DiskSource::None,
        },
        processes: said
            .processes
            .iter()
            .map(process)
            .collect::<Result<_, _>>()?,
        services: said
            .services
            .iter()
            .map(service)
            .collect::<Result<_, _>>()?,
    })
}

fn process(said: &wire::BusyProcess) -> Result<Process, Refused> {
    Ok(Process {
        pid: said.pid,
        name: text("a process's name", &said.name, NAME_BYTES_MAX)?,
        user: text("a user's name", &said.user, NAME_BYTES_MAX)?,
        started_ms: said.started_ms,
        cpu_milli: said.cpu_milli,
        children_milli: said.children_milli,
        resident_kib: said.resident_bytes / 1024,
        read_bytes_per_second: said.read_bytes_per_second,
        write_bytes_per_second: said.write_bytes_per_second,
        command: text("a command line", &said.command, COMMAND_BYTES_MAX)?,
    })
}

fn service(said: &wire::BusyService) -> Result<Service, Refused> {
    Ok(Service {
        name: text("a service's name", &said.name, SERVICE_BYTES_MAX)?,
        read_bytes_per_second: said.read_bytes_per_second,
        write_bytes_per_second: said.write_bytes_per_second,
    })
}

/// A host's text without control characters: any user of the host may call a process anything.
fn text(what: &str, said: &str, bytes_max: usize) -> Result<String, Refused> {
    if said.len() > bytes_max {
        return Err(Refused::limit(format!(
            "{what} has {} bytes, at most {bytes_max} are allowed",
            said.len()
        )));
    }
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    Ok(said.chars().map(visible).collect())
}

/// So many hosts are remembered before those are forgotten that may send all again.
const HOSTS_SWEPT: usize = 1024;

/// How many notes each host may still send.
#[derive(Debug, Default)]
pub(super) struct Paces {
    by_host: HashMap<HostId, Pace>,
    /// At so many hosts it is swept next.
    sweep_at: usize,
}

#[derive(Debug)]
struct Pace {
    left: i64,
    /// Up to when it was refilled.
    refilled_ms: i64,
}

impl Pace {
    fn refill(&mut self, now_ms: i64) {
        // A clock that was set back begins anew.
        let steps = now_ms.saturating_sub(self.refilled_ms).max(0) / EVERY_MS;
        self.left = self.left.saturating_add(steps).min(BURST);
        self.refilled_ms = now_ms.min(self.refilled_ms + steps * EVERY_MS);
    }
}

impl Paces {
    /// Takes one of a host's, if it has any left.
    pub(super) fn take(&mut self, host_id: HostId, now_ms: i64) -> Result<(), Refused> {
        if self.by_host.len() >= self.sweep_at.max(HOSTS_SWEPT) {
            self.sweep(now_ms);
        }
        let pace = self.by_host.entry(host_id).or_insert(Pace {
            left: BURST,
            refilled_ms: now_ms,
        });
        pace.refill(now_ms);
        if pace.left == 0 {
            return Err(Refused::limit(format!(
                "more notes of processes than one in {} s",
                EVERY_MS / 1000
            )));
        }
        pace.left -= 1;
        Ok(())
    }

    /// Forgets hosts that are as good as new: they come and go.
    fn sweep(&mut self, now_ms: i64) {
        self.by_host.retain(|_, pace| {
            pace.refill(now_ms);
            pace.left < BURST
        });
        self.sweep_at = self.by_host.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use hostwell_proto::wire::{BusyProcess, BusyService};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;
    const TIMES: Times = Times {
        now_ms: NOW_MS,
        ahead_ms: 600_000,
        behind_ms: 86_400_000,
    };

    fn said() -> wire::ProcessNote {
        wire::ProcessNote {
            time_ms: NOW_MS,
            span_ms: 60_000,
            looked_at: 200,
            disk_source: wire::DiskSource::Service.into(),
            processes: vec![BusyProcess {
                pid: 7,
                name: "make".into(),
                user: "build".into(),
                resident_bytes: 4096,
                ..BusyProcess::default()
            }],
            services: vec![BusyService {
                name: "db.service".into(),
                ..BusyService::default()
            }],
            ..wire::ProcessNote::default()
        }
    }

    #[test]
    fn a_note_comes_through_with_its_memory_in_kib() {
        let taken = note(said(), TIMES).unwrap();
        assert_eq!((taken.at_ms, taken.looked_at), (NOW_MS, 200));
        assert_eq!(taken.processes[0].resident_kib, 4);
        assert_eq!(taken.disk_source, DiskSource::Service);
    }

    #[test]
    fn what_is_too_much_too_long_or_impossible_is_refused_with_its_reason() {
        let mut cases: Vec<(RefusalReason, wire::ProcessNote)> = Vec::new();
        let mut case = |reason, change: &dyn Fn(&mut wire::ProcessNote)| {
            let mut one = said();
            change(&mut one);
            cases.push((reason, one));
        };
        let limit = RefusalReason::Limit;
        case(limit, &|n| n.processes = vec![BusyProcess::default(); 33]);
        case(limit, &|n| n.services = vec![BusyService::default(); 17]);
        case(limit, &|n| n.processes[0].name = "x".repeat(65));
        case(limit, &|n| n.processes[0].user = "x".repeat(65));
        case(limit, &|n| n.processes[0].command = "x".repeat(513));
        case(limit, &|n| n.services[0].name = "x".repeat(129));
        case(RefusalReason::Time, &|n| n.time_ms += 600_001);
        case(RefusalReason::Time, &|n| n.time_ms -= 86_400_001);
        case(RefusalReason::Time, &|n| n.span_ms = SPAN_MAX_MS + 1);
        for (reason, one) in cases {
            let refused = note(one.clone(), TIMES).unwrap_err();
            assert_eq!(refused.reason, reason, "{one:?}");
        }
    }

    #[test]
    fn control_characters_of_names_do_not_come_through() {
        let mut one = said();
        one.processes[0].name = "\u{1b}[2Jx\n".into();
        let taken = note(one, TIMES).unwrap();
        assert_eq!(taken.processes[0].name, "\u{fffd}[2Jx\u{fffd}");
    }

    #[test]
    fn a_host_has_a_burst_and_then_one_at_a_time() {
        let mut paces = Paces::default();
        let (one, other) = (HostId([1; 16]), HostId([2; 16]));
        for _ in 0..BURST {
            paces.take(one, NOW_MS).unwrap();
        }
        assert!(paces.take(one, NOW_MS + EVERY_MS - 1).is_err());
        paces.take(other, NOW_MS).unwrap();
        paces.take(one, NOW_MS + EVERY_MS).unwrap();
        assert!(paces.take(one, NOW_MS + EVERY_MS).is_err());
        // Whoever comes later, or lives in a time before, is not held against it.
        paces.take(one, NOW_MS + 100 * EVERY_MS).unwrap();
        assert!(paces.take(one, 0).is_ok());
    }

    #[test]
    fn hosts_that_are_gone_are_forgotten_and_those_that_spent_all_are_not() {
        let mut paces = Paces::default();
        let greedy = HostId([0xff; 16]);
        let id = |n: u64| HostId((u128::from(n) + 1).to_le_bytes());
        for round in 0..10 {
            let now_ms = NOW_MS + round * 2 * EVERY_MS;
            while paces.take(greedy, now_ms).is_ok() {}
            for n in 0..HOSTS_SWEPT as u64 {
                paces.take(id(round as u64 * 10_000 + n), now_ms).unwrap();
            }
            assert!(paces.by_host.len() <= 2 * HOSTS_SWEPT + 2);
            assert!(paces.take(greedy, now_ms).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_that_are_a_message_are_taken_or_refused(bytes: Vec<u8>) {
            if let Ok(said) = wire::ProcessNote::decode(&bytes[..]) {
                let _ = note(said, TIMES);
            }
        }

        #[test]
        fn what_is_taken_is_within_the_limits(
            count in 0usize..40, name in "\\PC{0,80}|[\\x00-\\x7f]{0,80}", resident: u64,
        ) {
            let mut one = said();
            let process = BusyProcess { name, resident_bytes: resident, ..BusyProcess::default() };
            one.processes = vec![process; count];
            if let Ok(taken) = note(one, TIMES) {
                prop_assert!(taken.processes.len() <= PROCESSES_MAX);
                for process in &taken.processes {
                    prop_assert!(process.name.chars().count() <= NAME_BYTES_MAX);
                    prop_assert!(!process.name.chars().any(char::is_control));
                }
            }
        }
    }
}
