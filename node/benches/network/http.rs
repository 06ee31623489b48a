//! One question to a node's API, on a connection of its own.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// The body of a successful answer; `None` for any other, and where nobody listens.
fn ask(port: u16, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = body.len();
    let head = format!("{head}Host: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let success = answer.starts_with(b"HTTP/1.1 200");
    success.then(|| answer.split_off(end + 4))
}

/// The `data` of an answer in JSON.
pub(super) fn data(port: u16, path: &str) -> Option<Value> {
    let body = ask(
        port,
        &format!("GET {path} HTTP/1.1\r\nAccept: application/json\r\n"),
        &[],
    )?;
    let mut value: Value = serde_json::from_slice(&body).ok()?;
    Some(value["data"].take())
}

/// Publishes a block in SSZ; whether it was taken.
pub(super) fn publish(port: u16, block: &[u8]) -> bool {
    let head = "POST /eth/v2/beacon/blocks HTTP/1.1\r\nContent-Type: application/octet-stream\r\n\
                Eth-Consensus-Version: fulu\r\n";
    ask(port, head, block).is_some()
}

/// A text that is the whole answer, such as metrics.
pub(super) fn text(port: u16, path: &str) -> Option<String> {
    String::from_utf8(ask(port, &format!("GET {path} HTTP/1.1\r\n"), &[])?).ok()
}
