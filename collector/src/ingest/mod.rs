//! The door for agents: greets, validates, appends, acknowledges.
//!
//! What passes this door is trusted inside: identities parse, names and labels are legal and within
//! their limits, values are finite, times are possible. What does not pass is answered with a
//! `Refusal` that says why, counted for the host in the store, and the stream lives on. One task
//! serves one stream (`stream`); `hello`, `declare` and `batch` are pure; `live` knows which hosts
//! are connected.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hostwell_proto::wire::intake_server::{Intake, IntakeServer};
use hostwell_proto::wire::{AgentMessage, CollectorMessage, RefusalReason};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::adapters::Map;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status, Streaming};

use crate::auth::Peer;
use crate::clock::Clock;
use crate::config::{Limits, ServerConfig};
use crate::store::{Store, StoreError};

mod ack;
mod batch;
mod declare;
mod hello;
mod live;
mod note;
mod stream;

#[cfg(test)]
pub(crate) use batch::tests::packed;
pub use declare::admit;
pub use live::Live;

/// Answers that wait for a slow agent to read them.
const ANSWERS_MAX: usize = 32;

/// What an agent is told. Boxed: a channel keeps room for 32 of them, and thousands of agents are
/// seldom told anything.
type Answered = Box<Result<CollectorMessage, Status>>;

/// Why something is refused, and what to tell the people who wonder.
#[derive(Debug, PartialEq)]
struct Refused {
    reason: RefusalReason,
    message: String,
}

impl Refused {
    fn new(reason: RefusalReason, message: impl Into<String>) -> Self {
        Refused {
            reason,
            message: message.into(),
        }
    }

    fn malformed(message: impl Into<String>) -> Self {
        Self::new(RefusalReason::Malformed, message)
    }

    fn limit(message: impl Into<String>) -> Self {
        Self::new(RefusalReason::Limit, message)
    }

    /// The name under which the store counts it.
    fn counted_as(&self) -> &'static str {
        match self.reason {
            RefusalReason::Unspecified | RefusalReason::Malformed => "malformed",
            RefusalReason::NotFinite => "not_finite",
            RefusalReason::Time => "time",
            RefusalReason::Limit => "limit",
            RefusalReason::Host => "host",
            RefusalReason::TryLater => "try_later",
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let reason = match &error {
            StoreError::Limit { .. } => RefusalReason::Limit,
            StoreError::NoHost { .. } | StoreError::Conflict(_) => RefusalReason::Host,
            // The disk, the file or another program: the samples are fine and may come again.
            StoreError::Full(_)
            | StoreError::Io { .. }
            | StoreError::Busy(_)
            | StoreError::Absent(_)
            | StoreError::Damaged { .. }
            | StoreError::Newer { .. } => RefusalReason::TryLater,
        };
        Refused::new(reason, format!("{:#}", anyhow::Error::new(error)))
    }
}

/// The Intake service.
#[derive(Clone)]
pub struct Door {
    shared: Arc<Shared>,
}

/// What all streams share.
struct Shared {
    store: Store,
    clock: Clock,
    limits: Limits,
    retention_ms: i64,
    /// For how long notes of processes are kept.
    notes_ms: i64,
    /// How many notes hosts may still send.
    paces: Mutex<note::Paces>,
    live: Live,
    /// Bytes of batches that wait for the disk.
    waiting: Arc<Semaphore>,
    shutdown: CancellationToken,
    /// Numbers for refusals; starts anywhere, so that two runs do not repeat them.
    refusals: AtomicU64,
}

impl Shared {
    fn refusal_id(&self) -> String {
        format!(
            "{:08x}",
            self.refusals.fetch_add(1, Ordering::Relaxed) as u32
        )
    }
}

impl Door {
    /// A door into `store`. After `shutdown` every stream acknowledges what is durable and ends.
    pub fn new(
        store: Store,
        clock: Clock,
        config: &ServerConfig,
        live: Live,
        shutdown: CancellationToken,
    ) -> Self {
        Door {
            shared: Arc::new(Shared {
                store,
                clock,
                limits: config.limits.clone(),
                retention_ms: config.retention.longest_raw_ms(),
                notes_ms: config.retention.processes_ms(),
                paces: Mutex::default(),
                live,
                waiting: Arc::new(Semaphore::new(config.limits.waiting_bytes as usize)),
                shutdown,
                refusals: AtomicU64::new(getrandom::u64().unwrap_or(1)),
            }),
        }
    }

    /// The service, with its limits on messages, for a gRPC server.
    pub fn into_service(self) -> IntakeServer<Door> {
        // Twice the limit is still read, so that a batch somewhat over it can be refused by its
        // number and the stream lives; beyond that the stream ends.
        let read_max = self.shared.limits.message_bytes as usize * 2;
        IntakeServer::new(self)
            .max_decoding_message_size(read_max)
            .accept_compressed(CompressionEncoding::Gzip)
    }
}

#[tonic::async_trait]
impl Intake for Door {
    type StreamStream =
        Map<ReceiverStream<Answered>, fn(Answered) -> Result<CollectorMessage, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let peer = request
            .extensions()
            .get::<Peer>()
            .cloned()
            .ok_or_else(|| Status::internal("the connection has no peer"))?;
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(stream::serve(shared, peer, request.into_inner(), answers));
        let unboxed: fn(Answered) -> _ = |answered| *answered;
        Ok(Response::new(ReceiverStream::new(receiver).map(unboxed)))
    }
}
