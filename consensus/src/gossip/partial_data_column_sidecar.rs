//! Partial messages on `data_column_sidecar_{subnet_id}`: a block's header, some cells of a column, or both.

use super::signed_header::HeaderReasons;
use super::verdict::{Checked, ignore, ignore_unless, reject_unless};
use super::{Gossip, Mark, Verdict};
use crate::das::{verify_partial_data_column_header_inclusion_proof, verify_partial_data_column_sidecar_kzg_proofs};
use crate::fork::Fork;
use crate::ssz::{Root, Ssz};
use crate::types::{
    ColumnIndex, KZGCommitment, PartialDataColumnGroupID, PartialDataColumnHeader, PartialDataColumnSidecar,
};

const REASONS: HeaderReasons = HeaderReasons {
    future: "header is from a future slot",
    finalized: "header is not from a slot greater than the latest finalized slot",
    signature: "invalid proposer signature on header",
    parent_unseen: "header's parent has not been seen",
    parent_failed: "header's parent failed validation",
    not_higher: "header is not from a higher slot than its parent",
    not_descendant: "finalized checkpoint is not an ancestor of header's block",
    proposer: "header proposer_index does not match expected proposer",
};

/// `fork` is the topic's. A valid header leaves its mark even where the cells beside it are refused; only a mark that
/// comes with collected signatures must wait for them.
///
/// Spec: fulu/partial-columns/p2p-interface.md, `validate_partial_data_column_sidecar_gossip`;
/// gloas/partial-columns/p2p-interface.md, "Modified `data_column_sidecar_{subnet_id}` (partial messages)".
pub fn validate_partial_data_column_sidecar_gossip(
    gossip: &mut Gossip,
    sidecar: &PartialDataColumnSidecar,
    fork: Fork,
    group_id: &PartialDataColumnGroupID,
    column_index: ColumnIndex,
) -> Verdict {
    rules(gossip, sidecar, fork, group_id, column_index).into()
}

fn rules(
    gossip: &mut Gossip,
    sidecar: &PartialDataColumnSidecar,
    fork: Fork,
    group_id: &PartialDataColumnGroupID,
    column_index: ColumnIndex,
) -> Checked {
    let cells_present = sidecar.cells_present_bitmap.count_ones();
    let header = sidecar.header.first();
    reject_unless(
        header.is_some() || cells_present > 0,
        "partial message is semantically empty",
    )?;
    reject_unless(
        sidecar.partial_column.len() == cells_present,
        "number of cells does not match number of set bits",
    )?;
    reject_unless(
        sidecar.kzg_proofs.len() == cells_present,
        "number of proofs does not match number of set bits",
    )?;
    if fork >= Fork::Gloas {
        return gloas_rules(gossip, sidecar, group_id, column_index);
    }
    let block_root = group_id.beacon_block_root;
    if let Some(header) = header {
        check_header(gossip, header, fork, block_root)?;
        gossip.marks.push(Mark::PartialDataColumnHeader {
            block_root,
            header: Box::new(header.clone()),
        });
    }
    if cells_present > 0 {
        let seen = gossip.seen;
        let Some(header) = header.or_else(|| seen.partial_data_column_header(block_root)) else {
            return ignore("valid corresponding header has not been seen");
        };
        check_cells_time(gossip, header)?;
        check_cells(sidecar, &header.kzg_commitments, column_index)?;
    }
    Ok(())
}

fn check_header(gossip: &mut Gossip, header: &PartialDataColumnHeader, fork: Fork, block_root: Root) -> Checked {
    let block_header = &header.signed_block_header.message;
    let prior = gossip.seen.partial_data_column_header(block_root);
    reject_unless(
        prior.is_none_or(|prior| prior == header),
        "header differs from previously validated header",
    )?;
    reject_unless(
        block_header.hash_tree_root(fork) == block_root,
        "header's block root does not match group id's block root",
    )?;
    reject_unless(!header.kzg_commitments.is_empty(), "header's kzg_commitments is empty")?;
    gossip.check_signed_header(&header.signed_block_header, &REASONS)?;
    reject_unless(
        verify_partial_data_column_header_inclusion_proof(header),
        "invalid header inclusion proof",
    )?;
    gossip.check_header_proposer(block_header, &REASONS)
}

fn check_cells_time(gossip: &Gossip, header: &PartialDataColumnHeader) -> Checked {
    let slot = header.signed_block_header.message.slot;
    ignore_unless(
        gossip
            .clock()
            .is_not_from_future_slot(gossip.config(), slot, gossip.current_time_ms),
        "corresponding header is from a future slot",
    )?;
    ignore_unless(
        slot > gossip.view.finalized_slot(),
        "corresponding header is not from a slot greater than the latest finalized slot",
    )
}

fn check_cells(
    sidecar: &PartialDataColumnSidecar,
    kzg_commitments: &[KZGCommitment],
    column_index: ColumnIndex,
) -> Checked {
    reject_unless(
        sidecar.cells_present_bitmap.len() == kzg_commitments.len(),
        "bitmap length does not match commitments length",
    )?;
    reject_unless(
        verify_partial_data_column_sidecar_kzg_proofs(sidecar, kzg_commitments, column_index),
        "invalid sidecar kzg proofs",
    )
}

/// From Gloas on the commitments are in the block's bid.
fn gloas_rules(
    gossip: &Gossip,
    sidecar: &PartialDataColumnSidecar,
    group_id: &PartialDataColumnGroupID,
    column_index: ColumnIndex,
) -> Checked {
    let (view, root) = (gossip.view, group_id.beacon_block_root);
    let block = view.block_slot(root).filter(|_| view.is_valid_block(root));
    let (Some(block_slot), Some(bid)) = (block, view.bid(root)) else {
        return ignore("a valid block for the partial message has not been seen");
    };
    reject_unless(group_id.slot == block_slot, "group id's slot is not its block's")?;
    check_cells(sidecar, &bid.blob_kzg_commitments, column_index)
}
