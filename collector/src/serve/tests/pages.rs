use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn get(collector: &Collector, path: &str, host: &str) -> String {
    let mut socket = TcpStream::connect(collector.bound.web).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = timeout(PATIENCE, socket.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn health_and_the_page_are_served_with_their_guards() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    for (path, expected) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = get(&collector, path, "localhost").await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with(expected),
            "{answer}"
        );
    }
    let page = get(&collector, "/", "127.0.0.1:7480").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("web-1") && page.contains("<!doctype html>"));
    let text = get(&collector, "/report?since=1h&format=md", "localhost").await;
    assert!(text.contains("content-type: text/markdown"), "{text}");
    assert!(text.contains("web-1"), "{text}");
    let wrong = get(&collector, "/report?since=soon", "localhost").await;
    assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
    ] {
        assert!(page.contains(header), "{header}");
    }
    assert!(
        get(&collector, "/nowhere", "localhost")
            .await
            .starts_with("HTTP/1.1 404")
    );
    collector.stop().await;
}

#[tokio::test]
async fn a_collector_tells_how_it_does() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::connect(&collector).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    let answer = get(&collector, "/metrics", "localhost").await;
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    let value = |name: &str| -> f64 {
        let name = format!("hostwell_collector_{name} ");
        let line = answer.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{name} in {answer}"))
            .parse()
            .unwrap()
    };
    assert_eq!(
        (value("healthy"), value("agents_connected"), value("hosts")),
        (1.0, 1.0, 1.0)
    );
    assert!(value("commits_total") >= 1.0, "the batch was acknowledged");
    assert!(value("last_commit_age_seconds") < 3_600.0);
    assert!(value("resident_bytes") > 1e6 && value("cpu_seconds_total") > 0.0);
    // What is new is in the log until it is folded into the file.
    assert!(value("database_bytes") + value("database_log_bytes") > 4_096.0);
    assert_eq!(value("open_risks{severity=\"critical\"}"), 0.0);
    assert_eq!(value("commits_failed_total"), 0.0);
    collector.stop().await;
}

#[tokio::test]
async fn a_strangers_name_for_this_machine_gets_nothing() {
    let collector = Collector::start().await;
    let answer = get(&collector, "/", "evil.example").await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    collector.stop().await;
}
