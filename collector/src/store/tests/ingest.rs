use super::*;

#[tokio::test]
async fn what_is_appended_is_read_back_at_once_by_this_and_another_handle() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let sent = [(T0, 0.5), (T0 + 10_000, -0.0), (T0 + 20_000, 1e300)];
    assert_eq!(
        store.append(batch(1, 1, &ids, &sent)).await.unwrap(),
        Appended::Stored
    );
    assert_eq!(points(&store, "web", "node_load1").await, sent);
    let other = Store::open_read_only(&folder.path().join("hostwell.db"))
        .await
        .unwrap();
    assert_eq!(points(&other, "web", "custom_level").await, sent);
    assert_eq!(store.holding(host(1), spool(1)).await.unwrap(), [(1, 1)]);
    assert_eq!(store.holding(host(1), spool(9)).await.unwrap(), []);
    assert!(
        other.append(batch(1, 2, &ids, &sent)).await.is_err(),
        "read only means read only"
    );
}

#[tokio::test]
async fn a_batch_sent_again_is_stored_once_also_after_sealing_and_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let first = batch(1, 1, &ids, &[(T0, 1.0)]);
    assert_eq!(store.append(first.clone()).await.unwrap(), Appended::Stored);
    // The same identity with other content: a sequence never names other content, so it is lost.
    let again = batch(1, 1, &ids, &[(T0 + 1, 2.0)]);
    assert_eq!(
        store.append(again.clone()).await.unwrap(),
        Appended::Duplicate
    );
    store.upkeep(T0 + 2 * HOUR).await.unwrap();
    assert_eq!(
        store.append(again.clone()).await.unwrap(),
        Appended::Duplicate
    );
    store.close().await.unwrap();
    let store = open(folder.path()).await;
    assert_eq!(store.append(again).await.unwrap(), Appended::Duplicate);
    assert_eq!(points(&store, "web", "node_load1").await, [(T0, 1.0)]);
    assert_eq!(
        store
            .append(batch(1, 2, &ids, &[(T0 + 5, 3.0)]))
            .await
            .unwrap(),
        Appended::Stored
    );
    assert_eq!(
        points(&store, "web", "node_load1").await,
        [(T0, 1.0), (T0 + 5, 3.0)]
    );
}

#[tokio::test]
async fn of_two_samples_with_the_same_time_the_first_wins_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store
        .append(batch(1, 1, &ids, &[(T0, 1.0), (T0 + 10, 1.0)]))
        .await
        .unwrap();
    store
        .append(batch(1, 2, &ids[..1], &[(T0 + 10, 2.0), (T0 + 20, 2.0)]))
        .await
        .unwrap();
    let wanted = [(T0, 1.0), (T0 + 10, 1.0), (T0 + 20, 2.0)];
    assert_eq!(
        points(&store, "web", "node_load1").await,
        wanted,
        "in the journal"
    );
    store.upkeep(T0 + 2 * HOUR).await.unwrap();
    assert_eq!(points(&store, "web", "node_load1").await, wanted, "sealed");
    store
        .append(batch(1, 3, &ids, &[(T0 + 20, 9.0), (T0 + 5, 5.0)]))
        .await
        .unwrap();
    let late = [(T0, 1.0), (T0 + 5, 5.0), (T0 + 10, 1.0), (T0 + 20, 2.0)];
    assert_eq!(
        points(&store, "web", "node_load1").await,
        late,
        "late, beside a block"
    );
    store.upkeep(T0 + 4 * HOUR).await.unwrap();
    assert_eq!(
        points(&store, "web", "node_load1").await,
        late,
        "overlapping blocks"
    );
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.problems, Vec::<String>::new());
    assert_eq!(
        (facts.samples, facts.journal_batches),
        (4 + 4, 0),
        "and is counted once"
    );
}

#[tokio::test]
async fn concurrent_batches_are_each_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for sequence in (1..=100u64).chain(1..=100) {
        let (store, ids) = (store.clone(), ids.clone());
        tasks.spawn(async move {
            let point = (T0 + sequence as i64 * 10_000, sequence as f64);
            store
                .append(batch(1, sequence, &ids, &[point]))
                .await
                .unwrap()
        });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|o| **o == Appended::Stored).count(),
        100
    );
    assert_eq!(store.holding(host(1), spool(1)).await.unwrap(), [(1, 100)]);
    assert_eq!(points(&store, "web", "node_load1").await.len(), 100);
}

