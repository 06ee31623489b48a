//! Where in a state the proved parts lie, and branches that are longer than they need to be.

use crate::Config;
use crate::constants::{
    CURRENT_SYNC_COMMITTEE_GINDEX, CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA, CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS,
    FINALIZED_ROOT_GINDEX, FINALIZED_ROOT_GINDEX_ELECTRA, FINALIZED_ROOT_GINDEX_GLOAS, NEXT_SYNC_COMMITTEE_GINDEX,
    NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA, NEXT_SYNC_COMMITTEE_GINDEX_GLOAS,
};
use crate::fork::Fork;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::ssz::proof::is_valid_merkle_branch;
use crate::ssz::{Root, Vector};
use crate::types::{Bytes32, Slot};

/// The value that holds at a slot: `altair` up to Deneb, `electra` in Electra and Fulu, `gloas` from Gloas on.
fn at_slot(config: &Config, slot: Slot, altair: u64, electra: u64, gloas: u64) -> u64 {
    let fork = config.fork_at_epoch(compute_epoch_at_slot(slot));
    if fork >= Fork::Gloas {
        gloas
    } else if fork >= Fork::Electra {
        electra
    } else {
        altair
    }
}

/// Spec: altair, electra and gloas/light-client/sync-protocol.md, `finalized_root_gindex_at_slot`.
pub fn finalized_root_gindex_at_slot(config: &Config, slot: Slot) -> u64 {
    at_slot(
        config,
        slot,
        FINALIZED_ROOT_GINDEX,
        FINALIZED_ROOT_GINDEX_ELECTRA,
        FINALIZED_ROOT_GINDEX_GLOAS,
    )
}

/// Spec: altair, electra and gloas/light-client/sync-protocol.md, `current_sync_committee_gindex_at_slot`.
pub fn current_sync_committee_gindex_at_slot(config: &Config, slot: Slot) -> u64 {
    at_slot(
        config,
        slot,
        CURRENT_SYNC_COMMITTEE_GINDEX,
        CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA,
        CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS,
    )
}

/// Spec: altair, electra and gloas/light-client/sync-protocol.md, `next_sync_committee_gindex_at_slot`.
pub fn next_sync_committee_gindex_at_slot(config: &Config, slot: Slot) -> u64 {
    at_slot(
        config,
        slot,
        NEXT_SYNC_COMMITTEE_GINDEX,
        NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA,
        NEXT_SYNC_COMMITTEE_GINDEX_GLOAS,
    )
}

/// The specs' `floorlog2` of a generalized index, which is never 0.
pub(super) fn depth_of(gindex: u64) -> u64 {
    u64::from(gindex.max(1).ilog2())
}

/// The index of a node in its own layer. Spec: altair/light-client/sync-protocol.md, `get_subtree_index`.
pub fn get_subtree_index(generalized_index: u64) -> u64 {
    generalized_index - (1 << depth_of(generalized_index))
}

/// Whether `branch` leads from `leaf` at `gindex` to `root`; it may begin with zeros that are no part of it. One that is
/// too short is not valid.
///
/// Spec: altair/light-client/sync-protocol.md, `is_valid_normalized_merkle_branch`.
pub fn is_valid_normalized_merkle_branch(leaf: &Root, branch: &[Bytes32], gindex: u64, root: &Root) -> bool {
    let depth = depth_of(gindex);
    let Some(num_extra) = branch.len().checked_sub(depth as usize) else {
        return false;
    };
    let (extra, branch) = branch.split_at(num_extra);
    is_zero(extra) && is_valid_merkle_branch(leaf, branch, depth, get_subtree_index(gindex), root)
}

/// `branch` with zeros put before it, so that it has the length for `gindex`; one that is long enough stays as it is.
///
/// Spec: electra/light-client/fork.md, `normalize_merkle_branch`.
pub fn normalize_merkle_branch(branch: &[Bytes32], gindex: u64) -> Vector<Bytes32> {
    let num_extra = (depth_of(gindex) as usize).saturating_sub(branch.len());
    let mut normalized = vec![Bytes32::ZERO; num_extra];
    normalized.extend_from_slice(branch);
    normalized.into()
}

/// Whether this is the default branch, by which an update says that it proves nothing.
pub(super) fn is_zero(branch: &[Bytes32]) -> bool {
    branch.iter().all(Bytes32::is_zero)
}
