use super::*;

async fn names(store: &Store) -> Vec<String> {
    store
        .hosts()
        .await
        .unwrap()
        .into_iter()
        .map(|h| h.name)
        .collect()
}

#[tokio::test]
async fn two_hosts_with_one_name_get_two_names_and_keep_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for n in [1, 2, 3] {
        store.greet(greeting(n, "web"), T0).await.unwrap();
    }
    assert_eq!(names(&store).await, ["web", "web-2", "web-3"]);
    assert_eq!(
        store.greet(greeting(3, "web"), T0 + 5).await.unwrap().name,
        "web-3"
    );
    assert_eq!(
        store.greet(greeting(2, ""), T0).await.unwrap().name,
        "host-02020202"
    );
    assert_eq!(
        store.greet(greeting(4, "web"), T0).await.unwrap().name,
        "web-2"
    );
}

#[tokio::test]
async fn a_renamed_host_keeps_the_operators_name_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.greet(greeting(1, "web"), T0).await.unwrap();
    store.greet(greeting(2, "db"), T0).await.unwrap();
    let edit = |to: &str| HostEdit::Rename { to: to.into() };
    assert_eq!(
        store
            .edit_host("web", edit("front"), T0)
            .await
            .unwrap()
            .name,
        "front"
    );
    for wrong in ["db", "", "a\nb"] {
        assert!(
            store.edit_host("front", edit(wrong), T0).await.is_err(),
            "{wrong:?}"
        );
    }
    let set = BTreeMap::from([
        ("role".into(), Some("web".into())),
        ("team".into(), Some("x".into())),
    ]);
    store
        .edit_host("front", HostEdit::Label { set }, T0)
        .await
        .unwrap();
    let record = store.greet(greeting(1, "other"), T0).await.unwrap();
    assert_eq!(record.name, "front");
    let labels: Vec<_> = record
        .labels
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(labels, [("role", "web"), ("site", "a"), ("team", "x")]);
    let set = BTreeMap::from([("role".into(), None)]);
    let record = store
        .edit_host("front", HostEdit::Label { set }, T0)
        .await
        .unwrap();
    assert_eq!(record.labels["role"], "db", "the agent's label is back");
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.greet(greeting(1, "frontend"), T0).await.unwrap();
    let wrong = store
        .edit_host("frontned", HostEdit::Retire, T0)
        .await
        .unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "no host named \"frontned\"; did you mean \"frontend\"?"
    );
    let query = WindowQuery {
        hosts: vec!["zzz".into()],
        ..all()
    };
    let wrong = store.windows(query).await.unwrap_err();
    assert_eq!(wrong.to_string(), "no host named \"zzz\"");
}

#[tokio::test]
async fn a_retired_host_keeps_its_history_and_its_date() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store.append(batch(1, 1, &ids, &[(T0, 1.0)])).await.unwrap();
    store
        .edit_host("web", HostEdit::Retire, T0 + 5)
        .await
        .unwrap();
    let record = store
        .edit_host("web", HostEdit::Retire, T0 + 9)
        .await
        .unwrap();
    assert_eq!(record.retired_ms, Some(T0 + 5));
    assert!(
        store.windows(all()).await.unwrap().is_empty(),
        "no longer among all"
    );
    assert_eq!(
        points(&store, "web", "node_load1").await,
        [(T0, 1.0)],
        "still there by name"
    );
    assert_eq!(
        store
            .edit_host("web", HostEdit::Revive, T0)
            .await
            .unwrap()
            .retired_ms,
        None
    );
}

#[tokio::test]
async fn a_merged_hosts_history_becomes_part_of_the_other_which_wins() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store.greet(greeting(2, "web-old"), T0 - DAY).await.unwrap();
    let names_of_old = vec![gauge("only_old"), gauge("node_load1")];
    let old = store.series_ids(host(2), names_of_old).await.unwrap();
    store
        .append(batch(2, 1, &old, &[(T0 - 10, 7.0), (T0, 7.0)]))
        .await
        .unwrap();
    store
        .append(batch(1, 1, &ids, &[(T0, 1.0), (T0 + 10, 1.0)]))
        .await
        .unwrap();
    store.count_refusal(host(2), "time").await.unwrap();
    let into = HostEdit::MergeInto { into: "web".into() };
    assert!(
        store.edit_host("web", into.clone(), T0).await.is_err(),
        "not into itself"
    );
    let record = store.edit_host("web-old", into, T0 + 20).await.unwrap();
    assert_eq!(
        (record.name.as_str(), record.first_seen_ms),
        ("web", T0 - DAY)
    );
    assert_eq!(record.refused["time"], 1);
    assert_eq!(names(&store).await, ["web"]);
    for round in ["journal", "sealed", "reopened"] {
        let load = points(&store, "web", "node_load1").await;
        assert_eq!(load, [(T0 - 10, 7.0), (T0, 1.0), (T0 + 10, 1.0)], "{round}");
        assert_eq!(points(&store, "web", "only_old").await.len(), 2, "{round}");
        store.upkeep(T0 + 3 * HOUR).await.unwrap();
    }
    // Its agent still runs: what it sends belongs to the host that stands.
    assert_eq!(
        store.greet(greeting(2, "web-old"), T0).await.unwrap().name,
        "web"
    );
    store
        .append(batch(2, 2, &old, &[(T0 + 30, 8.0)]))
        .await
        .unwrap();
    assert_eq!(
        points(&store, "web", "node_load1").await.last(),
        Some(&(T0 + 30, 8.0))
    );
    // Its name is free again.
    assert_eq!(
        store.greet(greeting(3, "web-old"), T0).await.unwrap().name,
        "web-old"
    );
}

