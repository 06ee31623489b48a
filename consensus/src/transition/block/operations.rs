//! The operations of a block: how many there may be, and in which order they are applied.

use super::{
    process_attestation, process_attester_slashing, process_bls_to_execution_change, process_consolidation_request,
    process_deposit, process_deposit_request, process_payload_attestation, process_proposer_slashing,
    process_voluntary_exit, process_withdrawal_request,
};
use crate::fork::Fork;
use crate::helpers::math::sub;
use crate::preset::{
    MAX_ATTESTATIONS_ELECTRA, MAX_ATTESTER_SLASHINGS_ELECTRA, MAX_BLS_TO_EXECUTION_CHANGES, MAX_DEPOSITS,
    MAX_PAYLOAD_ATTESTATIONS, MAX_PROPOSER_SLASHINGS, MAX_VOLUNTARY_EXITS,
};
use crate::signing::Context;
use crate::state::State;
use crate::types::{BeaconBlockBody, Slot};
use crate::{Invalid, ensure};

/// Applies the operations in the spec's order. `parent_slot` is the slot of the parent block, read from Gloas on only.
///
/// Spec: `process_operations` in beacon-chain.md of phase0, capella, electra, fulu, gloas.
pub fn process_operations(
    state: &mut State,
    ctx: &mut Context,
    body: &BeaconBlockBody,
    parent_slot: Slot,
) -> Result<(), Invalid> {
    check_deposit_count(state, body)?;
    if state.at >= Fork::Gloas {
        check_counts(body)?;
    }
    for operation in &body.proposer_slashings {
        process_proposer_slashing(state, ctx, operation)?;
    }
    for operation in &body.attester_slashings {
        process_attester_slashing(state, ctx, operation)?;
    }
    for operation in &body.attestations {
        process_attestation(state, ctx, operation, parent_slot)?;
    }
    // None from Fulu on, as counted above.
    for operation in &body.deposits {
        process_deposit(state, ctx, operation)?;
    }
    for operation in &body.voluntary_exits {
        process_voluntary_exit(state, ctx, operation)?;
    }
    if state.at >= Fork::Capella {
        for operation in &body.bls_to_execution_changes {
            process_bls_to_execution_change(state, ctx, operation)?;
        }
    }
    if state.at >= Fork::Electra && state.at < Fork::Gloas {
        process_execution_requests(state, ctx, body)?;
    }
    if state.at >= Fork::Gloas {
        for operation in &body.payload_attestations {
            process_payload_attestation(state, ctx, operation)?;
        }
    }
    Ok(())
}

/// The requests of the block's own payload, in Electra and Fulu.
fn process_execution_requests(state: &mut State, ctx: &mut Context, body: &BeaconBlockBody) -> Result<(), Invalid> {
    let requests = &body.execution_requests;
    for request in &requests.deposits {
        process_deposit_request(state, request);
    }
    for request in &requests.withdrawals {
        process_withdrawal_request(state, ctx, request)?;
    }
    for request in &requests.consolidations {
        process_consolidation_request(state, ctx, request)?;
    }
    Ok(())
}

/// How many deposits of the contract the next block has to bring: those that are outstanding, as far as it has room.
///
/// Spec: in `process_operations` of phase0, electra and fulu/beacon-chain.md; electra/validator.md,
/// `get_eth1_pending_deposit_count`.
pub fn expected_deposit_count(state: &State) -> Result<u64, Invalid> {
    if state.at >= Fork::Fulu {
        return Ok(0);
    }
    if state.at >= Fork::Electra {
        // Those that the execution layer reports by requests are not brought by blocks.
        let limit = state.eth1_data.deposit_count.min(state.deposit_requests_start_index);
        return Ok(limit.saturating_sub(state.eth1_deposit_index).min(MAX_DEPOSITS));
    }
    Ok(sub(state.eth1_data.deposit_count, state.eth1_deposit_index)?.min(MAX_DEPOSITS))
}

fn check_deposit_count(state: &State, body: &BeaconBlockBody) -> Result<(), Invalid> {
    let expected = expected_deposit_count(state)?;
    let count = body.deposits.len() as u64;
    ensure!(
        count == expected,
        "deposit count",
        "{count} in block, {expected} expected"
    );
    Ok(())
}

/// Progressive lists have no limit of their own.
fn check_counts(body: &BeaconBlockBody) -> Result<(), Invalid> {
    let counts = [
        (
            "proposer slashings",
            body.proposer_slashings.len(),
            MAX_PROPOSER_SLASHINGS,
        ),
        (
            "attester slashings",
            body.attester_slashings.len(),
            MAX_ATTESTER_SLASHINGS_ELECTRA,
        ),
        ("attestations", body.attestations.len(), MAX_ATTESTATIONS_ELECTRA),
        ("voluntary exits", body.voluntary_exits.len(), MAX_VOLUNTARY_EXITS),
        (
            "BLS to execution changes",
            body.bls_to_execution_changes.len(),
            MAX_BLS_TO_EXECUTION_CHANGES,
        ),
        (
            "payload attestations",
            body.payload_attestations.len(),
            MAX_PAYLOAD_ATTESTATIONS,
        ),
    ];
    for (kind, count, limit) in counts {
        ensure!(
            count as u64 <= limit,
            "operation count",
            "{count} {kind}, at most {limit}"
        );
    }
    Ok(())
}
