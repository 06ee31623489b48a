//! What the rules ask about blocks: the part of the fork-choice store that they need, answered from a snapshot.

use crate::fork_choice::{ExecutionStatus, ForkChoiceNode, View};
use crate::helpers::misc::compute_start_slot_at_epoch;
use crate::ssz::Root;
use crate::state::State;
use crate::types::{
    Checkpoint, Epoch, ExecutionPayloadBid, Hash32, LightClientFinalityUpdate, LightClientOptimisticUpdate, Slot,
    ValidatorIndex,
};
use std::fmt;

/// What the execution layer said of a block's payload. Spec: bellatrix/p2p-interface.md, `PayloadValidationStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadValidationStatus {
    /// `PAYLOAD_STATUS_VALID`.
    Valid,
    /// `PAYLOAD_STATUS_INVALIDATED`.
    Invalidated,
    /// `PAYLOAD_STATUS_NOT_VALIDATED`: not asked yet, or no answer.
    NotValidated,
}

impl From<ExecutionStatus> for PayloadValidationStatus {
    fn from(status: ExecutionStatus) -> Self {
        match status {
            ExecutionStatus::Valid => PayloadValidationStatus::Valid,
            ExecutionStatus::Invalidated => PayloadValidationStatus::Invalidated,
            ExecutionStatus::NotValidated => PayloadValidationStatus::NotValidated,
        }
    }
}

/// The blocks and checkpoints that a node knows, at one moment. A method that cannot answer returns what makes the rule
/// ignore the message, never what rejects it.
///
/// The methods "From Gloas on" are answered from `fork_choice`: who has none says "unknown" to all of them.
pub trait GossipView: fmt::Debug {
    /// The slot of a block that was seen, valid or not; the spec's `store.blocks`.
    fn block_slot(&self, root: Root) -> Option<Slot>;

    /// Whether a block that was seen passed validation; the spec's `store.block_states`.
    fn is_valid_block(&self, root: Root) -> bool;

    /// What is known of a block's payload, up to Fulu; the spec's `block_payload_statuses`.
    fn payload_status(&self, root: Root) -> PayloadValidationStatus;

    /// The spec's `store.finalized_checkpoint`.
    fn finalized_checkpoint(&self) -> Checkpoint;

    /// The block of `root`'s branch at the start of `epoch`. Spec: phase0/fork-choice.md, `get_checkpoint_block`.
    fn checkpoint_block(&self, root: Root, epoch: Epoch) -> Option<Root>;

    /// Who proposes at `slot` on top of a valid block: `get_beacon_proposer_index` of its state after `process_slots`.
    /// `None` if the shuffling is not at hand.
    fn proposer_index(&self, parent_root: Root, slot: Slot) -> Option<ValidatorIndex>;

    /// The finality update that this node would serve.
    fn finality_update(&self) -> Option<&LightClientFinalityUpdate> {
        None
    }

    /// The optimistic update that this node would serve.
    fn optimistic_update(&self) -> Option<&LightClientOptimisticUpdate> {
        None
    }

    /// The fork choice with its head. From Gloas on: all below is answered from it.
    fn fork_choice(&self) -> Option<(&View, ForkChoiceNode)> {
        None
    }

    /// The bid in a block that was seen. From Gloas on.
    fn bid(&self, block_root: Root) -> Option<&ExecutionPayloadBid> {
        self.fork_choice()?.0.bid(&block_root)
    }

    /// What is known of the payload with that hash; `None` if it was not seen. From Gloas on.
    fn payload_status_of(&self, block_hash: Hash32) -> Option<PayloadValidationStatus> {
        let status = self.fork_choice()?.0.payload_status_of(&block_hash);
        status.map(PayloadValidationStatus::from)
    }

    /// What is known of the payload of a block's own bid; `None` if it was not seen. From Gloas on.
    fn own_payload_status(&self, block_root: Root) -> Option<PayloadValidationStatus> {
        let block = self.fork_choice()?.0.blocks().get(&block_root)?;
        block.seen_payload().map(PayloadValidationStatus::from)
    }

    /// Spec: gloas/fork-choice.md, `is_payload_verified`. From Gloas on.
    fn is_payload_verified(&self, block_root: Root) -> bool {
        self.fork_choice()
            .is_some_and(|(view, _)| view.is_payload_verified(&block_root))
    }

    /// The gas limit of a payload that fork choice knows. From Gloas on.
    fn payload_gas_limit(&self, block_hash: Hash32) -> Option<u64> {
        self.fork_choice()?.0.payload_gas_limit(&block_hash)
    }

    /// Spec: gloas/fork-choice.md, `get_shuffling_dependent_root`. From Gloas on.
    fn shuffling_dependent_root(&self, root: Root, epoch: Epoch) -> Option<Root> {
        Some(self.fork_choice()?.0.get_shuffling_dependent_root(&root, epoch))
    }

    /// The state of a valid block as it stands in the store, if it is kept. From Gloas on.
    fn block_state(&self, block_root: Root) -> Option<&State> {
        self.fork_choice()?.0.state(&block_root).map(|state| &**state)
    }

    /// The state of a checkpoint, moved on to the epoch's start, if it is kept. From Gloas on.
    fn checkpoint_state(&self, checkpoint: Checkpoint) -> Option<&State> {
        let kept = self.fork_choice()?.0.checkpoint_state(&checkpoint);
        kept.map(|kept| &*kept.state)
    }
}

impl dyn GossipView + '_ {
    /// The first slot of the finalized epoch.
    pub(super) fn finalized_slot(&self) -> Slot {
        compute_start_slot_at_epoch(self.finalized_checkpoint().epoch)
    }

    /// Whether the finalized checkpoint is `root`'s own ancestor.
    pub(super) fn descends_from_finalized(&self, root: Root) -> bool {
        let finalized = self.finalized_checkpoint();
        self.checkpoint_block(root, finalized.epoch) == Some(finalized.root)
    }
}
