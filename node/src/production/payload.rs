//! What the execution layer is asked for, and what comes back.

use consensus::helpers::accessors::{get_current_epoch, get_randao_mix};
use consensus::helpers::misc::compute_time_at_slot;
use consensus::ssz::{Root, Ssz, U256};
use consensus::transition::block::get_expected_withdrawals;
use consensus::types::{
    BlobsBundle, BuilderBid, Bytes32, ExecutionAddress, ExecutionPayload, ExecutionRequests, Slot, Withdrawal,
};
use consensus::{Config, Fork, Invalid, State, ensure};

/// A payload that the own execution layer has built.
///
/// Spec: `GetPayloadResponse` in validator.md of bellatrix, deneb and electra.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuiltPayload {
    /// The payload.
    pub execution_payload: ExecutionPayload,
    /// What it asks of the beacon chain; empty before Electra.
    pub execution_requests: ExecutionRequests,
    /// Its blobs with commitments and proofs; empty before Deneb.
    pub blobs_bundle: BlobsBundle,
    /// What it pays, in Wei.
    pub value: U256,
}

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

/// What a payload for the state's slot must have.
///
/// Spec: `PayloadAttributes` in fork-choice.md of bellatrix, capella and deneb; engine API, `PayloadAttributesV1` to V3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadAttributes {
    /// Unix time of the slot, in seconds.
    pub timestamp: u64,
    /// The randomness of the epoch so far.
    pub prev_randao: Bytes32,
    /// Whom the payload's fees go to.
    pub suggested_fee_recipient: ExecutionAddress,
    /// From Capella on.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// The parent of the block; from Deneb on.
    pub parent_beacon_block_root: Option<Root>,
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
        withdrawals: None,
        parent_beacon_block_root: None,
    };
    if state.at >= Fork::Capella {
        attributes.withdrawals = Some(get_expected_withdrawals(state)?.withdrawals);
    }
    if state.at >= Fork::Deneb {
        attributes.parent_beacon_block_root = Some(state.latest_block_header.hash_tree_root(state.at));
    }
    Ok(attributes)
}