#[tokio::test]
async fn batches_that_are_committed_together_share_a_row_where_they_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let mut appender = store.appender().unwrap();
    // The last one is older than the others.
    let times = (1..=20).chain([0]).map(|n| T0 + n * 10_000);
    let wanted: Vec<(i64, f64)> = (0..=20).map(|n| (T0 + n * 10_000, n as f64)).collect();
    for (sequence, time) in (1u64..).zip(times) {
        let value = ((time - T0) / 10_000) as f64;
        let append = batch(1, sequence, &ids, &[(time, value)]);
        assert!(appender.put(append, None).unwrap().is_none());
    }
    while appender.open() > 0 {
        for done in appender.next().await {
            assert_eq!(done.result.unwrap(), Appended::Stored);
        }
    }
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.problems, Vec::<String>::new());
    assert_eq!(facts.samples, 21 * ids.len() as u64);
    // They may have come in two commits, or in a few more on a busy machine.
    assert!(facts.journal_batches < 21, "{}", facts.journal_batches);
    assert_eq!(points(&store, "web", "node_load1").await, wanted);
    assert_eq!(store.holding(host(1), spool(1)).await.unwrap(), [(1, 21)]);
    store.seal_all().await.unwrap();
    assert_eq!(points(&store, "web", "node_load1").await, wanted, "sealed");
}

/// Rows of the journal and marks of what is sealed of it.
fn rows_and_marks(folder: &Path) -> (i64, i64) {
    let conn = rusqlite::Connection::open(folder.join("hostwell.db")).unwrap();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        conn.query_row(&sql, [], |r| r.get(0)).unwrap()
    };
    (count("journal"), count("sealed"))
}

#[tokio::test]
async fn what_is_sealed_stays_in_the_journal_unseen_until_all_before_it_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store.greet(greeting(2, "db"), T0).await.unwrap();
    let names = vec![gauge("node_load1")];
    let others = store.series_ids(host(2), names).await.unwrap();
    // One host's row is the oldest, the other one is sealed first: it has enough for good blocks.
    let first = batch(2, 1, &others, &[(T0, 5.0)]);
    store.append(first).await.unwrap();
    let past: Vec<(i64, f64)> = (0..1100).map(|n| (T0 + n * 10_000, n as f64)).collect();
    store.append(batch(1, 1, &ids, &past)).await.unwrap();
    store.seal_full().await.unwrap();
    assert_eq!(rows_and_marks(folder.path()), (2, 1));
    let later = batch(1, 2, &ids, &[(T0 + 11_000_000, -1.0)]);
    store.append(later).await.unwrap();
    let wanted: Vec<(i64, f64)> = past.into_iter().chain([(T0 + 11_000_000, -1.0)]).collect();
    // Seen once by whoever reads the files, opens a copy of them, or asks the collector.
    let cut = tempfile::tempdir().unwrap();
    super::crash::copy(folder.path(), cut.path());
    let reader = Store::open_read_only(&cut.path().join("hostwell.db")).await;
    let (reader, again) = (reader.unwrap(), open(cut.path()).await);
    for held in [&store, &reader, &again] {
        let facts = held.facts(true).await.unwrap();
        assert_eq!(facts.problems, Vec::<String>::new());
        assert_eq!((facts.journal_batches, facts.samples), (2, 2203));
        assert_eq!(points(held, "web", "node_load1").await, wanted);
        assert_eq!(points(held, "db", "node_load1").await, [(T0, 5.0)]);
    }
    assert_eq!(again.written().unwrap().sealed_samples, 0);
    assert_eq!(again.pulse().head_samples, 3, "only what is not sealed");
    again.seal_all().await.unwrap();
    assert_eq!(again.written().unwrap().sealed_samples, 3, "nothing twice");
    for held in [&store, &again] {
        held.seal_all().await.unwrap();
        assert_eq!(points(held, "web", "node_load1").await, wanted);
    }
    assert_eq!(rows_and_marks(folder.path()), (0, 0));
    // Numbers begin anew; nothing hides what comes.
    let more = batch(1, 3, &ids, &[(T0 + 12_000_000, -2.0)]);
    store.append(more).await.unwrap();
    store.close().await.unwrap();
    let at_rest = Store::open_read_only(&folder.path().join("hostwell.db")).await;
    let found = points(&at_rest.unwrap(), "web", "node_load1").await;
    assert_eq!(found.last(), Some(&(T0 + 12_000_000, -2.0)));
    assert_eq!(rows_and_marks(folder.path()), (0, 0));
}

