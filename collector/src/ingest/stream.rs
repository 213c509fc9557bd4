//! One agent's stream, from its greeting to its end.
//!
//! Batches go to the store one after another, as many as the window allows, and share its commits.
//! When the window is full nothing more is read, and HTTP/2 holds the agent back.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hostwell_proto::PROTOCOL;
use hostwell_proto::id::{HostId, SpoolId};
use hostwell_proto::wire::agent_message::Kind as Said;
use hostwell_proto::wire::collector_message::Kind as Answer;
use hostwell_proto::wire::{
    AgentMessage, Batch, CollectorMessage, Declare, Gap, Holding, ProcessNote, Refusal,
    RefusalReason, SequenceRange, Welcome,
};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Status, Streaming};

use super::ack::Acks;
use super::declare::{self, NUMBERS_MAX, Slot, Slots};
use super::live::Place;
use super::{Answered, Refused, Shared, batch, hello, note};
use crate::auth::Peer;
use crate::store::{Append, Appended, Appender, Done, GapRecord, StoreError};

/// Most spools one stream may declare series for.
const SPOOLS_MAX: usize = 64;
/// An agent that does not read its answers for this long is gone.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// What is under way when a stream ends has this long to become durable and be acknowledged.
const FAREWELL_TIME: Duration = Duration::from_secs(5);
/// Notes of processes that wait for the disk.
const NOTES_UNDER_WAY: usize = 8;
/// Refusals of one stream that are logged one by one; then every power of two.
const LOGGED_REFUSALS: u64 = 8;

type Answers = mpsc::Sender<Answered>;

/// Serves a stream to its end.
pub(super) async fn serve(
    shared: Arc<Shared>,
    peer: Peer,
    mut inbound: Streaming<AgentMessage>,
    answers: Answers,
) {
    let greeted = Box::pin(Stream::greet(shared, peer, &mut inbound, answers.clone()));
    let served = match greeted.await {
        Ok(Some(mut stream)) => stream.run(&mut inbound).await,
        Ok(None) => Ok(()),
        Err(status) => Err(status),
    };
    if let Err(status) = served {
        let _ = timeout(ANSWER_TIME, answers.send(Box::new(Err(status)))).await;
    }
}

/// What is left to do for a message.
type Later<'a> = Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>>;

struct Stream {
    shared: Arc<Shared>,
    answers: Answers,
    host_id: HostId,
    name: String,
    interval: Duration,
    place: Place,
    spools: HashMap<SpoolId, Slots>,
    appender: Appender,
    gaps: JoinSet<GapDone>,
    notes: JoinSet<Result<(), StoreError>>,
    acks: Acks,
    refusals: u64,
}

/// A gap that was recorded.
struct GapDone {
    spool_id: SpoolId,
    first: u64,
    last: u64,
    result: Result<Appended, StoreError>,
}

fn refusal(shared: &Shared, spool: &[u8], sequence: u64, refused: &Refused) -> Refusal {
    Refusal {
        spool_id: spool.to_vec(),
        sequence,
        reason: refused.reason as i32,
        message: refused.message.clone(),
        id: shared.refusal_id(),
    }
}

async fn send(answers: &Answers, answer: Answer) -> Result<(), Status> {
    let message = CollectorMessage { kind: Some(answer) };
    let waits = match answers.try_send(Box::new(Ok(message))) {
        Ok(()) => return Ok(()),
        Err(TrySendError::Full(message)) => answers.send(message),
        Err(TrySendError::Closed(_)) => return Err(Status::cancelled("the agent is gone")),
    };
    match Box::pin(timeout(ANSWER_TIME, waits)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Status::cancelled("the agent is gone")),
        Err(_) => Err(Status::deadline_exceeded(
            "the agent does not read its answers",
        )),
    }
}

