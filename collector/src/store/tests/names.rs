//! What series are called is stored once for all hosts, and no longer than somebody is called so.

use rusqlite::Connection;

use super::*;

fn labelled(metric: &str, kind: Kind, device: usize) -> (SeriesName, Kind) {
    let name = SeriesName::new(metric, &[("device", &format!("d{device}"))]);
    (name, kind)
}

/// (id, text, uses) of every metric and all labels.
fn stored(folder: &Path) -> Vec<(i64, String, i64)> {
    let conn = Connection::open(folder.join("hostwell.db")).unwrap();
    let mut select = conn
        .prepare("SELECT id, name, uses FROM metric UNION ALL SELECT id, text, uses FROM labels")
        .unwrap();
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

async fn sound(store: &Store) {
    let problems = store.facts(true).await.unwrap().problems;
    assert_eq!(problems, Vec::<String>::new());
}

#[tokio::test]
async fn hosts_share_what_their_series_are_called_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let names = || {
        vec![
            gauge("node_load1"),
            labelled("custom_level", Kind::Gauge, 0),
        ]
    };
    for n in 1..=3 {
        store
            .greet(greeting(n, &format!("h{n}")), T0)
            .await
            .unwrap();
        let ids = store.series_ids(host(n), names()).await.unwrap();
        let first = i64::from(n) * 2 - 1;
        assert_eq!(ids, [SeriesId(first), SeriesId(first + 1)]);
        let value = f64::from(n);
        store
            .append(batch(n, 1, &ids, &[(T0, value)]))
            .await
            .unwrap();
    }
    let names = [
        (1, "node_load1".to_owned(), 3),
        (2, "custom_level".to_owned(), 3),
        (1, "{}".to_owned(), 3),
        (2, r#"{"device":"d0"}"#.to_owned(), 3),
    ];
    assert_eq!(stored(folder.path()), names);
    assert_eq!(points(&store, "h2", "custom_level").await, [(T0, 2.0)]);
    sound(&store).await;
}

#[tokio::test]
async fn the_first_kind_of_a_hosts_series_stays_whatever_it_is_on_other_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let of_kind = |kind| vec![labelled("custom_level", kind, 0)];
    let both = [Kind::Gauge, Kind::Counter];
    for (n, kind) in [(1, both[0]), (2, both[1])] {
        store
            .greet(greeting(n, &format!("h{n}")), T0)
            .await
            .unwrap();
        let ids = store.series_ids(host(n), of_kind(kind)).await.unwrap();
        for again in both {
            let found = store.series_ids(host(n), of_kind(again)).await.unwrap();
            assert_eq!(found, ids, "host {n}");
        }
    }
    let kinds = store.series(Vec::new()).await.unwrap();
    let kinds: Vec<Kind> = kinds.into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, both);
    sound(&store).await;
}

#[tokio::test]
async fn a_name_declared_twice_in_one_breath_is_one_series() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    let one = || labelled("custom_level", Kind::Gauge, 1);
    let other = labelled("custom_level", Kind::Counter, 1);
    let names = vec![one(), gauge("node_load1"), other, one()];
    let ids = store.series_ids(host(1), names).await.unwrap();
    assert_eq!(ids, [3, 1, 3, 3].map(SeriesId));
    sound(&store).await;
}

#[tokio::test]
async fn a_refused_declaration_leaves_no_names_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    let before = stored(folder.path());
    let many = (0..200).map(|n| labelled("custom_level", Kind::Gauge, n));
    let refused = store.series_ids(host(1), many.collect()).await;
    assert!(
        matches!(refused, Err(StoreError::Limit { .. })),
        "{refused:?}"
    );
    assert_eq!(stored(folder.path()), before);
    sound(&store).await;
}

#[tokio::test]
async fn names_go_with_the_last_series_and_no_id_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        series_per_host_max: 1000,
        ..options(folder.path())
    };
    let store = Store::open(options).await.unwrap();
    for n in 1..=2 {
        store
            .greet(greeting(n, &format!("h{n}")), T0)
            .await
            .unwrap();
    }
    let devices = |range: std::ops::Range<usize>| -> Vec<_> {
        range
            .map(|d| labelled("custom_level", Kind::Gauge, d))
            .collect()
    };
    let kept = store.series_ids(host(2), devices(0..5)).await.unwrap();
    let gone = store.series_ids(host(1), devices(0..400)).await.unwrap();
    let highest = stored(folder.path()).iter().map(|(id, _, _)| *id).max();
    // Nobody ever sent a sample of these.
    store.greet(greeting(1, "h1"), T0).await.unwrap();
    assert_eq!(store.series(vec!["h1".into()]).await.unwrap(), []);
    assert_eq!(
        stored(folder.path()).len(),
        1 + 5,
        "what the other host has"
    );
    sound(&store).await;
    let again = store.series_ids(host(1), devices(0..400)).await.unwrap();
    assert!(again.iter().min() > gone.iter().max());
    assert_eq!(
        store.series_ids(host(2), devices(0..5)).await.unwrap(),
        kept
    );
    let fresh = stored(folder.path());
    let fresh = fresh.iter().filter(|(_, _, uses)| *uses == 1);
    assert!(fresh.map(|(id, _, _)| Some(*id)).min().unwrap() > highest);
    sound(&store).await;
}
