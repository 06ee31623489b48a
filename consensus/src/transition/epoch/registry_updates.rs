//! Validators enter the activation queue, leave it, and are ejected.

use super::survey::Survey;
use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, validator};
use crate::helpers::churn::get_validator_activation_churn_limit;
use crate::helpers::misc::compute_activation_exit_epoch;
use crate::helpers::mutators::{initiate_validator_exit, validator_mut};
use crate::helpers::predicates::{is_active_validator, is_eligible_for_activation, is_eligible_for_activation_queue};
use crate::state::State;
use crate::types::{Validator, ValidatorIndex};
use crate::{Config, Invalid};

/// Spec: phase0/, deneb/ and electra/beacon-chain.md, `process_registry_updates`.
pub fn process_registry_updates(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let survey = Survey::of(state, config)?;
    update_registry(state, config, &survey)
}

/// `process_registry_updates` of the candidates that the survey found.
pub(super) fn update_registry(state: &mut State, config: &Config, survey: &Survey) -> Result<(), Invalid> {
    if state.at >= Fork::Electra {
        update_one_by_one(state, config, survey)
    } else {
        update_with_queue(state, config, survey)
    }
}

/// Whether the validator has too little to stay.
fn is_ejectable(state: &State, config: &Config, validator: &Validator) -> bool {
    is_active_validator(validator, get_current_epoch(state)) && validator.effective_balance <= config.ejection_balance
}

/// From Electra on: balances queue, validators do not.
fn update_one_by_one(state: &mut State, config: &Config, survey: &Survey) -> Result<(), Invalid> {
    let current_epoch = get_current_epoch(state);
    let activation_epoch = compute_activation_exit_epoch(current_epoch);
    for index in &survey.registry_candidates {
        let index = ValidatorIndex::from(*index);
        let found = validator(state, index)?;
        if is_eligible_for_activation_queue(state.at, found) {
            validator_mut(state, index)?.activation_eligibility_epoch = current_epoch + 1;
        } else if is_ejectable(state, config, found) {
            initiate_validator_exit(state, config, index)?;
        } else if is_eligible_for_activation(state, found) {
            validator_mut(state, index)?.activation_epoch = activation_epoch;
        }
    }
    Ok(())
}

/// Before Electra.
fn update_with_queue(state: &mut State, config: &Config, survey: &Survey) -> Result<(), Invalid> {
    let current_epoch = get_current_epoch(state);
    // Process activation eligibility and ejections
    for index in &survey.registry_candidates {
        let index = ValidatorIndex::from(*index);
        if is_eligible_for_activation_queue(state.at, validator(state, index)?) {
            validator_mut(state, index)?.activation_eligibility_epoch = current_epoch + 1;
        }
        if is_ejectable(state, config, validator(state, index)?) {
            initiate_validator_exit(state, config, index)?;
        }
    }

    // Queue validators eligible for activation and not yet dequeued for activation, in the order in which they became
    // eligible
    let mut activation_queue = Vec::new();
    for index in &survey.registry_candidates {
        let index = ValidatorIndex::from(*index);
        let found = validator(state, index)?;
        if is_eligible_for_activation(state, found) {
            activation_queue.push((found.activation_eligibility_epoch, index));
        }
    }
    activation_queue.sort_unstable();
    // Dequeued validators for activation up to activation churn limit
    let limit = get_validator_activation_churn_limit(state, config);
    for (_, index) in activation_queue.into_iter().take(limit as usize) {
        validator_mut(state, index)?.activation_epoch = compute_activation_exit_epoch(current_epoch);
    }
    Ok(())
}
