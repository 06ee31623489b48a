//! The part of a slashing that depends on how many others were slashed around the same time.

use super::survey::Survey;
use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, validator};
use crate::helpers::math::{add, div, mul};
use crate::helpers::mutators::decrease_balance;
use crate::preset::{
    EFFECTIVE_BALANCE_INCREMENT, EPOCHS_PER_SLASHINGS_VECTOR, PROPORTIONAL_SLASHING_MULTIPLIER,
    PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR, PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX,
};
use crate::state::State;
use crate::types::{Gwei, ValidatorIndex};
use crate::{Config, Invalid};

/// Spec: phase0/, altair/, bellatrix/ and electra/beacon-chain.md, `process_slashings`.
pub fn process_slashings(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let mut survey = Survey::of(state, config)?;
    penalize_slashed(state, &mut survey)
}

/// `process_slashings` of the candidates that the survey found.
pub(super) fn penalize_slashed(state: &mut State, survey: &mut Survey) -> Result<(), Invalid> {
    let epoch = get_current_epoch(state);
    let total_balance = survey.total_active_balance;
    let slashed = state.slashings.iter().try_fold(0, |sum, balance| add(sum, *balance))?;
    let adjusted_total_slashing_balance = mul(slashed, proportional_slashing_multiplier(state.at))?.min(total_balance);
    for index in std::mem::take(&mut survey.slashing_candidates) {
        let index = ValidatorIndex::from(index);
        let found = validator(state, index)?;
        if found.slashed && epoch + EPOCHS_PER_SLASHINGS_VECTOR / 2 == found.withdrawable_epoch {
            let increments = found.effective_balance / EFFECTIVE_BALANCE_INCREMENT;
            let penalty = penalty(state.at, increments, adjusted_total_slashing_balance, total_balance)?;
            decrease_balance(state, index, penalty)?;
            survey.balance_changed(index);
        }
    }
    Ok(())
}

/// What a validator of that many increments pays, in Gwei. Increments are divided out to avoid overflow.
fn penalty(fork: Fork, increments: u64, adjusted_total: Gwei, total_balance: Gwei) -> Result<Gwei, Invalid> {
    if fork >= Fork::Electra {
        let per_increment = div(adjusted_total, total_balance / EFFECTIVE_BALANCE_INCREMENT)?;
        return mul(per_increment, increments);
    }
    let penalty_numerator = mul(increments, adjusted_total)?;
    mul(div(penalty_numerator, total_balance)?, EFFECTIVE_BALANCE_INCREMENT)
}

fn proportional_slashing_multiplier(fork: Fork) -> u64 {
    if fork >= Fork::Bellatrix {
        PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX
    } else if fork >= Fork::Altair {
        PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR
    } else {
        PROPORTIONAL_SLASHING_MULTIPLIER
    }
}
