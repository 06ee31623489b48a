//! Every decoder that sees bytes of the network, under noise and under messages that are damaged a little. What is
//! demanded of them is what the fuzzers in `tests/fuzz` demand, for longer: the same functions.

mod enr;
mod gossip;
mod reqresp;

use alloy_rlp::Encodable as _;
use consensus::Fork;
use consensus::ssz::Ssz as _;
use consensus::types::registry::find;
use consensus::types::{DataColumnSidecarsByRange, DataColumnsByRootIdentifier, Root};
use node::network::enr::Enr;
use node::network::gossip::topics::Topic;
use node::network::rpc::frames::write_payload;
use node::network::rpc::protocol::{Content, Protocol, ProtocolId, own_fork};
use node::network::rpc::stream::{Code, error, part};

/// Damaged copies of each good message: some of each kind of damage, in a second or two for all tests.
const DAMAGED: usize = 20;

/// Pieces of noise of each kind of decoder.
const NOISE: u64 = 4_000;

/// Bytes by chance, the same ones in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Bytes with some damage: one changed, some cut off, some put in or taken out, or what stands in front blown up.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        // Often near the front, where lengths and offsets are.
        let end = if self.below(2) == 0 {
            out.len().min(64)
        } else {
            out.len()
        };
        let at = self.below(end);
        match self.below(6) {
            0 if at < out.len() => out[at] ^= 1 << self.below(8),
            1 if at < out.len() => out[at] = self.next() as u8,
            2 => out.truncate(at),
            3 => {
                let some = self.below(40);
                let more = self.bytes(some);
                out.splice(at..at, more);
            }
            4 => {
                let to = (at + self.below(40)).min(out.len());
                out.drain(at..to);
            }
            _ => {
                let to = (at + 4).min(out.len());
                out[at..to].fill(0xff);
            }
        }
        out
    }
}

/// Looks at a good message with these bytes in front of it, and then at damaged copies; the good one has to be taken.
fn try_around(check: fn(&[u8]) -> bool, front: &[u8], good: &[u8], what: &str) {
    let with_front = |bytes: &[u8]| [front, bytes].concat();
    assert!(check(&with_front(good)), "{what} is good and was refused");
    let mut chance = Chance(good.len() as u64);
    for _ in 0..DAMAGED {
        let once = chance.damage(good);
        check(&with_front(&once));
        check(&with_front(&chance.damage(&once)));
    }
}

fn try_noise(check: fn(&[u8]) -> bool) {
    let mut chance = Chance(7);
    for length in 0..NOISE {
        let noise = chance.bytes((length % 120) as usize);
        check(&noise);
    }
}

fn default_of(name: &str, fork: Fork) -> Vec<u8> {
    (find(name).unwrap().default)(fork).ssz_bytes(fork)
}

/// The shortest message of a topic.
fn message_of(topic: Topic, fork: Fork) -> Vec<u8> {
    let name = match topic {
        Topic::BeaconBlock => "SignedBeaconBlock",
        Topic::BeaconAggregateAndProof => "SignedAggregateAndProof",
        Topic::BeaconAttestation(_) if fork >= Fork::Electra => "SingleAttestation",
        Topic::BeaconAttestation(_) => "Attestation",
        Topic::VoluntaryExit => "SignedVoluntaryExit",
        Topic::ProposerSlashing => "ProposerSlashing",
        Topic::AttesterSlashing => "AttesterSlashing",
        Topic::SyncCommitteeContributionAndProof => "SignedContributionAndProof",
        Topic::SyncCommittee(_) => "SyncCommitteeMessage",
        Topic::BlsToExecutionChange => "SignedBLSToExecutionChange",
        Topic::BlobSidecar(_) => "BlobSidecar",
        Topic::DataColumnSidecar(_) => "DataColumnSidecar",
        Topic::LightClientFinalityUpdate => "LightClientFinalityUpdate",
        Topic::LightClientOptimisticUpdate => "LightClientOptimisticUpdate",
    };
    default_of(name, fork)
}

#[test]
fn gossip_of_any_bytes() {
    try_noise(gossip::check);
    for (fork_place, (config, digests)) in gossip::networks().iter().enumerate() {
        let era = digests.at(0);
        for (place, topic) in gossip::topics(era.fork).into_iter().enumerate() {
            let what = format!("{topic:?} of {}", era.fork);
            let ssz = message_of(topic, era.fork);
            let packed = snap::raw::Encoder::new().compress_vec(&ssz).unwrap();
            let front = |is_packed| [place as u8, fork_place as u8, is_packed];
            try_around(gossip::check, &front(0), &ssz, &what);
            try_around(gossip::check, &front(1), &packed, &what);
            // One byte more than the type has.
            let most = *topic.message_len(era, config).end();
            let long = snap::raw::Encoder::new().compress_vec(&vec![0; most + 1]).unwrap();
            assert!(!gossip::check(&[&front(1), &long[..]].concat()), "{what}");
            // The topic's own name, damaged.
            let text = topic.text(era.digest);
            let mut chance = Chance(place as u64);
            for _ in 0..DAMAGED {
                gossip::check(&[&front(0), &chance.damage(text.as_bytes())[..]].concat());
            }
        }
    }
}

