//! The votes that the phase0 state keeps, and what they are worth: before Altair participation is not in flags but in
//! the attestations themselves.
//!
//! Spec: phase0/beacon-chain.md, "Helpers" under "Epoch processing".

use crate::constants::{GENESIS_EPOCH, TIMELY_HEAD_FLAG_INDEX, TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX};
use crate::helpers::accessors::{
    get_attesting_indices, get_block_root, get_block_root_at_slot, get_current_epoch, get_previous_epoch,
};
use crate::helpers::misc::add_flag;
use crate::state::State;
use crate::types::{Attestation, Epoch, ParticipationFlags, PendingAttestation, ValidatorIndex};
use crate::{Invalid, ensure};

/// Spec: phase0/beacon-chain.md, `get_matching_source_attestations`. An error unless `epoch` is the current or the
/// previous one.
pub(super) fn get_matching_source_attestations(state: &State, epoch: Epoch) -> Result<&[PendingAttestation], Invalid> {
    let (current, previous) = (get_current_epoch(state), get_previous_epoch(state));
    ensure!(
        epoch == current || epoch == previous,
        "attestation epoch",
        "epoch {epoch} asked for in epoch {current}"
    );
    Ok(if epoch == current {
        &state.current_epoch_attestations
    } else {
        &state.previous_epoch_attestations
    })
}

/// Whether the vote is for the target that the state has. Spec: phase0/beacon-chain.md,
/// `get_matching_target_attestations`.
pub(super) fn is_matching_target(
    state: &State,
    epoch: Epoch,
    attestation: &PendingAttestation,
) -> Result<bool, Invalid> {
    Ok(attestation.data.target.root == get_block_root(state, epoch)?)
}

/// Whether the vote, already for the right target, is for the head that the state has. Spec: phase0/beacon-chain.md,
/// `get_matching_head_attestations`.
pub(super) fn is_matching_head(state: &State, attestation: &PendingAttestation) -> Result<bool, Invalid> {
    let data = &attestation.data;
    Ok(data.beacon_block_root == get_block_root_at_slot(state, data.slot)?)
}

/// The validators whose vote this is. Spec: phase0/beacon-chain.md, `get_attesting_indices`.
pub(super) fn pending_attesting_indices(
    state: &State,
    attestation: &PendingAttestation,
) -> Result<Vec<ValidatorIndex>, Invalid> {
    let as_included = Attestation {
        aggregation_bits: attestation.aggregation_bits.clone(),
        data: attestation.data,
        ..Attestation::default()
    };
    get_attesting_indices(state, &as_included)
}

/// The participation in both epochs in the form that Altair gives it: a flag for each matching vote.
pub(super) struct PendingVotes {
    pub(super) previous: Vec<ParticipationFlags>,
    pub(super) current: Vec<ParticipationFlags>,
}

impl PendingVotes {
    /// Votes are only looked at in epochs in which a step uses them: nothing judges the others.
    pub(super) fn of(state: &State) -> Result<Self, Invalid> {
        let epoch = get_current_epoch(state);
        let none = || vec![0; state.validators.len()];
        Ok(PendingVotes {
            previous: if epoch > GENESIS_EPOCH {
                votes_of(state, get_previous_epoch(state), true)?
            } else {
                none()
            },
            current: if epoch > GENESIS_EPOCH + 1 {
                votes_of(state, epoch, false)?
            } else {
                none()
            },
        })
    }
}

/// The matching votes of an epoch, slashed validators included; those for the head only where asked for.
fn votes_of(state: &State, epoch: Epoch, with_head: bool) -> Result<Vec<ParticipationFlags>, Invalid> {
    let mut votes = vec![0; state.validators.len()];
    for attestation in get_matching_source_attestations(state, epoch)? {
        let mut flags = add_flag(0, TIMELY_SOURCE_FLAG_INDEX);
        if is_matching_target(state, epoch, attestation)? {
            flags = add_flag(flags, TIMELY_TARGET_FLAG_INDEX);
            if with_head && is_matching_head(state, attestation)? {
                flags = add_flag(flags, TIMELY_HEAD_FLAG_INDEX);
            }
        }
        for index in pending_attesting_indices(state, attestation)? {
            if let Some(vote) = votes.get_mut(index as usize) {
                *vote |= flags;
            }
        }
    }
    Ok(votes)
}
