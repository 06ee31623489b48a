//! An HTTP client as simple as can be: one connection for each request, whose end ends the answer.

use consensus::Fork;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(own, _)| own == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// The pieces of a chunked body put together.
fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .expect("a chunk has a length");
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Client { address }
    }

    /// Sends a request as it is and reads to the end; `None` if nothing comes.
    pub(crate) async fn raw(&self, request: &[u8]) -> Option<Answered> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may refuse before it has read all.
        let _ = stream.write_all(request).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let split = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let header = |line: &str| {
            line.split_once(": ")
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let headers: Vec<(String, String)> = lines.filter_map(header).collect();
        let body = &bytes[split + 4..];
        let chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked { dechunked(body) } else { body.to_vec() };
        Some(Answered { status, headers, body })
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answered {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        self.raw(&request)
            .await
            .unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, "", b"").await
    }

    pub(crate) async fn get_ssz(&self, path: &str) -> Answered {
        let accept = "Accept: application/octet-stream;q=1.0,application/json;q=0.9\r\n";
        self.ask("GET", path, accept, b"").await
    }

    pub(crate) async fn post(&self, path: &str, fork: Fork, body: String) -> Answered {
        let headers = format!("Content-Type: application/json\r\nEth-Consensus-Version: {fork}\r\n");
        self.ask("POST", path, &headers, body.as_bytes()).await
    }

    pub(crate) async fn post_ssz(&self, path: &str, fork: Fork, body: Vec<u8>) -> Answered {
        let headers = format!("Content-Type: application/octet-stream\r\nEth-Consensus-Version: {fork}\r\n");
        self.ask("POST", path, &headers, &body).await
    }
}
