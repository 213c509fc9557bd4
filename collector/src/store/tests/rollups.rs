//! Rollups: made when a day is over, made anew when it changes, kept when the samples are gone.

use super::*;
use crate::series::{Agg, Grid};
use hostwell_proto::metric::Family;
use rusqlite::Connection;

pub(super) const MINUTE: i64 = 60_000;
/// Midnight, UTC.
pub(super) const DAY0: i64 = T0 / DAY * DAY;

/// A host with a gauge, a counter and what memory used is derived from.
pub(super) async fn with_series(store: &Store) -> Vec<SeriesId> {
    series_of(store, (1, "web")).await
}

/// The same of another host.
async fn series_of(store: &Store, (n, name): (u8, &str)) -> Vec<SeriesId> {
    store.greet(greeting(n, name), DAY0).await.unwrap();
    let counter = |metric: &str| (gauge(metric).0, Kind::Counter);
    let names = vec![
        gauge("node_load1"),
        counter("node_forks_total"),
        gauge("node_memory_MemTotal_bytes"),
        gauge("node_memory_MemAvailable_bytes"),
    ];
    store.series_ids(host(n), names).await.unwrap()
}

/// Samples of every minute from `from_ms` until before `to_ms`.
pub(super) async fn fill(store: &Store, ids: &[SeriesId], sequence: u64, range: (i64, i64)) {
    fill_of(store, (1, ids), sequence, range).await;
}

/// The same of another host.
async fn fill_of(
    store: &Store,
    (n, ids): (u8, &[SeriesId]),
    sequence: u64,
    (from_ms, to_ms): (i64, i64),
) {
    let times_ms: Vec<i64> = (from_ms..to_ms).step_by(MINUTE as usize).collect();
    let column = |number, value: fn(i64) -> f64| Column {
        number,
        ticks: None,
        values: times_ms.iter().map(|t| value(t / MINUTE)).collect(),
    };
    let columns = vec![
        column(0, |minute| (minute % 97) as f64 / 4.0),
        column(1, |minute| ((minute % 5000) * 3) as f64),
        column(2, |_| 1000.0),
        column(3, |minute| (minute % 700) as f64),
    ];
    let append = Append {
        host_id: host(n),
        spool_id: spool(n),
        sequence,
        received_ms: to_ms,
        block: Packed::of(&Block { times_ms, columns }),
        series: ids.to_vec(),
    };
    store.append(append).await.unwrap();
}

/// Upkeep until nothing is left to do: one call stops after half a second, and the machine may be
/// busy.
async fn upkeep(store: &Store, now_ms: i64) {
    for _ in 0..12 {
        store.upkeep(now_ms).await.unwrap();
    }
}

/// The rollups say what the samples say.
async fn is_sound(store: &Store) {
    let checked = store.verify_rollups().await.unwrap();
    assert!(
        checked.days > 0 && checked.differences.is_empty(),
        "{checked:?}"
    );
}

fn connect(folder: &Path) -> Connection {
    Connection::open(folder.join("hostwell.db")).unwrap()
}

