//! Whether validators have been seen to do their duty.

use super::http::Error;
use consensus::helpers::accessors::{get_attesting_indices, get_current_epoch};
use consensus::types::{Attestation, Epoch, PendingAttestation, ValidatorIndex};
use consensus::{Fork, State};
use std::collections::HashSet;

/// Which of these validators have a vote of `epoch` in a block that the state knows: of its own epoch and the one before.
/// Error 400 for other epochs. For workers.
///
/// Spec: beacon-APIs, `getLiveness`.
pub(super) fn liveness(state: &State, epoch: Epoch, indices: &[ValidatorIndex]) -> Result<Vec<bool>, Error> {
    let current = get_current_epoch(state);
    let is_current = epoch == current;
    if !is_current && epoch.checked_add(1) != Some(current) {
        let message = format!("liveness is known of epoch {current} and the one before, not of {epoch}");
        return Err(Error::bad_request(message));
    }
    if state.at < Fork::Altair {
        let votes = if is_current {
            &state.current_epoch_attestations
        } else {
            &state.previous_epoch_attestations
        };
        let live = attesters(state, votes);
        return Ok(indices.iter().map(|index| live.contains(index)).collect());
    }
    let participation = if is_current {
        &state.current_epoch_participation
    } else {
        &state.previous_epoch_participation
    };
    let is_live = |index: &ValidatorIndex| participation.get(*index as usize).is_some_and(|flags| *flags != 0);
    Ok(indices.iter().map(is_live).collect())
}

/// All who voted in what a state of phase0 has kept.
fn attesters(state: &State, votes: &[PendingAttestation]) -> HashSet<ValidatorIndex> {
    let attesters = votes.iter().flat_map(|vote| {
        let attestation = Attestation {
            aggregation_bits: vote.aggregation_bits.clone(),
            data: vote.data,
            ..Attestation::default()
        };
        // The state has checked them when they came in.
        get_attesting_indices(state, &attestation).unwrap_or_default()
    });
    attesters.collect()
}
