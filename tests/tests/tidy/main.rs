//! What a review would forget: walls between rooms, invariants of absence, sizes, words, and that
//! what is written down is what the programs do. Each check is itself tried on a bad example.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reports by panicking"
)]

mod absence;
mod deploy;
mod files;
mod rooms;

use hostwell_tests::program::repository;
use hostwell_tests::source::{SourceFile, files, relative};

/// The product's own source: without tests, benches and generated code.
fn product() -> Vec<SourceFile> {
    let root = repository();
    let paths = files(
        &root,
        &["proto/src", "agent/src", "collector/src"],
        &[".rs"],
    );
    paths
        .iter()
        .map(|p| SourceFile::new(&relative(&root, p), &std::fs::read_to_string(p).unwrap()))
        .filter(|f| !f.is_test() && !f.path.contains("/generated/"))
        .collect()
}

/// The room a file belongs to: crate and first module ("collector::store", "agent::probe").
fn room(path: &str) -> String {
    let mut parts = path.split('/');
    let top = parts.next().unwrap_or_default();
    let module = parts.nth(1).unwrap_or_default();
    format!("{top}::{}", module.trim_end_matches(".rs"))
}

#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn the_room_is_the_first_module() {
    assert_eq!(room("collector/src/store/seal.rs"), "collector::store");
    assert_eq!(room("agent/src/spool.rs"), "agent::spool");
}
