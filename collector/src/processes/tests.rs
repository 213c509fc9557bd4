use proptest::prelude::*;

use super::*;
use crate::rules::RULES;

fn process(pid: u32, cpu_milli: u32, resident_kib: u64, write: u64) -> Process {
    Process {
        pid,
        name: format!("p{pid}"),
        user: "build".into(),
        cpu_milli,
        resident_kib,
        write_bytes_per_second: write,
        ..Process::default()
    }
}

fn note(at_ms: i64, processes: Vec<Process>) -> ProcessNote {
    ProcessNote {
        at_ms,
        span_ms: 60_000,
        disk_source: DiskSource::Process,
        processes,
        ..ProcessNote::default()
    }
}

fn pids(users: &[User]) -> Vec<u32> {
    users.iter().filter_map(|user| user.pid).collect()
}

#[test]
fn each_resource_has_its_own_order_and_nobody_who_uses_none_of_it() {
    let children = Process {
        children_milli: 900,
        ..process(4, 10, 5, 0)
    };
    let seen = note(
        0,
        vec![
            process(1, 500, 10, 7),
            process(2, 0, 30, 0),
            process(3, 700, 20, 9),
            children,
        ],
    );
    assert_eq!(pids(&seen.top(Resource::Cpu)), [4, 3, 1]);
    assert_eq!(pids(&seen.top(Resource::Memory)), [2, 3, 1, 4]);
    assert_eq!(pids(&seen.top(Resource::DiskWrites)), [3, 1]);
}

#[test]
fn disks_are_told_by_service_where_the_kernel_shows_no_more() {
    let mut seen = note(0, vec![process(1, 1, 1, 5)]);
    seen.services.push(Service {
        name: "db.service".into(),
        write_bytes_per_second: 8,
        ..Service::default()
    });
    for (source, names) in [
        (DiskSource::Process, vec!["p1"]),
        (DiskSource::Service, vec!["db.service"]),
        (DiskSource::None, vec![]),
    ] {
        seen.disk_source = source;
        let users = seen.top(Resource::Disk);
        let found: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(found, names, "{source:?}");
    }
}

#[test]
fn what_a_finding_is_about_is_known_for_rules_that_there_are() {
    let about = |rule, subject| resource_of(rule, subject);
    assert_eq!(about("pressure_high", "io"), Some(Resource::Disk));
    assert_eq!(about("disk_full", "/"), Some(Resource::DiskWrites));
    assert_eq!(about("reboot", ""), None);
    for rule in [
        "cpu_saturation",
        "load_high",
        "memory_low",
        "oom_kill",
        "memory_leak",
        "swap_thrashing",
        "swap_full",
        "major_faults",
        "disk_busy",
        "disk_queue",
        "disk_slow",
        "cpu_iowait",
        "tasks_blocked",
        "disk_full",
        "filesystem_filling",
    ] {
        assert!(RULES.iter().any(|one| one.name == rule), "{rule}");
        assert!(about(rule, "").is_some(), "{rule}");
    }
}

#[test]
fn suspects_are_those_of_the_first_stretch_within_the_finding() {
    let since_ms = 1_000_000;
    let notes = [
        note(since_ms + 400_000, vec![process(4, 900, 1, 0)]),
        note(since_ms + 100_000, vec![process(3, 800, 1, 0)]),
        // Most of this stretch lies before.
        note(since_ms + 10_000, vec![process(2, 700, 1, 0)]),
        note(since_ms - 900_000, vec![process(1, 600, 1, 0)]),
    ];
    let who = |rule, notes: &[ProcessNote]| {
        let found = suspects((rule, ""), since_ms, 0, notes);
        found.map(|found| pids(&found.users)[0])
    };
    assert_eq!(who("cpu_saturation", &notes), Some(3));
    assert_eq!(
        who("oom_kill", &notes),
        Some(2),
        "whoever was killed is gone after"
    );
    assert_eq!(
        who("cpu_saturation", &notes[2..]),
        Some(2),
        "better than none"
    );
    assert_eq!(who("cpu_saturation", &notes[3..]), None, "too long before");
    assert_eq!(who("reboot", &notes), None);
}

#[test]
fn a_hosts_wrong_clock_is_allowed_for() {
    let notes = [note(5_060_000, vec![process(1, 600, 1, 0)])];
    let found = suspects(("load_high", ""), 1_000_000, 4_000_000, &notes).unwrap();
    assert_eq!(found.at_ms, 1_060_000);
    assert_eq!(suspects(("load_high", ""), 1_000_000, 0, &notes), None);
}

#[test]
fn the_line_names_how_much_of_what_and_whose() {
    let children = Process {
        children_milli: 1_600,
        ..process(17, 20, 1, 0)
    };
    let seen = [note(
        60_000,
        vec![children, process(21, 920, 2_048, 5_000_000)],
    )];
    let line = |rule| suspects((rule, ""), 0, 0, &seen).unwrap().words();
    assert_eq!(
        line("cpu_saturation"),
        "p17 162 % of a CPU by children (pid 17, build), p21 92 % of a CPU (pid 21, build)"
    );
    assert_eq!(
        line("memory_low"),
        "p21 2 MiB (pid 21, build), p17 1 KiB (pid 17, build)"
    );
    assert_eq!(line("disk_full"), "p21 5 MB/s written (pid 21, build)");
}

proptest! {
    #[test]
    fn a_top_is_short_falls_and_holds_the_greatest(
        cpu in prop::collection::vec(0u32..5_000, 0..40),
    ) {
        let processes = (0u32..).zip(&cpu).map(|(pid, cpu)| process(pid, *cpu, 1, 0)).collect();
        let top = note(0, processes).top(Resource::Cpu);
        prop_assert!(top.len() <= TOP);
        prop_assert!(top.is_sorted_by(|a, b| a.cpu >= b.cpu));
        let greatest = cpu.iter().max().copied().filter(|most| *most > 0);
        prop_assert_eq!(top.first().map(|user| (user.cpu * 1000.0).round() as u32), greatest);
    }
}
