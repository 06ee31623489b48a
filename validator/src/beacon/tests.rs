//! The client against scripted nodes on real sockets: what a node may do wrong, and what is then done about it.

use super::*;
use crate::clock::Clock;
use crate::scripted::{Asked, Reply, Scripted};
use consensus::ssz::Json;
use consensus::types::{AttestationData, Root};
use consensus::{Config, Fork};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn config() -> Config {
    Config::standard().with_forks_at_genesis(Fork::Fulu)
}

fn genesis() -> Genesis {
    Genesis {
        genesis_time: 1_700_000_000,
        ..Genesis::default()
    }
}

fn syncing(head_slot: u64, distance: u64) -> String {
    format!(
        "{{\"head_slot\":\"{head_slot}\",\"sync_distance\":\"{distance}\",\"is_syncing\":{},\"is_optimistic\":false,\
         \"el_offline\":false}}",
        distance > 100
    )
}

/// What a good node answers to the questions of a health check.
fn introduction(asked: &Asked, distance: u64) -> Option<Reply> {
    let reply = match asked.path.as_str() {
        "/eth/v1/beacon/genesis" => Reply::data(genesis().to_json(Fork::Phase0)),
        "/eth/v1/config/spec" => Reply::data(config().spec_json()),
        "/eth/v1/node/version" => Reply::data("{\"version\":\"Scripted/1\"}"),
        "/eth/v1/node/syncing" => Reply::data(syncing(3, distance)),
        _ => return None,
    };
    Some(reply)
}

/// A node that introduces itself well and answers everything else by the closure.
fn good(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |asked| introduction(asked, 0).unwrap_or_else(|| answer(asked)))
}

fn root_of(byte: u8) -> String {
    format!("{{\"root\":\"0x{}\"}}", format!("{byte:02x}").repeat(32))
}

fn nodes(scripts: &[&Scripted], broadcast: bool) -> Nodes {
    let node =
        |(position, script): (usize, &&Scripted)| Node::new(position, script.url().parse().unwrap(), &Reach::default());
    let list = scripts.iter().enumerate().map(node).collect::<Result<_, _>>().unwrap();
    Nodes::new(list, broadcast).unwrap()
}

async fn checked(scripts: &[&Scripted], broadcast: bool) -> Nodes {
    let nodes = nodes(scripts, broadcast);
    let clock = Clock::new(Arc::new(config()), genesis().genesis_time);
    for position in 0..scripts.len() {
        nodes.check(position, &config(), &genesis(), &clock).await;
    }
    nodes
}

fn ask(within: u64, patience: u64) -> Ask {
    Ask {
        what: "head",
        need: Need::Head,
        epoch: 0,
        within: Duration::from_millis(within),
        patience: Duration::from_millis(patience),
        prefer: None,
    }
}

async fn head(nodes: &Nodes, ask: Ask) -> Result<Answer<Root>, Unanswered> {
    nodes
        .first(ask, |node, left| async move { node.head_root(left).await })
        .await
}

#[tokio::test]
async fn a_failing_node_costs_nothing_and_a_slow_one_its_patience() {
    let slow = good(|_| Reply::data(root_of(1)).after(Duration::from_secs(3)));
    let broken = good(|_| Reply::status(500, "no"));
    let fine = good(|_| Reply::data(root_of(2)));
    let three = checked(&[&slow, &broken, &fine], false).await;
    let begun = Instant::now();
    let answer = head(&three, ask(2_500, 200)).await.unwrap();
    assert_eq!((answer.value.0[0], answer.from), (2, 2));
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(200) && took < Duration::from_millis(1_500),
        "{took:?}"
    );

    // In time, the better node's answer counts, and nobody else is asked.
    let patient = head(&three, ask(6_000, 5_000)).await.unwrap();
    assert_eq!(patient.from, 0);
    assert_eq!(fine.asked("/eth/v1/beacon/blocks").len(), 1);
    // Unless another one is preferred.
    let prefer = Some(2);
    assert_eq!(
        head(
            &three,
            Ask {
                prefer,
                ..ask(2_000, 900)
            }
        )
        .await
        .unwrap()
        .from,
        2
    );
}

#[tokio::test]
async fn when_nobody_answers_everybody_is_named() {
    let broken = good(|_| Reply::status(500, "pump\\u0007 empty"));
    let slow = good(|_| Reply::data(root_of(1)).after(Duration::from_secs(2)));
    let two = checked(&[&broken, &slow], false).await;
    let begun = Instant::now();
    let error = head(&two, ask(400, 100)).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(1_500));
    assert_eq!(error.kind(), Kind::Status(500));
    let text = error.to_string();
    assert!(text.contains("500") && text.contains("pump  empty"), "{text}");
    assert!(text.contains(&slow.url()), "{text}");
    assert_eq!(error.errors[1].kind, Kind::Timeout);
}

