//! Altair: participation flags take the place of the attestations that were kept, and sync committees begin.

use super::enter;
use crate::fork::Fork;
use crate::helpers::accessors::{get_attestation_participation_flag_indices, get_attesting_indices};
use crate::helpers::misc::add_flag;
use crate::helpers::selection::get_next_sync_committee;
use crate::ssz::PersistentList;
use crate::state::State;
use crate::types::{Attestation, PendingAttestation};
use crate::{Config, Invalid};

/// Spec: altair/fork.md, `upgrade_to_altair`. Errors if nobody is active, or the state kept an attestation that could
/// not have been in a block.
pub fn upgrade_to_altair(state: &mut State, config: &Config) -> Result<(), Invalid> {
    enter(state, config, Fork::Altair);
    let count = state.validators.len();
    state.previous_epoch_participation = PersistentList::from_vec(vec![0; count]);
    state.current_epoch_participation = PersistentList::from_vec(vec![0; count]);
    state.inactivity_scores = PersistentList::from_vec(vec![0; count]);
    let pending = std::mem::take(&mut state.previous_epoch_attestations);
    state.current_epoch_attestations = Vec::new();
    translate_participation(state, &pending)?;
    // The current and the next committee are the same at this boundary.
    let committee = get_next_sync_committee(state)?;
    state.current_sync_committee = committee.clone();
    state.next_sync_committee = committee;
    Ok(())
}

/// Gives the flags that the attestations kept for the previous epoch have earned.
///
/// Spec: altair/fork.md, `translate_participation`.
pub fn translate_participation(state: &mut State, pending_attestations: &[PendingAttestation]) -> Result<(), Invalid> {
    for pending in pending_attestations {
        let (data, delay) = (&pending.data, pending.inclusion_delay);
        let flags = get_attestation_participation_flag_indices(state, data, delay, 0)?;
        let attestation = Attestation {
            aggregation_bits: pending.aggregation_bits.clone(),
            data: *data,
            ..Attestation::default()
        };
        for index in get_attesting_indices(state, &attestation)? {
            if let Some(participation) = state.previous_epoch_participation.get_mut(index as usize) {
                *participation = flags.iter().fold(*participation, |sum, flag| add_flag(sum, *flag));
            }
        }
    }
    Ok(())
}
