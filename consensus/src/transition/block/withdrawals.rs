//! Withdrawals leave the balances in the block that fixes them.

use super::expected_withdrawals::get_expected_withdrawals;
use crate::fork::Fork;
use crate::helpers::builders::builder_mut;
use crate::helpers::math::add;
use crate::helpers::misc::convert_validator_index_to_builder_index;
use crate::helpers::mutators::decrease_balance;
use crate::helpers::predicates::is_builder_index;
use crate::preset::{MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP, MAX_WITHDRAWALS_PER_PAYLOAD};
use crate::state::State;
use crate::types::{ExecutionPayload, Withdrawal};
use crate::{Invalid, ensure};

/// Takes the expected withdrawals out of the state. Up to Fulu the block's `payload` must hold just these; from Gloas on
/// there is none yet (`None`), and nothing is withdrawn where the parent's payload did not come.
///
/// Spec: capella/, electra/ and gloas/beacon-chain.md, `process_withdrawals`.
pub fn process_withdrawals(state: &mut State, payload: Option<&ExecutionPayload>) -> Result<(), Invalid> {
    if state.at >= Fork::Gloas && state.latest_block_hash != state.latest_execution_payload_bid.block_hash {
        return Ok(());
    }
    let expected = get_expected_withdrawals(state)?;
    if let Some(payload) = payload {
        ensure!(
            payload.withdrawals == expected.withdrawals,
            "withdrawals",
            "expected {:?}, in payload {:?}",
            expected.withdrawals,
            payload.withdrawals
        );
    }
    apply_withdrawals(state, &expected.withdrawals)?;
    update_next_withdrawal_index(state, &expected.withdrawals)?;
    if state.at >= Fork::Gloas {
        state.payload_expected_withdrawals.clone_from(&expected.withdrawals);
        let processed = expected.processed_builder_withdrawals_count as usize;
        state.builder_pending_withdrawals.drain(..processed);
    }
    if state.at >= Fork::Electra {
        update_pending_partial_withdrawals(state, expected.processed_partial_withdrawals_count);
    }
    if state.at >= Fork::Gloas {
        update_next_withdrawal_builder_index(state, expected.processed_builders_sweep_count)?;
    }
    update_next_withdrawal_validator_index(state, &expected.withdrawals)
}

/// Spec: capella/ and gloas/beacon-chain.md, `apply_withdrawals`.
fn apply_withdrawals(state: &mut State, withdrawals: &[Withdrawal]) -> Result<(), Invalid> {
    for withdrawal in withdrawals {
        if state.at >= Fork::Gloas && is_builder_index(withdrawal.validator_index) {
            let builder = builder_mut(
                state,
                convert_validator_index_to_builder_index(withdrawal.validator_index),
            )?;
            builder.balance = builder.balance.saturating_sub(withdrawal.amount);
        } else {
            decrease_balance(state, withdrawal.validator_index, withdrawal.amount)?;
        }
    }
    Ok(())
}

/// Spec: capella/beacon-chain.md, `update_next_withdrawal_index`.
fn update_next_withdrawal_index(state: &mut State, withdrawals: &[Withdrawal]) -> Result<(), Invalid> {
    if let Some(latest) = withdrawals.last() {
        state.next_withdrawal_index = add(latest.index, 1)?;
    }
    Ok(())
}

/// Spec: electra/beacon-chain.md, `update_pending_partial_withdrawals`.
fn update_pending_partial_withdrawals(state: &mut State, processed_partial_withdrawals_count: u64) {
    if processed_partial_withdrawals_count > 0 {
        let queue = &state.pending_partial_withdrawals;
        let left = queue.iter_from(processed_partial_withdrawals_count as usize).copied();
        state.pending_partial_withdrawals = queue.rebuilt(left);
    }
}

/// Spec: gloas/beacon-chain.md, `update_next_withdrawal_builder_index`.
fn update_next_withdrawal_builder_index(state: &mut State, processed_builders_sweep_count: u64) -> Result<(), Invalid> {
    let count = state.builders.len() as u64;
    if count > 0 {
        let next_index = add(state.next_withdrawal_builder_index, processed_builders_sweep_count)?;
        state.next_withdrawal_builder_index = next_index % count;
    }
    Ok(())
}

/// Spec: capella/beacon-chain.md, `update_next_withdrawal_validator_index`.
fn update_next_withdrawal_validator_index(state: &mut State, withdrawals: &[Withdrawal]) -> Result<(), Invalid> {
    let next_index = match withdrawals.last() {
        // A full payload: the next sweep begins behind the last one served.
        Some(last) if withdrawals.len() as u64 == MAX_WITHDRAWALS_PER_PAYLOAD => add(last.validator_index, 1)?,
        _ => add(
            state.next_withdrawal_validator_index,
            MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP,
        )?,
    };
    let count = state.validators.len() as u64;
    ensure!(count > 0, "withdrawals sweep", "the registry is empty");
    state.next_withdrawal_validator_index = next_index % count;
    Ok(())
}
