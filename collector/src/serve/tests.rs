//! The collector over real sockets, in this process.

mod bad_input;
mod connections;
mod operator;
mod pages;
mod recorded;
mod streams;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hostwell_proto::id::{HostId, SpoolId};
use hostwell_proto::wire::agent_message::Kind as Said;
use hostwell_proto::wire::collector_message::Kind as Answer;
use hostwell_proto::wire::intake_client::IntakeClient;
use hostwell_proto::wire::{
    AgentMessage, Batch, CollectorMessage, Declare, Hello, HostFacts, Label, RefusalReason,
    SeriesDeclaration, Welcome,
};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use super::*;
use crate::config::{Limits, Listen};
use crate::ingest::packed;
use crate::store::WindowQuery;

/// Any step that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const NOW_MS: i64 = 1_800_000_000_000;
const HOST: HostId = HostId([0x11; 16]);
const SPOOL: SpoolId = SpoolId([0x22; 16]);

/// A collector on free ports with a clock of its own.
struct Collector {
    folder: TempDir,
    config: ServerConfig,
    clock_ms: Arc<AtomicI64>,
    bound: Bound,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Collector {
    async fn start() -> Collector {
        Collector::start_with(|_| ()).await
    }

    async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Collector {
        let folder = tempfile::tempdir().unwrap();
        let free = "127.0.0.1:0".parse().unwrap();
        let mut config = ServerConfig {
            data_dir: folder.path().join("data"),
            listen: Listen {
                grpc: free,
                web: free,
            },
            ..ServerConfig::default()
        };
        change(&mut config);
        let clock_ms = Arc::new(AtomicI64::new(NOW_MS));
        let (bound, stop, task) = Collector::run(&config, &clock_ms).await;
        Collector {
            folder,
            config,
            clock_ms,
            bound,
            stop,
            task,
        }
    }

    async fn run(
        config: &ServerConfig,
        clock_ms: &Arc<AtomicI64>,
    ) -> (Bound, CancellationToken, JoinHandle<anyhow::Result<()>>) {
        let stop = CancellationToken::new();
        let (ready, bound) = oneshot::channel();
        let clock_ms = Arc::clone(clock_ms);
        let clock = Clock::new(move || clock_ms.load(Ordering::Relaxed));
        let (config, ended) = (config.clone(), stop.clone());
        let task = tokio::spawn(run_by(config, clock, ended, |bound| {
            let _ = ready.send(bound);
        }));
        match timeout(PATIENCE, bound).await.unwrap() {
            Ok(bound) => (bound, stop, task),
            Err(_) => panic!("the collector did not start: {:?}", task.await),
        }
    }

    fn advance(&self, ms: i64) {
        self.clock_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Stops it cleanly, and the same one starts again.
    async fn restart(&mut self) {
        self.stop.cancel();
        let ended = timeout(PATIENCE, &mut self.task).await.unwrap().unwrap();
        ended.unwrap();
        (self.bound, self.stop, self.task) = Collector::run(&self.config, &self.clock_ms).await;
    }

    async fn stop(self) -> TempDir {
        self.stop.cancel();
        timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        self.folder
    }

    fn url(&self) -> String {
        format!("http://{}", self.bound.grpc)
    }

    /// What the store holds, by a reader of its own.
    async fn store(&self) -> Store {
        Store::open_read_only(&self.config.database())
            .await
            .unwrap()
    }

    async fn record(&self) -> HostRecord {
        let hosts = self.store().await.hosts().await.unwrap();
        hosts
            .into_iter()
            .find(|h| h.id == HOST.to_string())
            .unwrap()
    }

    /// The samples of node_load1: (time, value).
    async fn load(&self) -> Vec<(i64, f64)> {
        let query = WindowQuery {
            metrics: vec!["node_load1".to_owned()],
            from_ms: 0,
            to_ms: i64::MAX,
            samples_max: 10_000,
            ..WindowQuery::default()
        };
        let windows = self.store().await.windows(query).await.unwrap();
        let series = windows.iter().flat_map(|w| &w.series);
        series
            .flat_map(|s| s.times_ms.iter().copied().zip(s.values.iter().copied()))
            .collect()
    }
}

fn hello() -> Hello {
    Hello {
        protocol: hostwell_proto::PROTOCOL,
        host_id: HOST.to_string(),
        host_name: "web-1".to_owned(),
        interval_ms: 10_000,
        facts: Some(HostFacts::default()),
        spool_ids: vec![SPOOL.0.to_vec()],
        sent_ms: NOW_MS,
    }
}

/// (name, value).
type Labels<'a> = &'a [(&'a str, &'a str)];

/// An agent made of messages.
struct Agent {
    said: mpsc::Sender<AgentMessage>,
    answers: Streaming<CollectorMessage>,
}

impl Agent {
    /// Connects and says `hello`; the first answer is still to come.
    async fn greet_by(channel: Channel, hello: Hello) -> Result<Agent, Status> {
        let (said, messages) = mpsc::channel(64);
        let mut client = IntakeClient::new(channel).max_encoding_message_size(usize::MAX);
        said.send(message(Said::Hello(hello))).await.unwrap();
        let answers = timeout(PATIENCE, client.stream(ReceiverStream::new(messages)));
        let answers = answers.await.unwrap()?.into_inner();
        Ok(Agent { said, answers })
    }

    async fn greet(collector: &Collector, hello: Hello) -> Agent {
        let endpoint = Endpoint::from_shared(collector.url()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Agent::greet_by(channel, hello).await.unwrap()
    }

    /// Connects as the usual host and declares node_load1 as number 0.
    async fn connect(collector: &Collector) -> (Agent, Welcome) {
        let mut agent = Agent::greet(collector, hello()).await;
        let Answer::Welcome(welcome) = agent.next().await else {
            panic!("no Welcome")
        };
        agent.declare(&[(0, "node_load1", &[])]).await;
        (agent, welcome)
    }

    async fn say(&self, kind: Said) {
        self.said.send(message(kind)).await.unwrap();
    }

    async fn declare(&self, series: &[(u32, &str, Labels<'_>)]) {
        let series = series
            .iter()
            .map(|(number, metric, labels)| SeriesDeclaration {
                number: *number,
                metric: (*metric).to_owned(),
                labels: labels
                    .iter()
                    .map(|(name, value)| Label {
                        name: (*name).to_owned(),
                        value: (*value).to_owned(),
                    })
                    .collect(),
                kind: 0,
            })
            .collect();
        let spool_id = SPOOL.0.to_vec();
        self.say(Said::Declare(Declare { spool_id, series })).await;
    }

    async fn batch(&self, sequence: u64, times_ms: &[i64], columns: &[(u32, &[f64])]) {
        self.say(batch(sequence, times_ms, columns)).await;
    }

    /// One sample of node_load1.
    async fn sample(&self, sequence: u64, time_ms: i64, value: f64) {
        self.batch(sequence, &[time_ms], &[(0, &[value])]).await;
    }

    async fn next(&mut self) -> Answer {
        let answer = timeout(PATIENCE, self.answers.message()).await.unwrap();
        answer.unwrap().expect("the stream ended").kind.unwrap()
    }

    /// Waits until this sequence is acknowledged.
    async fn acked(&mut self, sequence: u64) {
        loop {
            match self.next().await {
                Answer::Ack(ack) => {
                    let mut ranges = ack.ranges.iter();
                    if ranges.any(|r| (r.first..=r.last).contains(&sequence)) {
                        return;
                    }
                }
                other => panic!("instead of the acknowledgement of {sequence}: {other:?}"),
            }
        }
    }

    async fn refused(&mut self) -> (u64, RefusalReason, String) {
        match self.next().await {
            Answer::Refusal(refusal) => {
                assert_eq!(refusal.id.len(), 8, "an id to find it by");
                (refusal.sequence, refusal.reason(), refusal.message)
            }
            other => panic!("instead of a refusal: {other:?}"),
        }
    }

    /// How the collector ended the stream.
    async fn ended(&mut self) -> Status {
        let ending = async {
            loop {
                match self.answers.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("ended without a reason"),
                    Err(status) => return status,
                }
            }
        };
        timeout(PATIENCE, ending).await.unwrap()
    }

    /// Says no more; answers what still came.
    async fn finish(mut self) -> Vec<Answer> {
        drop(self.said);
        let mut rest = Vec::new();
        while let Some(answer) = timeout(PATIENCE, self.answers.message())
            .await
            .unwrap()
            .unwrap()
        {
            rest.extend(answer.kind);
        }
        rest
    }
}

fn message(kind: Said) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}

fn batch(sequence: u64, times_ms: &[i64], columns: &[(u32, &[f64])]) -> Said {
    Said::Batch(Batch {
        spool_id: SPOOL.0.to_vec(),
        sequence,
        block: packed(times_ms, columns),
    })
}
