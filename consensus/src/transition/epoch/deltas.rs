//! What each component of participation is worth to each validator, from Altair on.
//!
//! Spec: altair/ and bellatrix/beacon-chain.md, `get_flag_index_deltas`, `get_inactivity_penalty_deltas`. The lists are
//! for those who want to see components apart; `process_rewards_and_penalties` takes the same numbers from
//! [`FlagRewards`] without making any list.

use super::leak::is_in_inactivity_leak;
use super::row::Row;
use super::survey::Survey;
use crate::constants::{
    PARTICIPATION_FLAG_WEIGHTS, TIMELY_HEAD_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX, WEIGHT_DENOMINATOR,
};
use crate::fork::Fork;
use crate::helpers::math::{div, mul};
use crate::preset::{
    BASE_REWARD_FACTOR, EFFECTIVE_BALANCE_INCREMENT, INACTIVITY_PENALTY_QUOTIENT_ALTAIR,
    INACTIVITY_PENALTY_QUOTIENT_BELLATRIX,
};
use crate::state::State;
use crate::types::Gwei;
use crate::{Config, Invalid};

/// Rewards and penalties in Gwei, one of each for every validator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deltas {
    /// What balances are increased by.
    pub rewards: Vec<Gwei>,
    /// What balances are then decreased by.
    pub penalties: Vec<Gwei>,
}

impl Deltas {
    /// Zeros for `count` validators.
    pub(super) fn zero(count: usize) -> Self {
        Deltas {
            rewards: vec![0; count],
            penalties: vec![0; count],
        }
    }
}

/// What the flags of the previous epoch are worth to a validator, by its effective balance.
#[derive(Clone, Debug)]
pub struct FlagRewards {
    leak: bool,
    base_reward_per_increment: Gwei,
    active_increments: u64,
    participating_increments: [u64; 3],
}

impl FlagRewards {
    /// What flags are worth at the end of the state's epoch.
    pub fn at(state: &State, config: &Config) -> Result<Self, Invalid> {
        FlagRewards::of(state, &Survey::of(state, config)?)
    }

    pub(super) fn of(state: &State, survey: &Survey) -> Result<Self, Invalid> {
        let total = survey.total_active_balance;
        Ok(FlagRewards {
            leak: is_in_inactivity_leak(state)?,
            base_reward_per_increment: EFFECTIVE_BALANCE_INCREMENT * BASE_REWARD_FACTOR / total.isqrt(),
            active_increments: total / EFFECTIVE_BALANCE_INCREMENT,
            participating_increments: survey
                .previous_flag_balances
                .map(|balance| balance / EFFECTIVE_BALANCE_INCREMENT),
        })
    }

    fn base_reward(&self, increments: u64) -> Result<Gwei, Invalid> {
        mul(increments, self.base_reward_per_increment)
    }

    /// For having earned the flag: nothing during a leak.
    pub fn reward(&self, flag_index: usize, increments: u64) -> Result<Gwei, Invalid> {
        if self.leak {
            return Ok(0);
        }
        let weighted = mul(self.base_reward(increments)?, PARTICIPATION_FLAG_WEIGHTS[flag_index])?;
        let numerator = mul(weighted, self.participating_increments[flag_index])?;
        div(numerator, mul(self.active_increments, WEIGHT_DENOMINATOR)?)
    }

    /// For not having earned the flag: nothing for the head.
    pub(super) fn penalty(&self, flag_index: usize, increments: u64) -> Result<Gwei, Invalid> {
        if flag_index == TIMELY_HEAD_FLAG_INDEX {
            return Ok(0);
        }
        Ok(mul(self.base_reward(increments)?, PARTICIPATION_FLAG_WEIGHTS[flag_index])? / WEIGHT_DENOMINATOR)
    }
}

/// Penalty in Gwei of an eligible validator that did not vote for the target.
///
/// Spec: altair/ and bellatrix/beacon-chain.md, in `get_inactivity_penalty_deltas`.
#[inline]
pub(super) fn inactivity_penalty(fork: Fork, config: &Config, balance: Gwei, score: u64) -> Result<Gwei, Invalid> {
    if score == 0 {
        return Ok(0);
    }
    let quotient = if fork >= Fork::Bellatrix {
        INACTIVITY_PENALTY_QUOTIENT_BELLATRIX
    } else {
        INACTIVITY_PENALTY_QUOTIENT_ALTAIR
    };
    div(mul(balance, score)?, mul(config.inactivity_score_bias, quotient)?)
}

/// The deltas of one participation flag for each validator.
///
/// Spec: altair/beacon-chain.md, `get_flag_index_deltas`.
pub fn get_flag_index_deltas(state: &State, config: &Config, flag_index: usize) -> Result<Deltas, Invalid> {
    let survey = Survey::of(state, config)?;
    let worth = FlagRewards::of(state, &survey)?;
    let mut deltas = Deltas::zero(survey.rows.len());
    for (index, row) in eligible(&survey) {
        let increments = survey.effective_balance(state, index as u64)? / EFFECTIVE_BALANCE_INCREMENT;
        if row.earned(flag_index) {
            deltas.rewards[index] = worth.reward(flag_index, increments)?;
        } else {
            deltas.penalties[index] = worth.penalty(flag_index, increments)?;
        }
    }
    Ok(deltas)
}

/// The penalties for absence for each validator, from Altair on.
///
/// Spec: altair/ and bellatrix/beacon-chain.md, `get_inactivity_penalty_deltas`.
pub fn get_inactivity_penalty_deltas(state: &State, config: &Config) -> Result<Deltas, Invalid> {
    let survey = Survey::of(state, config)?;
    let mut deltas = Deltas::zero(survey.rows.len());
    for (index, row) in eligible(&survey) {
        if !row.earned(TIMELY_TARGET_FLAG_INDEX) {
            let balance = survey.effective_balance(state, index as u64)?;
            let score = state.inactivity_scores.get(index).copied().unwrap_or_default();
            deltas.penalties[index] = inactivity_penalty(state.at, config, balance, score)?;
        }
    }
    Ok(deltas)
}

/// Spec: phase0/beacon-chain.md, `get_eligible_validator_indices`.
pub(super) fn eligible(survey: &Survey) -> impl Iterator<Item = (usize, Row)> + '_ {
    let numbered = survey.rows.iter().copied().enumerate();
    numbered.filter(|(_, row)| row.has(Row::ELIGIBLE))
}
