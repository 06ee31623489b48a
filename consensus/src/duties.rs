//! Who has to do what and when: the pure functions of the honest validator's guides.
//!
//! Spec: validator.md of phase0, altair and gloas; p2p-interface.md of phase0 and altair for subnets.

use crate::constants::{
    NODE_ID_BITS, SYNC_COMMITTEE_SUBNET_COUNT, TARGET_AGGREGATORS_PER_COMMITTEE,
    TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE,
};
use crate::fork::Fork;
use crate::helpers::accessors::{
    get_beacon_committee, get_beacon_proposer_index, get_committee_count_per_slot, get_current_epoch, get_ptc,
    validator,
};
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::helpers::predicates::is_active_validator;
use crate::helpers::selection::get_beacon_proposer_indices;
use crate::helpers::shuffling::{EpochShuffling, compute_shuffled_index};
use crate::preset::{
    EPOCHS_PER_SYNC_COMMITTEE_PERIOD, MAX_COMMITTEES_PER_SLOT, MIN_SEED_LOOKAHEAD, SLOTS_PER_EPOCH,
    SYNC_COMMITTEE_SIZE, SYNC_SUBCOMMITTEE_SIZE,
};
use crate::ssz::{BitList, BitVector, U256};
use crate::state::State;
use crate::types::{
    Attestation, BLSPubkey, BLSSignature, CommitteeIndex, Epoch, SingleAttestation, Slot, SubnetID, SyncCommittee,
    ValidatorIndex,
};
use crate::{Config, Invalid, ensure};
use crypto::hash::sha256;
use std::collections::BTreeSet;

/// Where a validator attests in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitteeAssignment {
    /// Members of the committee in order; see `EpochShuffling` for the type.
    pub committee: Vec<u32>,
    /// The index of the committee at its slot.
    pub index: CommitteeIndex,
    /// The slot at which the committee attests.
    pub slot: Slot,
}

/// Whether the validator is active in the current epoch. An error if there is no such validator.
///
/// Spec: phase0/validator.md, `check_if_validator_active`.
pub fn check_if_validator_active(state: &State, validator_index: ValidatorIndex) -> Result<bool, Invalid> {
    Ok(is_active_validator(
        validator(state, validator_index)?,
        get_current_epoch(state),
    ))
}

/// The committee of a validator in `epoch`; `None` if it is in none. An error for epochs after the next, whose
/// committees are not decided yet. One pass over the epoch's shuffling: for many validators go through
/// [`EpochShuffling`] itself.
///
/// Spec: phase0/validator.md, `get_committee_assignment`.
pub fn get_committee_assignment(
    state: &State,
    epoch: Epoch,
    validator_index: ValidatorIndex,
) -> Result<Option<CommitteeAssignment>, Invalid> {
    let next_epoch = get_current_epoch(state) + 1;
    ensure!(
        epoch <= next_epoch,
        "duty epoch",
        "{epoch} is after the next, {next_epoch}"
    );
    let computed;
    let shuffling = if let Some(kept) = state.shuffling(epoch) {
        kept.as_ref()
    } else {
        computed = EpochShuffling::compute(state, epoch);
        &computed
    };
    let start_slot = compute_start_slot_at_epoch(epoch);
    for slot in start_slot..start_slot + SLOTS_PER_EPOCH {
        for index in 0..shuffling.committees_per_slot {
            let committee = shuffling.committee(slot, index).unwrap_or_default();
            if committee.iter().any(|member| u64::from(*member) == validator_index) {
                let committee = committee.to_vec();
                return Ok(Some(CommitteeAssignment { committee, index, slot }));
            }
        }
    }
    Ok(None)
}

