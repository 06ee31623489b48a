//! Whether blocks have so many votes that no other branch can win against them.
//!
//! Spec: phase0/fast-confirmation.md, "LMD-GHOST helpers".

use super::super::store::CheckpointState;
use super::epoch_of;
use super::weights::{Rule, estimate_committee_weight_between_slots};
use crate::Invalid;
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::types::Gwei;

impl Rule<'_> {
    /// Whether the block is safe by the balances of the previous or the current source. Never while a payload that it
    /// rests on has not been executed.
    ///
    /// Spec: phase0/fast-confirmation.md, `is_one_confirmed`.
    pub(super) fn is_one_confirmed(&mut self, place: usize, previous: bool) -> bool {
        if self.store.blocks.is_optimistic(&self.block(place).root) {
            return false;
        }
        let source = self.balance_source(previous);
        // A block without its parent is the oldest there is, and finalized.
        let Some(threshold) = self.compute_safety_threshold(source, place) else {
            return true;
        };
        self.score(place, previous) > threshold
    }

    /// In Gwei. Spec: phase0/fast-confirmation.md, `compute_safety_threshold`.
    fn compute_safety_threshold(&mut self, source: &CheckpointState, place: usize) -> Option<Gwei> {
        let parent = self.block(self.store.blocks.parent(place)?);
        let proposer_score = source.calculate_committee_fraction(self.store.config.proposer_score_boost);
        let maximum_support = estimate_committee_weight_between_slots(
            source.total_active_balance,
            parent.slot + 1,
            self.current_slot.saturating_sub(1),
        );
        let support_discount = self.compute_empty_slot_support_discount(source, place)?;
        let adversarial_weight = self.get_adversarial_weight(source, place)?;
        let support = maximum_support + proposer_score + 2 * adversarial_weight;
        Some(support.saturating_sub(support_discount) / 2)
    }

    /// Spec: phase0/fast-confirmation.md, `get_adversarial_weight`.
    fn get_adversarial_weight(&mut self, source: &CheckpointState, place: usize) -> Option<Gwei> {
        let (block, parent) = (self.block(place), self.block(self.store.blocks.parent(place)?));
        let start_slot = if epoch_of(block) > epoch_of(parent) {
            compute_start_slot_at_epoch(epoch_of(block))
        } else {
            block.slot
        };
        Some(self.compute_adversarial_weight(source, start_slot, self.current_slot.saturating_sub(1)))
    }

    /// The votes for the parent from committees of empty slots, which no other branch can have either.
    ///
    /// Spec: phase0/fast-confirmation.md, `compute_empty_slot_support_discount`.
    fn compute_empty_slot_support_discount(&mut self, source: &CheckpointState, place: usize) -> Option<Gwei> {
        let parent_place = self.store.blocks.parent(place)?;
        let (start_slot, slot) = (self.block(parent_place).slot + 1, self.block(place).slot);
        // Committees from before the last three epochs would be dear to find. Without a discount less is confirmed.
        if start_slot == slot || compute_epoch_at_slot(start_slot) + 2 < self.current_epoch {
            return Some(0);
        }
        let support = self.get_block_support_between_slots(source, parent_place, start_slot, slot - 1);
        let adversarial_weight = self.compute_adversarial_weight(source, start_slot, slot - 1);
        Some(support.saturating_sub(adversarial_weight))
    }

    /// Spec: phase0/fast-confirmation.md, `is_confirmed_chain_safe`.
    pub(super) fn is_confirmed_chain_safe(&mut self, confirmed: usize) -> Result<bool, Invalid> {
        let (blocks, current_epoch) = (&self.store.blocks, self.current_epoch);
        let observed = self.fcr.current_epoch_observed_justified.checkpoint;
        let in_chain = blocks.get_checkpoint_block(&self.block(confirmed).root, observed.epoch);
        if in_chain != Some(observed.root) {
            return Ok(false);
        }
        let start = if observed.epoch + 1 >= current_epoch {
            // The justified block of the previous epoch is canonical whatever happens.
            blocks.place(&observed.root)
        } else {
            // Where the first block of the previous epoch is safe, so are those before it.
            let start_slot = compute_start_slot_at_epoch(current_epoch - 1);
            match blocks.ancestor_at(confirmed, start_slot) {
                Some(ancestor) if epoch_of(self.block(ancestor)) + 1 == current_epoch => blocks.parent(ancestor),
                ancestor => ancestor,
            }
        };
        let Some(start) = start else {
            return Err(Invalid::new("reconfirmation", "the chain is not kept so far back"));
        };
        let chain = self.get_ancestors(confirmed, start);
        Ok(chain.into_iter().all(|place| self.is_one_confirmed(place, true)))
    }
}
