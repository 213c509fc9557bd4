use super::*;
use RefusalReason::{Limit, Malformed, NotFinite, Time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Says something wrong, expects the refusal, and that the stream lives on afterwards.
async fn refused(kind: Said, reason: RefusalReason, expected: &str) {
    let collector = Collector::start_with(|c| c.limits.message_bytes = 65_536).await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    agent.say(kind).await;
    let (_, got, why) = agent.refused().await;
    assert_eq!(got, reason, "{why}");
    assert!(why.contains(expected), "{why}\nlacks {expected:?}");
    agent.sample(2, NOW_MS + 1_000, 2.0).await;
    let rest = agent.finish().await;
    assert!(matches!(&rest[..], [Answer::Ack(_)]), "{rest:?}");
    let counted: Vec<u64> = collector.record().await.refused.into_values().collect();
    assert_eq!(counted, [1], "counted once");
    assert_eq!(
        collector.load().await,
        [(NOW_MS, 1.0), (NOW_MS + 1_000, 2.0)]
    );
    collector.stop().await;
}

fn declare(number: u32, metric: &str, labels: Vec<Label>) -> Said {
    Said::Declare(Declare {
        spool_id: SPOOL.0.to_vec(),
        series: vec![SeriesDeclaration {
            number,
            metric: metric.to_owned(),
            labels,
            kind: 0,
        }],
    })
}

fn label(name: impl Into<String>, value: &str) -> Label {
    Label {
        name: name.into(),
        value: value.to_owned(),
    }
}

#[tokio::test]
async fn a_value_that_is_not_finite() {
    let nan = batch(9, &[NOW_MS], &[(0, &[f64::NAN])]);
    refused(nan, NotFinite, "has the value NaN").await;
}

#[tokio::test]
async fn a_time_in_the_future() {
    let ahead = batch(9, &[NOW_MS + 3_600_000], &[(0, &[1.0])]);
    refused(ahead, Time, "3600 s ahead of the collector's clock").await;
}

#[tokio::test]
async fn a_time_older_than_the_retention() {
    let old = batch(9, &[NOW_MS - 16 * 86_400_000], &[(0, &[1.0])]);
    refused(old, Time, "16 days old").await;
}

#[tokio::test]
async fn a_sequence_that_cannot_be() {
    refused(batch(0, &[NOW_MS], &[(0, &[1.0])]), Malformed, "sequence 0").await;
}

#[tokio::test]
async fn a_series_that_was_not_declared() {
    let undeclared = batch(9, &[NOW_MS], &[(5, &[1.0])]);
    refused(undeclared, Malformed, "number 5 was not declared").await;
}

#[tokio::test]
async fn bytes_that_are_no_block() {
    let garbage = Said::Batch(Batch {
        spool_id: SPOOL.0.to_vec(),
        sequence: 9,
        block: vec![0xff; 100],
    });
    refused(garbage, Malformed, "version 255").await;
}

#[tokio::test]
async fn a_batch_over_the_limit() {
    let large = Said::Batch(Batch {
        spool_id: SPOOL.0.to_vec(),
        sequence: 9,
        block: vec![1; 70_000],
    });
    refused(large, Limit, "70000 bytes, at most 65536").await;
}

#[tokio::test]
async fn ten_thousand_labels() {
    // Short ones: the message itself is within its limit.
    let labels = (0..10_000).map(|i| label(format!("l{i}"), "")).collect();
    refused(
        declare(1, "node_load5", labels),
        Limit,
        "10000 labels, at most 32",
    )
    .await;
}

#[tokio::test]
async fn control_characters() {
    let labels = vec![label("device", "sda\u{1b}[2J")];
    refused(
        declare(1, "vendor_x", labels),
        Malformed,
        "control characters",
    )
    .await;
}

#[tokio::test]
async fn a_number_that_changes_its_meaning() {
    let other = declare(0, "node_load5", Vec::new());
    refused(other, Malformed, "declared again with other content").await;
}

#[tokio::test]
async fn a_second_hello() {
    refused(Said::Hello(hello()), Malformed, "Hello comes once").await;
}

#[tokio::test]
async fn a_refused_series_does_not_take_its_batch_along() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent
        .declare(&[(1, "bad", &[("l", "\u{7}")]), (2, "fans über 9", &[])])
        .await;
    agent.refused().await;
    agent
        .batch(1, &[NOW_MS], &[(0, &[1.0]), (1, &[2.0]), (2, &[3.0])])
        .await;
    agent.acked(1).await;
    let everything = WindowQuery {
        to_ms: i64::MAX,
        samples_max: 100,
        ..WindowQuery::default()
    };
    let windows = collector.store().await.windows(everything).await.unwrap();
    let names: Vec<_> = windows[0]
        .series
        .iter()
        .map(|s| (s.name.metric.as_str(), &s.name.labels))
        .collect();
    let custom = vec![("name".to_owned(), "fans über 9".to_owned())];
    assert_eq!(
        names,
        [("hostwell_custom", &custom), ("node_load1", &Vec::new())]
    );
    collector.stop().await;
}

