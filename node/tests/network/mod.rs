//! Nodes that run in one process and speak to each other over loopback.

mod assault;
mod hostile;
mod light;
mod notices;
mod together;
mod villain;

use crate::api::{Folder, Node, node_of_genesis};
use consensus::Fork;
use consensus::ssz::Ssz;
use consensus::types::{Root, Status};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use node::network::digests::Digests;
use node::network::peer::{PeerView, Peers};
use node::network::{NetworkHandle, NetworkOptions};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A node with a network.
pub(crate) struct Networked {
    pub(crate) node: Node,
    pub(crate) network: NetworkHandle,
    _folder: Folder,
}

/// Options of a node on free ports of loopback that looks for nobody.
pub(crate) fn quiet(folder: &Folder) -> NetworkOptions {
    NetworkOptions {
        listen: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: 0,
        quic_port: 0,
        supernode: true,
        discovery: false,
        folder: folder.0.join("network"),
        ..NetworkOptions::default()
    }
}

/// A node of the chain of `genesis_time` that stays connected with these peers.
pub(crate) async fn networked(fork: Fork, genesis_time: u64, peers: Vec<(PeerId, Vec<Multiaddr>)>) -> Networked {
    let folder = Folder::new();
    let options = NetworkOptions {
        static_peers: peers,
        ..quiet(&folder)
    };
    with_options(fork, genesis_time, options, folder).await
}

pub(crate) async fn with_options(fork: Fork, genesis_time: u64, options: NetworkOptions, folder: Folder) -> Networked {
    let node = node_of_genesis(fork, genesis_time, Some(options)).await;
    let network = node.running.network.clone().unwrap();
    Networked {
        node,
        network,
        _folder: folder,
    }
}

impl Networked {
    /// How it is called by TCP, or by QUIC.
    pub(crate) fn by(&self, quic: bool) -> (PeerId, Vec<Multiaddr>) {
        let of_kind = |address: &Multiaddr| address.iter().any(|part| part == Protocol::QuicV1) == quic;
        let addresses = self.network.listening().into_iter().filter(of_kind).collect();
        (self.network.peer_id(), addresses)
    }

    /// Waits until it knows so many peers of its chain.
    pub(crate) async fn has_peers(&self, count: usize) -> Vec<PeerView> {
        wait_for("peers", || {
            let peers = Peers::peers(&self.network);
            (peers.len() >= count).then_some(peers)
        })
        .await
    }

    /// Waits until this is its head.
    pub(crate) async fn follows(&self, root: Root) {
        wait_for("the head", || {
            (self.node.running.chain.snapshot().head.root == root).then_some(())
        })
        .await;
    }
}

/// The status of one who has what this node has.
pub(crate) fn status_of(node: &Networked) -> Vec<u8> {
    let chain = &node.node.running.chain;
    let snapshot = chain.snapshot();
    let root = snapshot.head_state.genesis_validators_root;
    let status = Status {
        fork_digest: Digests::new(chain.config(), root).at(0).digest,
        finalized_root: Root::default(),
        finalized_epoch: 0,
        head_root: snapshot.head.root,
        head_slot: snapshot.head.slot,
        earliest_available_slot: 0,
    };
    status.encode(Fork::Fulu)
}

/// Waits for something, for as long as a busy machine may need.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1200 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come within a minute");
}
