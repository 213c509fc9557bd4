use std::fs;

use super::*;

#[test]
fn a_fixture_answers_system_calls_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("syscalls.toml"),
        "now_ms = 1700000000123\npage_bytes = 65536\n[uname]\nnodename = \"web-1\"\n\
         [statvfs.\"/\"]\nblock_bytes = 4096\nblocks = 10\n[statvfs.\"/mnt/gone\"]\nerrno = 5\n",
    )
    .unwrap();
    let source = Source::fixture(dir.path()).unwrap();
    assert_eq!(source.now_ms(), 1_700_000_000_123);
    assert_eq!(source.page_bytes(), 65536);
    assert_eq!(source.uname().nodename, "web-1");
    assert_eq!(source.statvfs("/").unwrap().blocks, 10);
    assert_eq!(
        source.statvfs("/mnt/gone").unwrap_err().raw_os_error(),
        Some(5)
    );
}

#[test]
fn a_fixtures_clock_runs_as_far_ahead_as_its_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::fixture(dir.path()).unwrap();
    let ahead_ms = || (source.wall_ns() - Source::live(dir.path()).wall_ns()) / 1_000_000;
    assert!(ahead_ms().abs() < 1_000_000);
    for wanted_ms in [-3_600_000, 3_600_000] {
        fs::write(dir.path().join("clock_ahead_ms"), format!("{wanted_ms}\n")).unwrap();
        assert!((ahead_ms() - wanted_ms).abs() < 1_000_000);
    }
}

#[test]
fn what_a_fixture_does_not_say_is_unsupported() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::fixture(dir.path()).unwrap();
    for error in [
        source.statvfs("/").map(|_| ()).unwrap_err(),
        source.adjtimex().map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}

#[test]
fn a_fixture_with_an_unknown_key_names_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("syscalls.toml"), "nwo_ms = 1\n").unwrap();
    let error = Source::fixture(dir.path()).unwrap_err();
    assert!(format!("{error:#}").contains("nwo_ms"), "{error:#}");
    assert!(Source::fixture(&dir.path().join("gone")).is_err());
}

#[test]
fn the_live_kernel_answers() {
    let source = Source::live(Path::new("/"));
    assert_eq!(source.uname().sysname, "Linux");
    let root = source.statvfs("/").unwrap();
    assert!(root.block_bytes >= 512 && root.blocks >= root.blocks_free);
    assert!(source.page_bytes().is_power_of_two());
    assert!(source.now_ms() > 1_600_000_000_000);
}

#[test]
fn paths_stay_under_the_root_prefix() {
    let source = Source::live(Path::new("/host"));
    assert_eq!(source.path("proc/stat"), Path::new("/host/proc/stat"));
    assert_eq!(source.path("/data"), Path::new("/host/data"));
}

#[test]
fn a_text_is_read_whole_whatever_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::live(dir.path());
    for length in [0, 1, 1023, 1024, 1025, 2048, 5000] {
        fs::write(dir.path().join("text"), "x".repeat(length)).unwrap();
        assert_eq!(source.text("text").unwrap().len(), length);
    }
    assert!(source.text("gone").is_err());
}
