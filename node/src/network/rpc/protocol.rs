//! The protocols, their versions and names, and how long their requests and answers may be.

use crate::network::digests::{Digests, Era};
use crate::network::sizes;
use consensus::constants::MAX_REQUEST_LIGHT_CLIENT_UPDATES;
use consensus::preset::NUMBER_OF_COLUMNS;
use consensus::ssz::{Bound, Ssz};
use consensus::types::{DataColumnsByRootIdentifier, ForkDigest};
use consensus::{Config, Fork};
use libp2p::StreamProtocol;
use std::ops::RangeInclusive;

/// Streams of one protocol that a peer may have open with another at once. Spec: `MAX_CONCURRENT_REQUESTS`.
pub const MAX_CONCURRENT_REQUESTS: usize = 2;

/// A protocol, whatever its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the variants are the spec's names
pub enum Protocol {
    Status,
    Goodbye,
    Ping,
    GetMetaData,
    BeaconBlocksByRange,
    BeaconBlocksByRoot,
    BeaconBlocksByHead,
    BlobSidecarsByRange,
    BlobSidecarsByRoot,
    DataColumnSidecarsByRange,
    DataColumnSidecarsByRoot,
    LightClientBootstrap,
    LightClientUpdatesByRange,
    LightClientFinalityUpdate,
    LightClientOptimisticUpdate,
}

