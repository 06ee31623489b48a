//! Withdrawals and exits that the owner of the execution address asks for.
//!
//! Nobody can keep such a request out of a block, so one that breaks a rule has no effect and is no error.

use crate::constants::{FAR_FUTURE_EPOCH, FULL_EXIT_REQUEST_AMOUNT};
use crate::helpers::accessors::{balance, get_current_epoch, get_pending_balance_to_withdraw, validator};
use crate::helpers::math::add;
use crate::helpers::mutators::{compute_exit_epoch_and_update_churn, initiate_validator_exit};
use crate::helpers::predicates::{
    has_compounding_withdrawal_credential, has_execution_withdrawal_credential, is_active_validator,
};
use crate::preset::{MIN_ACTIVATION_BALANCE, PENDING_PARTIAL_WITHDRAWALS_LIMIT};
use crate::signing::Context;
use crate::state::State;
use crate::types::{ExecutionAddress, PendingPartialWithdrawal, Validator, ValidatorIndex, WithdrawalRequest};
use crate::{Config, Invalid};

/// Spec: electra/beacon-chain.md, `process_withdrawal_request`.
pub fn process_withdrawal_request(
    state: &mut State,
    ctx: &mut Context,
    withdrawal_request: &WithdrawalRequest,
) -> Result<(), Invalid> {
    let amount = withdrawal_request.amount;
    let is_full_exit_request = amount == FULL_EXIT_REQUEST_AMOUNT;
    let is_queue_full = state.pending_partial_withdrawals.len() as u64 == PENDING_PARTIAL_WITHDRAWALS_LIMIT;
    if is_queue_full && !is_full_exit_request {
        return Ok(());
    }
    let Some(index) = ctx.keys.index_of(state, &withdrawal_request.validator_pubkey) else {
        return Ok(());
    };
    let asked = validator(state, index)?;
    if !is_authorized_by(asked, &withdrawal_request.source_address) || !may_leave(state, ctx.config, asked)? {
        return Ok(());
    }
    let pending_balance_to_withdraw = get_pending_balance_to_withdraw(state, index)?;
    if !is_full_exit_request {
        return withdraw_partially(state, ctx.config, index, amount, pending_balance_to_withdraw);
    }
    if pending_balance_to_withdraw == 0 {
        initiate_validator_exit(state, ctx.config, index)?;
    }
    Ok(())
}

/// Whether `address` is the execution address of the validator.
pub(super) fn is_authorized_by(validator: &Validator, address: &ExecutionAddress) -> bool {
    has_execution_withdrawal_credential(validator) && validator.withdrawal_credentials.0[12..] == address.0
}

/// Whether the validator is active, is not leaving yet, and has been active long enough.
pub(super) fn may_leave(state: &State, config: &Config, validator: &Validator) -> Result<bool, Invalid> {
    let epoch = get_current_epoch(state);
    if !is_active_validator(validator, epoch) || validator.exit_epoch != FAR_FUTURE_EPOCH {
        return Ok(false);
    }
    Ok(epoch >= add(validator.activation_epoch, config.shard_committee_period)?)
}

/// Queues what the validator has beyond the least balance and beyond what is pending, up to `amount` Gwei.
fn withdraw_partially(
    state: &mut State,
    config: &Config,
    index: ValidatorIndex,
    amount: u64,
    pending_balance_to_withdraw: u64,
) -> Result<(), Invalid> {
    let asked = validator(state, index)?;
    let has_sufficient_effective_balance = asked.effective_balance >= MIN_ACTIVATION_BALANCE;
    let least = add(MIN_ACTIVATION_BALANCE, pending_balance_to_withdraw)?;
    let excess = balance(state, index)?.saturating_sub(least);
    if !has_compounding_withdrawal_credential(asked) || !has_sufficient_effective_balance || excess == 0 {
        return Ok(());
    }
    let to_withdraw = excess.min(amount);
    let exit_queue_epoch = compute_exit_epoch_and_update_churn(state, config, to_withdraw)?;
    let withdrawable_epoch = add(exit_queue_epoch, config.min_validator_withdrawability_delay)?;
    state.pending_partial_withdrawals.push(PendingPartialWithdrawal {
        validator_index: index,
        amount: to_withdraw,
        withdrawable_epoch,
    });
    Ok(())
}
