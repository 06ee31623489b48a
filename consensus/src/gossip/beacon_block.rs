//! Topic `beacon_block`.

use super::verdict::{Checked, ignore, ignore_unless, reject_unless};
use super::{Gossip, Mark, PayloadValidationStatus, Verdict};
use crate::constants::DOMAIN_BEACON_PROPOSER;
use crate::fork::Fork;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::{
    MAX_ATTESTATIONS_ELECTRA, MAX_ATTESTER_SLASHINGS_ELECTRA, MAX_BLS_TO_EXECUTION_CHANGES,
    MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD, MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD,
    MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD, MAX_PAYLOAD_ATTESTATIONS, MAX_PROPOSER_SLASHINGS, MAX_VOLUNTARY_EXITS,
    MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD,
};
use crate::ssz::Ssz;
use crate::transition::block::is_execution_enabled;
use crate::types::{BeaconBlock, BeaconBlockBody, ExecutionRequests, SignedBeaconBlock};

/// Spec: phase0/, bellatrix/, capella/, deneb/, electra/ and fulu/p2p-interface.md, `validate_beacon_block_gossip`;
/// gloas/p2p-interface.md, "Modified `beacon_block`".
pub fn validate_beacon_block_gossip(gossip: &mut Gossip, signed_beacon_block: &SignedBeaconBlock) -> Verdict {
    rules(gossip, signed_beacon_block).into()
}

fn rules(gossip: &mut Gossip, signed_block: &SignedBeaconBlock) -> Checked {
    let block = &signed_block.message;
    let (config, view) = (gossip.config(), gossip.view);
    let fork = gossip.fork_at_slot(block.slot);
    ignore_unless(
        gossip
            .clock()
            .is_not_from_future_slot(config, block.slot, gossip.current_time_ms),
        "block is from a future slot",
    )?;
    ignore_unless(
        block.slot > view.finalized_slot(),
        "block is not from a slot greater than the latest finalized slot",
    )?;
    let mark = Mark::BeaconBlock {
        slot: block.slot,
        proposer_index: block.proposer_index,
    };
    gossip.check_first(&mark)?;
    gossip.check_validator_index(block.proposer_index, "proposer index out of range")?;
    let domain = gossip.domain(DOMAIN_BEACON_PROPOSER, compute_epoch_at_slot(block.slot));
    gossip.check_validator_signature(
        "invalid proposer signature",
        block.proposer_index,
        domain,
        block.hash_tree_root(fork),
        &signed_block.signature,
    )?;
    let parent_slot = view.block_slot(block.parent_root);
    let Some(parent_slot) = parent_slot else {
        return ignore("block's parent has not been seen");
    };
    check_parent(gossip, block, fork)?;
    reject_unless(
        block.slot > parent_slot,
        "block is not from a higher slot than its parent",
    )?;
    reject_unless(
        view.descends_from_finalized(block.parent_root),
        "finalized checkpoint is not an ancestor of block",
    )?;
    check_content(gossip, block, fork)?;
    let Some(expected_proposer) = view.proposer_index(block.parent_root, block.slot) else {
        return ignore("the proposer shuffling is not available");
    };
    reject_unless(
        block.proposer_index == expected_proposer,
        "block proposer_index does not match expected proposer",
    )?;
    gossip.marks.push(mark);
    Ok(())
}

/// The block's parent and, from Bellatrix up to Fulu, its payload's time and its parent's payload.
fn check_parent(gossip: &Gossip, block: &BeaconBlock, fork: Fork) -> Checked {
    let parent_is_valid = gossip.view.is_valid_block(block.parent_root);
    if fork < Fork::Bellatrix || fork >= Fork::Gloas {
        return reject_unless(parent_is_valid, "block's parent is invalid");
    }
    if fork < Fork::Capella && !is_execution_enabled(gossip.state, &block.body) {
        return reject_unless(
            parent_is_valid,
            "block's parent is invalid and execution is not enabled",
        );
    }
    let expected_timestamp = gossip.clock().compute_time_at_slot_ms(block.slot) / 1000;
    reject_unless(
        block.body.execution_payload.timestamp == expected_timestamp,
        "incorrect execution payload timestamp",
    )?;
    let parent_payload_status = gossip.view.payload_status(block.parent_root);
    if !parent_is_valid {
        reject_unless(
            parent_payload_status != PayloadValidationStatus::NotValidated,
            "block's parent is invalid and its payload is optimistic",
        )?;
        return ignore("block's parent is invalid and its payload is processed");
    }
    ignore_unless(
        parent_payload_status != PayloadValidationStatus::Invalidated,
        "block's parent is valid and its payload is invalid",
    )
}

fn check_content(gossip: &Gossip, block: &BeaconBlock, fork: Fork) -> Checked {
    if fork < Fork::Deneb {
        return Ok(());
    }
    let config = gossip.config();
    let max_blobs = if fork >= Fork::Fulu {
        // By the block's epoch, which the state may not have come to yet; see the head of the module for the fork's.
        let epoch = compute_epoch_at_slot(block.slot);
        config.get_blob_parameters(epoch).max_blobs_per_block
    } else if fork >= Fork::Electra {
        config.max_blobs_per_block_electra
    } else {
        config.max_blobs_per_block
    };
    let commitments = if fork >= Fork::Gloas {
        &block.body.signed_execution_payload_bid.message.blob_kzg_commitments
    } else {
        &block.body.blob_kzg_commitments
    };
    reject_unless(commitments.len() as u64 <= max_blobs, "too many blob kzg commitments")?;
    if fork >= Fork::Gloas {
        check_gloas(gossip, block)?;
    }
    Ok(())
}

/// What Gloas adds, in the list's order behind the commitments.
fn check_gloas(gossip: &Gossip, block: &BeaconBlock) -> Checked {
    let body = &block.body;
    let bid = &body.signed_execution_payload_bid.message;
    reject_unless(
        are_requests_within_limits(&body.parent_execution_requests),
        "too many parent execution requests",
    )?;
    reject_unless(are_operations_within_limits(body), "too many operations")?;
    let Some(status) = gossip.view.payload_status_of(bid.parent_block_hash) else {
        return ignore("block's parent payload has not been seen");
    };
    reject_unless(
        status != PayloadValidationStatus::Invalidated,
        "block's parent payload is invalid",
    )?;
    reject_unless(
        bid.parent_block_root == block.parent_root,
        "bid's parent is not the block's parent",
    )
}

/// Whether the counts of requests respect the limits that their progressive lists do not have.
pub(super) fn are_requests_within_limits(requests: &ExecutionRequests) -> bool {
    let within = |count: usize, limit: u64| count as u64 <= limit;
    within(requests.withdrawals.len(), MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD)
        && within(requests.consolidations.len(), MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD)
        && within(
            requests.builder_deposits.len(),
            MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD,
        )
        && within(requests.builder_exits.len(), MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD)
}

fn are_operations_within_limits(body: &BeaconBlockBody) -> bool {
    let within = |count: usize, limit: u64| count as u64 <= limit;
    within(body.proposer_slashings.len(), MAX_PROPOSER_SLASHINGS)
        && within(body.attester_slashings.len(), MAX_ATTESTER_SLASHINGS_ELECTRA)
        && within(body.attestations.len(), MAX_ATTESTATIONS_ELECTRA)
        && body.deposits.is_empty()
        && within(body.voluntary_exits.len(), MAX_VOLUNTARY_EXITS)
        && within(body.bls_to_execution_changes.len(), MAX_BLS_TO_EXECUTION_CHANGES)
        && within(body.payload_attestations.len(), MAX_PAYLOAD_ATTESTATIONS)
}
