//! The door for operators: carries questions and answers, both JSON documents of `answer`, and
//! copies of the database, over gRPC. It computes nothing.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hostwell_proto::wire::operator_server::{Operator, OperatorServer};
use hostwell_proto::wire::{BackupRequest, Chunk, Question};
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use crate::answer::{self, AnswerError, Setup};
use crate::auth::Peer;
use crate::clock::Clock;
use crate::store::{Store, StoreError};

mod client;
pub use client::{Client, ConnectError};

/// Longest question.
const QUESTION_BYTES_MAX: usize = 64 << 10;
/// Questions answered at the same time: each may hold a large window in memory.
const QUESTIONS_MAX: usize = 8;
/// A question is given up after this time.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Size of the parts an answer travels in.
const CHUNK_BYTES: usize = 256 << 10;
/// Metadata of a backup's answer: how many bytes will come.
const BACKUP_BYTES: &str = "hostwell-backup-bytes";
/// How fast a copy is put together, bytes a second: agents' batches share the disk with it.
const COPY_RATE: u64 = 128 << 20;
/// How a copy that is being sent is called.
const PARTIAL: &str = ".partial";

/// The Operator service.
pub struct Desk {
    store: Store,
    setup: Arc<Setup>,
    clock: Clock,
    /// Where copies are put together: beside the database, so that the space is where people look.
    folder: PathBuf,
    questions: Semaphore,
    backups: Arc<Semaphore>,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Chunk, Status>> + Send>>;

impl Desk {
    /// A desk that answers from `store` and puts copies together in `folder`.
    pub fn new(store: Store, setup: Arc<Setup>, clock: Clock, folder: PathBuf) -> Self {
        Desk {
            store,
            setup,
            clock,
            folder,
            questions: Semaphore::new(QUESTIONS_MAX),
            backups: Arc::new(Semaphore::new(1)),
        }
    }

    /// The service, with its limits on messages, for a gRPC server.
    pub fn into_service(self) -> OperatorServer<Desk> {
        OperatorServer::new(self).max_decoding_message_size(QUESTION_BYTES_MAX)
    }

    async fn copy(&self, slot: OwnedSemaphorePermit) -> Result<Copy, StoreError> {
        let path = self.folder.join(format!("backup{PARTIAL}"));
        // What an earlier collector left when it was killed.
        let _ = tokio::fs::remove_file(&path).await;
        let copy = Copy { path, _slot: slot };
        self.store.backup(&copy.path, Some(COPY_RATE)).await?;
        Ok(copy)
    }
}

/// A copy of the database that is being sent; removed when dropped.
struct Copy {
    path: PathBuf,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "remove the copy that was sent");
        }
    }
}

#[tonic::async_trait]
impl Operator for Desk {
    type AskStream = Chunks;
    type BackupStream = Chunks;

    async fn ask(&self, request: Request<Question>) -> Result<Response<Chunks>, Status> {
        let _slot = self.questions.acquire().await;
        let from = request.extensions().get::<Peer>().cloned();
        let question = request.into_inner().json;
        let now_ms = self.clock.now_ms();
        let answering = answer::answer_json(&self.store, &self.setup, &question, now_ms);
        let answer = match timeout(ANSWER_TIME, answering).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(status(error, from.as_ref())),
            Err(_) => {
                return Err(Status::deadline_exceeded(
                    "the answer took too long: ask for a shorter time, fewer hosts or a larger step",
                ));
            }
        };
        let parts = match answer.len() {
            // Nearly every answer: not copied.
            0..=CHUNK_BYTES => vec![Arc::unwrap_or_clone(answer)],
            _ => answer.chunks(CHUNK_BYTES).map(<[u8]>::to_vec).collect(),
        };
        let chunks = parts.into_iter().map(|data| Ok(Chunk { data }));
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn backup(&self, request: Request<BackupRequest>) -> Result<Response<Chunks>, Status> {
        let from = request.extensions().get::<Peer>().cloned();
        let slot = Arc::clone(&self.backups).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted("another backup is running: try again later")
        })?;
        let failed = |error| status(AnswerError::Store(error), from.as_ref());
        let copy = self.copy(slot).await.map_err(failed)?;
        let opened = async {
            let file = tokio::fs::File::open(&copy.path).await?;
            let bytes = file.metadata().await?.len();
            Ok::<_, std::io::Error>((file, bytes))
        };
        let (mut file, bytes) = opened.await.map_err(|e| {
            failed(StoreError::Io {
                doing: "open the copy",
                source: e.into(),
            })
        })?;
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let _copy = copy;
            loop {
                let mut data = Vec::with_capacity(CHUNK_BYTES);
                let read = (&mut file)
                    .take(CHUNK_BYTES as u64)
                    .read_to_end(&mut data)
                    .await;
                let part = match read {
                    Ok(0) => return,
                    Ok(_) => Ok(Chunk { data }),
                    Err(error) => Err(Status::data_loss(format!("read the copy: {error}"))),
                };
                if sender.send(part).await.is_err() {
                    return;
                }
            }
        });
        let mut response: Response<Chunks> = Response::new(Box::pin(ReceiverStream::new(receiver)));
        response.metadata_mut().insert(BACKUP_BYTES, bytes.into());
        Ok(response)
    }
}

/// What the operator is told; what is not theirs to mend goes to the log with an id that finds it.
fn status(error: AnswerError, from: Option<&Peer>) -> Status {
    let code = match &error {
        AnswerError::Asked(_) => Code::InvalidArgument,
        AnswerError::Store(StoreError::NoHost { .. }) => Code::NotFound,
        AnswerError::Store(StoreError::Conflict(_)) => Code::FailedPrecondition,
        AnswerError::Store(StoreError::Limit { .. }) => Code::ResourceExhausted,
        AnswerError::Store(_) | AnswerError::Encode(_) | AnswerError::CutOff { .. } => {
            Code::Internal
        }
    };
    let text = format!("{:#}", anyhow::Error::new(error));
    if code != Code::Internal {
        return Status::new(code, text);
    }
    let id = format!("{:08x}", getrandom::u32().unwrap_or_default());
    tracing::error!(
        id,
        from = from.map(tracing::field::display),
        "answer a question: {text}"
    );
    Status::new(code, format!("{text} (id {id} in the collector's log)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_of_ours_is_not_called_a_bad_question() {
        let source = tokio::spawn(async { panic!("index 7 of 3") });
        let source = source.await.unwrap_err();
        let told = status(
            AnswerError::CutOff {
                doing: "it",
                source,
            },
            None,
        );
        assert_eq!(told.code(), Code::Internal);
        assert!(told.message().contains("in the collector's log"), "{told}");
        let asked = status(AnswerError::Asked("narrow it".into()), None);
        assert_eq!(asked.code(), Code::InvalidArgument);
    }
}
