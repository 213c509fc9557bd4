//! Notes of what used hosts most: kept, put together, read around a moment, dropped.

use crate::processes::{DiskSource, Process, ProcessNote, Service};

use super::*;

const MINUTE: i64 = 60_000;

pub(super) fn note(at_ms: i64, cpu_milli: u32) -> ProcessNote {
    ProcessNote {
        at_ms,
        span_ms: 60_000,
        looked_at: 200,
        disk_source: DiskSource::Service,
        processes: vec![Process {
            pid: 17,
            name: "make".into(),
            user: "build".into(),
            started_ms: T0 - DAY,
            cpu_milli,
            resident_kib: 4_096,
            ..Process::default()
        }],
        services: vec![Service {
            name: "db.service".into(),
            write_bytes_per_second: 5,
            ..Service::default()
        }],
        ..ProcessNote::default()
    }
}

async fn add(store: &Store, n: u8, note: ProcessNote) {
    store.add_process_note(host(n), note).await.unwrap();
}

async fn within(store: &Store, name: &str, from_ms: i64, to_ms: i64) -> Vec<ProcessNote> {
    let asked = NotesAsked {
        host: name.into(),
        from_ms,
        to_ms,
    };
    store.process_notes(vec![asked]).await.unwrap().remove(0)
}

#[tokio::test]
async fn notes_come_back_by_host_and_time_whether_put_together_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    store.greet(greeting(2, "other"), T0).await.unwrap();
    // More than are left single, and the last ones out of order.
    let mut all: Vec<ProcessNote> = (0..150u32)
        .map(|i| note(T0 + i64::from(i) * MINUTE, i * 7 % 900))
        .collect();
    for i in (0..140).chain((140..150).rev()) {
        add(&store, 1, all[i].clone()).await;
    }
    add(&store, 2, note(T0, 1)).await;
    assert_eq!(within(&store, "web", T0, T0 + DAY).await, all);
    let around = within(&store, "web", T0 + 5 * MINUTE, T0 + 7 * MINUTE).await;
    assert_eq!(around, all[5..=7]);
    let newest = store.newest_process_note("web").await.unwrap();
    assert_eq!(newest, all.pop());
    let census = store.census().await.unwrap().processes;
    assert_eq!((census.notes, census.rows), (151, 32), "{census:?}");
    assert_eq!(
        (census.oldest_ms, census.newest_ms),
        (Some(T0), Some(T0 + 149 * MINUTE))
    );
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.problems, Vec::<String>::new());
}

#[tokio::test]
async fn notes_of_a_host_that_is_not_there_are_none_and_unknown_hosts_send_none() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    assert_eq!(within(&store, "nobody", T0, T0).await, []);
    assert_eq!(store.newest_process_note("web").await.unwrap(), None);
    assert!(store.newest_process_note("nobody").await.is_err());
    let stranger = store.add_process_note(host(9), note(T0, 1)).await;
    assert!(matches!(stranger, Err(StoreError::NoHost { .. })));
}

#[tokio::test]
async fn a_merged_hosts_notes_are_those_of_the_host_that_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    store.greet(greeting(2, "old"), T0).await.unwrap();
    add(&store, 2, note(T0, 5)).await;
    add(&store, 1, note(T0 + MINUTE, 6)).await;
    let into = HostEdit::MergeInto { into: "web".into() };
    store.edit_host("old", into, T0).await.unwrap();
    let notes = within(&store, "web", T0, T0 + MINUTE).await;
    assert_eq!(notes, [note(T0, 5), note(T0 + MINUTE, 6)]);
}

#[tokio::test]
async fn notes_past_their_age_go_and_a_clock_that_jumps_ahead_takes_none() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    add(&store, 1, note(T0, 1)).await;
    add(&store, 1, note(T0 + 6 * DAY, 2)).await;
    store.upkeep(T0 + 100 * DAY).await.unwrap();
    assert_eq!(within(&store, "web", T0, T0 + 9 * DAY).await.len(), 2);
    store.greet(greeting(2, "other"), T0).await.unwrap();
    add(&store, 2, note(T0 + 8 * DAY, 3)).await;
    store.upkeep(T0 + 8 * DAY).await.unwrap();
    let left = within(&store, "web", T0, T0 + 9 * DAY).await;
    assert_eq!(left, [note(T0 + 6 * DAY, 2)]);
    // A host that sends drops its own when they are put together.
    for i in 0..130 {
        add(&store, 1, note(T0 + 20 * DAY + i * MINUTE, 4)).await;
    }
    assert_eq!(within(&store, "web", T0, T0 + 9 * DAY).await, []);
}

#[tokio::test]
async fn notes_survive_a_restart_and_are_in_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    add(&store, 1, note(T0, 1)).await;
    let copy = folder.path().join("copy.db");
    store.backup(&copy, None).await.unwrap();
    store.close().await.unwrap();
    let again = open(folder.path()).await;
    assert_eq!(within(&again, "web", T0, T0).await, [note(T0, 1)]);
    let backup = Store::open_read_only(&copy).await.unwrap();
    assert_eq!(within(&backup, "web", T0, T0).await, [note(T0, 1)]);
}

#[tokio::test]
async fn a_note_whose_bytes_or_columns_changed_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    for i in 0..3 {
        add(&store, 1, note(T0 + i * MINUTE, 1)).await;
    }
    let conn = rusqlite::Connection::open(folder.path().join("hostwell.db")).unwrap();
    for (sql, what) in [
        (
            "UPDATE process_note SET payload = zeroblob(9) WHERE number = 1",
            "1: process_note 1 fails its checksum",
        ),
        (
            "UPDATE process_note SET end_ms = 7 WHERE number = 2",
            "2: its times or count",
        ),
        (
            "UPDATE process_note SET host = 77 WHERE number = 3",
            "host number 77 is nobody",
        ),
    ] {
        conn.execute_batch(sql).unwrap();
        let problems = store.facts(true).await.unwrap().problems;
        assert!(
            problems.iter().any(|p| p.contains(what)),
            "{what}: {problems:?}"
        );
    }
}
