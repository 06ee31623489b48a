//! What a full node makes for light clients out of its states and blocks.
//!
//! An object has the form of the fork at its attested header. A finalized header may be of an older fork, and takes the
//! newer form.

use super::branch::{
    current_sync_committee_gindex_at_slot, finalized_root_gindex_at_slot, next_sync_committee_gindex_at_slot,
    normalize_merkle_branch,
};
use super::compute_sync_committee_period_at_slot;
use super::header::execution_block_hash_gindex;
use crate::constants::{EXECUTION_BLOCK_HASH_GINDEX_GLOAS, EXECUTION_PAYLOAD_GINDEX, GENESIS_SLOT};
use crate::fork::Fork;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::MIN_SYNC_COMMITTEE_PARTICIPANTS;
use crate::ssz::proof::prove;
use crate::ssz::{Root, Ssz, Vector};
use crate::state::State;
use crate::transition::block::header_of;
use crate::types::{
    BeaconBlock, BeaconBlockHeader, Bytes32, LightClientBootstrap, LightClientFinalityUpdate, LightClientHeader,
    LightClientOptimisticUpdate, LightClientUpdate, SignedBeaconBlock, Slot,
};
use crate::{Config, Invalid, ensure};

/// The branch of the node at `gindex`. An error if the object has no such node, as a state of a wrong fork has not.
///
/// Spec: altair/light-client/full-node.md, `compute_merkle_proof`.
fn compute_merkle_proof<T: Ssz>(object: &T, fork: Fork, gindex: u64) -> Result<Vector<Bytes32>, Invalid> {
    let branch = prove(object, fork, gindex).map(Vector::from);
    branch.ok_or_else(|| Invalid::new("merkle proof", format!("the object has no node {gindex} at {fork}")))
}

fn fork_at_slot(config: &Config, slot: Slot) -> Fork {
    config.fork_at_epoch(compute_epoch_at_slot(slot))
}

/// The light client header of a block, in the form of fork `at`, which may be later than the block's own. An error if the
/// block is not one of the fork at its slot.
///
/// Spec: altair, capella, deneb and gloas/light-client/full-node.md, `block_to_light_client_header`.
pub fn block_to_light_client_header(
    config: &Config,
    at: Fork,
    block: &SignedBeaconBlock,
) -> Result<LightClientHeader, Invalid> {
    let message = &block.message;
    let fork = fork_at_slot(config, message.slot);
    let mut header = LightClientHeader::new(at);
    header.beacon = BeaconBlockHeader {
        slot: message.slot,
        proposer_index: message.proposer_index,
        parent_root: message.parent_root,
        state_root: message.state_root,
        body_root: message.body.hash_tree_root(fork),
    };
    // Bellatrix blocks have a payload too, but light client data of that time says nothing of it.
    if fork < Fork::Capella {
        return Ok(header);
    }
    if at >= Fork::Gloas {
        let branch = compute_merkle_proof(&message.body, fork, execution_block_hash_gindex(fork))?;
        header.execution_branch = normalize_merkle_branch(&branch, EXECUTION_BLOCK_HASH_GINDEX_GLOAS);
        header.execution_block_hash = if fork >= Fork::Gloas {
            message.body.signed_execution_payload_bid.message.parent_block_hash
        } else {
            message.body.execution_payload.block_hash
        };
    } else {
        header.execution_branch = compute_merkle_proof(&message.body, fork, EXECUTION_PAYLOAD_GINDEX)?;
        header.execution = header_of(fork, &message.body.execution_payload);
    }
    Ok(header)
}

/// The root of `block`, checked to be the one whose post state is `state`, without empty slots after it.
fn check_post_state(config: &Config, state: &State, block: &BeaconBlock) -> Result<Root, Invalid> {
    let mut header = state.latest_block_header;
    ensure!(
        state.slot == header.slot,
        "light client state",
        "at slot {}, its latest block is of slot {}",
        state.slot,
        header.slot
    );
    header.state_root = state.hash_tree_root();
    let computed = header.hash_tree_root(state.at);
    let block_root = block.hash_tree_root(fork_at_slot(config, block.slot));
    ensure!(
        computed == block_root,
        "light client state",
        "is that of block {computed}, block is {block_root}"
    );
    Ok(block_root)
}

fn check_altair(config: &Config, state: &State) -> Result<(), Invalid> {
    let epoch = compute_epoch_at_slot(state.slot);
    ensure!(
        epoch >= config.altair_fork_epoch && state.at >= Fork::Altair,
        "light client fork",
        "epoch {epoch} is before Altair, which begins at {}",
        config.altair_fork_epoch
    );
    Ok(())
}

