//! Whether blob data is here and right: the checks behind the verdict that blocks and envelopes wait for.
//!
//! Spec: deneb/, fulu/ and gloas/fork-choice.md, `is_data_available`.

use super::action::DataAvailability;
use crate::fork::Fork;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::NUMBER_OF_COLUMNS;
use crate::types::{Blob, DataColumnSidecar, KZGCommitment, KZGProof};
use crate::{Config, Invalid, ensure};
use crypto::kzg::{verify_blob_kzg_proof_batch, verify_cell_kzg_proof_batch};

/// Whether these blobs are those of the commitments. Spec: deneb/fork-choice.md, `is_data_available`.
pub fn is_blob_data_available(
    blob_kzg_commitments: &[KZGCommitment],
    blobs: &[Blob],
    proofs: &[KZGProof],
) -> DataAvailability {
    let blobs: Vec<&[u8]> = blobs.iter().map(|blob| blob.0.as_slice()).collect();
    let commitments = points(blob_kzg_commitments);
    let verified = verify_blob_kzg_proof_batch(&blobs, &commitments, &points(proofs));
    verdict("blob proofs", verified.map_err(|error| error.to_string()))
}

/// Whether these columns, which are all that are to be sampled, are those of the commitments: those in the sidecars up
/// to Fulu, those in the bid (`kzg_commitments`) from Gloas on.
///
/// Spec: fulu/ and gloas/fork-choice.md, `is_data_available`.
pub fn is_column_data_available(
    config: &Config,
    fork: Fork,
    column_sidecars: &[DataColumnSidecar],
    kzg_commitments: &[KZGCommitment],
) -> DataAvailability {
    for sidecar in column_sidecars {
        let commitments = if fork >= Fork::Gloas {
            kzg_commitments
        } else {
            &sidecar.kzg_commitments
        };
        if let Err(why) = verify_data_column_sidecar(config, fork, sidecar, commitments) {
            return DataAvailability::Invalid(why);
        }
        let found = verify_data_column_sidecar_kzg_proofs(sidecar, commitments);
        if found != DataAvailability::Available {
            return found;
        }
    }
    DataAvailability::Available
}

/// Spec: fulu/ and gloas/p2p-interface.md, `verify_data_column_sidecar`.
fn verify_data_column_sidecar(
    config: &Config,
    fork: Fork,
    sidecar: &DataColumnSidecar,
    kzg_commitments: &[KZGCommitment],
) -> Result<(), Invalid> {
    let index = sidecar.index;
    ensure!(
        index < NUMBER_OF_COLUMNS,
        "column index",
        "{index} of {NUMBER_OF_COLUMNS}"
    );
    let cells = sidecar.column.len();
    let (commitments, proofs) = (kzg_commitments.len(), sidecar.kzg_proofs.len());
    if fork >= Fork::Gloas {
        ensure!(
            cells > 0,
            "column of no blobs",
            "of block {}",
            sidecar.beacon_block_root
        );
    } else {
        ensure!(commitments > 0, "column of no blobs", "column {index}");
        let epoch = compute_epoch_at_slot(sidecar.signed_block_header.message.slot);
        let limit = config.get_blob_parameters(epoch).max_blobs_per_block;
        ensure!(
            commitments as u64 <= limit,
            "column blob limit",
            "{commitments}, at most {limit}"
        );
    }
    ensure!(
        cells == commitments && cells == proofs,
        "column length",
        "{cells} cells, {commitments} commitments, {proofs} proofs"
    );
    Ok(())
}

/// Spec: fulu/ and gloas/p2p-interface.md, `verify_data_column_sidecar_kzg_proofs`.
fn verify_data_column_sidecar_kzg_proofs(
    sidecar: &DataColumnSidecar,
    kzg_commitments: &[KZGCommitment],
) -> DataAvailability {
    let indices = vec![sidecar.index; sidecar.column.len()];
    let (commitments, proofs) = (points(kzg_commitments), points(&sidecar.kzg_proofs));
    let verified = verify_cell_kzg_proof_batch(&commitments, &indices, &sidecar.column, &proofs);
    verdict("column proofs", verified.map_err(|error| error.to_string()))
}

fn verdict(rule: &'static str, verified: Result<bool, String>) -> DataAvailability {
    match verified {
        Ok(true) => DataAvailability::Available,
        Ok(false) => DataAvailability::Invalid(Invalid::new(rule, "the data is not that of the commitments")),
        Err(error) => DataAvailability::Invalid(Invalid::new(rule, error)),
    }
}

/// The plain bytes that the KZG library takes, for commitments and proofs alike.
fn points(points: &[KZGCommitment]) -> Vec<[u8; 48]> {
    points.iter().map(|point| point.0).collect()
}
