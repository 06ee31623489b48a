//! When blocks may be imported although the execution layer has not judged their payloads yet.
//!
//! Which blocks those are and who descends from them is known to fork choice; here are the rules themselves.
//!
//! Spec: sync/optimistic.md of the consensus-specs.

use crate::fork::Fork;
use crate::ssz::{Root, Ssz};
use crate::types::{BeaconBlock, ExecutionPayload, Slot};

/// Slots after which a block may be imported optimistically in any case; operators may change it.
///
/// Spec: sync/optimistic.md, Constants.
pub const SAFE_SLOTS_TO_IMPORT_OPTIMISTICALLY: u64 = 128;

/// Whether the block has a payload (from Gloas on: a bid for one). From Capella on every block has: the merge is past.
///
/// Spec: sync/optimistic.md, `is_execution_block`.
pub fn is_execution_block(fork: Fork, block: &BeaconBlock) -> bool {
    if fork >= Fork::Capella {
        return true;
    }
    fork >= Fork::Bellatrix && block.body.execution_payload != ExecutionPayload::new(fork)
}

/// Whether a block of `slot` may be imported optimistically: if its parent has a payload, or if the block is old enough
/// by `safe_slots`.
///
/// Spec: sync/optimistic.md, `is_optimistic_candidate_block`.
pub fn is_optimistic_candidate_block(
    parent_is_execution_block: bool,
    slot: Slot,
    current_slot: Slot,
    safe_slots: u64,
) -> bool {
    parent_is_execution_block || slot.saturating_add(safe_slots) <= current_slot
}

/// The first of `block` and its ancestors that is not optimistic or has no parent. `parent` gives the parent's root of a
/// known block; a walk that leaves the known blocks ends where it left them. Ends after `limit` steps at the latest,
/// which the caller sets to the number of blocks that it holds.
///
/// Spec: sync/optimistic.md, `latest_verified_ancestor`.
pub fn latest_verified_ancestor(
    block: Root,
    limit: usize,
    is_optimistic: impl Fn(&Root) -> bool,
    parent: impl Fn(&Root) -> Option<Root>,
) -> Root {
    let mut block = block;
    for _ in 0..limit {
        if !is_optimistic(&block) {
            break;
        }
        match parent(&block) {
            Some(root) if !root.is_zero() => block = root,
            _ => break,
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BeaconBlockBody;

    #[test]
    fn a_block_is_a_candidate_behind_a_payload_or_when_it_is_deep() {
        let safe = SAFE_SLOTS_TO_IMPORT_OPTIMISTICALLY;
        assert!(is_optimistic_candidate_block(true, 100, 100, safe));
        assert!(!is_optimistic_candidate_block(false, 100, 227, safe));
        assert!(is_optimistic_candidate_block(false, 100, 228, safe));
        assert!(!is_optimistic_candidate_block(false, u64::MAX, 228, safe));
    }

    #[test]
    fn blocks_have_payloads_since_the_merge() {
        let mut block = BeaconBlock {
            body: BeaconBlockBody::new(Fork::Bellatrix),
            ..BeaconBlock::default()
        };
        assert!(!is_execution_block(Fork::Altair, &block));
        assert!(!is_execution_block(Fork::Bellatrix, &block));
        assert!(is_execution_block(Fork::Capella, &block));
        block.body.execution_payload.block_number = 1;
        assert!(is_execution_block(Fork::Bellatrix, &block));
    }

    #[test]
    fn the_walk_ends_at_the_first_verified_block_or_where_nothing_is_known() {
        let root = |number: u8| Root::from([number; 32]);
        let parent = |block: &Root| (block.0[0] > 1).then(|| root(block.0[0] - 1));
        let walk =
            |limit, verified: u8| latest_verified_ancestor(root(9), limit, |block| block.0[0] > verified, parent);
        assert_eq!(walk(100, 4), root(4));
        assert_eq!(walk(100, 9), root(9));
        assert_eq!(walk(100, 0), root(1));
        assert_eq!(walk(2, 4), root(7));
    }
}
