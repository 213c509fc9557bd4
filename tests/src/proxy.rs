//! A TCP proxy that can be cut: the network between two programs, at our command. It also counts
//! the payload bytes of each direction.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// What the network does just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Line {
    /// Bytes pass.
    Up,
    /// Connections break and new ones are refused at once.
    Refusing,
    /// Connections stay, no byte passes: a cable pulled somewhere in the middle.
    Silent,
    /// Bytes pass, each piece [`SLOW`] later: a long way with little on it.
    Slow,
}

#[derive(Default)]
struct Shared {
    line: AtomicU8,
    gone: AtomicBool,
    upstream_bytes: AtomicU64,
    downstream_bytes: AtomicU64,
    connections: AtomicU64,
}

impl Shared {
    fn line(&self) -> Line {
        match self.line.load(Ordering::Acquire) {
            0 => Line::Up,
            1 => Line::Refusing,
            2 => Line::Silent,
            _ => Line::Slow,
        }
    }
}

/// A running proxy. Dropping it breaks every connection.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// How long a copier waits for bytes before it looks at the line again.
const LOOK: Duration = Duration::from_millis(20);
/// What a slow line adds to each piece and direction.
pub const SLOW: Duration = Duration::from_millis(150);

impl Proxy {
    /// Starts a proxy on a free loopback port towards `target` (which need not listen yet).
    pub fn to(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, target, &accepting));
        Proxy { address, shared }
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what the network does.
    pub fn set(&self, line: Line) {
        self.shared.line.store(line as u8, Ordering::Release);
    }

    /// Payload bytes so far: (towards the target, back from it).
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.shared.upstream_bytes.load(Ordering::Relaxed),
            self.shared.downstream_bytes.load(Ordering::Relaxed),
        )
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Release);
        // Wakes the accepting thread so that it ends and frees the port.
        drop(TcpStream::connect(self.address));
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.gone.load(Ordering::Acquire) {
            return;
        }
        let Ok(client) = client else { continue };
        shared.connections.fetch_add(1, Ordering::Relaxed);
        if shared.line() == Line::Refusing {
            continue;
        }
        let Ok(server) = TcpStream::connect(target) else {
            continue;
        };
        let (c, s) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (up, down) = (Arc::clone(shared), Arc::clone(shared));
        std::thread::spawn(move || copy(&client, &server, &up, &up.upstream_bytes));
        std::thread::spawn(move || copy(&s, &c, &down, &down.downstream_bytes));
    }
}

/// Copies one direction until either side closes or the line refuses.
fn copy(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared, count: &AtomicU64) {
    from.set_read_timeout(Some(LOOK)).unwrap();
    to.set_nodelay(true).unwrap();
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        if shared.gone.load(Ordering::Acquire) || shared.line() == Line::Refusing {
            break;
        }
        if shared.line() == Line::Silent {
            std::thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                count.fetch_add(n as u64, Ordering::Relaxed);
                if shared.line() == Line::Slow {
                    std::thread::sleep(SLOW);
                }
                if to.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::wait::{seconds, until_true};

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.unwrap();
                let mut byte = [0u8; 1];
                while stream.read_exact(&mut byte).is_ok() {
                    stream.write_all(&byte).unwrap();
                }
            }
        });
        address
    }

    #[test]
    fn bytes_pass_stop_and_pass_again_as_the_line_says() {
        let proxy = Proxy::to(echo());
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        let mut byte = [0u8; 1];
        stream.write_all(b"a").unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!((&byte, proxy.bytes()), (b"a", (1, 1)));

        proxy.set(Line::Silent);
        std::thread::sleep(2 * LOOK);
        stream.set_read_timeout(Some(4 * LOOK)).unwrap();
        stream.write_all(b"b").unwrap();
        assert!(stream.read_exact(&mut byte).is_err(), "silent");
        proxy.set(Line::Up);
        stream.set_read_timeout(Some(seconds(5))).unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"b");

        proxy.set(Line::Slow);
        let start = Instant::now();
        stream.write_all(b"s").unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"s");
        assert!(start.elapsed() >= 2 * SLOW, "both ways");

        proxy.set(Line::Refusing);
        until_true("the connection breaks", seconds(5), || {
            stream.write_all(b"c").is_err() || matches!(stream.read(&mut byte), Ok(0))
        });
        proxy.set(Line::Up);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(b"d").unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"d");
    }
}
