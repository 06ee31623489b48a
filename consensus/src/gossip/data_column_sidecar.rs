//! Topics `data_column_sidecar_{subnet_id}`, from Fulu on.

use super::signed_header::HeaderReasons;
use super::verdict::{Checked, ignore, reject_unless};
use super::{Gossip, Mark, Verdict};
use crate::das::{
    compute_subnet_for_data_column_sidecar, verify_data_column_sidecar, verify_data_column_sidecar_inclusion_proof,
    verify_data_column_sidecar_kzg_proofs,
};
use crate::fork::Fork;
use crate::types::{DataColumnSidecar, SubnetID};

const REASONS: HeaderReasons = HeaderReasons {
    future: "sidecar is from a future slot",
    finalized: "sidecar is not from a slot greater than the latest finalized slot",
    signature: "invalid proposer signature on sidecar block header",
    parent_unseen: "sidecar's parent has not been seen",
    parent_failed: "sidecar's parent failed validation",
    not_higher: "sidecar is not from a higher slot than its parent",
    not_descendant: "finalized checkpoint is not an ancestor of sidecar's block",
    proposer: "sidecar proposer_index does not match expected proposer",
};

/// `fork` is the topic's: a sidecar of Gloas names its slot elsewhere than one of Fulu.
///
/// Spec: fulu/p2p-interface.md, `validate_data_column_sidecar_gossip`; gloas/p2p-interface.md, "Modified
/// `data_column_sidecar_{subnet_id}`".
pub fn validate_data_column_sidecar_gossip(
    gossip: &mut Gossip,
    sidecar: &DataColumnSidecar,
    fork: Fork,
    subnet_id: SubnetID,
) -> Verdict {
    if fork >= Fork::Gloas {
        gloas_rules(gossip, sidecar, fork, subnet_id).into()
    } else {
        rules(gossip, sidecar, fork, subnet_id, true).into()
    }
}

/// The same up to Fulu but for the cells' proofs, so that the caller checks those of many columns in one batch: an
/// `Accept` holds only if [`verify_data_column_sidecar_kzg_proofs`] does, and otherwise becomes
/// `Reject(INVALID_CELL_PROOFS)`.
pub fn validate_data_column_sidecar_gossip_but_proofs(
    gossip: &mut Gossip,
    sidecar: &DataColumnSidecar,
    fork: Fork,
    subnet_id: SubnetID,
) -> Verdict {
    rules(gossip, sidecar, fork, subnet_id, false).into()
}

/// The spec's reason for a column whose cells are not those of its commitments.
pub const INVALID_CELL_PROOFS: &str = "invalid sidecar kzg proofs";

fn rules(
    gossip: &mut Gossip,
    sidecar: &DataColumnSidecar,
    fork: Fork,
    subnet_id: SubnetID,
    with_proofs: bool,
) -> Checked {
    let header = &sidecar.signed_block_header.message;
    let mark = Mark::DataColumnSidecar {
        slot: header.slot,
        proposer_index: header.proposer_index,
        index: sidecar.index,
    };
    gossip.check_first(&mark)?;
    let valid = verify_data_column_sidecar(gossip.config(), fork, sidecar, &sidecar.kzg_commitments);
    reject_unless(valid.is_ok(), "invalid sidecar")?;
    check_subnet(gossip, sidecar, subnet_id)?;
    gossip.check_signed_header(&sidecar.signed_block_header, &REASONS)?;
    reject_unless(
        verify_data_column_sidecar_inclusion_proof(sidecar),
        "invalid sidecar inclusion proof",
    )?;
    reject_unless(
        !with_proofs || verify_data_column_sidecar_kzg_proofs(sidecar, &sidecar.kzg_commitments),
        INVALID_CELL_PROOFS,
    )?;
    gossip.check_header_proposer(header, &REASONS)?;
    gossip.marks.push(mark);
    Ok(())
}

fn check_subnet(gossip: &Gossip, sidecar: &DataColumnSidecar, subnet_id: SubnetID) -> Checked {
    reject_unless(
        compute_subnet_for_data_column_sidecar(gossip.config(), sidecar.index) == subnet_id,
        "sidecar is for wrong subnet",
    )
}

fn gloas_rules(gossip: &mut Gossip, sidecar: &DataColumnSidecar, fork: Fork, subnet_id: SubnetID) -> Checked {
    let view = gossip.view;
    let root = sidecar.beacon_block_root;
    let block = view.block_slot(root).filter(|_| view.is_valid_block(root));
    let (Some(block_slot), Some(bid)) = (block, view.bid(root)) else {
        return ignore("a valid block for the sidecar has not been seen");
    };
    reject_unless(sidecar.slot == block_slot, "sidecar's slot is not its block's")?;
    let valid = verify_data_column_sidecar(gossip.config(), fork, sidecar, &bid.blob_kzg_commitments);
    reject_unless(valid.is_ok(), "invalid sidecar")?;
    check_subnet(gossip, sidecar, subnet_id)?;
    reject_unless(
        verify_data_column_sidecar_kzg_proofs(sidecar, &bid.blob_kzg_commitments),
        INVALID_CELL_PROOFS,
    )?;
    let mark = Mark::GloasDataColumnSidecar {
        slot: sidecar.slot,
        beacon_block_root: root,
        index: sidecar.index,
    };
    gossip.check_first(&mark)?;
    gossip.marks.push(mark);
    Ok(())
}
