//! What the parent's payload does to the state, one block late, from Gloas on.
//!
//! A block says by its bid's parent hash whether the parent's payload came. If it did, its requests take effect now.

use super::{
    process_builder_deposit_request, process_builder_exit_request, process_consolidation_request,
    process_deposit_request, process_withdrawal_request,
};
use crate::helpers::accessors::{get_current_epoch, get_previous_epoch};
use crate::helpers::builders::settle_builder_payment;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::{
    MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD, MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD,
    MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD, MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD, SLOTS_PER_EPOCH,
    SLOTS_PER_HISTORICAL_ROOT,
};
use crate::signing::Context;
use crate::ssz::Ssz;
use crate::state::State;
use crate::types::{BeaconBlock, BuilderPendingWithdrawal, ExecutionRequests};
use crate::{Invalid, ensure};

/// Must run before `process_execution_payload_bid` replaces the parent's bid.
///
/// Spec: gloas/beacon-chain.md, `process_parent_execution_payload`.
pub fn process_parent_execution_payload(
    state: &mut State,
    ctx: &mut Context,
    block: &BeaconBlock,
) -> Result<(), Invalid> {
    let bid = &block.body.signed_execution_payload_bid.message;
    let parent_bid = &state.latest_execution_payload_bid;
    let requests = &block.body.parent_execution_requests;
    if bid.parent_block_hash != parent_bid.block_hash {
        ensure!(
            *requests == ExecutionRequests::default(),
            "parent execution requests",
            "there are some, but the parent's payload is not built upon"
        );
        return Ok(());
    }
    let (computed, promised) = (requests.hash_tree_root(state.at), parent_bid.execution_requests_root);
    ensure!(
        computed == promised,
        "parent execution requests root",
        "of the block's {computed}, in the parent's bid {promised}"
    );
    apply_parent_execution_payload(state, ctx, requests)
}

/// Also called when a block is made, before its withdrawals are computed.
///
/// Spec: gloas/beacon-chain.md, `apply_parent_execution_payload`.
pub fn apply_parent_execution_payload(
    state: &mut State,
    ctx: &mut Context,
    requests: &ExecutionRequests,
) -> Result<(), Invalid> {
    check_counts(requests)?;
    for request in &requests.deposits {
        process_deposit_request(state, request);
    }
    for request in &requests.withdrawals {
        process_withdrawal_request(state, ctx, request)?;
    }
    for request in &requests.consolidations {
        process_consolidation_request(state, ctx, request)?;
    }
    for request in &requests.builder_deposits {
        process_builder_deposit_request(state, ctx, request)?;
    }
    for request in &requests.builder_exits {
        process_builder_exit_request(state, ctx, request)?;
    }
    settle_parent_payment(state)?;
    let parent_bid = &state.latest_execution_payload_bid;
    let (slot, block_hash) = (parent_bid.slot, parent_bid.block_hash);
    let place = (slot % SLOTS_PER_HISTORICAL_ROOT) as usize;
    state.execution_payload_availability.set(place, true);
    state.latest_block_hash = block_hash;
    Ok(())
}

fn check_counts(requests: &ExecutionRequests) -> Result<(), Invalid> {
    let counts = [
        (
            "withdrawal",
            requests.withdrawals.len(),
            MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD,
        ),
        (
            "consolidation",
            requests.consolidations.len(),
            MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD,
        ),
        (
            "builder deposit",
            requests.builder_deposits.len(),
            MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD,
        ),
        (
            "builder exit",
            requests.builder_exits.len(),
            MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD,
        ),
    ];
    for (kind, count, limit) in counts {
        ensure!(
            count as u64 <= limit,
            "execution request count",
            "{count} {kind} requests, at most {limit}"
        );
    }
    Ok(())
}

/// The parent's builder owes what it bid. Payments older than two epochs are gone from the list, but not from the bid.
fn settle_parent_payment(state: &mut State) -> Result<(), Invalid> {
    let parent_bid = &state.latest_execution_payload_bid;
    let parent_epoch = compute_epoch_at_slot(parent_bid.slot);
    let place = parent_bid.slot % SLOTS_PER_EPOCH;
    if parent_epoch == get_current_epoch(state) {
        return settle_builder_payment(state, SLOTS_PER_EPOCH + place);
    }
    if parent_epoch == get_previous_epoch(state) {
        return settle_builder_payment(state, place);
    }
    if parent_bid.value > 0 {
        let withdrawal = BuilderPendingWithdrawal {
            fee_recipient: parent_bid.fee_recipient,
            amount: parent_bid.value,
            builder_index: parent_bid.builder_index,
        };
        state.builder_pending_withdrawals.push(withdrawal);
    }
    Ok(())
}
