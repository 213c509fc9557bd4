use super::*;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_peer_that_connects_and_says_nothing_loses_its_place() {
    let collector = Collector::start_with(|c| {
        c.limits.handshake_seconds = 1;
        c.limits.connections = 1;
    })
    .await;
    let mut silent = TcpStream::connect(collector.bound.grpc).await.unwrap();
    // Waits behind the silent one, whose place it gets.
    let (mut agent, _) = timeout(PATIENCE, Agent::connect(&collector)).await.unwrap();
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, silent.read_to_end(&mut rest))
        .await
        .unwrap();
    collector.stop().await;
}

#[tokio::test]
async fn streams_of_one_connection_are_bounded() {
    let collector = Collector::start_with(|c| c.limits.streams_per_connection = 2).await;
    let channel = Endpoint::from_shared(collector.url())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut open = Vec::new();
    for i in 0..2 {
        let mut other = hello();
        other.host_id = HostId([i; 16]).to_string();
        other.host_name = format!("web-{i}");
        open.push(Agent::greet_by(channel.clone(), other).await.unwrap());
    }
    let third = Agent::greet_by(channel.clone(), hello());
    assert!(
        timeout(Duration::from_millis(300), third).await.is_err(),
        "a third one must wait"
    );
    drop(open.pop());
    timeout(PATIENCE, Agent::greet_by(channel, hello()))
        .await
        .unwrap()
        .unwrap();
    collector.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_says_what_to_do() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        data_dir: folder.path().to_owned(),
        listen: Listen {
            grpc: collector.bound.grpc,
            web: "127.0.0.1:0".parse().unwrap(),
        },
        ..ServerConfig::default()
    };
    let refused = run(config, CancellationToken::new()).await.unwrap_err();
    let shown = format!("{refused:#}");
    let ours = format!("(pid {}) listens there: stop it", std::process::id());
    assert!(shown.contains(&ours), "{shown}");
    assert!(
        !folder.path().join("hostwell.db").exists(),
        "nothing was touched"
    );
    collector.stop().await;
}

#[tokio::test]
async fn a_database_in_use_is_an_error() {
    let collector = Collector::start().await;
    let config = ServerConfig {
        listen: Listen {
            grpc: "127.0.0.1:0".parse().unwrap(),
            web: "127.0.0.1:0".parse().unwrap(),
        },
        limits: Limits::default(),
        ..collector.config.clone()
    };
    let refused = run(config, CancellationToken::new()).await.unwrap_err();
    assert!(
        format!("{refused:#}").contains("another collector is using"),
        "{refused:#}"
    );
    collector.stop().await;
}
