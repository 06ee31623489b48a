//! What is read from a state.
//!
//! Spec: phase0/beacon-chain.md, "Beacon state accessors", and its counterparts of later forks. An index that the spec
//! reads without a check is checked here: states come from outside too.

use crate::constants::{TIMELY_HEAD_FLAG_INDEX, TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX};
use crate::fork::Fork;
use crate::helpers::misc::{committees_of, compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::helpers::predicates::is_active_validator;
use crate::helpers::selection::compute_beacon_proposer_index;
use crate::helpers::shuffling::EpochShuffling;
use crate::preset::{
    BASE_REWARD_FACTOR, EFFECTIVE_BALANCE_INCREMENT, EPOCHS_PER_HISTORICAL_VECTOR, MAX_COMMITTEES_PER_SLOT,
    MIN_ATTESTATION_INCLUSION_DELAY, MIN_SEED_LOOKAHEAD, PTC_SIZE, SLOTS_PER_EPOCH, SLOTS_PER_HISTORICAL_ROOT,
    TARGET_COMMITTEE_SIZE,
};
use crate::ssz::Root;
use crate::state::State;
use crate::types::{
    Attestation, AttestationData, BLSPubkey, Bytes32, CommitteeIndex, DomainType, Epoch, Gwei, IndexedAttestation,
    IndexedPayloadAttestation, PayloadAttestation, Slot, Validator, ValidatorIndex,
};
use crate::{Invalid, ensure};
use crypto::hash::sha256;
use std::borrow::Cow;

/// Spec: phase0/beacon-chain.md, `get_current_epoch`.
pub fn get_current_epoch(state: &State) -> Epoch {
    compute_epoch_at_slot(state.slot)
}

/// The genesis epoch, which is 0, is its own. Spec: phase0/beacon-chain.md, `get_previous_epoch`.
pub fn get_previous_epoch(state: &State) -> Epoch {
    get_current_epoch(state).saturating_sub(1)
}

/// The validator at `index`, or an error that says how many there are.
pub fn validator(state: &State, index: ValidatorIndex) -> Result<&Validator, Invalid> {
    let count = state.validators.len();
    let found = state.validators.get(index as usize);
    found.ok_or_else(|| Invalid::new("validator index", format!("{index}, registry has {count}")))
}

/// The balance at `index` in Gwei, or an error that says how many there are.
pub fn balance(state: &State, index: ValidatorIndex) -> Result<Gwei, Invalid> {
    let count = state.balances.len();
    let found = state.balances.get(index as usize).copied();
    found.ok_or_else(|| Invalid::new("validator index", format!("{index}, there are {count} balances")))
}

/// What the validator has asked to withdraw and not got yet, in Gwei.
///
/// Spec: electra/beacon-chain.md, `get_pending_balance_to_withdraw`.
pub fn get_pending_balance_to_withdraw(state: &State, validator_index: ValidatorIndex) -> Result<Gwei, Invalid> {
    let mut own = state
        .pending_partial_withdrawals
        .iter()
        .filter(|withdrawal| withdrawal.validator_index == validator_index);
    own.try_fold(0, |sum, withdrawal| crate::helpers::math::add(sum, withdrawal.amount))
}

/// Spec: phase0/beacon-chain.md, `get_block_root`.
pub fn get_block_root(state: &State, epoch: Epoch) -> Result<Root, Invalid> {
    get_block_root_at_slot(state, compute_start_slot_at_epoch(epoch))
}

/// Spec: phase0/beacon-chain.md, `get_block_root_at_slot`.
pub fn get_block_root_at_slot(state: &State, slot: Slot) -> Result<Root, Invalid> {
    let in_reach = slot < state.slot && state.slot <= slot.saturating_add(SLOTS_PER_HISTORICAL_ROOT);
    ensure!(
        in_reach,
        "block root slot",
        "slot {slot} asked for at slot {}",
        state.slot
    );
    let root = state
        .block_roots
        .get((slot % SLOTS_PER_HISTORICAL_ROOT) as usize)
        .copied();
    root.ok_or_else(|| Invalid::new("block root slot", "the state has no block roots"))
}

/// The mix of `epoch`, zero in a state without mixes. Spec: phase0/beacon-chain.md, `get_randao_mix`.
pub fn get_randao_mix(state: &State, epoch: Epoch) -> Bytes32 {
    state
        .randao_mixes
        .get((epoch % EPOCHS_PER_HISTORICAL_VECTOR) as usize)
        .copied()
        .unwrap_or_default()
}

/// The active validators at `epoch` in order. Spec: phase0/beacon-chain.md, `get_active_validator_indices`.
pub fn get_active_validator_indices(state: &State, epoch: Epoch) -> Vec<ValidatorIndex> {
    let active = state
        .validators
        .iter()
        .enumerate()
        .filter(|(_, validator)| is_active_validator(validator, epoch));
    active.map(|(index, _)| index as ValidatorIndex).collect()
}

/// How many validators are active at `epoch`, from the kept shuffling if there is one.
pub fn active_validator_count(state: &State, epoch: Epoch) -> u64 {
    match state.shuffling(epoch) {
        Some(shuffling) => shuffling.shuffled.len() as u64,
        None => state
            .validators
            .iter()
            .filter(|validator| is_active_validator(validator, epoch))
            .count() as u64,
    }
}

/// Spec: phase0/beacon-chain.md, `get_seed`.
pub fn get_seed(state: &State, epoch: Epoch, domain_type: DomainType) -> Bytes32 {
    // The addition avoids an underflow at genesis.
    let mix = get_randao_mix(
        state,
        epoch.wrapping_add(EPOCHS_PER_HISTORICAL_VECTOR - MIN_SEED_LOOKAHEAD - 1),
    );
    let mut message = [0; 44];
    message[..4].copy_from_slice(&domain_type.0);
    message[4..12].copy_from_slice(&epoch.to_le_bytes());
    message[12..].copy_from_slice(&mix.0);
    sha256(&message).into()
}

/// Committees in each slot of an epoch with that many active validators.
pub fn committee_count(active_validators: u64) -> u64 {
    (active_validators / SLOTS_PER_EPOCH / TARGET_COMMITTEE_SIZE).clamp(1, MAX_COMMITTEES_PER_SLOT)
}

/// Spec: phase0/beacon-chain.md, `get_committee_count_per_slot`.
pub fn get_committee_count_per_slot(state: &State, epoch: Epoch) -> u64 {
    committee_count(active_validator_count(state, epoch))
}

/// The members of a committee, in order; see `EpochShuffling` for the type. Shuffles the whole epoch if `prepare` has
/// not done so.
///
/// Spec: phase0/beacon-chain.md, `get_beacon_committee`. An error if there is no such committee.
pub fn get_beacon_committee(state: &State, slot: Slot, index: CommitteeIndex) -> Result<Cow<'_, [u32]>, Invalid> {
    let epoch = compute_epoch_at_slot(slot);
    let committee = if let Some(shuffling) = state.shuffling(epoch) {
        shuffling.committee(slot, index).map(Cow::Borrowed)
    } else {
        let shuffling = EpochShuffling::compute(state, epoch);
        shuffling
            .committee(slot, index)
            .map(|committee| Cow::Owned(committee.to_vec()))
    };
    committee.ok_or_else(|| Invalid::new("committee index", format!("no committee {index} at slot {slot}")))
}

