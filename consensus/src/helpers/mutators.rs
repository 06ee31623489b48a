//! What is changed in a state by more than one step.
//!
//! Spec: phase0/beacon-chain.md, "Beacon state mutators", and its counterparts of later forks.

use crate::constants::{COMPOUNDING_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH, G2_POINT_AT_INFINITY, GENESIS_SLOT};
use crate::constants::{PROPOSER_WEIGHT, WEIGHT_DENOMINATOR};
use crate::fork::Fork;
use crate::helpers::accessors::{balance, get_beacon_proposer_index, get_current_epoch, validator};
use crate::helpers::churn::{
    get_activation_exit_churn_limit, get_consolidation_churn_limit, get_exit_churn_limit, get_validator_churn_limit,
};
use crate::helpers::math::{add, div, mul, sub};
use crate::helpers::misc::compute_activation_exit_epoch;
use crate::helpers::target_balances::note_slashing;
use crate::preset::{
    EPOCHS_PER_SLASHINGS_VECTOR, MIN_ACTIVATION_BALANCE, MIN_SLASHING_PENALTY_QUOTIENT,
    MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR, MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX,
    MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA, PROPOSER_REWARD_QUOTIENT, WHISTLEBLOWER_REWARD_QUOTIENT,
    WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA,
};
use crate::state::State;
use crate::types::{Epoch, Gwei, PendingDeposit, Validator, ValidatorIndex};
use crate::{Config, Invalid};

/// The validator at `index` for writing.
pub fn validator_mut(state: &mut State, index: ValidatorIndex) -> Result<&mut Validator, Invalid> {
    let count = state.validators.len();
    let found = state.beacon.validators.get_mut(index as usize);
    found.ok_or_else(|| Invalid::new("validator index", format!("{index}, registry has {count}")))
}

/// The balance at `index` for writing.
pub fn balance_mut(state: &mut State, index: ValidatorIndex) -> Result<&mut Gwei, Invalid> {
    let count = state.balances.len();
    let found = state.beacon.balances.get_mut(index as usize);
    found.ok_or_else(|| Invalid::new("validator index", format!("{index}, there are {count} balances")))
}

/// Spec: phase0/beacon-chain.md, `increase_balance`. Overflow is invalid.
pub fn increase_balance(state: &mut State, index: ValidatorIndex, delta: Gwei) -> Result<(), Invalid> {
    let balance = balance_mut(state, index)?;
    *balance = add(*balance, delta)?;
    Ok(())
}

/// Spec: phase0/beacon-chain.md, `decrease_balance`. Stops at 0.
pub fn decrease_balance(state: &mut State, index: ValidatorIndex, delta: Gwei) -> Result<(), Invalid> {
    let balance = balance_mut(state, index)?;
    *balance = balance.saturating_sub(delta);
    Ok(())
}

/// Spec: phase0/ and electra/beacon-chain.md, `initiate_validator_exit`.
pub fn initiate_validator_exit(state: &mut State, config: &Config, index: ValidatorIndex) -> Result<(), Invalid> {
    let leaving = validator(state, index)?;
    if leaving.exit_epoch != FAR_FUTURE_EPOCH {
        return Ok(());
    }
    let effective_balance = leaving.effective_balance;
    let exit_epoch = if state.at >= Fork::Electra {
        compute_exit_epoch_and_update_churn(state, config, effective_balance)?
    } else {
        exit_queue_epoch(state, config)?
    };
    let withdrawable_epoch = add(exit_epoch, config.min_validator_withdrawability_delay)?;
    let leaving = validator_mut(state, index)?;
    leaving.exit_epoch = exit_epoch;
    leaving.withdrawable_epoch = withdrawable_epoch;
    Ok(())
}

/// The end of the exit queue before Electra. Spec: phase0/beacon-chain.md, in `initiate_validator_exit`.
fn exit_queue_epoch(state: &State, config: &Config) -> Result<Epoch, Invalid> {
    let earliest = compute_activation_exit_epoch(get_current_epoch(state));
    let (mut epoch, mut churn) = (earliest, 0);
    for exit_epoch in state.validators.iter().map(|validator| validator.exit_epoch) {
        if exit_epoch != FAR_FUTURE_EPOCH && exit_epoch > epoch {
            (epoch, churn) = (exit_epoch, 0);
        }
        churn += u64::from(exit_epoch == epoch);
    }
    if churn >= get_validator_churn_limit(state, config) {
        add(epoch, 1)
    } else {
        Ok(epoch)
    }
}

/// Spec: electra/beacon-chain.md, `switch_to_compounding_validator`.
pub fn switch_to_compounding_validator(state: &mut State, index: ValidatorIndex) -> Result<(), Invalid> {
    validator_mut(state, index)?.withdrawal_credentials.0[0] = COMPOUNDING_WITHDRAWAL_PREFIX;
    queue_excess_active_balance(state, index)
}

/// Spec: electra/beacon-chain.md, `queue_excess_active_balance`.
pub fn queue_excess_active_balance(state: &mut State, index: ValidatorIndex) -> Result<(), Invalid> {
    let held = balance(state, index)?;
    if held <= MIN_ACTIVATION_BALANCE {
        return Ok(());
    }
    *balance_mut(state, index)? = MIN_ACTIVATION_BALANCE;
    let validator = validator(state, index)?;
    let deposit = PendingDeposit {
        pubkey: validator.pubkey,
        withdrawal_credentials: validator.withdrawal_credentials,
        amount: held - MIN_ACTIVATION_BALANCE,
        // A placeholder, and with the genesis slot what tells it from a deposit request.
        signature: G2_POINT_AT_INFINITY,
        slot: GENESIS_SLOT,
    };
    state.pending_deposits.push(deposit);
    Ok(())
}

