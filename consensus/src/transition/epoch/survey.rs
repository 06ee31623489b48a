//! One look at the whole registry, for all steps of an epoch transition.
//!
//! The registry is by far the largest part of a state (2.2 million validators are 280 MB), so reading it is what an
//! epoch transition costs. The spec's steps read it about fifteen times. Here it is read once, together with the
//! participation: sums are taken, the few validators that a step may concern are noted, and of each validator four
//! bytes are kept, which later steps run through instead. What a step changes that a later one looks at (effective
//! balances, balances) it tells the survey.

use super::attestations::PendingVotes;
use super::deposit_indices::DepositIndices;
use super::row::Row;
use crate::constants::{FAR_FUTURE_EPOCH, TIMELY_TARGET_FLAG_INDEX};
use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, get_previous_epoch};
use crate::helpers::effective_balances::EffectiveBalances;
use crate::helpers::predicates::{has_compounding_withdrawal_credential, is_active_validator};
use crate::helpers::target_balances::TargetBalances;
use crate::preset::{EFFECTIVE_BALANCE_INCREMENT, EPOCHS_PER_SLASHINGS_VECTOR, MIN_SEED_LOOKAHEAD};
use crate::state::State;
use crate::types::{Epoch, Gwei, ParticipationFlags, Validator, ValidatorIndex};
use crate::{Config, Invalid, ensure};
use std::sync::Arc;

/// What one look at the registry tells the steps of an epoch transition.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The epoch that ends.
    pub(super) current_epoch: Epoch,
    /// The epoch before it; the same one at genesis.
    pub(super) previous_epoch: Epoch,
    /// One for each validator there was when the survey was made.
    pub(super) rows: Vec<Row>,
    /// Spec: `get_total_active_balance`, at least one increment.
    pub(super) total_active_balance: Gwei,
    /// Effective balance of those who were unslashed and active in the previous epoch and earned the flag, at least one
    /// increment each. Spec: `get_total_balance` of `get_unslashed_participating_indices`.
    pub(super) previous_flag_balances: [Gwei; 3],
    /// The same for the target flag of the current epoch.
    pub(super) current_target_balance: Gwei,
    /// The total active balance of the next epoch, kept up with changes of effective balances; no minimum.
    pub(super) next_active_balance: Gwei,
    /// The current target balance, kept up likewise: the next epoch's previous target balance. No minimum.
    pub(super) next_target_balance: Gwei,
    /// Those whom `process_registry_updates` may concern, ascending.
    pub(super) registry_candidates: Vec<u32>,
    /// Those whom `process_slashings` may concern, ascending.
    pub(super) slashing_candidates: Vec<u32>,
    /// Whose keys the next pending deposits name.
    pub(super) deposits: DepositIndices,
    /// Those whose effective balance may have to change, once a pass over the balances has found them; every later
    /// change of a balance adds to it.
    pub(super) hysteresis_candidates: Option<Vec<u32>>,
    /// Whether all inactivity scores are known to be 0.
    pub(super) scores_are_zero: bool,
}

impl Survey {
    /// Looks at the registry of a state in the last slot of an epoch. Errors if the lists beside the registry have
    /// other lengths, or if sums overflow.
    pub(crate) fn of(state: &State, config: &Config) -> Result<Self, Invalid> {
        let mut maker = Maker::new(state, config);
        if state.at < Fork::Altair {
            let votes = PendingVotes::of(state)?;
            maker.read_registry(state, votes.previous.into_iter(), votes.current.into_iter());
        } else {
            check_lengths(state)?;
            let current = state.current_epoch_participation.iter().copied();
            if maker.previous_epoch == maker.current_epoch {
                maker.read_registry(state, current.clone(), current);
            } else {
                let previous = state.previous_epoch_participation.iter().copied();
                maker.read_registry(state, previous, current);
            }
        }
        maker.finish()
    }

    /// The effective balance of a validator in Gwei, from its row where that holds it.
    pub(super) fn effective_balance(&self, state: &State, index: ValidatorIndex) -> Result<Gwei, Invalid> {
        match self.rows.get(index as usize) {
            Some(row) if !row.has(Row::ODD) => Ok(row.increments() * EFFECTIVE_BALANCE_INCREMENT),
            _ => Ok(crate::helpers::accessors::validator(state, index)?.effective_balance),
        }
    }