#[tokio::test]
async fn a_host_that_catches_up_is_sealed_before_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let past: Vec<(i64, f64)> = (0..1100).map(|n| (T0 + n * 10_000, n as f64)).collect();
    let append = |sequence, points: &[(i64, f64)]| store.append(batch(1, sequence, &ids, points));
    append(1, &past[..100]).await.unwrap();
    let waited = std::time::Duration::from_millis(50);
    let full = tokio::time::timeout(waited, store.full()).await;
    assert!(full.is_err(), "a hundred ticks make no good block");
    append(2, &past[100..]).await.unwrap();
    store.full().await;
    store.seal_full().await.unwrap();
    assert_eq!(store.facts(true).await.unwrap().journal_batches, 0);
    assert_eq!(points(&store, "web", "node_load1").await, past);
}

#[tokio::test]
async fn a_gap_is_recorded_once_and_never_over_what_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let gap = |first, last| GapRecord {
        spool_id: spool(1).to_string(),
        first_sequence: first,
        last_sequence: last,
        from_ms: T0,
        to_ms: T0 + 60_000,
        samples: 40,
        reason: "bytes".into(),
    };
    store.append(batch(1, 1, &ids, &[(T0, 1.0)])).await.unwrap();
    let tell = |g| store.append_gap(host(1), g, T0);
    assert_eq!(
        tell(gap(1, 1)).await.unwrap(),
        Appended::Duplicate,
        "it arrived after all"
    );
    assert_eq!(tell(gap(2, 5)).await.unwrap(), Appended::Stored);
    assert_eq!(tell(gap(2, 5)).await.unwrap(), Appended::Duplicate);
    assert!(matches!(
        tell(gap(9, 8)).await,
        Err(StoreError::Conflict(_))
    ));
    assert_eq!(store.holding(host(1), spool(1)).await.unwrap(), [(1, 5)]);
    assert_eq!(
        store.gaps(None, T0, T0).await.unwrap(),
        [("web".to_owned(), gap(2, 5))]
    );
    assert_eq!(
        store
            .gaps(Some("web"), T0 + 60_001, T0 + DAY)
            .await
            .unwrap(),
        []
    );
    assert_eq!(store.hosts().await.unwrap()[0].dropped_samples, 40);
}

#[tokio::test]
async fn limits_refuse_and_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let many = (0..99).map(|i| gauge(&format!("m{i}"))).collect();
    let refused = store
        .series_ids(host(1), many)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "series of one host: 101 is over the limit of 100; exclude devices on the agent, or raise \
         the collector's limit"
    );
    assert_eq!(store.facts(false).await.unwrap().series, 2, "all or none");
    store
        .append(batch(1, 1, &ids, &[(T0, 1.0), (T0 + 1, 2.0)]))
        .await
        .unwrap();
    store
        .append(batch(1, 2, &ids, &[(T0, 1.0), (T0 + 1, 2.0)]))
        .await
        .unwrap();
    assert!(
        store
            .windows(WindowQuery {
                samples_max: 4,
                ..all()
            })
            .await
            .is_ok(),
        "twice is once"
    );
    let refused = store
        .windows(WindowQuery {
            samples_max: 3,
            ..all()
        })
        .await
        .unwrap_err();
    assert!(
        matches!(refused, StoreError::Limit { max: 3, got: 4, .. }),
        "{refused}"
    );
    for n in 2..=20 {
        store.greet(greeting(n, "more"), T0).await.unwrap();
    }
    assert!(matches!(
        store.greet(greeting(21, "one too many"), T0).await,
        Err(StoreError::Limit { what: "hosts", .. })
    ));
}

#[tokio::test]
async fn a_window_holds_its_range_and_its_metrics_sorted_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store.greet(greeting(2, "api"), T0).await.unwrap();
    let sent: Vec<(i64, f64)> = (0..10).map(|i| (T0 + i * 1000, i as f64)).collect();
    store.append(batch(1, 1, &ids, &sent)).await.unwrap();
    for sealed in [false, true] {
        if sealed {
            store.upkeep(T0 + 2 * HOUR).await.unwrap();
        }
        let query = WindowQuery {
            from_ms: T0 + 2000,
            to_ms: T0 + 4000,
            ..all()
        };
        let windows = store.windows(query).await.unwrap();
        let names: Vec<&str> = windows.iter().map(|w| w.host.as_str()).collect();
        assert_eq!(names, ["api", "web"]);
        assert!(
            windows[0].series.is_empty(),
            "a host without samples has an empty window"
        );
        let metrics: Vec<&str> = windows[1]
            .series
            .iter()
            .map(|s| s.name.metric.as_str())
            .collect();
        assert_eq!(metrics, ["custom_level", "node_load1"]);
        assert_eq!(
            windows[1].series[0].times_ms,
            [T0 + 2000, T0 + 3000, T0 + 4000]
        );
        assert_eq!(windows[1].interval_ms, 10_000);
    }
}

