//! A beacon state at a known fork, with what was computed from it kept beside.
//!
//! The spec's `BeaconState` is a plain container; which fork it is at, and the shufflings that would cost seconds to
//! compute again for each vote, stand beside it and never inside its SSZ. Everything kept is a pure function of the
//! state, entered by `prepare` under `&mut` and only read afterwards: accessors compute what is not there.

use crate::fork::Fork;
use crate::helpers::accessors::{compute_total_active_balance, get_current_epoch};
use crate::helpers::builders::BuilderIndices;
use crate::helpers::effective_balances::EffectiveBalances;
use crate::helpers::selection::compute_beacon_proposer_index;
use crate::helpers::shuffling::EpochShuffling;
use crate::helpers::target_balances::TargetBalances;
use crate::signing::DepositSignatures;
use crate::ssz::{Out, Root, Ssz, SszError};
use crate::types::{BeaconState, Epoch, Gwei, Slot, ValidatorIndex};
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A `BeaconState` and its fork. Fields of the state are reached directly (`state.validators`).
#[derive(Clone, Debug)]
pub struct State {
    /// The fork that the state is at.
    pub at: Fork,
    /// The container itself.
    pub beacon: BeaconState,
    /// What was computed from it.
    pub cache: Cache,
    /// How the signatures of deposits are judged, here and in all states that come of this one.
    pub deposit_signatures: DepositSignatures,
}

/// What is kept beside a state. Each entry says for which epoch or slot it holds.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Shufflings of the previous, the current and the next epoch, in no order.
    pub(crate) shufflings: [Option<Arc<EpochShuffling>>; 3],
    /// Total active balance at an epoch. Dropped when effective balances change.
    pub(crate) total_active_balance: Option<(Epoch, Gwei)>,
    /// The proposer of a slot.
    pub(crate) proposer: Option<(Slot, ValidatorIndex)>,
    /// The validators that are active at an epoch, ascending: left by an epoch transition for whoever shuffles them.
    pub(crate) active_ahead: Option<(Epoch, Arc<[u32]>)>,
    /// Effective balances of all validators, side by side, at an epoch.
    pub(crate) effective_balances: Option<Arc<EffectiveBalances>>,
    /// What has voted for the targets of two epochs, from Altair on. Kept in step by `process_attestation` and
    /// `slash_validator`.
    pub(crate) target_balances: Option<TargetBalances>,
    /// Builders by their keys, from Gloas on. Kept in step by `add_builder_to_registry`, the only one that enters keys.
    pub(crate) builder_indices: Option<Arc<BuilderIndices>>,
}

impl Cache {
    /// Keeps a shuffling in place of the oldest that is there.
    pub(crate) fn keep_shuffling(&mut self, shuffling: Arc<EpochShuffling>) {
        let known = |kept: &Option<Arc<EpochShuffling>>| kept.as_ref().map(|kept| kept.epoch);
        if self.shufflings.iter().any(|kept| known(kept) == Some(shuffling.epoch)) {
            return;
        }
        if let Some(oldest) = self.shufflings.iter_mut().min_by_key(|kept| known(kept)) {
            *oldest = Some(shuffling);
        }
    }
}

impl State {
    /// A state at `fork`, with nothing computed yet.
    pub fn new(at: Fork, beacon: BeaconState) -> Self {
        State {
            at,
            beacon,
            cache: Cache::default(),
            deposit_signatures: DepositSignatures::default(),
        }
    }

    /// Decodes an SSZ state; see `Ssz::decode_from` for errors.
    pub fn decode(bytes: &[u8], at: Fork) -> Result<Self, SszError> {
        Ok(State::new(at, BeaconState::decode(bytes, at)?))
    }

    /// Decodes an SSZ state of `len` bytes list by list from a reader.
    pub fn decode_reader(reader: &mut dyn io::Read, len: usize, at: Fork) -> Result<Self, SszError> {
        Ok(State::new(at, BeaconState::decode_read(reader, len, at, &[])?))
    }

    /// The SSZ encoding.
    pub fn encode(&self) -> Vec<u8> {
        self.beacon.encode(self.at)
    }

