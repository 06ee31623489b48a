//! What an operator chooses of the network.

use anyhow::{Result, bail};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::net::{IpAddr, Ipv4Addr};

/// See `wren node --help`.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// The addresses to listen on.
    pub listen: Vec<IpAddr>,
    /// The port of TCP and of discovery; 0 takes a free one.
    pub port: u16,
    /// The port of QUIC; 0 takes a free one.
    pub quic_port: u16,
    /// The address by which peers reach this node, where it cannot find out itself.
    pub advertise: Option<IpAddr>,
    /// Whether addresses of private networks are dialled and told.
    pub allow_private: bool,
    /// Node records or addresses to begin with, beside those of the network.
    pub bootnodes: Vec<String>,
    /// Peers that are always dialled.
    pub static_peers: Vec<Multiaddr>,
    /// How many peers are wanted.
    pub target_peers: usize,
    /// Whether all columns are kept.
    pub supernode: bool,
    /// The servers that resolve names; the system's if none is given.
    pub dns: Vec<IpAddr>,
    /// Whether peers are looked for.
    pub discovery: bool,
}

/// Peers that are wanted unless the operator says otherwise: enough for all subnets, and what a small machine on a home
/// line can serve.
pub const TARGET_PEERS: usize = 50;

impl Default for NetworkOptions {
    fn default() -> Self {
        NetworkOptions {
            listen: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            port: 9000,
            quic_port: 9001,
            advertise: None,
            allow_private: false,
            bootnodes: Vec::new(),
            static_peers: Vec::new(),
            target_peers: TARGET_PEERS,
            supernode: false,
            dns: Vec::new(),
            discovery: true,
        }
    }
}

impl NetworkOptions {
    /// Where to listen, QUIC first.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let both = |ip: &IpAddr| {
            let ip = Multiaddr::from(*ip);
            let quic = ip.clone().with(Protocol::Udp(self.quic_port)).with(Protocol::QuicV1);
            [quic, ip.with(Protocol::Tcp(self.port))]
        };
        self.listen.iter().flat_map(both).collect()
    }
}

/// Reads a static peer: a multiaddress that ends with the peer's id.
pub fn static_peer(text: &str) -> Result<Multiaddr> {
    let Ok(address) = text.parse::<Multiaddr>() else {
        bail!("'{text}' is no multiaddress such as /ip4/192.0.2.1/tcp/9000/p2p/16Uiu2…");
    };
    if peer_of(&address).is_none() {
        bail!("'{text}' does not end with /p2p/ and the peer's id");
    }
    Ok(address)
}

/// The peer that an address names.
pub fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}
