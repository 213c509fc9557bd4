//! What an agent of each version says, recorded once and never changed, so that every later
//! collector can be held to it (the compatibility rule is at the top of intake.proto).
//!
//! `agent-VERSION.stream` is the agent's side of one connection: `AgentMessage`s, each with its
//! length before it. It holds a greeting that names two spools, declarations, batches of both and a
//! gap. A release adds its own: `HOSTWELL_RECORD=1 cargo test -p hostwell-agent --test recorded`.
//! Sample times are near `Hello.sent_ms`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what goes wrong is its report"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostwell_agent::Config;
use hostwell_proto::column;
use hostwell_proto::wire::agent_message::Kind as Said;
use hostwell_proto::wire::collector_message::Kind as Answer;
use hostwell_proto::wire::intake_server::{Intake, IntakeServer};
use hostwell_proto::wire::{self, AgentMessage};
use prost::Message;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

const LIMITS: column::Limits = column::Limits {
    ticks_max: 1000,
    columns_max: 1000,
    samples_max: 10_000,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

fn decode(mut bytes: &[u8]) -> Vec<AgentMessage> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        messages.push(AgentMessage::decode_length_delimited(&mut bytes).unwrap());
    }
    messages
}

#[test]
fn every_recorded_stream_still_means_what_it_meant() {
    let mut streams = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "stream")
        {
            continue;
        }
        streams += 1;
        check(&path, &decode(&std::fs::read(&path).unwrap()));
    }
    assert!(streams > 0, "at least this version's");
}

/// Declared before used, every block readable, both kinds of spool and a gap there.
fn check(path: &Path, messages: &[AgentMessage]) {
    let mut declared: BTreeMap<&[u8], u32> = BTreeMap::new();
    let (mut batches, mut gaps, mut samples) = (0, 0, 0);
    let Some(Said::Hello(hello)) = &messages[0].kind else {
        panic!("{}: does not begin with Hello", path.display());
    };
    assert_eq!((hello.protocol, hello.spool_ids.len()), (1, 2));
    for message in &messages[1..] {
        match message.kind.as_ref().unwrap() {
            Said::Hello(_) => panic!("{}: a second Hello", path.display()),
            Said::Declare(declare) => {
                let next = declared.entry(&declare.spool_id).or_default();
                for series in &declare.series {
                    assert_eq!(series.number, *next, "{}", series.metric);
                    *next += 1;
                }
            }
            Said::Batch(batch) => {
                batches += 1;
                let block = column::decode(&batch.block, LIMITS).unwrap();
                let known = declared[&batch.spool_id[..]];
                assert!(block.columns.iter().all(|column| column.number < known));
                let near = |time_ms: &i64| time_ms.abs_diff(hello.sent_ms) < 60_000;
                assert!(block.times_ms.iter().all(near), "{:?}", block.times_ms);
                samples += block.samples();
            }
            Said::Gap(gap) => {
                gaps += 1;
                assert!(gap.first_sequence <= gap.last_sequence && gap.reason == "damaged");
            }
            // Depends on what ran on the machine that recorded.
            Said::ProcessNote(_) => {}
        }
    }
    assert_eq!(declared.len(), 2, "series of both spools");
    assert!(
        batches >= 4 && gaps == 1 && samples > 100,
        "{batches}, {gaps}, {samples}"
    );
}

type Heard = Arc<Mutex<Vec<AgentMessage>>>;

/// Acknowledges everything and writes it down.
struct Recorder(Heard);

