//! The participation of the current epoch becomes that of the previous one (from Altair on).

use crate::state::State;

/// Spec: altair/beacon-chain.md, `process_participation_flag_updates`.
pub fn process_participation_flag_updates(state: &mut State) {
    let none = state.current_epoch_participation.filled_like(0, state.validators.len());
    state.previous_epoch_participation = std::mem::replace(&mut state.current_epoch_participation, none);
}