/// (samples of all rows, how many rows) of a family and tier.
fn rows(folder: &Path, family: i64, tier_ms: i64) -> (i64, i64) {
    connect(folder)
        .query_row(
            "SELECT coalesce(sum(samples), 0), count(*) FROM rollup WHERE family = ?1 AND tier_ms = ?2",
            [family, tier_ms],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .unwrap()
}

fn unrolled(folder: &Path) -> Vec<i64> {
    let conn = connect(folder);
    let mut select = conn
        .prepare("SELECT day FROM unrolled ORDER BY day")
        .unwrap();
    let days = select.query_map([], |r| r.get(0)).unwrap();
    days.map(|day| day.map(|day: i64| day - DAY0 / DAY).unwrap())
        .collect()
}

#[tokio::test]
async fn a_day_is_rolled_up_when_it_is_over_and_says_what_its_samples_say() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + 2 * DAY + 3 * HOUR)).await;
    upkeep(&store, DAY0 + DAY + HOUR).await;
    assert_eq!(
        unrolled(folder.path()),
        [0, 1, 2],
        "no day is over for long enough"
    );
    upkeep(&store, DAY0 + 2 * DAY + HOUR).await;
    assert_eq!(unrolled(folder.path()), [1, 2]);
    upkeep(&store, DAY0 + 2 * DAY + 7 * HOUR).await;
    assert_eq!(unrolled(folder.path()), [2]);
    let minutes_of_a_day = DAY / MINUTE;
    // The family CPU: load and forks. One row a day, but of days 32 share one.
    assert_eq!(rows(folder.path(), 1, MINUTE), (4 * minutes_of_a_day, 2));
    assert_eq!(rows(folder.path(), 1, HOUR), (4 * minutes_of_a_day, 2));
    assert_eq!(rows(folder.path(), 1, DAY).0, 4 * minutes_of_a_day);
    // Memory used, derived from the family memory.
    assert_eq!(rows(folder.path(), 102, HOUR), (2 * minutes_of_a_day, 2));
    is_sound(&store).await;
    assert_eq!(
        store.facts(true).await.unwrap().problems,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn late_data_rolls_its_day_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + 6 * HOUR)).await;
    fill(&store, &ids, 2, (DAY0 + 8 * HOUR, DAY0 + DAY + HOUR)).await;
    let later = DAY0 + DAY + 8 * HOUR;
    upkeep(&store, later).await;
    let before = rows(folder.path(), 1, HOUR).0;
    fill(&store, &ids, 3, (DAY0 + 6 * HOUR, DAY0 + 8 * HOUR)).await;
    upkeep(&store, later + HOUR).await;
    assert_eq!(rows(folder.path(), 1, HOUR).0, before + 2 * 120);
    assert_eq!(unrolled(folder.path()), [1]);
    is_sound(&store).await;
}

#[tokio::test]
async fn rollups_outlive_the_samples_and_end_with_their_own_age() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + DAY)).await;
    upkeep(&store, DAY0 + DAY + 7 * HOUR).await;
    fill(&store, &ids, 2, (DAY0 + 40 * DAY, DAY0 + 40 * DAY + HOUR)).await;
    upkeep(&store, DAY0 + 40 * DAY + 2 * HOUR).await;
    let first = points(&store, "web", "node_load1").await[0].0;
    assert_eq!(first, DAY0 + 40 * DAY, "the samples are gone");
    assert_eq!(rows(folder.path(), 1, MINUTE).1, 1);
    // The mark that the hole set on the first day changes nothing: its samples are gone.
    assert_eq!(rows(folder.path(), 1, HOUR).0, 2 * DAY / MINUTE);
    fill(&store, &ids, 3, (DAY0 + 100 * DAY, DAY0 + 100 * DAY + HOUR)).await;
    upkeep(&store, DAY0 + 101 * DAY).await;
    assert_eq!(rows(folder.path(), 1, HOUR).0, 2 * DAY / MINUTE + 120);
    upkeep(&store, DAY0 + 101 * DAY).await;
    let conn = connect(folder.path());
    let oldest: i64 = conn
        .query_row(
            "SELECT min(start_ms) FROM rollup WHERE tier_ms = 60000",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(
        oldest,
        DAY0 + 40 * DAY,
        "minutes end after 90 days, hours do not"
    );
}

