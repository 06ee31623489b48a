//! Blob data beside the blocks: blob sidecars (Deneb and Electra), data columns (from Fulu on) and partial columns.

use super::basic::{Blob, BlobIndex, Bytes32, Cell, ColumnIndex, KZGCommitment, KZGProof, Root, RowIndex, Slot};
use super::block::SignedBeaconBlockHeader;
use crate::preset::{
    BYTES_PER_BLOB, KZG_COMMITMENT_INCLUSION_PROOF_DEPTH, KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH,
    MAX_BLOB_COMMITMENTS_PER_BLOCK, NUMBER_OF_COLUMNS,
};
use crate::ssz::{BitList, List, Vector, container};

container! {
    /// A blob with its proof and its place in a block. Spec: deneb/p2p-interface.md, `BlobSidecar`.
    pub struct BlobSidecar {
        index: BlobIndex,
        blob: Blob [BYTES_PER_BLOB],
        kzg_commitment: KZGCommitment,
        kzg_proof: KZGProof,
        signed_block_header: SignedBeaconBlockHeader,
        kzg_commitment_inclusion_proof: Vector<Bytes32> [KZG_COMMITMENT_INCLUSION_PROOF_DEPTH],
    }
}

container! {
    /// Names a blob in a request. Spec: deneb/p2p-interface.md, `BlobIdentifier`.
    #[derive(Copy, Hash, PartialOrd, Ord)]
    pub struct BlobIdentifier {
        block_root: Root,
        index: BlobIndex,
    }
}

container! {
    /// One column of the matrix of a block's cells. From Gloas on the commitments are in the block's bid and the
    /// sidecar only names its block.
    ///
    /// Spec: fulu/das-core.md and gloas/p2p-interface.md, `DataColumnSidecar`.
    pub struct DataColumnSidecar {
        index: ColumnIndex,
        column: List<Cell> [MAX_BLOB_COMMITMENTS_PER_BLOCK ..Gloas, progressive Gloas..],
        kzg_commitments: List<KZGCommitment> [MAX_BLOB_COMMITMENTS_PER_BLOCK] => ..Gloas,
        kzg_proofs: List<KZGProof> [MAX_BLOB_COMMITMENTS_PER_BLOCK ..Gloas, progressive Gloas..],
        signed_block_header: SignedBeaconBlockHeader => ..Gloas,
        kzg_commitments_inclusion_proof: Vector<Bytes32> [KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH] => ..Gloas,
        slot: Slot => Gloas..,
        beacon_block_root: Root => Gloas..,
    }
}

container! {
    /// One cell with its place in the matrix. Spec: fulu/das-core.md, `MatrixEntry`.
    pub struct MatrixEntry {
        cell: Cell,
        kzg_proof: KZGProof,
        column_index: ColumnIndex,
        row_index: RowIndex,
    }
}

container! {
    /// Names columns of one block in a request. Spec: fulu/p2p-interface.md, `DataColumnsByRootIdentifier`.
    pub struct DataColumnsByRootIdentifier {
        block_root: Root,
        columns: List<ColumnIndex> [NUMBER_OF_COLUMNS],
    }
}

container! {
    /// Some cells of a column, namely those in the bitmap; `header` holds at most one.
    ///
    /// Spec: fulu/partial-columns/p2p-interface.md and gloas/partial-columns/p2p-interface.md,
    /// `PartialDataColumnSidecar`.
    pub struct PartialDataColumnSidecar {
        cells_present_bitmap: BitList [MAX_BLOB_COMMITMENTS_PER_BLOCK ..Gloas, progressive Gloas..],
        partial_column: List<Cell> [MAX_BLOB_COMMITMENTS_PER_BLOCK ..Gloas, progressive Gloas..],
        kzg_proofs: List<KZGProof> [MAX_BLOB_COMMITMENTS_PER_BLOCK ..Gloas, progressive Gloas..],
        header: List<PartialDataColumnHeader> [1] => ..Gloas,
    }
}

container! {
    /// Which cells a peer has and which it wants. Spec: fulu/partial-columns/p2p-interface.md,
    /// `PartialDataColumnPartsMetadata`.
    pub struct PartialDataColumnPartsMetadata {
        available: BitList [MAX_BLOB_COMMITMENTS_PER_BLOCK],
        requests: BitList [MAX_BLOB_COMMITMENTS_PER_BLOCK],
    }
}

container! {
    /// What all columns of a block share. Spec: fulu/partial-columns/p2p-interface.md, `PartialDataColumnHeader`.
    pub struct PartialDataColumnHeader {
        kzg_commitments: List<KZGCommitment> [MAX_BLOB_COMMITMENTS_PER_BLOCK],
        signed_block_header: SignedBeaconBlockHeader,
        kzg_commitments_inclusion_proof: Vector<Bytes32> [KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH],
    }
}

container! {
    /// Names the block that a partial message belongs to. Spec: fulu/partial-columns/p2p-interface.md and
    /// gloas/partial-columns/p2p-interface.md, `PartialDataColumnGroupID`.
    pub struct PartialDataColumnGroupID {
        beacon_block_root: Root,
        slot: Slot => Gloas..,
    }
}
