//! Whether blob data is here and right: the verdict that blocks and envelopes wait for. What makes a column right is told
//! in `das`.
//!
//! Spec: deneb/, fulu/ and gloas/fork-choice.md, `is_data_available`.

use super::action::DataAvailability;
use crate::das::{verify_data_column_sidecar, verify_data_column_sidecars_kzg_proofs};
use crate::fork::Fork;
use crate::types::{Blob, DataColumnSidecar, KZGCommitment, KZGProof};
use crate::{Config, Invalid};
use crypto::kzg::verify_blob_kzg_proof_batch;

/// Whether these blobs are those of the commitments. Spec: deneb/fork-choice.md, `is_data_available`.
pub fn is_blob_data_available(
    blob_kzg_commitments: &[KZGCommitment],
    blobs: &[Blob],
    proofs: &[KZGProof],
) -> DataAvailability {
    let points = |points: &[KZGCommitment]| -> Vec<_> { points.iter().map(|point| point.0).collect() };
    let blobs: Vec<&[u8]> = blobs.iter().map(|blob| blob.0.as_slice()).collect();
    match verify_blob_kzg_proof_batch(&blobs, &points(blob_kzg_commitments), &points(proofs)) {
        Ok(verified) => verdict("blob proofs", verified),
        Err(error) => DataAvailability::Invalid(Invalid::new("blob proofs", error.to_string())),
    }
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
    let with_commitments = column_sidecars.iter().map(|sidecar| {
        let own = (fork < Fork::Gloas).then_some(sidecar.kzg_commitments.as_slice());
        (sidecar, own.unwrap_or(kzg_commitments))
    });
    let sidecars: Vec<(&DataColumnSidecar, &[KZGCommitment])> = with_commitments.collect();
    for (sidecar, commitments) in &sidecars {
        if let Err(why) = verify_data_column_sidecar(config, fork, sidecar, commitments) {
            return DataAvailability::Invalid(why);
        }
    }
    verdict("column proofs", verify_data_column_sidecars_kzg_proofs(&sidecars))
}

fn verdict(rule: &'static str, verified: bool) -> DataAvailability {
    if verified {
        DataAvailability::Available
    } else {
        DataAvailability::Invalid(Invalid::new(rule, "the data is not that of the commitments"))
    }
}
