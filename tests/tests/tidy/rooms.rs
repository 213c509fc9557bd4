//! Who may import whom.

use std::collections::BTreeSet;

use hostwell_tests::source::SourceFile;

use crate::{none, product, room};

/// Room → rooms of the same crate it may use. `proto` may be used by everybody.
/// A new edge here is a decision: say why in the commit.
const AGENT: &[(&str, &[&str])] = &[
    ("sample", &[]),
    ("source", &[]),
    ("facts", &["source"]),
    ("probe", &["sample", "source", "facts"]),
    ("expose", &["sample"]),
    ("identity", &[]),
    ("tls", &[]),
    ("config", &["probe", "source", "spool", "tls", "top"]),
    // Beside the probes, with a thread of its own: a scan of processes must delay no tick.
    ("top", &["source"]),
    ("spool", &["sample"]),
    ("service", &[]),
    (
        "sampler",
        &["sample", "probe", "source", "spool", "service", "top"],
    ),
    ("uplink", &["spool", "tls", "config", "top"]),
];

/// The same for the collector.
const COLLECTOR: &[(&str, &[&str])] = &[
    ("words", &[]),
    ("series", &[]),
    ("forecast", &["series"]),
    ("anomaly", &["series"]),
    ("indicators", &["series", "words"]),
    (
        "rules",
        // What fills, and what is unusual, are verdicts like others.
        &["series", "forecast", "anomaly", "indicators", "words"],
    ),
    ("plan", &["series", "indicators", "rules", "words"]),
    ("processes", &["words"]),
    (
        "report",
        &[
            "series",
            "indicators",
            "rules",
            "plan",
            "processes",
            "words",
        ],
    ),
    ("store", &["series", "rules", "processes"]),
    ("clock", &[]),
    ("config", &["rules", "store"]),
    ("auth", &["config"]),
    ("listen", &["auth", "config"]),
    (
        "ingest",
        &["store", "series", "processes", "auth", "config", "clock"],
    ),
    // What comes in another way is held to the rules of the door.
    ("import", &["store", "series", "config", "ingest"]),
    ("export", &["store", "series"]),
    (
        "upkeep",
        // What is usual is learned and followed here.
        &[
            "store",
            "series",
            "anomaly",
            "indicators",
            "rules",
            "plan",
            "clock",
        ],
    ),
    ("notify", &["store", "rules", "config", "clock", "words"]),
    (
        "answer",
        &[
            "store",
            "series",
            "forecast",
            // A backtest asks everything that a past can be held against.
            "anomaly",
            "indicators",
            "rules",
            "plan",
            "processes",
            "report",
            "words",
        ],
    ),
    ("api", &["answer", "store", "auth", "config", "clock"]),
    (
        "web",
        &[
            "answer", "store", "rules", "report", "listen", "clock", "words",
        ],
    ),
];

/// Composition roots: they know everybody.
const ROOTS: &[&str] = &["lib", "main", "cli", "serve", "up"];

/// The rooms of its own crate that a file names.
fn used(file: &SourceFile) -> BTreeSet<String> {
    let ident = |s: &str| -> String {
        let s = s.trim_start();
        s.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut rooms = BTreeSet::new();
    for (at, word) in file.code.match_indices("crate::") {
        let rest = &file.code[at + word.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            // `use crate::{a::b, c}`: the names at the group's own depth.
            let mut depth = 0;
            let mut start = true;
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && depth == 0 && !c.is_whitespace() => {
                        rooms.insert(ident(&group[i..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            rooms.insert(ident(rest));
        }
    }
    rooms
}

fn problems(files: &[SourceFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let room = room(&file.path);
        let (table, name) = match room.split_once("::") {
            Some(("agent", name)) => (AGENT, name),
            Some(("collector", name)) => (COLLECTOR, name),
            _ => continue,
        };
        if ROOTS.contains(&name) {
            continue;
        }
        let Some((_, allowed)) = table.iter().find(|(r, _)| *r == name) else {
            problems.push(format!("{}: room {room} is not in the table", file.path));
            continue;
        };
        for other in used(file) {
            let is_room = table.iter().any(|(r, _)| *r == other) || ROOTS.contains(&other.as_str());
            if is_room && other != name && !allowed.contains(&other.as_str()) {
                problems.push(format!("{}: {room} may not use {other}", file.path));
            }
        }
        for line in SourceFile::lines_with(&file.code, "hostwell_agent") {
            let place = format!("{}:{line}", file.path);
            problems.push(format!("{place}: {room} may not use hostwell_agent"));
        }
    }
    problems
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    none(&problems(&product()));
}

#[test]
fn a_forbidden_edge_is_found() {
    let check = |path: &str, source: &str| problems(&[SourceFile::new(path, source)]);
    assert_eq!(
        check("collector/src/rules/disk.rs", "use crate::store::Store;"),
        ["collector/src/rules/disk.rs: collector::rules may not use store"]
    );
    assert_eq!(
        check(
            "collector/src/series.rs",
            "use crate::{\n a, report::{b, plan}};"
        )
        .len(),
        1
    );
    assert_eq!(
        check("agent/src/spool.rs", "fn f() { crate::uplink::send() }").len(),
        1
    );
    assert_eq!(
        check("agent/src/odd.rs", "").len(),
        1,
        "a room nobody decided on"
    );
    assert_eq!(
        check("collector/src/web/mod.rs", "use hostwell_agent::run;").len(),
        1
    );
    none(&check(
        "collector/src/rules/disk.rs",
        "// crate::store\nuse crate::series::Window;",
    ));
    none(&check(
        "collector/src/rules/disk.rs",
        "#[cfg(test)] mod t { use crate::store; }",
    ));
}