/// A request of a protocol that is well formed.
fn request_of(id: ProtocolId) -> Vec<u8> {
    match id.protocol {
        Protocol::DataColumnSidecarsByRange => {
            let range = DataColumnSidecarsByRange {
                start_slot: 1,
                count: 2,
                columns: vec![3, 4],
            };
            range.encode(Fork::Fulu)
        }
        Protocol::DataColumnSidecarsByRoot => {
            let identifier = DataColumnsByRootIdentifier {
                block_root: Root::from([1; 32]),
                columns: vec![5],
            };
            // One offset, to behind itself.
            [&[4, 0, 0, 0], &identifier.encode(Fork::Fulu)[..]].concat()
        }
        Protocol::BeaconBlocksByRoot => vec![7; 64],
        Protocol::BlobSidecarsByRoot => vec![7; 80],
        protocol => {
            let bounds = protocol.request_len(id.version, &reqresp::setup().config);
            vec![0; *bounds.start()]
        }
    }
}

/// What a part of an answer holds.
fn content_of(id: ProtocolId, fork: Fork) -> Vec<u8> {
    let name = match (id.protocol.content(), id.protocol) {
        (Content::Block, _) => "SignedBeaconBlock",
        (Content::Blob, _) => "BlobSidecar",
        (Content::Column, _) => "DataColumnSidecar",
        (_, Protocol::LightClientBootstrap) => "LightClientBootstrap",
        (_, Protocol::LightClientUpdatesByRange) => "LightClientUpdate",
        (_, Protocol::LightClientFinalityUpdate) => "LightClientFinalityUpdate",
        (_, Protocol::LightClientOptimisticUpdate) => "LightClientOptimisticUpdate",
        (_, Protocol::Status) => "Status",
        (_, Protocol::GetMetaData) => "MetaData",
        _ => return vec![0; 8],
    };
    default_of(name, fork)
}

#[test]
fn requests_and_answers_of_any_bytes() {
    try_noise(reqresp::check);
    let setup = reqresp::setup();
    for (place, id) in setup.ids.iter().copied().enumerate() {
        let front = |mode| [place as u8, mode];
        let request = request_of(id);
        let what = format!("a request of {id:?}");
        let mut framed = Vec::new();
        write_payload(&request, &mut framed);
        // An empty one is not sent at all.
        if id.protocol.has_request() {
            try_around(reqresp::check, &front(0), &framed, &what);
        }
        try_around(reqresp::check, &front(2), &request, &what);
        // Blobs are of Deneb, which has an era of its own.
        let epoch = if id.protocol.content() == Content::Blob { 2 } else { 3 };
        let era = setup.digests.at(epoch);
        let (fork, digest) = match (id.protocol.content(), id.has_context()) {
            (Content::Own, _) => (own_fork(id.protocol, id.version), None),
            (_, true) => (era.fork, Some(era.digest)),
            (_, false) => (Fork::Phase0, None),
        };
        let part = part(digest, &content_of(id, fork));
        let answer = [&part[..], &part, &error(Code::ResourceUnavailable, "no\nmore")].concat();
        try_around(reqresp::check, &front(1), &answer, &format!("an answer of {id:?}"));
    }
    // Frames alone: what follows the length.
    let mut framed = Vec::new();
    write_payload(&vec![1; 1 << 16], &mut framed);
    try_around(reqresp::check, &[0, 3], &framed[3..], "a payload");
}

#[test]
fn node_records_of_any_bytes() {
    try_noise(enr::check);
    let key = |name: &str| enr::KEYS.iter().position(|key| *key == name).unwrap() as u8;
    let string = |bytes: &[u8]| [&[0x80 + bytes.len() as u8], bytes].concat();
    let entry = |name, value: &[u8]| [&[key(name), value.len() as u8], value].concat();
    let entries = [
        entry("eth2", &string(&[1; 16])),
        entry("attnets", &string(&[0xff; 8])),
        entry("syncnets", &[0x0f]),
        entry("cgc", &[8]),
        entry("nfd", &string(&[2; 4])),
        entry("ip", &string(&[10, 0, 0, 1])),
        entry("udp", &string(&[0x23, 0x28])),
        entry("tcp", &string(&[0x23, 0x28])),
        entry("quic", &string(&[0x23, 0x29])),
    ];
    let all = entries.concat();
    for _ in 0..8 {
        try_around(enr::check, &[1], &all, "a record's entries");
    }
    let mut builder = Enr::builder();
    builder.add_value_rlp("eth2", string(&[1; 16]).into());
    let mut record = Vec::new();
    builder.build(&enr::key()).unwrap().encode(&mut record);
    try_around(enr::check, &[0], &record, "a record");
}
