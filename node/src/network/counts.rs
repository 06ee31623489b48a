//! What the network has counted since the start: plain numbers that only grow, read by the metrics page and by whoever
//! keeps to a ceiling of bandwidth.

use super::gossip::topics::Topic;
use super::peer::RequestError;
use super::rpc::protocol::Protocol;
use libp2p::Multiaddr;
use libp2p::multiaddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How two nodes are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with noise and yamux.
    Tcp,
    /// QUIC.
    Quic,
}

impl Transport {
    /// Both.
    pub const ALL: [Transport; 2] = [Transport::Tcp, Transport::Quic];

    /// That of an address.
    pub fn of(address: &Multiaddr) -> Transport {
        let is_quic = address.iter().any(|part| part == multiaddr::Protocol::QuicV1);
        if is_quic { Transport::Quic } else { Transport::Tcp }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ["tcp", "quic"][self as usize]
    }
}

/// Bytes of all streams of one transport.
#[derive(Debug, Default)]
pub struct Traffic {
    /// From peers.
    pub received: AtomicU64,
    /// To peers.
    pub sent: AtomicU64,
}

/// What became of a message of gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Passed on.
    Accepted,
    /// Not passed on, and nobody's fault.
    Ignored,
    /// Wrong: whoever sent it is blamed.
    Rejected,
    /// Not looked at: too many were under way.
    Dropped,
}

impl Judged {
    /// All of them.
    pub const ALL: [Judged; 4] = [Judged::Accepted, Judged::Ignored, Judged::Rejected, Judged::Dropped];

    /// Its name.
    pub fn name(self) -> &'static str {
        ["accepted", "ignored", "rejected", "dropped"][self as usize]
    }
}

/// What became of a request, ours or a peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// The peer does not have it or does not speak the protocol; or, asked by a peer, it was refused with a reason.
    Unavailable,
    /// One of the two broke the protocol.
    Broken,
    /// It took too long.
    TimedOut,
    /// The connection ended before it.
    Gone,
    /// Too many wait already.
    Busy,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 6] = [
        Outcome::Answered,
        Outcome::Unavailable,
        Outcome::Broken,
        Outcome::TimedOut,
        Outcome::Gone,
        Outcome::Busy,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        ["answered", "unavailable", "broken", "timed_out", "gone", "busy"][self as usize]
    }

    /// That of a request of ours.
    pub(crate) fn of<T>(answer: &Result<T, RequestError>) -> Outcome {
        match answer {
            Ok(_) => Outcome::Answered,
            Err(RequestError::Unavailable(_)) => Outcome::Unavailable,
            Err(RequestError::Misbehaved(_)) => Outcome::Broken,
            Err(RequestError::TimedOut) => Outcome::TimedOut,
            Err(RequestError::Gone) => Outcome::Gone,
            Err(RequestError::Busy) => Outcome::Busy,
        }
    }
}

/// How many requests of each protocol came to what.
#[derive(Debug, Default)]
pub struct Requests([[AtomicU64; Outcome::ALL.len()]; Protocol::ALL.len()]);

