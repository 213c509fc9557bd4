use super::*;

#[test]
fn the_shelf_keeps_the_newest_and_says_what_it_dropped() {
    let shelf = Shelf::default();
    assert_eq!(shelf.take(), None);
    for time_ms in 0..70 {
        shelf.put(&wire::ProcessNote {
            time_ms,
            ..wire::ProcessNote::default()
        });
    }
    let first = shelf.take().unwrap();
    assert_eq!((first.time_ms, first.lost), (6, 6));
    let second = shelf.take().unwrap();
    assert_eq!((second.time_ms, second.lost), (7, 0));
}

#[test]
fn scans_are_rarer_the_more_they_cost_and_more_frequent_under_pressure() {
    let ms = Duration::from_millis;
    assert_eq!(pause(1, false, ms(3)), SECOND);
    assert_eq!(pause(2, false, ms(3)), CALM);
    assert_eq!(pause(2, true, ms(3)), PRESSED);
    assert_eq!(pause(9, true, ms(300)), ms(150_000));
    assert_eq!(pause(1, false, ms(300)), ms(150_000));
}

#[cfg(target_os = "linux")]
#[allow(
    clippy::disallowed_methods,
    reason = "a test may start what the agent looks at"
)]
mod live {
    use std::process::Command;

    use super::super::scan::{Moment, Scanner};
    use super::*;

    fn source() -> Source {
        Source::live(std::path::Path::new("/"))
    }

    fn moment(start: Instant) -> Moment {
        Moment {
            mono_ms: start.elapsed().as_millis() as i64,
            wall_ms: source().wall_ns() / 1_000_000,
        }
    }

    /// What a shell does between two scans.
    fn scanned(options: Options, script: &str) -> (u32, wire::ProcessNote) {
        let mut scanner = Scanner::new(options);
        let start = Instant::now();
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(scanner.scan(&source(), moment(start)).unwrap(), None);
        // The shell waits for a line to begin, and goes on for as long as its input is open.
        std::io::Write::write_all(&mut child.stdin.as_mut().unwrap(), b"go\n").unwrap();
        thread::sleep(Duration::from_millis(1_500));
        let note = scanner.scan(&source(), moment(start)).unwrap().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        (child.id(), note)
    }

    #[test]
    fn a_busy_process_is_found_with_its_owner_and_its_start() {
        let options = Options {
            command_line: true,
            ..Options::default()
        };
        let (pid, note) = scanned(options, "read go; while :; do :; done # spinning");
        let found = note.processes.iter().find(|one| one.pid == pid);
        let found = found.unwrap_or_else(|| panic!("{note:?}"));
        // The machine may be busy with others.
        assert!(found.cpu_milli > 50 && found.cpu_milli < 1_200, "{found:?}");
        assert!(
            found.children_milli < 100 && found.resident_bytes > 0,
            "{found:?}"
        );
        assert!(found.command.contains("# spinning"), "{found:?}");
        assert!(!found.user.is_empty() && !found.name.is_empty());
        assert!(
            (note.time_ms - found.started_ms).abs() < 60_000,
            "{found:?}"
        );
        assert!(note.looked_at >= 2 && note.passed_over == 0);
        // CPU and memory: five each at most.
        assert!(note.processes.len() <= 15, "{note:?}");
    }

    #[test]
    fn command_lines_are_not_told_unless_that_is_allowed() {
        let (_, note) = scanned(Options::default(), "read go; sleep 5 # secret");
        assert!(note.processes.iter().all(|one| one.command.is_empty()));
    }

    #[test]
    fn a_burst_of_children_that_are_gone_is_told_of_their_parent() {
        // Each inner shell counts for a while and ends: none lives from scan to scan.
        let burst =
            "read go; while :; do sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'; done";
        let (pid, note) = scanned(Options::default(), burst);
        let found = note.processes.iter().find(|one| one.pid == pid);
        let found = found.unwrap_or_else(|| panic!("{note:?}"));
        assert!(found.children_milli > found.cpu_milli, "{found:?}");
        assert!(found.children_milli > 50, "{found:?}");
    }

    #[test]
    fn a_thread_scans_when_it_is_asked_and_its_notes_reach_the_shelf() {
        let shelf = Arc::new(Shelf::default());
        let top = Top::start(Options::default(), Arc::new(source()), shelf.clone()).unwrap();
        let start = Instant::now();
        assert_eq!(top.health(start), None);
        let finished = |count| {
            while top.shared.course().running.is_some() {
                assert!(start.elapsed() < Duration::from_secs(60), "scan {count}");
                thread::sleep(Duration::from_millis(5));
            }
        };
        top.tick(start, false);
        finished(1);
        assert_eq!(shelf.take(), None, "nothing to compare with");
        top.tick(start + Duration::from_secs(9), false);
        assert_eq!(top.shared.course().count, 1, "not yet due");
        top.tick(start + Duration::from_secs(3_600), false);
        finished(2);
        assert!(shelf.take().is_some());
        assert!(top.health(start).is_some_and(|(_, well)| well));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_scan_that_hangs_is_told_and_hinders_nobody() {
    let root = tempfile::tempdir().unwrap();
    let proc = root.path().join("proc");
    std::fs::create_dir_all(&proc).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    let uptime = proc.join("uptime");
    rustix::fs::mknodat(rustix::fs::CWD, &uptime, fifo, mode, 0).unwrap();
    let source = Arc::new(Source::live(root.path()));
    let top = Top::start(Options::default(), source, Arc::default()).unwrap();
    let start = Instant::now();
    top.tick(start, false);
    let later = start + DEADLINE + Duration::from_secs(1);
    top.tick(later, false);
    assert!(top.health(later).is_some_and(|(_, well)| !well));
    assert_eq!(top.shared.course().count, 1, "no second one is begun");
    // Opening the other end lets it go: what it reads is no number.
    let other_end = std::fs::OpenOptions::new()
        .write(true)
        .open(&uptime)
        .unwrap();
    drop(other_end);
    let end = Instant::now() + Duration::from_secs(60);
    while top.shared.course().running.is_some() {
        assert!(Instant::now() < end, "it does not come back");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(top.health(start).is_some_and(|(_, well)| !well));
}
