use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn open(idle: Option<Duration>) -> (Listener, TcpStream, Connection) {
    let bounds = Bounds {
        connections: 4,
        handshake: Duration::from_millis(200),
        idle,
    };
    let free = ([127, 0, 0, 1], 0).into();
    let listener = Listener::open("tests", free, None, bounds, CancellationToken::new());
    let mut listener = listener.await.unwrap();
    let peer = TcpStream::connect(listener.address()).await.unwrap();
    let connection = listener.next().await.unwrap();
    assert_eq!(connection.peer().address, peer.local_addr().unwrap());
    (listener, peer, connection)
}

#[tokio::test]
async fn the_first_bytes_have_a_deadline() {
    let (_listener, mut peer, mut connection) = open(None).await;
    peer.write_all(b"short").await.unwrap();
    let error = connection.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_closed() {
    let (_listener, mut peer, mut connection) = open(Some(Duration::from_millis(200))).await;
    peer.write_all(&[b'x'; GREETING_BYTES]).await.unwrap();
    let mut heard = Vec::new();
    let error = connection.read_to_end(&mut heard).await.unwrap_err();
    assert_eq!(
        (heard.len(), error.kind()),
        (GREETING_BYTES, io::ErrorKind::TimedOut)
    );
}

#[tokio::test]
async fn where_the_protocol_asks_by_itself_silence_is_allowed() {
    let (_listener, mut peer, mut connection) = open(None).await;
    peer.write_all(&[b'x'; GREETING_BYTES]).await.unwrap();
    let mut heard = Vec::new();
    let reading = tokio::time::timeout(
        Duration::from_millis(600),
        connection.read_to_end(&mut heard),
    );
    assert!(reading.await.is_err(), "closed after {} bytes", heard.len());
}
