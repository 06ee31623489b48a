//! What a block does to a state, one file per step.

mod attestation;
mod attester_slashing;
mod block_header;
mod bls_to_execution_change;
mod builder_deposit_request;
mod builder_exit_request;
mod consolidation_request;
pub mod deposit;
mod deposit_request;
mod eth1_data;
mod execution_payload;
mod execution_payload_bid;
mod execution_payload_envelope;
mod expected_withdrawals;
mod operations;
mod parent_execution_payload;
mod payload_attestation;
mod proposer_slashing;
mod randao;
mod sync_aggregate;
mod voluntary_exit;
mod withdrawal_request;
mod withdrawals;

pub use attestation::{check_attestation_data, process_attestation};
pub use attester_slashing::process_attester_slashing;
pub use block_header::process_block_header;
pub use bls_to_execution_change::process_bls_to_execution_change;
pub use builder_deposit_request::process_builder_deposit_request;
pub use builder_exit_request::process_builder_exit_request;
pub use consolidation_request::{is_valid_switch_to_compounding_request, process_consolidation_request};
pub use deposit::process_deposit;
pub use deposit_request::process_deposit_request;
pub use eth1_data::process_eth1_data;
pub use execution_payload::{
    header_of, is_execution_enabled, is_merge_transition_block, is_merge_transition_complete, process_execution_payload,
};
pub use execution_payload_bid::{process_execution_payload_bid, verify_execution_payload_bid_signature};
pub use execution_payload_envelope::{verify_execution_payload_envelope, verify_execution_payload_envelope_signature};
pub use expected_withdrawals::{ExpectedWithdrawals, get_expected_withdrawals};
pub use operations::{expected_deposit_count, process_operations};
pub use parent_execution_payload::{apply_parent_execution_payload, process_parent_execution_payload};
pub use payload_attestation::process_payload_attestation;
pub use proposer_slashing::process_proposer_slashing;
pub use randao::process_randao;
pub use sync_aggregate::{process_sync_aggregate, sync_committee_rewards};
pub use voluntary_exit::process_voluntary_exit;
pub use withdrawal_request::process_withdrawal_request;
pub use withdrawals::process_withdrawals;

use super::NewPayloadRequest;
use crate::Invalid;
use crate::fork::Fork;
use crate::signing::{Context, ProposerRewards};
use crate::state::State;
use crate::types::BeaconBlock;

/// Applies a block to a state at its slot. Returns what the execution engine has to be asked, if the block has a payload
/// to execute; what the proposer earned is left in the context. An error leaves the state half-changed: the caller owns a
/// clone.
///
/// Spec: `process_block` in beacon-chain.md of phase0, altair, bellatrix, capella, gloas.
pub fn process_block<'b>(
    state: &mut State,
    ctx: &mut Context,
    block: &'b BeaconBlock,
) -> Result<Option<NewPayloadRequest<'b>>, Invalid> {
    state.prepare();
    ctx.rewards = ProposerRewards::default();
    let body = &block.body;
    if state.at >= Fork::Gloas {
        process_parent_execution_payload(state, ctx, block)?;
    }
    process_block_header(state, block)?;
    let mut request = None;
    let mut parent_slot = 0; // read from Gloas on only
    if state.at >= Fork::Gloas {
        process_withdrawals(state, None)?;
        parent_slot = process_execution_payload_bid(state, ctx, &body.signed_execution_payload_bid)?;
    } else if state.at >= Fork::Capella {
        process_withdrawals(state, Some(&body.execution_payload))?;
        request = Some(process_execution_payload(state, ctx.config, body)?);
    } else if state.at >= Fork::Bellatrix && is_execution_enabled(state, body) {
        request = Some(process_execution_payload(state, ctx.config, body)?);
    }
    process_randao(state, ctx, body)?;
    process_eth1_data(state, body)?;
    process_operations(state, ctx, body, parent_slot)?;
    if state.at >= Fork::Altair {
        process_sync_aggregate(state, ctx, &body.sync_aggregate)?;
    }
    Ok(request)
}
