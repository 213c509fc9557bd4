//! The other half of the ledger: what the store holds, held against what agents sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hostwell::processes::ProcessNote;
use hostwell::store::{NotesAsked, Store, WindowQuery};
use hostwell_proto::id::HostId;

use crate::relay::{Name, Record};

/// Longest time until what was sent is stored.
const COMPLETE: Duration = Duration::from_secs(120);

/// A host's samples: series → time in ms → value.
pub type Samples = BTreeMap<Name, BTreeMap<i64, f64>>;

/// Runs a question to the store on a runtime of its own.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Everything the database holds of a host, read at rest or beside the running collector.
pub fn stored(database: &Path, host: HostId) -> Samples {
    block_on(async {
        let store = Store::open_read_only(database).await.unwrap();
        let name = store.hosts().await.unwrap();
        let name = name.into_iter().find(|h| h.id == host.to_string());
        let query = WindowQuery {
            hosts: vec![name.expect("the host is known").name],
            from_ms: 0,
            to_ms: i64::MAX / 2,
            samples_max: 1 << 24,
            ..WindowQuery::default()
        };
        let windows = store.windows(query).await.unwrap();
        let series = windows.into_iter().flat_map(|w| w.series);
        series
            .map(|s| {
                let times = s.times_ms.iter().copied();
                let points: BTreeMap<i64, f64> = times.zip(s.values.iter().copied()).collect();
                assert_eq!(points.len(), s.times_ms.len(), "a sample twice");
                ((s.name.metric, s.name.labels), points)
            })
            .collect()
    })
}

/// The notes of processes that the database holds of a host, the oldest first.
pub fn noted(database: &Path, host: HostId) -> Vec<ProcessNote> {
    block_on(async {
        let store = Store::open_read_only(database).await.unwrap();
        let hosts = store.hosts().await.unwrap();
        let known = hosts.into_iter().find(|h| h.id == host.to_string());
        let asked = NotesAsked {
            host: known.expect("the host is known").name,
            from_ms: 0,
            to_ms: i64::MAX / 2,
        };
        store.process_notes(vec![asked]).await.unwrap().remove(0)
    })
}

/// What the store has not yet dealt with of everything in the record, a line a spool.
pub fn missing(database: &Path, record: &Record) -> Vec<String> {
    block_on(async {
        let store = match Store::open_read_only(database).await {
            Ok(store) => store,
            Err(error) => return vec![format!("{error}")],
        };
        let mut missing = Vec::new();
        for ((host, spool), said) in &record.spools {
            let Some(last) = said.batches.keys().next_back() else {
                continue;
            };
            let held = store.holding(*host, *spool).await;
            let all = |ranges: &Vec<(u64, u64)>| ranges.iter().any(|(f, l)| *f <= 1 && last <= l);
            if !held.as_ref().is_ok_and(all) {
                missing.push(format!("{host} {spool}: sent up to {last}, held {held:?}"));
            }
        }
        missing
    })
}

/// Waits until the store has dealt with everything in the record: backfill takes its time.
#[track_caller]
pub fn until_complete(database: &Path, record: &Record) {
    let start = Instant::now();
    loop {
        let missing = missing(database, record);
        if missing.is_empty() {
            return;
        }
        assert!(
            start.elapsed() < COMPLETE,
            "not stored after {COMPLETE:?}: {missing:#?}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Holds the whole ledger: every numbered batch is in the store exactly once, with its content.
///
/// Panics with the first difference.
#[track_caller]
pub fn assert_equal_to(database: &Path, record: &Record) {
    assert!(record.gaps.is_empty(), "drops: {:?}", record.gaps);
    for ((host, spool), said) in &record.spools {
        let sent: Vec<u64> = said.batches.keys().copied().collect();
        let last = sent.last().copied().unwrap_or(0);
        let all: Vec<u64> = (1..=last).collect();
        assert_eq!(sent, all, "spool {spool}: every number was sent");
        let held = block_on(async {
            let store = Store::open_read_only(database).await.unwrap();
            store.holding(*host, *spool).await.unwrap()
        });
        assert_eq!(held, [(1, last)], "spool {spool} of {host}");
    }
    let mut hosts: Vec<HostId> = record.spools.keys().map(|(h, _)| *h).collect();
    hosts.dedup();
    for host in hosts {
        assert_same_samples(&record.samples(host), &stored(database, host));
    }
}

#[track_caller]
fn assert_same_samples(sent: &Samples, stored: &Samples) {
    for (name, points) in sent {
        let held = stored.get(name);
        let held = held.unwrap_or_else(|| panic!("{name:?} is not in the store"));
        for (time, value) in points {
            let got = held.get(time);
            assert!(
                got.is_some_and(|g| g.to_bits() == value.to_bits()),
                "{name:?} at {time}: sent {value}, stored {got:?}"
            );
        }
        assert_eq!(held.len(), points.len(), "{name:?}: more stored than sent");
    }
    let invented: Vec<_> = stored.keys().filter(|n| !sent.contains_key(*n)).collect();
    assert!(invented.is_empty(), "stored but never sent: {invented:?}");
}
