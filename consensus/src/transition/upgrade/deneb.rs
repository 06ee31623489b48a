//! Deneb: payloads account for blobs.

use super::enter;
use crate::Config;
use crate::fork::Fork;
use crate::state::State;

/// Spec: deneb/fork.md, `upgrade_to_deneb`.
pub fn upgrade_to_deneb(state: &mut State, config: &Config) {
    enter(state, config, Fork::Deneb);
    let header = &mut state.latest_execution_payload_header;
    header.blob_gas_used = 0;
    header.excess_blob_gas = 0;
}
