//! Tests that cannot run here say so where `make test` counts it: nothing is skipped in silence.

use std::io::Write;
use std::path::PathBuf;

/// The folder with real server data, or `None` (noted) when `HOSTWELL_DATA` is not set.
pub fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("HOSTWELL_DATA").map(PathBuf::from);
    if folder.is_none() {
        note("data", test);
    }
    folder
}

/// Whether the test runs as root; noted when it does not.
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        note("root", test);
    }
    root
}

fn note(kind: &str, test: &str) {
    let Some(path) = std::env::var_os("HOSTWELL_SKIPPED") else {
        return;
    };
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    writeln!(file, "{kind} {test}").unwrap();
}
