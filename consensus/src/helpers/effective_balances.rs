//! Effective balances side by side.
//!
//! Every vote in a block is paid by its voter's effective balance: 30,000 of them in one aggregate. In the registry each
//! costs a walk down a tree that fits in no cache of the processor; here it is two bytes in an array. Effective balances
//! only change between epochs, and validators who enter within one stand behind the end and are looked up.

use crate::preset::EFFECTIVE_BALANCE_INCREMENT;
use crate::state::State;
use crate::types::{Epoch, Gwei, ValidatorIndex};

/// Stands for a balance that 16 bits of increments cannot tell; no rule of the specs makes one.
const IRREGULAR: u16 = u16::MAX;

/// The effective balances of a registry at an epoch.
#[derive(Clone, Debug)]
pub(crate) struct EffectiveBalances {
    /// The epoch in which they hold.
    pub(crate) epoch: Epoch,
    /// In increments, by validator index.
    increments: Vec<u16>,
}

impl EffectiveBalances {
    /// Those of `state`, which is in `epoch`.
    pub(crate) fn of(state: &State, epoch: Epoch) -> Self {
        let increments = state
            .validators
            .iter()
            .map(|validator| in_increments(validator.effective_balance));
        EffectiveBalances {
            epoch,
            increments: increments.collect(),
        }
    }

    /// Those of the validators that `increments` tells, in order; `None` for one that is not of whole increments.
    pub(crate) fn of_increments(epoch: Epoch, increments: impl Iterator<Item = Option<u64>>) -> Self {
        let narrow = |known: Option<u64>| known.and_then(|increments| u16::try_from(increments).ok());
        EffectiveBalances {
            epoch,
            increments: increments.map(|known| narrow(known).unwrap_or(IRREGULAR)).collect(),
        }
    }

    /// That of one validator in Gwei, if it is known.
    fn get(&self, index: ValidatorIndex) -> Option<Gwei> {
        let increments = self.increments.get(index as usize).copied()?;
        (increments != IRREGULAR).then(|| Gwei::from(increments) * EFFECTIVE_BALANCE_INCREMENT)
    }
}

fn in_increments(balance: Gwei) -> u16 {
    if balance.is_multiple_of(EFFECTIVE_BALANCE_INCREMENT) {
        u16::try_from(balance / EFFECTIVE_BALANCE_INCREMENT).unwrap_or(IRREGULAR)
    } else {
        IRREGULAR
    }
}

/// The effective balance of a validator in Gwei, 0 if there is none. `kept` is what the state keeps, if it does.
pub(crate) fn effective_balance(state: &State, kept: Option<&EffectiveBalances>, index: ValidatorIndex) -> Gwei {
    let from_registry = || {
        let validator = state.validators.get(index as usize);
        validator.map_or(0, |validator| validator.effective_balance)
    };
    kept.and_then(|kept| kept.get(index)).unwrap_or_else(from_registry)
}

/// The effective balance of a validator in Gwei, 0 if there is none; in an array where the state was prepared.
pub fn effective_balance_of(state: &State, index: ValidatorIndex) -> Gwei {
    effective_balance(state, state.effective_balances(), index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fork;
    use crate::ssz::Ssz;
    use crate::types::{BeaconState, Validator};

    #[test]
    fn kept_balances_are_those_of_the_registry() {
        let mut state = State::new(Fork::Fulu, BeaconState::new(Fork::Fulu));
        let odd = [0, 32, 2048, 65_534, 65_535, 65_536].map(|increments| increments * EFFECTIVE_BALANCE_INCREMENT);
        for effective_balance in odd.into_iter().chain([1, u64::MAX]) {
            state.validators.push(Validator {
                effective_balance,
                ..Validator::default()
            });
        }
        let kept = EffectiveBalances::of(&state, 0);
        state.validators.push(Validator {
            effective_balance: 7,
            ..Validator::default()
        });
        for index in 0..10 {
            let looked_up = effective_balance(&state, None, index);
            assert_eq!(
                effective_balance(&state, Some(&kept), index),
                looked_up,
                "validator {index}"
            );
        }
        assert_eq!(
            effective_balance(&state, Some(&kept), 2),
            2048 * EFFECTIVE_BALANCE_INCREMENT
        );
        assert_eq!(effective_balance(&state, Some(&kept), 8), 7);
    }
}