impl Requests {
    pub(crate) fn count(&self, protocol: Protocol, outcome: Outcome) {
        self.0[protocol as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many of a protocol came to this.
    pub fn get(&self, protocol: Protocol, outcome: Outcome) -> u64 {
        self.0[protocol as usize][outcome as usize].load(Ordering::Relaxed)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Counts {
    gossip: [[AtomicU64; Judged::ALL.len()]; Topic::KINDS.len()],
    /// Messages that were sent to all.
    pub published: AtomicU64,
    /// What was to be sent and did not fit into the queue, or found nobody to be sent to.
    pub unpublished: AtomicU64,
    /// Requests to peers.
    pub asked: Requests,
    /// Requests of peers.
    pub answered: Requests,
    /// Bytes of answers made of what is stored: what can be spared first. Part of what was sent.
    pub served: AtomicU64,
    /// Callers that were turned away before their handshake.
    pub turned_away: AtomicU64,
    /// Peers that had to go for what they did.
    pub cut: AtomicU64,
    traffic: [Arc<Traffic>; Transport::ALL.len()],
}

impl Counts {
    pub(crate) fn judged(&self, topic: Topic, judged: Judged) {
        self.gossip[topic.kind()][judged as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Messages of gossip on the topics of a kind (a place in `Topic::KINDS`) that came to this.
    pub fn gossip(&self, kind: usize, judged: Judged) -> u64 {
        self.gossip[kind][judged as usize].load(Ordering::Relaxed)
    }

    /// The bytes of a transport.
    pub fn traffic(&self, transport: Transport) -> &Arc<Traffic> {
        &self.traffic[transport as usize]
    }

    /// Bytes received and sent by all transports.
    pub fn bytes(&self) -> (u64, u64) {
        let all = self.traffic.iter().map(|traffic| {
            (
                traffic.received.load(Ordering::Relaxed),
                traffic.sent.load(Ordering::Relaxed),
            )
        });
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

/// A connected peer, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerKind {
    /// Whether it called us.
    pub inbound: bool,
    /// How it is connected.
    pub transport: Transport,
    /// The program it says it is; one of `CLIENTS`.
    pub client: &'static str,
}

/// What the metrics page shows of the network.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The peers that are connected and on our chain.
    pub peers: Vec<PeerKind>,
    /// What was counted.
    pub counts: Arc<Counts>,
}

/// The programs whose peers are told apart: those that are known to be in use.
pub const CLIENTS: [&str; 8] = [
    "grandine",
    "lighthouse",
    "lodestar",
    "nimbus",
    "prysm",
    "teku",
    "wren",
    "other",
];

/// Which of them a peer is by what it says of itself: a peer can say anything, so all else is one name.
pub fn client_of(agent: &str) -> &'static str {
    let word = agent.split(['/', ' ']).next().unwrap_or_default();
    let known = CLIENTS.into_iter().find(|name| word.eq_ignore_ascii_case(name));
    known.unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_it_is_becomes_one_of_few_names() {
        let clients = [
            ("Lighthouse/v8.0.0/x86_64-linux", "lighthouse"),
            ("Wren/v0.1.0", "wren"),
            ("nimbus", "nimbus"),
            ("teku/teku/v25", "teku"),
            ("lighthouses", "other"),
            ("", "other"),
            ("\"} 1\nx 2", "other"),
        ];
        for (agent, client) in clients {
            assert_eq!(client_of(agent), client, "{agent}");
        }
    }

    #[test]
    fn transports_are_told_by_address() {
        let of = |text: &str| Transport::of(&text.parse().unwrap()).name();
        assert_eq!(of("/ip4/1.2.3.4/udp/9001/quic-v1"), "quic");
        assert_eq!(of("/ip4/1.2.3.4/tcp/9000"), "tcp");
    }

    #[test]
    fn counts_stand_where_they_belong() {
        let counts = Counts::default();
        counts.judged(Topic::BeaconAttestation(3), Judged::Rejected);
        let kind = Topic::KINDS
            .iter()
            .position(|kind| *kind == "beacon_attestation")
            .unwrap();
        assert_eq!(counts.gossip(kind, Judged::Rejected), 1);
        for (place, kind) in Topic::KINDS.iter().enumerate() {
            let sum: u64 = Judged::ALL.iter().map(|judged| counts.gossip(place, *judged)).sum();
            assert_eq!(sum, u64::from(*kind == "beacon_attestation"), "{kind}");
        }
        counts.asked.count(Protocol::Ping, Outcome::TimedOut);
        assert_eq!(counts.asked.get(Protocol::Ping, Outcome::TimedOut), 1);
        assert_eq!(counts.asked.get(Protocol::Ping, Outcome::Answered), 0);
        counts.traffic(Transport::Quic).sent.fetch_add(7, Ordering::Relaxed);
        counts.traffic(Transport::Tcp).received.fetch_add(5, Ordering::Relaxed);
        assert_eq!(counts.bytes(), (5, 7));
    }
}