/// Where light clients may start: `state` is the post state of `block`. It has the form of the state's fork.
///
/// Spec: altair/light-client/full-node.md, `create_light_client_bootstrap`.
pub fn create_light_client_bootstrap(
    config: &Config,
    state: &State,
    block: &SignedBeaconBlock,
) -> Result<LightClientBootstrap, Invalid> {
    check_altair(config, state)?;
    check_post_state(config, state, &block.message)?;
    let gindex = current_sync_committee_gindex_at_slot(config, state.slot);
    Ok(LightClientBootstrap {
        header: block_to_light_client_header(config, state.at, block)?,
        current_sync_committee: state.current_sync_committee.clone(),
        current_sync_committee_branch: compute_merkle_proof(&state.beacon, state.at, gindex)?,
    })
}

/// The update that the sync aggregate in `block` makes: `state` is its post state, `attested_block` its parent and
/// `attested_state` that one's post state, `finalized_block` the block that the latter has finalized, if it is at hand.
/// It has the form of the attested state's fork.
///
/// Spec: altair/light-client/full-node.md, `create_light_client_update`.
pub fn create_light_client_update(
    config: &Config,
    (state, block): (&State, &SignedBeaconBlock),
    (attested_state, attested_block): (&State, &SignedBeaconBlock),
    finalized_block: Option<&SignedBeaconBlock>,
) -> Result<LightClientUpdate, Invalid> {
    check_altair(config, attested_state)?;
    let sync_aggregate = &block.message.body.sync_aggregate;
    let participants = sync_aggregate.sync_committee_bits.count_ones() as u64;
    ensure!(
        participants >= MIN_SYNC_COMMITTEE_PARTICIPANTS,
        "update participants",
        "{participants}, at least {MIN_SYNC_COMMITTEE_PARTICIPANTS} are needed"
    );
    check_post_state(config, state, &block.message)?;
    let attested_root = check_post_state(config, attested_state, &attested_block.message)?;
    ensure!(
        attested_root == block.message.parent_root,
        "attested block",
        "{attested_root}, parent is {}",
        block.message.parent_root
    );

    let at = attested_state.at;
    let mut update = LightClientUpdate::new(at);
    update.attested_header = block_to_light_client_header(config, at, attested_block)?;
    let period = compute_sync_committee_period_at_slot;
    // The next committee is of use only if the current one has signed.
    if period(attested_block.message.slot) == period(block.message.slot) {
        let gindex = next_sync_committee_gindex_at_slot(config, attested_state.slot);
        update.next_sync_committee = attested_state.next_sync_committee.clone();
        update.next_sync_committee_branch = compute_merkle_proof(&attested_state.beacon, at, gindex)?;
    }
    if let Some(finalized_block) = finalized_block {
        add_finality(config, &mut update, attested_state, finalized_block)?;
    }
    update.sync_aggregate = sync_aggregate.clone();
    update.signature_slot = block.message.slot;
    Ok(update)
}

/// Enters the finalized header with its branch. Genesis is finalized under the zero root, so its header stays empty.
fn add_finality(
    config: &Config,
    update: &mut LightClientUpdate,
    attested_state: &State,
    finalized_block: &SignedBeaconBlock,
) -> Result<(), Invalid> {
    let at = attested_state.at;
    let finalized_root = if finalized_block.message.slot == GENESIS_SLOT {
        Root::ZERO
    } else {
        update.finalized_header = block_to_light_client_header(config, at, finalized_block)?;
        update.finalized_header.beacon.hash_tree_root(at)
    };
    let in_state = attested_state.finalized_checkpoint.root;
    ensure!(
        finalized_root == in_state,
        "finalized block",
        "{finalized_root}, in state {in_state}"
    );
    let gindex = finalized_root_gindex_at_slot(config, attested_state.slot);
    update.finality_branch = compute_merkle_proof(&attested_state.beacon, at, gindex)?;
    Ok(())
}

/// Spec: altair/light-client/full-node.md, `create_light_client_finality_update`.
pub fn create_light_client_finality_update(update: &LightClientUpdate) -> LightClientFinalityUpdate {
    LightClientFinalityUpdate {
        attested_header: update.attested_header.clone(),
        finalized_header: update.finalized_header.clone(),
        finality_branch: update.finality_branch.clone(),
        sync_aggregate: update.sync_aggregate.clone(),
        signature_slot: update.signature_slot,
    }
}

/// Spec: altair/light-client/full-node.md, `create_light_client_optimistic_update`.
pub fn create_light_client_optimistic_update(update: &LightClientUpdate) -> LightClientOptimisticUpdate {
    LightClientOptimisticUpdate {
        attested_header: update.attested_header.clone(),
        sync_aggregate: update.sync_aggregate.clone(),
        signature_slot: update.signature_slot,
    }
}
