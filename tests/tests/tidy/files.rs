//! Sizes, words, names and links of what is in the repository.

use hostwell_tests::program::repository;
use hostwell_tests::source::{files, relative};

use crate::none;

/// What the attribute of a test that never runs begins with; in parts, so that this is none.
const NEVER_RUN: &str = concat!("#[", "ignore");

const LINES_MAX: usize = 800;

/// Printed from the code: as long as what they tell of.
const PRINTED: &[&str] = &["docs/metrics.md", "docs/rules.md"];

/// Folders that people wrote; fixtures and goldens are data.
const WRITTEN: &[&str] = &["proto", "agent", "collector", "tests", "deploy", "docs"];

/// Written apart so that this file does not find itself.
fn banned_words() -> Vec<String> {
    [
        "TO-DO",
        "FIX-ME",
        "X-XX",
        "not imple-mented",
        "place-holder",
        "unimple-mented!",
    ]
    .map(|w| w.replace('-', ""))
    .to_vec()
}

/// Names of modules that say nothing.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "helper", "helpers", "manager", "misc",
];

/// Every text file people wrote: (path from the root, content).
fn written() -> Vec<(String, String)> {
    let root = repository();
    let mut paths = files(
        &root,
        WRITTEN,
        &[".rs", ".md", ".toml", ".proto", ".sh", ".service"],
    );
    for top in std::fs::read_dir(&root).unwrap() {
        let path = top.unwrap().path();
        if path.is_file() && !path.ends_with("Cargo.lock") && !path.ends_with("LICENSE") {
            paths.push(path);
        }
    }
    paths
        .iter()
        .map(|p| (relative(&root, p), p))
        .filter(|(r, _)| {
            !["/fixtures/", "/golden/", "/generated/", "/testdata/"]
                .iter()
                .any(|d| r.contains(d))
        })
        .filter_map(|(r, p)| Some((r, std::fs::read_to_string(p).ok()?)))
        .collect()
}

fn problems(path: &str, content: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let lines = content.lines().count();
    if lines > LINES_MAX && !PRINTED.contains(&path) {
        problems.push(format!("{path}: {lines} lines, at most {LINES_MAX}"));
    }
    for (number, line) in content.lines().enumerate() {
        for word in banned_words() {
            if line.contains(&word) {
                problems.push(format!("{path}:{}: {word}", number + 1));
            }
        }
        if path.ends_with(".rs") && line.trim_start().starts_with(NEVER_RUN) {
            problems.push(format!("{path}:{}: a test that never runs", number + 1));
        }
    }
    let stem = path
        .rsplit('/')
        .next()
        .unwrap_or(path)
        .trim_end_matches(".rs");
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    for name in EMPTY_NAMES {
        if path.ends_with(".rs") && (stem == *name || folder == *name) {
            problems.push(format!("{path}: {name} says nothing about what is inside"));
        }
    }
    problems
}

/// Relative links of a Markdown text that lead nowhere.
fn dead_links(path: &str, content: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(f, _)| f);
    let mut dead = Vec::new();
    for (at, _) in content.match_indices("](") {
        let target = content[at + 2..].split(')').next().unwrap_or_default();
        let target = target.split('#').next().unwrap_or_default();
        if target.is_empty() || target.contains("://") {
            continue;
        }
        let target = if folder.is_empty() {
            target.to_owned()
        } else {
            format!("{folder}/{target}")
        };
        if !exists(&target) {
            dead.push(format!("{path}: {target} does not exist"));
        }
    }
    dead
}

/// The commands of the README's first code block, without their comments.
fn first_commands(readme: &str) -> Vec<String> {
    let block = readme.split("```").nth(1).unwrap_or_default();
    let commands = block
        .lines()
        .skip(1)
        .map(|l| l.split('#').next().unwrap_or_default().trim());
    commands
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn files_are_short_and_say_what_they_mean() {
    let all: Vec<String> = written().iter().flat_map(|(p, c)| problems(p, c)).collect();
    none(&all);
}

#[test]
fn a_bad_file_is_found() {
    assert_eq!(problems("a/b.rs", &"x\n".repeat(801)).len(), 1);
    assert_eq!(problems("a/utils.rs", "").len(), 1);
    assert_eq!(problems("a/common/mod.rs", "").len(), 1);
    assert_eq!(problems("a/b.rs", &format!("  {NEVER_RUN}]")).len(), 1);
    for word in banned_words() {
        assert_eq!(
            problems("a/b.md", &format!("a {word} b")).len(),
            1,
            "{word}"
        );
    }
    none(&problems("a/b.rs", &"x\n".repeat(800)));
}

#[test]
fn links_in_documents_lead_somewhere() {
    let root = repository();
    let all: Vec<String> = written()
        .iter()
        .filter(|(p, _)| p.ends_with(".md"))
        .flat_map(|(p, c)| dead_links(p, c, |t| root.join(t).exists()))
        .collect();
    none(&all);
    let found = dead_links(
        "docs/a.md",
        "[x](b.md) [y](https://e.org) [z](#here)",
        |_| false,
    );
    assert_eq!(found, ["docs/a.md: docs/b.md does not exist"]);
}

#[test]
fn the_first_screen_of_the_readme_has_exactly_two_commands() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    assert_eq!(first_commands(&readme), ["make run", "make test"]);
    let line = readme.lines().position(|l| l.starts_with("make test"));
    assert!(line.is_some_and(|l| l < 24), "not on the first screen");
    assert_eq!(
        first_commands("```sh\na # x\n# y\nb\n```\n```\nc\n```"),
        ["a", "b"]
    );
}