/// Where `amount` ends in a queue that lets `per_epoch` pass in each epoch, and what then is left of that epoch.
///
/// `left` is what is left in `epoch`. Spec: electra/beacon-chain.md, the common part of the two functions below.
fn consume_churn(epoch: Epoch, left: Gwei, per_epoch: Gwei, amount: Gwei) -> Result<(Epoch, Gwei), Invalid> {
    if amount <= left {
        return Ok((epoch, left - amount));
    }
    let additional_epochs = add(div(amount - left - 1, per_epoch)?, 1)?;
    let left = add(left, mul(additional_epochs, per_epoch)?)?;
    Ok((add(epoch, additional_epochs)?, sub(left, amount)?))
}

/// Spec: electra/ and gloas/beacon-chain.md, `compute_exit_epoch_and_update_churn`.
pub fn compute_exit_epoch_and_update_churn(
    state: &mut State,
    config: &Config,
    exit_balance: Gwei,
) -> Result<Epoch, Invalid> {
    let earliest = compute_activation_exit_epoch(get_current_epoch(state));
    let per_epoch = if state.at >= Fork::Gloas {
        get_exit_churn_limit(state, config)
    } else {
        get_activation_exit_churn_limit(state, config)
    };
    let is_new_epoch = state.earliest_exit_epoch < earliest;
    let left = if is_new_epoch {
        per_epoch
    } else {
        state.exit_balance_to_consume
    };
    let epoch = state.earliest_exit_epoch.max(earliest);
    let (epoch, left) = consume_churn(epoch, left, per_epoch, exit_balance)?;
    state.exit_balance_to_consume = left;
    state.earliest_exit_epoch = epoch;
    Ok(epoch)
}

/// Spec: electra/beacon-chain.md, `compute_consolidation_epoch_and_update_churn`.
pub fn compute_consolidation_epoch_and_update_churn(
    state: &mut State,
    config: &Config,
    consolidation_balance: Gwei,
) -> Result<Epoch, Invalid> {
    let earliest = compute_activation_exit_epoch(get_current_epoch(state));
    let per_epoch = get_consolidation_churn_limit(state, config);
    let is_new_epoch = state.earliest_consolidation_epoch < earliest;
    let left = if is_new_epoch {
        per_epoch
    } else {
        state.consolidation_balance_to_consume
    };
    let epoch = state.earliest_consolidation_epoch.max(earliest);
    let (epoch, left) = consume_churn(epoch, left, per_epoch, consolidation_balance)?;
    state.consolidation_balance_to_consume = left;
    state.earliest_consolidation_epoch = epoch;
    Ok(epoch)
}

/// Slashes a validator; `whistleblower_index` is the proposer unless given. Returns what the proposer got for it, in Gwei.
///
/// Spec: phase0/, altair/, bellatrix/ and electra/beacon-chain.md, `slash_validator`.
pub fn slash_validator(
    state: &mut State,
    config: &Config,
    slashed_index: ValidatorIndex,
    whistleblower_index: Option<ValidatorIndex>,
) -> Result<Gwei, Invalid> {
    let epoch = get_current_epoch(state);
    initiate_validator_exit(state, config, slashed_index)?;
    note_slashing(state, slashed_index);
    let slashed = validator_mut(state, slashed_index)?;
    slashed.slashed = true;
    slashed.withdrawable_epoch = slashed.withdrawable_epoch.max(add(epoch, EPOCHS_PER_SLASHINGS_VECTOR)?);
    let effective_balance = slashed.effective_balance;
    if let Some(sum) = state.slashings.get_mut((epoch % EPOCHS_PER_SLASHINGS_VECTOR) as usize) {
        *sum = add(*sum, effective_balance)?;
    }
    decrease_balance(
        state,
        slashed_index,
        effective_balance / min_slashing_penalty_quotient(state.at),
    )?;

    let proposer_index = get_beacon_proposer_index(state)?;
    let whistleblower_index = whistleblower_index.unwrap_or(proposer_index);
    let quotient = if state.at >= Fork::Electra {
        WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA
    } else {
        WHISTLEBLOWER_REWARD_QUOTIENT
    };
    let whistleblower_reward = effective_balance / quotient;
    let proposer_reward = if state.at >= Fork::Altair {
        mul(whistleblower_reward, PROPOSER_WEIGHT)? / WEIGHT_DENOMINATOR
    } else {
        whistleblower_reward / PROPOSER_REWARD_QUOTIENT
    };
    increase_balance(state, proposer_index, proposer_reward)?;
    increase_balance(state, whistleblower_index, whistleblower_reward - proposer_reward)?;
    let is_both = whistleblower_index == proposer_index;
    Ok(if is_both { whistleblower_reward } else { proposer_reward })
}

/// The part of the balance that slashing takes at once, as a quotient, at `fork`.
fn min_slashing_penalty_quotient(fork: Fork) -> u64 {
    if fork >= Fork::Electra {
        MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA
    } else if fork >= Fork::Bellatrix {
        MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX
    } else if fork >= Fork::Altair {
        MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR
    } else {
        MIN_SLASHING_PENALTY_QUOTIENT
    }
}
