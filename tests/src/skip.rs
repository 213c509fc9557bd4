//! Tests that cannot run here say so where `make test` counts it: nothing is skipped in silence.

use std::io::Write;

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
