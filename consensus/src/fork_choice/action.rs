//! What a check answers: what to do with a block or a vote, and what others have to say about it first.
//!
//! Data availability and the engine's verdict are values that whoever asked for them brings along, so that both can be
//! asked while the transition runs.

use super::attestation::ValidAttestation;
use super::block::ValidBlock;
use super::payload::{ValidEnvelope, ValidPayloadAttestation};
use super::store::Stopped;
use crate::Invalid;
use crate::types::{Hash32, Root, Slot};

/// Whether the blob data of a block or payload is here and right.
///
/// Spec: deneb/, fulu/ and gloas/fork-choice.md, `is_data_available`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataAvailability {
    /// All of it, or nothing is needed.
    Available,
    /// Not yet.
    Missing,
    /// What came is wrong.
    Invalid(Invalid),
}

/// What the execution engine says about a payload.
///
/// Spec: sync/optimistic.md; bellatrix/beacon-chain.md, `verify_and_notify_new_payload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionVerdict {
    /// Valid, or there is nothing to execute.
    Valid,
    /// Syncing or accepted: import on trust.
    Optimistic,
    /// Invalid, and where the valid part of the chain ends if it knows: zero for before the merge.
    Invalid {
        /// The engine's `latestValidHash`.
        latest_valid_hash: Option<Hash32>,
    },
    /// No answer: not even an import on trust is allowed then.
    Unavailable,
}

/// What to do with a block.
#[derive(Debug)]
pub enum BlockAction {
    /// Enter it.
    Accept(Box<ValidBlock>),
    /// It is known, or from before finality: nothing to do.
    Ignore(Invalid),
    /// Its parent is not known.
    DelayUntilParent(Root),
    /// It is from the future.
    DelayUntilSlot(Slot),
    /// Its blob data is not here.
    DelayUntilColumns,
    /// The payload of its parent is not here.
    DelayUntilPayload(Root),
    /// The engine is silent, or does not know the terminal block yet.
    DelayUntilExecution,
    /// The state after this block is needed for the check and not kept: compute it again and ask once more.
    DelayUntilState(Root),
    /// It is wrong.
    Reject(Invalid),
}

impl BlockAction {
    /// The action once data and engine have answered. An invalid payload is to be told to `Store::apply_invalid_payload`
    /// too, since it may take back blocks before it.
    #[must_use]
    pub fn with_verdicts(self, data: DataAvailability, execution: ExecutionVerdict) -> Self {
        let BlockAction::Accept(mut block) = self else {
            return self;
        };
        match (data, execution) {
            (DataAvailability::Invalid(why), _) => BlockAction::Reject(why),
            (_, ExecutionVerdict::Invalid { .. }) => BlockAction::Reject(invalid_payload()),
            (DataAvailability::Missing, _) => BlockAction::DelayUntilColumns,
            (_, ExecutionVerdict::Unavailable) => BlockAction::DelayUntilExecution,
            (DataAvailability::Available, ExecutionVerdict::Valid | ExecutionVerdict::Optimistic) => {
                block.optimistic = execution == ExecutionVerdict::Optimistic;
                BlockAction::Accept(block)
            }
        }
    }

    /// The block to enter, or why there is none, as an error with a named rule.
    pub fn accepted(self) -> Result<Box<ValidBlock>, Invalid> {
        Err(match self {
            BlockAction::Accept(block) => return Ok(block),
            BlockAction::Ignore(why) | BlockAction::Reject(why) => why,
            BlockAction::DelayUntilParent(root) => Invalid::new("parent known", format!("{root} is not")),
            BlockAction::DelayUntilSlot(slot) => Invalid::new("future block", format!("of slot {slot}")),
            BlockAction::DelayUntilColumns => Invalid::new("data availability", "blob data is missing"),
            BlockAction::DelayUntilPayload(root) => {
                Invalid::new("parent payload", format!("that of {root} is missing"))
            }
            BlockAction::DelayUntilExecution => Invalid::new("execution engine", "no answer"),
            BlockAction::DelayUntilState(root) => Stopped::State(root).into(),
        })
    }
}

