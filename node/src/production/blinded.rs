//! Blocks with a payload's header in place of the payload: what a proposer signs when a builder keeps the payload back.
//!
//! Blinded or not, a block has the same root. The transition reads little of a payload before it keeps its header, and
//! all of that is known without the builder: a payload with just that stands in for the builder's.

use consensus::preset::MAX_WITHDRAWALS_PER_PAYLOAD;
use consensus::ssz::{Bound, Root, Ssz};
use consensus::transition::block::{get_expected_withdrawals, header_of, is_merge_transition_complete};
use consensus::types::{
    BeaconBlock, BeaconBlockBody, BlindedBeaconBlock, BlindedBeaconBlockBody, ExecutionPayload, ExecutionPayloadHeader,
    SignedBeaconBlock, SignedBlindedBeaconBlock,
};
use consensus::{Fork, Invalid, State, ensure};

/// A payload with all that `process_block` reads of the one with this header. An error if the header's withdrawals are not
/// those that the state expects, or before the merge, where builders have no part.
pub(crate) fn stand_in(state: &State, header: &ExecutionPayloadHeader) -> Result<ExecutionPayload, Invalid> {
    ensure!(
        state.at >= Fork::Capella || (state.at >= Fork::Bellatrix && is_merge_transition_complete(state)),
        "builder before the merge",
        "a block of {} takes no builder's payload before the merge",
        state.at
    );
    let mut payload = ExecutionPayload {
        parent_hash: header.parent_hash,
        prev_randao: header.prev_randao,
        timestamp: header.timestamp,
        ..ExecutionPayload::default()
    };
    if state.at >= Fork::Capella {
        payload.withdrawals = get_expected_withdrawals(state)?.withdrawals;
        let expected = withdrawals_root(state.at, &payload);
        let promised = header.withdrawals_root;
        ensure!(
            expected == promised,
            "builder withdrawals root",
            "in header {promised}, expected {expected}"
        );
    }
    Ok(payload)
}

fn withdrawals_root(fork: Fork, payload: &ExecutionPayload) -> Root {
    payload
        .withdrawals
        .root(fork, &[Bound::Fixed(MAX_WITHDRAWALS_PER_PAYLOAD)])
}

/// The block with `header` in place of its payload.
pub(super) fn with_header(block: BeaconBlock, header: ExecutionPayloadHeader) -> BlindedBeaconBlock {
    let body = block.body;
    BlindedBeaconBlock {
        slot: block.slot,
        proposer_index: block.proposer_index,
        parent_root: block.parent_root,
        state_root: block.state_root,
        body: BlindedBeaconBlockBody {
            randao_reveal: body.randao_reveal,
            eth1_data: body.eth1_data,
            graffiti: body.graffiti,
            proposer_slashings: body.proposer_slashings,
            attester_slashings: body.attester_slashings,
            attestations: body.attestations,
            deposits: body.deposits,
            voluntary_exits: body.voluntary_exits,
            sync_aggregate: body.sync_aggregate,
            execution_payload_header: header,
            bls_to_execution_changes: body.bls_to_execution_changes,
            blob_kzg_commitments: body.blob_kzg_commitments,
            execution_requests: body.execution_requests,
        },
    }
}

/// The block of `fork` with its payload replaced by the header, from Bellatrix up to Fulu: the root stays.
///
/// Spec: builder-specs bellatrix/builder.md, `BlindedBeaconBlock`.
pub fn blinded_block(fork: Fork, block: BeaconBlock) -> Result<BlindedBeaconBlock, Invalid> {
    ensure!(
        (Fork::Bellatrix..Fork::Gloas).contains(&fork),
        "blinded block fork",
        "a block of {fork} has no payload to blind"
    );
    let header = header_of(fork, &block.body.execution_payload);
    Ok(with_header(block, header))
}

/// The block that a proposer has signed, with the payload that the builder has shown. An error if the payload is not that
/// of the header.
///
/// Spec: builder-specs bellatrix/validator.md, "Relation to builder's payload".
pub fn unblinded_block(
    fork: Fork,
    signed: SignedBlindedBeaconBlock,
    execution_payload: ExecutionPayload,
) -> Result<SignedBeaconBlock, Invalid> {
    let SignedBlindedBeaconBlock { message, signature } = signed;
    let shown = header_of(fork, &execution_payload).hash_tree_root(fork);
    let promised = message.body.execution_payload_header.hash_tree_root(fork);
    ensure!(
        shown == promised,
        "builder payload",
        "its header has root {shown}, in block {promised}"
    );
    let body = message.body;
    let body = BeaconBlockBody {
        randao_reveal: body.randao_reveal,
        eth1_data: body.eth1_data,
        graffiti: body.graffiti,
        proposer_slashings: body.proposer_slashings,
        attester_slashings: body.attester_slashings,
        attestations: body.attestations,
        deposits: body.deposits,
        voluntary_exits: body.voluntary_exits,
        sync_aggregate: body.sync_aggregate,
        execution_payload,
        bls_to_execution_changes: body.bls_to_execution_changes,
        blob_kzg_commitments: body.blob_kzg_commitments,
        execution_requests: body.execution_requests,
        ..BeaconBlockBody::default()
    };
    Ok(SignedBeaconBlock {
        message: BeaconBlock {
            slot: message.slot,
            proposer_index: message.proposer_index,
            parent_root: message.parent_root,
            state_root: message.state_root,
            body,
        },
        signature,
    })
}
