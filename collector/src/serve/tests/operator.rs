use super::*;
use crate::answer::range::{Moment, Range};
use crate::answer::{Body, Question, SampleQuestion};
use crate::api::{Client, ConnectError};
use crate::auth::ClientTls;

async fn client(collector: &Collector) -> Client {
    Client::connect(&collector.url(), &ClientTls::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_question_is_answered() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    let answer = client(&collector)
        .await
        .ask(r#"{"ask":"hosts"}"#)
        .await
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["hosts"][0]["name"], "web-1");
    assert_eq!(answer["as_of_ms"], NOW_MS);
    collector.stop().await;
}

#[tokio::test]
async fn samples_at_an_even_pace_travel_in_brief_and_arrive_in_full() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    let times_ms: Vec<i64> = (0..12).map(|n| NOW_MS - 120_000 + n * 10_000).collect();
    let values: Vec<f64> = (1..=12).map(f64::from).collect();
    agent.batch(1, &times_ms, &[(0, &values)]).await;
    agent.acked(1).await;
    let question = Question::Query(SampleQuestion {
        selector: "node_load1".into(),
        range: Range::Between {
            from: Moment::AtMs(NOW_MS - 3_600_000),
            to: Moment::AtMs(NOW_MS),
        },
        step_ms: None,
        agg: None,
        by: Vec::new(),
        of_mean: false,
        ahead_ms: None,
        top: None,
    });
    let question = serde_json::to_string(&question).unwrap();
    let json = client(&collector).await.ask(&question).await.unwrap();
    let pace = format!("[[[{},10000,12]]]", times_ms[0]);
    assert!(json.contains(&pace), "{json}");
    let Body::Samples(samples) = crate::answer::Answer::from_json(&json).unwrap().body else {
        panic!("{json}");
    };
    assert_eq!(samples.series[0].times_ms, times_ms);
    assert_eq!(samples.series[0].values[11], 12.0);
    collector.stop().await;
}

#[tokio::test]
async fn a_wrong_question_is_answered_with_the_reason() {
    let collector = Collector::start().await;
    let client = client(&collector).await;
    for (question, expected) in [
        ("{}", "does not know such a question"),
        ("not json", "does not know such a question"),
        (
            r#"{"ask":"edit_host","name":"nobody","edit":"retire"}"#,
            "no host named",
        ),
    ] {
        let refused = client.ask(question).await.unwrap_err();
        assert!(format!("{refused:#}").contains(expected), "{refused:#}");
    }
    let long = format!(r#"{{"ask":"{}"}}"#, "x".repeat(100_000));
    assert!(client.ask(&long).await.is_err());
    client.ask(r#"{"ask":"hosts"}"#).await.unwrap();
    collector.stop().await;
}

/// Waits for the first beat of the watch with this number.
async fn watching(collector: &Collector, number: usize) {
    let beaten = async {
        loop {
            let spans = collector.store().await.watch_spans(0, i64::MAX).await;
            if spans.unwrap().len() >= number {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, beaten).await.unwrap();
}

#[tokio::test]
async fn the_configured_silence_decides_who_is_down_in_every_answer() {
    let mut collector = Collector::start_with(|c| {
        c.rules.host_down.missed_intervals = 1;
        c.rules.host_down.silence_min_seconds = 20;
    })
    .await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    drop(agent);
    // Watched for a minute (the last beat is written at the end), then for half a one.
    watching(&collector, 1).await;
    collector.advance(60_000);
    collector.restart().await;
    watching(&collector, 2).await;
    collector.advance(30_000);
    let client = client(&collector).await;
    let ask = async |question: &str| -> serde_json::Value {
        serde_json::from_str(&client.ask(question).await.unwrap()).unwrap()
    };
    let hosts = ask(r#"{"ask":"hosts"}"#).await;
    assert_eq!(hosts["hosts"][0]["state"], "down", "{hosts}");
    let host = ask(r#"{"ask":"host","name":"web-1"}"#).await;
    assert_eq!(host["state"], "down");
    let outage = serde_json::json!([{"from_ms": NOW_MS, "to_ms": NOW_MS + 60_000}, "down"]);
    assert_eq!(host["availability"]["spans"][0], outage, "{host}");
    let doctor = ask(r#"{"ask":"doctor"}"#).await.to_string();
    assert!(doctor.contains("0 of 1 up"), "{doctor}");
    let report = ask(r#"{"ask":"report","format":"markdown"}"#).await;
    let report = report["text"].as_str().unwrap();
    assert!(report.contains("1 sampling interval, or 20 s"), "{report}");
    assert!(report.contains("the host was down or cut off"), "{report}");
    collector.stop().await;
}

#[tokio::test]
async fn a_backup_is_a_database_of_its_own() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    let copy = collector.folder.path().join("copy.db");
    let client = client(&collector).await;
    let mut told = Vec::new();
    let bytes = client
        .backup(&copy, |done, of| told.push((done, of)))
        .await
        .unwrap();
    assert_eq!(told.last(), Some(&(bytes, Some(bytes))));
    assert_eq!(std::fs::metadata(&copy).unwrap().len(), bytes);
    let store = Store::open_read_only(&copy).await.unwrap();
    assert_eq!(store.hosts().await.unwrap().len(), 1);
    let again = client.backup(&copy, |_, _| ()).await.unwrap_err();
    assert!(
        format!("{again:#}").contains("does not overwrite"),
        "{again:#}"
    );
    let left = std::fs::read_dir(&collector.config.data_dir).unwrap();
    let left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
    assert!(
        !left.iter().any(|n| n.to_string_lossy().contains("partial")),
        "{left:?}"
    );
    collector.stop().await;
}

#[tokio::test]
async fn nothing_at_the_address_is_told_apart_from_something_wrong() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let tls = ClientTls::default();
    let absent = Client::connect(&format!("http://{free}"), &tls)
        .await
        .unwrap_err();
    assert!(matches!(absent, ConnectError::Absent { .. }), "{absent:?}");
    for (url, expected) in [
        ("http://192.0.2.1:7443", "this machine only"),
        ("https://127.0.0.1:7443", "give its PEM file"),
        ("127.0.0.1:7443", "does not start with http"),
    ] {
        let wrong = Client::connect(url, &tls).await.unwrap_err();
        let shown = format!("{:#}", anyhow::Error::new(wrong));
        assert!(shown.contains(expected), "{shown}");
    }
}

#[tokio::test]
async fn health_is_told_to_whoever_asks() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let collector = Collector::start().await;
    let channel = Endpoint::from_shared(collector.url())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut health = HealthClient::new(channel);
    for service in ["", "hostwell.v1.Intake", "hostwell.v1.Operator"] {
        let service = service.to_owned();
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(answer.into_inner().status, 1);
    }
    collector.stop().await;
}
