//! Who used most: with a host, with its risks, in a report.

use expect_test::{Expect, expect};
use hostwell_proto::id::HostId;

use super::fixture::{Fleet, NOW_MS};
use super::{Outcome, hostwell};
use crate::cli::Exit;
use crate::processes::{DiskSource, Process, ProcessNote};
use crate::store::{Store, StoreOptions};

const MINUTE_MS: i64 = 60_000;

fn note(before_now: i64, name: &str, cpu_milli: u32) -> ProcessNote {
    let at_ms = NOW_MS - before_now * MINUTE_MS;
    let one = |pid, name: &str, cpu_milli, resident_kib| Process {
        pid,
        name: name.into(),
        user: name.into(),
        started_ms: at_ms - 600_000,
        cpu_milli,
        resident_kib,
        ..Process::default()
    };
    let busy = Process {
        children_milli: 1_200,
        write_bytes_per_second: 4_000_000,
        ..one(4711, name, cpu_milli, 2 << 20)
    };
    ProcessNote {
        at_ms,
        span_ms: 60_000,
        looked_at: 212,
        disk_source: DiskSource::Process,
        processes: vec![busy, one(1, "init", 0, 9_216)],
        ..ProcessNote::default()
    }
}

/// The fleet with notes of what was busy when its findings began.
fn fleet() -> Fleet {
    let fleet = Fleet::new();
    let options = StoreOptions {
        path: fleet.db(),
        retention_ms: 15 * 86_400_000,
        series_per_host_max: 1_000,
        hosts_max: 100,
    };
    let fill = async {
        let store = Store::open(options).await.unwrap();
        for (host, note) in [
            (2, note(19, "rsync", 400)),
            (2, note(9, "postgres", 700)),
            (2, note(0, "idle", 1)),
            (5, note(19, "=1+1\u{1b}[2J\n|`<b>", 900)),
        ] {
            let host = HostId([host; 16]);
            store.add_process_note(host, note).await.unwrap();
        }
        store.close().await.unwrap();
    };
    tokio::runtime::Runtime::new().unwrap().block_on(fill);
    fleet
}

fn on(fleet: &Fleet, words: &[&str]) -> Outcome {
    let db = fleet.db();
    let outcome = hostwell(&[words, &["--db", db.to_str().unwrap()]].concat());
    assert!(outcome.exit != Exit::Failed, "{words:?}: {}", outcome.err);
    outcome
}

/// The part of a text from a line that contains `from` to an empty one.
#[track_caller]
fn part(text: &str, from: &str, expected: Expect) {
    let lines = text.lines().skip_while(|line| !line.contains(from));
    let found: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    expected.assert_eq(&(found.join("\n") + "\n"));
}

#[test]
fn a_host_shows_who_used_it_most_when_last_looked() {
    let out = on(&fleet(), &["host", "db-1"]).out;
    part(
        &out,
        "Who used most",
        expect![[r#"
        Who used most in the 1 min up to 2026-11-21 20:00:00Z, 0 s ago, of 212 processes
        OF      PROCESS   PID  USER    CPU  ITS CHILDREN  MEMORY  READS  WRITES  STARTED
        CPU     idle     4711  idle  0.1 %         120 %   2 GiB      -  4 MB/s  2026-11-21 19:50:00Z
        memory  idle     4711  idle  0.1 %         120 %   2 GiB      -  4 MB/s  2026-11-21 19:50:00Z
                init        1  init      -             -   9 MiB      -       -  2026-11-21 19:50:00Z
        disk    idle     4711  idle  0.1 %         120 %   2 GiB      -  4 MB/s  2026-11-21 19:50:00Z
    "#]],
    );
}

#[test]
fn a_host_at_an_earlier_moment_shows_who_used_it_then() {
    let words = ["host", "db-1", "--from", "30m", "--to", "8m", "-o", "json"];
    let document: serde_json::Value = serde_json::from_str(&on(&fleet(), &words).out).unwrap();
    let seen = &document["processes"];
    assert_eq!(seen["cpu"][0]["name"], "postgres", "{seen}");
    assert_eq!(seen["age_ms"], 60_000);
    assert_eq!(seen["cpu"][0]["children_cpu"], 1.2);
}

#[test]
fn an_entry_shows_who_used_most_of_what_it_is_about_when_it_began() {
    let fleet = fleet();
    // Short of disk since 20 minutes, of memory since ten.
    part(
        &on(&fleet, &["risk", "show", "1"]).out,
        "who used most",
        expect![[r#"
              who used most in the 1 min up to 2026-11-21 19:41:00Z:
            OF           PROCESS   PID  USER    CPU  ITS CHILDREN  MEMORY  READS  WRITES  STARTED
            disk writes  rsync    4711  rsync  40 %         120 %   2 GiB      -  4 MB/s  2026-11-21 19:31:00Z
            Find what grew and delete it, or enlarge the filesystem.
        "#]],
    );
    part(
        &on(&fleet, &["risk", "show", "2"]).out,
        "who used most",
        expect![[r#"
              who used most in the 1 min up to 2026-11-21 19:51:00Z:
            OF      PROCESS    PID  USER       CPU  ITS CHILDREN  MEMORY  READS  WRITES  STARTED
            memory  postgres  4711  postgres  70 %         120 %   2 GiB      -  4 MB/s  2026-11-21 19:41:00Z
                    init         1  init         -             -   9 MiB      -       -  2026-11-21 19:41:00Z
            Look for what grew.
        "#]],
    );
    let out = on(&fleet, &["risks"]).out;
    part(
        &out,
        "2: Look",
        expect![[r#"
        2: Look for what grew.
           who: postgres 2 GiB (pid 4711, postgres), init 9 MiB (pid 1, init)
    "#]],
    );
    let out = on(&fleet, &["risks", "-o", "json"]).out;
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let found = &document["findings"][0]["processes"];
    assert_eq!(found["resource"], "disk_writes", "{found}");
    assert_eq!(found["users"][0]["name"], "rsync");
}

#[test]
fn a_report_names_them_beside_the_risk() {
    let fleet = fleet();
    let report = |format| on(&fleet, &["report", "--since", "30m", "--format", format]).out;
    let text = report("md");
    assert!(
        text.contains("- Who: rsync 4 MB/s written (pid 4711, rsync)"),
        "{text}"
    );
    assert!(report("html").contains("<dt>Who</dt><dd>rsync 4"), "html");
    assert!(
        report("json").contains("\"who\": \"rsync 4 MB/s written"),
        "json"
    );
}

#[test]
fn what_a_process_calls_itself_steers_nothing() {
    let fleet = fleet();
    for words in [
        &["host", "=evil"][..],
        &["host", "=evil", "-o", "csv"],
        &["risks"],
        &["risks", "-o", "csv"],
        &["risk", "show", "3"],
        &["report", "--since", "30m", "--format", "md"],
        &["report", "--since", "30m", "--format", "html"],
    ] {
        let out = on(&fleet, words).out;
        assert!(out.contains("1+1"), "{words:?} tells of it");
        let strange = out.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(strange, None, "{words:?}");
        let page = words.contains(&"html");
        assert!(!page || !out.contains("<b>"), "{words:?}");
        assert!(
            !out.contains(",=1+1") && !out.contains("\n=1+1"),
            "{words:?}"
        );
    }
}
