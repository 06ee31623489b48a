//! Blocks and payloads together with their blobs and proofs, as they travel between validator client, node and builder.
//!
//! No root of these is ever computed; the limits only bound what is decoded. From Fulu on a blob has a proof per cell,
//! and the specs bound them by the number of field elements, not cells.

use super::basic::{Blob, KZGCommitment, KZGProof};
use super::block::{BeaconBlock, SignedBeaconBlock};
use super::payload::{ExecutionPayloadEnvelope, SignedExecutionPayloadEnvelope};
use crate::preset::{BYTES_PER_BLOB, FIELD_ELEMENTS_PER_EXT_BLOB, MAX_BLOB_COMMITMENTS_PER_BLOCK};
use crate::ssz::{List, container};

/// The limit of cell proofs in one message.
const MAX_CELL_PROOFS_PER_BLOCK: u64 = FIELD_ELEMENTS_PER_EXT_BLOB * MAX_BLOB_COMMITMENTS_PER_BLOCK;

container! {
    /// The blobs of a payload with commitments and proofs. Spec: deneb/validator.md and fulu/validator.md,
    /// `BlobsBundle`.
    pub struct BlobsBundle {
        commitments: List<KZGCommitment> [MAX_BLOB_COMMITMENTS_PER_BLOCK],
        proofs: List<KZGProof> [MAX_BLOB_COMMITMENTS_PER_BLOCK ..Fulu, MAX_CELL_PROOFS_PER_BLOCK Fulu..],
        blobs: List<Blob> [MAX_BLOB_COMMITMENTS_PER_BLOCK / BYTES_PER_BLOB],
    }
}

container! {
    /// An unsigned block as the node hands it to the validator client. Spec: beacon-APIs, `BlockContents` of deneb,
    /// fulu, gloas.
    pub struct BlockContents {
        block: BeaconBlock,
        execution_payload_envelope: ExecutionPayloadEnvelope => Gloas..,
        kzg_proofs: List<KZGProof> [MAX_BLOB_COMMITMENTS_PER_BLOCK ..Fulu, MAX_CELL_PROOFS_PER_BLOCK Fulu..],
        blobs: List<Blob> [MAX_BLOB_COMMITMENTS_PER_BLOCK / BYTES_PER_BLOB],
    }
}

container! {
    /// A signed block to publish. Spec: beacon-APIs, `SignedBlockContents` of deneb, fulu.
    pub struct SignedBlockContents {
        signed_block: SignedBeaconBlock,
        kzg_proofs: List<KZGProof> [MAX_BLOB_COMMITMENTS_PER_BLOCK ..Fulu, MAX_CELL_PROOFS_PER_BLOCK Fulu..],
        blobs: List<Blob> [MAX_BLOB_COMMITMENTS_PER_BLOCK / BYTES_PER_BLOB],
    }
}

container! {
    /// A signed envelope to publish. Spec: beacon-APIs, `SignedExecutionPayloadEnvelopeContents` of gloas.
    pub struct SignedExecutionPayloadEnvelopeContents {
        signed_execution_payload_envelope: SignedExecutionPayloadEnvelope,
        kzg_proofs: List<KZGProof> [MAX_CELL_PROOFS_PER_BLOCK],
        blobs: List<Blob> [MAX_BLOB_COMMITMENTS_PER_BLOCK / BYTES_PER_BLOB],
    }
}
