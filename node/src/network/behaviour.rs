//! The transports, and what runs on every connection.

use super::book::Book;
use super::counts::{Counts, Transport};
use super::gate;
use super::gossip::params::{Gossipsub, gossipsub};
use super::meter::Metered;
use super::rpc::streams;
use super::shared::Shared;
use anyhow::{Context as _, Result, anyhow};
use futures_util::future::Either;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{PeerId, Swarm, Transport as _, dns, identify, noise, quic, swarm, tcp, yamux};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take until both know each other: some round trips on a bad line.
const CONNECT_TIME: Duration = Duration::from_secs(15);

/// Connections that may be half way there, each way. Each takes some kilobytes and a handshake's work.
const PENDING_MAX: u32 = 32;

/// Connections of one peer: two where both called at once.
const PER_PEER_MAX: u32 = 2;

/// Streams that a peer may have open on a connection: those of all requests, and gossip.
const STREAMS_MAX: u32 = 64;

/// Bytes of one stream of QUIC that may be under way unread, and of all streams of a connection: enough for 10 MiB a
/// second over the longest line, and what a peer can make us hold.
const QUIC_STREAM_BYTES: u32 = 2 << 20;
const QUIC_CONNECTION_BYTES: u32 = 4 << 20;

/// Streams of one connection that may be negotiating. More are dropped.
const NEGOTIATING_MAX: usize = 32;

/// Events of one connection that may wait for the swarm; then the connection is not read for a while.
const EVENTS_MAX: usize = 16;

/// How a peer sees this program. Spec: libp2p, identify.
const PROTOCOL_VERSION: &str = "eth2/1.0.0";

/// What runs on every connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: gate::Behaviour,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) streams: streams::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) gossipsub: Gossipsub,
}

/// A swarm that listens nowhere yet, with this book of peers and so many connections at most.
pub(crate) fn swarm(
    shared: &Shared,
    keypair: &Keypair,
    book: Book,
    peers_max: u32,
    dns: &[IpAddr],
) -> Result<Swarm<Behaviour>> {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
        .with_max_established_per_peer(Some(PER_PEER_MAX))
        .with_max_established(Some(peers_max));
    let agent = format!("Wren/v{}", env!("CARGO_PKG_VERSION"));
    let identify = identify::Config::new(PROTOCOL_VERSION.into(), keypair.public()).with_agent_version(agent);
    let gossipsub = gossipsub(&shared.digests, shared.chain.config(), &shared.counts);
    let behaviour = Behaviour {
        gate: gate::Behaviour::new(book),
        limits: connection_limits::Behaviour::new(limits),
        streams: streams::Behaviour::default(),
        identify: identify::Behaviour::new(identify),
        gossipsub: gossipsub.map_err(|why| anyhow!("gossipsub cannot be set up: {why}"))?,
    };
    let config = swarm::Config::with_tokio_executor()
        .with_max_negotiating_inbound_streams(NEGOTIATING_MAX)
        .with_per_connection_event_buffer_size(EVENTS_MAX)
        // Who stays connected is decided here, not by what is idle.
        .with_idle_connection_timeout(Duration::from_secs(u64::from(u32::MAX)));
    let transport = transport(keypair, dns, &shared.counts)?;
    Ok(Swarm::new(transport, behaviour, PeerId::from(keypair.public()), config))
}

/// QUIC, and TCP with noise and yamux, behind names.
///
/// Spec: phase0/p2p-interface.md, "Transport". The specification asks for mplex as well; the field has left it, and it
/// has no flow control, so that it is left out.
fn transport(keypair: &Keypair, dns: &[IpAddr], counts: &Counts) -> Result<Boxed<(PeerId, StreamMuxerBox)>> {
    if let Some(servers) = servers(dns) {
        let transport = dns::tokio::Transport::custom(plain(keypair, counts)?, servers, dns::ResolverOpts::default());
        return Ok(transport.boxed());
    }
    match dns::tokio::Transport::system(plain(keypair, counts)?) {
        Ok(transport) => Ok(transport.boxed()),
        Err(error) => {
            tracing::warn!(%error, "the system names no DNS servers, so peers with names are not found; give --dns");
            plain(keypair, counts)
        }
    }
}

fn plain(keypair: &Keypair, counts: &Counts) -> Result<Boxed<(PeerId, StreamMuxerBox)>> {
    let mut quic = quic::Config::new(keypair);
    quic.max_stream_data = QUIC_STREAM_BYTES;
    quic.max_connection_data = QUIC_CONNECTION_BYTES;
    quic.max_concurrent_stream_limit = STREAMS_MAX;
    quic.handshake_timeout = CONNECT_TIME;
    let quic = quic::tokio::Transport::new(quic);
    let mut yamux = yamux::Config::default();
    // This also selects the version of yamux whose streams have a fixed window of 256 KiB, 16 MiB in all; the newer one
    // lets a connection grow to a gigabyte.
    yamux.set_max_num_streams(STREAMS_MAX as usize);
    let noise = noise::Config::new(keypair).context("noise cannot be set up")?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(CONNECT_TIME);
    let traffic = Transport::ALL.map(|transport| Arc::clone(counts.traffic(transport)));
    let both = quic.or_transport(tcp).map(move |either, _| {
        let (peer, muxer, transport) = match either {
            Either::Left((peer, muxer)) => (peer, StreamMuxerBox::new(muxer), Transport::Quic),
            Either::Right((peer, muxer)) => (peer, StreamMuxerBox::new(muxer), Transport::Tcp),
        };
        let traffic = Arc::clone(&traffic[transport as usize]);
        (peer, StreamMuxerBox::new(Metered::new(muxer, traffic)))
    });
    Ok(both.boxed())
}

/// The resolver's list of servers, if the operator names some. Its type for a server is not exported; that of a preset
/// serves as a pattern.
fn servers(addresses: &[IpAddr]) -> Option<dns::ResolverConfig> {
    let preset = dns::ResolverConfig::google();
    let pattern = preset.name_servers().first()?;
    let mut config = dns::ResolverConfig::new();
    for address in addresses {
        let mut server = pattern.clone();
        server.socket_addr = SocketAddr::new(*address, 53);
        config.add_name_server(server);
    }
    (!addresses.is_empty()).then_some(config)
}
