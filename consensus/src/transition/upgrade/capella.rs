//! Capella: withdrawals begin, and summaries take the place of historical roots.

use super::enter;
use crate::Config;
use crate::fork::Fork;
use crate::ssz::{PersistentList, Root};
use crate::state::State;

/// Spec: capella/fork.md, `upgrade_to_capella`.
pub fn upgrade_to_capella(state: &mut State, config: &Config) {
    enter(state, config, Fork::Capella);
    state.latest_execution_payload_header.withdrawals_root = Root::ZERO;
    state.next_withdrawal_index = 0;
    state.next_withdrawal_validator_index = 0;
    state.historical_summaries = PersistentList::default();
}
