use super::*;

#[tokio::test]
async fn a_second_collector_is_told_that_another_one_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    assert!(matches!(
        Store::open(options(folder.path())).await,
        Err(StoreError::Busy(_))
    ));
    store.close().await.unwrap();
    open(folder.path()).await;
}

#[tokio::test]
async fn no_file_is_absent_and_an_empty_one_is_not_a_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostwell.db");
    assert!(matches!(
        Store::open_read_only(&path).await,
        Err(StoreError::Absent(_))
    ));
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(
        Store::open_read_only(&path).await,
        Err(StoreError::Damaged { .. })
    ));
    open(folder.path()).await;
}

#[tokio::test]
async fn a_newer_format_is_refused_with_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.close().await.unwrap();
    let path = folder.path().join("hostwell.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    for refused in [
        Store::open(options(folder.path())).await.unwrap_err(),
        Store::open_read_only(&path).await.unwrap_err(),
    ] {
        assert!(
            refused
                .to_string()
                .contains("has format 99, this program reads up to"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_foreign_file_is_called_damaged_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostwell.db");
    let garbage = b"not a database, but some text that somebody put here ".repeat(100);
    std::fs::write(&path, &garbage).unwrap();
    for refused in [
        Store::open(options(folder.path())).await.unwrap_err(),
        Store::open_read_only(&path).await.unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        assert!(refused.to_string().contains("5300 bytes"), "{refused}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), garbage);
}

/// The bytes of a database with journal and blocks and without free pages.
async fn filled(folder: &Path) -> Vec<u8> {
    let (store, ids) = with_host(folder).await;
    for i in 0..40u64 {
        let points: Vec<(i64, f64)> = (0..20)
            .map(|k| {
                (
                    T0 + (i as i64 * 20 + k) * 1000,
                    (i * 7919 + k as u64 * 31) as f64 / 7.0,
                )
            })
            .collect();
        store.append(batch(1, i + 1, &ids, &points)).await.unwrap();
    }
    store.upkeep(T0 + 2 * HOUR).await.unwrap();
    for i in 40..90u64 {
        let points = (0..200).map(|k| (T0 + 9 * HOUR + (i * 200 + k) as i64, k as f64 / 7.0));
        store
            .append(batch(1, i + 1, &ids, &points.collect::<Vec<_>>()))
            .await
            .unwrap();
    }
    let copy = folder.join("copy.db");
    store.backup(&copy, None).await.unwrap();
    std::fs::read(copy).unwrap()
}

#[tokio::test]
async fn a_truncated_database_is_an_error_wherever_it_is_cut_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path()).await;
    for part in 0..20 {
        let cut = tempfile::tempdir().unwrap();
        let path = cut.path().join("hostwell.db");
        std::fs::write(&path, &whole[..whole.len() * part / 20]).unwrap();
        let read = Store::open_read_only(&path).await;
        assert!(
            matches!(read, Err(StoreError::Damaged { .. })),
            "{part}: {read:?}"
        );
        if part > 0 {
            let written = Store::open(options(cut.path())).await;
            assert!(
                matches!(written, Err(StoreError::Damaged { .. })),
                "{part}: {written:?}"
            );
        }
    }
}

#[tokio::test]
async fn flipped_bytes_are_found_by_the_check_and_never_answered_as_samples() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path()).await;
    let honest = {
        let store = Store::open_read_only(&folder.path().join("hostwell.db"))
            .await
            .unwrap();
        points(&store, "web", "node_load1").await
    };
    let mut found = 0;
    for at in (4096..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let other = tempfile::tempdir().unwrap();
        let path = other.path().join("hostwell.db");
        std::fs::write(&path, &bytes).unwrap();
        let Ok(store) = Store::open_read_only(&path).await else {
            continue;
        };
        let query = WindowQuery {
            metrics: vec!["node_load1".into()],
            ..all()
        };
        if let Ok(windows) = store.windows(query).await
            && let Some(series) = windows.first().and_then(|w| w.series.first())
        {
            for point in series.times_ms.iter().zip(&series.values) {
                assert!(
                    honest.contains(&(*point.0, *point.1)),
                    "byte {at}: {point:?}"
                );
            }
        }
        found += usize::from(
            store
                .facts(true)
                .await
                .is_ok_and(|f| !f.problems.is_empty()),
        );
    }
    // A byte in the unused part of a page is nobody's.
    assert!(found > 12, "{found} of 60 were found");
}