/// What an answer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A number, a status or metadata: read under the protocol's version, without a digest.
    Own,
    /// A block.
    Block,
    /// A blob.
    Blob,
    /// A column.
    Column,
    /// An object for light clients.
    LightClient,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 15] = [
        Protocol::Status,
        Protocol::Goodbye,
        Protocol::Ping,
        Protocol::GetMetaData,
        Protocol::BeaconBlocksByRange,
        Protocol::BeaconBlocksByRoot,
        Protocol::BeaconBlocksByHead,
        Protocol::BlobSidecarsByRange,
        Protocol::BlobSidecarsByRoot,
        Protocol::DataColumnSidecarsByRange,
        Protocol::DataColumnSidecarsByRoot,
        Protocol::LightClientBootstrap,
        Protocol::LightClientUpdatesByRange,
        Protocol::LightClientFinalityUpdate,
        Protocol::LightClientOptimisticUpdate,
    ];

    /// The name in its id.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Status => "status",
            Protocol::Goodbye => "goodbye",
            Protocol::Ping => "ping",
            Protocol::GetMetaData => "metadata",
            Protocol::BeaconBlocksByRange => "beacon_blocks_by_range",
            Protocol::BeaconBlocksByRoot => "beacon_blocks_by_root",
            Protocol::BeaconBlocksByHead => "beacon_blocks_by_head",
            Protocol::BlobSidecarsByRange => "blob_sidecars_by_range",
            Protocol::BlobSidecarsByRoot => "blob_sidecars_by_root",
            Protocol::DataColumnSidecarsByRange => "data_column_sidecars_by_range",
            Protocol::DataColumnSidecarsByRoot => "data_column_sidecars_by_root",
            Protocol::LightClientBootstrap => "light_client_bootstrap",
            Protocol::LightClientUpdatesByRange => "light_client_updates_by_range",
            Protocol::LightClientFinalityUpdate => "light_client_finality_update",
            Protocol::LightClientOptimisticUpdate => "light_client_optimistic_update",
        }
    }

    /// The versions that this node answers, newest first.
    pub fn versions(self) -> &'static [u8] {
        match self {
            Protocol::Status | Protocol::BeaconBlocksByRange | Protocol::BeaconBlocksByRoot => &[2, 1],
            Protocol::GetMetaData => &[3, 2, 1],
            _ => &[1],
        }
    }

    /// The versions that this node asks for, best first. Version 1 of the requests for blocks knows phase0's only and is
    /// deprecated.
    pub fn asked(self) -> &'static [u8] {
        match self {
            Protocol::BeaconBlocksByRange | Protocol::BeaconBlocksByRoot => &[2],
            _ => self.versions(),
        }
    }

    /// What an answer is made of.
    pub fn content(self) -> Content {
        match self {
            Protocol::Status | Protocol::Goodbye | Protocol::Ping | Protocol::GetMetaData => Content::Own,
            Protocol::BeaconBlocksByRange | Protocol::BeaconBlocksByRoot | Protocol::BeaconBlocksByHead => {
                Content::Block
            }
            Protocol::BlobSidecarsByRange | Protocol::BlobSidecarsByRoot => Content::Blob,
            Protocol::DataColumnSidecarsByRange | Protocol::DataColumnSidecarsByRoot => Content::Column,
            Protocol::LightClientBootstrap
            | Protocol::LightClientUpdatesByRange
            | Protocol::LightClientFinalityUpdate
            | Protocol::LightClientOptimisticUpdate => Content::LightClient,
        }
    }

    /// Whether the request has a payload at all.
    pub fn has_request(self) -> bool {
        !matches!(
            self,
            Protocol::GetMetaData | Protocol::LightClientFinalityUpdate | Protocol::LightClientOptimisticUpdate
        )
    }

    /// How many bytes a request may have.
    pub fn request_len(self, version: u8, config: &Config) -> RangeInclusive<usize> {
        let fixed = |length| length..=length;
        let roots = |item: usize, most: u64| 0..=item.saturating_mul(usize::try_from(most).unwrap_or(usize::MAX));
        match self {
            Protocol::Status => fixed(status_len(version)),
            Protocol::Goodbye | Protocol::Ping => fixed(8),
            Protocol::GetMetaData | Protocol::LightClientFinalityUpdate | Protocol::LightClientOptimisticUpdate => {
                fixed(0)
            }
            Protocol::BeaconBlocksByRange => fixed(24),
            Protocol::BeaconBlocksByRoot => roots(32, config.max_request_blocks),
            Protocol::BeaconBlocksByHead => fixed(40),
            Protocol::BlobSidecarsByRange | Protocol::LightClientUpdatesByRange => fixed(16),
            Protocol::BlobSidecarsByRoot => roots(40, config.compute_max_request_blob_sidecars(Fork::Electra)),
            Protocol::DataColumnSidecarsByRange => 20..=20 + 8 * NUMBER_OF_COLUMNS as usize,
            Protocol::DataColumnSidecarsByRoot => roots(identifier_len(), config.max_request_blocks_deneb),
            Protocol::LightClientBootstrap => fixed(32),
        }
    }

    /// How many bytes a part of the answer may have, by the era that its digest names; `None` where there is no such
    /// content in that era.
    pub fn answer_len(self, version: u8, era: Option<Era>, config: &Config) -> Option<RangeInclusive<usize>> {
        let fork = era.map_or(Fork::Phase0, |era| era.fork);
        match self {
            Protocol::Status => Some(status_len(version)..=status_len(version)),
            Protocol::Goodbye | Protocol::Ping => Some(8..=8),
            Protocol::GetMetaData => {
                let length = [16, 17, 25][usize::from(version.clamp(1, 3)) - 1];
                Some(length..=length)
            }
            _ => match self.content() {
                Content::Block => Some(sizes::block(fork, config)),
                Content::Blob => (Fork::Deneb..Fork::Fulu).contains(&fork).then(sizes::blob_sidecar),
                Content::Column => era.filter(|era| era.fork == Fork::Fulu).map(sizes::column_sidecar),
                _ => (fork >= Fork::Altair).then(sizes::light_client),
            },
        }
    }

    /// How many parts an answer may have whatever was asked for. Spec: `MAX_REQUEST_BLOCKS` and its like.
    pub fn parts_max(self, config: &Config) -> u64 {
        match self {
            Protocol::BeaconBlocksByRange | Protocol::BeaconBlocksByRoot => config.max_request_blocks,
            Protocol::BeaconBlocksByHead => config.max_request_blocks_deneb,
            Protocol::BlobSidecarsByRange | Protocol::BlobSidecarsByRoot => {
                config.compute_max_request_blob_sidecars(Fork::Electra)
            }
            Protocol::DataColumnSidecarsByRange | Protocol::DataColumnSidecarsByRoot => {
                config.compute_max_request_data_column_sidecars()
            }
            Protocol::LightClientUpdatesByRange => MAX_REQUEST_LIGHT_CLIENT_UPDATES,
            _ => 1,
        }
    }
}

/// Bytes of a list item: an offset, a root, an offset and all columns.
const fn identifier_len() -> usize {
    4 + 32 + 4 + 8 * NUMBER_OF_COLUMNS as usize
}

fn status_len(version: u8) -> usize {
    if version >= 2 { 92 } else { 84 }
}

/// The fork as which the own containers of a version are encoded; see `consensus::types::Status`.
pub fn own_fork(protocol: Protocol, version: u8) -> Fork {
    match (protocol, version) {
        (Protocol::Status, 2..) | (Protocol::GetMetaData, 3..) => Fork::Fulu,
        (Protocol::GetMetaData, 2) => Fork::Altair,
        _ => Fork::Phase0,
    }
}

