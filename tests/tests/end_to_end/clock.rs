//! A host whose clock jumps by an hour: a real agent, a real collector.

use std::collections::BTreeMap;
use std::time::Instant;

use hostwell_proto::id::HostId;
use hostwell_tests::fixture::MovingRoot;
use hostwell_tests::holdings::{assert_equal_to, stored, until_complete};
use hostwell_tests::program::stdout;
use hostwell_tests::relay::Relay;
use hostwell_tests::site::{Agent, Collector};
use hostwell_tests::speaker::now_ms;
use hostwell_tests::wait::{pass, seconds, until, until_true};

const HOUR_MS: i64 = 3_600_000;
/// What the collector takes from the future.
const AHEAD_MS_MAX: i64 = 600_000;

/// A host with a clock of its own that streams through a relay.
struct Host {
    collector: Collector,
    relay: Relay,
    root: MovingRoot,
    agent: Agent,
    id: HostId,
    _folder: tempfile::TempDir,
}

impl Host {
    fn start(name: &str, send_every: &str) -> Host {
        let folder = tempfile::tempdir().unwrap();
        let collector = Collector::start(&folder.path().join("collector"));
        let relay = Relay::to(collector.grpc);
        let root = MovingRoot::new(&folder.path().join("root"), name, 3);
        let more = format!("send_every = {send_every:?}\nfixture = {:?}", root.path());
        let url = format!("http://{}", relay.address());
        let agent = Agent::start(&folder.path().join("agent"), &url, &more);
        let id = agent.host_id();
        Host {
            collector,
            relay,
            root,
            agent,
            id,
            _folder: folder,
        }
    }

    /// What is stored of a series without labels.
    fn stored(&self, metric: &str) -> BTreeMap<i64, f64> {
        let mut samples = stored(&self.collector.database(), self.id);
        let name = (metric.to_owned(), Vec::new());
        samples.remove(&name).unwrap_or_default()
    }

    /// Waits until so many seconds of the time from `from_ms` on are stored.
    #[track_caller]
    fn until_stored(&self, what: &str, from_ms: i64, ticks: usize) -> BTreeMap<i64, f64> {
        let until_ms = from_ms + HOUR_MS / 2;
        until(format!("{what} is stored"), seconds(60), || {
            // The host is known once its first batch has arrived.
            self.relay.record().order.first()?;
            let stored = self.stored("node_load1");
            (stored.range(from_ms..until_ms).count() >= ticks).then_some(stored)
        })
    }

    #[track_caller]
    fn assert_both_live(&mut self) {
        assert!(self.collector.program.is_alive(), "the collector lives");
        assert!(self.agent.program.is_alive(), "the agent lives");
    }
}

/// Seconds without a sample from the first to the last time in a range.
fn holes(stored: &BTreeMap<i64, f64>, from_ms: i64, to_ms: i64) -> i64 {
    let times: Vec<i64> = stored
        .range(from_ms..=to_ms)
        .map(|(time, _)| *time)
        .collect();
    assert!(
        times.iter().all(|time| time % 1000 == 0),
        "aligned: {times:?}"
    );
    times.windows(2).map(|w| (w[1] - w[0]) / 1000 - 1).sum()
}

