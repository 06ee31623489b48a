//! Votes on whether the parent's payload came in time.

use crate::helpers::accessors::get_indexed_payload_attestation;
use crate::helpers::votes::is_valid_indexed_payload_attestation;
use crate::signing::Context;
use crate::state::State;
use crate::types::PayloadAttestation;
use crate::{Invalid, ensure};

/// Changes nothing: a block with such a vote that is wrong is invalid.
///
/// Spec: gloas/beacon-chain.md, `process_payload_attestation`.
pub fn process_payload_attestation(
    state: &State,
    ctx: &mut Context,
    payload_attestation: &PayloadAttestation,
) -> Result<(), Invalid> {
    let data = &payload_attestation.data;
    let parent_root = state.latest_block_header.parent_root;
    ensure!(
        data.beacon_block_root == parent_root,
        "payload attestation block",
        "{}, the parent is {parent_root}",
        data.beacon_block_root
    );
    ensure!(
        data.slot.checked_add(1) == Some(state.slot),
        "payload attestation slot",
        "for slot {}, in slot {}",
        data.slot,
        state.slot
    );
    let indexed_payload_attestation = get_indexed_payload_attestation(state, payload_attestation)?;
    is_valid_indexed_payload_attestation(state, ctx, &indexed_payload_attestation)
}
