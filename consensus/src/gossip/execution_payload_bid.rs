//! Topic `execution_payload_bid`, from Gloas on.

use super::execution_payload::builder_key;
use super::verdict::{Checked, ignore, ignore_unless, reject_unless};
use super::{Gossip, Mark, Verdict, unanswered};
use crate::constants::{DOMAIN_BEACON_BUILDER, PAYLOAD_BUILDER_VERSION};
use crate::fork::Fork;
use crate::fork_choice::{ForkChoiceNode, View};
use crate::helpers::accessors::{get_current_epoch, get_randao_mix};
use crate::helpers::builders::{builder, can_builder_cover_bid, is_active_builder};
use crate::helpers::misc::compute_epoch_at_slot;
use crate::signing::{parse_signature, signing_root_of};
use crate::ssz::Ssz;
use crate::types::{ExecutionPayloadBid, ProposerPreferences, SignedExecutionPayloadBid};
use crypto::bls::SignatureSet;

/// The preferences that a bid is held against must be in `Seen`: a worker that has none is given the one it needs.
///
/// Spec: gloas/p2p-interface.md, "New `execution_payload_bid`".
pub fn validate_execution_payload_bid_gossip(gossip: &mut Gossip, signed_bid: &SignedExecutionPayloadBid) -> Verdict {
    rules(gossip, signed_bid).into()
}

fn rules(gossip: &mut Gossip, signed: &SignedExecutionPayloadBid) -> Checked {
    let bid = &signed.message;
    let current_slot = gossip.current_slot();
    ignore_unless(
        bid.slot == current_slot || bid.slot == current_slot.saturating_add(1),
        "bid is not for the current or the next slot",
    )?;
    let epoch = compute_epoch_at_slot(bid.slot);
    let dependent_root = gossip.view.shuffling_dependent_root(bid.parent_block_root, epoch);
    let seen = gossip.seen;
    let preferences = dependent_root.and_then(|root| seen.proposer_preferences(root, bid.slot));
    let Some(preferences) = preferences else {
        return ignore("matching proposer preferences have not been seen");
    };
    check_offer(gossip, bid, preferences)?;
    let mark = Mark::ExecutionPayloadBid {
        slot: bid.slot,
        parent_block_hash: bid.parent_block_hash,
        parent_block_root: bid.parent_block_root,
        builder_index: bid.builder_index,
        value: bid.value,
    };
    gossip.check_first(&mark)?;
    let covered = unanswered(can_builder_cover_bid(gossip.state, bid.builder_index, bid.value))?;
    ignore_unless(covered, "builder cannot cover the bid")?;
    check_parent(gossip, bid, preferences)?;
    check_signature(gossip, signed)?;
    gossip.marks.push(mark);
    Ok(())
}

/// The builder, and what the bid says by itself.
fn check_offer(gossip: &Gossip, bid: &ExecutionPayloadBid, preferences: &ProposerPreferences) -> Checked {
    let state = gossip.state;
    reject_unless(
        is_active_builder(state, bid.builder_index).unwrap_or(false),
        "builder is not active",
    )?;
    let version = unanswered(builder(state, bid.builder_index))?.version;
    reject_unless(version == PAYLOAD_BUILDER_VERSION, "builder is of another version")?;
    reject_unless(bid.execution_payment == 0, "bid's execution payment is not zero")?;
    ignore_unless(
        bid.fee_recipient == preferences.fee_recipient,
        "bid's fee recipient is not the proposer's",
    )?;
    let parameters = gossip.config().get_blob_parameters(compute_epoch_at_slot(bid.slot));
    reject_unless(
        bid.blob_kzg_commitments.len() as u64 <= parameters.max_blobs_per_block,
        "too many blob kzg commitments",
    )
}

/// What the bid builds on.
fn check_parent(gossip: &Gossip, bid: &ExecutionPayloadBid, preferences: &ProposerPreferences) -> Checked {
    let view = gossip.view;
    let Some(parent_gas_limit) = view.payload_gas_limit(bid.parent_block_hash) else {
        return ignore("bid's parent payload is not known");
    };
    ignore_unless(
        is_gas_limit_target_compatible(parent_gas_limit, bid.gas_limit, preferences.target_gas_limit),
        "bid's gas limit is not compatible with the proposer's target",
    )?;
    let fork_choice = view.fork_choice();
    ignore_unless(
        fork_choice.is_some_and(|(view, head)| is_bid_compatible_with_head(view, head, bid)),
        "bid is not compatible with the head",
    )?;
    let Some(parent_slot) = view.block_slot(bid.parent_block_root) else {
        return ignore("bid's parent block has not been seen");
    };
    reject_unless(bid.slot > parent_slot, "bid is not for a higher slot than its parent")?;
    let Some(parent_state) = view.block_state(bid.parent_block_root) else {
        return ignore("the state of the bid's parent block is not available");
    };
    reject_unless(
        bid.prev_randao == get_randao_mix(parent_state, get_current_epoch(parent_state)),
        "bid's randao mix is wrong",
    )
}

/// Spec: gloas/beacon-chain.md, `verify_execution_payload_bid_signature`.
fn check_signature(gossip: &mut Gossip, signed: &SignedExecutionPayloadBid) -> Checked {
    const WHY: &str = "invalid bid signature";
    let (state, bid) = (gossip.state, &signed.message);
    let domain = gossip.domain(DOMAIN_BEACON_BUILDER, compute_epoch_at_slot(bid.slot));
    let fork = gossip.fork_at_slot(bid.slot).max(Fork::Gloas);
    gossip.check_signature(WHY, |_| {
        Ok(SignatureSet {
            signature: parse_signature(WHY, &signed.signature)?,
            pubkey: builder_key(state, bid.builder_index)?,
            message: signing_root_of(bid.hash_tree_root(fork), domain).0,
        })
    })
}

/// Whether the head's branch may go on with the bid: with one on the same block and payload as the head, or with one on
/// the head itself and the payload that a proposer would take there. `head` is what `get_head` said; false if `view` does
/// not know it, or if its payload is not decided on.
///
/// Spec: gloas/p2p-interface.md, `is_bid_compatible_with_head`.
pub fn is_bid_compatible_with_head(view: &View, head: ForkChoiceNode, bid: &ExecutionPayloadBid) -> bool {
    let Some(head_block) = view.blocks().get(&head.root) else {
        return false;
    };
    let builds_on_parent_block = bid.parent_block_root == head_block.parent_root;
    let builds_on_parent_payload = bid.parent_block_hash == head_block.parent_block_hash;
    if builds_on_parent_block && builds_on_parent_payload {
        return true;
    }
    if bid.parent_block_root != head.root {
        return false;
    }
    match view.should_build_on_full(head, bid.slot) {
        Ok(true) => bid.parent_block_hash == head_block.block_hash,
        Ok(false) => builds_on_parent_payload,
        Err(_) => false,
    }
}

/// Whether a gas limit is the closest to the target that the execution layer allows behind its parent's.
///
/// Spec: gloas/p2p-interface.md, `is_gas_limit_target_compatible`.
pub fn is_gas_limit_target_compatible(parent_gas_limit: u64, gas_limit: u64, target_gas_limit: u64) -> bool {
    let max_gas_limit_difference = (parent_gas_limit / 1024).max(1) - 1;
    let min_gas_limit = parent_gas_limit - max_gas_limit_difference;
    let max_gas_limit = parent_gas_limit.saturating_add(max_gas_limit_difference);
    gas_limit == target_gas_limit.clamp(min_gas_limit, max_gas_limit)
}
