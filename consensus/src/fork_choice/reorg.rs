//! Whether a proposer builds on the head or, where that came late and weak, on its parent.
//!
//! Spec: phase0/ and gloas/fork-choice.md, "Proposer head and reorg helpers".

use super::node::{ForkChoiceNode, Node, PayloadStatus};
use super::store::{Store, View};
use crate::constants::ATTESTATION_TIMELINESS_INDEX;
use crate::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::SLOTS_PER_EPOCH;
use crate::types::{Gwei, Root, Slot, ValidatorIndex};
use crate::{Invalid, ensure};

impl Store {
    /// Spec: phase0/ and gloas/fork-choice.md, `is_head_late`. False for an unknown block.
    pub fn is_head_late(&self, head_root: &Root) -> bool {
        let head = self.blocks.get(head_root);
        head.is_some_and(|head| !head.block_timeliness[ATTESTATION_TIMELINESS_INDEX])
    }

    /// Spec: phase0/ and gloas/fork-choice.md, `is_head_weak`. False for an unknown block.
    pub fn is_head_weak(&self, head_root: &Root) -> bool {
        let score = self.get_attestation_score(View::pending(*head_root));
        self.blocks.get(head_root).is_some_and(|head| self.is_weak(head, score))
    }

    /// The same for a block whose votes weigh `score` Gwei.
    pub(super) fn is_weak(&self, head: &Node, score: Gwei) -> bool {
        let percent = self.config.reorg_head_weight_threshold;
        let threshold = self.justified.calculate_committee_fraction(percent);
        score.saturating_add(self.equivocating_weight(head)) < threshold
    }

    /// What the equivocating members of the committees of the block's slot weigh, in Gwei. They count as votes for the
    /// head, so that more messages can only make it stronger.
    fn equivocating_weight(&self, head: &Node) -> Gwei {
        let equivocating = self.votes.equivocating();
        if equivocating.is_empty() {
            return 0;
        }
        // Asked about the head and blocks near it, whose states their owner keeps.
        let Some(state) = self.states.get(&head.root) else {
            return 0;
        };
        let count = get_committee_count_per_slot(state, compute_epoch_at_slot(head.slot));
        let committees = (0..count).filter_map(|index| get_beacon_committee(state, head.slot, index).ok());
        let mut weight: Gwei = 0;
        for committee in committees {
            let members = committee.iter().map(|index| ValidatorIndex::from(*index));
            for index in members.filter(|index| equivocating.contains(index)) {
                let validator = self.justified.state.validators.get(index as usize);
                weight = weight.saturating_add(validator.map_or(0, |validator| validator.effective_balance));
            }
        }
        weight
    }

    /// Spec: phase0/ and gloas/fork-choice.md, `is_parent_strong`. Takes the parent.
    fn is_parent_strong(&self, parent_root: &Root) -> bool {
        let percent = self.config.reorg_parent_weight_threshold;
        let threshold = self.justified.calculate_committee_fraction(percent);
        self.get_attestation_score(View::pending(*parent_root)) > threshold
    }

    /// Spec: phase0/fork-choice.md, `is_finalization_ok`.
    fn is_finalization_ok(&self, slot: Slot) -> bool {
        let epochs = compute_epoch_at_slot(slot).saturating_sub(self.finalized_checkpoint.epoch);
        epochs <= self.config.reorg_max_epochs_since_finalization
    }

    /// Spec: phase0/fork-choice.md, `is_proposing_on_time`.
    fn is_proposing_on_time(&self) -> bool {
        self.time_into_slot_ms(self.time_ms) <= self.config.get_proposer_reorg_cutoff_ms()
    }

    /// Spec: phase0/fork-choice.md, `is_proposer_equivocation`.
    fn is_proposer_equivocation(&self, head: &Node) -> bool {
        let mut others = self.blocks.nodes().iter().filter(|other| other.root != head.root);
        others.any(|other| other.proposer_index == head.proposer_index && other.slot == head.slot)
    }

    /// What the proposer of `slot` builds on: the head, or its parent. Errors if a block is not known, or if the head
    /// still has its boost, so that it is no time to ask.
    ///
    /// Spec: phase0/ and gloas/fork-choice.md, `get_proposer_head`.
    pub fn get_proposer_head(&self, head_node: ForkChoiceNode, slot: Slot) -> Result<ForkChoiceNode, Invalid> {
        let unknown = |root: Root| Invalid::new("proposer head", format!("{root} is not known"));
        let head = self
            .blocks
            .get(&head_node.root)
            .ok_or_else(|| unknown(head_node.root))?;
        let parent = self
            .blocks
            .get(&head.parent_root)
            .ok_or_else(|| unknown(head.parent_root))?;
        ensure!(
            self.proposer_boost_root != head_node.root,
            "proposer boost",
            "the head {} still has it",
            head_node.root
        );
        let parent_node = ForkChoiceNode {
            root: parent.root,
            payload_status: parent.side_of(head),
        };
        let current_time_ok = head.slot + 1 == slot;
        let head_weak = self.is_head_weak(&head.root);
        let may_reorg = self.is_head_late(&head.root)
            && !slot.is_multiple_of(SLOTS_PER_EPOCH)
            && head.unrealized_justification == parent.unrealized_justification
            && self.is_finalization_ok(slot)
            && self.is_proposing_on_time()
            && parent.slot + 1 == head.slot
            && current_time_ok
            && head_weak
            && self.is_parent_strong(&parent.root);
        if may_reorg || head_weak && current_time_ok && self.is_proposer_equivocation(head) {
            Ok(parent_node)
        } else {
            Ok(head_node)
        }
    }
}

impl View {
    /// Whether the proposer of `slot` builds on the head's payload or on the one before. Errors if the head is not
    /// known or not decided.
    ///
    /// Spec: gloas/fork-choice.md, `should_build_on_full`. Before Gloas always true.
    pub fn should_build_on_full(&self, head: ForkChoiceNode, slot: Slot) -> Result<bool, Invalid> {
        let block = self.blocks.get(&head.root);
        let block = block.ok_or_else(|| Invalid::new("proposer head", format!("{} is not known", head.root)))?;
        if !block.separate_payload {
            return Ok(true);
        }
        ensure!(
            head.payload_status != PayloadStatus::Pending,
            "proposer head",
            "its payload is not decided on"
        );
        if head.payload_status == PayloadStatus::Empty {
            return Ok(false);
        }
        let from_previous_slot = block.slot + 1 == slot;
        Ok(!from_previous_slot
            || !self.payload_timeliness(&head.root, false) && !self.payload_data_availability(&head.root, false))
    }
}
