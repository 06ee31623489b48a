//! Effective balances side by side.
//!
//! Every vote in a block is paid by its voter's effective balance: 30,000 of them in one aggregate. In the registry each
//! costs a walk down a tree that fits in no cache of the processor; here it is two bytes in an array. Effective balances
//! only change between epochs, and validators who enter within one stand behind the end and are looked up. Whether a
//! voter is slashed, and so counts for nothing, stands with them.

use crate::preset::EFFECTIVE_BALANCE_INCREMENT;
use crate::state::State;
use crate::types::{Epoch, Gwei, ValidatorIndex};

/// Stands for a balance that 15 bits of increments cannot tell; no rule of the specs makes one.
const IRREGULAR: u16 = SLASHED - 1;

/// Set for slashed validators.
const SLASHED: u16 = 1 << 15;

/// The effective balances of a registry at an epoch.
#[derive(Clone, Debug)]
pub(crate) struct EffectiveBalances {
    /// The epoch in which they hold.
    pub(crate) epoch: Epoch,
    /// In increments, with [`SLASHED`], by validator index.
    increments: Vec<u16>,
}

/// What a vote of a validator counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Voter {
    /// In Gwei.
    pub(crate) effective_balance: Gwei,
    /// Slashed validators are paid for by the proposer's reward, but do not count for justification.
    pub(crate) slashed: bool,
}

impl EffectiveBalances {
    /// Those of `state`, which is in `epoch`.
    pub(crate) fn of(state: &State, epoch: Epoch) -> Self {
        let increments = state.validators.iter().map(|validator| {
            let balance = validator.effective_balance;
            let whole = balance.is_multiple_of(EFFECTIVE_BALANCE_INCREMENT);
            (
                whole.then_some(balance / EFFECTIVE_BALANCE_INCREMENT),
                validator.slashed,
            )
        });
        Self::of_increments(epoch, increments)
    }

    /// Those of the validators that `increments` tells, in order, and whether they are slashed; `None` for a balance that
    /// is not of whole increments.
    pub(crate) fn of_increments(epoch: Epoch, increments: impl Iterator<Item = (Option<u64>, bool)>) -> Self {
        let entry = |(increments, slashed): (Option<u64>, bool)| {
            let most = u64::from(IRREGULAR);
            increments.unwrap_or(most).min(most) as u16 | if slashed { SLASHED } else { 0 }
        };
        EffectiveBalances {
            epoch,
            increments: increments.map(entry).collect(),
        }
    }

    /// Notes that a validator was slashed.
    pub(crate) fn set_slashed(&mut self, index: ValidatorIndex) {
        if let Some(entry) = self.increments.get_mut(index as usize) {
            *entry |= SLASHED;
        }
    }

    /// One validator, if it is known.
    fn get(&self, index: ValidatorIndex) -> Option<Voter> {
        let entry = self.increments.get(index as usize).copied()?;
        let increments = entry & !SLASHED;
        (increments != IRREGULAR).then(|| Voter {
            effective_balance: Gwei::from(increments) * EFFECTIVE_BALANCE_INCREMENT,
            slashed: entry & SLASHED != 0,
        })
    }
}

/// What the vote of a validator counts, nothing if there is none. `kept` is what the state keeps, if it does.
pub(crate) fn voter(state: &State, kept: Option<&EffectiveBalances>, index: ValidatorIndex) -> Voter {
    let from_registry = || {
        let validator = state.validators.get(index as usize);
        Voter {
            effective_balance: validator.map_or(0, |validator| validator.effective_balance),
            slashed: validator.is_none_or(|validator| validator.slashed),
        }
    };
    kept.and_then(|kept| kept.get(index)).unwrap_or_else(from_registry)
}

/// The effective balance of a validator in Gwei, 0 if there is none; in an array where the state was prepared.
pub fn effective_balance_of(state: &State, index: ValidatorIndex) -> Gwei {
    voter(state, state.effective_balances(), index).effective_balance
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
        let odd = [0, 32, 2048, 32_766, 32_767, 65_536].map(|increments| increments * EFFECTIVE_BALANCE_INCREMENT);
        for (index, effective_balance) in odd.into_iter().chain([1, u64::MAX]).enumerate() {
            state.validators.push(Validator {
                effective_balance,
                slashed: index % 3 == 1,
                ..Validator::default()
            });
        }
        let mut kept = EffectiveBalances::of(&state, 0);
        state.validators.push(Validator {
            effective_balance: 7,
            ..Validator::default()
        });
        let agree = |state: &State, kept: &EffectiveBalances| {
            for index in 0..10 {
                let looked_up = voter(state, None, index);
                assert_eq!(voter(state, Some(kept), index), looked_up, "validator {index}");
            }
        };
        agree(&state, &kept);
        let Voter {
            effective_balance,
            slashed,
        } = voter(&state, Some(&kept), 2);
        assert_eq!(
            (effective_balance, slashed),
            (2048 * EFFECTIVE_BALANCE_INCREMENT, false)
        );
        assert_eq!(voter(&state, Some(&kept), 8).effective_balance, 7);
        for index in [0, 2, 4, 8] {
            kept.set_slashed(index);
            state.validators.get_mut(index as usize).unwrap().slashed = true;
        }
        agree(&state, &kept);
    }
}