/// The proposers that a state knows, from the first slot of its epoch on: those of its epoch, and from Fulu on those of
/// the next one too. Errors where no validator is active.
///
/// Spec: fulu/beacon-chain.md, `proposer_lookahead`; before, phase0/beacon-chain.md, `get_beacon_proposer_index`.
pub fn get_proposers(state: &State) -> Result<Vec<ValidatorIndex>, Invalid> {
    if state.at >= Fork::Fulu {
        return Ok(state.proposer_lookahead.iter().copied().collect());
    }
    get_beacon_proposer_indices(state, get_current_epoch(state))
}

/// Whether the validator proposes at the state's slot. Spec: phase0/validator.md, `is_proposer`.
pub fn is_proposer(state: &State, validator_index: ValidatorIndex) -> Result<bool, Invalid> {
    Ok(get_beacon_proposer_index(state)? == validator_index)
}

/// The subnet of a committee's attestations. Spec: phase0/validator.md, `compute_subnet_for_attestation`.
pub fn compute_subnet_for_attestation(
    config: &Config,
    committees_per_slot: u64,
    slot: Slot,
    committee_index: CommitteeIndex,
) -> SubnetID {
    let committees_since_epoch_start = u128::from(committees_per_slot) * u128::from(slot % SLOTS_PER_EPOCH);
    let committee = committees_since_epoch_start + u128::from(committee_index);
    (committee % u128::from(config.attestation_subnet_count.max(1))) as SubnetID
}

/// The same with the committees counted from the state. Spec: phase0/validator.md, "Broadcast attestation".
pub fn attestation_subnet(state: &State, config: &Config, slot: Slot, committee_index: CommitteeIndex) -> SubnetID {
    let committees_per_slot = get_committee_count_per_slot(state, compute_epoch_at_slot(slot));
    compute_subnet_for_attestation(config, committees_per_slot, slot, committee_index)
}

/// Whether the hash of a signature picks one in `size / target`.
fn is_picked(signature: &BLSSignature, size: u64, target: u64) -> bool {
    let mut first = [0; 8];
    first.copy_from_slice(&sha256(signature.as_bytes())[..8]);
    u64::from_le_bytes(first).is_multiple_of((size / target).max(1))
}

/// One validator's vote as an attestation of its committee, in which its bit alone is set. Errors if it is not a member
/// or the state cannot tell the committee.
///
/// Spec: electra/p2p-interface.md, `SingleAttestation`; the inverse of what its sender did.
pub fn attestation_of_single(state: &State, single: &SingleAttestation) -> Result<Attestation, Invalid> {
    let committee = get_beacon_committee(state, single.data.slot, single.committee_index)?;
    let is_attester = |member: &u32| u64::from(*member) == single.attester_index;
    let place = committee.iter().position(is_attester);
    let place = place.ok_or_else(|| {
        let detail = format!(
            "{} is not in committee {}",
            single.attester_index, single.committee_index
        );
        Invalid::new("attester in committee", detail)
    })?;
    let mut aggregation_bits = BitList::new(committee.len());
    aggregation_bits.set(place, true);
    let mut committee_bits = BitVector::new(MAX_COMMITTEES_PER_SLOT as usize);
    committee_bits.set(single.committee_index as usize, true);
    Ok(Attestation {
        aggregation_bits,
        data: single.data,
        signature: single.signature,
        committee_bits,
    })
}

/// Whether a member of a committee of `committee_length` aggregates, by its signature of the slot.
///
/// Spec: phase0/validator.md, `is_aggregator`.
pub fn is_aggregator_of(committee_length: u64, slot_signature: &BLSSignature) -> bool {
    is_picked(slot_signature, committee_length, TARGET_AGGREGATORS_PER_COMMITTEE)
}

/// The same with the committee found in the state; an error if there is none.
///
/// Spec: phase0/validator.md, `is_aggregator`.
pub fn is_aggregator(
    state: &State,
    slot: Slot,
    index: CommitteeIndex,
    slot_signature: &BLSSignature,
) -> Result<bool, Invalid> {
    let committee = get_beacon_committee(state, slot, index)?;
    Ok(is_aggregator_of(committee.len() as u64, slot_signature))
}

