//! Choosing validators at random in proportion to their effective balance: proposers, sync committees, payload
//! timeliness committees.
//!
//! The specs write the same loop three times, with one random byte up to Deneb and two from Electra on; Gloas names it
//! `compute_balance_weighted_selection`, and all of them are that function here.

use crate::constants::{DOMAIN_BEACON_PROPOSER, DOMAIN_PTC_ATTESTER, DOMAIN_SYNC_COMMITTEE};
use crate::fork::Fork;
use crate::helpers::accessors::{
    get_active_validator_indices, get_beacon_committee, get_committee_count_per_slot, get_current_epoch, get_seed,
    validator,
};
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::helpers::shuffling::ShuffledOrder;
use crate::preset::SYNC_COMMITTEE_SIZE;
use crate::preset::{MAX_EFFECTIVE_BALANCE, MAX_EFFECTIVE_BALANCE_ELECTRA, PTC_SIZE, SLOTS_PER_EPOCH};
use crate::state::State;
use crate::types::{Epoch, Gwei, Slot, SyncCommittee, ValidatorIndex};
use crate::{Invalid, ensure};
use crypto::hash::{Hash256, sha256};

/// Candidates looked at before giving up. A candidate of the least effective balance is taken once in 2,048 tries, so
/// this many tries a place are never needed by a state in which anybody has a balance; without the limit a registry of
/// validators without balance would never end.
const TRIES_PER_PLACE_MAX: u64 = 1 << 20;

/// `size` of the `indices`, with possible repeats.
///
/// Spec: gloas/beacon-chain.md, `compute_balance_weighted_selection`; before it `compute_proposer_index` and
/// `get_next_sync_committee_indices` of phase0, altair and electra. Errors if there are no candidates.
pub fn compute_balance_weighted_selection(
    state: &State,
    indices: &[ValidatorIndex],
    seed: &Hash256,
    size: u64,
    shuffle_indices: bool,
) -> Result<Vec<ValidatorIndex>, Invalid> {
    let effective_balance = |index| Ok(validator(state, index)?.effective_balance);
    select_by_balance(state.at, indices, seed, size, shuffle_indices, effective_balance)
}

/// The same with effective balances (Gwei) from wherever the caller has them.
pub(crate) fn select_by_balance<I: Copy + Into<ValidatorIndex>>(
    fork: Fork,
    indices: &[I],
    seed: &Hash256,
    size: u64,
    shuffle_indices: bool,
    effective_balance: impl Fn(ValidatorIndex) -> Result<Gwei, Invalid>,
) -> Result<Vec<ValidatorIndex>, Invalid> {
    let total = indices.len() as u64;
    ensure!(total > 0, "selection", "no validator to choose from");
    let mut random = RandomValues::new(fork, seed);
    let mut order = ShuffledOrder::new(total, seed);
    let mut selected = Vec::with_capacity(size as usize);
    for i in 0..size.saturating_mul(TRIES_PER_PLACE_MAX) {
        let place = i % total;
        let next = if shuffle_indices { order.at(place) } else { place };
        let candidate = indices[next as usize].into();
        if random.takes(i, effective_balance(candidate)?) {
            selected.push(candidate);
            if selected.len() as u64 == size {
                return Ok(selected);
            }
        }
    }
    Err(Invalid::new("selection", "no validator has a balance to be chosen by"))
}

/// The random numbers of a selection; one hash gives 32 of them up to Deneb and 16 from Electra on.
struct RandomValues<'a> {
    wide: bool,
    seed: &'a Hash256,
    hash: Option<(u64, Hash256)>,
}

impl<'a> RandomValues<'a> {
    fn new(fork: Fork, seed: &'a Hash256) -> Self {
        RandomValues {
            wide: fork >= Fork::Electra,
            seed,
            hash: None,
        }
    }

    /// Whether try number `i` takes a candidate of `effective_balance` Gwei.
    fn takes(&mut self, i: u64, effective_balance: u64) -> bool {
        let per_hash = if self.wide { 16 } else { 32 };
        let hash = self.hash_number(i / per_hash);
        let at = (i % per_hash) as usize;
        let (value, max_value, max_balance) = if self.wide {
            (
                u16::from_le_bytes([hash[2 * at], hash[2 * at + 1]]).into(),
                u64::from(u16::MAX),
                MAX_EFFECTIVE_BALANCE_ELECTRA,
            )
        } else {
            (u64::from(hash[at]), u64::from(u8::MAX), MAX_EFFECTIVE_BALANCE)
        };
        u128::from(effective_balance) * u128::from(max_value) >= u128::from(max_balance) * u128::from(value)
    }

    fn hash_number(&mut self, number: u64) -> Hash256 {
        match self.hash {
            Some((kept, hash)) if kept == number => hash,
            _ => {
                let hash = seed_with(self.seed, number);
                self.hash = Some((number, hash));
                hash
            }
        }
    }
}

