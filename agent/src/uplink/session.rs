//! One connection, from the first byte to the last.

use std::collections::{BTreeSet, VecDeque};

use anyhow::{Context, anyhow};
use hostwell_proto::id::SpoolId;
use hostwell_proto::wire::intake_client::IntakeClient;
use hostwell_proto::wire::{self, agent_message, collector_message};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::{Declared, Ended, Outlet, Patience};
use crate::config::{Compression, Config, TlsConfig};
use crate::spool::{Handoff, Outgoing};
use crate::top::Shelf;

/// Largest message taken from a collector; it only acknowledges.
const INBOUND_BYTES_MAX: usize = 1 << 20;
/// Bytes of a batch message around its block: two identities, tags and lengths.
const BATCH_OVERHEAD_BYTES: usize = 64;
/// Notes of processes are added while the outbox is shorter than this.
const OUTBOX_NOTES: usize = 8;
/// Series in one declaration.
const DECLARE_SERIES_MAX: usize = 500;

/// How the collector is reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) url: &'a str,
    tls: &'a TlsConfig,
    compression: Compression,
}

impl<'a> Line<'a> {
    /// What the configuration says; `None` when it names no collector.
    pub(super) fn of(config: &'a Config) -> Option<Line<'a>> {
        Some(Line {
            url: config.collector.as_deref()?,
            tls: &config.tls,
            compression: config.compression,
        })
    }

    async fn connect(&self) -> anyhow::Result<IntakeClient<Channel>> {
        let channel = crate::tls::endpoint(self.url, self.tls)?.connect().await?;
        let client = IntakeClient::new(channel).max_decoding_message_size(INBOUND_BYTES_MAX);
        Ok(match self.compression {
            Compression::None => client,
            Compression::Gzip => client.send_compressed(CompressionEncoding::Gzip),
        })
    }
}

/// What is under way on one connection.
pub(super) struct Session<'a> {
    handoff: &'a Handoff,
    shelf: &'a Shelf,
    patience: Patience,
    again: bool,
    declared: Declared,
    in_flight: BTreeSet<(SpoolId, u64)>,
    outbox: VecDeque<wire::AgentMessage>,
    window: usize,
    message_bytes_max: usize,
    /// When the collector last showed that it works.
    heard: Instant,
    later_until: Option<Instant>,
}

