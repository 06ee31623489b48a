//! Any bytes as a message of any topic at any fork that the network runs: refused, or decompressed to a length that the
//! topic allows, and decoded to an error or a value. And any text as a topic.
//!
//! The first three bytes choose the topic, the fork, and whether the rest is compressed already: nobody makes snappy of
//! length and tags by chance.

use consensus::types::Root;
use consensus::{Config, Fork};
use node::network::digests::Digests;
use node::network::gossip::decode::decode;
use node::network::gossip::message_id::{decompress, message_id};
use node::network::gossip::topics::Topic;
use std::sync::OnceLock;

/// A network of each fork, from genesis on.
pub(crate) fn networks() -> &'static [(Config, Digests)] {
    static NETWORKS: OnceLock<Vec<(Config, Digests)>> = OnceLock::new();
    NETWORKS.get_or_init(|| {
        let forks = Fork::ALL.into_iter().filter(|fork| *fork < Fork::Gloas);
        let network = |fork| {
            let config = Config::standard().with_forks_at_genesis(fork);
            let digests = Digests::new(&config, Root::default());
            (config, digests)
        };
        forks.map(network).collect()
    })
}

/// The topics of a fork, one of each kind.
pub(crate) fn topics(fork: Fork) -> Vec<Topic> {
    let mut topics = Topic::global(fork);
    let numbered = [
        Topic::BeaconAttestation(5),
        Topic::SyncCommittee(1),
        Topic::BlobSidecar(0),
        Topic::DataColumnSidecar(7),
    ];
    topics.extend(numbered.into_iter().filter(|topic| topic.is_in(fork)));
    topics
}

/// Whether it was a message. Panics where something is wrong.
pub(crate) fn check(data: &[u8]) -> bool {
    let [topic, fork, is_packed, bytes @ ..] = data else {
        return false;
    };
    let networks = networks();
    let (config, digests) = &networks[*fork as usize % networks.len()];
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some((era, topic)) = Topic::parse(text, digests, config)
    {
        assert_eq!(topic.text(era.digest), text, "a topic has one name");
    }
    let era = digests.at(0);
    let topics = topics(era.fork);
    let topic = topics[*topic as usize % topics.len()];
    let lengths = topic.message_len(era, config);
    let unpacked;
    let ssz = if is_packed % 2 == 1 {
        let Ok(ssz) = decompress(bytes, &lengths) else {
            return false;
        };
        unpacked = ssz;
        &unpacked[..]
    } else {
        bytes
    };
    if !lengths.contains(&ssz.len()) {
        assert!(is_packed % 2 == 0, "{topic:?}: {} bytes were let through", ssz.len());
        return false;
    }
    let text = topic.text(era.digest);
    assert_ne!(message_id(&text, ssz, true), message_id(&text, ssz, false));
    decode(topic, era.fork, ssz).is_ok()
}
