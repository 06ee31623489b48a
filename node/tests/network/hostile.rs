//! A peer that breaks the rules: it is answered as the specification has it, costs little, and is cut.

use super::villain::Villain;
use super::{Networked, networked, quiet, status_of, wait_for, with_options};
use crate::api::{Folder, lately};
use consensus::{Fork, Invalid};
use discv5::{ConfigBuilder, Discv5, ListenConfig};
use futures_util::StreamExt as _;
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{Config, Stream, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Transport as _, noise, tcp, yamux};
use node::network::NetworkOptions;
use node::network::counts::Judged;
use node::network::digests::Digests;
use node::network::enr::Enr;
use node::network::gossip::topics::Topic;
use node::network::node_key::NodeKey;
use node::network::peer::{Offence, Peers};
use node::network::rpc::frames::write_payload;
use node::network::rpc::protocol::{Protocol, ProtocolId};
use node::network::rpc::streams::{Behaviour, Open};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A peer that does nothing but what a test has it do.
struct Raw {
    opens: mpsc::Sender<Open>,
}

impl Raw {
    /// Connects.
    async fn dial(address: Multiaddr, peer: PeerId) -> Raw {
        let key = Keypair::generate_secp256k1();
        let transport = tcp::tokio::Transport::new(tcp::Config::default())
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let mut swarm = Swarm::new(
            transport,
            Behaviour::default(),
            PeerId::from(key.public()),
            Config::with_tokio_executor(),
        );
        swarm.dial(address).unwrap();
        loop {
            if let SwarmEvent::ConnectionEstablished { .. } = swarm.select_next_some().await {
                break;
            }
        }
        let (opens, mut wanted) = mpsc::channel(8);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = swarm.select_next_some() => {}
                    open = wanted.recv() => match open {
                        Some(open) => swarm.behaviour_mut().open(peer, open),
                        None => return,
                    }
                }
            }
        });
        Raw { opens }
    }

    /// A stream; `None` when the connection is gone.
    async fn open(&self, protocol: Protocol, version: u8) -> Option<Stream> {
        let (answer, opened) = oneshot::channel();
        let ids = vec![ProtocolId { protocol, version }];
        self.opens.send(Open { ids, answer }).await.ok()?;
        let opened = tokio::time::timeout(Duration::from_secs(20), opened).await.ok()?;
        opened.ok()?.ok().map(|(_, stream)| stream)
    }

    /// Sends bytes as a request and reads what comes, up to an end or a kilobyte.
    async fn send(&self, protocol: Protocol, version: u8, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.open(protocol, version).await?;
        let _ = stream.write_all(bytes).await;
        let _ = stream.close().await;
        let mut answer = Vec::new();
        let mut taken = stream.take(1024);
        let _ = tokio::time::timeout(Duration::from_secs(30), taken.read_to_end(&mut answer)).await;
        Some(answer)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_are_errors_and_cost_the_connection() {
    let node = networked(Fork::Fulu, lately(), Vec::new()).await;
    let (id, addresses) = node.by(false);
    let raw = Raw::dial(addresses[0].clone(), id).await;
    // It is spoken to before it has said anything of itself.
    let mut ping = Vec::new();
    write_payload(&7_u64.to_le_bytes(), &mut ping);
    let answer = raw.send(Protocol::Ping, 1, &ping).await.unwrap();
    assert_eq!(answer.first(), Some(&0));
    let mut long = Vec::new();
    write_payload(&[0; 25], &mut long);
    let mut beyond = Vec::new();
    write_payload(&[0; 24], &mut beyond);
    beyond.extend_from_slice(b"more");
    let bad: [(&str, Protocol, Vec<u8>); 4] = [
        ("a length of ten bytes", Protocol::BeaconBlocksByRange, vec![0xff; 12]),
        ("a longer request", Protocol::BeaconBlocksByRange, long),
        ("bytes behind", Protocol::BeaconBlocksByRange, beyond),
        ("no frames", Protocol::Ping, vec![8, 1, 2, 3, 4, 5, 6, 7]),
    ];
    let mut refused = 0;
    // Until it is cut: each is an offence.
    for (what, protocol, bytes) in bad.iter().cycle().take(40) {
        let version = protocol.versions()[0];
        match raw.send(*protocol, version, bytes).await {
            Some(answer) if !answer.is_empty() => {
                assert_eq!(answer[0], 1, "{what}");
                refused += 1;
            }
            _ => break,
        }
    }
    assert!((1..40).contains(&refused), "{refused} malformed requests");
    wait_for("the end of the connection", || {
        let peers = node::api::Network::peers(&node.network);
        let connected = peers.iter().any(|peer| peer.state == node::api::PeerState::Connected);
        (!connected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_stall_are_few_and_end() {
    let node = networked(Fork::Fulu, lately(), Vec::new()).await;
    let (id, addresses) = node.by(false);
    let raw = Raw::dial(addresses[0].clone(), id).await;
    let mut stalled = Vec::new();
    for _ in 0..4 {
        stalled.push(raw.open(Protocol::BeaconBlocksByRange, 2).await.unwrap());
    }
    // A fifth is closed without a word, perhaps before its opening is known here.
    let mut byte = [0];
    if let Some(mut fifth) = raw.open(Protocol::BeaconBlocksByRange, 2).await {
        let read = tokio::time::timeout(Duration::from_secs(3), fifth.read(&mut byte)).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    }
    // The first four are given up after the time that a request may take.
    for mut stream in stalled {
        let read = tokio::time::timeout(Duration::from_secs(90), stream.read(&mut byte)).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    }
}

/// A node with room for four callers, all of whom have come.
async fn full(trusted: Vec<PeerId>) -> (Networked, Vec<Villain>) {
    let folder = Folder::new();
    let options = NetworkOptions {
        target_peers: 0,
        trusted_peers: trusted,
        ..quiet(&folder)
    };
    let node = with_options(Fork::Fulu, lately(), options, folder).await;
    let mut callers = Vec::new();
    for _ in 0..4 {
        callers.push(
            call(&node, &Keypair::generate_secp256k1())
                .await
                .expect("there is room"),
        );
    }
    node.has_peers(4).await;
    (node, callers)
}

async fn call(node: &Networked, key: &Keypair) -> Option<Villain> {
    let (id, addresses) = node.by(false);
    Villain::dial_as(key, &addresses[0], id, &status_of(node)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_a_full_node_is_turned_away_at_the_door() {
    let (node, _callers) = Box::pin(full(Vec::new())).await;
    let turned_away = || node.network.counts().turned_away.load(Ordering::Relaxed);
    assert_eq!(turned_away(), 0);
    assert!(call(&node, &Keypair::generate_secp256k1()).await.is_none());
    // The caller may know it a moment before the node has counted it.
    wait_for("the count", || (turned_away() > 0).then_some(())).await;
    assert_eq!(turned_away(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_peer_comes_in_where_there_is_no_room() {
    let friend = Keypair::generate_secp256k1();
    let (node, _callers) = Box::pin(full(vec![friend.public().to_peer_id()])).await;
    // While the friend is missing, who calls may be the friend: it is heard, and then shown out.
    if let Some(mut stranger) = call(&node, &Keypair::generate_secp256k1()).await {
        stranger.is_cut().await;
    }
    let friend = call(&node, &friend).await.expect("a friend is let in");
    wait_for("the friend", || {
        let peers = Peers::peers(&node.network);
        peers.iter().any(|peer| peer.id == friend.id).then_some(())
    })
    .await;
    assert!(friend.is_connected());
}

/// What is wrong in itself on a topic: no snappy at all, four gigabytes by its own word, a message of its type cut off, and
/// one whose content cannot be.
fn nonsense(topic: Topic, node: &Networked) -> Vec<Vec<u8>> {
    let chain = &node.node.running.chain;
    let digests = Digests::new(chain.config(), chain.snapshot().head_state.genesis_validators_root);
    let lengths = topic.message_len(digests.at(0), chain.config());
    let fit = (*lengths.start()).max(64).min(*lengths.end());
    let packed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    let whole = packed(&vec![0xff; fit]);
    vec![
        vec![0x80; 200],
        vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00],
        whole[..whole.len() / 2].to_vec(),
        whole,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_talks_nonsense_by_gossip_is_cut_and_does_not_come_in_again() {
    let node = networked(Fork::Fulu, lately(), Vec::new()).await;
    let (id, addresses) = node.by(false);
    let chain = &node.node.running.chain;
    let root = chain.snapshot().head_state.genesis_validators_root;
    let digest = Digests::new(chain.config(), root).at(0).digest;
    for topic in [Topic::BeaconBlock, Topic::VoluntaryExit] {
        let key = Keypair::generate_secp256k1();
        let villain = Villain::dial_as(&key, &addresses[0], id, &status_of(&node)).await;
        let mut villain = villain.expect("nothing is known of it yet");
        let said = nonsense(topic, &node);
        for bytes in said.iter().cycle().take(5 * said.len()) {
            if !villain.say(&topic.text(digest), bytes.clone()).await {
                break;
            }
        }
        villain.is_cut().await;
        let rejected = node.network.counts().gossip(topic.kind(), Judged::Rejected);
        assert!((3..=20).contains(&rejected), "{rejected} of {topic:?}");
        // It may be heard for as long as it takes to tell it to go.
        if let Some(mut again) = Villain::dial_as(&key, &addresses[0], id, &status_of(&node)).await {
            again.is_cut().await;
        }
        let peers = Peers::peers(&node.network);
        assert!(!peers.iter().any(|peer| peer.id == key.public().to_peer_id()));
    }
    assert!(node.network.counts().cut.load(Ordering::Relaxed) >= 2);
}

/// Discovery on loopback under this key.
async fn discovery_under(key: &NodeKey) -> Discv5 {
    let combined = key.combined().unwrap();
    let own = Enr::builder().ip4(Ipv4Addr::LOCALHOST).build(&combined).unwrap();
    let config = ConfigBuilder::new(ListenConfig::from_ip(Ipv4Addr::LOCALHOST.into(), 0)).build();
    let mut discv5 = Discv5::new(own, combined, config).unwrap();
    discv5.start().await.unwrap();
    discv5
}

/// Whether the node answers a packet of discovery from under this key.
async fn answers_discovery(from: &Discv5, record: &Enr) -> bool {
    from.send_ping(record.clone()).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_banned_is_not_answered_by_discovery_either() {
    let folder = Folder::new();
    let options = NetworkOptions {
        discovery: true,
        ..quiet(&folder)
    };
    let node = with_options(Fork::Fulu, lately(), options, folder).await;
    let record: Enr = wait_for("the record", || {
        let record = node::api::Network::identity(&node.network).enr;
        (!record.is_empty()).then_some(record)
    })
    .await
    .parse()
    .unwrap();

    // One key for both, as every node has it: the ban of the peer is that of the node.
    let key = NodeKey::generate().unwrap();
    let discv5 = discovery_under(&key).await;
    assert!(answers_discovery(&discv5, &record).await, "nothing is known of it yet");

    let (id, addresses) = node.by(false);
    let villain = Villain::dial_as(&key.keypair(), &addresses[0], id, &status_of(&node)).await;
    let mut villain = villain.expect("nothing is known of it yet");
    // As sync does for what turns out invalid.
    for _ in 0..2 {
        let invalid = Offence::Invalid(Invalid::new("rule", "detail".to_owned()));
        Peers::report(&node.network, villain.id, invalid);
    }
    villain.is_cut().await;
    let mut banned = false;
    for _ in 0..10 {
        banned = !answers_discovery(&discv5, &record).await;
        if banned {
            break;
        }
    }
    assert!(banned, "discovery still answers");
    // Others are answered as before.
    let other = discovery_under(&NodeKey::generate().unwrap()).await;
    assert!(answers_discovery(&other, &record).await, "it answers nobody any more");
}