/// What to do with a payload envelope.
#[derive(Debug)]
pub enum EnvelopeAction {
    /// Enter it.
    Accept(ValidEnvelope),
    /// Its block is not known, or the state after it not kept.
    DelayUntilBlock(Root),
    /// Its blob data is not here.
    DelayUntilColumns,
    /// The engine is silent.
    DelayUntilExecution,
    /// It is wrong.
    Reject(Invalid),
}

impl EnvelopeAction {
    /// The action once data and engine have answered. An invalid payload is to be told to
    /// `Store::apply_execution_payload_envelope` too.
    #[must_use]
    pub fn with_verdicts(self, data: DataAvailability, execution: ExecutionVerdict) -> Self {
        let EnvelopeAction::Accept(envelope) = self else {
            return self;
        };
        match (data, execution) {
            (DataAvailability::Invalid(why), _) => EnvelopeAction::Reject(why),
            (_, ExecutionVerdict::Invalid { .. }) => EnvelopeAction::Reject(invalid_payload()),
            (DataAvailability::Missing, _) => EnvelopeAction::DelayUntilColumns,
            (_, ExecutionVerdict::Unavailable) => EnvelopeAction::DelayUntilExecution,
            (DataAvailability::Available, _) => EnvelopeAction::Accept(envelope),
        }
    }

    /// The envelope to enter, or why there is none, as an error with a named rule.
    pub fn accepted(self) -> Result<ValidEnvelope, Invalid> {
        Err(match self {
            EnvelopeAction::Accept(envelope) => return Ok(envelope),
            EnvelopeAction::Reject(why) => why,
            EnvelopeAction::DelayUntilBlock(root) => Invalid::new("envelope block known", format!("{root} is not")),
            EnvelopeAction::DelayUntilColumns => Invalid::new("data availability", "blob data is missing"),
            EnvelopeAction::DelayUntilExecution => Invalid::new("execution engine", "no answer"),
        })
    }
}

fn invalid_payload() -> Invalid {
    Invalid::new("execution payload", "the engine found it invalid")
}

/// What to do with an attestation.
#[derive(Debug)]
pub enum AttestationAction {
    /// Enter it.
    Accept(ValidAttestation),
    /// Its block or target is not known.
    DelayUntilBlock(Root),
    /// It counts from this slot on.
    DelayUntilSlot(Slot),
    /// It vouches for a payload that is not here.
    DelayUntilPayload(Root),
    /// The state after this block is needed for the check and not kept: compute it again and ask once more.
    DelayUntilState(Root),
    /// It is too old.
    Ignore(Invalid),
    /// It is wrong.
    Reject(Invalid),
}

impl AttestationAction {
    /// The attestation to enter, or why there is none, as an error with a named rule.
    pub fn accepted(self) -> Result<ValidAttestation, Invalid> {
        Err(match self {
            AttestationAction::Accept(attestation) => return Ok(attestation),
            AttestationAction::Ignore(why) | AttestationAction::Reject(why) => why,
            AttestationAction::DelayUntilBlock(root) => Invalid::new("attested block known", format!("{root} is not")),
            AttestationAction::DelayUntilSlot(slot) => {
                Invalid::new("attestation slot", format!("counts from slot {slot}"))
            }
            AttestationAction::DelayUntilPayload(root) => {
                Invalid::new("attested payload", format!("that of {root} is missing"))
            }
            AttestationAction::DelayUntilState(root) => Stopped::State(root).into(),
        })
    }
}

/// What to do with a vote on a payload.
#[derive(Debug)]
pub enum PayloadAttestationAction {
    /// Enter it.
    Accept(ValidPayloadAttestation),
    /// It is about another slot than its block's: valid, and without effect.
    Ignore,
    /// Its block is not known, or the state after it not kept.
    DelayUntilBlock(Root),
    /// It is wrong.
    Reject(Invalid),
}

impl PayloadAttestationAction {
    /// The vote to enter, if there is one, or why it is refused, as an error with a named rule.
    pub fn accepted(self) -> Result<Option<ValidPayloadAttestation>, Invalid> {
        match self {
            PayloadAttestationAction::Accept(vote) => Ok(Some(vote)),
            PayloadAttestationAction::Ignore => Ok(None),
            PayloadAttestationAction::Reject(why) => Err(why),
            PayloadAttestationAction::DelayUntilBlock(root) => {
                Err(Invalid::new("payload vote block known", format!("{root} is not")))
            }
        }
    }
}