#[tokio::test]
async fn a_rollup_that_says_something_else_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + DAY)).await;
    upkeep(&store, DAY0 + DAY + 7 * HOUR).await;
    let conn = connect(folder.path());
    conn.execute(
        "UPDATE rollup SET (payload, crc32c) = (SELECT payload, crc32c FROM rollup
           WHERE family = 2 AND tier_ms = 3600000) WHERE family = 1 AND tier_ms = 3600000",
        [],
    )
    .unwrap();
    let found = store.verify_rollups().await.unwrap().differences;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].host.as_str(), found[0].day_ms), ("web", DAY0));
    assert!(
        found[0].what.contains("family 1, steps of 3600 s"),
        "{found:?}"
    );
    conn.execute(
        "UPDATE rollup SET crc32c = crc32c + 1 WHERE family = 1 AND tier_ms = 60000",
        [],
    )
    .unwrap();
    let problems = store.facts(true).await.unwrap().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("fails its checksum"), "{problems:?}");
    let repaired = store.repair_rollups().await.unwrap();
    assert_eq!((repaired.days, repaired.repaired), (1, 1), "{repaired:?}");
    is_sound(&store).await;
    let problems = store.facts(true).await.unwrap().problems;
    assert_eq!(problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_row_of_many_days_is_made_of_the_days_whose_samples_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + 3 * DAY)).await;
    upkeep(&store, DAY0 + 3 * DAY + 7 * HOUR).await;
    let before = rows(folder.path(), 1, DAY);
    connect(folder.path())
        .execute(
            "UPDATE rollup SET crc32c = crc32c + 1 WHERE tier_ms = 86400000",
            [],
        )
        .unwrap();
    assert_eq!(store.verify_rollups().await.unwrap().differences.len(), 9);
    let repaired = store.repair_rollups().await.unwrap();
    assert_eq!(repaired.repaired, 3, "{repaired:?}");
    assert_eq!(rows(folder.path(), 1, DAY), before);
    is_sound(&store).await;
}

#[tokio::test]
async fn a_day_some_of_whose_samples_are_gone_keeps_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + 2 * DAY)).await;
    upkeep(&store, DAY0 + 2 * DAY + 7 * HOUR).await;
    let before = rows(folder.path(), 1, HOUR);
    let conn = connect(folder.path());
    conn.execute(
        "DELETE FROM block WHERE family = 1 AND start_ms < (SELECT max(start_ms) FROM block)",
        [],
    )
    .unwrap();
    conn.execute("INSERT INTO unrolled VALUES (1, ?1)", [DAY0 / DAY])
        .unwrap();
    // So late that the day is past the retention.
    fill(&store, &ids, 2, (DAY0 + 18 * DAY, DAY0 + 18 * DAY + HOUR)).await;
    store.seal_all().await.unwrap();
    store
        .roll_up(DAY0 + 18 * DAY + HOUR, std::time::Duration::MAX)
        .await
        .unwrap();
    assert_eq!(rows(folder.path(), 1, HOUR), before);
}

/// A question for one metric of every host, each series under its own name.
pub(super) fn question(
    metric: &str,
    agg: Agg,
    (from_ms, to_ms): (i64, i64),
    step_ms: i64,
) -> AggregateQuery {
    AggregateQuery {
        hosts: vec!["web".into()],
        metric: metric.into(),
        grid: Grid {
            from_ms,
            to_ms,
            step_ms,
        },
        agg: Some(agg),
        under: own_names(),
        samples_max: 1 << 24,
    }
}

/// The same from samples alone.
pub(super) async fn from_samples(store: &Store, query: &AggregateQuery) -> Vec<(i64, f64)> {
    let asked = WindowQuery {
        hosts: query.hosts.clone(),
        from_ms: query.grid.from_ms,
        to_ms: query.grid.to_ms,
        ..all()
    };
    let mut window = store.windows(asked).await.unwrap().remove(0);
    crate::series::derived::derive(&mut window, "");
    // A derived one has labels of its own, or none.
    let Some(series) = window.all(&query.metric).first() else {
        return Vec::new();
    };
    let steps = series.resample(query.grid, query.agg.unwrap(), window.interval_ms);
    steps.points().collect()
}

pub(super) fn same(told: &[(i64, f64)], exact: &[(i64, f64)], error: f64) {
    let times = |points: &[(i64, f64)]| points.iter().map(|p| p.0).collect::<Vec<_>>();
    assert_eq!(times(told), times(exact));
    for ((_, told), (_, exact)) in told.iter().zip(exact) {
        assert!(
            (told - exact).abs() <= error * exact.abs() + 1e-6,
            "{told} for {exact}"
        );
    }
}

pub(super) const METRICS: [&str; 3] = [
    "node_load1",
    "node_forks_total",
    "hostwell_memory_used_ratio",
];
pub(super) const WHOLE: i64 = i64::MAX / 4;

