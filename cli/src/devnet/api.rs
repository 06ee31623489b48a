//! The few questions that the view asks the node's Beacon API.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A node of this machine answers at once; one that does not is asked again a moment later.
const ANSWER: Duration = Duration::from_secs(2);

/// The answers asked for are a few hundred bytes.
const ANSWER_BYTES: u64 = 1 << 20;

/// The JSON behind a path; `None` while there is no answer.
pub(super) async fn get(api: SocketAddr, path: &str) -> Option<Value> {
    tokio::time::timeout(ANSWER, ask(api, path)).await.ok().flatten()
}

async fn ask(api: SocketAddr, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(api).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {api}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await.ok()?;
    let text = String::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    if head.split(' ').nth(1) != Some("200") {
        return None;
    }
    serde_json::from_str(body).ok()
}

/// A quoted number of an answer.
pub(super) fn number(value: &Value, path: &str) -> Option<u64> {
    value.pointer(path)?.as_str()?.parse().ok()
}
