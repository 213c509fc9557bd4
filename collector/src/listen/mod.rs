//! Accepts connections, for gRPC and for pages alike: a bound on how many are open, a deadline for
//! the handshake and the first bytes, TLS where it is configured, and who the peer is.
//!
//! The servers' own accept loops bound none of these: a peer that connects and says nothing would
//! keep its place for ever.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use anyhow::Context;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::auth::{Identity, Peer};

mod owner;

/// The first bytes of HTTP/2; a request line of HTTP/1.1 is hardly shorter.
const GREETING_BYTES: usize = 16;
/// Accepted connections that wait for the server to take them.
const QUEUE_MAX: usize = 64;

/// What bounds a listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most connections open at a time.
    pub connections: usize,
    /// Time for TLS and the first bytes.
    pub handshake: Duration,
    /// A connection on which nothing moves for this long is closed; `None` where the protocol
    /// itself asks whether the peer lives.
    pub idle: Option<Duration>,
}

/// An address that is being listened on.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    accepted: mpsc::Receiver<Connection>,
}

impl Listener {
    /// Binds and begins to accept; `shutdown` ends it. `what` is for the message.
    ///
    /// # Errors
    /// When the address cannot be bound; says what to do when it is taken.
    pub async fn open(
        what: &str,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        bounds: Bounds,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Listener> {
        let socket = TcpListener::bind(address).await;
        let socket = socket.map_err(|error| refusal(error, what, address))?;
        let address = socket.local_addr().context("ask for the bound address")?;
        let (sender, accepted) = mpsc::channel(QUEUE_MAX);
        let acceptor = Acceptor {
            tls: tls.map(TlsAcceptor::from),
            handshake: bounds.handshake,
            idle: bounds.idle,
            sender,
        };
        let slots = Arc::new(Semaphore::new(bounds.connections));
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = acceptor.run(socket, slots) => {}
            }
        });
        Ok(Listener { address, accepted })
    }

    /// Where it listens; with the real port when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection; `None` after the shutdown.
    pub async fn next(&mut self) -> Option<Connection> {
        self.accepted.recv().await
    }

    /// The connections, as they come.
    pub fn into_receiver(self) -> mpsc::Receiver<Connection> {
        self.accepted
    }
}

fn refusal(error: io::Error, what: &str, address: SocketAddr) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; {} listens there: stop it, or choose another address (a collector that runs \
             already answers `hostwell hosts`)",
            owner::of(address).unwrap_or_else(|| "another program".to_owned())
        ),
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege: choose a higher one".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address".to_owned(),
        _ => String::new(),
    };
    anyhow::Error::new(error).context(format!("listen on {address} for {what}{remedy}"))
}

struct Acceptor {
    tls: Option<TlsAcceptor>,
    handshake: Duration,
    idle: Option<Duration>,
    sender: mpsc::Sender<Connection>,
}

impl Acceptor {
    async fn run(&self, socket: TcpListener, slots: Arc<Semaphore>) {
        loop {
            if slots.available_permits() == 0 {
                tracing::warn!("every connection is taken; new ones wait (limits.connections)");
            }
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            match socket.accept().await {
                Ok((stream, from)) => self.greet(stream, from, slot),
                // Out of descriptors, or the peer gave up: neither ends the collector.
                Err(error) => {
                    tracing::warn!(%error, "accept a connection");
                    sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// Shakes hands beside the accept loop, so that a slow peer delays nobody.
    fn greet(&self, stream: TcpStream, from: SocketAddr, slot: OwnedSemaphorePermit) {
        let deadline = Instant::now() + self.handshake;
        let (tls, idle, sender) = (self.tls.clone(), self.idle, self.sender.clone());
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %from, "turn off delays");
        }
        tokio::spawn(async move {
            let transport = match tls {
                None => Transport::Plain(stream),
                Some(tls) => match timeout_at(deadline, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Transport::Tls(Box::new(stream)),
                    Ok(Err(error)) => {
                        tracing::info!(%from, %error, "TLS handshake failed");
                        return;
                    }
                    Err(_) => {
                        tracing::info!(%from, "TLS handshake took too long");
                        return;
                    }
                },
            };
            let connection = Connection {
                peer: Peer {
                    address: from,
                    identity: transport.identity(),
                },
                transport,
                patience: Some(Patience {
                    missing: GREETING_BYTES,
                    idle,
                    deadline: Box::pin(sleep_until(deadline)),
                }),
                _slot: slot,
            };
            // Fails only when the server is gone.
            let _ = sender.send(connection).await;
        });
    }
}

/// An accepted connection; it holds its place until it is dropped.
pub struct Connection {
    peer: Peer,
    transport: Transport,
    patience: Option<Patience>,
    _slot: OwnedSemaphorePermit,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Until when something has to move.
struct Patience {
    /// First bytes that are still owed.
    missing: usize,
    /// Time between two movements once they are there.
    idle: Option<Duration>,
    deadline: Pin<Box<Sleep>>,
}

impl Patience {
    /// Notes bytes that moved; answers whether there is anything more to wait for.
    fn moved(&mut self, read: usize) -> bool {
        self.missing = self.missing.saturating_sub(read);
        match self.idle {
            _ if self.missing > 0 => true,
            None => false,
            Some(idle) => {
                self.deadline.as_mut().reset(Instant::now() + idle);
                true
            }
        }
    }
}

impl Transport {
    fn identity(&self) -> Option<Identity> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => Identity::of(stream.get_ref().1.peer_certificates()?),
        }
    }
}

impl Connection {
    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// An answer is a movement too.
    fn wrote(&mut self) {
        if let Some(patience) = &mut self.patience {
            patience.moved(0);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(task, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(task, buffer),
        };
        if let Some(patience) = &mut this.patience {
            let moved = buffer.filled().len() - before;
            if moved > 0 {
                if !patience.moved(moved) {
                    this.patience = None;
                }
            } else if read.is_pending() && patience.deadline.as_mut().poll(task).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wrote();
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(task, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(task, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(task),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(task),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(task),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(task),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wrote();
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(task, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(task, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests;