#[tokio::test]
async fn nodes_that_lag_or_follow_another_chain_are_not_asked() {
    let syncing = Scripted::start(|asked| introduction(asked, 500).unwrap_or(Reply::data(root_of(1))));
    let behind = Scripted::start(|asked| introduction(asked, 20).unwrap_or(Reply::data(root_of(2))));
    let stranger = Scripted::start(|asked| match asked.path.as_str() {
        "/eth/v1/beacon/genesis" => Reply::data(Genesis::default().to_json(Fork::Phase0)),
        _ => introduction(asked, 0).unwrap_or(Reply::data(root_of(3))),
    });
    let near = good(|_| Reply::data(root_of(4)));
    let four = checked(&[&syncing, &behind, &stranger, &near], false).await;
    assert_eq!(head(&four, ask(2_000, 900)).await.unwrap().from, 3);
    assert_eq!(four.best(Need::Head, 0), Some(3));
    let two = checked(&[&syncing, &stranger], false).await;
    let error = head(&two, ask(500, 100)).await.unwrap_err().to_string();
    assert!(
        error.contains("syncing, 500 slots to go") && error.contains("another network"),
        "{error}"
    );
    assert!(stranger.asked("/eth/v1/beacon/blocks").is_empty());
    assert!(
        two.first(
            Ask {
                need: Need::Chain,
                ..ask(2_000, 900)
            },
            |node, left| async move { node.head_root(left).await }
        )
        .await
        .is_ok()
    );
}

#[tokio::test]
async fn a_node_that_comes_back_is_asked_who_it_is_again() {
    let dead = Scripted::start(|_| Reply::status(500, "starting"));
    let nodes = nodes(&[&dead], false);
    let clock = Clock::new(Arc::new(config()), genesis().genesis_time);
    let (config, genesis) = (config(), genesis());
    let check = || nodes.check(0, &config, &genesis, &clock);
    assert!(check().await.unwrap().contains("500"));
    // The same again is no news.
    assert_eq!(check().await, None);
    let error = head(&nodes, ask(500, 100)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotReady);

    let stopped = Arc::new(AtomicBool::new(false));
    let flag = stopped.clone();
    let node = Scripted::start(move |asked| {
        if flag.load(Ordering::SeqCst) {
            return Reply::status(500, "stopping");
        }
        introduction(asked, 0).unwrap_or(Reply::data(root_of(1)))
    });
    let nodes = self::nodes(&[&node], false);
    let check = || nodes.check(0, &config, &genesis, &clock);
    assert!(check().await.unwrap().contains("(Scripted/1): ready"));
    stopped.store(true, Ordering::SeqCst);
    assert!(check().await.unwrap().contains("stopping"));
    stopped.store(false, Ordering::SeqCst);
    assert!(check().await.unwrap().contains("ready"));
    assert_eq!(node.asked("/eth/v1/beacon/genesis").len(), 2);
}

#[tokio::test]
async fn broken_bodies_are_errors_and_the_next_node_is_asked() {
    let mut cut = Reply::data(root_of(1));
    cut.missing = 10;
    let mut chunked = Reply::data(root_of(7));
    chunked.chunked = Some(3);
    let bad = [
        Reply::json("no json"),
        Reply::json("{}"),
        Reply::json("[]"),
        Reply::data("{\"root\":\"0x12\"}"),
        Reply::data("{\"root\":7}"),
        Reply::json(format!("{{\"execution_optimistic\":true,\"data\":{}}}", root_of(1))),
        Reply::data(format!("\"{}\"", "x".repeat(1 << 20))),
        cut,
        Reply::status(204, ""),
        Reply::status(301, "over there"),
    ];
    let fine = good(move |_| chunked.clone());
    for reply in bad {
        let shown: String = String::from_utf8_lossy(&reply.body).chars().take(200).collect();
        let script = good(move |_| reply.clone());
        let two = checked(&[&script, &fine], false).await;
        let node = &two.all()[0];
        assert!(node.head_root(Duration::from_secs(2)).await.is_err(), "{shown}");
        let answer = head(&two, ask(2_000, 1_500)).await.unwrap();
        assert_eq!((answer.from, answer.value.0[31]), (1, 7), "{shown}");
    }
}

#[tokio::test]
async fn own_messages_go_to_all_nodes_if_asked() {
    let taken = good(|_| Reply::json(""));
    let refused = good(|_| Reply::status(400, "old"));
    let message = |node: Arc<Node>, left| async move { node.submit_sync_messages(&[], left).await };
    let path = "/eth/v1/beacon/pool/sync_committees";
    let all = checked(&[&refused, &taken, &refused], true).await;
    assert_eq!(all.publish(ask(2_000, 500), message).await.unwrap().from, 1);
    assert_eq!((refused.asked(path).len(), taken.asked(path).len()), (2, 1));
    assert_eq!(taken.asked(path)[0].body, b"[]");
    let one = checked(&[&taken, &refused], false).await;
    assert_eq!(one.publish(ask(2_000, 500), message).await.unwrap().from, 0);
    assert_eq!(refused.asked(path).len(), 2);
}

