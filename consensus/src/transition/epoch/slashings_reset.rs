//! The next epoch begins without slashings.

use crate::helpers::accessors::get_current_epoch;
use crate::preset::EPOCHS_PER_SLASHINGS_VECTOR;
use crate::state::State;

/// Spec: phase0/beacon-chain.md, `process_slashings_reset`.
pub fn process_slashings_reset(state: &mut State) {
    let next_epoch = get_current_epoch(state) + 1;
    let place = (next_epoch % EPOCHS_PER_SLASHINGS_VECTOR) as usize;
    // Writing drops cached hashes, and there nearly always is nothing to change.
    if state.slashings.get(place).is_some_and(|sum| *sum != 0)
        && let Some(sum) = state.slashings.get_mut(place)
    {
        *sum = 0;
    }
}
