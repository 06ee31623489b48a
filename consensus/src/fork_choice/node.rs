//! What fork choice knows about one block.

use crate::constants::{PAYLOAD_STATUS_EMPTY, PAYLOAD_STATUS_FULL, PAYLOAD_STATUS_PENDING};
use crate::types::{Checkpoint, Hash32, Root, Slot, ValidatorIndex};

/// Whether a node of the fork choice has decided on its block's payload.
///
/// Spec: gloas/fork-choice.md, `PayloadStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PayloadStatus {
    /// Without its payload.
    Empty = PAYLOAD_STATUS_EMPTY,
    /// With its payload.
    Full = PAYLOAD_STATUS_FULL,
    /// Undecided; before Gloas the only status, since the payload is in the block.
    Pending = PAYLOAD_STATUS_PENDING,
}

impl PayloadStatus {
    /// Full or empty.
    pub(super) fn of(full: bool) -> Self {
        if full {
            PayloadStatus::Full
        } else {
            PayloadStatus::Empty
        }
    }
}

/// What fork choice chooses among. Spec: phase0/ and gloas/fork-choice.md, `ForkChoiceNode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ForkChoiceNode {
    /// The block.
    pub root: Root,
    /// What about its payload; `Pending` before Gloas.
    pub payload_status: PayloadStatus,
}

/// What the execution engine has said about a payload. Before the merge there is nothing to say, which is `Valid`.
///
/// Spec: sync/optimistic.md, "Constants".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// Executed and found valid.
    Valid,
    /// Not judged yet.
    NotValidated,
    /// Found invalid.
    Invalidated,
}

/// The votes of a payload timeliness committee, by position in it; `None` where nobody has voted.
///
/// Spec: gloas/fork-choice.md, `payload_timeliness_vote` and `payload_data_availability_vote` of the `Store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadVotes {
    /// Whether the payload came in time.
    pub timeliness: Box<[Option<bool>]>,
    /// Whether its blob data was available.
    pub data_availability: Box<[Option<bool>]>,
}

/// A block in the tree. Indices point into the same array, and a parent stands before its children.
#[derive(Clone, Debug)]
pub struct Node {
    /// The block's root.
    pub root: Root,
    /// Its slot.
    pub slot: Slot,
    /// Its proposer.
    pub proposer_index: ValidatorIndex,
    /// The root of its parent.
    pub parent_root: Root,
    /// The root of the state after it, as the block says.
    pub state_root: Root,
    /// The place of its parent; `None` for the oldest block kept.
    pub(super) parent: Option<u32>,
    /// Whether it builds on its parent's payload; before Gloas always. Spec: `get_parent_payload_status`.
    pub parent_full: bool,
    /// Whether its payload comes in an envelope, as from Gloas on.
    pub separate_payload: bool,
    /// The hash of its payload, or of the one that its bid promises; zero before the merge.
    pub block_hash: Hash32,
    /// The hash of the payload before it.
    pub parent_block_hash: Hash32,
    /// Whether the payload is there and verified. Spec: `is_payload_verified`.
    pub payload_verified: bool,
    /// What the engine has said about the payload.
    pub execution: ExecutionStatus,
    /// Whether the chain up to here holds a payload found invalid: then the block is out of the choice.
    pub invalid: bool,
    /// `current_justified_checkpoint` of its post-state.
    pub current_justified_checkpoint: Checkpoint,
    /// Spec: `unrealized_justifications` of the `Store`.
    pub unrealized_justification: Checkpoint,
    /// Whether it came before the attestation and the payload attestation deadline of its slot.
    pub block_timeliness: [bool; 2],
    /// `finalized_checkpoint` of its post-state.
    pub finalized_checkpoint: Checkpoint,
    /// Votes on its payload, from Gloas on.
    pub payload_votes: Option<Box<PayloadVotes>>,
}

impl Node {
    /// What is known of its payload; `None` while that was not seen. What rests on an invalid payload is invalid, too.
    pub fn seen_payload(&self) -> Option<ExecutionStatus> {
        if self.invalid {
            return Some(ExecutionStatus::Invalidated);
        }
        let seen = self.payload_verified || self.execution == ExecutionStatus::Invalidated;
        seen.then_some(self.execution)
    }

    /// Where the weight of a child goes: to the empty or full half of this node, or to the node itself where its payload
    /// is in the block.
    pub(super) fn side_of(&self, child: &Node) -> PayloadStatus {
        if self.separate_payload {
            PayloadStatus::of(child.parent_full)
        } else {
            PayloadStatus::Pending
        }
    }

    /// The node that a vote at `slot` for this block supports. Spec: phase0/ and gloas/fork-choice.md,
    /// `get_supported_node`.
    pub(super) fn supported(&self, slot: Slot, payload_present: bool) -> PayloadStatus {
        if self.separate_payload && self.slot < slot {
            PayloadStatus::of(payload_present)
        } else {
            PayloadStatus::Pending
        }
    }
}
