//! What is answered: which blocks and sidecars, and their bytes, read one after the other as the peer takes them.
//!
//! Nothing is decoded: what lies on disk is what goes out, under the digest of its slot.

use super::protocol::{Protocol, ProtocolId, decode_identifiers, own_fork};
use super::stream::{Code, part};
use crate::chain::Snapshot;
use crate::network::digests::Digests;
use crate::network::shared::Shared;
use consensus::Fork;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::ssz::{Bound, Ssz};
use consensus::types::{
    BeaconBlocksByHead, BeaconBlocksByRange, BlobIdentifier, BlobSidecarsByRange, DataColumnSidecarsByRange, Root, Slot,
};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use storage::{Sidecar, Storage, StoredBlock};

/// A refusal: its code and words.
pub(crate) type Refusal = (Code, &'static str);

/// Bytes of parts that are read at once: a large block, or some columns.
const AT_ONCE: usize = 256 << 10;

/// What is to be sent.
#[derive(Debug)]
pub(crate) enum Plan {
    /// These blocks. With `strict`, one that is missing ends the answer, since a range must have no holes.
    Blocks {
        /// Which.
        roots: VecDeque<Root>,
        /// See above.
        strict: bool,
    },
    /// A block and its ancestors.
    Ancestors {
        /// The next.
        next: Root,
        /// How many may follow.
        left: u64,
        /// None before this slot.
        since: Slot,
    },
    /// Sidecars of these blocks.
    Sidecars {
        /// Which kind.
        kind: Sidecar,
        /// The blocks, and the indices of each.
        blocks: VecDeque<(Root, Arc<[u64]>)>,
        /// Which index of the first is next.
        place: usize,
    },
}

/// Whether a range begins with what this node has not: its first block or, where sidecars are asked for, their first slot.
fn check_range(earliest: Slot, start: Slot, count: u64) -> Result<Range<Slot>, Refusal> {
    if count == 0 {
        return Err((Code::InvalidRequest, "the count is zero"));
    }
    if start < earliest {
        return Err((Code::ResourceUnavailable, "the range begins before what is kept here"));
    }
    // Genesis is a block that nobody has signed.
    Ok(start.max(1)..start.saturating_add(count))
}

/// Slots and roots of the head's chain in these slots, in order: what is finalized by the database's list, the rest by
/// the fork choice.
fn canonical(snapshot: &Snapshot, storage: &Storage, slots: &Range<Slot>) -> storage::Result<VecDeque<(Slot, Root)>> {
    let mut recent = Vec::new();
    let mut next = snapshot.block(&snapshot.head.root);
    while let Some(block) = next {
        if block.slot < slots.start {
            break;
        }
        if slots.contains(&block.slot) {
            recent.push((block.slot, block.root));
        }
        next = snapshot.block(&block.parent_root);
    }
    let known_from = snapshot.block(&snapshot.finalized().root).map_or(0, |block| block.slot);
    let old = storage.canonical_in(slots.start..slots.end.min(known_from));
    let mut all: VecDeque<(Slot, Root)> = old.collect::<storage::Result<_>>()?;
    all.extend(recent.into_iter().rev());
    Ok(all)
}

/// Reads the request and says what it asks for.
pub(crate) async fn plan(shared: &Arc<Shared>, id: ProtocolId, ssz: &[u8]) -> Result<Plan, Refusal> {
    let malformed = (Code::InvalidRequest, "the request cannot be decoded");
    let fork = own_fork(id.protocol, id.version);
    match id.protocol {
        Protocol::BeaconBlocksByRange => {
            let request = BeaconBlocksByRange::decode(ssz, fork).map_err(|_| malformed)?;
            let most = shared.config().max_request_blocks_deneb;
            // A step is deprecated: whoever asks for another than 1 may be sent one block.
            let count = if request.step == 1 {
                request.count
            } else {
                request.count.min(1)
            };
            let blocks = range(shared, shared.earliest_block(), request.start_slot, count.min(most)).await?;
            let roots = blocks.into_iter().map(|(_, root)| root).collect();
            Ok(Plan::Blocks { roots, strict: true })
        }
        Protocol::BeaconBlocksByRoot => {
            let most = shared.config().max_request_blocks;
            let roots: Vec<Root> = Vec::decode_from(ssz, fork, &[Bound::Fixed(most)]).map_err(|_| malformed)?;
            let most = usize::try_from(shared.config().max_request_blocks_deneb).unwrap_or(usize::MAX);
            let roots = roots.into_iter().take(most).collect();
            Ok(Plan::Blocks { roots, strict: false })
        }
        Protocol::BeaconBlocksByHead => {
            let request = BeaconBlocksByHead::decode(ssz, fork).map_err(|_| malformed)?;
            let kept = shared.config().compute_min_epochs_for_block_requests();
            Ok(Plan::Ancestors {
                next: request.beacon_root,
                left: request.count.min(shared.config().max_request_blocks_deneb),
                since: compute_start_slot_at_epoch(shared.epoch().saturating_sub(kept)),
            })
        }
        Protocol::BlobSidecarsByRange => {
            let request = BlobSidecarsByRange::decode(ssz, fork).map_err(|_| malformed)?;
            let most = shared.config().max_request_blocks_deneb;
            let blocks = range(
                shared,
                shared.earliest_slot(),
                request.start_slot,
                request.count.min(most),
            )
            .await?;
            // There are fewer blobs in a block than in any schedule; what is not there is skipped.
            let all: Arc<[u64]> = (0..shared.config().max_blobs_per_block_electra).collect();
            Ok(sidecars(Sidecar::Blob, blocks, &all))
        }
        Protocol::BlobSidecarsByRoot => {
            let most = shared.config().compute_max_request_blob_sidecars(Fork::Electra);
            let blobs: Vec<BlobIdentifier> =
                Vec::decode_from(ssz, fork, &[Bound::Fixed(most)]).map_err(|_| malformed)?;
            let blocks = blobs.into_iter().map(|blob| (blob.block_root, Arc::from([blob.index])));
            Ok(Plan::Sidecars {
                kind: Sidecar::Blob,
                blocks: blocks.collect(),
                place: 0,
            })
        }
        Protocol::DataColumnSidecarsByRange => {
            let request = DataColumnSidecarsByRange::decode(ssz, Fork::Fulu).map_err(|_| malformed)?;
            let most = shared.config().max_request_blocks_deneb;
            let blocks = range(
                shared,
                shared.earliest_slot(),
                request.start_slot,
                request.count.min(most),
            )
            .await?;
            let mut columns = request.columns;
            columns.sort_unstable();
            columns.dedup();
            Ok(sidecars(Sidecar::Column, blocks, &Arc::from(columns)))
        }
        Protocol::DataColumnSidecarsByRoot => {
            let identifiers = decode_identifiers(ssz, shared.config()).ok_or(malformed)?;
            let blocks = identifiers
                .into_iter()
                .map(|identifier| (identifier.block_root, Arc::from(identifier.columns)));
            Ok(Plan::Sidecars {
                kind: Sidecar::Column,
                blocks: blocks.collect(),
                place: 0,
            })
        }
        _ => Err((Code::ServerError, "this is no request for stored objects")),
    }
}

fn sidecars(kind: Sidecar, blocks: VecDeque<(Slot, Root)>, indices: &Arc<[u64]>) -> Plan {
    let blocks = blocks.into_iter().map(|(_, root)| (root, Arc::clone(indices)));
    Plan::Sidecars {
        kind,
        blocks: blocks.collect(),
        place: 0,
    }
}

async fn range(
    shared: &Arc<Shared>,
    earliest: Slot,
    start: Slot,
    count: u64,
) -> Result<VecDeque<(Slot, Root)>, Refusal> {
    let slots = check_range(earliest, start, count)?;
    let snapshot = shared.chain.snapshot();
    let found = shared.read(move |storage| canonical(&snapshot, storage, &slots)).await;
    found.ok_or((Code::ServerError, "the database cannot be read"))
}

/// The parts that are sent next, ready for the wire.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// The parts; empty at the end.
    pub(crate) parts: Vec<Vec<u8>>,
    /// What ends the answer after them.
    pub(crate) refusal: Option<Refusal>,
}