impl<'a> Session<'a> {
    pub(super) fn new(outlet: &'a Outlet, patience: Patience, again: bool) -> Session<'a> {
        Session {
            handoff: &outlet.handoff,
            shelf: &outlet.shelf,
            patience,
            again,
            declared: Declared::new(),
            in_flight: BTreeSet::new(),
            outbox: VecDeque::new(),
            window: 1,
            message_bytes_max: 64 << 10,
            heard: Instant::now(),
            later_until: None,
        }
    }

    /// Connects, greets and sends until something ends it.
    pub(super) async fn run(
        mut self,
        line: &Line<'_>,
        hello: wire::Hello,
        (stop, finished): (&CancellationToken, &CancellationToken),
    ) -> Ended {
        let opened = tokio::select! {
            opened = self.open(line, hello) => opened,
            () = stop.cancelled() => return Ended::Stopped,
        };
        let (sender, inbound) = match opened {
            Ok(streams) => streams,
            Err(ended) => return ended,
        };
        tracing::info!("connected to {}", line.url);
        match self.exchange(sender, inbound, finished).await {
            Ok(()) => Ended::Stopped,
            Err(error) => Ended::Lost(error),
        }
    }

    async fn open(
        &mut self,
        line: &Line<'_>,
        hello: wire::Hello,
    ) -> Result<
        (
            mpsc::Sender<wire::AgentMessage>,
            Streaming<wire::CollectorMessage>,
        ),
        Ended,
    > {
        let greeted = async {
            let mut client = line.connect().await?;
            let (sender, receiver) = mpsc::channel(8);
            sender
                .send(message(agent_message::Kind::Hello(hello)))
                .await?;
            let opened = client.stream(ReceiverStream::new(receiver)).await;
            let mut inbound = opened.map_err(|s| hint(line.url, words(&s)))?.into_inner();
            let first = inbound.message().await.map_err(|s| words(&s))?;
            anyhow::Ok((sender, inbound, first.and_then(|m| m.kind)))
        };
        let greeted = timeout(self.patience.silence, greeted).await;
        let (sender, inbound, first) = greeted
            .context("the collector does not answer")
            .flatten()
            .map_err(Ended::Connect)?;
        match first {
            Some(collector_message::Kind::Welcome(welcome)) => self.welcome(&welcome),
            Some(collector_message::Kind::Refusal(refusal)) => {
                return Err(Ended::Refused(refusal.message));
            }
            _ => return Err(Ended::Connect(anyhow!("the collector did not say welcome"))),
        }
        Ok((sender, inbound))
    }

    fn welcome(&mut self, welcome: &wire::Welcome) {
        self.handoff.connected(self.again);
        self.window = (welcome.batches_in_flight_max as usize).clamp(1, 1024);
        self.message_bytes_max = (welcome.message_bytes_max as usize).max(16 << 10);
        for holding in &welcome.holdings {
            self.ack(&holding.spool_id, &holding.ranges);
        }
    }

    /// Sends and listens until the stream breaks, or the sampler has finished and all is said.
    async fn exchange(
        &mut self,
        sender: mpsc::Sender<wire::AgentMessage>,
        mut inbound: Streaming<wire::CollectorMessage>,
        finished: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut drain_until = None;
        let mut sender = Some(sender);
        loop {
            if sender.is_some() {
                self.fill();
            }
            if drain_until.is_some() && self.outbox.is_empty() {
                if self.in_flight.is_empty() {
                    return Ok(());
                }
                // The end of our side: the collector acknowledges at once what it was gathering.
                sender = None;
            }
            let silence = self.heard + self.patience.silence;
            let deadline = match (drain_until, self.later_until) {
                (Some(drain), _) => Some(drain),
                (None, Some(later)) => Some(later.min(silence)),
                (None, None) => (!self.in_flight.is_empty()).then_some(silence),
            };
            tokio::select! {
                permit = reserve(sender.as_ref()), if !self.outbox.is_empty() => {
                    let permit = permit.context("send to the collector")?;
                    if let Some(message) = self.outbox.pop_front() {
                        permit.send(message);
                    }
                }
                answer = inbound.message() => match answer.map_err(|s| words(&s))? {
                    Some(answer) => self.hear(answer),
                    None if sender.is_none() => return Ok(()),
                    None => return Err(anyhow!("the collector ended the stream")),
                },
                () = self.handoff.wake.notified() => {}
                () = finished.cancelled(), if drain_until.is_none() => {
                    drain_until = Some(Instant::now() + self.patience.drain);
                }
                () = sleep_until(deadline.unwrap_or(silence)), if deadline.is_some() => {
                    if drain_until.is_some() {
                        return Ok(());
                    }
                    if self.later_until.take().is_none() {
                        return Err(anyhow!("no answer for {:?}", self.patience.silence));
                    }
                }
            }
        }
    }

    /// Puts into the outbox whatever may go now: the present first, then gaps, then the past.
    fn fill(&mut self) {
        if self.in_flight.is_empty() {
            self.heard = Instant::now();
        }
        if self.later_until.is_some() {
            return;
        }
        while self.in_flight.len() < self.window {
            let Some(batch) = self.handoff.next_live() else {
                break;
            };
            self.put(batch);
        }
        self.tell();
        // Half the window, so that a fresh batch always finds room.
        let backfill_window = (self.window / 2).max(1);
        while self.in_flight.len() < backfill_window {
            if let Some(gap) = self.handoff.next_gap() {
                if let Ok(spool) = SpoolId::try_from(&gap.spool_id[..]) {
                    self.in_flight.insert((spool, gap.first_sequence));
                }
                self.outbox
                    .push_back(message(agent_message::Kind::Gap(gap)));
            } else if let Some(batch) = self.handoff.next_backfill() {
                self.put(batch);
            } else {
                break;
            }
        }
    }

    /// Notes of processes travel with whatever goes; they wake nobody. The newest samples go first.
    fn tell(&mut self) {
        while self.outbox.len() < OUTBOX_NOTES
            && let Some(note) = self.shelf.take()
        {
            self.outbox
                .push_back(message(agent_message::Kind::ProcessNote(note)));
        }
    }

    fn put(&mut self, batch: Outgoing) {
        if batch.block.len() + BATCH_OVERHEAD_BYTES > self.message_bytes_max {
            tracing::error!(
                "batch {} of {} bytes is more than this collector reads ({})",
                batch.sequence,
                batch.block.len(),
                self.message_bytes_max
            );
            self.handoff.refuse(batch.spool, batch.sequence, "limit");
            return;
        }
        self.declare(&batch);
        self.in_flight.insert((batch.spool, batch.sequence));
        let batch = wire::Batch {
            spool_id: batch.spool.0.to_vec(),
            sequence: batch.sequence,
            block: batch.block,
        };
        self.outbox
            .push_back(message(agent_message::Kind::Batch(batch)));
    }

    /// Names the series that this batch needs and this connection has not heard of.
    fn declare(&mut self, batch: &Outgoing) {
        let known = self.declared.get(&batch.spool).copied().unwrap_or(0);
        if batch.series <= known {
            return;
        }
        let mut series = self.handoff.declarations(batch, known);
        self.declared
            .insert(batch.spool, known + series.len() as u32);
        while !series.is_empty() {
            let mut declare = wire::Declare {
                spool_id: batch.spool.0.to_vec(),
                series: series
                    .drain(..series.len().min(DECLARE_SERIES_MAX))
                    .collect(),
            };
            while declare.encoded_len() + 16 > self.message_bytes_max && declare.series.len() > 1 {
                let half = declare.series.split_off(declare.series.len() / 2);
                series.splice(0..0, half);
            }
            self.outbox
                .push_back(message(agent_message::Kind::Declare(declare)));
        }
    }

    fn hear(&mut self, answer: wire::CollectorMessage) {
        self.heard = Instant::now();
        match answer.kind {
            Some(collector_message::Kind::Ack(ack)) => self.ack(&ack.spool_id, &ack.ranges),
            Some(collector_message::Kind::Refusal(refusal)) => self.refused(&refusal),
            // Unknown messages of a newer collector are none of ours.
            Some(collector_message::Kind::Welcome(_)) | None => {}
        }
    }

    fn ack(&mut self, spool: &[u8], ranges: &[wire::SequenceRange]) {
        let Ok(spool) = SpoolId::try_from(spool) else {
            return;
        };
        for range in ranges.iter().filter(|range| range.first <= range.last) {
            self.handoff.ack(spool, range.first, range.last);
            let within = (spool, range.first)..=(spool, range.last);
            let answered: Vec<_> = self.in_flight.range(within).copied().collect();
            for key in answered {
                self.in_flight.remove(&key);
            }
        }
    }

    fn refused(&mut self, refusal: &wire::Refusal) {
        let reason = reason(refusal.reason());
        let Ok(spool) = SpoolId::try_from(&refusal.spool_id[..]) else {
            tracing::error!(
                "the collector refuses: {} [{}]",
                refusal.message,
                refusal.id
            );
            return;
        };
        self.in_flight.remove(&(spool, refusal.sequence));
        if refusal.reason() == wire::RefusalReason::TryLater {
            tracing::warn!("the collector asks to wait: {}", refusal.message);
            self.handoff.release(spool, refusal.sequence);
            self.later_until = Some(Instant::now() + self.patience.later);
            return;
        }
        tracing::error!(
            "the collector refuses batch {} ({reason}): {} [{}]",
            refusal.sequence,
            refusal.message,
            refusal.id
        );
        if refusal.sequence > 0 {
            self.handoff.refuse(spool, refusal.sequence, reason);
        }
    }
}

/// Room for one more message; never, once our side has ended.
async fn reserve(
    sender: Option<&mpsc::Sender<wire::AgentMessage>>,
) -> Result<mpsc::Permit<'_, wire::AgentMessage>, mpsc::error::SendError<()>> {
    match sender {
        Some(sender) => sender.reserve().await,
        None => std::future::pending().await,
    }
}

/// A status in plain words; its own `Display` is a dump of everything inside it.
fn words(status: &Status) -> anyhow::Error {
    match std::error::Error::source(status) {
        Some(source) => anyhow!("{}", crate::chain(source)),
        None => anyhow!("{} ({:?})", status.message(), status.code()),
    }
}

/// What most often lies behind a stream that does not open although somebody listens.
fn hint(url: &str, error: anyhow::Error) -> anyhow::Error {
    if url.starts_with("https:") {
        return error;
    }
    error.context("no stream opens (if the collector uses TLS, write https:// and set [tls] ca)")
}

fn message(kind: agent_message::Kind) -> wire::AgentMessage {
    wire::AgentMessage { kind: Some(kind) }
}

fn reason(reason: wire::RefusalReason) -> &'static str {
    match reason {
        wire::RefusalReason::Malformed => "malformed",
        wire::RefusalReason::NotFinite => "not_finite",
        wire::RefusalReason::Time => "time",
        wire::RefusalReason::Limit => "limit",
        wire::RefusalReason::Host => "host",
        wire::RefusalReason::TryLater => "try_later",
        wire::RefusalReason::Unspecified => "unspecified",
    }
}
