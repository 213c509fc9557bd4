//! The command line's side of the operators' door.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hostwell_proto::wire::operator_client::OperatorClient;
use hostwell_proto::wire::{BackupRequest, Question};
use tokio::io::AsyncWriteExt;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::BACKUP_BYTES;
use crate::auth::ClientTls;

const CONNECT_TIME: Duration = Duration::from_secs(5);
/// So much of an answer comes without a word from us in between.
const WINDOW_BYTES: u32 = 8 << 20;
/// One part of an answer, and a little.
const FRAME_BYTES: u32 = 257 << 10;
/// Longest answer that is put together in memory.
const ANSWER_BYTES_MAX: usize = 512 << 20;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens at the address.
    #[error("no collector answers at {url}")]
    Absent {
        /// Where it was looked for.
        url: String,
        /// What the system said.
        #[source]
        source: tonic::transport::Error,
    },
    /// Something is wrong with the address, the certificates, or the other side.
    #[error("connect to {url}")]
    Failed {
        /// Where to.
        url: String,
        /// Why.
        #[source]
        source: anyhow::Error,
    },
}

/// A connection to a running collector.
#[derive(Clone, Debug)]
pub struct Client {
    inner: OperatorClient<Channel>,
}

impl Client {
    /// Connects to `http://host:port` on loopback, or to `https://host:port` with what `tls` says.
    ///
    /// # Errors
    /// [`ConnectError::Absent`] when nothing listens there, else what is wrong and what to do.
    pub async fn connect(url: &str, tls: &ClientTls) -> Result<Client, ConnectError> {
        let failed = |source| ConnectError::Failed {
            url: url.to_owned(),
            source,
        };
        let endpoint = endpoint(url, tls).map_err(failed)?;
        match endpoint.connect().await {
            Ok(channel) => Ok(Client {
                inner: OperatorClient::new(channel),
            }),
            Err(source) if is_absent(&source) => Err(ConnectError::Absent {
                url: url.to_owned(),
                source,
            }),
            Err(source) => Err(failed(source.into())),
        }
    }

    /// Asks one question, a JSON document; the answer is one too.
    ///
    /// # Errors
    /// What the collector said, or why it could not be asked.
    pub async fn ask(&self, question_json: &str) -> anyhow::Result<String> {
        let question = Question {
            json: question_json.to_owned(),
        };
        let mut inner = self.inner.clone();
        let mut chunks = inner.ask(question).await.map_err(told)?.into_inner();
        let mut answer = Vec::new();
        while let Some(chunk) = chunks.message().await.map_err(told)? {
            if answer.len() + chunk.data.len() > ANSWER_BYTES_MAX {
                bail!("the answer is over {ANSWER_BYTES_MAX} bytes: ask for less");
            }
            answer.extend_from_slice(&chunk.data);
        }
        String::from_utf8(answer).context("read the collector's answer")
    }

    /// Copies the collector's database into a new file; `progress` is told the bytes so far and,
    /// where known, of how many. Answers the size.
    ///
    /// # Errors
    /// When the file exists, cannot be written, or the copy is cut short; nothing is left then.
    pub async fn backup(
        &self,
        to: &Path,
        mut progress: impl FnMut(u64, Option<u64>),
    ) -> anyhow::Result<u64> {
        if tokio::fs::try_exists(to).await.unwrap_or(false) {
            bail!("{} exists: a backup does not overwrite", to.display());
        }
        let mut inner = self.inner.clone();
        let response = inner.backup(BackupRequest {}).await.map_err(told)?;
        let total: Option<u64> = response
            .metadata()
            .get(BACKUP_BYTES)
            .and_then(|v| v.to_str().ok()?.parse().ok());
        let mut chunks = response.into_inner();
        let partial = to.with_extension("partial");
        let writing = || format!("write {}", partial.display());
        let receive = async {
            let mut file = tokio::fs::File::create_new(&partial)
                .await
                .with_context(writing)?;
            let mut bytes = 0;
            while let Some(chunk) = chunks.message().await.map_err(told)? {
                file.write_all(&chunk.data).await.with_context(writing)?;
                bytes += chunk.data.len() as u64;
                progress(bytes, total);
            }
            file.sync_all().await.with_context(writing)?;
            if total.is_some_and(|total| total != bytes) {
                bail!("the copy was cut after {bytes} bytes");
            }
            tokio::fs::rename(&partial, to)
                .await
                .with_context(|| format!("rename to {}", to.display()))?;
            Ok(bytes)
        };
        let received = receive.await;
        if received.is_err() {
            let _ = tokio::fs::remove_file(&partial).await;
        }
        received
    }
}

fn endpoint(url: &str, tls: &ClientTls) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("{url:?} is not an address like http://127.0.0.1:7443"))?
        .connect_timeout(CONNECT_TIME)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .user_agent(concat!("hostwell/", env!("CARGO_PKG_VERSION")))?;
    match endpoint.uri().scheme_str() {
        Some("https") => Ok(endpoint.tls_config(tls.load()?)?),
        Some("http") => {
            let host = endpoint.uri().host().unwrap_or_default();
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let local = bare == "localhost"
                || bare
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| ip.is_loopback());
            if !local {
                bail!(
                    "plain http:// is allowed to this machine only, because others on the way could read and change the answers: use https:// and say whose certificates to trust"
                );
            }
            Ok(endpoint)
        }
        _ => bail!("{url:?} does not start with http:// or https://"),
    }
}

/// Whether a connection failed because nothing listens.
fn is_absent(error: &tonic::transport::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What a status says to people: the collector's own words, or the chain of a broken connection.
fn told(status: Status) -> anyhow::Error {
    use std::error::Error;
    let mut text = match status.code() {
        // What answers does not speak our protocol at all.
        _ if status.message().contains("http2 error") => {
            format!("what answers there is no collector: {}", status.message())
        }
        Code::Unimplemented => {
            "the collector is older than this program and does not know the question".to_owned()
        }
        _ => status.message().to_owned(),
    };
    let mut cause = status.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    anyhow!(text)
}
