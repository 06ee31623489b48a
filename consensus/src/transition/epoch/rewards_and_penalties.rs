//! What the validators earn or lose for the previous epoch.
//!
//! One pass changes the balances. Since it has each balance in hand it also finds the validators whose effective
//! balance no longer fits, so that `process_effective_balance_updates` need not pass over everything again.

use super::deltas::{FlagRewards, inactivity_penalty};
use super::deltas_phase0::attestation_deltas;
use super::effective_balance_updates::new_effective_balance;
use super::row::Row;
use super::survey::Survey;
use crate::constants::{GENESIS_EPOCH, TIMELY_TARGET_FLAG_INDEX};
use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::math::add;
use crate::preset::{
    EFFECTIVE_BALANCE_INCREMENT, MAX_EFFECTIVE_BALANCE, MAX_EFFECTIVE_BALANCE_ELECTRA, MIN_ACTIVATION_BALANCE,
};
use crate::state::State;
use crate::types::{Gwei, Validator};
use crate::{Config, Invalid};

/// Effective balances, in increments, up to which rewards are looked up: all that occur.
const MEMO_INCREMENTS: u64 = MAX_EFFECTIVE_BALANCE_ELECTRA / EFFECTIVE_BALANCE_INCREMENT;

/// Spec: phase0/ and altair/beacon-chain.md, `process_rewards_and_penalties`.
pub fn process_rewards_and_penalties(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let mut survey = Survey::of(state, config)?;
    reward_and_penalize(state, config, &mut survey)
}

/// `process_rewards_and_penalties` with what the survey found, which learns whose effective balance may have to change.
pub(super) fn reward_and_penalize(state: &mut State, config: &Config, survey: &mut Survey) -> Result<(), Invalid> {
    // Rewards are for the previous epoch, and there was none.
    if get_current_epoch(state) == GENESIS_EPOCH {
        return Ok(());
    }
    if state.at >= Fork::Altair {
        return apply_flag_deltas(state, config, survey);
    }
    let deltas = attestation_deltas(state, survey)?;
    let mut failed = None;
    state.balances.update(|index, balance| {
        let (reward, penalty) = (deltas.rewards.get(index)?, deltas.penalties.get(index)?);
        let new = add(*balance, *reward).map(|balance| balance.saturating_sub(*penalty));
        changed(*balance, new, &mut failed)
    });
    failed.map_or(Ok(()), Err)
}

/// What `PersistentList::update` wants to hear; an error is kept for later.
#[inline]
fn changed(old: Gwei, new: Result<Gwei, Invalid>, failed: &mut Option<Invalid>) -> Option<Gwei> {
    match new {
        Ok(new) => (new != old).then_some(new),
        Err(invalid) => {
            failed.get_or_insert(invalid);
            None
        }
    }
}

/// The deltas of all flags and of inactivity, from Altair on.
fn apply_flag_deltas(state: &mut State, config: &Config, survey: &mut Survey) -> Result<(), Invalid> {
    let mut worth = Worth::new(FlagRewards::of(state, survey)?);
    let fork = state.at;
    let beacon = &mut state.beacon;
    let (validators, scores) = (&beacon.validators, &beacon.inactivity_scores);
    let mut next_score = Scores::of(scores.iter(), survey.scores_are_zero);
    let mut candidates = Vec::new();
    let mut failed = None;
    beacon.balances.update(|index, balance| {
        let score = next_score.next();
        let row = *survey.rows.get(index)?;
        // Looking into the registry is dear, and next to nobody is odd.
        let odd = if row.has(Row::ODD) { validators.get(index) } else { None };
        let (effective_balance, limit) = match odd {
            Some(validator) => (validator.effective_balance, limit_of(fork, validator)),
            None => (row.increments() * EFFECTIVE_BALANCE_INCREMENT, limit_of_row(fork, row)),
        };
        let new = if row.has(Row::ELIGIBLE) {
            let increments = effective_balance / EFFECTIVE_BALANCE_INCREMENT;
            worth.of_increments(increments).and_then(|worth| {
                let balance = worth.apply(row, *balance)?;
                if row.earned(TIMELY_TARGET_FLAG_INDEX) {
                    return Ok(balance);
                }
                let penalty = inactivity_penalty(fork, config, effective_balance, score)?;
                Ok(balance.saturating_sub(penalty))
            })
        } else {
            Ok(*balance)
        };
        let held = new.as_ref().copied().unwrap_or(*balance);
        if new_effective_balance(effective_balance, held, limit) != effective_balance {
            candidates.push(index as u32);
        }
        changed(*balance, new, &mut failed)
    });
    survey.hysteresis_candidates = Some(candidates);
    failed.map_or(Ok(()), Err)
}