#[tokio::test]
async fn series_over_the_hosts_limit_are_refused_and_the_others_kept() {
    let collector = Collector::start_with(|c| c.limits.series_per_host = 3).await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent
        .declare(&[
            (1, "a", &[]),
            (2, "b", &[]),
            (3, "c", &[]),
            (4, "d", &[]),
            (5, "e", &[]),
        ])
        .await;
    let (_, reason, why) = agent.refused().await;
    assert_eq!(reason, Limit, "{why}");
    assert!(why.contains("and 2 more"), "{why}");
    agent.batch(1, &[NOW_MS], &[(0, &[1.0]), (1, &[1.0])]).await;
    agent.acked(1).await;
    collector.stop().await;
}

#[tokio::test]
async fn a_message_far_over_the_limit_ends_the_stream_with_the_reason() {
    let collector = Collector::start_with(|c| c.limits.message_bytes = 65_536).await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    let huge = Batch {
        spool_id: SPOOL.0.to_vec(),
        sequence: 2,
        block: vec![1; 1 << 20],
    };
    agent.say(Said::Batch(huge)).await;
    let status = agent.ended().await;
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(
        status.message().contains("limits.message_bytes"),
        "{status}"
    );
    assert_eq!(collector.record().await.refused.get("limit"), Some(&1));
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(2, NOW_MS + 1_000, 2.0).await;
    agent.acked(2).await;
    assert_eq!(collector.load().await.len(), 2);
    collector.stop().await;
}

#[tokio::test]
async fn a_clock_that_jumps_an_hour() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    // The collector's clock falls back: what agents send looks like the future.
    collector.advance(-3_600_000);
    agent.sample(2, NOW_MS + 1_000, 2.0).await;
    assert_eq!(agent.refused().await.1, Time);
    // And leaps ahead: what they send is merely old.
    collector.advance(2 * 3_600_000);
    agent.sample(3, NOW_MS + 2_000, 3.0).await;
    let rest = agent.finish().await;
    assert!(matches!(&rest[..], [Answer::Ack(_)]), "{rest:?}");
    assert_eq!(
        collector.load().await,
        [(NOW_MS, 1.0), (NOW_MS + 2_000, 3.0)]
    );
    collector.stop().await;
}

#[tokio::test]
async fn garbage_on_the_port() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    for garbage in [
        vec![0u8; 4096],
        vec![0xff; 4096],
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ] {
        let mut socket = TcpStream::connect(collector.bound.grpc).await.unwrap();
        socket.write_all(&garbage).await.unwrap();
        let mut answer = Vec::new();
        // Closed by the collector, whatever it says before.
        let closed = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "left open after {garbage:?}");
    }
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    collector.stop().await;
}

#[tokio::test]
async fn a_stream_that_does_not_begin_with_hello() {
    let collector = Collector::start().await;
    let endpoint = Endpoint::from_shared(collector.url()).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let (said, messages) = mpsc::channel(4);
    said.send(message(batch(1, &[NOW_MS], &[]))).await.unwrap();
    let answers = IntakeClient::new(channel)
        .stream(ReceiverStream::new(messages))
        .await;
    let mut agent = Agent {
        said,
        answers: answers.unwrap().into_inner(),
    };
    let status = agent.ended().await;
    assert!(
        status.message().contains("first message must be Hello"),
        "{status}"
    );
    collector.stop().await;
}

#[tokio::test]
async fn a_hello_that_cannot_be() {
    let collector = Collector::start().await;
    let strange = Hello {
        host_name: "a\nb".to_owned(),
        ..hello()
    };
    let mut agent = Agent::greet(&collector, strange).await;
    let (_, reason, why) = agent.refused().await;
    assert_eq!(reason, Malformed);
    assert!(why.contains("control characters"), "{why}");
    assert!(agent.finish().await.is_empty());
    assert!(collector.store().await.hosts().await.unwrap().is_empty());
    collector.stop().await;
}
