//! One run of the rule: the blocks, committees and weights that its questions are about.

use super::super::head::attestation_scores;
use super::super::node::Node;
use super::super::store::{CheckpointState, Store};
use super::super::votes::{Weight, gwei};
use super::{FastConfirmationStore, is_start_slot_at_epoch};
use crate::Invalid;
use crate::constants::COMMITTEE_WEIGHT_ESTIMATION_ADJUSTMENT_FACTOR;
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::helpers::predicates::is_active_validator;
use crate::helpers::shuffling::EpochShuffling;
use crate::preset::SLOTS_PER_EPOCH;
use crate::state::State;
use crate::types::{Checkpoint, Epoch, Gwei, Slot, ValidatorIndex};
use std::sync::Arc;

/// What is read more than once in a run, each computed when first wanted.
pub(super) struct Rule<'a> {
    pub(super) store: &'a Store,
    pub(super) fcr: &'a FastConfirmationStore,
    /// The place of the head.
    pub(super) head: usize,
    pub(super) current_slot: Slot,
    /// The state after the head.
    head_state: &'a Arc<State>,
    pub(super) current_epoch: Epoch,
    pub(super) is_epoch_start: bool,
    /// Weights of the branches by the balances of the previous and the current source.
    scores: [Option<Vec<Weight>>; 2],
    pulled_up_head_state: Option<Arc<CheckpointState>>,
    /// Shufflings that the head's state does not have ready; of at most three epochs.
    shufflings: Vec<Arc<EpochShuffling>>,
    pub(super) honest_ffg_support: Option<Gwei>,
}

impl<'a> Rule<'a> {
    pub(super) fn new(fcr: &'a FastConfirmationStore, store: &'a Store) -> Result<Self, Invalid> {
        let head = store.blocks.place(&fcr.current_slot_head);
        let current_slot = store.get_current_slot();
        let head_state = store.need_state(&fcr.current_slot_head)?;
        Ok(Rule {
            head_state,
            head: head.ok_or_else(|| Invalid::new("head", "it is not known"))?,
            current_epoch: compute_epoch_at_slot(current_slot),
            is_epoch_start: is_start_slot_at_epoch(current_slot),
            current_slot,
            store,
            fcr,
            scores: [None, None],
            pulled_up_head_state: None,
            shufflings: Vec::new(),
            honest_ffg_support: None,
        })
    }

    pub(super) fn block(&self, place: usize) -> &'a Node {
        &self.store.blocks.nodes()[place]
    }

    /// Spec: phase0/fork-choice.md, `is_ancestor`, the other way round and whatever the payload.
    pub(super) fn is_descendant(&self, place: usize, ancestor: usize) -> bool {
        self.store.blocks.ancestor_at(place, self.block(ancestor).slot) == Some(ancestor)
    }

    /// The blocks from after `terminal` up to `place`, in this order; none if `terminal` is not in the chain.
    ///
    /// Spec: phase0/fast-confirmation.md, `get_ancestor_roots`.
    pub(super) fn get_ancestors(&self, place: usize, terminal: usize) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut next = Some(place);
        while let Some(place) = next.filter(|place| *place > terminal) {
            chain.push(place);
            next = self.store.blocks.parent(place);
        }
        if next != Some(terminal) {
            return Vec::new();
        }
        chain.reverse();
        chain
    }

    /// The state whose balances the votes weigh by. Spec: phase0/fast-confirmation.md, `get_previous_balance_source` and
    /// `get_current_balance_source`.
    pub(super) fn balance_source(&self, previous: bool) -> &'a CheckpointState {
        if previous {
            &self.fcr.previous_epoch_observed_justified.state
        } else {
            &self.fcr.current_epoch_observed_justified.state
        }
    }

    /// Spec: phase0/fork-choice.md, `get_attestation_score`, by the balances of a source.
    pub(super) fn score(&mut self, place: usize, previous: bool) -> Gwei {
        let scores = self.scores[usize::from(previous)].take().unwrap_or_else(|| {
            let blocks = self.store.blocks.nodes();
            let own = self.store.votes.weigh(blocks, &self.balance_source(previous).balances);
            attestation_scores(blocks, &own)
        });
        let score = scores[place][super::super::node::PayloadStatus::Pending as usize];
        self.scores[usize::from(previous)] = Some(scores);
        score
    }

    /// Spec: phase0/fast-confirmation.md, `get_pulled_up_head_state`.
    pub(super) fn get_pulled_up_head_state(&mut self) -> Result<Arc<CheckpointState>, Invalid> {
        if let Some(state) = &self.pulled_up_head_state {
            return Ok(Arc::clone(state));
        }
        let head = self.block(self.head);
        let state = if get_current_epoch(self.head_state) < self.current_epoch {
            // The same as the state that attestations of this epoch to this head are checked by.
            self.store.compute_checkpoint_state(Checkpoint {
                epoch: self.current_epoch,
                root: head.root,
            })?
        } else {
            Arc::new(CheckpointState::new(Arc::clone(self.head_state)))
        };
        self.pulled_up_head_state = Some(Arc::clone(&state));
        Ok(state)
    }

    fn shuffling(&mut self, epoch: Epoch) -> Arc<EpochShuffling> {
        let state = self.head_state;
        let kept = state
            .shuffling(epoch)
            .or_else(|| self.shufflings.iter().find(|known| known.epoch == epoch));
        if let Some(kept) = kept {
            return Arc::clone(kept);
        }
        let shuffling = Arc::new(EpochShuffling::compute(state, epoch));
        self.shufflings.push(Arc::clone(&shuffling));
        shuffling
    }

    /// The members of all committees of these slots, ascending. The caller keeps the slots within the current epoch and
    /// the two before.
    ///
    /// Spec: phase0/fast-confirmation.md, `get_slot_committee`.
    fn participants(&mut self, start_slot: Slot, end_slot: Slot) -> Vec<u32> {
        let mut participants = Vec::new();
        for slot in start_slot..=end_slot {
            let shuffling = self.shuffling(compute_epoch_at_slot(slot));
            for index in 0..shuffling.committees_per_slot {
                participants.extend_from_slice(shuffling.committee(slot, index).unwrap_or_default());
            }
        }
        participants.sort_unstable();
        participants.dedup();
        participants
    }

    /// What members of these slots' committees lend to this very block, in Gwei.
    ///
    /// Spec: phase0/fast-confirmation.md, `get_block_support_between_slots`.
    pub(super) fn get_block_support_between_slots(
        &mut self,
        source: &CheckpointState,
        place: usize,
        start_slot: Slot,
        end_slot: Slot,
    ) -> Gwei {
        let participants = self.participants(start_slot, end_slot);
        let votes = &self.store.votes;
        let support = participants.into_iter().filter(|index| {
            let message = votes.latest_message(*index as usize);
            message.is_some_and(|message| message.place == place)
        });
        gwei(
            support
                .map(|index| u64::from(source.balances.get(index as usize).copied().unwrap_or(0)))
                .sum(),
        )
    }

    /// Spec: phase0/fast-confirmation.md, `get_equivocation_score`.
    fn get_equivocation_score(&mut self, source: &CheckpointState, start_slot: Slot, end_slot: Slot) -> Gwei {
        let equivocating = self.store.votes.equivocating();
        if equivocating.is_empty() {
            return 0;
        }
        let epoch = get_current_epoch(&source.state);
        let mut score: Gwei = 0;
        for index in self.participants(start_slot, end_slot) {
            if equivocating.contains(&ValidatorIndex::from(index))
                && let Some(validator) = source.state.validators.get(index as usize)
                && is_active_validator(validator, epoch)
            {
                score = score.saturating_add(validator.effective_balance);
            }
        }
        score
    }

    /// Spec: phase0/fast-confirmation.md, `compute_adversarial_weight`.
    pub(super) fn compute_adversarial_weight(
        &mut self,
        source: &CheckpointState,
        start_slot: Slot,
        end_slot: Slot,
    ) -> Gwei {
        let maximum = estimate_committee_weight_between_slots(source.total_active_balance, start_slot, end_slot);
        let threshold = self.store.config.confirmation_byzantine_threshold.min(100);
        let max_adversarial_weight = maximum / 100 * threshold;
        max_adversarial_weight.saturating_sub(self.get_equivocation_score(source, start_slot, end_slot))
    }
}