/// The subnets that a node stays on in `epoch`. An error if the config has more bits for subnets than a list of them can
/// have items.
///
/// Spec: phase0/p2p-interface.md, `compute_subscribed_subnets`.
pub fn compute_subscribed_subnets(config: &Config, node_id: U256, epoch: Epoch) -> Result<Vec<SubnetID>, Invalid> {
    let count = config.subnets_per_node.min(config.attestation_subnet_count);
    (0..count)
        .map(|index| compute_subscribed_subnet(config, node_id, epoch, index))
        .collect()
}

/// Errors as `compute_subscribed_subnets`. Spec: phase0/p2p-interface.md, `compute_subscribed_subnet`.
pub fn compute_subscribed_subnet(
    config: &Config,
    node_id: U256,
    epoch: Epoch,
    index: u64,
) -> Result<SubnetID, Invalid> {
    let prefix_bits = config.compute_attestation_subnet_prefix_bits();
    let too_many = || Invalid::new("subnet prefix bits", format!("{prefix_bits}, at most 63 make a list"));
    let prefixes = 1u64.checked_shl(prefix_bits as u32).filter(|_| prefix_bits < 64);
    let prefixes = prefixes.ok_or_else(too_many)?;
    let node_id_prefix = node_id.wrapping_shr((NODE_ID_BITS - prefix_bits) as usize);
    let node_id_prefix = node_id_prefix.wrapping_to::<u64>() & (prefixes - 1);

    let period = config.epochs_per_subnet_subscription.max(1);
    let node_offset = (node_id % U256::from(period)).wrapping_to::<u64>();
    let permutation = epoch.saturating_add(node_offset) / period;
    let permutation_seed = sha256(&permutation.to_le_bytes());
    let permutated_prefix = compute_shuffled_index(node_id_prefix, prefixes, &permutation_seed).ok_or_else(too_many)?;
    Ok(permutated_prefix.wrapping_add(index) % config.attestation_subnet_count.max(1))
}

/// Spec: altair/validator.md, `compute_sync_committee_period`.
pub fn compute_sync_committee_period(epoch: Epoch) -> u64 {
    epoch / EPOCHS_PER_SYNC_COMMITTEE_PERIOD
}

/// Whether the validator is in the sync committee of `epoch`'s period, from Altair on. An error unless that is the
/// current period or the next.
///
/// Spec: altair/validator.md, `is_assigned_to_sync_committee`.
pub fn is_assigned_to_sync_committee(
    state: &State,
    epoch: Epoch,
    validator_index: ValidatorIndex,
) -> Result<bool, Invalid> {
    let period = compute_sync_committee_period(epoch);
    let current_period = compute_sync_committee_period(get_current_epoch(state));
    ensure!(
        period == current_period || period == current_period + 1,
        "sync committee period",
        "{period}, the state knows {current_period} and the next"
    );
    let committee = if period == current_period {
        &state.current_sync_committee
    } else {
        &state.next_sync_committee
    };
    Ok(committee.pubkeys.contains(&validator(state, validator_index)?.pubkey))
}

/// The committee that signs at `slot`: that of the slot after it, whose block takes the signatures, which is another one
/// where a period ends. An error if the state's period is neither that nor the one before.
///
/// The spec's functions read the slot off the state. Here it is named, since a state that is at hand may stand anywhere
/// in its epoch, and the last slot of a period has another committee than the rest.
///
/// Spec: altair/validator.md, "Sync committee".
pub fn signing_sync_committee(state: &State, slot: Slot) -> Result<&SyncCommittee, Invalid> {
    let period = compute_sync_committee_period(compute_epoch_at_slot(slot.saturating_add(1)));
    let current = compute_sync_committee_period(get_current_epoch(state));
    ensure!(
        period == current || period == current + 1,
        "sync committee period",
        "{period} at slot {slot}, the state knows {current} and the next"
    );
    if period == current {
        Ok(&state.current_sync_committee)
    } else {
        Ok(&state.next_sync_committee)
    }
}

