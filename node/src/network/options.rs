//! What an operator chooses of the network.

use super::enr::{Enr, multiaddrs};
use super::node_key::peer_id_of;
use anyhow::{Result, anyhow, bail};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

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
    pub advertise: Vec<IpAddr>,
    /// Whether addresses of private networks are dialled and told, on a public network; on others they always are.
    pub allow_private: bool,
    /// Where discovery begins.
    pub bootnodes: Vec<Enr>,
    /// Peers that are always dialled, and where.
    pub static_peers: Vec<(PeerId, Vec<Multiaddr>)>,
    /// Peers for whom no limit, score or ban holds; they are not dialled for that.
    pub trusted_peers: Vec<PeerId>,
    /// The folder of the key, the sequence numbers and the peers of the last time.
    pub folder: PathBuf,
    /// How many peers are wanted.
    pub target_peers: usize,
    /// Megabits a second, each way, above which what can be spared is not done; no ceiling if none.
    pub max_bandwidth: Option<u64>,
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
            advertise: Vec::new(),
            allow_private: false,
            bootnodes: Vec::new(),
            static_peers: Vec::new(),
            trusted_peers: Vec::new(),
            folder: PathBuf::from("network"),
            target_peers: TARGET_PEERS,
            max_bandwidth: None,
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

/// Reads a static peer: a multiaddress that ends with the peer's id, or a node record.
pub fn static_peer(text: &str) -> Result<(PeerId, Vec<Multiaddr>)> {
    if text.starts_with("enr:") {
        let record: Enr = text
            .parse()
            .map_err(|error: String| anyhow!("'{text}' is no node record: {error}"))?;
        let peer = peer_id_of(&record.public_key()).ok_or_else(|| anyhow!("'{text}' has no key of secp256k1"))?;
        let addresses = multiaddrs(&record, true);
        if addresses.is_empty() {
            bail!("'{text}' does not tell where its node is");
        }
        return Ok((peer, addresses));
    }
    let Ok(mut address) = text.parse::<Multiaddr>() else {
        bail!("'{text}' is no multiaddress such as /ip4/192.0.2.1/tcp/9000/p2p/16Uiu2…, and no node record");
    };
    match address.pop() {
        Some(Protocol::P2p(peer)) if !address.is_empty() => Ok((peer, vec![address])),
        _ => bail!("'{text}' does not end with /p2p/ and the peer's id"),
    }
}

/// Reads a trusted peer: its id, or what a static peer is given by.
pub fn trusted_peer(text: &str) -> Result<PeerId> {
    if let Ok(peer) = text.parse() {
        return Ok(peer);
    }
    let (peer, _) = static_peer(text).map_err(|error| anyhow!("{error:#}; and it is no peer id such as 16Uiu2…"))?;
    Ok(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_peers_need_an_address_and_an_id() {
        let id = PeerId::random();
        let (peer, addresses) = static_peer(&format!("/ip4/127.0.0.1/tcp/9000/p2p/{id}")).unwrap();
        assert_eq!((peer, addresses.len()), (id, 1));
        for bad in ["/ip4/127.0.0.1/tcp/9000", "x", "", "enr:abc", &format!("/p2p/{id}")] {
            assert!(static_peer(bad).is_err(), "{bad}");
            assert!(trusted_peer(bad).is_err(), "{bad}");
        }
        let address = format!("/ip4/127.0.0.1/tcp/9000/p2p/{id}");
        for good in [id.to_string(), address] {
            assert_eq!(trusted_peer(&good).unwrap(), id);
        }
    }

    #[test]
    fn every_address_gets_both_transports() {
        let options = NetworkOptions {
            listen: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            ..NetworkOptions::default()
        };
        let texts: Vec<String> = options.addresses().iter().map(ToString::to_string).collect();
        let wanted = [
            "/ip4/127.0.0.1/udp/9001/quic-v1",
            "/ip4/127.0.0.1/tcp/9000",
            "/ip6/::1/udp/9001/quic-v1",
            "/ip6/::1/tcp/9000",
        ];
        assert_eq!(texts, wanted);
    }
}
