//! Deposits of builders, which the execution layer reports.

use crate::constants::{FAR_FUTURE_EPOCH, PAYLOAD_BUILDER_VERSION};
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::builders::{
    add_builder_to_registry, builder_index_of, builder_mut, is_valid_builder_deposit_signature,
};
use crate::helpers::math::add;
use crate::helpers::predicates::is_builder_withdrawal_credential;
use crate::signing::Context;
use crate::ssz::Bytes;
use crate::state::State;
use crate::types::{BuilderDepositRequest, BuilderIndex, Bytes32, ExecutionAddress, Gwei};
use crate::{Config, Invalid};

/// Spec: gloas/beacon-chain.md, `process_builder_deposit_request`.
pub fn process_builder_deposit_request(
    state: &mut State,
    ctx: &mut Context,
    request: &BuilderDepositRequest,
) -> Result<(), Invalid> {
    let credentials = &request.withdrawal_credentials;
    if !is_builder_withdrawal_credential(credentials) {
        return Ok(());
    }
    if let Some(builder_index) = builder_index_of(state, &request.pubkey) {
        return top_up(state, ctx.config, builder_index, request.amount);
    }
    if is_valid_builder_deposit_signature(state, ctx.config, request) {
        let (address, slot) = (execution_address_of(credentials), state.slot);
        add_builder_to_registry(
            state,
            request.pubkey,
            PAYLOAD_BUILDER_VERSION,
            address,
            request.amount,
            slot,
        );
    }
    Ok(())
}

/// The address in the last 20 bytes of withdrawal credentials.
fn execution_address_of(credentials: &Bytes32) -> ExecutionAddress {
    let mut address = [0; 20];
    address.copy_from_slice(&credentials.0[12..]);
    Bytes(address)
}

/// Adds to a builder's balance. One that has left and was paid out cannot come back: what it deposits is paid out too.
fn top_up(state: &mut State, config: &Config, builder_index: BuilderIndex, amount: Gwei) -> Result<(), Invalid> {
    let withdrawable_epoch = add(get_current_epoch(state), config.min_builder_withdrawability_delay)?;
    let builder = builder_mut(state, builder_index)?;
    if builder.withdrawable_epoch != FAR_FUTURE_EPOCH && builder.balance == 0 {
        builder.withdrawable_epoch = withdrawable_epoch;
    }
    builder.balance = add(builder.balance, amount)?;
    Ok(())
}
