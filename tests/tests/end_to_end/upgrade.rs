//! Yesterday's database under today's collector. What yesterday's agents say is held where it is
//! recorded, beside the collector's door.
//!
//! `tests/recorded/VERSION.db` is a database as a collector of that version left it, and
//! `VERSION.csv` what it answered then. A release adds its own:
//! `HOSTWELL_RECORD=1 cargo test -p hostwell-tests upgrade`.

use std::path::{Path, PathBuf};

use hostwell_tests::fixture::MovingRoot;
use hostwell_tests::holdings::{block_on, missing};
use hostwell_tests::program::{binary, command, repository, run, stdout};
use hostwell_tests::relay::Relay;
use hostwell_tests::site::{Agent, Collector};
use hostwell_tests::wait::{seconds, until_true};

fn folder() -> PathBuf {
    repository().join("tests/recorded")
}

/// What a database answers about the recorded host.
fn answers(source: [&str; 2]) -> String {
    let ask = |words: &[&str]| {
        let mut hostwell = command(binary("hostwell"));
        stdout(&run(hostwell.args(words).args(source)))
    };
    let range = [
        "--from",
        "2020-01-01T00:00:00Z",
        "--to",
        "2100-01-01T00:00:00Z",
    ];
    let query = |selector: &str| ask(&[&["query", selector, "-o", "csv"][..], &range].concat());
    [
        query("node_load1"),
        query("node_cpu_seconds_total"),
        query("node_filesystem_avail_bytes"),
        query("node_network_receive_bytes_total"),
    ]
    .concat()
}

/// Records this version's database, when asked to.
fn record() {
    if std::env::var_os("HOSTWELL_RECORD").is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(&place.path().join("collector"));
    let relay = Relay::to(collector.grpc);
    let root = MovingRoot::new(&place.path().join("root"), "recorded", 3);
    let more = format!("send_every = \"1s\"\nfixture = {:?}", root.path());
    let url = format!("http://{}", relay.address());
    let mut agent = Agent::start(&place.path().join("agent"), &url, &more);
    until_true("some batches are stored", seconds(60), || {
        let record = relay.record();
        record.batches() >= 8 && missing(&collector.database(), &record).is_empty()
    });
    agent.program.stop();
    collector.program.stop();
    std::fs::create_dir_all(folder()).unwrap();
    let name = |ending: &str| folder().join(format!("{}.{ending}", env!("CARGO_PKG_VERSION")));
    std::fs::copy(collector.database(), name("db")).unwrap();
    let database = name("db").display().to_string();
    std::fs::write(name("csv"), answers(["--db", &database])).unwrap();
}

/// A data folder with a copy of a recorded database.
fn copy(recorded: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("data")).unwrap();
    std::fs::copy(recorded, to.join("data/hostwell.db")).unwrap();
}

#[test]
fn every_recorded_database_still_answers_what_it_answered() {
    record();
    let mut databases = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "db") {
            continue;
        }
        databases += 1;
        let then = std::fs::read_to_string(path.with_extension("csv")).unwrap();
        assert!(then.lines().count() > 20, "{} says nothing", path.display());
        let place = tempfile::tempdir().unwrap();
        copy(&path, place.path());
        let database = place.path().join("data/hostwell.db").display().to_string();
        assert!(answers(["--db", &database]) == then, "{database} at rest");

        // A collector that opens it for writing brings it up to date and answers the same.
        let collector = Collector::start(place.path());
        assert!(
            answers(["--server", &collector.url()]) == then,
            "{database}, open"
        );
        drop(collector);
        let problems = block_on(async {
            let path = Path::new(&database);
            let store = hostwell::store::Store::open_read_only(path).await.unwrap();
            store.facts(true).await.unwrap().problems
        });
        assert!(problems.is_empty(), "{problems:?}");
    }
    assert!(databases > 0, "at least this version's");
}
