//! What the execution layer is asked for, and what comes back.

use crate::execution::{BuiltPayload, PayloadAttributes};
use consensus::helpers::accessors::{get_current_epoch, get_randao_mix};
use consensus::helpers::misc::compute_time_at_slot;
use consensus::ssz::Ssz;
use consensus::transition::block::get_expected_withdrawals;
use consensus::types::{BuilderBid, ExecutionAddress, Slot};
use consensus::{Config, Fork, Invalid, State, ensure};

/// Where a block's payload comes from.
#[derive(Clone, Debug)]
pub enum PayloadChoice {
    /// There is none before the merge.
    None,
    /// The own execution layer.
    Built(Box<BuiltPayload>),
    /// An external builder, whose bid was checked: signature, value, parent.
    Bid(Box<BuilderBid>),
}

/// The attributes of a payload for `slot`; `state` was advanced to it. An error if it was not, or before Bellatrix.
///
/// Spec: `prepare_execution_payload` in validator.md of bellatrix, capella and deneb.
pub fn payload_attributes(
    state: &State,
    config: &Config,
    slot: Slot,
    fee_recipient: ExecutionAddress,
) -> Result<PayloadAttributes, Invalid> {
    ensure!(
        state.slot == slot,
        "payload slot",
        "{slot}, the state is at {}",
        state.slot
    );
    ensure!(
        state.at >= Fork::Bellatrix,
        "payload fork",
        "blocks of {} have no payload",
        state.at
    );
    let mut attributes = PayloadAttributes {
        timestamp: compute_time_at_slot(state, config, slot)?,
        prev_randao: get_randao_mix(state, get_current_epoch(state)),
        suggested_fee_recipient: fee_recipient,
        ..PayloadAttributes::default()
    };
    if state.at >= Fork::Capella {
        attributes.withdrawals = Some(get_expected_withdrawals(state)?.withdrawals);
    }
    if state.at >= Fork::Deneb {
        attributes.parent_beacon_block_root = Some(state.latest_block_header.hash_tree_root(state.at));
    }
    Ok(attributes)
}
