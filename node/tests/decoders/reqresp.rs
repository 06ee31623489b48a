//! Any bytes as a request or as an answer of any protocol and version: an error, or a payload whose length the protocol
//! allows; what was read from a stream is what would be read from memory.
//!
//! The first two bytes choose the protocol with its version, and how the rest is read.

use consensus::ssz::{Bound, Ssz};
use consensus::types::{
    BeaconBlocksByHead, BeaconBlocksByRange, BlobIdentifier, BlobSidecar, BlobSidecarsByRange, DataColumnSidecar,
    DataColumnSidecarsByRange, LightClientUpdatesByRange, MetaData, Root, SignedBeaconBlock, Status,
};
use consensus::{Config, Fork};
use futures_util::io::Cursor;
use node::network::digests::{Digests, Era};
use node::network::rpc::frames::{decompress, read_payload, write_payload};
use node::network::rpc::protocol::{Content, Protocol, ProtocolId, decode_identifiers, own_fork};
use node::network::rpc::stream::{Part, Reader};
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

/// What the second byte chooses: a whole request, a whole answer, a request without its frames, a payload of frames.
pub(crate) const MODES: u8 = 4;

pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) digests: Digests,
    pub(crate) ids: Vec<ProtocolId>,
    runtime: Runtime,
}

/// A network at Fulu, with two eras before it.
pub(crate) fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let mut config = Config::standard().with_forks_at_genesis(Fork::Phase0);
        config.set_fork_epoch(Fork::Altair, 1);
        for fork in [Fork::Bellatrix, Fork::Capella, Fork::Deneb] {
            config.set_fork_epoch(fork, 2);
        }
        config.set_fork_epoch(Fork::Electra, 3);
        config.set_fork_epoch(Fork::Fulu, 3);
        // Streams have time limits, though memory is always ready.
        let runtime = Builder::new_current_thread().enable_time().build();
        Setup {
            digests: Digests::new(&config, Root::default()),
            config,
            ids: ProtocolId::all().collect(),
            runtime: runtime.expect("there is a runtime"),
        }
    })
}

/// Decodes a request as who answers it does.
fn decode_request(id: ProtocolId, ssz: &[u8], config: &Config) -> bool {
    let fork = own_fork(id.protocol, id.version);
    let most = |count| [Bound::Fixed(count)];
    match id.protocol {
        Protocol::Status => Status::decode(ssz, fork).is_ok(),
        Protocol::Goodbye | Protocol::Ping => u64::decode(ssz, fork).is_ok(),
        Protocol::BeaconBlocksByRange => BeaconBlocksByRange::decode(ssz, fork).is_ok(),
        Protocol::BeaconBlocksByHead => BeaconBlocksByHead::decode(ssz, fork).is_ok(),
        Protocol::BeaconBlocksByRoot => Vec::<Root>::decode_from(ssz, fork, &most(config.max_request_blocks)).is_ok(),
        Protocol::BlobSidecarsByRange => BlobSidecarsByRange::decode(ssz, fork).is_ok(),
        Protocol::BlobSidecarsByRoot => {
            let most = most(config.compute_max_request_blob_sidecars(Fork::Electra));
            Vec::<BlobIdentifier>::decode_from(ssz, fork, &most).is_ok()
        }
        Protocol::DataColumnSidecarsByRange => DataColumnSidecarsByRange::decode(ssz, Fork::Fulu).is_ok(),
        Protocol::DataColumnSidecarsByRoot => decode_identifiers(ssz, config).is_some(),
        Protocol::LightClientUpdatesByRange => LightClientUpdatesByRange::decode(ssz, Fork::Altair).is_ok(),
        Protocol::LightClientBootstrap => Root::decode(ssz, Fork::Altair).is_ok(),
        Protocol::GetMetaData | Protocol::LightClientFinalityUpdate | Protocol::LightClientOptimisticUpdate => {
            ssz.is_empty()
        }
    }
}

/// Decodes a part of an answer as who asked does. Nobody here asks for what light clients are served.
fn decode_part(id: ProtocolId, era: Option<Era>, ssz: &[u8]) -> bool {
    let fork = era.map_or(Fork::Phase0, |era| era.fork);
    let own = own_fork(id.protocol, id.version);
    match (id.protocol.content(), id.protocol) {
        (Content::Block, _) => SignedBeaconBlock::decode(ssz, fork).is_ok(),
        (Content::Blob, _) => BlobSidecar::decode(ssz, fork).is_ok(),
        (Content::Column, _) => DataColumnSidecar::decode(ssz, fork).is_ok(),
        (Content::Own, Protocol::Status) => Status::decode(ssz, own).is_ok(),
        (Content::Own, Protocol::GetMetaData) => MetaData::decode(ssz, own).is_ok(),
        (Content::Own, _) => u64::decode(ssz, own).is_ok(),
        (Content::LightClient, _) => true,
    }
}

fn request(setup: &Setup, id: ProtocolId, bytes: &[u8]) -> bool {
    let bounds = id.protocol.request_len(id.version, &setup.config);
    let mut reader = Reader::new(Cursor::new(bytes));
    let Ok(packed) = setup.runtime.block_on(reader.request(bounds.clone())) else {
        return false;
    };
    assert!(bounds.contains(&packed.len()), "{id:?}: {} bytes", packed.len());
    let Ok(ssz) = packed.unpack() else { return false };
    assert_eq!(ssz.len(), packed.len(), "{id:?}");
    let (same, _) = read_payload(bytes, *bounds.end()).expect("memory is read as a stream is");
    assert_eq!(same, ssz, "{id:?}");
    decode_request(id, &ssz, &setup.config)
}

fn answer(setup: &Setup, id: ProtocolId, bytes: &[u8]) -> bool {
    let mut reader = Reader::new(Cursor::new(bytes));
    let mut good = false;
    // It has parts until it ends or is wrong; each takes at least one byte.
    for _ in 0..=bytes.len() {
        let read = reader.part(id, &setup.digests, &setup.config);
        let Ok(Some(part)) = setup.runtime.block_on(read) else {
            return good;
        };
        match part {
            Part::Error(code, message) => {
                assert!(code != 0 && !message.chars().any(char::is_control), "{message:?}");
            }
            Part::Content(era, packed) => {
                let bounds = id.protocol.answer_len(id.version, era, &setup.config);
                assert!(bounds.is_some_and(|bounds| bounds.contains(&packed.len())), "{id:?}");
                good |= packed.unpack().is_ok_and(|ssz| decode_part(id, era, &ssz));
            }
        }
    }
    panic!("{id:?}: an answer of {} bytes does not end", bytes.len());
}

/// Whether it was something. Panics where something is wrong.
pub(crate) fn check(data: &[u8]) -> bool {
    let [id, mode, bytes @ ..] = data else {
        return false;
    };
    let setup = setup();
    let id = setup.ids[*id as usize % setup.ids.len()];
    match mode % MODES {
        0 => request(setup, id, bytes),
        1 => answer(setup, id, bytes),
        2 => decode_request(id, bytes, &setup.config),
        _ => {
            // What is written is read, and damaged frames are no more than an error.
            let mut written = Vec::new();
            write_payload(bytes, &mut written);
            let (read, rest) = read_payload(&written, bytes.len()).expect("what is written is read");
            assert!(read == bytes && rest.is_empty());
            decompress(bytes, 1 << 16).is_ok()
        }
    }
}