impl Plan {
    /// Reads the next parts, some hundred kilobytes. Blocks: for reading threads.
    pub(crate) fn next(&mut self, storage: &Storage, id: ProtocolId, digests: &Digests) -> storage::Result<Piece> {
        let mut piece = Piece::default();
        let mut bytes = 0;
        while bytes < AT_ONCE {
            let Some((slot, fork, ssz)) = self.read(storage)? else {
                break;
            };
            if !id.has_context() && fork > Fork::Phase0 {
                // Spec: altair/p2p-interface.md, "Transitioning from v1 to v2".
                piece.refusal = Some((Code::InvalidRequest, "version 1 knows blocks of phase0 only"));
                break;
            }
            let digest = digests.at(compute_epoch_at_slot(slot)).digest;
            bytes += ssz.len();
            piece.parts.push(part(id.has_context().then_some(digest), &ssz));
        }
        Ok(piece)
    }

    /// The next object.
    fn read(&mut self, storage: &Storage) -> storage::Result<Option<(Slot, Fork, Vec<u8>)>> {
        match self {
            Plan::Blocks { roots, strict } => {
                while let Some(root) = roots.pop_front() {
                    match storage.block_ssz(&root)? {
                        Some(block) => return Ok(Some((block.slot, block.fork, block.ssz))),
                        None if *strict => roots.clear(),
                        None => {}
                    }
                }
                Ok(None)
            }
            Plan::Ancestors { next, left, since } => {
                let Some(block) = storage.block_ssz(next)? else {
                    return Ok(None);
                };
                if *left == 0 || block.slot < *since {
                    return Ok(None);
                }
                *left -= 1;
                *next = parent_root(&block);
                Ok(Some((block.slot, block.fork, block.ssz)))
            }
            Plan::Sidecars { kind, blocks, place } => {
                while let Some((root, indices)) = blocks.front() {
                    let slot = storage.block_slot(root)?;
                    while let (Some(slot), Some(index)) = (slot, indices.get(*place)) {
                        *place += 1;
                        if let Some((fork, ssz)) = storage.sidecar(slot, root, *kind, *index)? {
                            return Ok(Some((slot, fork, ssz)));
                        }
                    }
                    *place = 0;
                    blocks.pop_front();
                }
                Ok(None)
            }
        }
    }
}

/// The parent of a stored block, read from its bytes: an offset and the signature come first, then the slot and the
/// proposer. Spec: phase0/beacon-chain.md, `SignedBeaconBlock`; the same in every fork.
fn parent_root(block: &StoredBlock) -> Root {
    let bytes = block.ssz.get(116..148).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or_else(Root::default, |bytes: [u8; 32]| Root::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::types::SignedBeaconBlock;

    #[test]
    fn the_parent_is_where_it_is_looked_for() {
        for fork in Fork::ALL {
            let mut block = SignedBeaconBlock::new(fork);
            block.message.parent_root = Root::from([7; 32]);
            let stored = StoredBlock {
                slot: 0,
                root: Root::default(),
                fork,
                ssz: block.encode(fork),
            };
            assert_eq!(parent_root(&stored), block.message.parent_root, "{fork}");
        }
    }
}
