//! What has voted for the targets of the previous and the current epoch, kept up vote by vote.
//!
//! Fork choice asks at every block what the block would justify if its epoch ended there. That is a question about the
//! sum of two lists as long as the registry; kept up with each vote and each slashing, it is answered at once.

use crate::constants::TIMELY_TARGET_FLAG_INDEX;
use crate::fork::Fork;
use crate::helpers::accessors::get_previous_epoch;
use crate::helpers::misc::has_flag;
use crate::helpers::predicates::is_active_validator;
use crate::state::State;
use crate::types::{Epoch, Gwei, ParticipationFlags, Validator, ValidatorIndex};
use std::sync::Arc;

/// Effective balances of the unslashed who were active in an epoch and voted for its target, in Gwei and without the
/// spec's minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetBalances {
    /// The epoch in which they hold.
    pub(crate) epoch: Epoch,
    /// For the target of the epoch before.
    pub(crate) previous: Gwei,
    /// For the target of `epoch`.
    pub(crate) current: Gwei,
}

/// Whether the validator counts for the target of `epoch` with these flags.
fn counts(validator: &Validator, epoch: Epoch, flags: Option<&ParticipationFlags>) -> bool {
    is_active_validator(validator, epoch) && flags.is_some_and(|flags| has_flag(*flags, TIMELY_TARGET_FLAG_INDEX))
}

impl TargetBalances {
    /// Those of `state`, which is in `epoch`, from its registry; `None` before Altair, where votes are no flags.
    pub(crate) fn of(state: &State, epoch: Epoch) -> Option<Self> {
        if state.at < Fork::Altair {
            return None;
        }
        let (mut previous, mut current) = (0, 0);
        let mut previous_flags = state.previous_epoch_participation.iter();
        let mut current_flags = state.current_epoch_participation.iter();
        for validator in &state.validators {
            let (before, now) = (previous_flags.next(), current_flags.next());
            let of = |votes: bool| u64::from(votes && !validator.slashed) * validator.effective_balance;
            previous = of(counts(validator, get_previous_epoch(state), before)).saturating_add(previous);
            current = of(counts(validator, epoch, now)).saturating_add(current);
        }
        Some(TargetBalances {
            epoch,
            previous,
            current,
        })
    }

    /// Enters votes of unslashed validators who had not voted for that target before; they sum to `balance` Gwei.
    pub(crate) fn vote(&mut self, is_current: bool, balance: Gwei) {
        let sum = if is_current {
            &mut self.current
        } else {
            &mut self.previous
        };
        *sum = sum.saturating_add(balance);
    }
}

/// Keeps what stands beside a state in step with a validator that is being slashed; called while it is not slashed yet.
pub(crate) fn note_slashing(state: &mut State, index: ValidatorIndex) {
    let place = index as usize;
    let Some(validator) = state.beacon.validators.get(place).filter(|found| !found.slashed) else {
        return;
    };
    if let Some(mut kept) = state.cache.target_balances {
        let balance = validator.effective_balance;
        let before = state.beacon.previous_epoch_participation.get(place);
        if counts(validator, kept.epoch.saturating_sub(1), before) {
            kept.previous = kept.previous.saturating_sub(balance);
        }
        let now = state.beacon.current_epoch_participation.get(place);
        if counts(validator, kept.epoch, now) {
            kept.current = kept.current.saturating_sub(balance);
        }
        state.cache.target_balances = Some(kept);
    }
    if let Some(balances) = &mut state.cache.effective_balances {
        Arc::make_mut(balances).set_slashed(index);
    }
}
