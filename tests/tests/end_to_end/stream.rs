//! The stream from agent to store, and what an outage leaves of it.

use hostwell_tests::holdings::{assert_equal_to, until_complete};
use hostwell_tests::proxy::{Line, Proxy};
use hostwell_tests::relay::Relay;
use hostwell_tests::site::{Agent, Collector};
use hostwell_tests::wait::{pass, seconds, until, until_true};

const SEND: &str = "send_every = \"1s\"";

/// A collector, a relay before it and a line before that.
struct Site {
    folder: tempfile::TempDir,
    collector: Collector,
    relay: Relay,
    line: Proxy,
}

impl Site {
    fn new() -> Site {
        Site::with("")
    }

    /// The same with lines of the collector's configuration.
    fn with(more: &str) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let collector = Collector::start_with(&folder.path().join("collector"), more);
        let relay = Relay::to(collector.grpc);
        let line = Proxy::to(relay.address());
        Site {
            folder,
            collector,
            relay,
            line,
        }
    }

    fn agent(&self) -> Agent {
        let url = format!("http://{}", self.line.address());
        Agent::start(&self.folder.path().join("agent"), &url, SEND)
    }

    /// Waits for this many batches, then until they are stored.
    #[track_caller]
    fn until_stored(&self, batches: usize) {
        until_true(format!("{batches} batches"), seconds(60), || {
            self.relay.record().batches() >= batches
        });
        let record = self.relay.record();
        until_complete(&self.collector.database(), &record);
    }
}

#[test]
fn an_agent_that_starts_before_its_collector_loses_nothing() {
    let mut site = Site::new();
    site.line.set(Line::Refusing);
    let mut agent = site.agent();
    pass(seconds(5));
    assert_eq!(site.relay.record().batches(), 0);
    site.line.set(Line::Up);
    site.until_stored(5);
    agent.program.stop();
    site.collector.program.stop();
    // Holds that the numbers begin at 1: nothing from before the connection is missing.
    assert_equal_to(&site.collector.database(), &site.relay.record());
}

#[test]
fn a_clean_stop_goes_on_with_the_same_spool_and_the_next_number() {
    let mut site = Site::new();
    let mut agent = site.agent();
    site.until_stored(2);
    let status = agent.program.stop();
    assert!(status.success(), "{status}: {}", agent.program.log());
    let before = site.relay.record().batches();
    agent.start_again();
    site.until_stored(before + 2);
    agent.program.stop();
    let record = site.relay.record();
    assert_eq!(record.spools.len(), 1, "one host, one spool");
    until_complete(&site.collector.database(), &record);
    site.collector.program.stop();
    assert_equal_to(&site.collector.database(), &site.relay.record());
}

#[test]
fn a_line_that_goes_silent_is_noticed_and_its_hole_is_filled() {
    let mut site = Site::new();
    let mut agent = site.agent();
    site.until_stored(2);
    let hellos = site.relay.record().hellos.len();
    site.line.set(Line::Silent);
    pass(seconds(5));
    // Everything in flight dies with the old connections.
    site.line.set(Line::Refusing);
    pass(seconds(1));
    site.line.set(Line::Up);
    let before = site.relay.record().batches();
    site.until_stored(before + 5);
    assert!(
        site.relay.record().hellos.len() > hellos,
        "it greeted again"
    );
    agent.program.stop();
    let record = site.relay.record();
    until_complete(&site.collector.database(), &record);
    site.collector.program.stop();
    assert_equal_to(&site.collector.database(), &site.relay.record());
}

#[test]
fn the_present_goes_first_and_the_backlog_behind_it() {
    // A window so small and a line so slow that the backlog takes a while.
    let mut site = Site::with("[limits]\nbatches_in_flight = 2");
    let mut agent = site.agent();
    site.until_stored(2);
    site.line.set(Line::Refusing);
    pass(seconds(8));
    let before = site.relay.record().order.len();
    site.line.set(Line::Slow);
    let drained = |order: &[u64]| {
        // With the backlog gone the numbers are complete and the newest came last.
        order.len() > before + 8 && order.iter().max() == order.last() && {
            let newest = order.last().copied().unwrap_or(0);
            (1..=newest).all(|sequence| order.contains(&sequence))
        }
    };
    let order = until("the backlog is drained", seconds(180), || {
        let record = site.relay.record();
        let order: Vec<u64> = record.order.iter().map(|(_, _, s)| *s).collect();
        drained(&order).then_some(order)
    });
    let (mut overtaken, mut overtaking) = (0, 0);
    for (at, sequence) in order.iter().enumerate().skip(before) {
        overtaken += usize::from(order[..at].iter().any(|earlier| earlier > sequence));
        overtaking += usize::from(order[at..].iter().any(|later| later < sequence));
    }
    assert!(
        overtaken >= 6 && overtaking >= 2,
        "the present waited for the past, {overtaking} batches overtook {overtaken}: {order:?}"
    );

    site.line.set(Line::Up);
    assert!(agent.program.stop().success());
    until_complete(&site.collector.database(), &site.relay.record());
    site.collector.program.stop();
    assert_equal_to(&site.collector.database(), &site.relay.record());
}