/// Spec: phase0/fast-confirmation.md, `is_full_validator_set_covered`.
fn is_full_validator_set_covered(start_slot: Slot, end_slot: Slot) -> bool {
    let start_full_epoch = compute_epoch_at_slot(start_slot.saturating_add(SLOTS_PER_EPOCH - 1));
    let end_full_epoch = compute_epoch_at_slot(end_slot.saturating_add(1));
    start_full_epoch < end_full_epoch
}

/// Spec: phase0/fast-confirmation.md, `adjust_committee_weight_estimate_to_ensure_safety`.
fn adjust_committee_weight_estimate_to_ensure_safety(estimate: Gwei) -> Gwei {
    estimate
        .div_ceil(1000)
        .saturating_mul(1000 + COMMITTEE_WEIGHT_ESTIMATION_ADJUSTMENT_FACTOR)
}

/// What the committees of these slots weigh together, in Gwei.
///
/// Spec: phase0/fast-confirmation.md, `estimate_committee_weight_between_slots`.
pub(super) fn estimate_committee_weight_between_slots(
    total_active_balance: Gwei,
    start_slot: Slot,
    end_slot: Slot,
) -> Gwei {
    if start_slot > end_slot {
        return 0;
    }
    if is_full_validator_set_covered(start_slot, end_slot) {
        return total_active_balance;
    }
    // Less than two epochs from here on, so the products are less than twice the total balance.
    let (start_epoch, end_epoch) = (compute_epoch_at_slot(start_slot), compute_epoch_at_slot(end_slot));
    let committee_weight = total_active_balance / SLOTS_PER_EPOCH;
    if start_epoch == end_epoch {
        return committee_weight * (end_slot - start_slot + 1);
    }
    let num_slots_in_end_epoch = end_slot - compute_start_slot_at_epoch(end_epoch) + 1;
    let remaining_slots_in_end_epoch = SLOTS_PER_EPOCH - num_slots_in_end_epoch;
    let num_slots_in_start_epoch = SLOTS_PER_EPOCH - (start_slot - compute_start_slot_at_epoch(start_epoch));
    let start_epoch_weight = committee_weight * num_slots_in_start_epoch;
    let end_epoch_weight = committee_weight * num_slots_in_end_epoch;
    let start_epoch_weight_pro_rated = start_epoch_weight / SLOTS_PER_EPOCH * remaining_slots_in_end_epoch;
    adjust_committee_weight_estimate_to_ensure_safety(start_epoch_weight_pro_rated + end_epoch_weight)
}
