//! A collector for tests: remembers everything it heard and answers as it is told.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostwell_proto::wire;
use hostwell_proto::wire::agent_message::Kind as Said;
use hostwell_proto::wire::collector_message::Kind as Answer;
use hostwell_proto::wire::intake_server::{Intake, IntakeServer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

/// A collector that remembers everything it heard and answers as it is told.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) window: u32,
    pub(super) message_bytes_max: u32,
    /// Acknowledge nothing.
    pub(super) mute: bool,
    /// Welcome names what is held.
    pub(super) forgets: bool,
    /// Answer this sequence with this refusal, so many times.
    pub(super) refuse: Option<(u64, wire::RefusalReason, u32)>,
    /// Answer every Hello like this.
    pub(super) unwelcome: bool,
    /// End the stream after so many batches.
    pub(super) cut_after: Option<usize>,
    pub(super) hellos: Vec<wire::Hello>,
    /// In the order heard, repetitions included.
    pub(super) batches: Vec<(Vec<u8>, u64)>,
    pub(super) held: BTreeMap<(Vec<u8>, u64), Vec<u8>>,
    pub(super) gaps: Vec<wire::Gap>,
    pub(super) notes: Vec<wire::ProcessNote>,
    pub(super) largest: usize,
    /// `grpc-encoding` of the streams.
    pub(super) encodings: Vec<String>,
    pub(super) faults: Vec<String>,
}

#[derive(Clone, Default)]
pub(super) struct Collector(Arc<Mutex<Memory>>);

impl Collector {
    pub(super) fn new(set: impl FnOnce(&mut Memory)) -> Collector {
        let collector = Collector::default();
        collector.with(|m| {
            m.window = 8;
            m.message_bytes_max = 4 << 20;
            set(m);
        });
        collector
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Memory) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    pub(super) async fn serve(&self, tls: Option<ServerTlsConfig>) -> (String, CancellationToken) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.serve_on(listener, tls)
    }

    pub(super) fn serve_on(
        &self,
        listener: tokio::net::TcpListener,
        tls: Option<ServerTlsConfig>,
    ) -> (String, CancellationToken) {
        let port = listener.local_addr().unwrap().port();
        let down = CancellationToken::new();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let server = server
            .add_service(
                IntakeServer::new(self.clone()).accept_compressed(CompressionEncoding::Gzip),
            )
            .serve_with_incoming(TcpListenerStream::new(listener));
        let stop = down.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = server => {}
                () = stop.cancelled() => {}
            }
        });
        (format!("{scheme}://localhost:{port}"), down)
    }

    /// Waits until what is remembered is as asked for; fails after far too long.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Memory) -> bool) {
        for _ in 0..6000 {
            if self.with(|m| holds(m)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "never: {what}; heard {:?}",
            self.with(|m| (
                m.batches.clone(),
                m.hellos.len(),
                m.largest,
                m.faults.clone()
            ))
        );
    }
}

impl Memory {
    fn welcome(&self, hello: &wire::Hello) -> Answer {
        if self.unwelcome {
            return Answer::Refusal(wire::Refusal {
                message: "this host is retired".into(),
                reason: wire::RefusalReason::Host.into(),
                ..Default::default()
            });
        }
        let range = |sequence: &u64| wire::SequenceRange {
            first: *sequence,
            last: *sequence,
        };
        let holding = |id: &Vec<u8>| wire::Holding {
            spool_id: id.clone(),
            ranges: self
                .held
                .keys()
                .filter(|(spool, _)| spool == id && !self.forgets)
                .map(|(_, sequence)| range(sequence))
                .collect(),
        };
        Answer::Welcome(wire::Welcome {
            protocol: 1,
            message_bytes_max: self.message_bytes_max,
            batches_in_flight_max: self.window,
            holdings: hello.spool_ids.iter().map(holding).collect(),
            ..Default::default()
        })
    }

    fn batch(&mut self, batch: wire::Batch, declared: &BTreeMap<Vec<u8>, u32>) -> Option<Answer> {
        let key = (batch.spool_id.clone(), batch.sequence);
        self.batches.push(key.clone());
        if declared.get(&batch.spool_id).copied().unwrap_or(0) == 0 {
            self.faults
                .push(format!("batch {} before its series", batch.sequence));
        }
        if let Some((sequence, reason, times)) = &mut self.refuse
            && *sequence == batch.sequence
            && *times > 0
        {
            *times -= 1;
            return Some(Answer::Refusal(wire::Refusal {
                spool_id: batch.spool_id,
                sequence: batch.sequence,
                reason: (*reason).into(),
                message: "because".into(),
                id: "r-1".into(),
            }));
        }
        let before = self.held.insert(key, batch.block.clone());
        if before.is_some_and(|b| b != batch.block) {
            self.faults
                .push(format!("batch {} has other content", batch.sequence));
        }
        (!self.mute).then(|| ack(batch.spool_id, batch.sequence, batch.sequence))
    }
}

fn ack(spool_id: Vec<u8>, first: u64, last: u64) -> Answer {
    Answer::Ack(wire::Ack {
        spool_id,
        ranges: vec![wire::SequenceRange { first, last }],
    })
}

type Answers =
    Pin<Box<dyn tokio_stream::Stream<Item = Result<wire::CollectorMessage, Status>> + Send>>;

#[tonic::async_trait]
impl Intake for Collector {
    type StreamStream = Answers;

    async fn stream(
        &self,
        request: Request<Streaming<wire::AgentMessage>>,
    ) -> Result<Response<Answers>, Status> {
        if let Some(encoding) = request.metadata().get("grpc-encoding") {
            let encoding = encoding.to_str().unwrap().to_owned();
            self.with(|m| m.encodings.push(encoding));
        }
        let mut inbound = request.into_inner();
        let (answers, receiver) = mpsc::channel(64);
        let collector = self.clone();
        tokio::spawn(async move {
            let mut declared: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            while let Ok(Some(said)) = inbound.message().await {
                let (answer, cut) = collector.with(|m| {
                    m.largest = m.largest.max(prost::Message::encoded_len(&said));
                    let answer = match said.kind {
                        Some(Said::Hello(hello)) => {
                            let welcome = m.welcome(&hello);
                            m.hellos.push(hello);
                            Some(welcome)
                        }
                        Some(Said::Declare(declare)) => {
                            let known = declared.entry(declare.spool_id).or_default();
                            if declare
                                .series
                                .iter()
                                .zip(*known..)
                                .any(|(s, n)| s.number != n)
                            {
                                m.faults.push("a series out of order".into());
                            }
                            *known += declare.series.len() as u32;
                            None
                        }
                        Some(Said::Batch(batch)) => m.batch(batch, &declared),
                        Some(Said::Gap(gap)) => {
                            let answer =
                                ack(gap.spool_id.clone(), gap.first_sequence, gap.last_sequence);
                            m.gaps.push(gap);
                            Some(answer)
                        }
                        Some(Said::ProcessNote(note)) => {
                            m.notes.push(note);
                            None
                        }
                        None => None,
                    };
                    let cut = m.cut_after.is_some_and(|after| m.batches.len() >= after);
                    if cut {
                        m.cut_after = None;
                    }
                    (answer, cut)
                });
                if cut {
                    return;
                }
                if let Some(kind) = answer {
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
