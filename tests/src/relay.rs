//! A relay between agents and the collector that writes down every message agents send: the
//! independent half of the ledger. It speaks the real protocol and changes nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostwell_proto::column;
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_proto::wire::agent_message::Kind;
use hostwell_proto::wire::collector_message::Kind as Answer;
use hostwell_proto::wire::intake_client::IntakeClient;
use hostwell_proto::wire::intake_server::{Intake, IntakeServer};
use hostwell_proto::wire::{AgentMessage, CollectorMessage, Gap, ProcessNote};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::codec::CompressionEncoding;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

/// Messages on their way through; small, so that the agent feels the collector's pace.
const QUEUE: usize = 4;
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// A metric and its sorted labels.
pub type Name = (String, Vec<(String, String)>);

/// What one spool said.
#[derive(Clone, Debug, Default)]
pub struct SpoolRecord {
    /// Number → series.
    pub series: BTreeMap<u32, Name>,
    /// Sequence → packed block, exactly as first sent.
    pub batches: BTreeMap<u64, Vec<u8>>,
    /// How often batches were sent again.
    pub repeats: u64,
    /// What the collector said it has durably: (first, last), in the order said.
    pub acknowledged: Vec<(u64, u64)>,
}

/// Everything agents said, by host and spool.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// (host, spool) → what was said.
    pub spools: BTreeMap<(HostId, SpoolId), SpoolRecord>,
    /// Drops that agents confessed.
    pub gaps: Vec<(HostId, Gap)>,
    /// What agents said of processes.
    pub notes: Vec<(HostId, ProcessNote)>,
    /// The batches in the order in which they were first sent.
    pub order: Vec<(HostId, SpoolId, u64)>,
    /// Greetings seen: how often agents connected.
    pub hellos: Vec<HostId>,
}

impl Record {
    /// How many different batches were sent.
    pub fn batches(&self) -> usize {
        self.spools.values().map(|s| s.batches.len()).sum()
    }

    /// The samples of a host's series without labels, batch by batch in the order sent; a time that
    /// was sampled twice is there twice.
    pub fn sent(&self, host: HostId, metric: &str) -> Vec<(i64, f64)> {
        let name = (metric.to_owned(), Vec::new());
        let mut sent = Vec::new();
        for (_, id, sequence) in self.order.iter().filter(|(h, _, _)| *h == host) {
            let spool = &self.spools[&(host, *id)];
            let block = decoded(&spool.batches[sequence]);
            for column in &block.columns {
                if spool.series[&column.number] == name {
                    let points = column.samples();
                    sent.extend(points.map(|(tick, value)| (block.times_ms[tick], value)));
                }
            }
        }
        sent
    }

    /// Every sample of a host: series → time in ms → value.
    ///
    /// Panics when a block does not decode or names a series that was not declared.
    pub fn samples(&self, host: HostId) -> BTreeMap<Name, BTreeMap<i64, f64>> {
        let mut samples: BTreeMap<Name, BTreeMap<i64, f64>> = BTreeMap::new();
        for ((_, _), spool) in self.spools.iter().filter(|((h, _), _)| *h == host) {
            for block in spool.batches.values() {
                let block = decoded(block);
                for column in &block.columns {
                    let series = samples.entry(spool.series[&column.number].clone());
                    let series = series.or_default();
                    for (tick, value) in column.samples() {
                        series.entry(block.times_ms[tick]).or_insert(value);
                    }
                }
            }
        }
        samples
    }

