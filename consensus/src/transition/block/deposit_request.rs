//! Deposits that the execution layer reports itself.

use crate::constants::UNSET_DEPOSIT_REQUESTS_START_INDEX;
use crate::fork::Fork;
use crate::state::State;
use crate::types::{DepositRequest, PendingDeposit};

/// Spec: electra/ and fulu/beacon-chain.md, `process_deposit_request`.
pub fn process_deposit_request(state: &mut State, deposit_request: &DepositRequest) {
    // In Fulu all deposits of the former kind have been brought.
    let is_first = state.deposit_requests_start_index == UNSET_DEPOSIT_REQUESTS_START_INDEX;
    if state.at < Fork::Fulu && is_first {
        state.deposit_requests_start_index = deposit_request.index;
    }
    let slot = state.slot;
    state.pending_deposits.push(PendingDeposit {
        pubkey: deposit_request.pubkey,
        withdrawal_credentials: deposit_request.withdrawal_credentials,
        amount: deposit_request.amount,
        signature: deposit_request.signature,
        slot,
    });
}