#[tokio::test]
async fn rollups_answer_what_the_samples_would() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0 + 5 * HOUR, DAY0 + 4 * DAY + HOUR)).await;
    upkeep(&store, DAY0 + 4 * DAY + 7 * HOUR).await;
    // One day changes after it was rolled up, one is not rolled up yet, one batch is not sealed.
    fill(&store, &ids, 2, (DAY0 + 2 * HOUR, DAY0 + 3 * HOUR)).await;
    fill(
        &store,
        &ids,
        3,
        (DAY0 + 4 * DAY + HOUR, DAY0 + 4 * DAY + 3 * HOUR),
    )
    .await;
    let range = (DAY0 + HOUR / 3, DAY0 + 4 * DAY + 2 * HOUR + 7);
    let at_rest = Store::open_read_only(&folder.path().join("hostwell.db"))
        .await
        .unwrap();
    for metric in METRICS {
        for agg in Agg::ALL {
            let kind = match metric {
                "node_forks_total" => Kind::Counter,
                _ => Kind::Gauge,
            };
            if !crate::series::rollup::can_tell(kind, agg) {
                continue;
            }
            for step_ms in [10 * MINUTE, HOUR, 90 * MINUTE, 6 * HOUR, DAY, WHOLE] {
                let query = question(metric, agg, range, step_ms);
                let exact = from_samples(&store, &query).await;
                for store in [&store, &at_rest] {
                    let told = store.aggregate(query.clone()).await.unwrap();
                    let points: Vec<(i64, f64)> = told.series[0].points().collect();
                    same(
                        &points,
                        &exact,
                        told.error.map_or(1e-5, |error| error * 1.05),
                    );
                }
            }
        }
    }
    let hours = question("node_load1", Agg::P95, range, WHOLE);
    let read = store.aggregate(hours).await.unwrap().read;
    assert!(read.rollups.iter().any(|of| of.step_ms == DAY), "{read:?}");
    assert!(read.samples < 2 * 24 * 60, "{read:?}");
}

#[tokio::test]
async fn what_the_samples_said_is_said_when_they_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + 3 * DAY)).await;
    upkeep(&store, DAY0 + 3 * DAY + 7 * HOUR).await;
    let mut wanted = Vec::new();
    for metric in METRICS {
        for agg in [Agg::Avg, Agg::Max, Agg::P95] {
            // The last minute of all has no minute after it, so that its pair is not known.
            let query = question(metric, agg, (DAY0, DAY0 + 3 * DAY - 1), HOUR);
            wanted.push((from_samples(&store, &query).await, query));
        }
    }
    fill(&store, &ids, 2, (DAY0 + 30 * DAY, DAY0 + 30 * DAY + HOUR)).await;
    upkeep(&store, DAY0 + 30 * DAY + 2 * HOUR).await;
    upkeep(&store, DAY0 + 30 * DAY + 2 * HOUR).await;
    assert_eq!(
        points(&store, "web", "node_load1").await.len(),
        60,
        "the samples are gone"
    );
    for (exact, query) in wanted {
        let told = store.aggregate(query).await.unwrap();
        let points: Vec<(i64, f64)> = told.series[0].points().collect();
        same(
            &points,
            &exact,
            told.error.map_or(1e-5, |error| error * 1.05),
        );
        assert_eq!(told.read.samples, 0);
    }
}

#[tokio::test]
async fn merged_hosts_that_were_sampled_on_one_day_count_each_moment_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    let old = series_of(&store, (2, "web-old")).await;
    // Half a day of the second day is there twice, and the switch on the fourth leaves a hole.
    fill_of(&store, (2, &old), 1, (DAY0, DAY0 + 2 * DAY)).await;
    fill(
        &store,
        &ids,
        1,
        (DAY0 + DAY + 12 * HOUR, DAY0 + 3 * DAY + HOUR),
    )
    .await;
    let back = (DAY0 + 3 * DAY + 2 * HOUR, DAY0 + 4 * DAY + HOUR);
    fill_of(&store, (2, &old), 2, back).await;
    let into = HostEdit::MergeInto { into: "web".into() };
    let now_ms = DAY0 + 4 * DAY + 7 * HOUR;
    store.edit_host("web-old", into, now_ms).await.unwrap();
    upkeep(&store, now_ms).await;
    for (metric, agg) in [
        ("node_load1", Agg::Count),
        ("node_load1", Agg::Avg),
        ("node_forks_total", Agg::Increase),
        ("hostwell_memory_used_ratio", Agg::Count),
    ] {
        for step_ms in [HOUR, DAY, WHOLE] {
            let query = question(metric, agg, (DAY0, DAY0 + 4 * DAY - 1), step_ms);
            let exact = from_samples(&store, &query).await;
            let told = store.aggregate(query).await.unwrap();
            let points: Vec<(i64, f64)> = told.series[0].points().collect();
            same(&points, &exact, 1e-5);
            assert!(!told.read.rollups.is_empty(), "the first day and the third");
        }
    }
}