/// The subnets, ascending, on which a validator sends its sync committee messages of `slot`, from Altair on. An error if
/// there is no such validator, or as [`signing_sync_committee`].
///
/// Spec: altair/validator.md, `compute_subnets_for_sync_committee`.
pub fn compute_subnets_for_sync_committee(
    state: &State,
    slot: Slot,
    validator_index: ValidatorIndex,
) -> Result<Vec<SubnetID>, Invalid> {
    let target_pubkey = &validator(state, validator_index)?.pubkey;
    let members = signing_sync_committee(state, slot)?.pubkeys.iter().zip(0u64..);
    let seats = members.filter(|(pubkey, _)| *pubkey == target_pubkey);
    let subnets: BTreeSet<SubnetID> = seats.map(|(_, seat)| seat / SYNC_SUBCOMMITTEE_SIZE).collect();
    Ok(subnets.into_iter().collect())
}

/// The members of a subcommittee that signs at `slot`, from Altair on. An error if there is no such subcommittee, or as
/// [`signing_sync_committee`].
///
/// Spec: altair/p2p-interface.md, `get_sync_subcommittee_pubkeys`.
pub fn get_sync_subcommittee_pubkeys(
    state: &State,
    slot: Slot,
    subcommittee_index: u64,
) -> Result<&[BLSPubkey], Invalid> {
    let size = SYNC_SUBCOMMITTEE_SIZE as usize;
    let mut parts = signing_sync_committee(state, slot)?.pubkeys.chunks_exact(size);
    let known = subcommittee_index < SYNC_COMMITTEE_SUBNET_COUNT;
    let part = if known {
        parts.nth(subcommittee_index as usize)
    } else {
        None
    };
    part.ok_or_else(|| {
        let detail = format!("{subcommittee_index}, there are {SYNC_COMMITTEE_SUBNET_COUNT}");
        Invalid::new("sync subcommittee index", detail)
    })
}

/// Whether the member with this selection proof aggregates its subcommittee.
///
/// Spec: altair/validator.md, `is_sync_committee_aggregator`.
pub fn is_sync_committee_aggregator(signature: &BLSSignature) -> bool {
    is_picked(
        signature,
        SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT,
        TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE,
    )
}

/// The slot in `epoch` at which a validator is in the payload timeliness committee, from Gloas on; `None` if there is
/// none. An error for epochs outside the state's window, which reaches from the previous to the next.
///
/// Spec: gloas/validator.md, `get_ptc_assignment`.
pub fn get_ptc_assignment(
    state: &State,
    epoch: Epoch,
    validator_index: ValidatorIndex,
) -> Result<Option<Slot>, Invalid> {
    let max_epoch = get_current_epoch(state) + MIN_SEED_LOOKAHEAD;
    ensure!(epoch <= max_epoch, "duty epoch", "{epoch}, known up to {max_epoch}");
    let start_slot = compute_start_slot_at_epoch(epoch);
    for slot in start_slot..start_slot + SLOTS_PER_EPOCH {
        if get_ptc(state, slot)?.contains(&validator_index) {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}

/// Slots after the state's at which a validator proposes, as far as they are known, from Fulu on.
///
/// Spec: gloas/validator.md, `get_upcoming_proposal_slots`.
pub fn get_upcoming_proposal_slots(state: &State, validator_index: ValidatorIndex) -> Vec<Slot> {
    let current_epoch_start_slot = compute_start_slot_at_epoch(get_current_epoch(state));
    let lookahead = state.proposer_lookahead.iter().zip(current_epoch_start_slot..);
    let own = lookahead.filter(|(proposer, slot)| **proposer == validator_index && *slot > state.slot);
    own.map(|(_, slot)| slot).collect()
}

#[cfg(test)]
mod tests;
