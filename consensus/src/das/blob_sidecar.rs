//! Blob sidecars, which Deneb and Electra send beside their blocks.

use crate::fork::Fork;
use crate::light_client::get_subtree_index;
use crate::preset::{KZG_COMMITMENT_INCLUSION_PROOF_DEPTH, MAX_BLOB_COMMITMENTS_PER_BLOCK};
use crate::ssz::proof::{is_valid_merkle_branch, prove};
use crate::ssz::{PathStep, Ssz, get_generalized_index};
use crate::types::{
    BeaconBlockBody, BeaconBlockHeader, Blob, BlobIndex, BlobSidecar, KZGProof, SignedBeaconBlock,
    SignedBeaconBlockHeader, SubnetID,
};
use crate::{Config, Invalid, ensure};

/// The header of a block with the block's signature. Spec: deneb/validator.md, `compute_signed_block_header`.
pub fn compute_signed_block_header(fork: Fork, signed_block: &SignedBeaconBlock) -> SignedBeaconBlockHeader {
    let block = &signed_block.message;
    SignedBeaconBlockHeader {
        message: BeaconBlockHeader {
            slot: block.slot,
            proposer_index: block.proposer_index,
            parent_root: block.parent_root,
            state_root: block.state_root,
            body_root: block.body.hash_tree_root(fork),
        },
        signature: signed_block.signature,
    }
}

/// The place of a commitment in a body of Deneb or Electra, which agree on it.
fn commitment_gindex(index: BlobIndex) -> Option<u64> {
    // A path does not know the limit of its list in every case, and a hostile index must not lead outside the list.
    if index >= MAX_BLOB_COMMITMENTS_PER_BLOCK {
        return None;
    }
    let path = [PathStep::Field("blob_kzg_commitments"), PathStep::Item(index)];
    get_generalized_index::<BeaconBlockBody>(Fork::Deneb, &path)
}

/// Whether the sidecar's commitment is the one at its index in its block.
///
/// Spec: deneb/p2p-interface.md, `verify_blob_sidecar_inclusion_proof`.
pub fn verify_blob_sidecar_inclusion_proof(blob_sidecar: &BlobSidecar) -> bool {
    commitment_gindex(blob_sidecar.index).is_some_and(|gindex| {
        is_valid_merkle_branch(
            &blob_sidecar.kzg_commitment.hash_tree_root(Fork::Deneb),
            &blob_sidecar.kzg_commitment_inclusion_proof,
            KZG_COMMITMENT_INCLUSION_PROOF_DEPTH,
            get_subtree_index(gindex),
            &blob_sidecar.signed_block_header.message.body_root,
        )
    })
}

/// All sidecars of a block of Deneb or Electra. An error if there are not as many blobs, proofs and commitments.
///
/// Spec: deneb/validator.md, `get_blob_sidecars`.
pub fn get_blob_sidecars(
    fork: Fork,
    signed_block: &SignedBeaconBlock,
    blobs: Vec<Blob>,
    blob_kzg_proofs: &[KZGProof],
) -> Result<Vec<BlobSidecar>, Invalid> {
    let body = &signed_block.message.body;
    let (blob_count, proofs, commitments) = (blobs.len(), blob_kzg_proofs.len(), body.blob_kzg_commitments.len());
    ensure!(
        blob_count == proofs && blob_count == commitments,
        "blob count",
        "{blob_count} blobs, {proofs} proofs, {commitments} commitments"
    );
    let signed_block_header = compute_signed_block_header(fork, signed_block);
    let parts = blobs.into_iter().zip(blob_kzg_proofs).zip(&body.blob_kzg_commitments);
    let mut sidecars = Vec::with_capacity(blob_count);
    for (index, ((blob, kzg_proof), kzg_commitment)) in (0..).zip(parts) {
        let branch = commitment_gindex(index).and_then(|gindex| prove(body, fork, gindex));
        let branch = branch.ok_or_else(|| Invalid::new("block commitments", format!("a body of {fork} has none")))?;
        sidecars.push(BlobSidecar {
            index,
            blob,
            kzg_commitment: *kzg_commitment,
            kzg_proof: *kzg_proof,
            signed_block_header,
            kzg_commitment_inclusion_proof: branch.into(),
        });
    }
    Ok(sidecars)
}

/// Spec: deneb and electra/validator.md, `compute_subnet_for_blob_sidecar`.
pub fn compute_subnet_for_blob_sidecar(config: &Config, fork: Fork, blob_index: BlobIndex) -> SubnetID {
    let count = if fork >= Fork::Electra {
        config.blob_sidecar_subnet_count_electra
    } else {
        config.blob_sidecar_subnet_count
    };
    blob_index % count.max(1)
}