#[tokio::test]
async fn a_groups_quantile_pools_all_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + 3 * DAY)).await;
    upkeep(&store, DAY0 + 3 * DAY + 7 * HOUR).await;
    let mut query = question("node_load1", Agg::P95, (DAY0, DAY0 + 3 * DAY - 1), WHOLE);
    let alone = store.aggregate(query.clone()).await.unwrap();
    query.under =
        std::sync::Arc::new(|_: &str, _: &SeriesName| Some(SeriesName::new("group", &[])));
    let pooled = store.aggregate(query.clone()).await.unwrap();
    assert_eq!(pooled.series[0].values, alone.series[0].values);
    assert_eq!(pooled.series[0].name.metric, "group");
    query.under = std::sync::Arc::new(|_: &str, _: &SeriesName| None);
    assert!(store.aggregate(query).await.unwrap().series.is_empty());
}

#[tokio::test]
async fn steps_of_another_length_are_made_of_what_is_there_and_the_old_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + 2 * DAY)).await;
    let later = DAY0 + 2 * DAY + 7 * HOUR;
    upkeep(&store, later).await;
    store.close().await.unwrap();
    let ten_minutes = Tier {
        step_ms: 10 * MINUTE,
        age_ms: 30 * DAY,
    };
    let keeping = Keeping {
        tiers: vec![ten_minutes],
        ..Keeping::default()
    };
    let store = Store::open_with(options(folder.path()), keeping)
        .await
        .unwrap();
    upkeep(&store, later).await;
    assert_eq!(rows(folder.path(), 1, 10 * MINUTE), (4 * DAY / MINUTE, 2));
    assert_eq!(rows(folder.path(), 1, HOUR), (4 * DAY / MINUTE, 2));
    is_sound(&store).await;
    // What is not wanted any more goes when the longest that is wanted would.
    fill(&store, &ids, 2, (DAY0 + 40 * DAY, DAY0 + 40 * DAY + HOUR)).await;
    upkeep(&store, DAY0 + 40 * DAY + 2 * HOUR).await;
    assert_eq!(rows(folder.path(), 1, HOUR).1, 0);
}

#[tokio::test]
async fn hosts_that_tell_no_presence_are_not_rolled_up_anew_at_each_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.greet(greeting(1, "web"), DAY0).await.unwrap();
    let names = ["custom_a", "custom_b", "custom_c", "custom_d"].map(gauge);
    let ids = store.series_ids(host(1), names.to_vec()).await.unwrap();
    fill(&store, &ids, 1, (DAY0, DAY0 + 2 * DAY)).await;
    let later = DAY0 + 3 * DAY;
    upkeep(&store, later).await;
    store.close().await.unwrap();
    let rolled = unrolled(folder.path());
    let store = open(folder.path()).await;
    // So little time that nothing marked could be rolled up again.
    store
        .roll_up(later, std::time::Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(unrolled(folder.path()), rolled);
    assert_eq!(rolled, Vec::<i64>::new());
}

