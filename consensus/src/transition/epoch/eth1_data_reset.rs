//! A new voting period begins without votes.

use crate::helpers::accessors::get_current_epoch;
use crate::preset::EPOCHS_PER_ETH1_VOTING_PERIOD;
use crate::state::State;

/// Spec: phase0/beacon-chain.md, `process_eth1_data_reset`.
pub fn process_eth1_data_reset(state: &mut State) {
    let next_epoch = get_current_epoch(state) + 1;
    if next_epoch.is_multiple_of(EPOCHS_PER_ETH1_VOTING_PERIOD) {
        state.eth1_data_votes = Vec::new();
    }
}
