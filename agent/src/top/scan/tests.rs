use std::path::Path;

use proptest::prelude::*;

use super::*;

/// A machine of files, whose processes a test writes.
struct Machine {
    root: tempfile::TempDir,
    source: Source,
    scanner: Scanner,
    at_ms: i64,
}

/// CPU times in hundredths of a second.
#[derive(Clone, Copy, Default)]
struct Fake {
    pid: u32,
    parent: u32,
    cpu: u64,
    children: u64,
    started: u64,
    pages: u64,
    written: Option<u64>,
}

const BOOT_S: i64 = 1_000_000;

impl Machine {
    fn new() -> Machine {
        let root = tempfile::tempdir().unwrap();
        let source = Source::fixture(root.path()).unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::write(root.path().join("proc/stat"), "cpu 1\ncpu0 1\ncpu1 1\n").unwrap();
        Machine {
            scanner: Scanner::new(Options::default()),
            root,
            source,
            at_ms: 0,
        }
    }

    fn folder(&self, pid: u32) -> std::path::PathBuf {
        self.root.path().join("proc").join(pid.to_string())
    }

    /// A minute later there are these processes.
    fn minute(&mut self, processes: &[Fake]) -> Option<ProcessNote> {
        self.at_ms += 60_000;
        let proc = self.root.path().join("proc");
        for entry in std::fs::read_dir(&proc).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
        for one in processes {
            let folder = self.folder(one.pid);
            std::fs::create_dir(&folder).unwrap();
            let line = format!(
                "{} (p{}) S {} 0 0 0 -1 0 0 0 0 0 {} 0 {} 0 20 0 1 0 {} 0 {} 0\n",
                one.pid, one.pid, one.parent, one.cpu, one.children, one.started, one.pages
            );
            std::fs::write(folder.join("stat"), line).unwrap();
            if let Some(written) = one.written {
                let io = format!("read_bytes: 0\nwrite_bytes: {written}\n");
                std::fs::write(folder.join("io"), io).unwrap();
            }
        }
        let uptime = format!("{}.00 1.0\n", self.at_ms / 1000);
        std::fs::write(proc.join("uptime"), uptime).unwrap();
        let now = Moment {
            mono_ms: self.at_ms,
            wall_ms: BOOT_S * 1000 + self.at_ms,
        };
        self.scanner.scan(&self.source, now).unwrap()
    }
}

fn used(note: &ProcessNote, pid: u32) -> Option<(u32, u32)> {
    let found = note.processes.iter().find(|one| one.pid == pid)?;
    Some((found.cpu_milli, found.children_milli))
}

#[test]
fn shares_are_what_was_used_between_two_scans() {
    let mut machine = Machine::new();
    let one = Fake {
        pid: 7,
        cpu: 500,
        pages: 300,
        started: 1_000,
        ..Fake::default()
    };
    assert_eq!(machine.minute(&[one]), None, "nothing to compare with");
    let later = Fake { cpu: 3_500, ..one };
    // Started since then: all it used was used since then.
    let new = Fake {
        pid: 9,
        cpu: 600,
        started: 6_500,
        ..Fake::default()
    };
    // Not seen before although it was there: nobody knows when it used that.
    let late = Fake {
        pid: 11,
        cpu: 600,
        started: 500,
        ..Fake::default()
    };
    let note = machine.minute(&[later, new, late]).unwrap();
    assert_eq!((note.span_ms, note.looked_at), (60_000, 3));
    assert_eq!(used(&note, 7), Some((500, 0)));
    assert_eq!(used(&note, 9), Some((100, 0)));
    assert_eq!(used(&note, 11), None);
    let told = &note.processes[0];
    assert_eq!((told.pid, told.name.as_str()), (7, "p7"));
    assert_eq!(told.started_ms, BOOT_S * 1000 + 10_000);
    assert_eq!(told.resident_bytes, 150 << 13);
    // Another one with the same number is another one.
    let other = Fake {
        started: 13_000,
        cpu: 60,
        ..one
    };
    let note = machine.minute(&[other]).unwrap();
    assert_eq!(used(&note, 7), Some((10, 0)));
}

#[test]
fn children_that_came_and_went_are_told_of_whoever_waited_for_them() {
    let mut machine = Machine::new();
    let make = Fake {
        pid: 20,
        children: 100,
        started: 10,
        ..Fake::default()
    };
    let shell = Fake {
        pid: 21,
        parent: 20,
        cpu: 5,
        children: 40,
        started: 20,
        ..Fake::default()
    };
    let long = Fake {
        pid: 22,
        parent: 21,
        cpu: 3_000,
        started: 30,
        ..Fake::default()
    };
    machine.minute(&[make, shell, long]);
    // The shell and its child have ended. What the scan before told of them is not told again; 600
    // more was used by them, or by some that no scan ever saw.
    let after = Fake {
        children: 100 + 5 + 40 + 3_000 + 600,
        ..make
    };
    let note = machine.minute(&[after]).unwrap();
    assert_eq!(used(&note, 20), Some((0, 100)));
    // An account that says more than two CPUs can give in a minute says nothing.
    let wrong = Fake {
        children: after.children + 20_000,
        ..make
    };
    let note = machine.minute(&[wrong]).unwrap();
    assert_eq!(used(&note, 20), None);
}

