//! Data column sidecars: made from a block and its cells, and checked.
//!
//! Up to Fulu a sidecar carries the commitments with a proof that they are in the block; from Gloas on the block's bid
//! has them, and whoever checks a sidecar brings them along.

use super::blob_sidecar::compute_signed_block_header;
use super::matrix::CellsAndProofs;
use super::{commitments_gindex, commitments_gindex_fulu};
use crate::fork::Fork;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::light_client::get_subtree_index;
use crate::preset::{KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH, MAX_BLOB_COMMITMENTS_PER_BLOCK, NUMBER_OF_COLUMNS};
use crate::ssz::proof::{is_valid_merkle_branch, prove};
use crate::ssz::{Bound, List, Root, Ssz, Vector};
use crate::types::{Bytes32, Cell, DataColumnSidecar, KZGCommitment, SignedBeaconBlock, SignedBeaconBlockHeader, Slot};
use crate::{Config, Invalid, ensure};
use crypto::kzg;

/// Checks everything but proofs: index, counts, and up to Fulu the limit of blobs. `kzg_commitments` are the sidecar's
/// own up to Fulu, the bid's from Gloas on.
///
/// Spec: fulu and gloas/p2p-interface.md, `verify_data_column_sidecar`.
pub fn verify_data_column_sidecar(
    config: &Config,
    fork: Fork,
    sidecar: &DataColumnSidecar,
    kzg_commitments: &[KZGCommitment],
) -> Result<(), Invalid> {
    ensure!(
        sidecar.index < NUMBER_OF_COLUMNS,
        "column index",
        "{}, there are {NUMBER_OF_COLUMNS} columns",
        sidecar.index
    );
    let (cells, proofs, commitments) = (sidecar.column.len(), sidecar.kzg_proofs.len(), kzg_commitments.len());
    let blobs = if fork >= Fork::Gloas { cells } else { commitments };
    ensure!(blobs > 0, "column without blobs");
    if fork < Fork::Gloas {
        let epoch = compute_epoch_at_slot(sidecar.signed_block_header.message.slot);
        let limit = config.get_blob_parameters(epoch).max_blobs_per_block;
        ensure!(
            commitments as u64 <= limit,
            "column blob limit",
            "{commitments} commitments, at most {limit}"
        );
    }
    ensure!(
        cells == commitments && cells == proofs,
        "column length",
        "{cells} cells, {commitments} commitments, {proofs} proofs"
    );
    Ok(())
}

/// Whether the cells are those of the commitments, which are the sidecar's own up to Fulu, the bid's from Gloas on. False
/// also where counts differ or a point is none.
///
/// Spec: fulu and gloas/p2p-interface.md, `verify_data_column_sidecar_kzg_proofs`.
pub fn verify_data_column_sidecar_kzg_proofs(sidecar: &DataColumnSidecar, kzg_commitments: &[KZGCommitment]) -> bool {
    verify_data_column_sidecars_kzg_proofs(&[(sidecar, kzg_commitments)])
}

/// The same for several sidecars, each with its commitments, in one batch: a call costs 5 ms whatever is in it.
pub fn verify_data_column_sidecars_kzg_proofs(sidecars: &[(&DataColumnSidecar, &[KZGCommitment])]) -> bool {
    let count = sidecars.iter().map(|(sidecar, _)| sidecar.column.len()).sum();
    let (mut commitments, mut indices) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut cells, mut proofs): (Vec<&Cell>, Vec<_>) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (sidecar, kzg_commitments) in sidecars {
        let len = sidecar.column.len();
        if kzg_commitments.len() != len || sidecar.kzg_proofs.len() != len {
            return false;
        }
        commitments.extend(kzg_commitments.iter().map(|commitment| commitment.0));
        indices.extend(std::iter::repeat_n(sidecar.index, len));
        cells.extend(&sidecar.column);
        proofs.extend(sidecar.kzg_proofs.iter().map(|proof| proof.0));
    }
    kzg::verify_cell_kzg_proof_batch(&commitments, &indices, &cells, &proofs).unwrap_or(false)
}

/// Whether `body_root` has the list of these commitments, up to Fulu.
pub(super) fn is_commitment_list_included(
    kzg_commitments: &List<KZGCommitment>,
    proof: &[Bytes32],
    body_root: &Root,
) -> bool {
    is_valid_merkle_branch(
        &kzg_commitments.root(Fork::Fulu, &[Bound::Fixed(MAX_BLOB_COMMITMENTS_PER_BLOCK)]),
        proof,
        KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH,
        get_subtree_index(commitments_gindex_fulu()),
        body_root,
    )
}