/// Spec: phase0/beacon-chain.md and fulu/beacon-chain.md, `get_beacon_proposer_index`. An error where no validator is
/// active.
pub fn get_beacon_proposer_index(state: &State) -> Result<ValidatorIndex, Invalid> {
    if state.at >= Fork::Fulu {
        let index = state
            .proposer_lookahead
            .get((state.slot % SLOTS_PER_EPOCH) as usize)
            .copied();
        return index.ok_or_else(|| Invalid::new("proposer lookahead", "the state has none"));
    }
    match state.cache.proposer {
        Some((slot, index)) if slot == state.slot => Ok(index),
        _ => compute_beacon_proposer_index(state),
    }
}

/// The sum of effective balances in Gwei, at least one increment. Spec: phase0/beacon-chain.md, `get_total_balance`.
pub fn get_total_balance(state: &State, indices: impl IntoIterator<Item = ValidatorIndex>) -> Result<Gwei, Invalid> {
    let mut total: Gwei = 0;
    for index in indices {
        total = crate::helpers::math::add(total, validator(state, index)?.effective_balance)?;
    }
    Ok(total.max(EFFECTIVE_BALANCE_INCREMENT))
}

/// The sum of the active validators' effective balances in Gwei, at least one increment.
///
/// Spec: phase0/beacon-chain.md, `get_total_active_balance`.
pub fn get_total_active_balance(state: &State) -> Gwei {
    let epoch = get_current_epoch(state);
    match state.cache.total_active_balance {
        Some((kept, total)) if kept == epoch => total,
        _ => compute_total_active_balance(state, epoch),
    }
}

