//! What is asked of an engine and what it answers, whichever engine it is.
//!
//! Spec: execution-apis, src/engine/ (paris.md to osaka.md, common.md, identification.md).

use consensus::fork_choice::ExecutionVerdict;
use consensus::ssz::U256;
use consensus::types::{
    Blob, BlobsBundle, Bytes32, ExecutionAddress, ExecutionPayload, ExecutionRequests, Hash32, KZGProof, Root,
    Withdrawal,
};
use std::fmt;

/// The first word of an engine's answer about a payload. Spec: paris.md, `PayloadStatusV1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Executed, and right.
    Valid,
    /// Wrong.
    Invalid,
    /// The engine lacks what it needs to tell.
    Syncing,
    /// Well-formed and on a side chain; not executed.
    Accepted,
    /// The hash does not belong to the payload (only before Capella).
    InvalidBlockHash,
}

/// What an engine says about a payload. Spec: paris.md, `PayloadStatusV1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadStatus {
    /// The answer.
    pub status: Status,
    /// The last valid block on the way to this payload, if the engine knows it; zeros for a block of proof of work.
    pub latest_valid_hash: Option<Hash32>,
    /// Why it is invalid, in the engine's words.
    pub validation_error: Option<String>,
}

impl PayloadStatus {
    /// An answer without anything beside it.
    pub fn plain(status: Status) -> Self {
        PayloadStatus {
            status,
            latest_valid_hash: None,
            validation_error: None,
        }
    }

    /// The payload of that hash is valid.
    pub fn valid(block_hash: Hash32) -> Self {
        PayloadStatus {
            latest_valid_hash: Some(block_hash),
            ..PayloadStatus::plain(Status::Valid)
        }
    }

    /// The payload is invalid, and this is the last valid block before it, if that is known.
    pub fn invalid(latest_valid_hash: Option<Hash32>, why: impl Into<String>) -> Self {
        PayloadStatus {
            status: Status::Invalid,
            latest_valid_hash,
            validation_error: Some(why.into()),
        }
    }

    /// What fork choice makes of it. A wrong block hash says nothing about the blocks before.
    ///
    /// Spec: sync/optimistic.md, "How to optimistically import blocks" and "How to apply `latestValidHash`".
    pub fn verdict(&self) -> ExecutionVerdict {
        match self.status {
            Status::Valid => ExecutionVerdict::Valid,
            Status::Syncing | Status::Accepted => ExecutionVerdict::Optimistic,
            Status::Invalid => ExecutionVerdict::Invalid {
                latest_valid_hash: self.latest_valid_hash,
            },
            Status::InvalidBlockHash => ExecutionVerdict::Invalid {
                latest_valid_hash: None,
            },
        }
    }
}

/// Where the beacon chain stands, by block hashes; zeros where it has none yet.
///
/// Spec: paris.md, `ForkchoiceStateV1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForkchoiceState {
    /// The head's payload.
    pub head_block_hash: Hash32,
    /// The last payload that will not be reorganised away if the network behaves.
    pub safe_block_hash: Hash32,
    /// The finalized payload.
    pub finalized_block_hash: Hash32,
}

/// What a payload is to be built with. Spec: cancun.md, `PayloadAttributesV3`, and its predecessors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadAttributes {
    /// Unix time (seconds) of its slot.
    pub timestamp: u64,
    /// The RANDAO mix of its state.
    pub prev_randao: Bytes32,
    /// Who should get the fees.
    pub suggested_fee_recipient: ExecutionAddress,
    /// The withdrawals that the block must make, from Capella on.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Root of the beacon block's parent, from Deneb on.
    pub parent_beacon_block_root: Option<Root>,
}

/// A payload that an engine built. Spec: `engine_getPayload` of paris.md to osaka.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltPayload {
    /// The payload.
    pub payload: ExecutionPayload,
    /// What it pays the fee recipient, in Wei; zero before Capella, where engines do not say.
    pub value: U256,
    /// Its blobs, from Deneb on.
    pub blobs: Option<BlobsBundle>,
    /// Whether the engine asks to take it rather than a builder's, because it sees censorship.
    pub should_override_builder: bool,
    /// What it asks of the beacon chain; empty before Electra.
    pub execution_requests: ExecutionRequests,
}

/// A blob that the engine had in its pool. Spec: cancun.md, `BlobAndProofV1`; osaka.md, `BlobAndProofV2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobAndProofs {
    /// The blob.
    pub blob: Blob,
    /// Its one proof, or from Fulu on the proofs of its cells.
    pub proofs: Vec<KZGProof>,
}

/// Who a client is. Spec: identification.md, `ClientVersionV1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientVersion {
    /// Two letters.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The first four bytes of the commit it was built from, in hex.
    pub commit: String,
}

/// An error in the words of JSON-RPC: the engine was reached and refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// Spec: common.md, "Errors".
    pub code: i64,
    /// The engine's words.
    pub message: String,
}

/// Codes of [`RpcError`]. Spec: common.md, "Errors".
pub mod code {
    #![allow(missing_docs)] // the names are the spec's messages
    pub const PARSE_ERROR: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const UNKNOWN_PAYLOAD: i64 = -38001;
    pub const INVALID_FORKCHOICE_STATE: i64 = -38002;
    pub const INVALID_PAYLOAD_ATTRIBUTES: i64 = -38003;
    pub const TOO_LARGE_REQUEST: i64 = -38004;
    pub const UNSUPPORTED_FORK: i64 = -38005;
}

impl RpcError {
    /// An error with one of the codes above.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        RpcError {
            code,
            message: message.into(),
        }
    }
}

/// Why there is no answer from an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in the time that the spec gives.
    TimedOut,
    /// The engine does not accept our token: another secret, or a clock that is off.
    Unauthorized,
    /// The engine refused, with this code.
    Refused(i64),
    /// An answer that is none: not JSON, too large, a field missing or out of range.
    Malformed,
    /// This version, or the engine, does not know the method that the fork needs.
    Unsupported,
}

/// How an execution client answered last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Its address, without secrets.
    pub endpoint: String,
    /// The last failure, if it has not answered since.
    pub error: Option<String>,
}

/// No answer from any engine: what happened, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    /// What kind of failure.
    pub failure: Failure,
    /// A sentence for the operator, with the endpoint and the remedy, and without secrets.
    pub message: String,
}

impl EngineError {
    /// A failure and its sentence.
    pub fn new(failure: Failure, message: impl Into<String>) -> Self {
        EngineError {
            failure,
            message: message.into(),
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EngineError {}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::ssz::Bytes;

    #[test]
    fn every_status_has_its_verdict() {
        let hash = Bytes([7; 32]);
        assert_eq!(PayloadStatus::valid(hash).verdict(), ExecutionVerdict::Valid);
        for status in [Status::Syncing, Status::Accepted] {
            assert_eq!(PayloadStatus::plain(status).verdict(), ExecutionVerdict::Optimistic);
        }
        let invalid = |latest_valid_hash| ExecutionVerdict::Invalid { latest_valid_hash };
        assert_eq!(PayloadStatus::invalid(Some(hash), "").verdict(), invalid(Some(hash)));
        assert_eq!(PayloadStatus::invalid(None, "").verdict(), invalid(None));
        let wrong_hash = PayloadStatus {
            latest_valid_hash: Some(hash),
            ..PayloadStatus::plain(Status::InvalidBlockHash)
        };
        assert_eq!(wrong_hash.verdict(), invalid(None));
    }
}
