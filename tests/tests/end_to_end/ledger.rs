//! Whole: whatever is killed or cut, every batch that an agent numbered is in the store exactly
//! once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hostwell_agent::config::SpoolConfig;
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_tests::fixture::MovingRoot;
use hostwell_tests::holdings::{assert_equal_to, until_complete};
use hostwell_tests::proxy::{Line, Proxy};
use hostwell_tests::relay::{Record, Relay};
use hostwell_tests::site::{Agent, Collector};
use hostwell_tests::speaker::now_ms;
use hostwell_tests::wait::{pass, seconds, until_true};

/// The cut lasts two minutes; the ordinary run compresses them.
fn cut() -> Duration {
    match std::env::var_os("HOSTWELL_LONG") {
        Some(_) => seconds(120),
        None => seconds(12),
    }
}

/// What an agent has numbered and still holds, read from a copy of its spool.
fn numbered(agent: &Agent, scratch: &Path) -> BTreeMap<(SpoolId, u64), Vec<u8>> {
    let spool = agent.folder.join("state/spool");
    std::fs::create_dir_all(scratch).unwrap();
    for entry in std::fs::read_dir(spool).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), scratch.join(entry.file_name())).unwrap();
    }
    let bounds = SpoolConfig::default();
    let (mut spool, _) = hostwell_agent::spool::open(scratch, bounds, now_ms()).unwrap();
    let mut batches = BTreeMap::new();
    while let Some(batch) = spool.take_next() {
        batches.insert((batch.spool, batch.sequence), batch.block);
    }
    batches
}

/// Waits until everything that was sent up to now is stored.
#[track_caller]
fn settle(relay: &Relay, database: &Path) -> Record {
    let record = relay.record();
    until_complete(database, &record);
    record
}

#[test]
fn every_numbered_batch_is_stored_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let mut collector = Collector::start(&place("collector"));
    let database = collector.database();
    let relay = Relay::to(collector.grpc);
    let line = Proxy::to(relay.address());
    let url = format!("http://{}", line.address());
    let roots = [("one", 3), ("two", 7)]
        .map(|(name, speed)| MovingRoot::new(&place(&format!("{name}-root")), name, speed));
    let [first, second] = &roots;
    let on = |root: &MovingRoot| format!("send_every = \"1s\"\nfixture = {:?}", root.path());
    let _live = Agent::start(&place("live"), &url, "send_every = \"1s\"");
    let _one = Agent::start(&place("one"), &url, &on(first));
    let mut two = Agent::start(&place("two"), &url, &on(second));
    until_true("three agents stream", seconds(60), || {
        relay.record().batches() >= 9
    });

    collector.program.kill();
    pass(seconds(3));
    collector.start_again();
    let streamed = relay.record().batches();
    until_true("they stream again", seconds(60), || {
        relay.record().batches() >= streamed + 6
    });

    // The line goes silent; one agent is killed while it holds batches that nobody has seen.
    line.set(Line::Silent);
    pass(cut() / 2);
    two.program.kill();
    let held = numbered(&two, &place("copy"));
    assert!(!held.is_empty(), "the killed agent held nothing");
    two.start_again();
    pass(cut() / 2);
    line.set(Line::Refusing);
    pass(seconds(1));
    line.set(Line::Up);
    let before = relay.record().batches();
    until_true("backfill has begun", seconds(60), || {
        relay.record().batches() > before
    });
    collector.program.kill();
    collector.start_again();

    let two_id = two.host_id();
    until_true("what the killed agent held is sent", seconds(120), || {
        let record = relay.record();
        held.keys().all(|(spool, sequence)| {
            let said = record.spools.get(&(two_id, *spool));
            said.is_some_and(|s| s.batches.contains_key(sequence))
        })
    });
    settle(&relay, &database);
    let record = settle(&relay, &database);
    for ((spool, sequence), block) in &held {
        let sent = &record.spools[&(two_id, *spool)].batches[sequence];
        assert!(sent == block, "batch {sequence} changed after the kill");
    }
    let hosts: std::collections::BTreeSet<_> = record.spools.keys().map(|(h, _)| *h).collect();
    assert_eq!(hosts.len(), 3);
    let spools_of_two = record.spools.keys().filter(|(h, _)| *h == two_id).count();
    assert_eq!(spools_of_two, 2, "an unclean stop begins a new spool");
    until_no_tick_missing(&relay, two_id);
    drop((_live, _one, two));
    // Nothing is sent any more: the record is final.
    let record = settle(&relay, &database);
    collector.program.stop();
    assert_equal_to(&database, &record);
}

/// Agents that were not killed have a sample for every second, once they have sent what they kept
/// meanwhile: it goes behind what is live.
fn until_no_tick_missing(relay: &Relay, killed: HostId) {
    let begun = Instant::now();
    loop {
        let missing = ticks_missing(&relay.record(), killed);
        if missing.is_empty() {
            return;
        }
        assert!(begun.elapsed() < seconds(60), "{missing:?}");
        pass(Duration::from_millis(200));
    }
}

/// What agents that were not killed did not send and did not confess either.
fn ticks_missing(record: &Record, killed: HostId) -> Vec<String> {
    let hosts: std::collections::BTreeSet<_> = record.spools.keys().map(|(h, _)| *h).collect();
    let missing = |host: HostId| {
        let samples = record.samples(host);
        let load = &samples[&("node_load1".to_owned(), Vec::new())];
        let times: Vec<i64> = load.keys().copied().collect();
        // A busy test machine may be late for a tick; the agent counts those itself.
        let missed = samples.get(&("hostwell_agent_missed_ticks_total".to_owned(), Vec::new()));
        let missed = missed.and_then(|m| m.values().next_back()).copied();
        let holes: i64 = times.windows(2).map(|w| (w[1] - w[0]) / 1000 - 1).sum();
        let told = || format!("{holes} seconds without a sample, {missed:?} confessed");
        (holes as f64 > missed.unwrap_or(0.0)).then(told)
    };
    let others = hosts.into_iter().filter(|h| *h != killed);
    others.filter_map(missing).collect()
}
