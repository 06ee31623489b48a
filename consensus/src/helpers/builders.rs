//! The registry of builders and what they owe.
//!
//! Spec: gloas/beacon-chain.md, "Predicates", "Misc", "Beacon state mutators", "Builder deposit requests".
//!
//! An index whose builder has left may be given to another, and a key that was there before may come back under another
//! index. The lookup by key therefore belongs to one state: it is cloned with it and changed where the registry is.

use crate::constants::FAR_FUTURE_EPOCH;
use crate::helpers::accessors::{get_current_epoch, get_previous_epoch};
use crate::helpers::math::add;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::{MIN_DEPOSIT_AMOUNT, SLOTS_PER_EPOCH};
use crate::signing::{DepositProof, DepositSignatures};
use crate::ssz::PersistentList;
use crate::state::State;
use crate::types::{BLSPubkey, Builder, BuilderDepositRequest, BuilderIndex, BuilderPendingPayment, ExecutionAddress};
use crate::types::{Gwei, PendingDeposit, Slot};
use crate::{Config, Invalid};
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Indices of builders by the hash of their key; the keys themselves stand in the state.
#[derive(Clone, Debug)]
pub(crate) struct BuilderIndices {
    table: HashTable<u32>,
    /// Whoever makes keys must not be able to make them collide.
    hasher: RandomState,
}

impl BuilderIndices {
    /// Those of the builders of `state`.
    pub(crate) fn of(state: &State) -> Self {
        let mut indices = BuilderIndices {
            table: HashTable::with_capacity(state.builders.len()),
            hasher: RandomState::new(),
        };
        for (index, builder) in state.builders.iter().enumerate() {
            // Where a state has a key twice, the first counts, as in the spec's `index`.
            if indices.find(&state.builders, &builder.pubkey).is_none() {
                indices.insert(&state.builders, index, &builder.pubkey);
            }
        }
        indices
    }

    fn find(&self, builders: &PersistentList<Builder>, pubkey: &BLSPubkey) -> Option<usize> {
        let is_it = |index: &u32| {
            builders
                .get(*index as usize)
                .is_some_and(|found| found.pubkey == *pubkey)
        };
        let found = self.table.find(self.hasher.hash_one(pubkey), is_it);
        found.map(|index| *index as usize)
    }

    fn insert(&mut self, builders: &PersistentList<Builder>, index: usize, pubkey: &BLSPubkey) {
        let hasher = &self.hasher;
        // A registry of 2^32 builders would not fit in memory.
        self.table
            .insert_unique(hasher.hash_one(pubkey), index as u32, |index| {
                hasher.hash_one(
                    builders
                        .get(*index as usize)
                        .map(|found| found.pubkey)
                        .unwrap_or_default(),
                )
            });
    }

    fn remove(&mut self, index: usize, pubkey: &BLSPubkey) {
        let hash = self.hasher.hash_one(pubkey);
        if let Ok(entry) = self.table.find_entry(hash, |found| *found as usize == index) {
            entry.remove();
        }
    }
}

/// The builder at `index`, or an error that says how many there are.
pub fn builder(state: &State, index: BuilderIndex) -> Result<&Builder, Invalid> {
    let count = state.builders.len();
    let found = state.builders.get(index as usize);
    found.ok_or_else(|| Invalid::new("builder index", format!("{index}, registry has {count}")))
}

/// The builder at `index` for writing. Its key is not to be changed; see `add_builder_to_registry`.
pub fn builder_mut(state: &mut State, index: BuilderIndex) -> Result<&mut Builder, Invalid> {
    let count = state.builders.len();
    let found = state.beacon.builders.get_mut(index as usize);
    found.ok_or_else(|| Invalid::new("builder index", format!("{index}, registry has {count}")))
}

/// The index of the builder with this key, if there is one.
pub fn builder_index_of(state: &State, pubkey: &BLSPubkey) -> Option<BuilderIndex> {
    let index = match &state.cache.builder_indices {
        Some(indices) => indices.find(&state.builders, pubkey),
        None => state.builders.iter().position(|builder| builder.pubkey == *pubkey),
    };
    index.map(|index| index as BuilderIndex)
}

