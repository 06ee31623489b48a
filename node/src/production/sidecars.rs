//! What goes out beside a signed block: blob sidecars in Deneb and Electra, data columns from Fulu on.

use consensus::das::{CellsAndProofs, get_blob_sidecars, get_data_column_sidecars_from_block};
use consensus::types::{Blob, BlobSidecar, DataColumnSidecar, KZGProof, SignedBeaconBlock};
use consensus::{Fork, Invalid, ensure};

/// The sidecars of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sidecars {
    /// A block without blobs, or before Deneb.
    None,
    /// Deneb and Electra.
    Blobs(Vec<BlobSidecar>),
    /// From Fulu on: all columns.
    Columns(Vec<DataColumnSidecar>),
}

/// The sidecars of a block before Fulu. Errors if blobs, proofs and commitments are not as many, or in Fulu, where
/// columns take their place.
///
/// Spec: deneb/validator.md, `get_blob_sidecars`.
pub fn blob_sidecars(
    fork: Fork,
    signed_block: &SignedBeaconBlock,
    blobs: Vec<Blob>,
    kzg_proofs: &[KZGProof],
) -> Result<Sidecars, Invalid> {
    ensure!(
        fork < Fork::Fulu,
        "blob sidecars fork",
        "blobs of {fork} go out as columns"
    );
    if signed_block.message.body.blob_kzg_commitments.is_empty() && blobs.is_empty() {
        return Ok(Sidecars::None);
    }
    Ok(Sidecars::Blobs(get_blob_sidecars(
        fork,
        signed_block,
        blobs,
        kzg_proofs,
    )?))
}

/// The columns of a block of Fulu. The rows come from `consensus::das::compute_cells_with_proofs`, which costs
/// milliseconds a blob, does not need the block and so can be done, blob by blob, while the block is being signed. Errors
/// if they are not as many as the block's commitments, or before Fulu.
///
/// Spec: fulu/validator.md, `get_data_column_sidecars_from_block`.
pub fn column_sidecars(
    fork: Fork,
    signed_block: &SignedBeaconBlock,
    rows: &[CellsAndProofs],
) -> Result<Sidecars, Invalid> {
    ensure!(
        fork == Fork::Fulu,
        "column sidecars fork",
        "a block of {fork} has no columns of its own"
    );
    if signed_block.message.body.blob_kzg_commitments.is_empty() && rows.is_empty() {
        return Ok(Sidecars::None);
    }
    Ok(Sidecars::Columns(get_data_column_sidecars_from_block(
        fork,
        signed_block,
        rows,
    )?))
}
