//! Effective balances follow balances, with hysteresis.

use super::rewards_and_penalties::limit_of;
use super::survey::Survey;
use crate::helpers::accessors::{balance, validator};
use crate::helpers::mutators::validator_mut;
use crate::preset::{
    EFFECTIVE_BALANCE_INCREMENT, HYSTERESIS_DOWNWARD_MULTIPLIER, HYSTERESIS_QUOTIENT, HYSTERESIS_UPWARD_MULTIPLIER,
};
use crate::state::State;
use crate::types::{Gwei, ValidatorIndex};
use crate::{Config, Invalid};

/// Spec: phase0/ and electra/beacon-chain.md, `process_effective_balance_updates`.
pub fn process_effective_balance_updates(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let mut survey = Survey::of(state, config)?;
    update_effective_balances(state, &mut survey)
}

/// `process_effective_balance_updates` of the candidates that the survey has, or of all validators.
pub(super) fn update_effective_balances(state: &mut State, survey: &mut Survey) -> Result<(), Invalid> {
    match survey.hysteresis_candidates.take() {
        Some(candidates) => {
            for index in candidates {
                update_effective_balance(state, survey, index.into())?;
            }
        }
        None => {
            for index in 0..state.validators.len() {
                update_effective_balance(state, survey, index as ValidatorIndex)?;
            }
        }
    }
    // What was kept of the old ones; the end of the transition leaves the new ones.
    state.cache.total_active_balance = None;
    state.cache.effective_balances = None;
    Ok(())
}

fn update_effective_balance(state: &mut State, survey: &mut Survey, index: ValidatorIndex) -> Result<(), Invalid> {
    let held = balance(state, index)?;
    let found = validator(state, index)?;
    let old = found.effective_balance;
    let new = new_effective_balance(old, held, limit_of(state.at, found));
    if new != old {
        validator_mut(state, index)?.effective_balance = new;
        survey.effective_balance_changed(index, old, new);
    }
    Ok(())
}

/// The effective balance that a validator with this one, this balance and this limit gets, all in Gwei.
#[inline]
pub(super) fn new_effective_balance(effective_balance: Gwei, balance: Gwei, limit: Gwei) -> Gwei {
    const HYSTERESIS_INCREMENT: u64 = EFFECTIVE_BALANCE_INCREMENT / HYSTERESIS_QUOTIENT;
    const DOWNWARD_THRESHOLD: u64 = HYSTERESIS_INCREMENT * HYSTERESIS_DOWNWARD_MULTIPLIER;
    const UPWARD_THRESHOLD: u64 = HYSTERESIS_INCREMENT * HYSTERESIS_UPWARD_MULTIPLIER;
    if balance.saturating_add(DOWNWARD_THRESHOLD) < effective_balance
        || effective_balance.saturating_add(UPWARD_THRESHOLD) < balance
    {
        (balance - balance % EFFECTIVE_BALANCE_INCREMENT).min(limit)
    } else {
        effective_balance
    }
}
