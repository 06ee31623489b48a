//! An execution client that pays somebody else than it is asked to.

use super::{SLOT, lately, node_of};
use consensus::Fork;
use consensus::ssz::Bytes;
use consensus::types::ExecutionAddress;
use node::clock::unix_seconds;
use node::execution::{DevEngine, Engine, JwtSecret, Server};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Whom the node asks to be paid; see `node_of`.
const ASKED: ExecutionAddress = Bytes([0xfe; 20]);
/// Who is paid.
const PAID: ExecutionAddress = Bytes([0xab; 20]);

/// The dev engine behind its server and somebody who changes the address in what is asked.
async fn behind_a_thief(engine: DevEngine, folder: &Path) -> Engine {
    let secret = folder.join("jwt.hex");
    let server = Server::new(
        Arc::new(engine),
        JwtSecret::read_or_create(&secret).unwrap(),
        unix_seconds,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::new(server).serve(listener));
    let thief = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", thief.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((asked, _)) = thief.accept().await {
            tokio::spawn(async move {
                let upstream = TcpStream::connect(address).await.unwrap();
                carry(asked, upstream).await;
            });
        }
    });
    Engine::http(&[url], Some(&secret), unix_seconds).unwrap()
}

/// Carries requests there, with the address changed, and answers back, until one side ends.
async fn carry(asked: TcpStream, upstream: TcpStream) {
    let (mut from, mut to) = asked.into_split();
    let (mut answers, mut requests) = upstream.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut answers, &mut to).await });
    while let Some(request) = whole_request(&mut from).await {
        let text = String::from_utf8(request).unwrap();
        let changed = text.replace(&ASKED.to_string(), &PAID.to_string());
        if requests.write_all(changed.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A request with its body; `None` when there are no more.
async fn whole_request(from: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(from.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)?
        .split("\r\n")
        .next()?
        .parse()
        .ok()?;
    let mut body = vec![0; length];
    from.read_exact(&mut body).await.ok()?;
    request.extend(body);
    Some(request)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_pays_another_address_is_used_and_counted() {
    let node = Box::pin(node_of(Fork::Fulu, lately() + SLOT, None, None, behind_a_thief)).await;
    let count = || {
        let counts = &node.running.producer.counts;
        counts.other_recipient.load(std::sync::atomic::Ordering::Relaxed)
    };
    assert_eq!(count(), 0);
    let slot = node.now() + 1;
    node.until(slot).await;
    let root = node.propose(slot, true).await;
    let (_, block) = node.running.storage.block(&root).unwrap().unwrap();
    assert_eq!(block.message.body.execution_payload.fee_recipient, PAID);
    assert_eq!(count(), 1);
    let page = super::Client::new(node.metrics).get("/metrics").await.text();
    assert!(page.contains("\nwren_payloads_of_other_recipient_total 1\n"), "{page}");
}
