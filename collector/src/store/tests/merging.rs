//! Small blocks become larger ones, and nobody who asks notices.

use super::*;

/// Blocks in the file and the samples in them.
fn blocks(folder: &Path) -> (i64, i64) {
    let conn = rusqlite::Connection::open(folder.join("hostwell.db")).unwrap();
    conn.query_row(
        "SELECT count(*), coalesce(sum(samples), 0) FROM block",
        [],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )
    .unwrap()
}

/// An hour of the one host, a sample a minute, sealed at its end.
async fn hour(store: &Store, ids: &[SeriesId], hour: i64) -> Vec<(i64, f64)> {
    let sample = |m: i64| {
        (
            T0 + hour * HOUR + m * 60_000,
            (hour * 7 + m * m % 13) as f64,
        )
    };
    let sent: Vec<(i64, f64)> = (0..60).map(sample).collect();
    let one = batch(1, hour as u64 + 1, ids, &sent);
    store.append(one).await.unwrap();
    store.upkeep(T0 + (hour + 2) * HOUR).await.unwrap();
    sent
}

#[tokio::test]
async fn hours_that_were_sealed_become_few_blocks_with_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let mut sent = Vec::new();
    for n in 0..16 {
        sent.extend(hour(&store, &ids, n).await);
    }
    assert_eq!(points(&store, "web", "node_load1").await, sent);
    assert_eq!(points(&store, "web", "custom_level").await, sent);
    let (count, samples) = blocks(folder.path());
    // Two families; sixteen hours double four times.
    assert_eq!((count, samples), (2, 2 * 16 * 60));
    let written = store.written().unwrap();
    assert_eq!(written.sealed_samples, 2 * 16 * 60);
    let again = written.merged_samples / written.sealed_samples;
    assert!((1..=4).contains(&again), "{written:?}");
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.problems, Vec::<String>::new());
}

#[tokio::test]
async fn late_samples_are_merged_with_what_was_there_and_the_first_wins() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let mut sent = hour(&store, &ids, 0).await;
    sent.extend(hour(&store, &ids, 2).await);
    let late: Vec<(i64, f64)> = (0..60).map(|m| (T0 + HOUR + m * 60_000, -1.0)).collect();
    let again = [(T0, 99.0), (T0 + 2 * HOUR, 99.0)];
    let both = [&again[..1], &late[..], &again[1..]].concat();
    store.append(batch(1, 9, &ids, &both)).await.unwrap();
    store.upkeep(T0 + 9 * HOUR).await.unwrap();
    sent.extend(late);
    sent.sort_by_key(|p| p.0);
    assert_eq!(points(&store, "web", "node_load1").await, sent);
    assert!(store.written().unwrap().merged_samples > 0);
    let (_, samples) = blocks(folder.path());
    assert_eq!(samples, 2 * 3 * 60);
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.problems, Vec::<String>::new());
}

#[tokio::test]
async fn days_that_are_far_apart_stay_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    for n in [0, 24, 48] {
        hour(&store, &ids, n).await;
    }
    assert_eq!(blocks(folder.path()).0, 2 * 3);
    assert_eq!(store.written().unwrap().merged_samples, 0);
}

#[tokio::test]
async fn what_an_earlier_collector_left_is_merged_after_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    for n in 0..2 {
        let sent: Vec<(i64, f64)> = (0..60)
            .map(|m| (T0 + n * HOUR + m * 60_000, m as f64))
            .collect();
        store
            .append(batch(1, n as u64 + 1, &ids, &sent))
            .await
            .unwrap();
        store.seal_all().await.unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(blocks(folder.path()), (4, 2 * 2 * 60));
    let store = open(folder.path()).await;
    store.upkeep(T0 + 2 * HOUR).await.unwrap();
    assert_eq!(blocks(folder.path()), (2, 2 * 2 * 60));
    // Once is enough.
    store.upkeep(T0 + 2 * HOUR).await.unwrap();
    assert_eq!(store.written().unwrap().merged_samples, 2 * 2 * 60);
}
