//! The votes of the current epoch become those of the previous one (phase0).

use crate::state::State;

/// Spec: phase0/beacon-chain.md, `process_participation_record_updates`.
pub fn process_participation_record_updates(state: &mut State) {
    state.previous_epoch_attestations = std::mem::take(&mut state.current_epoch_attestations);
}
