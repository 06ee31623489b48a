//! Arithmetic of slots and epochs, and small functions that need little or nothing of a state.
//!
//! Spec: phase0/beacon-chain.md, "Misc", and its counterparts of later forks.

use crate::constants::BUILDER_INDEX_FLAG;
use crate::fork::Fork;
use crate::helpers::math::{add, mul};
use crate::helpers::predicates::has_compounding_withdrawal_credential;
use crate::preset::{MAX_EFFECTIVE_BALANCE_ELECTRA, MAX_SEED_LOOKAHEAD, MIN_ACTIVATION_BALANCE, SLOTS_PER_EPOCH};
use crate::ssz::BitVector;
use crate::state::State;
use crate::types::{Attestation, BuilderIndex, CommitteeIndex, Epoch, Gwei, KZGCommitment, ParticipationFlags, Slot};
use crate::types::{Validator, ValidatorIndex, VersionedHash};
use crate::{Config, Invalid};
use crypto::hash::sha256;

/// Spec: phase0/beacon-chain.md, `compute_epoch_at_slot`.
pub fn compute_epoch_at_slot(slot: Slot) -> Epoch {
    slot / SLOTS_PER_EPOCH
}

/// The first slot of `epoch`; the last slot there is where it would overflow.
///
/// Spec: phase0/beacon-chain.md, `compute_start_slot_at_epoch`.
pub fn compute_start_slot_at_epoch(epoch: Epoch) -> Slot {
    epoch.saturating_mul(SLOTS_PER_EPOCH)
}

/// Unix time (seconds) at which `slot` starts. Spec: phase0/beacon-chain.md, `compute_time_at_slot`.
pub fn compute_time_at_slot(state: &State, config: &Config, slot: Slot) -> Result<u64, Invalid> {
    add(state.genesis_time, mul(slot, config.slot_duration_ms)? / 1000)
}

/// Spec: phase0/beacon-chain.md, `compute_activation_exit_epoch`.
pub fn compute_activation_exit_epoch(epoch: Epoch) -> Epoch {
    epoch.saturating_add(1 + MAX_SEED_LOOKAHEAD)
}

/// Spec: altair/beacon-chain.md, `add_flag`.
pub fn add_flag(flags: ParticipationFlags, flag_index: usize) -> ParticipationFlags {
    flags | 1 << flag_index
}

/// Spec: altair/beacon-chain.md, `has_flag`.
pub fn has_flag(flags: ParticipationFlags, flag_index: usize) -> bool {
    flags >> flag_index & 1 == 1
}

/// Spec: deneb/beacon-chain.md, `kzg_commitment_to_versioned_hash`.
pub fn kzg_commitment_to_versioned_hash(commitment: &KZGCommitment) -> VersionedHash {
    let mut hash = sha256(commitment.as_bytes());
    hash[0] = crate::constants::VERSIONED_HASH_VERSION_KZG;
    hash.into()
}

/// Spec: electra/beacon-chain.md, `get_committee_indices`.
pub fn get_committee_indices(committee_bits: &BitVector) -> Vec<CommitteeIndex> {
    committee_bits.ones().map(|index| index as CommitteeIndex).collect()
}

/// The committees that an attestation of `fork` is of: one before Electra.
pub fn committees_of(fork: Fork, attestation: &Attestation) -> Vec<CommitteeIndex> {
    if fork >= Fork::Electra {
        get_committee_indices(&attestation.committee_bits)
    } else {
        vec![attestation.data.index]
    }
}

/// Spec: electra/beacon-chain.md, `get_max_effective_balance`. In Gwei.
pub fn get_max_effective_balance(validator: &Validator) -> Gwei {
    if has_compounding_withdrawal_credential(validator) {
        MAX_EFFECTIVE_BALANCE_ELECTRA
    } else {
        MIN_ACTIVATION_BALANCE
    }
}

/// Spec: gloas/beacon-chain.md, `convert_builder_index_to_validator_index`.
pub fn convert_builder_index_to_validator_index(builder_index: BuilderIndex) -> ValidatorIndex {
    builder_index | BUILDER_INDEX_FLAG
}

/// Spec: gloas/beacon-chain.md, `convert_validator_index_to_builder_index`.
pub fn convert_validator_index_to_builder_index(validator_index: ValidatorIndex) -> BuilderIndex {
    validator_index & !BUILDER_INDEX_FLAG
}