#[test]
fn disks_are_told_by_process_where_all_are_shown_and_else_by_service() {
    let mut machine = Machine::new();
    let shown = |written| Fake {
        pid: 5,
        written: Some(written),
        ..Fake::default()
    };
    let denied = Fake {
        pid: 6,
        pages: 1,
        ..Fake::default()
    };
    machine.minute(&[shown(0)]);
    let note = machine.minute(&[shown(60 << 20)]).unwrap();
    assert_eq!(note.disk_source(), DiskSource::Process);
    assert_eq!(note.processes[0].write_bytes_per_second, 1 << 20);
    let note = machine.minute(&[shown(60 << 20), denied]).unwrap();
    assert_eq!(note.disk_source(), DiskSource::None);
    let group = machine.root.path().join("sys/fs/cgroup/db.service");
    std::fs::create_dir_all(&group).unwrap();
    std::fs::write(group.join("../cgroup.controllers"), "io").unwrap();
    std::fs::write(group.join("io.stat"), "8:0 rbytes=0 wbytes=0").unwrap();
    machine.minute(&[shown(60 << 20), denied]);
    std::fs::write(group.join("io.stat"), "8:0 rbytes=60000 wbytes=120000").unwrap();
    let note = machine.minute(&[shown(60 << 20), denied]).unwrap();
    assert_eq!(note.disk_source(), DiskSource::Service);
    let service = &note.services[0];
    assert_eq!(
        (
            service.name.as_str(),
            service.read_bytes_per_second,
            service.write_bytes_per_second
        ),
        ("db.service", 1_000, 2_000)
    );
}

#[test]
fn of_many_only_the_busiest_five_of_each_kind_are_told() {
    let mut machine = Machine::new();
    let crowd = |minute: u64| -> Vec<Fake> {
        (1..=300)
            .map(|pid| Fake {
                pid,
                cpu: minute * u64::from(pid) * 10,
                pages: u64::from(1_000 - pid),
                started: 1,
                ..Fake::default()
            })
            .collect()
    };
    machine.minute(&crowd(0));
    let note = machine.minute(&crowd(1)).unwrap();
    assert_eq!(note.looked_at, 300);
    let pids: Vec<u32> = note.processes.iter().map(|one| one.pid).collect();
    assert_eq!(pids, [300, 299, 298, 297, 296, 1, 2, 3, 4, 5]);
}

#[test]
fn a_host_without_processes_is_an_error_and_no_panic() {
    let source = Source::fixture(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut scanner = Scanner::new(Options::default());
    let now = Moment {
        mono_ms: 0,
        wall_ms: 0,
    };
    assert!(scanner.scan(&source, now).is_err());
    let mut machine = Machine::new();
    machine.at_ms += 60_000;
    std::fs::write(machine.root.path().join("proc/uptime"), "60.00 1\n").unwrap();
    let none = machine.scanner.scan(&machine.source, now).unwrap_err();
    assert_eq!(none.kind(), std::io::ErrorKind::NotFound);
}

proptest! {
    #[test]
    fn the_chosen_hold_the_greatest_of_each_kind_and_nobody_twice(
        used in prop::collection::vec((0u32..9, 0u64..9, 0u32..9), 0..60),
    ) {
        let row = |(pid, (cpu, pages, written))| Row {
            seen: Seen {
                pid, started: 0, parent: 0, cpu: 0, children: 0, read_kib: 0, written_kib: 0,
                disk: Disk::Shown,
            },
            started: 0, name: [0; NAME_BYTES], resident_pages: pages, cpu, children: 0,
            read_kib: 0, written_kib: written,
        };
        let rows: Vec<Row> = (0u32..).zip(used).map(row).collect();
        let chosen = chosen(&rows, true);
        prop_assert!(chosen.len() <= 3 * TOP);
        let mut pids: Vec<u32> = chosen.iter().map(|row| row.seen.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        prop_assert_eq!(pids.len(), chosen.len());
        for uses in [Row::all_cpu, |row: &Row| row.resident_pages, Row::traffic] {
            let most = |mut all: Vec<u64>| {
                all.sort_unstable_by(|a, b| b.cmp(a));
                all.truncate(TOP);
                all.retain(|uses| *uses > 0);
                all
            };
            let best = most(rows.iter().map(uses).collect());
            prop_assert_eq!(most(chosen.iter().map(|row| uses(row)).collect()), best);
        }
    }
}
