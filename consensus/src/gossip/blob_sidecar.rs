//! Topics `blob_sidecar_{subnet_id}`, in Deneb and Electra.

use super::signed_header::HeaderReasons;
use super::verdict::{Checked, reject_unless};
use super::{Gossip, Mark, Verdict};
use crate::das::{compute_subnet_for_blob_sidecar, verify_blob_sidecar_inclusion_proof};
use crate::fork::Fork;
use crate::types::{BlobSidecar, SubnetID};
use crypto::kzg::verify_blob_kzg_proof;

const REASONS: HeaderReasons = HeaderReasons {
    future: "blob sidecar is from a future slot",
    finalized: "blob sidecar is not from a slot greater than the latest finalized slot",
    signature: "invalid proposer signature on blob sidecar block header",
    parent_unseen: "blob sidecar's parent has not been seen",
    parent_failed: "blob sidecar's parent failed validation",
    not_higher: "blob sidecar is not from a higher slot than its parent",
    not_descendant: "finalized checkpoint is not an ancestor of blob sidecar's block",
    proposer: "blob sidecar proposer_index does not match expected proposer",
};

/// Spec: deneb/ and electra/p2p-interface.md, `validate_blob_sidecar_gossip`.
pub fn validate_blob_sidecar_gossip(gossip: &mut Gossip, blob_sidecar: &BlobSidecar, subnet_id: SubnetID) -> Verdict {
    rules(gossip, blob_sidecar, subnet_id).into()
}

fn rules(gossip: &mut Gossip, sidecar: &BlobSidecar, subnet_id: SubnetID) -> Checked {
    let header = &sidecar.signed_block_header.message;
    let config = gossip.config();
    let fork = gossip.fork_at_slot(header.slot);
    let max_blobs = if fork >= Fork::Electra {
        config.max_blobs_per_block_electra
    } else {
        config.max_blobs_per_block
    };
    reject_unless(sidecar.index < max_blobs, "blob index out of range")?;
    reject_unless(
        compute_subnet_for_blob_sidecar(config, fork, sidecar.index) == subnet_id,
        "blob sidecar is for wrong subnet",
    )?;
    gossip.check_signed_header(&sidecar.signed_block_header, &REASONS)?;
    reject_unless(
        verify_blob_sidecar_inclusion_proof(sidecar),
        "invalid blob sidecar inclusion proof",
    )?;
    let proven = verify_blob_kzg_proof(&sidecar.blob.0, &sidecar.kzg_commitment.0, &sidecar.kzg_proof.0);
    reject_unless(proven.unwrap_or(false), "invalid blob kzg proof")?;
    let mark = Mark::BlobSidecar {
        slot: header.slot,
        proposer_index: header.proposer_index,
        index: sidecar.index,
    };
    gossip.check_first(&mark)?;
    gossip.check_header_proposer(header, &REASONS)?;
    gossip.marks.push(mark);
    Ok(())
}
