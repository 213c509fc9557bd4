//! A collector that is killed at any moment has what it acknowledged.

use hostwell::store::Store;
use hostwell_tests::holdings::{assert_equal_to, block_on, until_complete};
use hostwell_tests::relay::{Record, Relay};
use hostwell_tests::site::{Agent, Collector};
use hostwell_tests::wait::{seconds, until_true};

/// Holds that every acknowledged batch is in the database as the dead collector left it.
fn assert_acknowledged_are_held(database: &std::path::Path, record: &Record) -> usize {
    let mut acknowledged = 0;
    block_on(async {
        let store = Store::open_read_only(database).await.unwrap();
        for ((host, spool), said) in &record.spools {
            let held = store.holding(*host, *spool).await.unwrap();
            for (first, last) in &said.acknowledged {
                let within = held.iter().any(|(f, l)| f <= first && last <= l);
                assert!(
                    within,
                    "{first}..={last} of {spool} acknowledged, held {held:?}"
                );
                acknowledged += (last - first + 1) as usize;
            }
        }
    });
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(&folder.path().join("collector"));
    let relay = Relay::to(collector.grpc);
    let url = format!("http://{}", relay.address());
    let mut agent = Agent::start(&folder.path().join("agent"), &url, "send_every = \"1s\"");
    let mut acknowledged = 0;
    for round in 1..=3 {
        until_true(format!("batches of round {round}"), seconds(60), || {
            relay
                .record()
                .spools
                .values()
                .map(|s| s.acknowledged.len())
                .sum::<usize>()
                >= 2 * round
        });
        collector.program.kill();
        acknowledged = assert_acknowledged_are_held(&collector.database(), &relay.record());
        collector.start_again();
    }
    assert!(acknowledged >= 6);
    agent.program.stop();
    let record = relay.record();
    until_complete(&collector.database(), &record);
    collector.program.stop();
    assert_equal_to(&collector.database(), &relay.record());
}

#[test]
fn a_second_collector_on_the_same_file_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(folder.path());
    let other = hostwell_tests::program::free_address();
    let mut serve = hostwell_tests::program::command(hostwell_tests::program::binary("hostwell"));
    serve
        .arg("serve")
        .arg("--data")
        .arg(folder.path().join("data"));
    serve.args([
        "--listen-grpc",
        &other.to_string(),
        "--listen-web",
        "127.0.0.1:0",
    ]);
    let output = hostwell_tests::program::run(&mut serve);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("another collector"), "{said}");
    drop(collector);
}