    /// Notes that the balance of a validator changed.
    pub(super) fn balance_changed(&mut self, index: ValidatorIndex) {
        if let Some(candidates) = &mut self.hysteresis_candidates {
            candidates.push(index as u32);
        }
    }

    /// Notes that the effective balance of a validator changed from `old` to `new` Gwei.
    pub(super) fn effective_balance_changed(&mut self, index: ValidatorIndex, old: Gwei, new: Gwei) {
        let Some(row) = self.rows.get_mut(index as usize) else {
            return; // a new validator, not active for long
        };
        row.set_effective_balance(new);
        let follow = |sum: &mut Gwei| *sum = sum.saturating_sub(old).saturating_add(new);
        if row.has(Row::NEXT) {
            follow(&mut self.next_active_balance);
        }
        if row.has(Row::CURRENT_TARGET) {
            follow(&mut self.next_target_balance);
        }
    }

    /// The validators that are active at the epoch that the lookahead reaches, ascending. No step of this transition can
    /// change which they are: entering and leaving takes longer.
    pub(super) fn active_ahead(&self) -> impl Iterator<Item = (u32, Row)> + '_ {
        let numbered = self.rows.iter().enumerate();
        numbered
            .filter(|(_, row)| row.has(Row::AHEAD))
            .map(|(index, row)| (index as u32, *row))
    }

    /// Leaves beside the state what the next epoch would have to read the registry for.
    pub(super) fn leave_behind(&self, state: &mut State) {
        let next_epoch = self.current_epoch + 1;
        let increments = self
            .rows
            .iter()
            .map(|row| ((!row.has(Row::ODD)).then(|| row.increments()), row.has(Row::SLASHED)));
        let balances = EffectiveBalances::of_increments(next_epoch, increments);
        state.cache.effective_balances = Some(Arc::new(balances));
        state.cache.total_active_balance = Some((next_epoch, at_least_one_increment(self.next_active_balance)));
        // Before Altair votes are no flags, and nobody keeps their sum.
        state.cache.target_balances = (state.at >= Fork::Altair).then_some(TargetBalances {
            epoch: next_epoch,
            previous: self.next_target_balance,
            current: 0,
        });
        let ahead = self.epoch_ahead();
        if state.shuffling(ahead).is_none() {
            let active = self.active_ahead().map(|(index, _)| index).collect();
            state.cache.active_ahead = Some((ahead, active));
        }
    }

    /// The epoch that the lookahead reaches after this transition.
    pub(super) fn epoch_ahead(&self) -> Epoch {
        self.current_epoch + MIN_SEED_LOOKAHEAD + 1
    }
}

/// Lists beside the registry have its length; else a state could not be passed over in lockstep.
fn check_lengths(state: &State) -> Result<(), Invalid> {
    let count = state.validators.len();
    let lists = [
        ("balances", state.balances.len()),
        ("previous participation flags", state.previous_epoch_participation.len()),
        ("current participation flags", state.current_epoch_participation.len()),
        ("inactivity scores", state.inactivity_scores.len()),
    ];
    for (name, len) in lists {
        ensure!(len == count, "registry lengths", "{len} {name} for {count} validators");
    }
    Ok(())
}

/// A survey in the making: sums are 128 bits wide, so that none can overflow.
struct Maker {
    fork: Fork,
    current_epoch: Epoch,
    previous_epoch: Epoch,
    epoch_ahead: Epoch,
    slashing_epoch: Epoch,
    ejection_balance: Gwei,
    rows: Vec<Row>,
    active: u128,
    next_active: u128,
    flags: [u128; 3],
    current_target: u128,
    registry_candidates: Vec<u32>,
    slashing_candidates: Vec<u32>,
    deposits: DepositIndices,
}

