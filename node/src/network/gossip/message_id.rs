//! What a message is named by, and its compression: raw snappy, refused before anything is allocated where it claims to
//! be longer than its type.
//!
//! Spec: phase0 and altair/p2p-interface.md, "Topics and messages" (`message-id`); phase0, "Gossipsub size limits".

use super::topics::Topic;
use crate::network::counts::{Counts, Judged};
use crate::network::digests::Digests;
use crate::network::rpc::frames::max_compressed_len;
use consensus::Config;
use libp2p::gossipsub::{DataTransform, Message, MessageId, RawMessage, TopicHash};
use sha2::{Digest as _, Sha256};
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Bytes of a message id.
const ID_LEN: usize = 20;

/// Spec: `MESSAGE_DOMAIN_VALID_SNAPPY`. Messages whose compression is broken never get an id here: they are refused
/// before, and nobody asks for them.
const MESSAGE_DOMAIN_VALID_SNAPPY: [u8; 4] = [1, 0, 0, 0];

/// The id of a message whose compression is valid. `with_topic` is false for topics of phase0.
pub fn message_id(topic: &str, data: &[u8], with_topic: bool) -> [u8; ID_LEN] {
    let mut hasher = Sha256::new();
    hasher.update(MESSAGE_DOMAIN_VALID_SNAPPY);
    if with_topic {
        hasher.update((topic.len() as u64).to_le_bytes());
        hasher.update(topic.as_bytes());
    }
    hasher.update(data);
    let hash = hasher.finalize();
    let mut id = [0; ID_LEN];
    id.copy_from_slice(&hash[..ID_LEN]);
    id
}

/// The function that gossipsub calls for every message.
pub fn message_id_fn(digests: &Digests) -> impl Fn(&Message) -> MessageId + Send + Sync + 'static + use<> {
    let phase0 = digests.phase0().map(|digest| {
        let block = Topic::BeaconBlock.text(digest);
        block[..block.len().min("/eth2/01234567/".len())].to_owned()
    });
    move |message| {
        let topic = message.topic.as_str();
        let is_phase0 = phase0.as_ref().is_some_and(|prefix| topic.starts_with(prefix));
        MessageId::from(message_id(topic, &message.data, !is_phase0).to_vec())
    }
}

/// Decompresses a message to a length that its type allows.
pub fn decompress(data: &[u8], lengths: &RangeInclusive<usize>) -> Result<Vec<u8>, &'static str> {
    if data.len() > max_compressed_len(*lengths.end()) {
        return Err("more compressed bytes than the type allows");
    }
    let length = snap::raw::decompress_len(data).map_err(|_| "the compression is broken")?;
    if !lengths.contains(&length) {
        return Err("a length that the type does not allow");
    }
    let mut decoder = snap::raw::Decoder::new();
    decoder.decompress_vec(data).map_err(|_| "the compression is broken")
}

/// Compression between gossipsub and the wire.
#[derive(Clone)]
pub struct Snappy {
    digests: Arc<Digests>,
    config: Arc<Config>,
    counts: Arc<Counts>,
}

impl Snappy {
    /// For the topics of a network; what is refused is counted.
    pub fn new(digests: Digests, config: Arc<Config>, counts: Arc<Counts>) -> Self {
        Snappy {
            digests: Arc::new(digests),
            config,
            counts,
        }
    }
}

impl DataTransform for Snappy {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<Message> {
        let refuse = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
        let (era, topic) = Topic::parse(raw.topic.as_str(), &self.digests, &self.config)
            .ok_or_else(|| refuse("there is no such topic"))?;
        let data = decompress(&raw.data, &topic.message_len(era, &self.config)).map_err(|why| {
            // Gossipsub blames the peer, and nobody else sees the message.
            self.counts.judged(topic, Judged::Rejected);
            refuse(why)
        })?;
        Ok(Message {
            source: raw.source,
            data,
            sequence_number: raw.sequence_number,
            topic: raw.topic,
        })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut encoder = snap::raw::Encoder::new();
        encoder.compress_vec(&data).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::hash::sha256;

    #[test]
    fn ids_are_made_as_the_specification_has_it() {
        let (topic, data) = ("/eth2/446a7232/beacon_block/ssz_snappy", [1, 2, 3]);
        let mut plain = vec![1, 0, 0, 0];
        plain.extend_from_slice(&data);
        assert_eq!(message_id(topic, &data, false), sha256(&plain)[..20]);
        let mut with_topic = vec![1, 0, 0, 0, topic.len() as u8, 0, 0, 0, 0, 0, 0, 0];
        with_topic.extend_from_slice(topic.as_bytes());
        with_topic.extend_from_slice(&data);
        assert_eq!(message_id(topic, &data, true), sha256(&with_topic)[..20]);
    }

    #[test]
    fn lengths_are_checked_before_anything_is_allocated() {
        let packed = snap::raw::Encoder::new().compress_vec(&[0; 5000]).unwrap();
        assert_eq!(decompress(&packed, &(0..=5000)).unwrap(), [0; 5000]);
        assert!(decompress(&packed, &(0..=4999)).is_err());
        assert!(decompress(&packed, &(5001..=6000)).is_err());
        // Four gigabytes are promised.
        assert!(decompress(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], &(0..=10 << 20)).is_err());
        assert!(decompress(&[], &(0..=10)).is_err());
        for seed in 0..20_000_u64 {
            let bytes: Vec<u8> = (0..seed % 40)
                .map(|place| (seed.wrapping_mul(place + 7) >> 3) as u8)
                .collect();
            if let Ok(out) = decompress(&bytes, &(0..=10 << 20)) {
                assert!(out.len() <= 10 << 20);
            }
        }
    }
}