#[tokio::test]
async fn a_class_of_metrics_is_kept_and_rolled_up_by_its_own_terms() {
    let folder = tempfile::tempdir().unwrap();
    let options = || StoreOptions {
        retention_ms: 3 * DAY,
        ..options(folder.path())
    };
    let tier = |step_ms, days: i64| Tier {
        step_ms,
        age_ms: days * DAY,
    };
    let of_memory = |tiers| Keeping {
        tiers: vec![tier(HOUR, 30)],
        classes: [(
            Family::Memory,
            Class {
                samples_ms: Some(9 * DAY),
                tiers: Some(tiers),
            },
        )]
        .into(),
        ..Keeping::default()
    };
    let kept = of_memory(vec![tier(10 * MINUTE, 5)]);
    let store = Store::open_with(options(), kept).await.unwrap();
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + DAY)).await;
    upkeep(&store, DAY0 + DAY + 7 * HOUR).await;
    // CPU by the hour, memory and what is derived from it by ten minutes.
    assert_eq!(rows(folder.path(), 1, HOUR), (2 * DAY / MINUTE, 1));
    assert_eq!(rows(folder.path(), 1, 10 * MINUTE).1, 0);
    assert_eq!(rows(folder.path(), 2, 10 * MINUTE), (2 * DAY / MINUTE, 1));
    assert_eq!(rows(folder.path(), 102, 10 * MINUTE).1, 1);
    assert_eq!(rows(folder.path(), 2, HOUR).1, 0);
    // When the host was there is kept as long as anything.
    assert_eq!(rows(folder.path(), 100, HOUR).1, 1);
    let of_first_day = |table: &str, family| {
        let count = format!("SELECT count(*) FROM {table} WHERE family = ?1 AND start_ms < ?2");
        let conn = connect(folder.path());
        let is_there = conn.query_row(&count, [family, DAY0 + DAY], |r| r.get::<_, i64>(0));
        is_there.unwrap() > 0
    };
    let day = |n: i64| (DAY0 + n * DAY, DAY0 + n * DAY + HOUR);
    // Samples of CPU, those of memory, steps of memory.
    for (n, left) in [
        (5, [false, true, true]),
        (7, [false, true, false]),
        (11, [false, false, false]),
    ] {
        fill(&store, &ids, n as u64, day(n)).await;
        store.seal_all().await.unwrap();
        upkeep(&store, day(n).1).await;
        let tables = [("block", 1), ("block", 2), ("rollup", 2)];
        let there = tables.map(|(table, family)| of_first_day(table, family));
        assert_eq!(there, left, "day {n}");
    }
    assert_eq!(
        rows(folder.path(), 1, HOUR).0,
        2 * DAY / MINUTE + 2 * 2 * 60
    );
    is_sound(&store).await;
    store.close().await.unwrap();
    // Steps that others of the same length have already are made for a class too.
    let store = Store::open_with(options(), of_memory(vec![tier(HOUR, 30)]));
    let store = store.await.unwrap();
    upkeep(&store, DAY0 + 12 * DAY).await;
    assert!(rows(folder.path(), 2, HOUR).1 > 0);
    is_sound(&store).await;
}

#[tokio::test]
async fn when_a_host_was_there_is_known_when_its_samples_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let ids = with_series(&store).await;
    fill(&store, &ids, 1, (DAY0, DAY0 + 7 * HOUR)).await;
    fill(
        &store,
        &ids,
        2,
        (DAY0 + 7 * HOUR + 5 * MINUTE, DAY0 + 2 * DAY),
    )
    .await;
    let range = (DAY0, DAY0 + 2 * DAY);
    let ticks = || async {
        let runs = store.presence("web", range, 1 << 24).await.unwrap();
        let times: Vec<i64> = runs.iter().flat_map(|run| run.times_ms()).collect();
        times
    };
    let before = ticks().await;
    assert_eq!(before.len() as i64, 2 * DAY / MINUTE - 5);
    upkeep(&store, DAY0 + 2 * DAY + 7 * HOUR).await;
    assert_eq!(rows(folder.path(), 100, HOUR), (2 * DAY / MINUTE - 5, 2));
    assert_eq!(ticks().await, before, "told by rollups");
    is_sound(&store).await;
    fill(&store, &ids, 3, (DAY0 + 40 * DAY, DAY0 + 40 * DAY + HOUR)).await;
    upkeep(&store, DAY0 + 40 * DAY + 2 * HOUR).await;
    assert_eq!(points(&store, "web", "node_load1").await.len(), 60);
    assert_eq!(ticks().await, before, "the samples are gone");
}
