use super::*;
use hostwell_proto::wire::Gap;

#[tokio::test]
async fn what_is_acknowledged_is_in_the_store_and_known_after_a_restart() {
    let mut collector = Collector::start().await;
    let (mut agent, welcome) = Agent::connect(&collector).await;
    assert_eq!(welcome.protocol, hostwell_proto::PROTOCOL);
    assert_eq!(welcome.now_ms, NOW_MS);
    assert_eq!(welcome.batches_in_flight_max, 16);
    assert!(welcome.holdings[0].ranges.is_empty());
    agent.sample(1, NOW_MS, 1.5).await;
    agent.acked(1).await;
    assert_eq!(collector.load().await, [(NOW_MS, 1.5)]);
    // Behind a batch that is missing still: the order of sequences is free.
    agent.sample(3, NOW_MS + 2_000, 3.5).await;
    let rest = agent.finish().await;
    assert!(
        matches!(&rest[..], [Answer::Ack(_)]),
        "a farewell flushes what is held: {rest:?}"
    );
    collector.restart().await;
    let (mut agent, welcome) = Agent::connect(&collector).await;
    let held: Vec<_> = welcome.holdings[0]
        .ranges
        .iter()
        .map(|r| (r.first, r.last))
        .collect();
    assert_eq!(held, [(1, 1), (3, 3)]);
    agent.sample(2, NOW_MS + 1_000, 2.5).await;
    agent.acked(2).await;
    let expected = [(NOW_MS, 1.5), (NOW_MS + 1_000, 2.5), (NOW_MS + 2_000, 3.5)];
    assert_eq!(collector.load().await, expected);
    collector.stop().await;
}

#[tokio::test]
async fn a_batch_sent_twice_is_acknowledged_and_stored_once() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    for _ in 0..2 {
        agent.sample(1, NOW_MS, 1.0).await;
    }
    agent.acked(1).await;
    let rest = agent.finish().await;
    assert!(rest.iter().all(|a| matches!(a, Answer::Ack(_))), "{rest:?}");
    assert_eq!(collector.load().await, [(NOW_MS, 1.0)]);
    collector.stop().await;
}

#[tokio::test]
async fn many_batches_run_beside_each_other_and_share_acknowledgements() {
    let collector = Collector::start().await;
    let (agent, _) = Agent::connect(&collector).await;
    for sequence in 1..=100u64 {
        agent
            .sample(sequence, NOW_MS + sequence as i64 * 1_000, 1.0)
            .await;
    }
    let mut ranges = Vec::new();
    let answers = agent.finish().await;
    assert!(
        answers.len() < 60,
        "{} acknowledgements for 100 batches",
        answers.len()
    );
    for answer in answers {
        let Answer::Ack(ack) = answer else {
            panic!("{answer:?}")
        };
        ranges.extend(ack.ranges.iter().flat_map(|r| r.first..=r.last));
    }
    ranges.sort_unstable();
    assert_eq!(ranges, (1..=100).collect::<Vec<_>>(), "each exactly once");
    assert_eq!(collector.load().await.len(), 100);
    collector.stop().await;
}

#[tokio::test]
async fn a_gap_is_recorded_and_acknowledged() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    let gap = Gap {
        spool_id: SPOOL.0.to_vec(),
        first_sequence: 1,
        last_sequence: 5,
        from_ms: NOW_MS - 5_000,
        to_ms: NOW_MS,
        samples: 50,
        reason: "bytes".to_owned(),
    };
    agent.say(Said::Gap(gap)).await;
    agent.acked(5).await;
    let gaps = collector
        .store()
        .await
        .gaps(None, 0, i64::MAX)
        .await
        .unwrap();
    assert_eq!((gaps[0].1.first_sequence, gaps[0].1.last_sequence), (1, 5));
    assert_eq!(collector.record().await.dropped_samples, 50);
    collector.stop().await;
}

#[tokio::test]
async fn a_second_live_stream_of_a_host_ends_the_first() {
    let collector = Collector::start().await;
    let (mut older, _) = Agent::connect(&collector).await;
    older.sample(1, NOW_MS, 1.0).await;
    older.acked(1).await;
    let (mut newer, _) = Agent::connect(&collector).await;
    assert_eq!(older.ended().await.code(), tonic::Code::Aborted);
    newer.sample(2, NOW_MS + 1_000, 2.0).await;
    newer.acked(2).await;
    collector.stop().await;
}

#[tokio::test]
async fn a_retired_host_is_told_so() {
    let mut collector = Collector::start().await;
    let (agent, _) = Agent::connect(&collector).await;
    agent.finish().await;
    let (url, plain) = (collector.url(), auth::ClientTls::default());
    let client = crate::api::Client::connect(&url, &plain).await.unwrap();
    let edit = r#"{"ask":"edit_host","name":"web-1","edit":"retire"}"#;
    client.ask(edit).await.unwrap();
    for _ in 0..2 {
        let mut agent = Agent::greet(&collector, hello()).await;
        let (_, reason, why) = agent.refused().await;
        assert_eq!(reason, RefusalReason::Host);
        assert!(why.contains("retired"), "{why}");
        collector.restart().await;
    }
    assert_eq!(collector.record().await.refused.get("host"), Some(&2));
    collector.stop().await;
}

#[tokio::test]
async fn an_agent_that_says_nothing_is_let_go() {
    let collector = Collector::start_with(|c| c.limits.idle_seconds = 1).await;
    // Three intervals of silence are always allowed: a short interval makes it quick.
    let mut quiet = hello();
    quiet.interval_ms = 100;
    let mut agent = Agent::greet(&collector, quiet).await;
    agent.next().await;
    assert_eq!(agent.ended().await.code(), tonic::Code::DeadlineExceeded);
    collector.stop().await;
}

#[tokio::test]
async fn a_stop_ends_streams_with_a_reason_and_keeps_what_was_sent() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    let database = collector.config.database();
    let folder = collector.stop().await;
    assert_eq!(agent.ended().await.code(), tonic::Code::Unavailable);
    let store = Store::open_read_only(&database).await.unwrap();
    assert_eq!(
        store.facts(true).await.unwrap().problems,
        Vec::<String>::new()
    );
    drop(folder);
}
