//! The state transition: what a slot, an epoch, a block and a fork do to a state.
//!
//! One function per function of the specs, under its name, for all forks. The `process_*` functions change the state in
//! place and may stop half-way with an error: whoever calls them owns a clone (clones share all big lists, so that one
//! costs next to nothing) and throws it away with the error. [`state_transition`] does that itself. Nothing here talks
//! to an execution engine: what it has to be asked is returned as a [`NewPayloadRequest`].

pub mod block;
pub mod epoch;
pub mod genesis;
pub mod merge;
mod payload_request;
pub mod upgrade;

pub use block::process_block;
pub use payload_request::{NewPayloadRequest, get_execution_requests_list};

use crate::constants::DOMAIN_BEACON_PROPOSER;
use crate::fork::Fork;
use crate::preset::{SLOTS_PER_EPOCH, SLOTS_PER_HISTORICAL_ROOT};
use crate::signing::{Context, compute_signing_root, get_current_domain, validator_set};
use crate::ssz::{Root, Ssz};
use crate::state::State;
use crate::types::{SignedBeaconBlock, Slot};
use crate::{Config, Invalid, ensure};

/// The state after `signed_block`, and what the execution engine has to be asked about it: nothing from Gloas on, where
/// payloads come in envelopes, and nothing before the merge.
///
/// Works on a clone, so an error leaves nothing behind. Signatures that the context collects are checked in one batch
/// before the state root. Without `validate_result` neither the proposer's signature nor the state root is checked, as
/// in the production of a block. The caller has made sure that the slot is not in the future: every slot up to it costs
/// a hash of the state.
///
/// Spec: phase0/beacon-chain.md, `state_transition`.
pub fn state_transition<'b>(
    state: &State,
    signed_block: &'b SignedBeaconBlock,
    ctx: &mut Context,
    validate_result: bool,
) -> Result<(State, Option<NewPayloadRequest<'b>>), Invalid> {
    let mut post = state.clone();
    if let Some(signatures) = &ctx.deposit_signatures {
        post.deposit_signatures = signatures.clone();
    }
    let result = transition(&mut post, signed_block, ctx, validate_result);
    if result.is_err() {
        ctx.forget_collected();
    }
    result.map(|request| (post, request))
}

fn transition<'b>(
    state: &mut State,
    signed_block: &'b SignedBeaconBlock,
    ctx: &mut Context,
    validate_result: bool,
) -> Result<Option<NewPayloadRequest<'b>>, Invalid> {
    let block = &signed_block.message;
    process_slots(state, ctx.config, block.slot)?;
    if validate_result {
        verify_block_signature(state, ctx, signed_block)?;
    }
    let request = process_block(state, ctx, block)?;
    ctx.verify_collected()?;
    if validate_result {
        let computed = state.hash_tree_root();
        let in_block = block.state_root;
        ensure!(
            computed == in_block,
            "state root",
            "computed {computed}, in block {in_block}"
        );
    }
    Ok(request)
}

/// Spec: phase0/beacon-chain.md, `verify_block_signature`.
pub fn verify_block_signature(
    state: &State,
    ctx: &mut Context,
    signed_block: &SignedBeaconBlock,
) -> Result<(), Invalid> {
    const RULE: &str = "block signature";
    let block = &signed_block.message;
    ctx.check(RULE, |keys| {
        let domain = get_current_domain(state, DOMAIN_BEACON_PROPOSER);
        let signing_root = compute_signing_root(block, state.at, domain);
        validator_set(
            RULE,
            state,
            keys,
            block.proposer_index,
            signing_root,
            &signed_block.signature,
        )
    })
}

/// Moves a state on to `slot`, through epochs and forks as the config has them.
///
/// Afterwards what the blocks of the slot want is prepared. Spec: phase0/beacon-chain.md, `process_slots`, with the
/// forks' fork.md.
pub fn process_slots(state: &mut State, config: &Config, slot: Slot) -> Result<(), Invalid> {
    let from = state.slot;
    ensure!(from < slot, "slot order", "state at slot {from}, to be moved to {slot}");
    while state.slot < slot {
        process_slot(state);
        let next = state.slot + 1;
        let starts_epoch = next.is_multiple_of(SLOTS_PER_EPOCH);
        if starts_epoch {
            epoch::process_epoch(state, config)?;
        }
        state.slot = next;
        if starts_epoch {
            upgrade::upgrade_where_due(state, config)?;
            // Each epoch of its own, since every one needs the shuffling that the one before it has left.
            state.prepare();
        }
    }
    state.prepare();
    Ok(())
}

/// Spec: phase0/ and gloas/beacon-chain.md, `process_slot`.
pub fn process_slot(state: &mut State) {
    let previous_state_root = state.hash_tree_root();
    let place = (state.slot % SLOTS_PER_HISTORICAL_ROOT) as usize;
    if let Some(root) = state.state_roots.get_mut(place) {
        *root = previous_state_root;
    }
    if state.latest_block_header.state_root == Root::ZERO {
        state.latest_block_header.state_root = previous_state_root;
    }
    let previous_block_root = state.latest_block_header.hash_tree_root(state.at);
    if let Some(root) = state.block_roots.get_mut(place) {
        *root = previous_block_root;
    }
    if state.at >= Fork::Gloas {
        // Whether the next slot's payload comes is not known yet.
        let next = (state.slot + 1) % SLOTS_PER_HISTORICAL_ROOT;
        state.execution_payload_availability.set(next as usize, false);
    }
}
