//! Objects of an older form, made into those of a newer one.
//!
//! The form changes in Capella (the payload's header), Electra (longer branches) and Gloas (longer branches again, and a
//! block hash in place of the payload's header). Deneb's two new fields are zero in what is older, as every field is
//! that a fork does not have.

use super::branch::{depth_of, normalize_merkle_branch};
use super::header::{block_hash_gindex, fork_of};
use super::store::LightClientStore;
use crate::Config;
use crate::constants::{
    CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA, CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS, EXECUTION_BLOCK_HASH_GINDEX_GLOAS,
    EXECUTION_PAYLOAD_GINDEX, FINALIZED_ROOT_GINDEX_ELECTRA, FINALIZED_ROOT_GINDEX_GLOAS,
    NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA, NEXT_SYNC_COMMITTEE_GINDEX_GLOAS,
};
use crate::fork::Fork;
use crate::ssz::proof::prove;
use crate::ssz::{Ssz, Vector};
use crate::types::{
    Bytes32, ExecutionPayloadHeader, LightClientBootstrap, LightClientFinalityUpdate, LightClientHeader,
    LightClientOptimisticUpdate, LightClientUpdate,
};

/// Makes a header of form `from` one of form `to`; nothing happens unless `to` is later.
///
/// Spec: light-client/fork.md of capella, deneb, electra and gloas, `upgrade_lc_header_to_*`.
pub fn upgrade_lc_header(config: &Config, header: &mut LightClientHeader, from: Fork, to: Fork) {
    if from < Fork::Capella && to >= Fork::Capella {
        header.execution = ExecutionPayloadHeader::new(Fork::Capella);
        header.execution_branch = normalize_merkle_branch(&[], EXECUTION_PAYLOAD_GINDEX);
    }
    if from < Fork::Gloas && to >= Fork::Gloas {
        *header = upgrade_lc_header_to_gloas(config, header);
    }
}

/// Spec: gloas/light-client/fork.md, `upgrade_lc_header_to_gloas`.
fn upgrade_lc_header_to_gloas(config: &Config, pre: &LightClientHeader) -> LightClientHeader {
    // The default header has slot 0, which would put it into the fork at genesis.
    let is_default = *pre == LightClientHeader::new(Fork::Electra);
    let fork = fork_of(config, pre).min(Fork::Deneb);
    let mut post = LightClientHeader::new(Fork::Gloas);
    post.beacon = pre.beacon;
    if is_default || fork < Fork::Capella {
        return post;
    }
    let mut branch = prove(&pre.execution, fork, block_hash_gindex(fork))
        .expect("the block hash has a branch in every payload's header");
    branch.extend_from_slice(&pre.execution_branch);
    post.execution_block_hash = pre.execution.block_hash;
    post.execution_branch = normalize_merkle_branch(&branch, EXECUTION_BLOCK_HASH_GINDEX_GLOAS);
    post
}

/// Lengthens a branch of form `from` to that of form `to`, given its index from Electra and from Gloas on.
fn upgrade_branch(branch: &mut Vector<Bytes32>, from: Fork, to: Fork, electra: u64, gloas: u64) {
    let gindex = if to >= Fork::Gloas { gloas } else { electra };
    if to >= Fork::Electra && from < to && branch.len() < depth_of(gindex) as usize {
        *branch = normalize_merkle_branch(branch, gindex);
    }
}

fn upgrade_finality_branch(branch: &mut Vector<Bytes32>, from: Fork, to: Fork) {
    upgrade_branch(
        branch,
        from,
        to,
        FINALIZED_ROOT_GINDEX_ELECTRA,
        FINALIZED_ROOT_GINDEX_GLOAS,
    );
}

/// Spec: light-client/fork.md of capella, deneb, electra and gloas, `upgrade_lc_bootstrap_to_*`.
pub fn upgrade_lc_bootstrap(config: &Config, bootstrap: &mut LightClientBootstrap, from: Fork, to: Fork) {
    upgrade_lc_header(config, &mut bootstrap.header, from, to);
    upgrade_branch(
        &mut bootstrap.current_sync_committee_branch,
        from,
        to,
        CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA,
        CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS,
    );
}

/// Spec: light-client/fork.md of capella, deneb, electra and gloas, `upgrade_lc_update_to_*`.
pub fn upgrade_lc_update(config: &Config, update: &mut LightClientUpdate, from: Fork, to: Fork) {
    upgrade_lc_header(config, &mut update.attested_header, from, to);
    upgrade_branch(
        &mut update.next_sync_committee_branch,
        from,
        to,
        NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA,
        NEXT_SYNC_COMMITTEE_GINDEX_GLOAS,
    );
    upgrade_lc_header(config, &mut update.finalized_header, from, to);
    upgrade_finality_branch(&mut update.finality_branch, from, to);
}

/// Spec: light-client/fork.md of capella, deneb, electra and gloas, `upgrade_lc_finality_update_to_*`.
pub fn upgrade_lc_finality_update(config: &Config, update: &mut LightClientFinalityUpdate, from: Fork, to: Fork) {
    upgrade_lc_header(config, &mut update.attested_header, from, to);
    upgrade_lc_header(config, &mut update.finalized_header, from, to);
    upgrade_finality_branch(&mut update.finality_branch, from, to);
}

/// Spec: light-client/fork.md of capella, deneb, electra and gloas, `upgrade_lc_optimistic_update_to_*`.
pub fn upgrade_lc_optimistic_update(config: &Config, update: &mut LightClientOptimisticUpdate, from: Fork, to: Fork) {
    upgrade_lc_header(config, &mut update.attested_header, from, to);
}

/// Makes the store one of form `to`; it may happen before that fork begins.
///
/// Spec: light-client/fork.md of capella, deneb, electra and gloas, `upgrade_lc_store_to_*`.
pub fn upgrade_lc_store(config: &Config, store: &mut LightClientStore, to: Fork) {
    let from = store.at;
    if to <= from {
        return;
    }
    upgrade_lc_header(config, &mut store.finalized_header, from, to);
    upgrade_lc_header(config, &mut store.optimistic_header, from, to);
    if let Some(update) = &mut store.best_valid_update {
        upgrade_lc_update(config, update, from, to);
    }
    store.at = to;
}
