//! The whole agent on recorded machines: `hostwell-agent once --fixture DIR -o prometheus` is a
//! golden for each. `UPDATE_EXPECT=1 cargo test -p hostwell-agent --test once` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test: a panic is the report"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use hostwell_proto::metric::{ALL, Family, Metric};

fn fixture(machine: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("fixtures").join(machine)
}

/// What the binary prints, durations (the only thing that differs from run to run) blanked.
#[allow(
    clippy::disallowed_methods,
    reason = "this test runs the real binary; the binary itself runs nothing"
)]
fn once(machine: &str, output: &str) -> String {
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_hostwell-agent"))
        .args(["once", "-o", output, "--fixture"])
        .arg(fixture(machine))
        .env_clear()
        .output()
        .unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(
        run.status.success(),
        "{machine}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    let blank = |line: &str| match line.split_once("} ") {
        Some((series, _)) if line.starts_with("hostwell_probe_duration_seconds{") => {
            format!("{series}}} _\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(blank).collect()
}

const MACHINES: [&str; 6] = [
    "x86-vm",
    "arm64-board",
    "container-v2",
    "storage-bonds",
    "old-kernel",
    "damaged",
];

fn check(machine: &str) -> String {
    let text = once(machine, "prometheus");
    let golden = fixture("../golden").join(format!("{machine}.txt"));
    expect_file![golden].assert_eq(&text);
    text
}

#[test]
fn an_x86_virtual_machine() {
    check("x86-vm");
}

#[test]
fn an_arm64_board_with_64_kib_pages_and_sensors() {
    check("arm64-board");
}

#[test]
fn a_container_with_version_2_limits() {
    let text = check("container-v2");
    assert!(text.contains("hostwell_cgroup_memory_limit_bytes 2147483648\n"));
    // Three bind mounts of one file system: it counts once.
    assert_eq!(text.matches("\nnode_filesystem_size_bytes{").count(), 1);
}

#[test]
fn a_storage_server_with_arrays_bonds_and_a_file_system_that_hangs() {
    let text = check("storage-bonds");
    let stuck = "hostwell_filesystem_stuck{device=\"/dev/sdl1\",fstype=\"xfs\",mountpoint=\"/mnt/iscsi\"} 1\n";
    assert!(text.contains(stuck));
    assert!(text.contains("hostwell_probe_success{probe=\"filesystem\"} 1\n"));
}

#[test]
fn an_old_kernel_without_pressure_and_available_memory() {
    let text = check("old-kernel");
    assert!(!text.contains("node_pressure_") && !text.contains("MemAvailable"));
    assert!(!text.contains("probe=\"pressure\""), "absent is silent");
}

#[test]
fn malformed_lines_cost_their_probe_and_missing_files_are_silent() {
    let text = check("damaged");
    for (probe, success) in [
        ("cpu", Some(1)),
        ("load", Some(0)),
        ("memory", None),
        ("vmstat", Some(0)),
        ("network", Some(0)),
        ("disk", Some(0)),
        ("filesystem", Some(0)),
    ] {
        let line = |value| format!("hostwell_probe_success{{probe=\"{probe}\"}} {value}\n");
        for value in [0, 1] {
            let expected = success == Some(value);
            assert_eq!(text.contains(&line(value)), expected, "{probe} {value}");
        }
    }
}

#[test]
fn every_metric_of_the_catalogue_is_read_from_some_machine() {
    let everything: String = MACHINES.iter().map(|m| once(m, "prometheus")).collect();
    let types = everything
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let found: BTreeSet<&str> = types.collect();
    for metric in ALL {
        // Its own, what the collector derives, and what only other systems' probe has, are not read from a machine.
        let elsewhere = metric.descriptor().family == Family::Own
            || metric.is_derived()
            || *metric == Metric::CpuCoreBusyRatio;
        assert!(
            elsewhere || found.contains(metric.name()),
            "{}",
            metric.name()
        );
    }
}

#[test]
fn json_and_text_carry_the_same_series() {
    let json: serde_json::Value = serde_json::from_str(&once("x86-vm", "json")).unwrap();
    let samples = json["samples"].as_array().unwrap().len();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["time_ms"], 1_763_545_600_123_i64);
    assert_eq!(once("x86-vm", "text").lines().count(), samples);
    let prometheus = once("x86-vm", "prometheus");
    let series = prometheus.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(series.count(), samples);
}
