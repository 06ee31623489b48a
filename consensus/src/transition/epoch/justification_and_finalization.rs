//! Casper FFG: which checkpoints the votes of two epochs justify and finalize.
//!
//! The outcome is a value, [`Finality`], computed without changing the state: fork choice asks for it at every block,
//! as if the epoch ended there.

use super::survey::{Survey, at_least_one_increment};
use crate::constants::{GENESIS_EPOCH, JUSTIFICATION_BITS_LENGTH, TIMELY_TARGET_FLAG_INDEX};
use crate::helpers::accessors::{get_block_root, get_current_epoch, get_previous_epoch, get_total_active_balance};
use crate::helpers::math::mul;
use crate::ssz::BitVector;
use crate::state::State;
use crate::types::{Checkpoint, Gwei};
use crate::{Config, Invalid};

/// What a state says about justification and finality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finality {
    /// Which of the last four epochs are justified, the latest first.
    pub justification_bits: BitVector,
    /// The checkpoint that was justified one epoch ago.
    pub previous_justified_checkpoint: Checkpoint,
    /// The latest justified checkpoint.
    pub current_justified_checkpoint: Checkpoint,
    /// The latest finalized checkpoint.
    pub finalized_checkpoint: Checkpoint,
}

impl Finality {
    /// What stands in the state.
    pub fn of(state: &State) -> Self {
        Finality {
            justification_bits: state.justification_bits.clone(),
            previous_justified_checkpoint: state.previous_justified_checkpoint,
            current_justified_checkpoint: state.current_justified_checkpoint,
            finalized_checkpoint: state.finalized_checkpoint,
        }
    }

    fn store(self, state: &mut State) {
        state.justification_bits = self.justification_bits;
        state.previous_justified_checkpoint = self.previous_justified_checkpoint;
        state.current_justified_checkpoint = self.current_justified_checkpoint;
        state.finalized_checkpoint = self.finalized_checkpoint;
    }
}

/// Spec: phase0/ and altair/beacon-chain.md, `process_justification_and_finalization`.
pub fn process_justification_and_finalization(state: &mut State, config: &Config) -> Result<(), Invalid> {
    if is_too_early(state) {
        return Ok(());
    }
    let survey = Survey::of(state, config)?;
    justify_and_finalize(state, &survey)
}

/// What `process_justification_and_finalization` would make of the state, which stays as it is: the unrealized
/// checkpoints of the block that the state is of. Reads the registry only where the state is not prepared.
///
/// Spec: phase0/fork-choice.md, `compute_pulled_up_tip`.
pub fn compute_unrealized_checkpoints(state: &State, config: &Config) -> Result<Finality, Invalid> {
    if is_too_early(state) {
        return Ok(Finality::of(state));
    }
    let Some(kept) = state.target_balances() else {
        return weigh(state, &Survey::of(state, config)?);
    };
    weigh_justification_and_finalization(
        state,
        get_total_active_balance(state),
        at_least_one_increment(kept.previous),
        at_least_one_increment(kept.current),
    )
}

/// Initial checkpoints have a zero root, which justification in the first two epochs might change.
fn is_too_early(state: &State) -> bool {
    get_current_epoch(state) <= GENESIS_EPOCH + 1
}

/// `process_justification_and_finalization` with what the survey found.
pub(super) fn justify_and_finalize(state: &mut State, survey: &Survey) -> Result<(), Invalid> {
    if is_too_early(state) {
        return Ok(());
    }
    if let Some(kept) = state.target_balances() {
        let kept = [kept.previous, kept.current].map(at_least_one_increment);
        let found = [
            survey.previous_flag_balances[TIMELY_TARGET_FLAG_INDEX],
            survey.current_target_balance,
        ];
        debug_assert_eq!(kept, found, "votes kept up one by one are those in the state");
    }
    weigh(state, survey)?.store(state);
    Ok(())
}

fn weigh(state: &State, survey: &Survey) -> Result<Finality, Invalid> {
    weigh_justification_and_finalization(
        state,
        survey.total_active_balance,
        survey.previous_flag_balances[TIMELY_TARGET_FLAG_INDEX],
        survey.current_target_balance,
    )
}

/// What votes of these weights (Gwei) justify and finalize.
///
/// Spec: phase0/beacon-chain.md, `weigh_justification_and_finalization`.
pub fn weigh_justification_and_finalization(
    state: &State,
    total_active_balance: Gwei,
    previous_epoch_target_balance: Gwei,
    current_epoch_target_balance: Gwei,
) -> Result<Finality, Invalid> {
    let (previous_epoch, current_epoch) = (get_previous_epoch(state), get_current_epoch(state));
    let old_previous_justified_checkpoint = state.previous_justified_checkpoint;
    let old_current_justified_checkpoint = state.current_justified_checkpoint;
    let two_thirds = mul(total_active_balance, 2)?;

    // Process justifications
    let mut justified = [false; JUSTIFICATION_BITS_LENGTH as usize];
    for (bit, before) in justified[1..].iter_mut().zip(state.justification_bits.iter()) {
        *bit = before;
    }
    let mut current_justified_checkpoint = old_current_justified_checkpoint;
    if mul(previous_epoch_target_balance, 3)? >= two_thirds {
        current_justified_checkpoint = Checkpoint {
            epoch: previous_epoch,
            root: get_block_root(state, previous_epoch)?,
        };
        justified[1] = true;
    }
    if mul(current_epoch_target_balance, 3)? >= two_thirds {
        current_justified_checkpoint = Checkpoint {
            epoch: current_epoch,
            root: get_block_root(state, current_epoch)?,
        };
        justified[0] = true;
    }

    // Process finalizations
    let all = |bits: std::ops::Range<usize>| justified[bits].iter().all(|bit| *bit);
    let epochs_ago = |checkpoint: Checkpoint| current_epoch.checked_sub(checkpoint.epoch);
    let mut finalized_checkpoint = state.finalized_checkpoint;
    // The 2nd/3rd/4th most recent epochs are justified, the 2nd using the 4th as source
    if all(1..4) && epochs_ago(old_previous_justified_checkpoint) == Some(3) {
        finalized_checkpoint = old_previous_justified_checkpoint;
    }
    // The 2nd/3rd most recent epochs are justified, the 2nd using the 3rd as source
    if all(1..3) && epochs_ago(old_previous_justified_checkpoint) == Some(2) {
        finalized_checkpoint = old_previous_justified_checkpoint;
    }
    // The 1st/2nd/3rd most recent epochs are justified, the 1st using the 3rd as source
    if all(0..3) && epochs_ago(old_current_justified_checkpoint) == Some(2) {
        finalized_checkpoint = old_current_justified_checkpoint;
    }
    // The 1st/2nd most recent epochs are justified, the 1st using the 2nd as source
    if all(0..2) && epochs_ago(old_current_justified_checkpoint) == Some(1) {
        finalized_checkpoint = old_current_justified_checkpoint;
    }
    Ok(Finality {
        justification_bits: justified.into_iter().collect(),
        previous_justified_checkpoint: old_current_justified_checkpoint,
        current_justified_checkpoint,
        finalized_checkpoint,
    })
}
