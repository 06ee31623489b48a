//! The payload inside a block, from Bellatrix up to Fulu.

use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, get_randao_mix};
use crate::helpers::misc::compute_time_at_slot;
use crate::preset::{MAX_BYTES_PER_TRANSACTION, MAX_TRANSACTIONS_PER_PAYLOAD, MAX_WITHDRAWALS_PER_PAYLOAD};
use crate::ssz::{Bound, Ssz};
use crate::state::State;
use crate::transition::NewPayloadRequest;
use crate::types::{BeaconBlockBody, ExecutionPayload, ExecutionPayloadHeader};
use crate::{Config, Invalid, ensure};

/// Spec: bellatrix/beacon-chain.md, `is_merge_transition_complete`.
pub fn is_merge_transition_complete(state: &State) -> bool {
    state.latest_execution_payload_header != ExecutionPayloadHeader::default()
}

/// Spec: bellatrix/beacon-chain.md, `is_merge_transition_block`.
pub fn is_merge_transition_block(state: &State, body: &BeaconBlockBody) -> bool {
    !is_merge_transition_complete(state) && body.execution_payload != ExecutionPayload::default()
}

/// Spec: bellatrix/beacon-chain.md, `is_execution_enabled`.
pub fn is_execution_enabled(state: &State, body: &BeaconBlockBody) -> bool {
    is_merge_transition_block(state, body) || is_merge_transition_complete(state)
}

/// Checks a payload against the state and keeps its header. Returns what the execution engine has to be asked: the block
/// is valid only if the engine says so too.
///
/// Spec: `process_execution_payload` in beacon-chain.md of bellatrix, capella, deneb, electra, fulu.
pub fn process_execution_payload<'b>(
    state: &mut State,
    config: &Config,
    body: &'b BeaconBlockBody,
) -> Result<NewPayloadRequest<'b>, Invalid> {
    let payload = &body.execution_payload;
    if state.at >= Fork::Capella || is_merge_transition_complete(state) {
        let (parent, latest) = (payload.parent_hash, state.latest_execution_payload_header.block_hash);
        ensure!(
            parent == latest,
            "payload parent hash",
            "in payload {parent}, in state {latest}"
        );
    }
    let (randao, mix) = (payload.prev_randao, get_randao_mix(state, get_current_epoch(state)));
    ensure!(randao == mix, "payload randao", "in payload {randao}, in state {mix}");
    let time = compute_time_at_slot(state, config, state.slot)?;
    ensure!(
        payload.timestamp == time,
        "payload timestamp",
        "in payload {}, of slot {time}",
        payload.timestamp
    );
    if state.at >= Fork::Deneb {
        let (blobs, limit) = (
            body.blob_kzg_commitments.len() as u64,
            max_blobs_per_block(state, config),
        );
        ensure!(blobs <= limit, "blob commitments", "{blobs} in block, at most {limit}");
    }
    let request = NewPayloadRequest::of_body(state.at, body, state.latest_block_header.parent_root);
    state.latest_execution_payload_header = header_of(state.at, payload);
    Ok(request)
}

/// The limit by the rule of the state's fork. Spec: `process_execution_payload` of deneb, electra, fulu.
fn max_blobs_per_block(state: &State, config: &Config) -> u64 {
    if state.at >= Fork::Fulu {
        config.get_blob_parameters(get_current_epoch(state)).max_blobs_per_block
    } else if state.at >= Fork::Electra {
        config.max_blobs_per_block_electra
    } else {
        config.max_blobs_per_block
    }
}

/// The header of a payload, up to Fulu: its lists replaced by their roots.
///
/// Spec: "Payload header" in `process_execution_payload` of bellatrix, capella and deneb/beacon-chain.md.
pub fn header_of(fork: Fork, payload: &ExecutionPayload) -> ExecutionPayloadHeader {
    let transactions_shape = [
        Bound::Fixed(MAX_TRANSACTIONS_PER_PAYLOAD),
        Bound::Fixed(MAX_BYTES_PER_TRANSACTION),
    ];
    let mut header = ExecutionPayloadHeader {
        parent_hash: payload.parent_hash,
        fee_recipient: payload.fee_recipient,
        state_root: payload.state_root,
        receipts_root: payload.receipts_root,
        logs_bloom: payload.logs_bloom,
        prev_randao: payload.prev_randao,
        block_number: payload.block_number,
        gas_limit: payload.gas_limit,
        gas_used: payload.gas_used,
        timestamp: payload.timestamp,
        extra_data: payload.extra_data.clone(),
        base_fee_per_gas: payload.base_fee_per_gas,
        block_hash: payload.block_hash,
        transactions_root: payload.transactions.root(fork, &transactions_shape),
        ..ExecutionPayloadHeader::default()
    };
    if fork >= Fork::Capella {
        header.withdrawals_root = payload
            .withdrawals
            .root(fork, &[Bound::Fixed(MAX_WITHDRAWALS_PER_PAYLOAD)]);
    }
    if fork >= Fork::Deneb {
        header.blob_gas_used = payload.blob_gas_used;
        header.excess_blob_gas = payload.excess_blob_gas;
    }
    header
}