#[tokio::test]
async fn retention_drops_whole_blocks_and_a_clock_that_jumps_ahead_drops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    for day in 0..20 {
        store
            .append(batch(1, day + 1, &ids, &[(T0 + day as i64 * DAY, 1.0)]))
            .await
            .unwrap();
    }
    store.upkeep(T0 + 19 * DAY + 2 * HOUR).await.unwrap();
    assert_eq!(points(&store, "web", "node_load1").await[0].0, T0 + 4 * DAY);
    store.upkeep(T0 + 4000 * DAY).await.unwrap();
    assert_eq!(points(&store, "web", "node_load1").await.len(), 16);
    assert_eq!(
        store.facts(true).await.unwrap().problems,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn the_history_of_a_host_that_is_kept_stays_until_it_is_not_kept_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let imported = Greeting {
        kept: true,
        ..greeting(2, "imported")
    };
    assert!(store.greet(imported, T0).await.unwrap().kept);
    let again = store.greet(greeting(2, "imported"), T0).await.unwrap();
    assert!(again.kept, "only the first greeting says so");
    let old = store.series_ids(host(2), vec![gauge("node_load1")]);
    let old = old.await.unwrap();
    for day in 0..20 {
        let point = [(T0 + day as i64 * DAY, 1.0)];
        store.append(batch(1, day + 1, &ids, &point)).await.unwrap();
        store.append(batch(2, day + 1, &old, &point)).await.unwrap();
    }
    let now_ms = T0 + 19 * DAY + 2 * HOUR;
    store.upkeep(now_ms).await.unwrap();
    assert_eq!(points(&store, "web", "node_load1").await.len(), 16);
    assert_eq!(points(&store, "imported", "node_load1").await.len(), 20);
    let edit = HostEdit::Keep { kept: false };
    let edited = store.edit_host("imported", edit, now_ms).await.unwrap();
    assert!(!edited.kept);
    store.upkeep(now_ms).await.unwrap();
    assert_eq!(points(&store, "imported", "node_load1").await.len(), 16);
}

#[tokio::test]
async fn what_is_sealed_marks_its_days_and_the_day_before_a_hole() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let marked = || -> Vec<i64> {
        let conn = rusqlite::Connection::open(folder.path().join("hostwell.db")).unwrap();
        let mut select = conn
            .prepare("SELECT day FROM unrolled ORDER BY day")
            .unwrap();
        let rows = select.query_map([], |r| r.get(0)).unwrap();
        let days: Vec<i64> = rows.collect::<Result<_, _>>().unwrap();
        conn.execute("DELETE FROM unrolled", []).unwrap();
        days
    };
    let day = T0 / DAY;
    let midnight = (day + 1) * DAY;
    let ends = [(midnight - 1000, 1.0), (midnight, 1.0)];
    store.append(batch(1, 1, &ids, &ends)).await.unwrap();
    store.upkeep(T0 + 2 * HOUR).await.unwrap();
    assert_eq!(marked(), [day, day + 1]);
    let later = [(midnight + 3 * DAY, 1.0)];
    store.append(batch(1, 2, &ids, &later)).await.unwrap();
    store.upkeep(T0 + 4 * HOUR).await.unwrap();
    assert_eq!(marked(), [day + 1, day + 4]);
    let hours = [(midnight + 3 * DAY + 3 * HOUR, 1.0)];
    store.append(batch(1, 3, &ids, &hours)).await.unwrap();
    store.upkeep(T0 + 6 * HOUR).await.unwrap();
    assert_eq!(marked(), [day + 4], "what followed the hole is known");
}

#[tokio::test]
async fn nothing_is_taken_from_a_host_that_did_not_introduce_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let refused = store.append(batch(7, 1, &ids, &[(T0, 1.0)])).await;
    assert!(matches!(refused, Err(StoreError::NoHost { .. })));
    assert!(
        store
            .series_ids(host(7), vec![gauge("node_load1")])
            .await
            .is_err()
    );
    let mut wrong = batch(1, 1, &ids, &[(T0, 1.0)]);
    wrong.series.truncate(1);
    assert!(matches!(
        store.append(wrong).await,
        Err(StoreError::Conflict(_))
    ));
    assert_eq!(store.facts(true).await.unwrap().samples, 0);
}
