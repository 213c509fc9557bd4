//! The disk budget: the file stays below it, the oldest of the finest tier pays for it, and says so.

use super::*;
use crate::series::{Agg, Grid};

const MINUTE: i64 = 60_000;
/// Midnight, UTC.
const DAY0: i64 = T0 / DAY * DAY;
const SERIES: usize = 20;
const BYTES_MAX: u64 = 3 << 20;

async fn with_budget(folder: &Path) -> Store {
    let keeping = Keeping {
        bytes_max: Some(BYTES_MAX),
        ..Keeping::default()
    };
    Store::open_with(options(folder), keeping).await.unwrap()
}

/// Twenty series of a host.
async fn series(store: &Store, n: u8, kept: bool) -> Vec<SeriesId> {
    let greeting = Greeting {
        kept,
        ..greeting(n, &format!("web-{n}"))
    };
    store.greet(greeting, DAY0).await.unwrap();
    let names = (0..SERIES).map(|i| gauge(&format!("noise_{i}"))).collect();
    store.series_ids(host(n), names).await.unwrap()
}

/// A day of noise, which nothing packs, every minute.
async fn fill(store: &Store, n: u8, ids: &[SeriesId], day: i64) {
    let from_ms = DAY0 + day * DAY;
    let mut seed = 0x9e37_79b9_7f4a_7c15u64 ^ (day as u64 + 1) ^ (u64::from(n) << 32);
    let mut noise = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let times_ms: Vec<i64> = (0..DAY / MINUTE).map(|m| from_ms + m * MINUTE).collect();
    let columns = (0..SERIES as u32).map(|number| Column {
        number,
        ticks: None,
        values: times_ms.iter().map(|_| noise()).collect(),
    });
    let append = Append {
        host_id: host(n),
        spool_id: spool(n),
        sequence: day as u64 + 1,
        received_ms: from_ms + DAY,
        block: Packed::of(&Block {
            columns: columns.collect(),
            times_ms,
        }),
        series: ids.to_vec(),
    };
    store.append(append).await.unwrap();
}

/// Some turns of upkeep, seven hours after a day.
async fn settle(store: &Store, day: i64) {
    store.seal_all().await.unwrap();
    let enough = std::time::Duration::MAX;
    let now_ms = DAY0 + (day + 1) * DAY + 7 * HOUR;
    store.roll_up(now_ms, enough).await.unwrap();
    for _ in 0..8 {
        store.upkeep(now_ms).await.unwrap();
    }
}

fn file_bytes(folder: &Path) -> u64 {
    let conn = rusqlite::Connection::open(folder.join("hostwell.db")).unwrap();
    let number = |name: &str| -> i64 { conn.pragma_query_value(None, name, |r| r.get(0)).unwrap() };
    (number("page_count") * number("page_size")) as u64
}

/// The largest value of each hour of the first day.
async fn first_day(store: &Store, name: &str) -> usize {
    let query = AggregateQuery {
        hosts: vec![name.into()],
        metric: "noise_0".into(),
        grid: Grid {
            from_ms: DAY0,
            to_ms: DAY0 + DAY - 1,
            step_ms: HOUR,
        },
        agg: Some(Agg::Max),
        under: own_names(),
        samples_max: 1 << 24,
    };
    let found = store.aggregate(query).await.unwrap();
    found.series.first().map_or(0, |s| s.times_ms.len())
}

#[tokio::test]
async fn the_file_stays_below_its_budget_and_the_oldest_samples_pay_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_budget(folder.path()).await;
    let ids = series(&store, 1, false).await;
    for day in 0..9 {
        fill(&store, 1, &ids, day).await;
        settle(&store, day).await;
        let bytes = file_bytes(folder.path());
        assert!(bytes <= BYTES_MAX, "{bytes} bytes after day {day}");
    }
    let times = points(&store, "web-1", "noise_0").await;
    assert!(times[0].0 > DAY0, "the oldest samples are gone");
    assert!(
        times[0].0 <= DAY0 + 8 * DAY - 6 * HOUR,
        "the newest are not"
    );
    assert_eq!(first_day(&store, "web-1").await, 24, "hours stay longest");
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.problems, Vec::<String>::new());
    assert_eq!(facts.bytes_max, Some(BYTES_MAX));
    let samples = &facts.dropped[0];
    assert_eq!((samples.step_ms, samples.bytes_max), (0, BYTES_MAX));
    assert!(samples.until_ms < times[0].0, "{samples:?}");
    assert!(samples.rows > 0 && samples.bytes > 0, "{samples:?}");
    assert_eq!(store.census().await.unwrap().dropped, facts.dropped);
}

#[tokio::test]
async fn a_day_that_the_budget_took_keeps_what_its_rollup_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_budget(folder.path()).await;
    let ids = series(&store, 1, false).await;
    for day in 0..9 {
        fill(&store, 1, &ids, day).await;
        settle(&store, day).await;
    }
    // One sample of the first day comes late: the day is rolled up again, and knows less.
    let late = batch(1, 77, &ids, &[(DAY0 + 30_000, 0.5)]);
    store.append(late).await.unwrap();
    settle(&store, 8).await;
    assert_eq!(first_day(&store, "web-1").await, 24);
}

#[tokio::test]
async fn kept_hosts_are_spared_and_without_a_budget_nothing_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_budget(folder.path()).await;
    let (old, new) = (
        series(&store, 1, true).await,
        series(&store, 2, false).await,
    );
    for day in 0..6 {
        fill(&store, 1, &old, day).await;
        fill(&store, 2, &new, day).await;
        settle(&store, day).await;
    }
    assert_eq!(points(&store, "web-1", "noise_0").await[0].0, DAY0);
    assert!(points(&store, "web-2", "noise_0").await[0].0 > DAY0);
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = series(&store, 1, false).await;
    for day in 0..6 {
        fill(&store, 1, &ids, day).await;
        settle(&store, day).await;
    }
    assert_eq!(points(&store, "web-1", "noise_0").await[0].0, DAY0);
    assert!(store.facts(false).await.unwrap().dropped.is_empty());
}

#[tokio::test]
async fn what_the_budget_took_is_not_told_as_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_budget(folder.path()).await;
    let (lives, ended) = (
        series(&store, 1, false).await,
        series(&store, 2, false).await,
    );
    fill(&store, 2, &ended, 0).await;
    for day in 0..9 {
        fill(&store, 1, &lives, day).await;
        settle(&store, day).await;
    }
    assert_eq!(points(&store, "web-2", "noise_0").await, []);
    let query = WindowQuery {
        hosts: vec!["web-2".into()],
        ..all()
    };
    let newest = store.latest(query, std::sync::Arc::new(|_, _| true)).await;
    assert_eq!(newest.unwrap()[0].series, []);
    let problems = store.facts(true).await.unwrap().problems;
    assert_eq!(problems, Vec::<String>::new());
}
