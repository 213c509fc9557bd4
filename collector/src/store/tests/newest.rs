//! The row that tells the newest sealed samples of a host.

use std::sync::Arc;

use rusqlite::Connection;

use super::*;

/// The newest samples of a metric of the host "web" up to a time.
async fn latest(
    store: &Store,
    metric: &'static str,
    to_ms: i64,
) -> Result<Vec<(i64, f64)>, StoreError> {
    let query = WindowQuery { to_ms, ..all() };
    let chosen: Chosen = Arc::new(move |_, name| name.metric == metric);
    let windows = store.latest(query, chosen).await?;
    let series = windows.iter().flat_map(|window| &window.series);
    Ok(series.map(|one| (one.times_ms[0], one.values[0])).collect())
}

fn file(folder: &Path) -> Connection {
    Connection::open(folder.join("hostwell.db")).unwrap()
}

fn hosts_with_a_row(folder: &Path) -> i64 {
    let count = "SELECT count(*) FROM newest";
    file(folder).query_row(count, [], |r| r.get(0)).unwrap()
}

/// Sends one sample of each series a sequence number and seals it.
async fn sealed(store: &Store, sequence: u64, ids: &[SeriesId], point: (i64, f64)) {
    store
        .append(batch(1, sequence, ids, &[point]))
        .await
        .unwrap();
    store.seal_all().await.unwrap();
}

#[tokio::test]
async fn no_block_is_opened_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    sealed(&store, 1, &ids, (T0, 1.5)).await;
    sealed(&store, 2, &ids[..1], (T0 + 2 * HOUR, 2.5)).await;
    // Nobody can read them now.
    let broken = file(folder.path()).execute("UPDATE block SET payload = x'00'", []);
    assert!(broken.unwrap() > 1);
    let told = latest(&store, "node_load1", i64::MAX).await.unwrap();
    assert_eq!(told, [(T0 + 2 * HOUR, 2.5)]);
    let told = latest(&store, "custom_level", i64::MAX).await.unwrap();
    assert_eq!(told, [(T0, 1.5)]);
    // What was newest before is only in blocks.
    let before = latest(&store, "node_load1", T0 + HOUR).await;
    assert!(
        matches!(before, Err(StoreError::Damaged { .. })),
        "{before:?}"
    );
}

#[tokio::test]
async fn late_samples_are_not_taken_for_the_newest_also_where_the_row_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    sealed(&store, 1, &ids, (T0 + 2 * HOUR, 1.0)).await;
    sealed(&store, 2, &ids, (T0 + HOUR, 4.0)).await;
    let told = latest(&store, "node_load1", i64::MAX).await.unwrap();
    assert_eq!(told, [(T0 + 2 * HOUR, 1.0)]);
    let gone = file(folder.path()).execute("DELETE FROM newest", []);
    assert_eq!(gone.unwrap(), 1);
    sealed(&store, 3, &ids, (T0, 2.0)).await;
    let told = latest(&store, "node_load1", i64::MAX).await.unwrap();
    assert_eq!(told, [(T0 + 2 * HOUR, 1.0)]);
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.problems, Vec::<String>::new());
    // The next one that is newer than all blocks has a row again.
    sealed(&store, 4, &ids, (T0 + 3 * HOUR, 3.0)).await;
    assert_eq!(hosts_with_a_row(folder.path()), 1);
}

#[tokio::test]
async fn what_the_retention_took_is_not_told_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    sealed(&store, 1, &ids, (T0, 1.0)).await;
    sealed(&store, 2, &ids[..1], (T0 + 20 * DAY, 2.0)).await;
    let told = latest(&store, "custom_level", i64::MAX).await.unwrap();
    assert_eq!(told, [(T0, 1.0)]);
    // The first call rolls the days up, a later one drops them.
    for _ in 0..3 {
        store.upkeep(T0 + 20 * DAY + HOUR).await.unwrap();
    }
    let left = points(&store, "web", "custom_level").await;
    assert_eq!(left, []);
    let told = latest(&store, "custom_level", i64::MAX).await.unwrap();
    assert_eq!(told, []);
    let told = latest(&store, "node_load1", i64::MAX).await.unwrap();
    assert_eq!(told, [(T0 + 20 * DAY, 2.0)]);
}

#[tokio::test]
async fn verify_tells_of_a_row_that_is_not_what_blocks_hold() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    sealed(&store, 1, &ids, (T0, 1.0)).await;
    let conn = file(folder.path());
    conn.execute_batch("CREATE TEMP TABLE before AS SELECT * FROM newest")
        .unwrap();
    sealed(&store, 2, &ids, (T0 + 5000, 2.0)).await;
    let problems = store.facts(true).await.unwrap().problems;
    assert_eq!(problems, Vec::<String>::new());
    conn.execute_batch("DELETE FROM newest; INSERT INTO newest SELECT * FROM before")
        .unwrap();
    let problems = store.facts(true).await.unwrap().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains("is not what blocks hold"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_damaged_row_is_told_and_does_not_keep_the_host_from_being_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    sealed(&store, 1, &ids, (T0, 1.0)).await;
    let conn = file(folder.path());
    conn.execute("UPDATE newest SET payload = x'0000'", [])
        .unwrap();
    let damaged = latest(&store, "node_load1", i64::MAX).await;
    assert!(
        matches!(damaged, Err(StoreError::Damaged { .. })),
        "{damaged:?}"
    );
    let problems = store.facts(true).await.unwrap().problems;
    assert_eq!(
        problems,
        ["the newest samples of host 1 fails its checksum"]
    );
    sealed(&store, 2, &ids[..1], (T0 + 5000, 2.0)).await;
    let told = latest(&store, "node_load1", i64::MAX).await.unwrap();
    assert_eq!(told, [(T0 + 5000, 2.0)]);
    let told = latest(&store, "custom_level", i64::MAX).await.unwrap();
    assert_eq!(told, [(T0, 1.0)]);
}

#[tokio::test]
async fn series_that_are_forgotten_leave_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    sealed(&store, 1, &ids, (T0, 1.0)).await;
    assert_eq!(hosts_with_a_row(folder.path()), 1);
    let forget = |ledger: &mut writer::Ledger| {
        history::series::forget(&ledger.conn, 1, |id| id == 1)?;
        Ok(())
    };
    store.write("forget a series", forget).await.unwrap();
    assert_eq!(hosts_with_a_row(folder.path()), 0);
}
