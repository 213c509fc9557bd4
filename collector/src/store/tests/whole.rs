//! What all samples of a range come to, told by blocks without reading them.

use std::sync::Arc;

use super::super::history::total;
use super::*;
use crate::series::{Agg, Whole};

/// A file with one block of each family of the one host, sealed; the file's folder and its samples.
async fn sealed(folder: &Path) -> (Store, Vec<SeriesId>, Vec<(i64, f64)>) {
    let (store, ids) = with_host(folder).await;
    let sent: Vec<(i64, f64)> = (0..100)
        .map(|i| (T0 + i * 10_000, i as f64 / 4.0))
        .collect();
    store.append(batch(1, 1, &ids, &sent)).await.unwrap();
    store.upkeep(T0 + 2 * HOUR).await.unwrap();
    (store, ids, sent)
}

async fn whole(
    store: &Store,
    (from_ms, to_ms): (i64, i64),
    asked: impl Into<Whole>,
) -> Result<Vec<f64>, StoreError> {
    let query = WindowQuery {
        from_ms,
        to_ms,
        ..all()
    };
    let chosen: Chosen = Arc::new(|_, name| name.metric == "node_load1");
    let windows = store.whole(query, chosen, asked.into()).await?;
    let series = windows.iter().flat_map(|w| &w.series);
    Ok(series.flat_map(|s| s.values.clone()).collect())
}

fn change(folder: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(folder.join("hostwell.db")).unwrap();
    assert!(conn.execute(sql, []).unwrap() > 0, "{sql}");
}

/// Leaves totals as they were told before format 8.
fn forget_trends(folder: &Path) {
    let conn = rusqlite::Connection::open(folder.join("hostwell.db")).unwrap();
    let mut select = conn.prepare("SELECT block, payload FROM total").unwrap();
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)));
    let rows: Vec<(i64, Vec<u8>)> = rows.unwrap().map(Result::unwrap).collect();
    for (block, payload) in rows {
        let mut totals = total::decode(&payload).unwrap();
        for (_, total) in &mut totals {
            total.as_mut().unwrap().trend = None;
        }
        let payload = total::encode(0, &totals).unwrap();
        let crc = crc32c::crc32c(&payload);
        let update = "UPDATE total SET crc32c = ?2, payload = ?3 WHERE block = ?1";
        assert_eq!(conn.execute(update, (block, crc, payload)).unwrap(), 1);
    }
}

#[tokio::test]
async fn blocks_within_the_range_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _, sent) = sealed(folder.path()).await;
    // Nobody can read them now.
    change(folder.path(), "UPDATE block SET payload = x'00'");
    let all = (T0, T0 + HOUR);
    for (agg, wanted) in [
        (Agg::Avg, 12.375),
        (Agg::Min, 0.0),
        (Agg::Max, 24.75),
        (Agg::Sum, 1237.5),
        (Agg::Count, sent.len() as f64),
    ] {
        assert_eq!(whole(&store, all, agg).await.unwrap(), [wanted], "{agg}");
    }
    // A quarter each ten seconds, from nothing at the beginning.
    let close = |told: Result<Vec<f64>, StoreError>, wanted: f64| {
        let told = told.unwrap();
        assert!((told[0] - wanted).abs() <= 1e-9 * wanted, "{told:?}");
    };
    close(whole(&store, all, Agg::Deriv).await, 0.025);
    let ahead = Whole::Ahead { ahead_ms: HOUR };
    close(whole(&store, all, ahead).await, 180.0);
    let damaged = |told: Result<Vec<f64>, StoreError>| {
        assert!(matches!(told, Err(StoreError::Damaged { .. })), "{told:?}");
    };
    damaged(whole(&store, all, Agg::P95).await);
    damaged(whole(&store, (T0 + 1, T0 + HOUR), Agg::Avg).await);
}

#[tokio::test]
async fn blocks_of_an_earlier_collector_that_say_nothing_of_time_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids, _) = sealed(folder.path()).await;
    let late = [(T0 + 3 * HOUR, 1e6), (T0 + 3 * HOUR + 10_000, 1e6)];
    store.append(batch(1, 2, &ids, &late)).await.unwrap();
    let all = (T0, T0 + 4 * HOUR);
    let ahead = Whole::Ahead { ahead_ms: 0 };
    let before = [
        whole(&store, all, Agg::Deriv).await.unwrap(),
        whole(&store, all, ahead).await.unwrap(),
    ];
    forget_trends(folder.path());
    let after = [
        whole(&store, all, Agg::Deriv).await.unwrap(),
        whole(&store, all, ahead).await.unwrap(),
    ];
    for (before, after) in before.iter().flatten().zip(after.iter().flatten()) {
        let apart = (before - after).abs();
        assert!(apart <= 1e-9 * after.abs(), "{before} and {after}");
    }
    change(folder.path(), "UPDATE block SET payload = x'00'");
    assert!(whole(&store, all, Agg::Deriv).await.is_err());
    assert!(whole(&store, all, Agg::Max).await.is_ok());
}

#[tokio::test]
async fn a_batch_that_waits_and_repeats_samples_of_a_block_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids, sent) = sealed(folder.path()).await;
    let again = [(sent[3].0, 1e6), (T0 + 5, 100.0)];
    store.append(batch(1, 2, &ids, &again)).await.unwrap();
    let all = (T0, T0 + HOUR);
    assert_eq!(whole(&store, all, Agg::Count).await.unwrap(), [101.0]);
    assert_eq!(whole(&store, all, Agg::Max).await.unwrap(), [100.0]);
}

#[tokio::test]
async fn totals_that_are_not_what_the_samples_come_to_are_found() {
    for (sql, told) in [
        (
            "UPDATE total SET crc32c = crc32c + 1",
            "fail their checksum",
        ),
        (
            // Those of node_load1 and custom_level are equal but for the ids.
            "UPDATE total SET (crc32c, payload) =
               (SELECT crc32c, payload FROM total AS t WHERE t.block <> total.block)",
            "not what its samples come to",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _, _) = sealed(folder.path()).await;
        assert!(store.facts(true).await.unwrap().problems.is_empty());
        change(folder.path(), sql);
        let problems = store.facts(true).await.unwrap().problems;
        assert!(problems.iter().any(|p| p.contains(told)), "{problems:?}");
    }
}

#[tokio::test]
async fn totals_go_with_their_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids, _) = sealed(folder.path()).await;
    let rows = || -> i64 {
        let conn = rusqlite::Connection::open(folder.path().join("hostwell.db")).unwrap();
        let count = "SELECT count(*) FROM total";
        conn.query_row(count, [], |r| r.get(0)).unwrap()
    };
    assert_eq!(rows(), 2);
    // Old is what is old beside the newest sample.
    let newer = batch(1, 2, &ids, &[(T0 + 40 * DAY, 1.0)]);
    store.append(newer).await.unwrap();
    for day in 40..45 {
        store.upkeep(T0 + day * DAY).await.unwrap();
    }
    assert_eq!(rows(), 2, "those of the newer samples");
    let told = whole(&store, (T0, T0 + 41 * DAY), Agg::Count).await;
    assert_eq!(told.unwrap(), [1.0]);
}
