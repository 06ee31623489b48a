//! Whether the current epoch's target will be justified, or nothing else can be.
//!
//! Spec: phase0/fast-confirmation.md, "FFG helpers".

use super::super::votes::gwei;
use super::weights::{Rule, estimate_committee_weight_between_slots};
use crate::Invalid;
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::types::{Checkpoint, Gwei};

impl Rule<'_> {
    /// Spec: phase0/fast-confirmation.md, `get_current_target`.
    fn get_current_target(&self) -> Option<Checkpoint> {
        let head = &self.block(self.head).root;
        let root = self.store.blocks.get_checkpoint_block(head, self.current_epoch)?;
        Some(Checkpoint {
            epoch: self.current_epoch,
            root,
        })
    }

    /// What votes for the current target weigh, in Gwei, as far as latest messages show it.
    ///
    /// Spec: phase0/fast-confirmation.md, `get_current_target_score`.
    fn get_current_target_score(&mut self) -> Result<Gwei, Invalid> {
        let state = self.get_pulled_up_head_state()?;
        let Some(target) = self
            .get_current_target()
            .and_then(|target| self.store.blocks.place(&target.root))
        else {
            return Ok(0);
        };
        let start_slot = compute_start_slot_at_epoch(self.current_epoch);
        let blocks = self.store.blocks.nodes();
        // For each block whether the target is its checkpoint block at this epoch.
        let mut supports = vec![false; blocks.len()];
        for place in target..blocks.len() {
            let parent = self.store.blocks.parent(place);
            let after = parent.is_some_and(|parent| supports[parent]) && blocks[place].slot > start_slot;
            supports[place] = place == target || after;
        }
        let votes = &self.store.votes;
        let mut increments = 0;
        for (index, balance) in state.balances.iter().enumerate().take(votes.len()) {
            if let Some(message) = votes.latest_message(index)
                && compute_epoch_at_slot(message.slot) == self.current_epoch
                && supports[message.place]
            {
                increments += u64::from(*balance);
            }
        }
        Ok(gwei(increments))
    }

    /// Spec: phase0/fast-confirmation.md, `compute_honest_ffg_support_for_current_target`.
    fn compute_honest_ffg_support_for_current_target(&mut self) -> Result<Gwei, Invalid> {
        if let Some(support) = self.honest_ffg_support {
            return Ok(support);
        }
        let source = self.get_pulled_up_head_state()?;
        let total_active_balance = source.total_active_balance;
        let ffg_support_for_checkpoint = self.get_current_target_score()?;
        let start_slot = compute_start_slot_at_epoch(self.current_epoch);
        // At the start of an epoch there is no slot in between.
        let end_slot = self.current_slot.saturating_sub(1);
        let (weight_till_now, adversarial_weight) = if self.is_epoch_start {
            (0, 0)
        } else {
            let weight = estimate_committee_weight_between_slots(total_active_balance, start_slot, end_slot);
            (weight, self.compute_adversarial_weight(&source, start_slot, end_slot))
        };
        let remaining_ffg_weight = total_active_balance.saturating_sub(weight_till_now);
        let threshold = self.store.config.confirmation_byzantine_threshold.min(100);
        let remaining_honest_ffg_weight = remaining_ffg_weight / 100 * (100 - threshold);
        let min_honest_ffg_support = ffg_support_for_checkpoint.saturating_sub(adversarial_weight);
        let support = min_honest_ffg_support + remaining_honest_ffg_weight;
        self.honest_ffg_support = Some(support);
        Ok(support)
    }

    /// Spec: phase0/fast-confirmation.md, `will_no_conflicting_checkpoint_be_justified`.
    pub(super) fn will_no_conflicting_checkpoint_be_justified(&mut self) -> Result<bool, Invalid> {
        if self.get_current_target() == Some(self.store.unrealized_justified_checkpoint) {
            return Ok(true);
        }
        let total_active_balance = self.get_pulled_up_head_state()?.total_active_balance;
        let honest_ffg_support = self.compute_honest_ffg_support_for_current_target()?;
        Ok(u128::from(honest_ffg_support) * 3 > u128::from(total_active_balance))
    }

    /// Spec: phase0/fast-confirmation.md, `will_current_target_be_justified`.
    pub(super) fn will_current_target_be_justified(&mut self) -> Result<bool, Invalid> {
        let total_active_balance = self.get_pulled_up_head_state()?.total_active_balance;
        let honest_ffg_support = self.compute_honest_ffg_support_for_current_target()?;
        Ok(u128::from(honest_ffg_support) * 3 >= u128::from(total_active_balance) * 2)
    }
}