    /// Writes the SSZ encoding piece by piece.
    pub fn encode_to(&self, out: &mut Out) {
        self.beacon.encode_to(self.at, &[], out);
    }

    /// The hash tree root; hashes only what changed since it was last asked for.
    pub fn hash_tree_root(&self) -> Root {
        self.beacon.hash_tree_root(self.at)
    }

    /// Computes what the accessors want in this slot, if it is not there yet: the shufflings of the previous, current and
    /// next epoch, the effective balances and the total of the active ones, before Fulu the proposer, from Gloas on the
    /// builders' indices. Called at the start of a block and after `process_slots`; cheap when nothing is missing.
    pub fn prepare(&mut self) {
        self.prepare_shufflings();
        let epoch = get_current_epoch(self);
        if self.cache.total_active_balance.is_none_or(|(kept, _)| kept != epoch) {
            self.cache.total_active_balance = Some((epoch, compute_total_active_balance(self, epoch)));
        }
        if self.effective_balances().is_none() {
            self.cache.effective_balances = Some(Arc::new(EffectiveBalances::of(self, epoch)));
        }
        if self.target_balances().is_none() {
            self.cache.target_balances = TargetBalances::of(self, epoch);
        }
        self.prepare_builders();
        let slot = self.slot;
        if self.at < Fork::Fulu && self.cache.proposer.is_none_or(|(kept, _)| kept != slot) {
            // Where nobody can propose, the accessor says so when it is asked.
            let proposer = compute_beacon_proposer_index(self).ok();
            self.cache.proposer = proposer.map(|index| (slot, index));
        }
    }

    /// Enters the builders' indices, if they are not there yet.
    pub(crate) fn prepare_builders(&mut self) {
        if self.at >= Fork::Gloas && self.cache.builder_indices.is_none() {
            self.cache.builder_indices = Some(Arc::new(BuilderIndices::of(self)));
        }
    }

    /// The kept effective balances of the current epoch, if there are any.
    pub(crate) fn effective_balances(&self) -> Option<&EffectiveBalances> {
        let kept = self.cache.effective_balances.as_deref();
        kept.filter(|kept| kept.epoch == get_current_epoch(self))
    }

    /// What is kept of the votes for the targets of the previous and the current epoch.
    pub(crate) fn target_balances(&self) -> Option<&TargetBalances> {
        let kept = self.cache.target_balances.as_ref();
        kept.filter(|kept| kept.epoch == get_current_epoch(self))
    }

    fn prepare_shufflings(&mut self) {
        let current = get_current_epoch(self);
        let wanted = [current.saturating_sub(1), current, current + 1];
        let mut kept: [Option<Arc<EpochShuffling>>; 3] = [None, None, None];
        for (slot, epoch) in kept.iter_mut().zip(wanted) {
            let known = self
                .cache
                .shufflings
                .iter()
                .flatten()
                .find(|shuffling| shuffling.epoch == epoch);
            *slot = known.cloned();
        }
        for (slot, epoch) in kept.iter_mut().zip(wanted) {
            if slot.is_none() {
                *slot = Some(Arc::new(self.shuffle(epoch)));
            }
        }
        self.cache.shufflings = kept;
        self.cache.active_ahead = None;
    }

    fn shuffle(&self, epoch: Epoch) -> EpochShuffling {
        match &self.cache.active_ahead {
            Some((ahead, active)) if *ahead == epoch => EpochShuffling::of_active(self, epoch, active.to_vec()),
            _ => EpochShuffling::compute(self, epoch),
        }
    }

    /// The kept shuffling of `epoch`, if there is one.
    pub fn shuffling(&self, epoch: Epoch) -> Option<&Arc<EpochShuffling>> {
        self.cache
            .shufflings
            .iter()
            .flatten()
            .find(|shuffling| shuffling.epoch == epoch)
    }
}

impl Deref for State {
    type Target = BeaconState;

    fn deref(&self) -> &BeaconState {
        &self.beacon
    }
}

impl DerefMut for State {
    fn deref_mut(&mut self) -> &mut BeaconState {
        &mut self.beacon
    }
}
