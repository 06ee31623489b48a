//! What a header says of its execution payload, and whether that is true.
//!
//! From Capella on a header carries the payload's header with a branch to the body; from Gloas on only a block hash, for
//! older blocks with a branch that leads through the payload's header.

use super::branch::{depth_of, get_subtree_index, is_valid_normalized_merkle_branch, is_zero};
use crate::Config;
use crate::constants::{
    EXECUTION_BLOCK_HASH_GINDEX, EXECUTION_BLOCK_HASH_GINDEX_DENEB, EXECUTION_BLOCK_HASH_GINDEX_GLOAS,
    EXECUTION_PAYLOAD_GINDEX, GENESIS_SLOT,
};
use crate::fork::Fork;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::ssz::proof::{calculate_merkle_root, is_valid_merkle_branch};
use crate::ssz::{PathStep, Root, Ssz, get_generalized_index};
use crate::types::{ExecutionPayloadHeader, LightClientHeader};

/// The fork at the header's own slot.
pub(super) fn fork_of(config: &Config, header: &LightClientHeader) -> Fork {
    config.fork_at_epoch(compute_epoch_at_slot(header.beacon.slot))
}

/// The place of the block hash in a payload's header, whose tree Deneb made deeper.
pub(super) fn block_hash_gindex(fork: Fork) -> u64 {
    get_generalized_index::<ExecutionPayloadHeader>(fork, &[PathStep::Field("block_hash")])
        .expect("a payload's header has a block hash at every fork")
}

/// The root of the payload's header, or the hash of the block itself from Gloas on; zero before Capella. `at` is the
/// form of `header`. A header whose branch has not the length of its form has a root that no block has: zero.
///
/// Spec: capella, deneb and gloas/light-client/sync-protocol.md, `get_lc_execution_root`.
pub fn get_lc_execution_root(config: &Config, at: Fork, header: &LightClientHeader) -> Root {
    let fork = fork_of(config, header).min(at);
    if fork < Fork::Capella {
        return Root::ZERO;
    }
    if fork >= Fork::Gloas {
        return header.execution_block_hash;
    }
    // The payload's header last changed in Deneb.
    let fork = fork.min(Fork::Deneb);
    if at < Fork::Gloas {
        return header.execution.hash_tree_root(fork);
    }
    if header.beacon.slot == GENESIS_SLOT {
        return ExecutionPayloadHeader::new(fork).hash_tree_root(fork);
    }
    root_through_branch(fork, header).unwrap_or(Root::ZERO)
}

/// The root of the payload's header out of the inner part of the branch from the block hash.
fn root_through_branch(fork: Fork, header: &LightClientHeader) -> Option<Root> {
    let gindex = block_hash_gindex(fork);
    let branch = &header.execution_branch;
    let inner_end = branch.len().checked_sub(depth_of(EXECUTION_PAYLOAD_GINDEX) as usize)?;
    let inner_start = inner_end.checked_sub(depth_of(gindex) as usize)?;
    calculate_merkle_root(&header.execution_block_hash, &branch[inner_start..inner_end], gindex)
}

/// Whether what the header says of its payload is proved by its body root. `at` is the form of `header`.
///
/// Spec: altair, capella, deneb and gloas/light-client/sync-protocol.md, `is_valid_light_client_header`.
pub fn is_valid_light_client_header(config: &Config, at: Fork, header: &LightClientHeader) -> bool {
    if at < Fork::Capella {
        return true;
    }
    let fork = fork_of(config, header);
    if at >= Fork::Gloas {
        return is_valid_block_hash(fork, header);
    }
    if fork < Fork::Deneb && (header.execution.blob_gas_used != 0 || header.execution.excess_blob_gas != 0) {
        return false;
    }
    if fork < Fork::Capella {
        return header.execution == ExecutionPayloadHeader::new(at) && is_zero(&header.execution_branch);
    }
    is_valid_merkle_branch(
        &get_lc_execution_root(config, at, header),
        &header.execution_branch,
        depth_of(EXECUTION_PAYLOAD_GINDEX),
        get_subtree_index(EXECUTION_PAYLOAD_GINDEX),
        &header.beacon.body_root,
    )
}

/// The same for a header of Gloas' form.
fn is_valid_block_hash(fork: Fork, header: &LightClientHeader) -> bool {
    if fork < Fork::Capella {
        return header.execution_block_hash.is_zero() && is_zero(&header.execution_branch);
    }
    let gindex = execution_block_hash_gindex(fork);
    let (leaf, root) = (&header.execution_block_hash, &header.beacon.body_root);
    is_valid_normalized_merkle_branch(leaf, &header.execution_branch, gindex, root)
}

/// The place of the block hash in a body, from Capella on: the payload's own, from Gloas on that of the parent's payload,
/// the last one known to be there. Spec: gloas/light-client/sync-protocol.md, "New constants".
pub(super) fn execution_block_hash_gindex(fork: Fork) -> u64 {
    if fork >= Fork::Gloas {
        EXECUTION_BLOCK_HASH_GINDEX_GLOAS
    } else if fork >= Fork::Deneb {
        EXECUTION_BLOCK_HASH_GINDEX_DENEB
    } else {
        EXECUTION_BLOCK_HASH_GINDEX
    }
}
