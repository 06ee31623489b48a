//! Bellatrix: the state keeps the header of the latest payload, at first an empty one.

use super::enter;
use crate::Config;
use crate::fork::Fork;
use crate::state::State;
use crate::types::ExecutionPayloadHeader;

/// Spec: bellatrix/fork.md, `upgrade_to_bellatrix`.
pub fn upgrade_to_bellatrix(state: &mut State, config: &Config) {
    enter(state, config, Fork::Bellatrix);
    state.latest_execution_payload_header = ExecutionPayloadHeader::default();
}
