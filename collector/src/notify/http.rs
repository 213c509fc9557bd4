//! As much of an HTTP client as telling others takes: one request, one bounded answer, a deadline.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A target that takes longer does not answer.
const DEADLINE: Duration = Duration::from_secs(15);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Most bytes of a secret in a file.
const SECRET_BYTES_MAX: u64 = 4_096;

/// Where the system keeps the authorities it trusts: Debian and Alpine, Red Hat, the BSDs.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Where to, whom to trust, and what to show.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub url: String,
    pub ca: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
}

/// One request.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// Behind the place's own path; may hold a query.
    pub path: &'a str,
    /// Header lines of its own.
    pub headers: Vec<(&'static str, String)>,
    /// Posted as JSON; without a body it is a GET.
    pub body: Option<String>,
}

/// An answer that is not 2xx.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {text}")]
pub(super) struct Refused {
    pub status: StatusCode,
    pub text: String,
}

/// Asks once; the answer's body.
///
/// # Errors
/// [`Refused`] for an answer that is not 2xx, else what was met on the way.
pub(super) async fn ask(place: &Place, ask: Ask<'_>) -> anyhow::Result<Bytes> {
    match timeout(DEADLINE, exchange(place, ask)).await {
        Ok(answer) => answer,
        Err(_) => bail!("no answer within {} s", DEADLINE.as_secs()),
    }
}

async fn exchange(place: &Place, ask: Ask<'_>) -> anyhow::Result<Bytes> {
    let uri: Uri = format!("{}{}", place.url.trim_end_matches('/'), ask.path)
        .parse()
        .context("the address is no URL")?;
    let host = uri.host().context("the address names no host")?.to_owned();
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let request = request(place, ask, &uri)?;
    let stream = TcpStream::connect((bare.as_str(), port))
        .await
        .with_context(|| format!("connect to {host}:{port}"))?;
    if !encrypted {
        return send(stream, request).await;
    }
    let roots = roots(place.ca.as_deref())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(bare).context("the host's name cannot be certified")?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .with_context(|| format!("speak TLS with {host}:{port}"))?;
    send(stream, request).await
}

fn request(place: &Place, ask: Ask<'_>, uri: &Uri) -> anyhow::Result<Request<Full<Bytes>>> {
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let authority = uri.authority().map_or("", |a| a.as_str());
    let method = match ask.body {
        Some(_) => Method::POST,
        None => Method::GET,
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("hostwell/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    if let Some(file) = &place.token_file {
        let token = String::from_utf8(secret(file)?).context("the token is no text")?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .context("the token cannot stand in a header")?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let body = Full::new(Bytes::from(ask.body.unwrap_or_default()));
    request.body(body).context("put the request together")
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .context("speak HTTP")?;
    // Ends with the request: the sender is dropped, or the deadline drops both.
    let mut connection = std::pin::pin!(connection);
    let exchange = async {
        let answer = sender.send_request(request).await.context("ask")?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let read = body.collect().await;
        let body = read.map_err(|e| anyhow::anyhow!("read the answer: {e}"))?;
        let body = body.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
        Err(anyhow::Error::new(Refused {
            status,
            text: text.trim().to_owned(),
        }))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended.context("the connection broke")?;
            // The connection may end behind a whole answer.
            exchange.await
        }
    }
}

/// What stands in a file of a secret, without the line end that editors leave.
pub(super) fn secret(path: &Path) -> anyhow::Result<Vec<u8>> {
    let reading = || format!("read {}", path.display());
    let bytes = std::fs::metadata(path).with_context(reading)?.len();
    if bytes > SECRET_BYTES_MAX {
        bail!("{} is too long for a secret: {bytes} bytes", path.display());
    }
    let mut secret = std::fs::read(path).with_context(reading)?;
    while secret.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
        secret.pop();
    }
    if secret.is_empty() {
        bail!("{} is empty", path.display());
    }
    Ok(secret)
}

fn roots(ca: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let system = || {
        let known = SYSTEM_ROOTS.iter().map(Path::new);
        known.into_iter().find(|path| path.is_file())
    };
    let path = ca
        .or_else(system)
        .context("this system has no list of authorities: say whom to trust with ca = FILE")?;
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("read {}", path.display()))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        bail!("{} holds no certificate", path.display());
    }
    Ok(roots)
}