/// Whether the sidecar's commitments are those of its block, up to Fulu.
///
/// Spec: fulu/p2p-interface.md, `verify_data_column_sidecar_inclusion_proof`.
pub fn verify_data_column_sidecar_inclusion_proof(sidecar: &DataColumnSidecar) -> bool {
    is_commitment_list_included(
        &sidecar.kzg_commitments,
        &sidecar.kzg_commitments_inclusion_proof,
        &sidecar.signed_block_header.message.body_root,
    )
}

/// All columns of the matrix, given a constructor for what is not a column. An error if a row is not of full length.
fn columns(rows: &[CellsAndProofs], empty: impl Fn() -> DataColumnSidecar) -> Result<Vec<DataColumnSidecar>, Invalid> {
    let mut sidecars = Vec::with_capacity(NUMBER_OF_COLUMNS as usize);
    for index in 0..NUMBER_OF_COLUMNS {
        let mut sidecar = empty();
        sidecar.index = index;
        for row in rows {
            let (cell, proof) = (row.cells.get(index as usize), row.proofs.get(index as usize));
            let (Some(cell), Some(proof)) = (cell, proof) else {
                let (cells, proofs) = (row.cells.len(), row.proofs.len());
                let detail = format!("{cells} cells, {proofs} proofs, both must be {NUMBER_OF_COLUMNS}");
                return Err(Invalid::new("matrix row", detail));
            };
            sidecar.column.push(*cell);
            sidecar.kzg_proofs.push(*proof);
        }
        sidecars.push(sidecar);
    }
    Ok(sidecars)
}

/// All sidecars of a block up to Fulu. An error if there are not as many rows as commitments.
///
/// Spec: fulu/validator.md, `get_data_column_sidecars`.
pub fn get_data_column_sidecars(
    signed_block_header: &SignedBeaconBlockHeader,
    kzg_commitments: &[KZGCommitment],
    kzg_commitments_inclusion_proof: &Vector<Bytes32>,
    cells_and_kzg_proofs: &[CellsAndProofs],
) -> Result<Vec<DataColumnSidecar>, Invalid> {
    let (rows, commitments) = (cells_and_kzg_proofs.len(), kzg_commitments.len());
    ensure!(
        rows == commitments,
        "matrix rows",
        "{rows}, there are {commitments} commitments"
    );
    columns(cells_and_kzg_proofs, || DataColumnSidecar {
        kzg_commitments: kzg_commitments.to_vec(),
        signed_block_header: *signed_block_header,
        kzg_commitments_inclusion_proof: kzg_commitments_inclusion_proof.clone(),
        ..DataColumnSidecar::default()
    })
}

/// All sidecars of a block from Gloas on. Spec: gloas/builder.md, `get_data_column_sidecars`.
pub fn get_data_column_sidecars_gloas(
    beacon_block_root: Root,
    slot: Slot,
    cells_and_kzg_proofs: &[CellsAndProofs],
) -> Result<Vec<DataColumnSidecar>, Invalid> {
    columns(cells_and_kzg_proofs, || DataColumnSidecar {
        slot,
        beacon_block_root,
        ..DataColumnSidecar::default()
    })
}

/// All sidecars of a block. An error if the rows do not fit the block's commitments or the block has none.
///
/// Spec: fulu/validator.md and gloas/builder.md, `get_data_column_sidecars_from_block`.
pub fn get_data_column_sidecars_from_block(
    fork: Fork,
    signed_block: &SignedBeaconBlock,
    cells_and_kzg_proofs: &[CellsAndProofs],
) -> Result<Vec<DataColumnSidecar>, Invalid> {
    let block = &signed_block.message;
    if fork >= Fork::Gloas {
        return get_data_column_sidecars_gloas(block.hash_tree_root(fork), block.slot, cells_and_kzg_proofs);
    }
    let proof = commitments_gindex(fork).and_then(|gindex| prove(&block.body, fork, gindex));
    let proof = proof.ok_or_else(|| Invalid::new("block commitments", format!("a body of {fork} has none")))?;
    get_data_column_sidecars(
        &compute_signed_block_header(fork, signed_block),
        &block.body.blob_kzg_commitments,
        &proof.into(),
        cells_and_kzg_proofs,
    )
}

/// All sidecars of a block from any one of them. Errors as `get_data_column_sidecars`.
///
/// Spec: fulu and gloas/validator.md, `get_data_column_sidecars_from_column_sidecar`.
pub fn get_data_column_sidecars_from_column_sidecar(
    fork: Fork,
    sidecar: &DataColumnSidecar,
    cells_and_kzg_proofs: &[CellsAndProofs],
) -> Result<Vec<DataColumnSidecar>, Invalid> {
    if fork >= Fork::Gloas {
        return get_data_column_sidecars_gloas(sidecar.beacon_block_root, sidecar.slot, cells_and_kzg_proofs);
    }
    get_data_column_sidecars(
        &sidecar.signed_block_header,
        &sidecar.kzg_commitments,
        &sidecar.kzg_commitments_inclusion_proof,
        cells_and_kzg_proofs,
    )
}