    fn note(&mut self, host: HostId, kind: &Kind) {
        match kind {
            Kind::Hello(_) => self.hellos.push(host),
            Kind::Declare(declare) => {
                let spool = SpoolId::try_from(&declare.spool_id[..]).unwrap();
                let spool = self.spools.entry((host, spool)).or_default();
                for series in &declare.series {
                    let labels = series.labels.iter();
                    let labels = labels.map(|l| (l.name.clone(), l.value.clone()));
                    let name = (series.metric.clone(), labels.collect());
                    let before = spool.series.insert(series.number, name.clone());
                    assert!(
                        before.is_none_or(|b| b == name),
                        "series {} changed its meaning to {name:?}",
                        series.number
                    );
                }
            }
            Kind::Batch(batch) => {
                let id = SpoolId::try_from(&batch.spool_id[..]).unwrap();
                let spool = self.spools.entry((host, id)).or_default();
                match spool.batches.get(&batch.sequence) {
                    None => {
                        spool.batches.insert(batch.sequence, batch.block.clone());
                        self.order.push((host, id, batch.sequence));
                    }
                    Some(before) => {
                        assert!(
                            *before == batch.block,
                            "batch {} of spool {id} changed its content",
                            batch.sequence
                        );
                        spool.repeats += 1;
                    }
                }
            }
            Kind::Gap(gap) => self.gaps.push((host, gap.clone())),
            Kind::ProcessNote(note) => self.notes.push((host, note.clone())),
        }
    }

    fn note_answer(&mut self, host: HostId, message: &CollectorMessage) {
        if let Some(Answer::Ack(ack)) = &message.kind {
            let spool = SpoolId::try_from(&ack.spool_id[..]).unwrap();
            let spool = self.spools.entry((host, spool)).or_default();
            let ranges = ack.ranges.iter().map(|r| (r.first, r.last));
            spool.acknowledged.extend(ranges);
        }
    }
}

fn decoded(block: &[u8]) -> column::Block {
    let limits = column::Limits {
        ticks_max: 65_535,
        columns_max: 1 << 20,
        samples_max: 1 << 24,
    };
    column::decode(block, limits).expect("an agent's block decodes")
}

/// A running relay.
pub struct Relay {
    address: SocketAddr,
    record: Arc<Mutex<Record>>,
    _runtime: tokio::runtime::Runtime,
}

impl Relay {
    /// Starts a relay on a free loopback port towards the collector at `target`.
    pub fn to(target: SocketAddr) -> Relay {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::new(Mutex::new(Record::default()));
        let service = IntakeServer::new(Door {
            target,
            record: Arc::clone(&record),
        })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip);
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener)?);
            Server::builder()
                .serve_with_incoming(service, incoming)
                .await?;
            anyhow::Ok(())
        });
        Relay {
            address,
            record,
            _runtime: runtime,
        }
    }

    /// Where agents connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was said so far.
    pub fn record(&self) -> Record {
        match self.record.lock() {
            Ok(record) => record.clone(),
            Err(_) => panic!("an agent broke the protocol; see the panic above"),
        }
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<CollectorMessage, Status>> + Send>>;

struct Door {
    target: SocketAddr,
    record: Arc<Mutex<Record>>,
}

#[tonic::async_trait]
impl Intake for Door {
    type StreamStream = Answers;

    async fn stream(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let channel = Endpoint::from_shared(format!("http://{}", self.target))
            .map(|e| e.connect_timeout(Duration::from_secs(2)))
            .map_err(|e| Status::internal(e.to_string()))?
            .connect()
            .await
            .map_err(|e| Status::unavailable(e.to_string()))?;
        let mut client = IntakeClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .send_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Gzip);
        let (forward, queue) = mpsc::channel(QUEUE);
        let record = Arc::clone(&self.record);
        let mut inbound = request.into_inner();
        let host = match inbound.message().await? {
            Some(AgentMessage {
                kind: Some(Kind::Hello(hello)),
            }) => {
                let host = hello.host_id.parse::<HostId>();
                let host = host.map_err(|e| Status::invalid_argument(e.to_string()))?;
                let kind = Kind::Hello(hello);
                record.lock().unwrap().note(host, &kind);
                forward.try_send(AgentMessage { kind: Some(kind) }).ok();
                host
            }
            other => return Err(Status::invalid_argument(format!("no greeting: {other:?}"))),
        };
        tokio::spawn(async move {
            while let Ok(Some(message)) = inbound.message().await {
                if let Some(kind) = &message.kind {
                    record.lock().unwrap().note(host, kind);
                }
                if forward.send(message).await.is_err() {
                    break;
                }
            }
        });
        let answers = client.stream(ReceiverStream::new(queue)).await?;
        let record = Arc::clone(&self.record);
        let answers = answers.into_inner().map(move |answer| {
            if let Ok(message) = &answer {
                record.lock().unwrap().note_answer(host, message);
            }
            answer
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