/// Whether the builder's deposit is finalized and it is not leaving. An error if there is no such builder.
///
/// Spec: gloas/beacon-chain.md, `is_active_builder`.
pub fn is_active_builder(state: &State, builder_index: BuilderIndex) -> Result<bool, Invalid> {
    let builder = builder(state, builder_index)?;
    let is_finalized = builder.deposit_epoch < state.finalized_checkpoint.epoch;
    Ok(is_finalized && builder.withdrawable_epoch == FAR_FUTURE_EPOCH)
}

/// What the builder owes and has not paid yet, in Gwei.
///
/// Spec: gloas/beacon-chain.md, `get_pending_balance_to_withdraw_for_builder`.
pub fn get_pending_balance_to_withdraw_for_builder(
    state: &State,
    builder_index: BuilderIndex,
) -> Result<Gwei, Invalid> {
    let payments = state.builder_pending_payments.iter().map(|payment| &payment.withdrawal);
    let owed = state.builder_pending_withdrawals.iter().chain(payments);
    let mut own = owed.filter(|withdrawal| withdrawal.builder_index == builder_index);
    own.try_fold(0, |sum, withdrawal| add(sum, withdrawal.amount))
}

/// Whether the builder has `bid_amount` Gwei beyond what it owes and its deposit. An error if there is no such builder.
///
/// Spec: gloas/beacon-chain.md, `can_builder_cover_bid`.
pub fn can_builder_cover_bid(state: &State, builder_index: BuilderIndex, bid_amount: Gwei) -> Result<bool, Invalid> {
    let builder_balance = builder(state, builder_index)?.balance;
    let pending_withdrawals_amount = get_pending_balance_to_withdraw_for_builder(state, builder_index)?;
    let min_balance = add(MIN_DEPOSIT_AMOUNT, pending_withdrawals_amount)?;
    Ok(builder_balance
        .checked_sub(min_balance)
        .is_some_and(|free| free >= bid_amount))
}

/// Whether a deposit with a valid signature waits for this key. `signatures` are the state's.
///
/// Spec: gloas/beacon-chain.md, `is_pending_validator`.
pub fn is_pending_validator<'a>(
    config: &Config,
    signatures: &DepositSignatures,
    pending_deposits: impl IntoIterator<Item = &'a PendingDeposit>,
    pubkey: &BLSPubkey,
) -> bool {
    let mut own = pending_deposits.into_iter().filter(|deposit| deposit.pubkey == *pubkey);
    own.any(|deposit| signatures.accept(&DepositProof::of_pending(config, deposit)))
}

/// Where the payment for the block of `slot` stands in `builder_pending_payments`, which hold two epochs; `None` outside
/// of the current and the previous one.
///
/// Spec: gloas/beacon-chain.md, in `process_attestation`, `process_proposer_slashing`, `apply_parent_execution_payload`.
pub fn builder_payment_index(state: &State, slot: Slot) -> Option<u64> {
    let epoch = compute_epoch_at_slot(slot);
    let in_epoch = slot % SLOTS_PER_EPOCH;
    if epoch == get_current_epoch(state) {
        Some(SLOTS_PER_EPOCH + in_epoch)
    } else {
        (epoch == get_previous_epoch(state)).then_some(in_epoch)
    }
}

/// The payment at `payment_index` for writing.
pub fn builder_payment_mut(state: &mut State, payment_index: u64) -> Result<&mut BuilderPendingPayment, Invalid> {
    let payment = state.beacon.builder_pending_payments.get_mut(payment_index as usize);
    payment.ok_or_else(|| {
        Invalid::new(
            "builder payment index",
            format!("the state has none at {payment_index}"),
        )
    })
}

/// Lets a builder leave. Spec: gloas/beacon-chain.md, `initiate_builder_exit`.
pub fn initiate_builder_exit(state: &mut State, config: &Config, builder_index: BuilderIndex) -> Result<(), Invalid> {
    let withdrawable_epoch = add(get_current_epoch(state), config.min_builder_withdrawability_delay)?;
    builder_mut(state, builder_index)?.withdrawable_epoch = withdrawable_epoch;
    Ok(())
}

