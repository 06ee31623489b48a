//! What the end of an epoch will pay to each validator, component by component: for the Beacon API's rewards and for an
//! operator who wants to know what was missed and why.
//!
//! The same numbers as in `process_rewards_and_penalties`, from the same functions, without changing the state.

use super::deltas::{FlagRewards, inactivity_penalty};
use super::inactivity_updates::update_scores;
use super::justification_and_finalization::justify_and_finalize;
use super::row::Row;
use super::survey::Survey;
use crate::constants::TIMELY_TARGET_FLAG_INDEX;
use crate::fork::Fork;
use crate::helpers::accessors::validator;
use crate::preset::EFFECTIVE_BALANCE_INCREMENT;
use crate::state::State;
use crate::types::{Gwei, ValidatorIndex};
use crate::{Config, Invalid, ensure};

/// What one part of a vote was worth, in Gwei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// What a right and timely vote earns in this epoch.
    pub ideal: Gwei,
    /// What was earned: all of it or nothing.
    pub earned: Gwei,
    /// What is taken instead.
    pub penalty: Gwei,
}

/// What a validator gets and loses for one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatorRewards {
    /// Its effective balance in Gwei, on which all depends.
    pub effective_balance: Gwei,
    /// The vote's source, target and head, by flag index.
    pub flags: [Component; 3],
    /// The penalty for absence in a leak, in Gwei.
    pub inactivity_penalty: Gwei,
}

/// The rewards that a state in the last slot of an epoch is about to pay for the epoch before, from Altair on.
///
/// Spec: altair/beacon-chain.md, `get_flag_index_deltas`, `get_inactivity_penalty_deltas`.
#[derive(Debug)]
pub struct EpochRewards<'a> {
    config: &'a Config,
    /// With finality and scores as `process_rewards_and_penalties` will find them.
    state: State,
    survey: Survey,
    worth: FlagRewards,
}

impl<'a> EpochRewards<'a> {
    /// Reads the registry once. An error before Altair, and as `process_epoch`.
    pub fn of(state: &State, config: &'a Config) -> Result<Self, Invalid> {
        ensure!(
            state.at >= Fork::Altair,
            "rewards fork",
            "{} has no participation flags",
            state.at
        );
        let mut state = state.clone();
        let mut survey = Survey::of(&state, config)?;
        justify_and_finalize(&mut state, &survey)?;
        update_scores(&mut state, config, &mut survey)?;
        let worth = FlagRewards::of(&state, &survey)?;
        Ok(EpochRewards {
            config,
            state,
            survey,
            worth,
        })
    }

    /// What the best vote earns a validator of that effective balance (Gwei), by flag index.
    pub fn ideal(&self, effective_balance: Gwei) -> Result<[Gwei; 3], Invalid> {
        let increments = effective_balance / EFFECTIVE_BALANCE_INCREMENT;
        let reward = |flag_index| self.worth.reward(flag_index, increments);
        Ok([reward(0)?, reward(1)?, reward(2)?])
    }

    /// What a validator gets and loses; `None` for one that neither can, as before its activation. An error if there is
    /// no such validator.
    pub fn of_validator(&self, index: ValidatorIndex) -> Result<Option<ValidatorRewards>, Invalid> {
        let effective_balance = validator(&self.state, index)?.effective_balance;
        let row = self.survey.rows.get(index as usize).copied();
        let Some(row) = row.filter(|row| row.has(Row::ELIGIBLE)) else {
            return Ok(None);
        };
        let increments = effective_balance / EFFECTIVE_BALANCE_INCREMENT;
        let mut flags = [Component::default(); 3];
        for ((flag, ideal), component) in self.ideal(effective_balance)?.into_iter().enumerate().zip(&mut flags) {
            component.ideal = ideal;
            if row.earned(flag) {
                component.earned = ideal;
            } else {
                component.penalty = self.worth.penalty(flag, increments)?;
            }
        }
        let inactivity_penalty = if row.earned(TIMELY_TARGET_FLAG_INDEX) {
            0
        } else {
            let score = self.state.inactivity_scores.get(index as usize).copied();
            inactivity_penalty(self.state.at, self.config, effective_balance, score.unwrap_or_default())?
        };
        Ok(Some(ValidatorRewards {
            effective_balance,
            flags,
            inactivity_penalty,
        }))
    }
}
