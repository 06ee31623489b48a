//! Partial columns: some cells of a column, sent before the whole column is there.

use super::column_sidecar::is_commitment_list_included;
use crate::types::{ColumnIndex, KZGCommitment, PartialDataColumnHeader, PartialDataColumnSidecar};
use crypto::kzg;

/// Whether the header's commitments are those of its block, up to Fulu.
///
/// Spec: fulu/partial-columns/p2p-interface.md, `verify_partial_data_column_header_inclusion_proof`.
pub fn verify_partial_data_column_header_inclusion_proof(header: &PartialDataColumnHeader) -> bool {
    is_commitment_list_included(
        &header.kzg_commitments,
        &header.kzg_commitments_inclusion_proof,
        &header.signed_block_header.message.body_root,
    )
}

/// Whether the cells are those of their commitments. `all_commitments` are the header's up to Fulu, the bid's from Gloas
/// on. False also where counts differ, a bit stands behind the last commitment, or a point is none.
///
/// Spec: fulu/partial-columns/p2p-interface.md, `verify_partial_data_column_sidecar_kzg_proofs`.
pub fn verify_partial_data_column_sidecar_kzg_proofs(
    sidecar: &PartialDataColumnSidecar,
    all_commitments: &[KZGCommitment],
    column_index: ColumnIndex,
) -> bool {
    let present = sidecar.cells_present_bitmap.ones();
    let commitments: Option<Vec<_>> = present
        .map(|blob_index| all_commitments.get(blob_index).map(|commitment| commitment.0))
        .collect();
    let Some(commitments) = commitments else {
        return false;
    };
    let proofs: Vec<_> = sidecar.kzg_proofs.iter().map(|proof| proof.0).collect();
    let cell_indices = vec![column_index; commitments.len()];
    kzg::verify_cell_kzg_proof_batch(&commitments, &cell_indices, &sidecar.partial_column, &proofs).unwrap_or(false)
}
