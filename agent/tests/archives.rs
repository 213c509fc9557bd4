//! Real `/proc` and `/sys` trees of many kernels and machines, kept outside the project: every
//! file that a probe reads must be read.
//!
//! The tar balls are looked for in `$HOSTWELL_DATA/proc_fixtures/open`, by default beside the
//! workspace. They hold no system calls, so what only those tell is absent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test: a panic is the report"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use hostwell_agent::probe::{ProbeOptions, Rack};
use hostwell_agent::sample::{Readings, SeriesTable};
use hostwell_agent::source::Source;

/// The file that makes a tree have a probe's subject.
const SUBJECTS: &[(&str, &str)] = &[
    ("proc/stat", "cpu"),
    ("proc/loadavg", "load"),
    ("proc/meminfo", "memory"),
    ("proc/vmstat", "vmstat"),
    ("proc/pressure/cpu", "pressure"),
    ("proc/net/dev", "network"),
    ("proc/net/snmp", "netstat"),
    ("proc/net/netstat", "tcpext"),
    ("proc/net/sockstat", "sockstat"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "conntrack"),
    ("proc/diskstats", "disk"),
    ("proc/sys/fs/file-nr", "files"),
    ("proc/1/mountinfo", "filesystem"),
    ("proc/self/mountinfo", "filesystem"),
    ("sys/class/net", "link"),
    ("sys/class/net/bonding_masters", "bonding"),
    ("proc/mdstat", "md"),
    ("sys/fs/cgroup/memory.max", "cgroup"),
    ("proc/uptime", "kernel"),
    ("etc/os-release", "kernel"),
    ("proc/sys/kernel/pid_max", "limits"),
    ("proc/sys/kernel/threads-max", "limits"),
    ("proc/1", "processes"),
];

fn archives() -> Option<Vec<PathBuf>> {
    let data = std::env::var_os("HOSTWELL_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let entries = fs::read_dir(data.join("proc_fixtures/open")).ok()?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    Some(paths)
}

/// Tells `make test`, which counts what did not run.
fn note_skipped() {
    if let Some(path) = std::env::var_os("HOSTWELL_SKIPPED") {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        writeln!(file, "data archives").unwrap();
    }
}

fn octal(field: &[u8]) -> usize {
    let text = String::from_utf8_lossy(field);
    let digits = text.trim_matches(|c: char| !c.is_ascii_digit());
    usize::from_str_radix(digits, 8).unwrap_or(0)
}

fn words(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Unpacks folders, files and links within; what would lead outside is left out.
fn unpack(tar: &[u8], into: &Path) {
    let (mut at, mut long_name) = (0, None);
    while at + 512 <= tar.len() && tar[at] != 0 {
        let header = &tar[at..at + 512];
        let size = octal(&header[124..136]);
        let body = &tar[at + 512..(at + 512 + size).min(tar.len())];
        at += 512 + size.div_ceil(512) * 512;
        let prefix = words(&header[345..500]);
        let name = match (long_name.take(), prefix.as_str()) {
            (Some(name), _) => name,
            (None, "") => words(&header[..100]),
            (None, prefix) if &header[257..262] == b"ustar" && header[263] != b' ' => {
                format!("{prefix}/{}", words(&header[..100]))
            }
            (None, _) => words(&header[..100]),
        };
        let inside = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
        if !Path::new(&name).components().all(inside) {
            continue;
        }
        let path = into.join(&name);
        if let Some(parent) = path.parent() {
            let _ = fs::create_dir_all(parent);
        }
        match header[156] {
            b'L' => long_name = Some(words(body)),
            b'0' | 0 => drop(fs::write(&path, body)),
            b'5' => drop(fs::create_dir_all(&path)),
            b'2' if !words(&header[157..257]).starts_with('/') => {
                drop(std::os::unix::fs::symlink(words(&header[157..257]), &path));
            }
            _ => {}
        }
    }
}

/// The probes of a tree: those that read their subject, and the failures of the others.
fn read(dir: &Path) -> (BTreeSet<&'static str>, Vec<String>) {
    let source = Source::fixture(dir).unwrap();
    let mut rack = Rack::new(&ProbeOptions::default(), std::time::Duration::from_secs(10));
    let (mut table, mut readings) = (SeriesTable::default(), Vec::new());
    let (mut found, mut failures) = (BTreeSet::new(), Vec::new());
    for index in 0..rack.len() {
        let name = rack.spec(index).unwrap().name;
        let mut out = Readings {
            table: &mut table,
            readings: &mut readings,
        };
        match rack.read(index, &source, 0, &mut out) {
            Some(Ok(())) => drop(found.insert(name)),
            Some(Err(hostwell_agent::probe::ProbeError::Absent)) | None => {}
            Some(Err(e)) => failures.push(format!("{name}: {e}")),
        }
    }
    assert!(readings.iter().all(|(_, value)| value.is_finite()));
    (found, failures)
}

#[test]
fn no_probe_is_lost_that_a_tree_has_files_for() {
    let Some(archives) = archives() else {
        println!("0 trees read: no proc_fixtures beside the workspace nor in HOSTWELL_DATA");
        note_skipped();
        return;
    };
    let (mut trees, mut subjects, mut lost) = (0, 0, Vec::new());
    for archive in &archives {
        let packed = fs::read(archive).unwrap();
        let mut tar = Vec::new();
        if GzDecoder::new(&packed[..]).read_to_end(&mut tar).is_err() {
            tar = packed;
        }
        let dir = tempfile::tempdir().unwrap();
        unpack(&tar, dir.path());
        let (found, failures) = read(dir.path());
        trees += 1;
        subjects += found.len();
        let name = archive.file_name().unwrap().to_string_lossy();
        lost.extend(failures.iter().map(|failure| format!("{name}: {failure}")));
        for (file, probe) in SUBJECTS {
            if dir.path().join(file).exists() && !found.contains(probe) {
                lost.push(format!("{name}: {probe} in spite of {file}"));
            }
        }
    }
    println!("{trees} trees read, {subjects} subjects found in them");
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