#[tokio::test]
async fn duties_are_asked_on_the_newest_route_that_the_node_has() {
    let pubkey = format!("0x{}", "ab".repeat(48));
    let duty = format!("[{{\"pubkey\":\"{pubkey}\",\"validator_index\":\"5\",\"slot\":\"33\"}}]");
    let root = format!("0x{}", "09".repeat(32));
    let answer = format!("{{\"dependent_root\":\"{root}\",\"execution_optimistic\":false,\"data\":{duty}}}");
    let old = good(move |asked| {
        if asked.path.starts_with("/eth/v1/validator/duties/proposer/") {
            Reply::json(answer.clone())
        } else {
            Reply::status(404, "no such route")
        }
    });
    let nodes = checked(&[&old], false).await;
    for _ in 0..2 {
        let duties = nodes.all()[0].proposer_duties(1, Duration::from_secs(2)).await.unwrap();
        assert_eq!(duties.dependent_root.unwrap().0[5], 9);
        assert_eq!((duties.duties[0].slot, duties.duties[0].validator_index), (33, 5));
    }
    assert_eq!(old.asked("/eth/v2/validator/duties/proposer/1").len(), 1);
    assert_eq!(old.asked("/eth/v1/validator/duties/proposer/1").len(), 2);
}

#[tokio::test]
async fn credentials_and_prefix_are_sent_and_the_version_of_a_body() {
    let node = Scripted::start(|_| Reply::json("{}"));
    let url = format!("http://me:secret@{}/prefix", node.address).parse().unwrap();
    let client = Node::new(0, url, &Reach::default()).unwrap();
    let timeout = Duration::from_secs(2);
    client
        .submit_single_attestations(&[], Fork::Fulu, timeout)
        .await
        .unwrap();
    let asked = &node.asked("/prefix/eth/v2/beacon/pool/attestations")[0];
    assert_eq!(asked.method, "POST");
    let has = |line: &str| asked.headers.iter().any(|header| header == line);
    assert!(has("authorization: basic bwu6c2vjcmv0"), "{:?}", asked.headers);
    assert!(has("eth-consensus-version: fulu") && has("content-type: application/json"));
    let error = client.attestation_data(1, 0, timeout).await.unwrap_err();
    assert!(
        !error.text.contains("secret") && !error.text.contains("prefix"),
        "{}",
        error.text
    );
}

#[tokio::test]
async fn attestation_data_is_read() {
    let data = AttestationData {
        slot: 7,
        ..AttestationData::default()
    };
    let node = good(move |_| Reply::data(data.to_json(Fork::Fulu)));
    let nodes = checked(&[&node], false).await;
    let read = nodes.all()[0].attestation_data(7, 0, Duration::from_secs(2)).await;
    assert_eq!(read, Ok(data));
    let asked = &node.asked("/eth/v1/validator/attestation_data")[0];
    assert_eq!(
        (asked.query("slot"), asked.query("committee_index")),
        (Some("7"), Some("0"))
    );
}

#[tokio::test]
async fn events_come_in_pieces_and_silence_is_an_end() {
    let root = "0x".to_string() + &"11".repeat(32);
    let event = format!(
        "event: head\ndata: {{\"slot\":\"9\",\"block\":\"{root}\",\"previous_duty_dependent_root\":\"{root}\",\
         \"current_duty_dependent_root\":\"{root}\",\"execution_optimistic\":true}}\n\n:\n\n"
    );
    let node = Scripted::start(move |asked| {
        if asked.query("topics").unwrap().starts_with("head,") {
            return Reply::status(400, "unknown topic");
        }
        let mut reply = Reply::json(event.clone()).header("content-type", "text/event-stream");
        (reply.chunked, reply.linger) = (Some(7), Duration::from_secs(2));
        reply
    });
    let client = Node::new(0, node.url().parse().unwrap(), &Reach::default()).unwrap();
    let mut events = Events::open(&client).await.unwrap();
    let Event::Head(head) = events.next(Duration::from_secs(1)).await.unwrap() else {
        panic!("no head event");
    };
    assert_eq!((head.slot, head.execution_optimistic), (9, true));
    assert!(events.next(Duration::from_millis(300)).await.is_err());
    assert_eq!(node.asked("/eth/v1/events").len(), 2);
}

#[tokio::test]
async fn nobody_there_is_a_quick_and_clear_error() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Node::new(0, format!("http://{port}").parse().unwrap(), &Reach::default()).unwrap();
    let error = client.head_root(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(
        error.text.contains(&port.to_string()) && error.text.contains("refused"),
        "{}",
        error.text
    );
    let wrong = Reach {
        authorities: Some(b"no certificate".to_vec()),
        ..Reach::default()
    };
    assert!(Node::new(0, "https://x".parse().unwrap(), &wrong).is_err());
}
