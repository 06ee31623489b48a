//! Electra: balances instead of heads pass through the queues, and whoever waits for activation starts over in them.

use super::enter;
use crate::constants::{FAR_FUTURE_EPOCH, G2_POINT_AT_INFINITY, GENESIS_SLOT, UNSET_DEPOSIT_REQUESTS_START_INDEX};
use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::churn::{get_activation_exit_churn_limit, get_consolidation_churn_limit};
use crate::helpers::math::add;
use crate::helpers::misc::compute_activation_exit_epoch;
use crate::helpers::mutators::{balance_mut, queue_excess_active_balance, validator_mut};
use crate::helpers::predicates::has_compounding_withdrawal_credential;
use crate::ssz::PersistentList;
use crate::state::State;
use crate::types::{Epoch, PendingDeposit, Validator, ValidatorIndex};
use crate::{Config, Invalid};

/// Spec: electra/fork.md, `upgrade_to_electra`.
pub fn upgrade_to_electra(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let earliest_exit_epoch = earliest_exit_epoch(state)?;
    enter(state, config, Fork::Electra);
    state.deposit_requests_start_index = UNSET_DEPOSIT_REQUESTS_START_INDEX;
    state.deposit_balance_to_consume = 0;
    state.earliest_exit_epoch = earliest_exit_epoch;
    state.earliest_consolidation_epoch = compute_activation_exit_epoch(get_current_epoch(state));
    state.pending_deposits = PersistentList::default();
    state.pending_partial_withdrawals = PersistentList::default();
    state.pending_consolidations = PersistentList::default();
    state.exit_balance_to_consume = get_activation_exit_churn_limit(state, config);
    state.consolidation_balance_to_consume = get_consolidation_churn_limit(state, config);
    queue_pre_activation(state)?;
    // Early adopters of compounding credentials go through the activation churn.
    for index in indices_where(state, has_compounding_withdrawal_credential) {
        queue_excess_active_balance(state, index)?;
    }
    Ok(())
}

/// Behind everybody who is leaving already.
fn earliest_exit_epoch(state: &State) -> Result<Epoch, Invalid> {
    let leaving = state.validators.iter().map(|validator| validator.exit_epoch);
    let last = leaving.filter(|epoch| *epoch != FAR_FUTURE_EPOCH).max().unwrap_or(0);
    add(last.max(compute_activation_exit_epoch(get_current_epoch(state))), 1)
}

fn indices_where(state: &State, wanted: impl Fn(&Validator) -> bool) -> Vec<ValidatorIndex> {
    let found = state
        .validators
        .iter()
        .enumerate()
        .filter(|(_, validator)| wanted(validator));
    found.map(|(index, _)| index as ValidatorIndex).collect()
}

/// Makes pending deposits of validators that are not active yet, in the order in which they became eligible.
fn queue_pre_activation(state: &mut State) -> Result<(), Invalid> {
    let waiting = state.validators.iter().enumerate();
    let waiting = waiting.filter(|(_, validator)| validator.activation_epoch == FAR_FUTURE_EPOCH);
    let mut pre_activation: Vec<(Epoch, ValidatorIndex)> = waiting
        .map(|(index, validator)| (validator.activation_eligibility_epoch, index as ValidatorIndex))
        .collect();
    pre_activation.sort_unstable();
    for (_, index) in pre_activation {
        let amount = std::mem::take(balance_mut(state, index)?);
        let validator = validator_mut(state, index)?;
        validator.effective_balance = 0;
        validator.activation_eligibility_epoch = FAR_FUTURE_EPOCH;
        let deposit = PendingDeposit {
            pubkey: validator.pubkey,
            withdrawal_credentials: validator.withdrawal_credentials,
            amount,
            // A placeholder, and with the genesis slot what tells it from a deposit request.
            signature: G2_POINT_AT_INFINITY,
            slot: GENESIS_SLOT,
        };
        state.pending_deposits.push(deposit);
    }
    Ok(())
}
