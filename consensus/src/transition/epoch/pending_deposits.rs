//! Deposits leave their queue as fast as churn allows (Electra).

use super::survey::Survey;
use crate::constants::{FAR_FUTURE_EPOCH, GENESIS_SLOT};
use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, validator};
use crate::helpers::churn::{get_activation_churn_limit, get_activation_exit_churn_limit};
use crate::helpers::math::add;
use crate::helpers::misc::compute_start_slot_at_epoch;
use crate::helpers::mutators::increase_balance;
use crate::preset::MAX_PENDING_DEPOSITS_PER_EPOCH;
use crate::signing::DepositProof;
use crate::state::State;
use crate::transition::block::deposit::add_validator_to_registry;
use crate::types::{Gwei, PendingDeposit, ValidatorIndex};
use crate::{Config, Invalid};

/// Spec: electra/, fulu/ and gloas/beacon-chain.md, `process_pending_deposits`.
pub fn process_pending_deposits(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let mut survey = Survey::of(state, config)?;
    dequeue_deposits(state, config, &mut survey)
}

/// `process_pending_deposits` with the validators that the survey found for the keys.
pub(super) fn dequeue_deposits(state: &mut State, config: &Config, survey: &mut Survey) -> Result<(), Invalid> {
    let next_epoch = get_current_epoch(state) + 1;
    let available_for_processing = add(state.deposit_balance_to_consume, deposit_churn_limit(state, config))?;
    let finalized_slot = compute_start_slot_at_epoch(state.finalized_checkpoint.epoch);
    let mut processed_amount: Gwei = 0;
    let mut next_deposit_index = 0;
    let mut deposits_to_postpone = Vec::new();
    let mut is_churn_limit_reached = false;

    while let Some(deposit) = state.pending_deposits.get(next_deposit_index).cloned() {
        if waits_for_bridge(state, &deposit)
            || deposit.slot > finalized_slot
            || next_deposit_index as u64 >= MAX_PENDING_DEPOSITS_PER_EPOCH
        {
            break;
        }
        // Read validator state
        let index = survey.deposits.get(&deposit.pubkey);
        let (is_validator_exited, is_validator_withdrawn) = match index {
            Some(index) => {
                let found = validator(state, index)?;
                (
                    found.exit_epoch < FAR_FUTURE_EPOCH,
                    found.withdrawable_epoch < next_epoch,
                )
            }
            None => (false, false),
        };
        if is_validator_withdrawn {
            // Deposited balance will never become active. Increase balance but do not consume churn
            apply_to(state, config, survey, &deposit, index)?;
        } else if is_validator_exited {
            // Validator is exiting, postpone the deposit until after withdrawable epoch
            deposits_to_postpone.push(deposit);
        } else {
            // Check if deposit fits in the churn, otherwise, do no more deposit processing in this epoch.
            let with_deposit = add(processed_amount, deposit.amount)?;
            is_churn_limit_reached = with_deposit > available_for_processing;
            if is_churn_limit_reached {
                break;
            }
            // Consume churn and apply deposit.
            processed_amount = with_deposit;
            apply_to(state, config, survey, &deposit, index)?;
        }
        // Regardless of how the deposit was handled, we move on in the queue.
        next_deposit_index += 1;
    }

    if next_deposit_index > 0 {
        let left = state.pending_deposits.iter_from(next_deposit_index).cloned();
        state.pending_deposits = state.pending_deposits.rebuilt(left.chain(deposits_to_postpone));
    }
    // Accumulate churn only if the churn limit has been hit.
    state.deposit_balance_to_consume = if is_churn_limit_reached {
        available_for_processing - processed_amount
    } else {
        0
    };
    Ok(())
}

/// In Gwei, before what was left over. Spec: electra/ and gloas/beacon-chain.md, in `process_pending_deposits`.
fn deposit_churn_limit(state: &State, config: &Config) -> Gwei {
    if state.at >= Fork::Gloas {
        get_activation_churn_limit(state, config)
    } else {
        get_activation_exit_churn_limit(state, config)
    }
}

/// Whether the deposit is a request that has to wait for all deposits of the Eth1 bridge; no longer so from Fulu on.
fn waits_for_bridge(state: &State, deposit: &PendingDeposit) -> bool {
    state.at < Fork::Fulu
        && deposit.slot > GENESIS_SLOT
        && state.eth1_deposit_index < state.deposit_requests_start_index
}

/// `apply_pending_deposit`, telling the survey whose balance changed and which key is new.
fn apply_to(
    state: &mut State,
    config: &Config,
    survey: &mut Survey,
    deposit: &PendingDeposit,
    index: Option<ValidatorIndex>,
) -> Result<(), Invalid> {
    let applied = apply_pending_deposit(state, config, deposit, index)?;
    if let Some(index) = applied {
        survey.deposits.enter(&deposit.pubkey, index);
        survey.balance_changed(index);
    }
    Ok(())
}

/// Credits a deposit to the validator at `index`, or makes a new one where there is none with its key and its signature
/// is valid. Returns which validator it was.
///
/// Spec: electra/beacon-chain.md, `apply_pending_deposit`.
pub fn apply_pending_deposit(
    state: &mut State,
    config: &Config,
    deposit: &PendingDeposit,
    index: Option<ValidatorIndex>,
) -> Result<Option<ValidatorIndex>, Invalid> {
    if let Some(index) = index {
        increase_balance(state, index, deposit.amount)?;
        return Ok(Some(index));
    }
    // Verify the deposit signature (proof of possession) which is not checked by the deposit contract
    let proof = DepositProof::of_pending(config, deposit);
    if !state.deposit_signatures.accept(&proof) {
        return Ok(None);
    }
    let index = state.validators.len() as ValidatorIndex;
    add_validator_to_registry(state, deposit.pubkey, deposit.withdrawal_credentials, deposit.amount)?;
    Ok(Some(index))
}