/// The same for any epoch, from the registry. Saturates far above all Ether there is.
pub fn compute_total_active_balance(state: &State, epoch: Epoch) -> Gwei {
    let active = state
        .validators
        .iter()
        .filter(|validator| is_active_validator(validator, epoch));
    let total = active.fold(0u64, |sum, validator| sum.saturating_add(validator.effective_balance));
    total.max(EFFECTIVE_BALANCE_INCREMENT)
}

/// Spec: phase0/beacon-chain.md and electra/beacon-chain.md, `get_attesting_indices`, ascending. An error if a committee
/// does not exist or the bits do not have their length.
pub fn get_attesting_indices(state: &State, attestation: &Attestation) -> Result<Vec<ValidatorIndex>, Invalid> {
    let data = &attestation.data;
    let committees = committees_of(state.at, attestation);
    let bits = &attestation.aggregation_bits;
    let mut attesting = Vec::with_capacity(bits.count_ones());
    let mut offset = 0;
    for index in committees {
        let committee = get_beacon_committee(state, data.slot, index)?;
        for (place, member) in committee.iter().enumerate() {
            match bits.get(offset + place) {
                Some(true) => attesting.push(ValidatorIndex::from(*member)),
                Some(false) => {}
                None => {
                    return Err(Invalid::new(
                        "aggregation bits",
                        format!("{} bits are too few", bits.len()),
                    ));
                }
            }
        }
        offset += committee.len();
    }
    attesting.sort_unstable();
    attesting.dedup();
    Ok(attesting)
}

/// Spec: phase0/beacon-chain.md, `get_indexed_attestation`.
pub fn get_indexed_attestation(state: &State, attestation: &Attestation) -> Result<IndexedAttestation, Invalid> {
    Ok(IndexedAttestation {
        attesting_indices: get_attesting_indices(state, attestation)?,
        data: attestation.data,
        signature: attestation.signature,
    })
}

/// In Gwei for each increment of effective balance. Spec: altair/beacon-chain.md, `get_base_reward_per_increment`.
pub fn get_base_reward_per_increment(state: &State) -> Gwei {
    EFFECTIVE_BALANCE_INCREMENT * BASE_REWARD_FACTOR / get_total_active_balance(state).isqrt()
}

/// In Gwei, from Altair on. Spec: altair/beacon-chain.md, `get_base_reward`.
pub fn get_base_reward(state: &State, index: ValidatorIndex) -> Result<Gwei, Invalid> {
    let increments = validator(state, index)?.effective_balance / EFFECTIVE_BALANCE_INCREMENT;
    crate::helpers::math::mul(increments, get_base_reward_per_increment(state))
}

