//! A node whose clock a server shows to be wrong.

use super::client::Client;
use super::{Node, node};
use consensus::Fork;
use node::clock::{Server, Sources};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that lives in another century, until it is told the time.
async fn server() -> (Server, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let is_wrong = Arc::new(AtomicBool::new(true));
    let wrong = Arc::clone(&is_wrong);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 2048]).await;
            let date = if wrong.load(Ordering::Relaxed) {
                "Sat, 01 Jan 2000 00:00:00 GMT".to_owned()
            } else {
                http_date()
            };
            let answer =
                format!("HTTP/1.1 404 Not Found\r\ndate: {date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (Server::new(&url).unwrap().with_own_clock(), is_wrong)
}

/// The date of now, counted year by year and month by month.
fn http_date() -> String {
    /// Seconds from 1970 to 2000.
    const UNTIL_2000: u64 = 946_684_800;
    let seconds = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() - UNTIL_2000;
    let (mut days, mut year, mut month) = (seconds / 86_400, 2000, 0);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let names = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (name, time) = (&names[3 * month..3 * month + 3], seconds % 86_400);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!(
        "Mon, {:02} {name} {year} {hour:02}:{minute:02}:{second:02} GMT",
        days + 1
    )
}

async fn until_wrong(node: &Node, wrong: bool) {
    let turned = async {
        while node.running.chain.clock_watch().wrong().is_some() != wrong {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), turned).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_wrong_clock_nothing_is_done_and_with_a_right_one_it_goes_on() {
    let node = node(Fork::Fulu).await;
    let (server, is_wrong) = server().await;
    node.running.watch_clock(Sources {
        servers: vec![server],
        kernel: || None,
        again: Duration::from_millis(50),
    });
    until_wrong(&node, true).await;
    let slot = node.now();
    let path = format!("/eth/v1/validator/attestation_data?slot={slot}&committee_index=0");
    let refused = node.client.get(&path).await;
    assert_eq!(refused.status, 503);
    assert!(
        refused.text().contains("the clock of the node is wrong: it is "),
        "{}",
        refused.text()
    );
    assert_eq!(node.data("/eth/v1/node/syncing").await["is_syncing"], true);
    let metrics = async || Client::new(node.metrics).get("/metrics").await.text();
    assert!(metrics().await.contains("\nwren_clock_wrong 1\n"));
    while node.now() < slot + 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        node.running.chain.snapshot().current_slot() <= slot,
        "the chain was told the time"
    );
    is_wrong.store(false, Ordering::Relaxed);
    until_wrong(&node, false).await;
    node.until(slot + 2).await;
    assert!(metrics().await.contains("\nwren_clock_wrong 0\n"));
    let slot = node.now() + 1;
    node.until(slot).await;
    node.propose(slot, true).await;
    node.running.end().await;
}