#[tonic::async_trait]
impl Intake for Recorder {
    type StreamStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<wire::CollectorMessage, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let heard = self.0.clone();
        let mut inbound = request.into_inner();
        let (answers, receiver) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok(Some(message)) = inbound.message().await {
                heard.lock().unwrap().push(message.clone());
                if let Some(kind) = answer(message) {
                    let message = wire::CollectorMessage { kind: Some(kind) };
                    if answers.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn answer(message: AgentMessage) -> Option<Answer> {
    let ack = |spool_id, first, last| {
        let ranges = vec![wire::SequenceRange { first, last }];
        Some(Answer::Ack(wire::Ack { spool_id, ranges }))
    };
    match message.kind? {
        Said::Hello(_) => Some(Answer::Welcome(wire::Welcome {
            protocol: 1,
            message_bytes_max: 4 << 20,
            batches_in_flight_max: 16,
            ..Default::default()
        })),
        Said::Declare(_) | Said::ProcessNote(_) => None,
        Said::Batch(batch) => ack(batch.spool_id, batch.sequence, batch.sequence),
        Said::Gap(gap) => ack(gap.spool_id, gap.first_sequence, gap.last_sequence),
    }
}

/// A machine of the test's own, whose numbers move with every call.
fn machine(root: &Path, step: u64) {
    let write = |path: &str, text: String| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let busy = 1000 + step * 7;
    write(
        "proc/stat",
        format!(
            "cpu  {busy} 5 300 90000 40 0 12 0 0 0\ncpu0 {busy} 5 300 90000 40 0 12 0 0 0\n\
             intr {} 0\nctxt {}\nbtime 1760000000\nprocesses {}\nprocs_running 2\n\
             procs_blocked 0\n",
            5000 + step * 31,
            9000 + step * 57,
            400 + step
        ),
    );
    write(
        "proc/loadavg",
        format!("0.{:02} 0.20 0.10 1/120 4{step}\n", step % 100),
    );
    write(
        "proc/meminfo",
        format!(
            "MemTotal:        2048000 kB\nMemFree:          {} kB\nMemAvailable:    1500000 kB\n\
             Buffers:           10000 kB\nCached:           200000 kB\n",
            900_000 - step * 4
        ),
    );
}

/// One run of the agent on that machine.
async fn live(dir: &Path, collector: Option<String>, for_ms: u64) {
    let config = Config {
        collector,
        interval: Duration::from_secs(1),
        send_every: Duration::from_secs(2),
        state_dir: dir.join("state"),
        fixture: Some(dir.join("root")),
        host_name: Some("recorded.example.org".into()),
        labels: [("site".to_string(), "fra1".to_string())].into(),
        ..Config::default()
    };
    let stop = CancellationToken::new();
    let mover = stop.clone();
    let root = dir.join("root");
    let moving = tokio::task::spawn_blocking(move || {
        for step in 0.. {
            machine(&root, step);
            std::thread::sleep(Duration::from_millis(100));
            if mover.is_cancelled() {
                return;
            }
        }
    });
    let agent = hostwell_agent::run(config, stop.clone());
    let ending = async {
        tokio::time::sleep(Duration::from_millis(for_ms)).await;
        stop.cancel();
    };
    tokio::join!(async { agent.await.unwrap() }, ending);
    moving.await.unwrap();
}

/// Runs the agent without a collector, tears the end off its spool, and runs it with one.
async fn record() -> Vec<AgentMessage> {
    let dir = tempfile::tempdir().unwrap();
    machine(&dir.path().join("root"), 0);
    live(dir.path(), None, 4500).await;
    for entry in std::fs::read_dir(dir.path().join("state/spool")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    }
    let heard = Heard::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(IntakeServer::new(Recorder(heard.clone())))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let server = tokio::spawn(server);
    live(dir.path(), Some(url), 5500).await;
    server.abort();
    let heard = heard.lock().unwrap();
    heard.clone()
}

#[tokio::test]
async fn todays_agent_says_the_same_kinds_of_things() {
    let messages = record().await;
    let path = folder().join(concat!("agent-", env!("CARGO_PKG_VERSION"), ".stream"));
    check(&path, &messages);
    if std::env::var_os("HOSTWELL_RECORD").is_some() {
        let mut bytes = Vec::new();
        for message in &messages {
            message.encode_length_delimited(&mut bytes).unwrap();
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(
        path.exists(),
        "record this version: see the top of this file"
    );
}