/// A protocol with its version: what is negotiated for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProtocolId {
    /// Which.
    pub protocol: Protocol,
    /// Which version.
    pub version: u8,
}

impl ProtocolId {
    /// All that this node answers.
    pub fn all() -> impl Iterator<Item = ProtocolId> {
        let ids = |protocol: Protocol| {
            let versions = protocol.versions().iter();
            versions.map(move |version| ProtocolId {
                protocol,
                version: *version,
            })
        };
        Protocol::ALL.into_iter().flat_map(ids)
    }

    /// Whether every part of the answer begins with a fork digest.
    pub fn has_context(self) -> bool {
        match self.protocol.content() {
            Content::Own => false,
            Content::Block => self.version >= 2 || self.protocol == Protocol::BeaconBlocksByHead,
            _ => true,
        }
    }

    /// Its id. Spec: phase0/p2p-interface.md, "Protocol identification".
    pub fn name(self) -> StreamProtocol {
        let name = format!(
            "/eth2/beacon_chain/req/{}/{}/ssz_snappy",
            self.protocol.name(),
            self.version
        );
        // It begins with a slash, which is all that can be wrong.
        StreamProtocol::try_from_owned(name).unwrap_or(StreamProtocol::new("/eth2/none"))
    }

    /// The one with this id.
    pub fn of(name: &StreamProtocol) -> Option<ProtocolId> {
        ProtocolId::all().find(|id| id.name() == *name)
    }

    /// The era of a part that begins with this digest: `Err` for one that this network has not.
    pub fn era(self, digest: Option<ForkDigest>, digests: &Digests) -> Result<Option<Era>, super::frames::Broken> {
        match digest {
            None => Ok(None),
            Some(digest) => {
                let era = digests.of(digest);
                era.map(Some)
                    .ok_or(super::frames::Broken("a part begins with an unknown fork digest"))
            }
        }
    }
}

/// Reads the list of a request for columns by root.
pub fn decode_identifiers(ssz: &[u8], config: &Config) -> Option<Vec<DataColumnsByRootIdentifier>> {
    let shape = [Bound::Fixed(config.max_request_blocks_deneb)];
    Vec::decode_from(ssz, Fork::Fulu, &shape).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::types::{
        BeaconBlocksByHead, BeaconBlocksByRange, BlobIdentifier, BlobSidecarsByRange, LightClientUpdatesByRange,
        MetaData, Status,
    };

    #[test]
    fn names_are_those_of_the_specification() {
        let id = ProtocolId {
            protocol: Protocol::BeaconBlocksByRange,
            version: 2,
        };
        assert_eq!(
            id.name().as_ref(),
            "/eth2/beacon_chain/req/beacon_blocks_by_range/2/ssz_snappy"
        );
        for id in ProtocolId::all() {
            assert_eq!(ProtocolId::of(&id.name()), Some(id));
        }
        assert_eq!(ProtocolId::all().count(), 20);
    }

    #[test]
    fn lengths_are_those_of_the_types() {
        let config = Config::standard();
        let fixed = |protocol: Protocol, version| *protocol.request_len(version, &config).end();
        let len = <Status as Ssz>::fixed_len;
        assert_eq!(len(Fork::Phase0, &[]), Some(fixed(Protocol::Status, 1)));
        assert_eq!(len(Fork::Fulu, &[]), Some(fixed(Protocol::Status, 2)));
        let len = |fork| MetaData::fixed_len(fork, &[]);
        for version in 1..=3 {
            let answer = Protocol::GetMetaData.answer_len(version, None, &config).unwrap();
            assert_eq!(len(own_fork(Protocol::GetMetaData, version)), Some(*answer.end()));
        }
        let lens = [
            (
                BeaconBlocksByRange::fixed_len(Fork::Fulu, &[]),
                Protocol::BeaconBlocksByRange,
            ),
            (
                BeaconBlocksByHead::fixed_len(Fork::Fulu, &[]),
                Protocol::BeaconBlocksByHead,
            ),
            (
                BlobSidecarsByRange::fixed_len(Fork::Fulu, &[]),
                Protocol::BlobSidecarsByRange,
            ),
            (
                LightClientUpdatesByRange::fixed_len(Fork::Fulu, &[]),
                Protocol::LightClientUpdatesByRange,
            ),
        ];
        for (len, protocol) in lens {
            assert_eq!(len, Some(fixed(protocol, 1)), "{}", protocol.name());
        }
        assert_eq!(BlobIdentifier::fixed_len(Fork::Deneb, &[]), Some(40));
    }
}