/// `hash(seed + uint_to_bytes(number))`.
pub(crate) fn seed_with(seed: &Hash256, number: u64) -> Hash256 {
    let mut message = [0; 40];
    message[..32].copy_from_slice(seed);
    message[32..].copy_from_slice(&number.to_le_bytes());
    sha256(&message)
}

/// The proposer at the state's slot, before Fulu. Spec: phase0/beacon-chain.md, `get_beacon_proposer_index`.
pub fn compute_beacon_proposer_index(state: &State) -> Result<ValidatorIndex, Invalid> {
    let epoch = get_current_epoch(state);
    let seed = seed_with(&get_seed(state, epoch, DOMAIN_BEACON_PROPOSER).0, state.slot);
    compute_proposer_index(state, &get_active_validator_indices(state, epoch), &seed)
}

/// Spec: phase0/beacon-chain.md and electra/beacon-chain.md, `compute_proposer_index`.
pub fn compute_proposer_index(
    state: &State,
    indices: &[ValidatorIndex],
    seed: &Hash256,
) -> Result<ValidatorIndex, Invalid> {
    Ok(compute_balance_weighted_selection(state, indices, seed, 1, true)?[0])
}

/// The proposers of the slots of `epoch`. Spec: fulu/ and gloas/beacon-chain.md, `compute_proposer_indices`.
pub fn compute_proposer_indices(
    state: &State,
    epoch: Epoch,
    seed: &Hash256,
    indices: &[ValidatorIndex],
) -> Result<Vec<ValidatorIndex>, Invalid> {
    let start_slot = compute_start_slot_at_epoch(epoch);
    let seeds = (0..SLOTS_PER_EPOCH).map(|i| seed_with(seed, start_slot + i));
    seeds
        .map(|seed| compute_proposer_index(state, indices, &seed))
        .collect()
}

/// Spec: fulu/ and gloas/beacon-chain.md, `get_beacon_proposer_indices`. From Gloas on without slashed validators.
pub fn get_beacon_proposer_indices(state: &State, epoch: Epoch) -> Result<Vec<ValidatorIndex>, Invalid> {
    let mut indices = get_active_validator_indices(state, epoch);
    if state.at >= Fork::Gloas {
        let slashed = |index: &ValidatorIndex| state.validators.get(*index as usize).is_some_and(|found| found.slashed);
        indices.retain(|index| !slashed(index));
    }
    let seed = get_seed(state, epoch, DOMAIN_BEACON_PROPOSER);
    compute_proposer_indices(state, epoch, &seed.0, &indices)
}

/// Spec: altair/, electra/ and gloas/beacon-chain.md, `get_next_sync_committee_indices`.
pub fn get_next_sync_committee_indices(state: &State) -> Result<Vec<ValidatorIndex>, Invalid> {
    let epoch = get_current_epoch(state) + 1;
    let seed = get_seed(state, epoch, DOMAIN_SYNC_COMMITTEE);
    let indices = get_active_validator_indices(state, epoch);
    compute_balance_weighted_selection(state, &indices, &seed.0, SYNC_COMMITTEE_SIZE, true)
}

/// Spec: altair/beacon-chain.md, `get_next_sync_committee`. Errors if a key of the registry is no valid point.
pub fn get_next_sync_committee(state: &State) -> Result<SyncCommittee, Invalid> {
    let indices = get_next_sync_committee_indices(state)?;
    let pubkeys = crate::helpers::accessors::pubkeys_of(state, &indices)?;
    let keys: Result<Vec<_>, _> = pubkeys
        .iter()
        .map(|key| crypto::bls::PublicKey::from_compressed_trusted(&key.0))
        .collect();
    let sum = keys.and_then(crypto::bls::eth_aggregate_pubkeys);
    let aggregate_pubkey = sum.map_err(|error| Invalid::new("sync committee keys", error.to_string()))?;
    Ok(SyncCommittee {
        pubkeys: pubkeys.into(),
        aggregate_pubkey: aggregate_pubkey.into(),
    })
}

/// The payload timeliness committee of `slot`, with possible repeats. Spec: gloas/beacon-chain.md, `compute_ptc`.
pub fn compute_ptc(state: &State, slot: Slot) -> Result<Vec<ValidatorIndex>, Invalid> {
    compute_ptc_by(state, slot, |index| Ok(validator(state, index)?.effective_balance))
}

/// The same with effective balances (Gwei) from wherever the caller has them.
pub(crate) fn compute_ptc_by(
    state: &State,
    slot: Slot,
    effective_balance: impl Fn(ValidatorIndex) -> Result<Gwei, Invalid>,
) -> Result<Vec<ValidatorIndex>, Invalid> {
    let epoch = compute_epoch_at_slot(slot);
    let seed = seed_with(&get_seed(state, epoch, DOMAIN_PTC_ATTESTER).0, slot);
    let mut indices: Vec<u32> = Vec::new();
    for committee in 0..get_committee_count_per_slot(state, epoch) {
        indices.extend_from_slice(&get_beacon_committee(state, slot, committee)?);
    }
    select_by_balance(state.at, &indices, &seed, PTC_SIZE, false, effective_balance)
}