#[tokio::test]
async fn a_record_tells_when_the_host_was_last_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    let record = store.hosts().await.unwrap().remove(0);
    assert_eq!(
        (record.last_received_ms, record.last_sample_ms),
        (Some(T0), None)
    );
    let mut late = batch(1, 1, &ids, &[(T0 - HOUR, 1.0)]);
    late.received_ms = T0 + 70;
    store.append(late).await.unwrap();
    store.upkeep(T0 + 3 * HOUR).await.unwrap();
    let record = store.hosts().await.unwrap().remove(0);
    assert_eq!(
        (record.last_received_ms, record.last_sample_ms),
        (Some(T0 + 70), Some(T0 - HOUR))
    );
    assert_eq!(record.facts.kernel, "6.1");
}

#[tokio::test]
async fn the_record_of_a_greeting_is_the_record_of_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for n in 1..=6 {
        store
            .greet(greeting(n, &format!("h{n}")), T0 + i64::from(n))
            .await
            .unwrap();
        let ids = store
            .series_ids(host(n), vec![gauge("node_load1")])
            .await
            .unwrap();
        store
            .append(batch(n, 1, &ids, &[(T0 + i64::from(n), 1.0)]))
            .await
            .unwrap();
        store.count_refusal(host(n), "time").await.unwrap();
    }
    for (from, into) in [("h1", "h2"), ("h3", "h2"), ("h2", "h4"), ("h5", "h4")] {
        let edit = HostEdit::MergeInto { into: into.into() };
        store.edit_host(from, edit, T0 + 50).await.unwrap();
    }
    for n in 1..=6 {
        let greeted = store
            .greet(greeting(n, &format!("h{n}")), T0 + 90)
            .await
            .unwrap();
        let listed = store.hosts().await.unwrap();
        assert!(listed.contains(&greeted), "{n}: {greeted:?}");
        assert_eq!(greeted.name, if n == 6 { "h6" } else { "h4" });
        assert_eq!(greeted.refused["time"], if n == 6 { 1 } else { 5 });
    }
}

/// Gauges named apart, `count` of them from `first`.
fn many(first: usize, count: usize) -> Vec<(SeriesName, Kind)> {
    let named = |n| {
        let (mut name, kind) = gauge("custom_level");
        name.labels = vec![("container".into(), format!("{n}"))];
        (name, kind)
    };
    (first..first + count).map(named).collect()
}

#[tokio::test]
async fn series_of_which_no_sample_is_left_make_room_when_the_host_introduces_itself() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        series_per_host_max: 600,
        retention_ms: DAY,
        ..options(folder.path())
    };
    let tier = Tier {
        step_ms: HOUR,
        age_ms: DAY,
    };
    let keeping = Keeping {
        tiers: vec![tier],
        ..Keeping::default()
    };
    let store = Store::open_with(options, keeping).await.unwrap();
    store.greet(greeting(1, "web"), T0).await.unwrap();
    let mut time_ms = T0;
    let mut last = Vec::new();
    // Three days of containers that live for a day: 900 series, of which 300 are there at a time.
    for day in 0..3 {
        last = store
            .series_ids(host(1), many(day * 300, 300))
            .await
            .unwrap();
        let more = batch(1, day as u64 + 1, &last, &[(time_ms, day as f64)]);
        store.append(more).await.unwrap();
        store.seal_all().await.unwrap();
        time_ms += 2 * DAY;
        for _ in 0..3 {
            store.upkeep(time_ms - DAY).await.unwrap();
        }
        let greeted = store.greet(greeting(1, "web"), time_ms - DAY).await;
        assert_eq!(greeted.unwrap().name, "web");
    }
    let known = store.series(vec!["web".into()]).await.unwrap();
    assert!(known.len() <= 600, "{} series are known", known.len());
    // What is in use keeps its id.
    let again = store.series_ids(host(1), many(600, 300)).await.unwrap();
    assert_eq!(again, last);
    assert_eq!(points(&store, "web", "custom_level").await.len(), 1);
}

#[tokio::test]
async fn a_host_of_which_nothing_is_left_makes_room_for_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        hosts_max: 3,
        ..options(folder.path())
    };
    let store = Store::open(options).await.unwrap();
    for n in 1..=3 {
        store.greet(greeting(n, "vm"), T0).await.unwrap();
    }
    let ids = store.series_ids(host(1), vec![gauge("node_load1")]).await;
    let more = batch(1, 1, &ids.unwrap(), &[(T0, 1.0)]);
    store.append(more).await.unwrap();
    let early = store.greet(greeting(4, "vm"), T0 + DAY).await;
    assert!(matches!(early, Err(StoreError::Limit { .. })), "{early:?}");
    store.greet(greeting(4, "vm"), T0 + 9 * DAY).await.unwrap();
    let hosts = store.hosts().await.unwrap();
    let names: Vec<&str> = hosts.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(
        names,
        ["vm", "vm-2", "vm-3"],
        "with samples, the new one, the newest"
    );
}
