//! An HTTP client over one connection, as simple as measuring needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

/// The body of a successful answer.
pub(super) struct Body(Vec<u8>);

impl Body {
    /// A quoted number of its JSON.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let value: serde_json::Value = serde_json::from_slice(&self.0).ok()?;
        value["data"][name].as_str()?.parse().ok()
    }
}

impl Client {
    /// A connection; `None` where nobody listens.
    pub(super) fn connect(port: u16) -> Option<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Client {
            stream: BufReader::new(stream),
        })
    }

    pub(super) fn get(&mut self, path: &str) -> Option<Body> {
        self.ask(
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n"),
            &[],
        )
    }

    pub(super) fn post_json(&mut self, path: &str, body: &str) -> Option<Body> {
        self.post(path, "Content-Type: application/json", body.as_bytes())
    }

    pub(super) fn post_ssz(&mut self, path: &str, fork: &str, body: &[u8]) -> Option<Body> {
        let headers = format!("Content-Type: application/octet-stream\r\nEth-Consensus-Version: {fork}");
        self.post(path, &headers, body)
    }

    fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Option<Body> {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\nContent-Length: {length}\r\n\r\n");
        self.ask(&head, body)
    }

    /// `None` for an answer that is no success, which is told.
    fn ask(&mut self, head: &str, body: &[u8]) -> Option<Body> {
        let stream = self.stream.get_mut();
        stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
        let status = self.line()?;
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?.to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse().ok()?;
            }
            is_chunked |= line == "transfer-encoding: chunked";
        }
        let body = if is_chunked {
            self.chunks()?
        } else {
            self.bytes(length)?
        };
        if status.starts_with("HTTP/1.1 200") {
            return Some(Body(body));
        }
        println!("    {status}: {}", String::from_utf8_lossy(&body));
        None
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).ok()?;
            whole.extend(self.bytes(size)?);
            self.line()?;
            if size == 0 {
                return Some(whole);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        line.ends_with("\r\n").then(|| line.trim_end().to_owned())
    }

    fn bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}