/// The participation flags that an attestation earns, from Altair on. `parent_slot` is the slot of the parent of the
/// block that includes it, and matters from Gloas on only.
///
/// Spec: altair/, deneb/ and gloas/beacon-chain.md, `get_attestation_participation_flag_indices`.
pub fn get_attestation_participation_flag_indices(
    state: &State,
    data: &AttestationData,
    inclusion_delay: u64,
    parent_slot: Slot,
) -> Result<Vec<usize>, Invalid> {
    let justified_checkpoint = if data.target.epoch == get_current_epoch(state) {
        state.current_justified_checkpoint
    } else {
        state.previous_justified_checkpoint
    };
    let (in_vote, in_state) = (data.source, justified_checkpoint);
    ensure!(
        in_vote == in_state,
        "attestation source",
        "{in_vote:?}, in state {in_state:?}"
    );
    let is_matching_target = data.target.root == get_block_root(state, data.target.epoch)?;
    let payload_matches = state.at < Fork::Gloas || payload_matches(state, data, parent_slot)?;
    let head_root_matches = data.beacon_block_root == get_block_root_at_slot(state, data.slot)?;

    let mut flags = Vec::with_capacity(3);
    if inclusion_delay <= SLOTS_PER_EPOCH.isqrt() {
        flags.push(TIMELY_SOURCE_FLAG_INDEX);
    }
    if is_matching_target && (state.at >= Fork::Deneb || inclusion_delay <= SLOTS_PER_EPOCH) {
        flags.push(TIMELY_TARGET_FLAG_INDEX);
    }
    let is_matching_head = is_matching_target && head_root_matches && payload_matches;
    if is_matching_head && inclusion_delay == MIN_ATTESTATION_INCLUSION_DELAY {
        flags.push(TIMELY_HEAD_FLAG_INDEX);
    }
    Ok(flags)
}

/// Whether the vote on the payload is right. Spec: gloas/beacon-chain.md, in the function above.
fn payload_matches(state: &State, data: &AttestationData, parent_slot: Slot) -> Result<bool, Invalid> {
    if is_attestation_same_slot(state, data)? {
        ensure!(
            data.index == 0,
            "attestation payload index",
            "{} for a block of the same slot",
            data.index
        );
        return Ok(true);
    }
    let slot_index = (parent_slot % SLOTS_PER_HISTORICAL_ROOT) as usize;
    let available = state.execution_payload_availability.get(slot_index).unwrap_or_default();
    Ok(data.index == u64::from(available))
}

/// Spec: gloas/beacon-chain.md, `is_attestation_same_slot`.
pub fn is_attestation_same_slot(state: &State, data: &AttestationData) -> Result<bool, Invalid> {
    if data.slot == 0 {
        return Ok(true);
    }
    let at_slot = get_block_root_at_slot(state, data.slot)?;
    let before = get_block_root_at_slot(state, data.slot - 1)?;
    Ok(data.beacon_block_root == at_slot && data.beacon_block_root != before)
}

/// The payload timeliness committee of a slot. Spec: gloas/beacon-chain.md, `get_ptc`. An error outside the window.
pub fn get_ptc(state: &State, slot: Slot) -> Result<&[ValidatorIndex], Invalid> {
    let (epoch, state_epoch) = (compute_epoch_at_slot(slot), get_current_epoch(state));
    let known = epoch + 1 >= state_epoch && epoch <= state_epoch + MIN_SEED_LOOKAHEAD;
    ensure!(
        known,
        "payload committee slot",
        "slot {slot} asked for in epoch {state_epoch}"
    );
    let offset = (epoch + 1 - state_epoch) * SLOTS_PER_EPOCH;
    let committee = state.ptc_window.get((offset + slot % SLOTS_PER_EPOCH) as usize);
    let committee = committee.ok_or_else(|| Invalid::new("payload committee slot", "the state has no window"))?;
    debug_assert_eq!(committee.len() as u64, PTC_SIZE, "a committee has its size");
    Ok(committee)
}

/// Spec: gloas/beacon-chain.md, `get_indexed_payload_attestation`.
pub fn get_indexed_payload_attestation(
    state: &State,
    payload_attestation: &PayloadAttestation,
) -> Result<IndexedPayloadAttestation, Invalid> {
    let ptc = get_ptc(state, payload_attestation.data.slot)?;
    let voted = ptc
        .iter()
        .zip(payload_attestation.aggregation_bits.iter())
        .filter(|(_, bit)| *bit);
    let mut attesting_indices: Vec<ValidatorIndex> = voted.map(|(index, _)| *index).collect();
    attesting_indices.sort_unstable();
    Ok(IndexedPayloadAttestation {
        attesting_indices,
        data: payload_attestation.data,
        signature: payload_attestation.signature,
    })
}

/// The public keys of `indices` as the state has them.
pub fn pubkeys_of(state: &State, indices: &[ValidatorIndex]) -> Result<Vec<BLSPubkey>, Invalid> {
    indices
        .iter()
        .map(|index| validator(state, *index).map(|validator| validator.pubkey))
        .collect()
}