impl Stream {
    /// Reads Hello and answers it; `None` when the host is refused, which is answered too.
    async fn greet(
        shared: Arc<Shared>,
        peer: Peer,
        inbound: &mut Streaming<AgentMessage>,
        answers: Answers,
    ) -> Result<Option<Box<Stream>>, Status> {
        let patience = Duration::from_secs(shared.limits.handshake_seconds.into());
        let first = tokio::select! {
            () = shared.shutdown.cancelled() => return Err(stopping()),
            read = timeout(patience, inbound.message()) => read,
        };
        let said = match first {
            Err(_) => return Err(Status::deadline_exceeded("no Hello came")),
            Ok(Err(status)) => return Err(unreadable(&status, &shared)),
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(message))) => message.kind,
        };
        let Some(Said::Hello(hello)) = said else {
            return Err(Status::failed_precondition(
                "the first message must be Hello",
            ));
        };
        let now_ms = shared.clock.now_ms();
        let welcomed = match hello::greeting(&hello, &shared.limits, now_ms) {
            Ok((greeting, spools)) => Self::welcome(&shared, &peer, greeting, spools, now_ms).await,
            Err(refused) => Err(refused),
        };
        match welcomed {
            Ok((place, name, host_id, welcome)) => {
                let appender = shared.store.appender();
                let appender = appender.map_err(|error| Status::unavailable(error.to_string()))?;
                send(&answers, Answer::Welcome(welcome)).await?;
                tracing::info!(host = %name, id = %host_id, %peer, "agent connected");
                Ok(Some(Box::new(Stream {
                    acks: Acks::new(shared.limits.batches_in_flight),
                    interval: Duration::from_millis(hello.interval_ms.into()),
                    shared,
                    answers,
                    host_id,
                    name,
                    place,
                    spools: HashMap::new(),
                    appender,
                    gaps: JoinSet::new(),
                    notes: JoinSet::new(),
                    refusals: 0,
                })))
            }
            Err(refused) => {
                let refusal = refusal(&shared, &[], 0, &refused);
                tracing::warn!(id = refusal.id, %peer, reason = refused.counted_as(), "refused a host: {}", refused.message);
                if let Ok(host_id) = hello.host_id.parse() {
                    // Fails for a host that is not known; then there is nothing to count for.
                    let _ = shared
                        .store
                        .count_refusal(host_id, refused.counted_as())
                        .await;
                }
                send(&answers, Answer::Refusal(refusal)).await?;
                Ok(None)
            }
        }
    }

    async fn welcome(
        shared: &Shared,
        peer: &Peer,
        greeting: crate::store::Greeting,
        spools: Vec<SpoolId>,
        now_ms: i64,
    ) -> Result<(Place, String, HostId, Welcome), Refused> {
        let (host_id, interval_ms) = (greeting.host_id, i64::from(greeting.interval_ms));
        let record = shared.store.greet(greeting, now_ms).await?;
        if record.retired_ms.is_some() {
            return Err(Refused::new(
                RefusalReason::Host,
                format!(
                    "the host {:?} is retired: stop its agent, or take it back with `hostwell host revive {}`",
                    record.name, record.name
                ),
            ));
        }
        let place = shared.live.enter(host_id, peer, interval_ms, now_ms).ok_or_else(|| {
            Refused::new(
                RefusalReason::Host,
                "an agent with another certificate is connected as this host: give this one a new identity by emptying its state folder",
            )
        })?;
        let mut holdings = Vec::with_capacity(spools.len());
        for spool_id in spools {
            let held = shared.store.holding(host_id, spool_id).await?;
            let ranges = held
                .into_iter()
                .map(|(first, last)| SequenceRange { first, last })
                .collect();
            holdings.push(Holding {
                spool_id: spool_id.0.to_vec(),
                ranges,
            });
        }
        let welcome = Welcome {
            protocol: PROTOCOL,
            collector_version: env!("CARGO_PKG_VERSION").to_owned(),
            now_ms,
            message_bytes_max: shared.limits.message_bytes,
            batches_in_flight_max: shared.limits.batches_in_flight,
            holdings,
        };
        Ok((place, record.name, host_id, welcome))
    }

    /// Takes batches and acknowledges them until either side ends it.
    async fn run(&mut self, inbound: &mut Streaming<AgentMessage>) -> Result<(), Status> {
        let ended = self.exchange(inbound).await;
        // Whatever ended it: what is durable is worth telling.
        let farewell = timeout(FAREWELL_TIME, async {
            while self.appender.open() > 0 {
                let done = self.appender.next().await;
                self.finish_all(done).await?;
            }
            while let Some(done) = self.gaps.join_next().await {
                self.finish_gap(done).await?;
            }
            while !self.notes.is_empty() {
                self.finish_note().await;
            }
            self.acknowledge().await
        });
        let told = farewell.await.unwrap_or(Ok(()));
        match &ended {
            Ok(()) => tracing::info!(host = %self.name, "agent left"),
            Err(status) => {
                tracing::info!(host = %self.name, reason = status.message(), "agent disconnected");
            }
        }
        ended.and(told)
    }

    async fn exchange(&mut self, inbound: &mut Streaming<AgentMessage>) -> Result<(), Status> {
        let idle =
            Duration::from_secs(self.shared.limits.idle_seconds.into()).max(self.interval * 3);
        let window = self.shared.limits.batches_in_flight as usize;
        let (shutdown, replaced) = (self.shared.shutdown.clone(), self.place.replaced().clone());
        let cancelled = shutdown.cancelled();
        let displaced = replaced.cancelled();
        let mut silent_at = Instant::now() + idle;
        // One alarm for everything that has its time, set anew only when it has to ring earlier or
        // has rung: most of the time something is heard long before.
        let alarm = sleep_until(silent_at);
        tokio::pin!(cancelled, displaced, alarm);
        loop {
            if self.acks.due().is_some() && self.acks.ripe(Instant::now()) {
                self.acknowledge().await?;
            }
            let due = self.acks.due().map_or(silent_at, |due| due.min(silent_at));
            if due < alarm.deadline() {
                alarm.as_mut().reset(due);
            }
            let under_way = self.under_way();
            tokio::select! {
                () = &mut cancelled => return Err(stopping()),
                () = &mut displaced => {
                    return Err(Status::aborted("another stream of this host took its place"));
                }
                done = self.appender.next(), if self.appender.open() > 0 => {
                    self.finish_all(done).await?;
                }
                Some(done) = self.gaps.join_next() => self.finish_gap(done).await?,
                () = &mut alarm => {
                    let now = Instant::now();
                    if silent_at <= now {
                        return Err(Status::deadline_exceeded("nothing was heard for too long"));
                    }
                    let due = self.acks.due().map_or(silent_at, |due| due.min(silent_at));
                    alarm.as_mut().reset(due.max(now));
                }
                read = inbound.message(), if under_way < window => {
                    let mut next = Some(read);
                    // Whatever has come already is taken in one go.
                    while let Some(read) = next.take() {
                        let message = match read {
                            Ok(Some(message)) => message,
                            Ok(None) => return Ok(()),
                            Err(status) => return Err(Box::pin(self.unread(status)).await),
                        };
                        if let Some(later) = self.take(message) {
                            later.await?;
                        }
                        if self.under_way() < window {
                            next = at_once(inbound.message()).await;
                        }
                    }
                    silent_at = Instant::now() + idle;
                    self.place.heard(self.shared.clock.now_ms());
                }
            }
        }
    }

    /// Batches and gaps that were read and are not durable yet.
    fn under_way(&self) -> usize {
        self.appender.open() + self.gaps.len()
    }

    /// A message could not be read: counts it and answers how the stream ends.
    async fn unread(&mut self, status: Status) -> Status {
        let status = unreadable(&status, &self.shared);
        if status.code() == tonic::Code::ResourceExhausted {
            self.count("limit").await;
        }
        status
    }

    /// Deals with a message, or answers what is left to do. A batch that finds room is dealt with at
    /// once: a future for each costs as much as looking through it.
    fn take(&mut self, message: AgentMessage) -> Option<Later<'_>> {
        match message.kind {
            Some(Said::Batch(batch)) => self.batch(batch),
            Some(Said::Declare(declare)) => Some(Box::pin(self.declare(declare))),
            Some(Said::Gap(gap)) => Some(Box::pin(self.gap(gap))),
            Some(Said::ProcessNote(note)) => Some(Box::pin(self.note(note))),
            Some(Said::Hello(_)) => {
                let refused = Refused::malformed("Hello comes once, first");
                Some(Box::pin(self.refuse(&[], 0, refused)))
            }
            // A newer agent's word; the compatibility rule says to pass over it.
            None => None,
        }
    }

    fn batch(&mut self, batch: Batch) -> Option<Later<'_>> {
        let append = match self.open(&batch) {
            Ok(append) => append,
            Err(refused) => {
                return Some(Box::pin(async move {
                    self.refuse(&batch.spool_id, batch.sequence, refused).await
                }));
            }
        };
        let bytes = append.block.bytes().len().max(1) as u32;
        match Arc::clone(&self.shared.waiting).try_acquire_many_owned(bytes) {
            Ok(waits) => self.put(append, Some(waits)),
            Err(TryAcquireError::Closed) => self.put(append, None),
            Err(TryAcquireError::NoPermits) => Some(Box::pin(async move {
                let waiting = Arc::clone(&self.shared.waiting);
                let waits = waiting.acquire_many_owned(bytes).await;
                match self.put(append, waits.ok()) {
                    Some(later) => later.await,
                    None => Ok(()),
                }
            })),
        }
    }

    /// Holds a batch against what may be sent.
    fn open(&self, batch: &Batch) -> Result<Append, Refused> {
        let door = batch::Door {
            host_id: self.host_id,
            limits: &self.shared.limits,
            retention_ms: self.shared.retention_ms,
            now_ms: self.shared.clock.now_ms(),
        };
        let spool_id = SpoolId::try_from(&batch.spool_id[..]);
        let spool_id = spool_id.map_err(|e| Refused::malformed(format!("spool id: {e}")))?;
        let undeclared = Slots::default();
        let slots = self.spools.get(&spool_id).unwrap_or(&undeclared);
        batch::open(batch, spool_id, slots, door)
    }

    /// Hands a batch to the store.
    fn put(&mut self, append: Append, waits: Option<OwnedSemaphorePermit>) -> Option<Later<'_>> {
        let (spool_id, sequence) = (append.spool_id, append.sequence);
        let late = self.appender.put(append, waits).transpose()?;
        Some(Box::pin(async move {
            let put = match late {
                Ok(late) => self.appender.wait(late).await,
                Err(error) => Err(error),
            };
            match put {
                Ok(()) => Ok(()),
                Err(error) => {
                    let range = (sequence, sequence);
                    self.finish(spool_id, range, Err(error)).await
                }
            }
        }))
    }

    async fn gap(&mut self, gap: Gap) -> Result<(), Status> {
        let Ok(spool_id) = SpoolId::try_from(&gap.spool_id[..]) else {
            let refused = Refused::malformed("the gap's spool id is not 16 bytes");
            return self.refuse(&gap.spool_id, 0, refused).await;
        };
        let (first, last) = (gap.first_sequence, gap.last_sequence);
        if first == 0 || last < first || i64::try_from(last).is_err() || gap.to_ms < gap.from_ms {
            let refused = Refused::malformed(format!(
                "a gap from {first} to {last}, {} ms to {} ms is not possible",
                gap.from_ms, gap.to_ms
            ));
            return self.refuse(&gap.spool_id, 0, refused).await;
        }
        let reason = ["bytes", "age", "free_space", "damaged"]
            .into_iter()
            .find(|known| *known == gap.reason)
            .unwrap_or("other");
        let record = GapRecord {
            spool_id: spool_id.to_string(),
            first_sequence: first,
            last_sequence: last,
            from_ms: gap.from_ms,
            to_ms: gap.to_ms,
            samples: gap.samples,
            reason: reason.to_owned(),
        };
        tracing::warn!(host = %self.name, reason, samples = gap.samples, "the agent's spool dropped samples");
        let (store, host_id) = (self.shared.store.clone(), self.host_id);
        let now_ms = self.shared.clock.now_ms();
        self.gaps.spawn(async move {
            GapDone {
                spool_id,
                first,
                last,
                result: store.append_gap(host_id, record, now_ms).await,
            }
        });
        Ok(())
    }

    /// Takes a note of what used the host. It has no number: nobody waits for it, and one that cannot
    /// be stored is counted.
    async fn note(&mut self, said: ProcessNote) -> Result<(), Status> {
        let now_ms = self.shared.clock.now_ms();
        let times = note::Times {
            now_ms,
            ahead_ms: i64::from(self.shared.limits.future_seconds) * 1000,
            behind_ms: self.shared.notes_ms,
        };
        let paced = {
            let paces = self.shared.paces.lock();
            let mut paces = paces.unwrap_or_else(PoisonError::into_inner);
            paces.take(self.host_id, now_ms)
        };
        let taken = match paced.and_then(|()| note::note(said, times)) {
            Ok(taken) => taken,
            Err(refused) => return self.refuse(&[], 0, refused).await,
        };
        while self.notes.len() >= NOTES_UNDER_WAY {
            self.finish_note().await;
        }
        let (store, host_id) = (self.shared.store.clone(), self.host_id);
        self.notes
            .spawn(async move { store.add_process_note(host_id, taken).await });
        Ok(())
    }

    /// Takes note of a note that was stored, or not.
    async fn finish_note(&mut self) {
        if let Some(Ok(Err(error))) = self.notes.join_next().await {
            tracing::warn!(host = %self.name, error = format!("{error:#}"), "a note of processes is lost");
            self.count("note_not_stored").await;
        }
    }

    async fn declare(&mut self, declare: Declare) -> Result<(), Status> {
        let Ok(spool_id) = SpoolId::try_from(&declare.spool_id[..]) else {
            let refused = Refused::malformed("the declaration's spool id is not 16 bytes");
            return self.refuse(&declare.spool_id, 0, refused).await;
        };
        let too_many = if declare.series.len() > NUMBERS_MAX {
            Some(format!(
                "{} series in one declaration",
                declare.series.len()
            ))
        } else if !self.spools.contains_key(&spool_id) && self.spools.len() >= SPOOLS_MAX {
            Some(format!("more than {SPOOLS_MAX} spools in one stream"))
        } else {
            None
        };
        if let Some(what) = too_many {
            return self
                .refuse(&declare.spool_id, 0, Refused::limit(what))
                .await;
        }
        let mut slots = self.spools.remove(&spool_id).unwrap_or_default();
        let settled = self.settle(&mut slots, &declare).await;
        self.spools.insert(spool_id, slots);
        let mut refused = settled?;
        if refused.is_empty() {
            return Ok(());
        }
        let more = refused.len() - 1;
        let mut first = refused.swap_remove(0);
        if more > 0 {
            first.message = format!("{}; and {more} more series", first.message);
        }
        self.refuse(&declare.spool_id, 0, first).await
    }

    /// Fills the table of a spool; answers what was refused.
    async fn settle(&self, slots: &mut Slots, declare: &Declare) -> Result<Vec<Refused>, Status> {
        let mut refused = Vec::new();
        let mut named = Vec::with_capacity(declare.series.len());
        for declared in &declare.series {
            match declare::series(declared, &self.shared.limits) {
                Ok(series) => named.push((declared.number, series)),
                Err(why) => {
                    refused.push(why);
                    refused.extend(slots.set(declared.number, Slot::Refused).err());
                }
            }
        }
        let mut owners = slots.owners();
        // Halved where the host's limit is met, so that the series that still fit are taken.
        let mut pending = vec![named];
        while let Some(mut part) = pending.pop() {
            let asked = part.iter().map(|(_, series)| series.clone()).collect();
            match self.shared.store.series_ids(self.host_id, asked).await {
                Ok(ids) => {
                    for ((number, _), id) in part.iter().zip(ids) {
                        let owner = *owners.entry(id).or_insert(*number);
                        let set = if owner == *number {
                            slots.set(*number, Slot::Series(id))
                        } else {
                            slots
                                .set(*number, Slot::Refused)
                                .and(Err(Refused::malformed(format!(
                                    "series numbers {owner} and {number} name the same series"
                                ))))
                        };
                        refused.extend(set.err());
                    }
                }
                Err(StoreError::Limit { .. }) if part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    pending.push(rest);
                    pending.push(part);
                }
                Err(error) => {
                    let why = Refused::from(error);
                    if why.reason != RefusalReason::Limit {
                        // The batches behind it would look undeclared: better to start again.
                        return Err(Status::unavailable(why.message));
                    }
                    for (number, _) in &part {
                        refused.extend(slots.set(*number, Slot::Refused).err());
                    }
                    refused.push(why);
                }
            }
        }
        Ok(refused)
    }

    /// Takes note of an append that ended.
    async fn finish_all(&mut self, all: Vec<Done>) -> Result<(), Status> {
        for done in all {
            let range = (done.sequence, done.sequence);
            self.finish(done.spool_id, range, done.result).await?;
        }
        Ok(())
    }

    async fn finish_gap(&mut self, done: Result<GapDone, JoinError>) -> Result<(), Status> {
        let done = done.map_err(|error| {
            tracing::error!(host = %self.name, %error, "a gap was not recorded");
            Status::internal("a gap was not recorded")
        })?;
        self.finish(done.spool_id, (done.first, done.last), done.result)
            .await
    }

    async fn finish(
        &mut self,
        spool_id: SpoolId,
        (first, last): (u64, u64),
        result: Result<Appended, StoreError>,
    ) -> Result<(), Status> {
        match result {
            // A batch sent twice is acknowledged twice: the agent may have missed the first.
            Ok(Appended::Stored | Appended::Duplicate) => {
                self.acks.add(spool_id, first, last, Instant::now());
                Ok(())
            }
            Err(error) => {
                let sequence = if first == last { first } else { 0 };
                Box::pin(self.refuse(&spool_id.0, sequence, error.into())).await
            }
        }
    }

    async fn acknowledge(&mut self) -> Result<(), Status> {
        for ack in self.acks.take() {
            send(&self.answers, Answer::Ack(ack)).await?;
        }
        Ok(())
    }

    async fn refuse(
        &mut self,
        spool: &[u8],
        sequence: u64,
        refused: Refused,
    ) -> Result<(), Status> {
        // What is only put off is neither lost nor the host's doing.
        if refused.reason != RefusalReason::TryLater {
            self.count(refused.counted_as()).await;
        }
        self.refusals += 1;
        let answer = refusal(&self.shared, spool, sequence, &refused);
        if self.refusals <= LOGGED_REFUSALS || self.refusals.is_power_of_two() {
            tracing::warn!(
                host = %self.name, id = answer.id, sequence, reason = refused.counted_as(), so_far = self.refusals,
                "refused: {}", refused.message
            );
        }
        send(&self.answers, Answer::Refusal(answer)).await
    }

    /// Counts in the store. Awaited, so that a flood of refusals goes no faster than commits do.
    async fn count(&self, reason: &'static str) {
        if let Err(error) = self.shared.store.count_refusal(self.host_id, reason).await {
            tracing::error!(host = %self.name, reason, error = format!("{error:#}"), "count a refusal");
        }
    }
}

/// What a future answers without waiting.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    poll_fn(|task| match future.as_mut().poll(task) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn stopping() -> Status {
    Status::unavailable("the collector is stopping")
}

/// A message that could not be read ends the stream: its end cannot be found.
fn unreadable(status: &Status, shared: &Shared) -> Status {
    if status.code() == tonic::Code::OutOfRange {
        return Status::resource_exhausted(format!(
            "a message is over twice the limit of {} bytes (limits.message_bytes): {}",
            shared.limits.message_bytes,
            status.message()
        ));
    }
    status.clone()
}
