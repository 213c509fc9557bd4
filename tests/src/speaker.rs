//! An agent by hand: says to a collector exactly what a test wants it to hear.

use std::net::SocketAddr;
use std::time::Duration;

use hostwell_proto::column::{Block, Column, encode};
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_proto::wire::agent_message::Kind;
use hostwell_proto::wire::collector_message::Kind as Answer;
use hostwell_proto::wire::intake_client::IntakeClient;
use hostwell_proto::wire::{
    AgentMessage, Batch, CollectorMessage, Declare, Hello, HostFacts, Refusal, RefusalReason,
    SeriesDeclaration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::wait::seconds;

/// An answer takes at most this long.
const ANSWER: Duration = seconds(20);

/// A stream to a collector.
pub struct Speaker {
    runtime: tokio::runtime::Runtime,
    say: mpsc::Sender<AgentMessage>,
    answers: Streaming<CollectorMessage>,
    /// Whom it claims to be.
    pub host: HostId,
    /// Its spool.
    pub spool: SpoolId,
}

impl Speaker {
    /// Connects and greets as a host of this name and waits for the welcome.
    #[track_caller]
    pub fn greet(collector: SocketAddr, name: &str) -> Speaker {
        let mut id = [7u8; 16];
        for (slot, byte) in id.iter_mut().zip(name.bytes()) {
            *slot = byte;
        }
        let (host, spool) = (HostId(id), SpoolId(id));
        let hello = Hello {
            protocol: hostwell_proto::PROTOCOL,
            host_id: host.to_string(),
            host_name: name.to_owned(),
            interval_ms: 1000,
            facts: Some(HostFacts::default()),
            spool_ids: vec![spool.0.to_vec()],
            sent_ms: now_ms(),
        };
        let mut speaker = Speaker::open(collector, hello, host, spool);
        match speaker.hear() {
            Ok(Answer::Welcome(_)) => speaker,
            other => panic!("expected a welcome, got {other:?}"),
        }
    }

    /// Connects and says this Hello, whatever it is.
    pub fn open(collector: SocketAddr, hello: Hello, host: HostId, spool: SpoolId) -> Speaker {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (say, said) = mpsc::channel(64);
        let answers = runtime.block_on(async {
            say.send(message(Kind::Hello(hello))).await.unwrap();
            let mut client = IntakeClient::connect(format!("http://{collector}"))
                .await
                .unwrap();
            client.stream(ReceiverStream::new(said)).await.unwrap()
        });
        Speaker {
            runtime,
            say,
            answers: answers.into_inner(),
            host,
            spool,
        }
    }

    /// Says something.
    pub fn say(&self, kind: Kind) {
        // A stream that the collector has closed takes nothing more; the next answer tells.
        drop(self.say.blocking_send(message(kind)));
    }

    /// The collector's next answer, or how it ended the stream.
    pub fn hear(&mut self) -> Result<Answer, Status> {
        self.runtime.block_on(async {
            match tokio::time::timeout(ANSWER, self.answers.message()).await {
                Err(_) => Err(Status::deadline_exceeded("the collector said nothing")),
                Ok(Ok(Some(message))) => Ok(message.kind.unwrap()),
                Ok(Ok(None)) => Err(Status::ok("the collector ended the stream")),
                Ok(Err(status)) => Err(status),
            }
        })
    }

    /// Declares a gauge series without labels under this number.
    pub fn declare(&self, number: u32, metric: &str) {
        self.say(Kind::Declare(Declare {
            spool_id: self.spool.0.to_vec(),
            series: vec![SeriesDeclaration {
                number,
                metric: metric.to_owned(),
                labels: Vec::new(),
                kind: 2,
            }],
        }));
    }

    /// Sends a packed block as a batch.
    pub fn send(&self, sequence: u64, block: Vec<u8>) {
        self.say(Kind::Batch(Batch {
            spool_id: self.spool.0.to_vec(),
            sequence,
            block,
        }));
    }

    /// Waits until a batch is acknowledged.
    #[track_caller]
    pub fn assert_acknowledged(&mut self, sequence: u64) {
        loop {
            match self.hear() {
                Ok(Answer::Ack(ack)) => {
                    if ack
                        .ranges
                        .iter()
                        .any(|r| (r.first..=r.last).contains(&sequence))
                    {
                        return;
                    }
                }
                other => panic!("expected batch {sequence} acknowledged, got {other:?}"),
            }
        }
    }

    /// Waits for a refusal of this batch (0: of something that is no batch) and its reason.
    #[track_caller]
    pub fn assert_refused(&mut self, sequence: u64, reason: RefusalReason) -> Refusal {
        loop {
            match self.hear() {
                Ok(Answer::Ack(_)) => {}
                Ok(Answer::Refusal(refusal)) if refusal.sequence == sequence => {
                    assert_eq!(refusal.reason(), reason, "{}", refusal.message);
                    assert!(!refusal.message.is_empty(), "a refusal says why");
                    return refusal;
                }
                other => panic!("expected batch {sequence} refused, got {other:?}"),
            }
        }
    }
}

fn message(kind: Kind) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}

/// The wall clock, milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_millis() as i64
}

/// A packed block: one value of series `number` at each time.
pub fn block(number: u32, points: &[(i64, f64)]) -> Vec<u8> {
    let block = Block {
        times_ms: points.iter().map(|(time, _)| *time).collect(),
        columns: vec![Column {
            number,
            ticks: None,
            values: points.iter().map(|(_, value)| *value).collect(),
        }],
    };
    encode(&block, |_| 0)
}