/// Turns a payment that is due into a withdrawal. Spec: gloas/beacon-chain.md, `settle_builder_payment`.
pub fn settle_builder_payment(state: &mut State, payment_index: u64) -> Result<(), Invalid> {
    let payment = std::mem::take(builder_payment_mut(state, payment_index)?);
    if payment.withdrawal.amount > 0 {
        state.builder_pending_withdrawals.push(payment.withdrawal);
    }
    Ok(())
}

/// Whether a builder's proof of possession is valid, as the state judges it.
///
/// Spec: gloas/beacon-chain.md, `is_valid_builder_deposit_signature`.
pub fn is_valid_builder_deposit_signature(state: &State, config: &Config, request: &BuilderDepositRequest) -> bool {
    state
        .deposit_signatures
        .accept(&DepositProof::of_builder(config, request))
}

/// The first index whose builder has left and was paid out, else the next one.
///
/// Spec: gloas/beacon-chain.md, `get_index_for_new_builder`.
pub fn get_index_for_new_builder(state: &State) -> BuilderIndex {
    let epoch = get_current_epoch(state);
    let is_free = |builder: &Builder| builder.withdrawable_epoch <= epoch && builder.balance == 0;
    let free = state.builders.iter().position(is_free);
    free.unwrap_or(state.builders.len()) as BuilderIndex
}

/// Enters a builder that deposited `amount` Gwei at `slot`.
///
/// Spec: gloas/beacon-chain.md, `add_builder_to_registry`.
pub fn add_builder_to_registry(
    state: &mut State,
    pubkey: BLSPubkey,
    version: u8,
    execution_address: ExecutionAddress,
    amount: Gwei,
    slot: Slot,
) {
    let index = get_index_for_new_builder(state) as usize;
    let new = Builder {
        pubkey,
        version,
        execution_address,
        balance: amount,
        deposit_epoch: compute_epoch_at_slot(slot),
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    };
    let builders = &mut state.beacon.builders;
    let mut indices = state.cache.builder_indices.as_mut().map(Arc::make_mut);
    match builders.get_mut(index) {
        Some(left) => {
            let left = std::mem::replace(left, new);
            if let Some(indices) = &mut indices {
                indices.remove(index, &left.pubkey);
            }
        }
        None => builders.push(new),
    }
    if let Some(indices) = indices {
        indices.insert(builders, index, &pubkey);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fork;
    use crate::ssz::{Bytes, Ssz};
    use crate::types::BeaconState;

    fn key(number: u8) -> BLSPubkey {
        Bytes([number; 48])
    }

    fn add_builder(state: &mut State, number: u8) {
        add_builder_to_registry(state, key(number), 0, ExecutionAddress::default(), 5, 0);
    }

    fn found(state: &State) -> Vec<Option<BuilderIndex>> {
        (0..40).map(|number| builder_index_of(state, &key(number))).collect()
    }

    /// What the plain search finds.
    fn searched(state: &State) -> Vec<Option<BuilderIndex>> {
        found(&State::new(state.at, state.beacon.clone()))
    }

    #[test]
    fn the_lookup_survives_reuse_of_indices_and_branches() {
        let mut state = State::new(Fork::Gloas, BeaconState::new(Fork::Gloas));
        add_builder(&mut state, 0);
        state.prepare_builders();
        (1..20).for_each(|number| add_builder(&mut state, number));
        assert_eq!(found(&state), searched(&state));
        let branch = state.clone();
        for number in [3, 0, 11] {
            let left = builder_mut(&mut state, number).unwrap();
            (left.balance, left.withdrawable_epoch) = (0, 0);
        }
        (20..25).for_each(|number| add_builder(&mut state, number));
        assert_eq!(found(&state), searched(&state));
        assert_eq!(
            builder_index_of(&state, &key(3)),
            None,
            "its index was given to another"
        );
        assert_eq!(builder_index_of(&state, &key(21)), Some(3), "the second free index");
        assert_eq!(
            builder_index_of(&branch, &key(3)),
            Some(3),
            "on the other branch it is still there"
        );
        assert_eq!(found(&branch), searched(&branch));
        add_builder(&mut state, 3);
        assert_eq!(builder_index_of(&state, &key(3)), Some(22), "it came back at the end");
    }
}
