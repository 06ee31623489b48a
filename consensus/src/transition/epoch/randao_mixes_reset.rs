//! The next epoch begins with the mix of this one.

use crate::helpers::accessors::{get_current_epoch, get_randao_mix};
use crate::preset::EPOCHS_PER_HISTORICAL_VECTOR;
use crate::state::State;

/// Spec: phase0/beacon-chain.md, `process_randao_mixes_reset`.
pub fn process_randao_mixes_reset(state: &mut State) {
    let current_epoch = get_current_epoch(state);
    let mix = get_randao_mix(state, current_epoch);
    let place = (current_epoch + 1) % EPOCHS_PER_HISTORICAL_VECTOR;
    if let Some(next) = state.randao_mixes.get_mut(place as usize) {
        *next = mix;
    }
}
