//! Whether finality is so late that the inactive pay for it.

use crate::Invalid;
use crate::helpers::accessors::get_previous_epoch;
use crate::helpers::math::sub;
use crate::preset::MIN_EPOCHS_TO_INACTIVITY_PENALTY;
use crate::state::State;

/// In epochs. Spec: phase0/beacon-chain.md, `get_finality_delay`. An error if the finalized epoch is in the future.
pub fn get_finality_delay(state: &State) -> Result<u64, Invalid> {
    sub(get_previous_epoch(state), state.finalized_checkpoint.epoch)
}

/// Spec: phase0/beacon-chain.md, `is_in_inactivity_leak`.
pub fn is_in_inactivity_leak(state: &State) -> Result<bool, Invalid> {
    Ok(get_finality_delay(state)? > MIN_EPOCHS_TO_INACTIVITY_PENALTY)
}