/// The most that a validator's effective balance may be in Gwei.
/// Spec: phase0/ and electra/beacon-chain.md, in `process_effective_balance_updates`.
pub(super) fn limit_of(fork: Fork, validator: &Validator) -> Gwei {
    if fork >= Fork::Electra {
        crate::helpers::misc::get_max_effective_balance(validator)
    } else {
        MAX_EFFECTIVE_BALANCE
    }
}

fn limit_of_row(fork: Fork, row: Row) -> Gwei {
    if fork < Fork::Electra {
        MAX_EFFECTIVE_BALANCE
    } else if row.has(Row::COMPOUNDING) {
        MAX_EFFECTIVE_BALANCE_ELECTRA
    } else {
        MIN_ACTIVATION_BALANCE
    }
}

/// Inactivity scores in order; not read where all are known to be 0.
struct Scores<I>(Option<I>);

impl<'a, I: Iterator<Item = &'a u64>> Scores<I> {
    fn of(scores: I, all_zero: bool) -> Self {
        Scores((!all_zero).then_some(scores))
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.0.as_mut().and_then(Iterator::next).copied().unwrap_or_default()
    }
}

/// What each flag is worth to validators of one effective balance.
#[derive(Clone, Copy)]
struct OfBalance {
    rewards: [Gwei; 3],
    penalties: [Gwei; 3],
}

impl OfBalance {
    /// The balance after the deltas of the flags, applied one after the other: a penalty stops at 0, and a later reward
    /// starts from there.
    #[inline]
    fn apply(&self, row: Row, balance: Gwei) -> Result<Gwei, Invalid> {
        let mut balance = balance;
        for flag in 0..3 {
            balance = if row.earned(flag) {
                add(balance, self.rewards[flag])?
            } else {
                balance.saturating_sub(self.penalties[flag])
            };
        }
        Ok(balance)
    }
}

/// Remembers what the flags are worth by effective balance: nearly all validators have one of few.
struct Worth {
    rewards: FlagRewards,
    memo: Vec<Option<OfBalance>>,
}

impl Worth {
    fn new(rewards: FlagRewards) -> Self {
        Worth {
            rewards,
            memo: vec![None; MEMO_INCREMENTS as usize + 1],
        }
    }

    #[inline]
    fn of_increments(&mut self, increments: u64) -> Result<OfBalance, Invalid> {
        if let Some(Some(known)) = self.memo.get(increments as usize) {
            return Ok(*known);
        }
        let computed = self.compute(increments)?;
        if let Some(place) = self.memo.get_mut(increments as usize) {
            *place = Some(computed);
        }
        Ok(computed)
    }

    #[cold]
    fn compute(&self, increments: u64) -> Result<OfBalance, Invalid> {
        let of = &self.rewards;
        let reward = |flag| of.reward(flag, increments);
        let penalty = |flag| of.penalty(flag, increments);
        Ok(OfBalance {
            rewards: [reward(0)?, reward(1)?, reward(2)?],
            penalties: [penalty(0)?, penalty(1)?, penalty(2)?],
        })
    }
}
