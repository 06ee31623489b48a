//! What each component of participation is worth to each validator in phase0.
//!
//! Spec: phase0/beacon-chain.md, "Components of attestation deltas".

use super::attestations::{get_matching_source_attestations, pending_attesting_indices};
use super::deltas::{Deltas, eligible};
use super::leak::{get_finality_delay, is_in_inactivity_leak};
use super::survey::Survey;
use crate::constants::{
    BASE_REWARDS_PER_EPOCH, TIMELY_HEAD_FLAG_INDEX, TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX,
};
use crate::helpers::accessors::validator;
use crate::helpers::math::{add, div, mul, sub};
use crate::preset::{
    BASE_REWARD_FACTOR, EFFECTIVE_BALANCE_INCREMENT, INACTIVITY_PENALTY_QUOTIENT, PROPOSER_REWARD_QUOTIENT,
};
use crate::state::State;
use crate::types::{Gwei, PendingAttestation};
use crate::{Config, Invalid};

/// In Gwei. Spec: phase0/beacon-chain.md, `get_base_reward`.
fn base_reward(survey: &Survey, effective_balance: Gwei) -> Result<Gwei, Invalid> {
    let factored = mul(effective_balance, BASE_REWARD_FACTOR)?;
    Ok(factored / survey.total_active_balance.isqrt() / BASE_REWARDS_PER_EPOCH)
}

/// In Gwei. Spec: phase0/beacon-chain.md, `get_proposer_reward`.
fn proposer_reward(base_reward: Gwei) -> Gwei {
    base_reward / PROPOSER_REWARD_QUOTIENT
}

/// Spec: phase0/beacon-chain.md, `get_attestation_component_deltas`, for the votes that have this flag.
fn attestation_component_deltas(state: &State, survey: &Survey, flag_index: usize) -> Result<Deltas, Invalid> {
    let leak = is_in_inactivity_leak(state)?;
    let attesting = survey.previous_flag_balances[flag_index] / EFFECTIVE_BALANCE_INCREMENT;
    let total = survey.total_active_balance / EFFECTIVE_BALANCE_INCREMENT;
    let mut deltas = Deltas::zero(survey.rows.len());
    for (index, row) in eligible(survey) {
        let base_reward = base_reward(survey, survey.effective_balance(state, index as u64)?)?;
        if !row.earned(flag_index) {
            deltas.penalties[index] = base_reward;
        } else if leak {
            // The inactivity penalty takes the whole base reward, so that the best participation gets all of it here.
            deltas.rewards[index] = base_reward;
        } else {
            deltas.rewards[index] = div(mul(base_reward, attesting)?, total)?;
        }
    }
    Ok(deltas)
}

/// Spec: phase0/beacon-chain.md, `get_source_deltas`.
pub fn get_source_deltas(state: &State, config: &Config) -> Result<Deltas, Invalid> {
    attestation_component_deltas(state, &Survey::of(state, config)?, TIMELY_SOURCE_FLAG_INDEX)
}

/// Spec: phase0/beacon-chain.md, `get_target_deltas`.
pub fn get_target_deltas(state: &State, config: &Config) -> Result<Deltas, Invalid> {
    attestation_component_deltas(state, &Survey::of(state, config)?, TIMELY_TARGET_FLAG_INDEX)
}

/// Spec: phase0/beacon-chain.md, `get_head_deltas`.
pub fn get_head_deltas(state: &State, config: &Config) -> Result<Deltas, Invalid> {
    attestation_component_deltas(state, &Survey::of(state, config)?, TIMELY_HEAD_FLAG_INDEX)
}

/// Spec: phase0/beacon-chain.md, `get_inclusion_delay_deltas`.
pub fn get_inclusion_delay_deltas(state: &State, config: &Config) -> Result<Deltas, Invalid> {
    inclusion_delay_deltas(state, &Survey::of(state, config)?)
}

