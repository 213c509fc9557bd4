//! Invariants of absence: what must not be there, and where it may.

use hostwell_tests::source::SourceFile;

use crate::{none, product, room};

/// The pure rooms.
const CORE: &[&str] = &[
    "collector::words",
    "collector::series",
    "collector::forecast",
    "collector::anomaly",
    "collector::indicators",
    "collector::rules",
    "collector::plan",
    "collector::processes",
    "collector::report",
];

/// (tokens, rooms where they may stand, why). Everything not named may not.
const ONLY_IN: &[(&[&str], &[&str], &str)] = &[
    (
        &["rusqlite"],
        &["collector::store"],
        "all SQL lives in the store",
    ),
    (
        &["axum"],
        &["collector::web"],
        "pages are the web room's affair",
    ),
    (
        &["tonic"],
        &[
            "agent::uplink",
            "agent::tls",
            "collector::ingest",
            "collector::api",
            "collector::auth",
            "collector::serve",
            "proto::codec",
        ],
        "gRPC stays at the doors",
    ),
    (
        &["hyper::client"],
        &["collector::notify"],
        "only notifications ask others over HTTP",
    ),
    (
        &["TcpListener", "UnixListener"],
        &["collector::listen"],
        "the agent listens on nothing; the collector in one place, with its bounds",
    ),
    (
        &[
            "process::Command",
            "Command::new",
            "execve",
            "posix_spawn",
            "libc::system",
            "libc::fork",
        ],
        &[],
        "neither program executes another one",
    ),
    (
        &["println!", "eprintln!", "print!", "eprint!"],
        &[],
        "one printer",
    ),
];

/// Tokens that no pure room may hold.
const NOT_IN_CORE: &[&str] = &[
    "async",
    "tokio",
    "rusqlite",
    "tonic",
    "axum",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "std::fs",
    "std::net",
    "std::env",
    "std::io::stdin",
    "File::open",
];

/// Beginnings of SQL statements, as they stand in strings.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "PRAGMA ",
];

fn problems(files: &[SourceFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let room = room(&file.path);
        let mut found = |view: &str, token: &str, why: &str| {
            for line in SourceFile::lines_with(view, token) {
                problems.push(format!("{}:{line}: {token} ({why})", file.path));
            }
        };
        for (tokens, rooms, why) in ONLY_IN {
            if !rooms.contains(&room.as_str()) {
                tokens.iter().for_each(|t| found(&file.code, t, why));
            }
        }
        if CORE.contains(&room.as_str()) {
            for token in NOT_IN_CORE {
                found(
                    &file.code,
                    token,
                    "the core is pure: no clock, no I/O, no async",
                );
            }
        }
        if room != "collector::store" {
            for (number, line) in file.text.lines().enumerate() {
                for token in SQL.iter().filter(|t| line.contains(&format!("\"{t}"))) {
                    let place = format!("{}:{}", file.path, number + 1);
                    problems.push(format!("{place}: {token}(all SQL lives in the store)"));
                }
            }
        }
    }
    problems
}

#[test]
fn nothing_stands_where_it_must_not() {
    none(&problems(&product()));
}

#[test]
fn every_forbidden_thing_is_found() {
    let check = |path: &str, source: &str| problems(&[SourceFile::new(path, source)]).len();
    for (path, source) in [
        ("collector/src/rules/disk.rs", "async fn f() {}"),
        ("collector/src/report/md.rs", "let t = SystemTime::now();"),
        ("collector/src/plan/mod.rs", "std::fs::read(p)"),
        ("collector/src/series.rs", "use std::net::TcpStream;"),
        ("collector/src/web/mod.rs", "use rusqlite::Connection;"),
        ("collector/src/answer/mod.rs", "q(\"SELECT 1\")"),
        ("collector/src/ingest.rs", "use axum::Router;"),
        ("agent/src/spool.rs", "tonic::Status"),
        ("agent/src/uplink.rs", "TcpListener::bind(a)"),
        ("agent/src/probe/cpu.rs", "std::process::Command::new(x)"),
        ("collector/src/cli/hosts.rs", "println!();"),
    ] {
        assert!(check(path, source) > 0, "{path}: {source}");
    }
    assert_eq!(
        check("collector/src/store/mod.rs", "rusqlite; q(\"SELECT 1\")"),
        0
    );
    assert_eq!(
        check("collector/src/rules/a.rs", "// async\nlet s = \"tokio\";"),
        0
    );
}
