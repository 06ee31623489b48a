//! Validators that the owner of the execution address wants to be one, or to compound.
//!
//! Nobody can keep such a request out of a block, so one that breaks a rule has no effect and is no error.

use super::withdrawal_request::{is_authorized_by, may_leave};
use crate::constants::FAR_FUTURE_EPOCH;
use crate::helpers::accessors::{get_current_epoch, get_pending_balance_to_withdraw, validator};
use crate::helpers::churn::get_consolidation_churn_limit;
use crate::helpers::math::add;
use crate::helpers::mutators::{
    compute_consolidation_epoch_and_update_churn, switch_to_compounding_validator, validator_mut,
};
use crate::helpers::predicates::{
    has_compounding_withdrawal_credential, has_eth1_withdrawal_credential, is_active_validator,
};
use crate::preset::{MIN_ACTIVATION_BALANCE, PENDING_CONSOLIDATIONS_LIMIT};
use crate::signing::Context;
use crate::state::State;
use crate::types::{ConsolidationRequest, PendingConsolidation, Validator, ValidatorIndex};
use crate::{Config, Invalid};

/// Spec: electra/beacon-chain.md, `process_consolidation_request`.
pub fn process_consolidation_request(
    state: &mut State,
    ctx: &mut Context,
    consolidation_request: &ConsolidationRequest,
) -> Result<(), Invalid> {
    let source_index = ctx.keys.index_of(state, &consolidation_request.source_pubkey);
    // One that names the same validator twice is never a merger, which could serve as an exit.
    if consolidation_request.source_pubkey == consolidation_request.target_pubkey {
        return match source_index {
            Some(index) if may_switch(state, index, consolidation_request)? => {
                switch_to_compounding_validator(state, index)
            }
            _ => Ok(()),
        };
    }
    let is_queue_full = state.pending_consolidations.len() as u64 == PENDING_CONSOLIDATIONS_LIMIT;
    if is_queue_full || get_consolidation_churn_limit(state, ctx.config) <= MIN_ACTIVATION_BALANCE {
        return Ok(());
    }
    let target_index = ctx.keys.index_of(state, &consolidation_request.target_pubkey);
    let (Some(source_index), Some(target_index)) = (source_index, target_index) else {
        return Ok(());
    };
    let source = validator(state, source_index)?;
    let is_allowed = is_authorized_by(source, &consolidation_request.source_address)
        && may_receive(state, validator(state, target_index)?)
        && may_leave(state, ctx.config, source)?
        && get_pending_balance_to_withdraw(state, source_index)? == 0;
    if is_allowed {
        consolidate(state, ctx.config, source_index, target_index)?;
    }
    Ok(())
}

/// Whether the request asks a validator to compound, and may.
///
/// Spec: electra/beacon-chain.md, `is_valid_switch_to_compounding_request`.
pub fn is_valid_switch_to_compounding_request(
    state: &State,
    ctx: &Context,
    consolidation_request: &ConsolidationRequest,
) -> Result<bool, Invalid> {
    if consolidation_request.source_pubkey != consolidation_request.target_pubkey {
        return Ok(false);
    }
    match ctx.keys.index_of(state, &consolidation_request.source_pubkey) {
        Some(index) => may_switch(state, index, consolidation_request),
        None => Ok(false),
    }
}

/// The rest of that function, once the source is known.
fn may_switch(state: &State, index: ValidatorIndex, request: &ConsolidationRequest) -> Result<bool, Invalid> {
    let source = validator(state, index)?;
    Ok(has_eth1_withdrawal_credential(source)
        && is_authorized_by(source, &request.source_address)
        && is_active_validator(source, get_current_epoch(state))
        && source.exit_epoch == FAR_FUTURE_EPOCH)
}

/// Whether the validator can take another one's balance.
fn may_receive(state: &State, target: &Validator) -> bool {
    has_compounding_withdrawal_credential(target)
        && is_active_validator(target, get_current_epoch(state))
        && target.exit_epoch == FAR_FUTURE_EPOCH
}

/// Lets the source leave, its balance to be moved to the target when it has.
fn consolidate(
    state: &mut State,
    config: &Config,
    source_index: ValidatorIndex,
    target_index: ValidatorIndex,
) -> Result<(), Invalid> {
    let effective_balance = validator(state, source_index)?.effective_balance;
    let exit_epoch = compute_consolidation_epoch_and_update_churn(state, config, effective_balance)?;
    let withdrawable_epoch = add(exit_epoch, config.min_validator_withdrawability_delay)?;
    let source = validator_mut(state, source_index)?;
    source.exit_epoch = exit_epoch;
    source.withdrawable_epoch = withdrawable_epoch;
    state.pending_consolidations.push(PendingConsolidation {
        source_index,
        target_index,
    });
    Ok(())
}
