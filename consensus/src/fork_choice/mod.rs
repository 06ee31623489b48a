//! Fork choice: which of the blocks that a node has is the head.
//!
//! The [`Store`] has the spec's semantics over an array of blocks. Checks (`validate_*`, by `&self`) are pure and dear:
//! transitions and signatures; what they return is entered (`apply_*`, by `&mut self`) by the one thread that owns the
//! store, and cheap. Whether blob data is here and what the execution engine says comes in as values. What the spec does
//! with a failed assertion is an action here: delay, ignore or reject.
//!
//! Before Gloas a block is one node of the choice. From then on it is three: undecided, without and with its payload; the
//! array keeps one entry with three weights.
//!
//! Spec: fork-choice.md of phase0, altair, bellatrix, capella, deneb, fulu, gloas.

mod action;
mod attestation;
mod availability;
mod block;
mod fast_confirmation;
mod head;
mod node;
mod payload;
mod proto_array;
mod reorg;
mod store;
mod votes;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use action::{
    AttestationAction, BlockAction, DataAvailability, EnvelopeAction, ExecutionVerdict, PayloadAttestationAction,
};
pub use attestation::ValidAttestation;
pub use availability::{is_blob_data_available, is_column_data_available};
pub use block::ValidBlock;
pub use fast_confirmation::FastConfirmationStore;
pub use node::{ExecutionStatus, ForkChoiceNode, Node, PayloadStatus, PayloadVotes};
pub use payload::{ValidEnvelope, ValidPayloadAttestation};
pub use proto_array::ProtoArray;
pub use store::{CheckpointState, Store, View};