#[tokio::test]
async fn a_full_disk_refuses_and_the_store_works_again_when_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let limit = |pages: i64| {
        store.change("set the page limit", move |ledger| {
            ledger
                .conn
                .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            Ok(())
        })
    };
    store.append(batch(1, 1, &ids, &[(T0, 1.0)])).await.unwrap();
    limit(1).await.unwrap();
    let mut refused = 0;
    let mut stored = 1;
    for i in 2..40u64 {
        let points: Vec<_> = (0..50)
            .map(|k| (T0 + (i * 50 + k) as i64, k as f64 / 3.0))
            .collect();
        match store.append(batch(1, i, &ids, &points)).await {
            Ok(_) => stored += 50,
            Err(StoreError::Full(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 30, "{refused}");
    assert_eq!(
        points(&store, "web", "node_load1").await.len(),
        stored,
        "what was acknowledged"
    );
    assert_eq!(
        store.facts(true).await.unwrap().problems,
        Vec::<String>::new()
    );
    limit(1 << 30).await.unwrap();
    assert_eq!(
        store
            .append(batch(1, 39, &ids, &[(T0 - 1, 5.0)]))
            .await
            .unwrap(),
        Appended::Stored
    );
    assert_eq!(points(&store, "web", "node_load1").await.len(), stored + 1);
    let reopened = folder.path().join("hostwell.db");
    let reader = Store::open_read_only(&reopened).await.unwrap();
    assert_eq!(points(&reader, "web", "node_load1").await.len(), stored + 1);
}

/// A change behind the store's back, and how the check names it.
const SPOILED: &[(&str, &str)] = &[
    (
        "UPDATE block SET crc32c = 1 WHERE number = 1",
        "block 1: its checksum is wrong",
    ),
    (
        "UPDATE journal SET crc32c = 1",
        "journal 2: its checksum is wrong",
    ),
    (
        "INSERT INTO sealed VALUES (1, 99)",
        "host 1 is sealed up to row 99",
    ),
    (
        "UPDATE block SET samples = 9 WHERE number = 1",
        "block 1: its times or count are not",
    ),
    (
        "UPDATE series SET host = 7",
        "block 1: holds a series that is not its host's",
    ),
    ("UPDATE gap SET host = 7", "gap: host number 7 is nobody"),
    (
        "UPDATE series SET labels = 9 WHERE id = 1",
        "series 1: has no name",
    ),
    (
        "INSERT INTO metric VALUES (9, 'node_load1', 'counter', 1, 1);
         UPDATE series SET metric = 9 WHERE id = 2",
        "series 2: is called like another one of its host",
    ),
    ("UPDATE series SET id = 1", "series 1: is there twice"),
    (
        "UPDATE labels SET uses = 3",
        "labels 1: 2 series have it, not 3 as it says",
    ),
    (
        "INSERT INTO metric VALUES (9, 'nobodys', 'gauge', 8, 0)",
        "metric 9: 0 series have it",
    ),
    (
        "UPDATE given SET last = 1 WHERE what = 'series'",
        "series: ids above 1 were never given out",
    ),
    (
        "UPDATE metric SET kind = 'odd' WHERE id = 1",
        "metric 1 is of kind \"odd\"",
    ),
    ("UPDATE labels SET text = '[]'", "labels 1: "),
    (
        "UPDATE spool SET held = '[[3,2]]'",
        "held ranges overlap or descend",
    ),
    (
        "INSERT INTO block SELECT 9, host, family, start_ms, end_ms, samples, crc32c, payload
             FROM block WHERE number = 1",
        "block 9: repeats 2 samples of block 1",
    ),
    (
        "PRAGMA foreign_keys = OFF; UPDATE host SET merged_into = 99",
        "host 1: names a row that is gone",
    ),
];

#[tokio::test]
async fn the_check_says_in_words_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store
        .append(batch(1, 1, &ids, &[(T0, 1.0), (T0 + 1, 2.0)]))
        .await
        .unwrap();
    store.upkeep(T0 + 100 * HOUR).await.unwrap();
    store
        .append(batch(1, 2, &ids, &[(T0 + 2, 1.0)]))
        .await
        .unwrap();
    let gap = GapRecord {
        spool_id: spool(1).to_string(),
        first_sequence: 3,
        last_sequence: 3,
        from_ms: T0,
        to_ms: T0,
        samples: 1,
        reason: "age".into(),
    };
    store.append_gap(host(1), gap, T0).await.unwrap();
    assert_eq!(
        store.facts(true).await.unwrap().problems,
        Vec::<String>::new()
    );
    for (number, (sql, wanted)) in SPOILED.iter().enumerate() {
        let path = folder.path().join(format!("{number}.db"));
        store.backup(&path, None).await.unwrap();
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        let copy = Store::open_read_only(&path).await.unwrap();
        let problems = copy.facts(true).await.unwrap().problems;
        assert!(
            problems.iter().any(|p| p.contains(wanted)),
            "{sql}: {problems:?}"
        );
    }
}
