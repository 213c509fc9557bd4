//! What comes while others are sealed.

use super::super::history::parcel::Parcel;
use super::super::history::sealed::tests::cpu;
use super::*;
use crate::series::{Kind, SeriesName};
use std::sync::mpsc;
use std::time::Duration;

/// Waits until so many messages wait for the writer.
async fn waiting(store: &Store, messages: u64) {
    while store.pulse().waiting < messages {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_batch_behind_a_seal_that_empties_the_journal_is_not_taken_for_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store.greet(greeting(2, "db"), T0).await.unwrap();
    let others = store.series_ids(host(2), vec![gauge("node_load1")]);
    let others = others.await.unwrap();
    store.append(batch(1, 1, &ids, &[(T0, 1.0)])).await.unwrap();
    // The writer is kept busy until a seal and a batch wait: they come into one commit.
    let ((begun, begins), (go, goes)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    let busy = move |_: &mut writer::Ledger| {
        begun.send(()).unwrap();
        goes.recv().unwrap();
        Ok(())
    };
    let one = store.clone();
    let busy = tokio::spawn(async move { one.write("wait", busy).await });
    while begins.try_recv().is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let one = store.clone();
    let seal = tokio::spawn(async move { one.seal_all().await });
    waiting(&store, 1).await;
    let (one, late) = (store.clone(), batch(1, 2, &ids, &[(T0 + 10_000, 2.0)]));
    let late = tokio::spawn(async move { one.append(late).await });
    waiting(&store, 2).await;
    go.send(()).unwrap();
    busy.await.unwrap().unwrap();
    seal.await.unwrap().unwrap();
    late.await.unwrap().unwrap();
    let wanted = [(T0, 1.0), (T0 + 10_000, 2.0)];
    assert_eq!(points(&store, "web", "node_load1").await, wanted);
    // Nor does it go with the rows of somebody who is sealed later.
    store
        .append(batch(2, 1, &others, &[(T0, 5.0)]))
        .await
        .unwrap();
    store.seal_all().await.unwrap();
    let path = folder.path().join("hostwell.db");
    let reader = Store::open_read_only(&path).await.unwrap();
    for held in [&store, &reader] {
        assert_eq!(points(held, "web", "node_load1").await, wanted);
        let facts = held.facts(true).await.unwrap();
        assert_eq!((facts.journal_batches, facts.samples), (0, 5));
        assert_eq!(facts.problems, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_row_that_is_sealed_is_read_no_more_also_where_its_block_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ids) = with_host(folder.path()).await;
    store.greet(greeting(2, "db"), T0).await.unwrap();
    let others = store.series_ids(host(2), vec![gauge("node_load1")]);
    let others = others.await.unwrap();
    store
        .append(batch(2, 1, &others, &[(T0, 5.0)]))
        .await
        .unwrap();
    let past: Vec<(i64, f64)> = (0..1100).map(|n| (T0 + n * 10_000, n as f64)).collect();
    store.append(batch(1, 1, &ids, &past)).await.unwrap();
    // The other host's row is older and waits: that of the first stays.
    store.seal_full().await.unwrap();
    let path = folder.path().join("hostwell.db");
    let reader = Store::open_read_only(&path).await.unwrap();
    assert_eq!(points(&reader, "web", "node_load1").await, past);
    let drop = |ledger: &mut writer::Ledger| {
        ledger.conn.execute("DELETE FROM block", [])?;
        Ok(())
    };
    store.write("drop a block", drop).await.unwrap();
    let cut = tempfile::tempdir().unwrap();
    super::crash::copy(folder.path(), cut.path());
    let again = open(cut.path()).await;
    for held in [&reader, &store, &again] {
        assert_eq!(points(held, "web", "node_load1").await, []);
        assert_eq!(points(held, "db", "node_load1").await, [(T0, 5.0)]);
    }
    // Series of which nothing is left may go; the row still names them.
    let forget = |ledger: &mut writer::Ledger| {
        let web = ledger.host(host(1))?;
        history::series::forget(&ledger.conn, web, |_| true)
    };
    assert_eq!(store.write("forget series", forget).await.unwrap(), 2);
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.problems, Vec::<String>::new());
}

#[tokio::test]
async fn the_idle_part_of_a_cpu_is_read_without_the_other_modes_which_are_foretold_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    let ticks = 120;
    let modes: Vec<(&str, Vec<f64>)> = ["user", "system", "idle"]
        .into_iter()
        .zip(cpu(ticks))
        .collect();
    let name = |mode: &str| SeriesName {
        metric: "node_cpu_seconds_total".into(),
        labels: vec![("cpu".into(), "0".into()), ("mode".into(), mode.into())],
    };
    let names = modes.iter().map(|(mode, _)| (name(mode), Kind::Counter));
    let ids = store.series_ids(host(1), names.collect()).await.unwrap();
    let times: Vec<(i64, f64)> = (0..ticks as i64).map(|t| (T0 + t * 5000, 0.0)).collect();
    let mut sent = batch(1, 1, &ids, &times);
    let columns = modes.iter().zip(0..).map(|((_, values), number)| Column {
        number,
        ticks: None,
        values: values.clone(),
    });
    sent.block = Packed::of(&Block {
        times_ms: times.iter().map(|point| point.0).collect(),
        columns: columns.collect(),
    });
    store.append(sent).await.unwrap();
    store.seal_all().await.unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("hostwell.db")).unwrap();
    let payload: Vec<u8> = conn
        .query_row("SELECT payload FROM block", [], |r| r.get(0))
        .unwrap();
    let plans = Parcel::plans(&payload).unwrap().unwrap();
    let idle = ids[2].0;
    assert!(!plans.foretells(idle));
    assert!(
        plans
            .each()
            .any(|(_, _, of)| of.iter().any(|(id, _)| *id == idle))
    );
}

#[tokio::test]
async fn a_cpu_whose_labels_cannot_be_read_is_sealed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = with_host(folder.path()).await;
    let idle = SeriesName {
        metric: "node_cpu_seconds_total".into(),
        labels: vec![("cpu".into(), "0".into()), ("mode".into(), "idle".into())],
    };
    let ids = store.series_ids(host(1), vec![(idle, Kind::Counter)]).await;
    let sent = batch(1, 1, &ids.unwrap(), &[(T0, 1.0)]);
    store.append(sent).await.unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("hostwell.db")).unwrap();
    let damaged = "UPDATE labels SET text = 'nonsense' WHERE text LIKE '%idle%'";
    assert_eq!(conn.execute(damaged, []).unwrap(), 1);
    store.seal_all().await.unwrap();
    let facts = store.facts(true).await.unwrap();
    assert_eq!(facts.journal_batches, 0);
    assert_eq!(facts.problems.len(), 1, "{:?}", facts.problems);
}