impl Maker {
    fn new(state: &State, config: &Config) -> Self {
        let current_epoch = get_current_epoch(state);
        Maker {
            fork: state.at,
            current_epoch,
            previous_epoch: get_previous_epoch(state),
            epoch_ahead: current_epoch + MIN_SEED_LOOKAHEAD + 1,
            slashing_epoch: current_epoch + EPOCHS_PER_SLASHINGS_VECTOR / 2,
            ejection_balance: config.ejection_balance,
            rows: Vec::with_capacity(state.validators.len()),
            active: 0,
            next_active: 0,
            flags: [0; 3],
            current_target: 0,
            registry_candidates: Vec::new(),
            slashing_candidates: Vec::new(),
            deposits: DepositIndices::wanted_by(state),
        }
    }

    fn read_registry(
        &mut self,
        state: &State,
        previous: impl Iterator<Item = ParticipationFlags>,
        current: impl Iterator<Item = ParticipationFlags>,
    ) {
        for ((validator, previous), current) in state.validators.iter().zip(previous).zip(current) {
            let row = self.read(validator, previous, current);
            self.rows.push(row);
        }
    }

    #[inline(always)]
    fn read(&mut self, validator: &Validator, previous: ParticipationFlags, current: ParticipationFlags) -> Row {
        let index = self.rows.len() as u32;
        let is_active = |epoch| is_active_validator(validator, epoch);
        let effective_balance = u128::from(validator.effective_balance);
        let (was_active, active) = (is_active(self.previous_epoch), is_active(self.current_epoch));
        let mut row = Row::of_effective_balance(validator.effective_balance);

        if was_active && !validator.slashed {
            row.set_previous_flags(previous);
            for (flag, sum) in self.flags.iter_mut().enumerate() {
                *sum += effective_balance * u128::from(previous >> flag & 1);
            }
        }
        if active {
            self.active += effective_balance;
            if !validator.slashed && current >> TIMELY_TARGET_FLAG_INDEX & 1 == 1 {
                row.set(Row::CURRENT_TARGET);
                self.current_target += effective_balance;
            }
        }
        if is_active(self.current_epoch + 1) {
            row.set(Row::NEXT);
            self.next_active += effective_balance;
        }
        if is_active(self.epoch_ahead) {
            row.set(Row::AHEAD);
        }
        if validator.slashed {
            row.set(Row::SLASHED);
            // Only an ejection in this transition could still change the epoch of the others.
            if validator.withdrawable_epoch == self.slashing_epoch || validator.exit_epoch == FAR_FUTURE_EPOCH {
                self.slashing_candidates.push(index);
            }
        }
        if was_active || (validator.slashed && self.previous_epoch + 1 < validator.withdrawable_epoch) {
            row.set(Row::ELIGIBLE);
        }
        if self.fork >= Fork::Electra && has_compounding_withdrawal_credential(validator) {
            row.set(Row::COMPOUNDING);
        }
        let waits = validator.activation_epoch == FAR_FUTURE_EPOCH
            || validator.activation_eligibility_epoch == FAR_FUTURE_EPOCH;
        if waits || (active && validator.effective_balance <= self.ejection_balance) {
            self.registry_candidates.push(index);
        }
        self.deposits.see(index, validator);
        row
    }

    fn finish(self) -> Result<Survey, Invalid> {
        let current_target = sum(self.current_target)?;
        Ok(Survey {
            current_epoch: self.current_epoch,
            previous_epoch: self.previous_epoch,
            rows: self.rows,
            total_active_balance: at_least_one_increment(sum(self.active)?),
            previous_flag_balances: [
                at_least_one_increment(sum(self.flags[0])?),
                at_least_one_increment(sum(self.flags[1])?),
                at_least_one_increment(sum(self.flags[2])?),
            ],
            current_target_balance: at_least_one_increment(current_target),
            next_active_balance: sum(self.next_active)?,
            next_target_balance: current_target,
            registry_candidates: self.registry_candidates,
            slashing_candidates: self.slashing_candidates,
            deposits: self.deposits,
            hysteresis_candidates: None,
            scores_are_zero: false,
        })
    }
}

fn sum(wide: u128) -> Result<Gwei, Invalid> {
    Gwei::try_from(wide).map_err(|_| Invalid::new("arithmetic overflow", format!("effective balances sum to {wide}")))
}

/// Avoids divisions by zero. Spec: phase0/beacon-chain.md, `get_total_balance`.
pub(super) fn at_least_one_increment(balance: Gwei) -> Gwei {
    balance.max(EFFECTIVE_BALANCE_INCREMENT)
}