#[test]
fn a_clock_an_hour_ahead_is_refused_and_said_and_its_data_flow_when_it_is_right_again() {
    let mut host = Host::start("ahead", "5s");
    let began_ms = now_ms() - 10_000;
    host.until_stored("the time before", began_ms, 5);
    let before = host.stored("node_load1");
    // In the middle of a batch: the ticks in it that are right are not lost with those that are not.
    let batches = host.relay.record().batches();
    until_true("another batch", seconds(60), || {
        host.relay.record().batches() > batches
    });
    pass(seconds(3));
    let (jumped_ms, jumped) = (now_ms(), Instant::now());
    host.root.set_clock_ahead_ms(HOUR_MS);
    until_true("the refusals are counted", seconds(60), || {
        let said = stdout(&host.collector.ask(&["host", "ahead", "-o", "json"]));
        said.contains("\"time\"")
    });
    let doctor = run_doctor(&host.collector);
    assert!(doctor.contains("refused: time"), "{doctor}");
    assert!(doctor.contains("check the host's clock"), "{doctor}");
    host.assert_both_live();
    let log = host.agent.program.log();
    assert!(log.contains("the clock was set by 3"), "{log}");
    assert!(log.contains("(time)") && log.contains("ahead of"), "{log}");

    let ahead = host.relay.record().sent(host.id, "node_load1");
    let ahead = ahead
        .iter()
        .filter(|(time, _)| *time > now_ms() + AHEAD_MS_MAX);
    let ahead: Vec<i64> = ahead.map(|(time, _)| *time).collect();
    assert!(
        ahead.len() as u64 <= jumped.elapsed().as_secs() + 2,
        "a storm: {ahead:?}"
    );

    host.root.set_clock_ahead_ms(0);
    let right_ms = now_ms();
    host.until_stored("the time after", right_ms, 5);
    until_true("the agent's own count arrives", seconds(60), || {
        let stored = stored(&host.collector.database(), host.id);
        let refused = stored.iter().find(|((metric, labels), _)| {
            metric == "hostwell_agent_refused_batches_total" && labels[0].1 == "time"
        });
        refused.is_some_and(|(_, points)| points.values().any(|count| *count >= 1.0))
    });
    host.assert_both_live();
    let after = host.stored("node_load1");
    for (time, value) in &before {
        assert_eq!(
            after.get(time),
            Some(value),
            "what was stored at {time} stays"
        );
    }
    let newest = after.keys().next_back().copied().unwrap_or(0);
    assert!(newest <= now_ms() + AHEAD_MS_MAX, "nothing of the future");
    // A tick of the moment of the jump itself may fall on either side of it.
    let last = after
        .range(..jumped_ms)
        .next_back()
        .map_or(0, |(time, _)| *time);
    assert!(
        last >= jumped_ms - 1500,
        "the last {} ms before it are lost",
        jumped_ms - last
    );
    let missed = host.stored("hostwell_agent_missed_ticks_total");
    let missed = missed.values().next_back().copied().unwrap_or(0.0);
    let holes = holes(&after, began_ms, jumped_ms) + holes(&after, right_ms, now_ms());
    assert!(
        holes as f64 <= missed,
        "{holes} seconds missing, {missed} confessed"
    );
}

/// What the doctor says; it may find something wrong, which is its business.
fn run_doctor(collector: &Collector) -> String {
    let output = collector.ask(&["doctor"]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_clock_an_hour_back_stops_nothing_and_the_first_value_of_a_time_stays() {
    let mut host = Host::start("back", "1s");
    let began_ms = now_ms() - 10_000;
    host.until_stored("the time before", began_ms, 3);
    let (back_ms, back) = (now_ms(), Instant::now());
    host.root.set_clock_ahead_ms(-HOUR_MS);
    let first = host.until_stored("an hour ago", back_ms - HOUR_MS - 1000, 5);
    host.root.set_clock_ahead_ms(0);
    let right_ms = now_ms();
    host.until_stored("the present again", right_ms, 3);

    // Back once more, to seconds that are in the history already.
    let elapsed_ms = back.elapsed().as_millis() as i64;
    host.root.set_clock_ahead_ms(-HOUR_MS - elapsed_ms);
    let twice = until("times are sampled twice", seconds(60), || {
        let mut values: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (time, value) in host.relay.record().sent(host.id, "node_load1") {
            values.entry(time).or_default().push(value);
        }
        values.retain(|time, values| values.len() > 1 && first.contains_key(time));
        (values.len() >= 3).then_some(values)
    });
    assert!(
        twice.values().any(|values| values[0] != values[1]),
        "{twice:?}"
    );
    let ticks = host.relay.record().sent(host.id, "node_load1").len() as u64;
    assert!(
        ticks <= back.elapsed().as_secs() + 20,
        "a storm: {ticks} ticks"
    );
    host.assert_both_live();

    let record = host.relay.record();
    until_complete(&host.collector.database(), &record);
    let stored = host.stored("node_load1");
    for (time, value) in &first {
        assert_eq!(
            stored.get(time),
            Some(value),
            "the first value at {time} stays"
        );
    }
    let missed = host.stored("hostwell_agent_missed_ticks_total");
    let missed = missed.values().next_back().copied().unwrap_or(0.0);
    let holes = holes(&stored, back_ms - HOUR_MS - 1000, back_ms - AHEAD_MS_MAX);
    assert!(
        holes as f64 <= missed,
        "{holes} seconds missing, {missed} confessed"
    );
    assert!(host.agent.program.stop().success());
    let record = host.relay.record();
    until_complete(&host.collector.database(), &record);
    host.collector.program.stop();
    assert_equal_to(&host.collector.database(), &host.relay.record());
}
