//! Exits of builders, which the owner of the execution address asks for.

use crate::Invalid;
use crate::helpers::builders::{
    builder, builder_index_of, get_pending_balance_to_withdraw_for_builder, initiate_builder_exit, is_active_builder,
};
use crate::signing::Context;
use crate::state::State;
use crate::types::BuilderExitRequest;

/// One that breaks a rule has no effect and is no error.
///
/// Spec: gloas/beacon-chain.md, `process_builder_exit_request`.
pub fn process_builder_exit_request(
    state: &mut State,
    ctx: &mut Context,
    request: &BuilderExitRequest,
) -> Result<(), Invalid> {
    let Some(builder_index) = builder_index_of(state, &request.pubkey) else {
        return Ok(());
    };
    let is_allowed = is_active_builder(state, builder_index)?
        && builder(state, builder_index)?.execution_address == request.source_address
        && get_pending_balance_to_withdraw_for_builder(state, builder_index)? == 0;
    if is_allowed {
        initiate_builder_exit(state, ctx.config, builder_index)?;
    }
    Ok(())
}