fn inclusion_delay_deltas(state: &State, survey: &Survey) -> Result<Deltas, Invalid> {
    // Of each validator's votes the one that was included first, the earlier in the list where two are.
    let mut first: Vec<Option<&PendingAttestation>> = vec![None; survey.rows.len()];
    for attestation in get_matching_source_attestations(state, survey.previous_epoch)? {
        for index in pending_attesting_indices(state, attestation)? {
            if let Some(found) = first.get_mut(index as usize)
                && found.is_none_or(|found| attestation.inclusion_delay < found.inclusion_delay)
            {
                *found = Some(attestation);
            }
        }
    }
    let mut deltas = Deltas::zero(survey.rows.len());
    for (index, attestation) in first.into_iter().enumerate() {
        let Some(attestation) = attestation else { continue };
        if validator(state, index as u64)?.slashed {
            continue;
        }
        let base_reward = base_reward(survey, survey.effective_balance(state, index as u64)?)?;
        let proposer = deltas.rewards.get_mut(attestation.proposer_index as usize);
        let proposer = proposer.ok_or_else(|| {
            let index = attestation.proposer_index;
            Invalid::new("validator index", format!("proposer {index} of a pending attestation"))
        })?;
        *proposer = add(*proposer, proposer_reward(base_reward))?;
        let max_attester_reward = base_reward - proposer_reward(base_reward);
        let reward = &mut deltas.rewards[index];
        *reward = add(*reward, div(max_attester_reward, attestation.inclusion_delay)?)?;
    }
    Ok(deltas)
}

/// Spec: phase0/beacon-chain.md, `get_inactivity_penalty_deltas`.
pub fn get_inactivity_penalty_deltas(state: &State, config: &Config) -> Result<Deltas, Invalid> {
    inactivity_penalty_deltas(state, &Survey::of(state, config)?)
}

fn inactivity_penalty_deltas(state: &State, survey: &Survey) -> Result<Deltas, Invalid> {
    let mut deltas = Deltas::zero(survey.rows.len());
    if !is_in_inactivity_leak(state)? {
        return Ok(deltas);
    }
    let finality_delay = get_finality_delay(state)?;
    for (index, row) in eligible(survey) {
        let effective_balance = survey.effective_balance(state, index as u64)?;
        // The best participation is left with a balance that does not change.
        let base_reward = base_reward(survey, effective_balance)?;
        let penalty = &mut deltas.penalties[index];
        *penalty = sub(mul(BASE_REWARDS_PER_EPOCH, base_reward)?, proposer_reward(base_reward))?;
        if !row.earned(TIMELY_TARGET_FLAG_INDEX) {
            *penalty = add(
                *penalty,
                mul(effective_balance, finality_delay)? / INACTIVITY_PENALTY_QUOTIENT,
            )?;
        }
    }
    Ok(deltas)
}

/// All components together. Spec: phase0/beacon-chain.md, `get_attestation_deltas`.
pub fn get_attestation_deltas(state: &State, config: &Config) -> Result<Deltas, Invalid> {
    attestation_deltas(state, &Survey::of(state, config)?)
}

pub(super) fn attestation_deltas(state: &State, survey: &Survey) -> Result<Deltas, Invalid> {
    let mut all = Deltas::zero(survey.rows.len());
    for component in [
        attestation_component_deltas(state, survey, TIMELY_SOURCE_FLAG_INDEX)?,
        attestation_component_deltas(state, survey, TIMELY_TARGET_FLAG_INDEX)?,
        attestation_component_deltas(state, survey, TIMELY_HEAD_FLAG_INDEX)?,
        inclusion_delay_deltas(state, survey)?,
        inactivity_penalty_deltas(state, survey)?,
    ] {
        add_to(&mut all.rewards, &component.rewards)?;
        add_to(&mut all.penalties, &component.penalties)?;
    }
    Ok(all)
}

fn add_to(sums: &mut [Gwei], parts: &[Gwei]) -> Result<(), Invalid> {
    for (sum, part) in sums.iter_mut().zip(parts) {
        *sum = add(*sum, *part)?;
    }
    Ok(())
}
