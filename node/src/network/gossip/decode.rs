//! Messages out of their bytes. A pure function, so that it can be fuzzed.

use super::topics::Topic;
use crate::chain::Message;
use consensus::Fork;
use consensus::ssz::{Ssz, SszError};
use consensus::types::{
    BlobSidecar, DataColumnSidecar, LightClientFinalityUpdate, LightClientOptimisticUpdate, SignedBeaconBlock,
    SingleAttestation, SubnetID,
};
use std::sync::Arc;

/// What came.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A block.
    Block(Arc<SignedBeaconBlock>),
    /// A blob, with the subnet on which it came.
    Blob(Arc<BlobSidecar>, SubnetID),
    /// A column, with the subnet on which it came.
    Column(Arc<DataColumnSidecar>, SubnetID),
    /// A vote or an operation.
    Message(Box<Message>),
    /// Of light clients.
    FinalityUpdate(Box<LightClientFinalityUpdate>),
    /// The same.
    OptimisticUpdate(Box<LightClientOptimisticUpdate>),
}

/// Whether decoding is short enough for the runtime: votes and small operations, of a few hundred bytes.
pub fn is_small(topic: Topic) -> bool {
    !matches!(
        topic,
        Topic::BeaconBlock
            | Topic::BlobSidecar(_)
            | Topic::DataColumnSidecar(_)
            | Topic::AttesterSlashing
            | Topic::LightClientFinalityUpdate
            | Topic::LightClientOptimisticUpdate
    )
}

/// Decodes a message of a topic of `fork`.
pub fn decode(topic: Topic, fork: Fork, ssz: &[u8]) -> Result<Decoded, SszError> {
    let message = |message| Decoded::Message(Box::new(message));
    Ok(match topic {
        Topic::BeaconBlock => Decoded::Block(Arc::new(SignedBeaconBlock::decode(ssz, fork)?)),
        Topic::BlobSidecar(subnet) => Decoded::Blob(Arc::new(BlobSidecar::decode(ssz, fork)?), subnet),
        Topic::DataColumnSidecar(subnet) => Decoded::Column(Arc::new(DataColumnSidecar::decode(ssz, fork)?), subnet),
        Topic::BeaconAttestation(subnet) if fork >= Fork::Electra => message(Message::SingleAttestation(
            SingleAttestation::decode(ssz, fork)?,
            subnet,
        )),
        Topic::BeaconAttestation(subnet) => message(Message::Attestation(Box::new(Ssz::decode(ssz, fork)?), subnet)),
        Topic::BeaconAggregateAndProof => message(Message::Aggregate(Box::new(Ssz::decode(ssz, fork)?))),
        Topic::SyncCommittee(subnet) => message(Message::SyncMessage(Ssz::decode(ssz, fork)?, subnet)),
        Topic::SyncCommitteeContributionAndProof => message(Message::Contribution(Box::new(Ssz::decode(ssz, fork)?))),
        Topic::VoluntaryExit => message(Message::VoluntaryExit(Ssz::decode(ssz, fork)?)),
        Topic::ProposerSlashing => message(Message::ProposerSlashing(Box::new(Ssz::decode(ssz, fork)?))),
        Topic::AttesterSlashing => message(Message::AttesterSlashing(Box::new(Ssz::decode(ssz, fork)?))),
        Topic::BlsToExecutionChange => message(Message::BlsToExecutionChange(Box::new(Ssz::decode(ssz, fork)?))),
        Topic::LightClientFinalityUpdate => Decoded::FinalityUpdate(Box::new(Ssz::decode(ssz, fork)?)),
        Topic::LightClientOptimisticUpdate => Decoded::OptimisticUpdate(Box::new(Ssz::decode(ssz, fork)?)),
    })
}
