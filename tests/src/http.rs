//! As much HTTP/1.1 as the peers need: one kept connection, a request, its answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wait::seconds;

/// A connection to a peer.
pub struct Http {
    stream: BufReader<TcpStream>,
}

impl Http {
    /// Connects.
    pub fn to(address: SocketAddr) -> Http {
        let stream = TcpStream::connect(address).expect("the peer listens");
        stream.set_read_timeout(Some(seconds(600))).unwrap();
        stream.set_nodelay(true).unwrap();
        Http {
            stream: BufReader::new(stream),
        }
    }

    /// Asks; an answer that is not 2xx is an error with its text.
    pub fn get(&mut self, path: &str) -> Result<String, String> {
        self.send("GET", path, "", &[])
    }

    /// The same without a body, as a POST.
    pub fn post(&mut self, path: &str) -> Result<String, String> {
        self.send("POST", path, "", &[])
    }

    /// Posts JSON.
    pub fn post_json(&mut self, path: &str, json: &str) -> Result<String, String> {
        self.send(
            "POST",
            path,
            "Content-Type: application/json\r\n",
            json.as_bytes(),
        )
    }

    /// Deletes.
    pub fn delete(&mut self, path: &str) -> Result<String, String> {
        self.send("DELETE", path, "", &[])
    }

    /// Sends a packed remote write.
    pub fn write(&mut self, body: &[u8]) -> Result<String, String> {
        self.send("POST", "/api/v1/write", WRITE_HEADERS, body)
    }

    /// Sends samples as text, a line each with its milliseconds.
    pub fn import(&mut self, lines: &[u8]) -> Result<String, String> {
        self.send("POST", "/api/v1/import/prometheus", "", lines)
    }

    fn send(&mut self, verb: &str, path: &str, more: &str, body: &[u8]) -> Result<String, String> {
        let length = body.len();
        let mut request = format!(
            "{verb} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        let told = |e: std::io::Error| format!("{verb} {path}: {e}");
        self.stream.get_mut().write_all(&request).map_err(told)?;
        let (status, body) = self.answer().map_err(told)?;
        let text = String::from_utf8_lossy(&body).into_owned();
        match status {
            200..=299 => Ok(text),
            _ => Err(format!("{verb} {path}: {status} {}", text.trim())),
        }
    }

    fn answer(&mut self) -> std::io::Result<(u16, Vec<u8>)> {
        let (mut status, mut length, mut chunked) = (0, 0, false);
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest
                    .split(' ')
                    .next()
                    .and_then(|s| s.parse().ok())
                    .unwrap_or(0);
            }
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse().unwrap_or(0);
            }
            chunked |= lower == "transfer-encoding: chunked";
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        while chunked {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap_or(0);
            let from = body.len();
            body.resize(from + size, 0);
            self.stream.read_exact(&mut body[from..])?;
            line.clear();
            self.stream.read_line(&mut line)?;
            chunked = size > 0;
        }
        Ok((status, body))
    }
}

/// What a remote write says about itself.
pub const WRITE_HEADERS: &str = "Content-Encoding: snappy\r\n\
    Content-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";

/// A value in a query string.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
