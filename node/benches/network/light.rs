//! Peers that weigh little: each is a swarm of its own that handshakes, answers pings and passes gossip on, and knows no
//! chain. Gossip is that of the node, with its parameters, names of messages and compression; every message is taken for
//! valid. Each calls a few of the others, so that messages come to everybody by several ways.

use consensus::ssz::{Root, Ssz};
use consensus::types::{MetaData, Status};
use consensus::{Config, Fork};
use futures_util::StreamExt as _;
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol as Part;
use libp2p::swarm::{self, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Transport as _, noise, tcp, yamux};
use node::network::Counts;
use node::network::digests::Digests;
use node::network::gossip::params::{Gossipsub, gossipsub};
use node::network::rpc::protocol::Protocol;
use node::network::rpc::stream::part;
use node::network::rpc::streams::{self, Opened};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How many of the others each calls.
const CALLS: usize = 4;
/// Bytes of a request that are read: none is longer here.
const REQUEST_MAX: u64 = 4096;
/// How long a peer may say nothing.
const IDLE: Duration = Duration::from_hours(1);

#[derive(NetworkBehaviour)]
struct Both {
    streams: streams::Behaviour,
    gossipsub: Gossipsub,
}

/// What all of them say of their chain.
pub(super) struct Chain {
    pub(super) config: Arc<Config>,
    pub(super) genesis_validators_root: Root,
    pub(super) genesis_block_root: Root,
}

impl Chain {
    fn status(&self) -> Status {
        Status {
            fork_digest: Digests::new(&self.config, self.genesis_validators_root).at(0).digest,
            finalized_root: Root::default(),
            finalized_epoch: 0,
            head_root: self.genesis_block_root,
            head_slot: 0,
            earliest_available_slot: 0,
        }
    }
}

/// A peer that was started.
pub(super) struct Light {
    /// Where it is, with its id.
    pub(super) address: Multiaddr,
    /// Has it call others.
    pub(super) calls: UnboundedSender<Multiaddr>,
}

/// Starts so many in the runtime that it is called in.
pub(super) async fn start(chain: &Chain, count: usize) -> Vec<Light> {
    let mut peers: Vec<Light> = Vec::new();
    for _ in 0..count {
        let mut swarm = swarm(chain);
        let anywhere = Multiaddr::from(Ipv4Addr::LOCALHOST).with(Part::Tcp(0));
        swarm.listen_on(anywhere).expect("there is a port");
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        for other in peers.iter().rev().take(CALLS) {
            swarm.dial(other.address.clone()).expect("it may be called");
        }
        let (calls, called) = unbounded_channel();
        let address = address.with(Part::P2p(*swarm.local_peer_id()));
        peers.push(Light { address, calls });
        tokio::spawn(live(swarm, chain.status(), called));
    }
    peers
}

fn swarm(chain: &Chain) -> Swarm<Both> {
    let key = Keypair::generate_secp256k1();
    let transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&key).expect("noise can be set up"))
        .multiplex(yamux::Config::default())
        .boxed();
    let digests = Digests::new(&chain.config, chain.genesis_validators_root);
    let gossipsub = gossipsub(&digests, &chain.config, &Arc::new(Counts::default()));
    let behaviour = Both {
        streams: streams::Behaviour::default(),
        gossipsub: gossipsub.expect("the parameters are the node's"),
    };
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE);
    Swarm::new(transport, behaviour, PeerId::from(key.public()), config)
}

/// Is on every topic that somebody else is on.
async fn live(mut swarm: Swarm<Both>, status: Status, mut calls: UnboundedReceiver<Multiaddr>) {
    loop {
        let event = tokio::select! {
            event = swarm.select_next_some() => event,
            Some(address) = calls.recv() => {
                // It is connected already, or being called.
                let _ = swarm.dial(address);
                continue;
            }
        };
        match event {
            SwarmEvent::Behaviour(BothEvent::Streams(opened)) => {
                tokio::spawn(answer(opened, status));
            }
            SwarmEvent::Behaviour(BothEvent::Gossipsub(gossipsub::Event::Subscribed { topic, .. })) => {
                let topic = IdentTopic::new(topic.as_str());
                // It is on that one already, or there is no such topic.
                let _ = swarm.behaviour_mut().gossipsub.subscribe(&topic);
            }
            SwarmEvent::Behaviour(BothEvent::Gossipsub(gossipsub::Event::Message {
                propagation_source,
                message_id,
                ..
            })) => {
                let gossipsub = &mut swarm.behaviour_mut().gossipsub;
                let valid = MessageAcceptance::Accept;
                gossipsub.report_message_validation_result(&message_id, &propagation_source, valid);
            }
            _ => {}
        }
    }
}

/// Answers what a node without a chain can; a stream that is closed without an answer means that there is nothing.
async fn answer(opened: Opened, status: Status) {
    let mut stream = opened.stream;
    if opened.id.protocol.has_request() {
        let mut request = Vec::new();
        let mut taken = (&mut stream).take(REQUEST_MAX);
        if taken.read_to_end(&mut request).await.is_err() {
            return;
        }
    }
    let fork = node::network::rpc::protocol::own_fork(opened.id.protocol, opened.id.version);
    let said = match opened.id.protocol {
        Protocol::Status => status.encode(fork),
        Protocol::Ping => 0_u64.encode(fork),
        Protocol::GetMetaData => metadata().encode(fork),
        _ => {
            let _ = stream.close().await;
            return;
        }
    };
    // An error means that the other is gone.
    let _ = stream.write_all(&part(None, &said)).await;
    let _ = stream.close().await;
}

fn metadata() -> MetaData {
    let mut metadata = MetaData::new(Fork::Fulu);
    metadata.custody_group_count = 4;
    metadata
}
