use super::*;

/// Copies the files as a power cut would leave them.
pub(super) fn copy(from: &Path, to: &Path) {
    for name in ["hostwell.db", "hostwell.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_copy_of_the_files_at_any_moment_holds_everything_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let mut sent = Vec::new();
    for round in 0..12u64 {
        for i in 0..5 {
            let point = (T0 + (round * 5 + i) as i64 * 60_000, (round * i) as f64);
            store
                .append(batch(1, round * 5 + i + 1, &ids, &[point]))
                .await
                .unwrap();
            sent.push(point);
        }
        if round % 4 == 3 {
            store.upkeep(T0 + (round as i64 + 20) * HOUR).await.unwrap();
        }
        let cut = tempfile::tempdir().unwrap();
        copy(folder.path(), cut.path());
        let reader = Store::open_read_only(&cut.path().join("hostwell.db"))
            .await
            .unwrap();
        assert_eq!(
            points(&reader, "web", "node_load1").await,
            sent,
            "at rest, round {round}"
        );
        reader.close().await.unwrap();
        let again = open(cut.path()).await;
        assert_eq!(
            points(&again, "web", "node_load1").await,
            sent,
            "round {round}"
        );
        assert_eq!(
            again.holding(host(1), spool(1)).await.unwrap(),
            [(1, round * 5 + 5)]
        );
        assert_eq!(
            again.facts(true).await.unwrap().problems,
            Vec::<String>::new()
        );
    }
}

#[tokio::test]
async fn a_log_cut_anywhere_loses_whole_commits_from_the_end_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    for i in 0..8 {
        let point = (T0 + i * 1000, i as f64);
        store
            .append(batch(1, i as u64 + 1, &ids, &[point]))
            .await
            .unwrap();
    }
    let log = std::fs::read(folder.path().join("hostwell.db-wal")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for cut in (0..=log.len()).step_by(log.len() / 40) {
        let other = tempfile::tempdir().unwrap();
        copy(folder.path(), other.path());
        std::fs::write(other.path().join("hostwell.db-wal"), &log[..cut]).unwrap();
        let Ok(again) = Store::open(options(other.path())).await else {
            panic!("cut at {cut}")
        };
        if again.hosts().await.unwrap().is_empty() {
            continue;
        }
        let held = again.holding(host(1), spool(1)).await.unwrap();
        let count = points(&again, "web", "node_load1").await.len();
        assert_eq!(
            held.first().map_or(0, |r| r.1) as usize,
            count,
            "points and watermark agree"
        );
        seen.insert(count);
    }
    assert!(seen.len() > 4, "the cuts met different moments: {seen:?}");
}

#[tokio::test]
async fn after_a_clean_stop_the_one_file_is_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store.append(batch(1, 1, &ids, &[(T0, 1.0)])).await.unwrap();
    let other = store.clone();
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(other.beat(T0).await, Err(StoreError::Conflict(_))));
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("-wal") || name.contains("-shm"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    let alone = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("hostwell.db"), alone.path().join("x.db")).unwrap();
    let reader = Store::open_read_only(&alone.path().join("x.db"))
        .await
        .unwrap();
    assert_eq!(points(&reader, "web", "node_load1").await, [(T0, 1.0)]);
    let facts = reader.facts(true).await.unwrap();
    assert_eq!(
        (facts.journal_batches, facts.samples, facts.hosts),
        (0, 2, 1)
    );
    assert_eq!((facts.oldest_ms, facts.newest_ms), (Some(T0), Some(T0)));
    let conn = rusqlite::Connection::open(alone.path().join("x.db")).unwrap();
    let free: i64 = conn
        .pragma_query_value(None, "freelist_count", |r| r.get(0))
        .unwrap();
    assert_eq!(free, 0, "what the journal left is given back");
}

#[tokio::test]
async fn a_small_file_is_compacted_into_small_pages_and_can_be_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostwell.db");
    let (store, ids) = with_host(folder.path()).await;
    store.append(batch(1, 1, &ids, &[(T0, 1.0)])).await.unwrap();
    store.close().await.unwrap();
    let (before, after) = Store::compact(options(folder.path())).await.unwrap();
    assert!(after * 3 < before, "{before} to {after} bytes");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), after);
    let store = open(folder.path()).await;
    let more = batch(1, 2, &ids, &[(T0 + 10_000, 2.0)]);
    store.append(more).await.unwrap();
    let found = points(&store, "web", "node_load1").await;
    assert_eq!(found, [(T0, 1.0), (T0 + 10_000, 2.0)]);
    store.close().await.unwrap();
    let reader = Store::open_read_only(&path).await.unwrap();
    assert!(reader.facts(true).await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn a_backup_is_whole_while_writes_go_on_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store.append(batch(1, 1, &ids, &[(T0, 1.0)])).await.unwrap();
    let writing = store.clone();
    let writer = tokio::spawn(async move {
        for i in 2..60u64 {
            writing
                .append(batch(1, i, &ids, &[(T0 + i as i64, 1.0)]))
                .await
                .unwrap();
        }
    });
    let to = folder.path().join("copy.db");
    let bytes = store.backup(&to, None).await.unwrap();
    writer.await.unwrap();
    assert_eq!(std::fs::metadata(&to).unwrap().len(), bytes);
    assert!(!folder.path().join("copy.db.partial").exists());
    let refused = store.backup(&to, None).await.unwrap_err().to_string();
    assert!(refused.contains("overwrites nothing"), "{refused}");
    let alone = tempfile::tempdir().unwrap();
    std::fs::rename(&to, alone.path().join("hostwell.db")).unwrap();
    let copy = open(alone.path()).await;
    assert_eq!(points(&copy, "web", "node_load1").await[0], (T0, 1.0));
    assert_eq!(
        copy.facts(true).await.unwrap().problems,
        Vec::<String>::new()
    );
    assert!(
        store
            .backup(&alone.path().join("no/such/folder.db"), None)
            .await
            .is_err()
    );
}
