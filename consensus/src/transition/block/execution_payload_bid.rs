//! The bid by which a proposer commits to a payload, from Gloas on.

use crate::constants::{
    BUILDER_INDEX_SELF_BUILD, DOMAIN_BEACON_BUILDER, G2_POINT_AT_INFINITY, GENESIS_SLOT, PAYLOAD_BUILDER_VERSION,
};
use crate::helpers::accessors::{get_beacon_proposer_index, get_block_root_at_slot, get_current_epoch, get_randao_mix};
use crate::helpers::builders::{builder, can_builder_cover_bid, is_active_builder};
use crate::preset::SLOTS_PER_EPOCH;
use crate::signing::{Context, compute_signing_root, get_current_domain, pubkey_set};
use crate::state::State;
use crate::types::{
    BuilderPendingPayment, BuilderPendingWithdrawal, ExecutionPayloadBid, SignedExecutionPayloadBid, Slot,
};
use crate::{Config, Invalid, ensure};

/// Checks the block's bid, notes what it promises to pay and keeps it. Returns the slot of the parent block, which is
/// the last thing that the state's former bid is needed for.
///
/// Spec: gloas/beacon-chain.md, `process_execution_payload_bid`.
pub fn process_execution_payload_bid(
    state: &mut State,
    ctx: &mut Context,
    signed_bid: &SignedExecutionPayloadBid,
) -> Result<Slot, Invalid> {
    let bid = &signed_bid.message;
    if bid.builder_index == BUILDER_INDEX_SELF_BUILD {
        check_self_build(signed_bid)?;
    } else {
        check_builder(state, ctx, signed_bid)?;
    }
    check_contents(state, ctx.config, bid)?;
    if bid.value > 0 {
        let payment = BuilderPendingPayment {
            weight: 0,
            withdrawal: BuilderPendingWithdrawal {
                fee_recipient: bid.fee_recipient,
                amount: bid.value,
                builder_index: bid.builder_index,
            },
            proposer_index: get_beacon_proposer_index(state)?,
        };
        let place = (SLOTS_PER_EPOCH + bid.slot % SLOTS_PER_EPOCH) as usize;
        let entry = state.builder_pending_payments.get_mut(place);
        *entry.ok_or_else(|| Invalid::new("builder payment index", "the state has no payments"))? = payment;
    }
    let parent_slot = state.latest_execution_payload_bid.slot;
    state.latest_execution_payload_bid = bid.clone();
    Ok(parent_slot)
}

/// Who builds for itself pays nobody and signs nothing.
fn check_self_build(signed_bid: &SignedExecutionPayloadBid) -> Result<(), Invalid> {
    let value = signed_bid.message.value;
    ensure!(value == 0, "self-build bid value", "{value} Gwei, must be 0");
    let signature = signed_bid.signature;
    ensure!(
        signature == G2_POINT_AT_INFINITY,
        "self-build bid signature",
        "{signature}, must be the point at infinity"
    );
    Ok(())
}

fn check_builder(state: &State, ctx: &mut Context, signed_bid: &SignedExecutionPayloadBid) -> Result<(), Invalid> {
    let (index, value) = (signed_bid.message.builder_index, signed_bid.message.value);
    ensure!(
        is_active_builder(state, index)?,
        "bid builder active",
        "builder {index} is not active"
    );
    let version = builder(state, index)?.version;
    ensure!(
        version == PAYLOAD_BUILDER_VERSION,
        "bid builder version",
        "builder {index} has version {version}, must be {PAYLOAD_BUILDER_VERSION}"
    );
    let covered = can_builder_cover_bid(state, index, value)?;
    ensure!(covered, "bid value covered", "builder {index} cannot pay {value} Gwei");
    verify_execution_payload_bid_signature(state, ctx, signed_bid)
}

fn check_contents(state: &State, config: &Config, bid: &ExecutionPayloadBid) -> Result<(), Invalid> {
    let epoch = get_current_epoch(state);
    let blobs = bid.blob_kzg_commitments.len() as u64;
    let limit = config.get_blob_parameters(epoch).max_blobs_per_block;
    ensure!(blobs <= limit, "blob commitments", "{blobs} in bid, at most {limit}");
    ensure!(
        bid.slot == state.slot,
        "bid slot",
        "bid {}, state {}",
        bid.slot,
        state.slot
    );
    ensure!(state.slot > GENESIS_SLOT, "bid slot", "there is no bid at genesis");
    let (hash, latest) = (bid.parent_block_hash, state.latest_block_hash);
    ensure!(hash == latest, "bid parent hash", "in bid {hash}, in state {latest}");
    let (root, parent) = (bid.parent_block_root, get_block_root_at_slot(state, state.slot - 1)?);
    ensure!(root == parent, "bid parent root", "in bid {root}, in state {parent}");
    let (randao, mix) = (bid.prev_randao, get_randao_mix(state, epoch));
    ensure!(randao == mix, "bid randao", "in bid {randao}, in state {mix}");
    Ok(())
}

/// Spec: gloas/beacon-chain.md, `verify_execution_payload_bid_signature`.
pub fn verify_execution_payload_bid_signature(
    state: &State,
    ctx: &mut Context,
    signed_bid: &SignedExecutionPayloadBid,
) -> Result<(), Invalid> {
    const RULE: &str = "bid signature";
    let pubkey = builder(state, signed_bid.message.builder_index)?.pubkey;
    ctx.check(RULE, |_| {
        let domain = get_current_domain(state, DOMAIN_BEACON_BUILDER);
        let signing_root = compute_signing_root(&signed_bid.message, state.at, domain);
        pubkey_set(RULE, &pubkey, signing_root, &signed_bid.signature)
    })
}
