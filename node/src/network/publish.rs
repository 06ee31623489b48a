//! What goes out to everybody: on which topic, and as which bytes.

use super::gossip::topics::Topic;
use super::peer::Outgoing;
use super::shared::Shared;
use crate::chain::Message;
use consensus::das::compute_subnet_for_data_column_sidecar;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::ssz::Ssz;
use consensus::types::{Epoch, Slot};
use consensus::{Config, Fork};

/// The topic in its fork, and the bytes, of a message.
pub(crate) fn encode(shared: &Shared, outgoing: &Outgoing) -> (String, Vec<u8>) {
    let now = shared.epoch();
    let config = shared.config();
    let at = |slot: Slot| compute_epoch_at_slot(slot);
    let (epoch, topic): (Epoch, Topic) = match outgoing {
        Outgoing::Block(block) => (at(block.message.slot), Topic::BeaconBlock),
        Outgoing::Blob(blob) => {
            let epoch = at(blob.signed_block_header.message.slot);
            (epoch, Topic::BlobSidecar(blob_subnet(config, epoch, blob.index)))
        }
        Outgoing::Column(column) => {
            let subnet = compute_subnet_for_data_column_sidecar(config, column.index);
            let slot = column.signed_block_header.message.slot;
            (at(slot), Topic::DataColumnSidecar(subnet))
        }
        Outgoing::FinalityUpdate(update) => (at(update.attested_header.beacon.slot), Topic::LightClientFinalityUpdate),
        Outgoing::OptimisticUpdate(update) => (
            at(update.attested_header.beacon.slot),
            Topic::LightClientOptimisticUpdate,
        ),
        Outgoing::Message(message) => topic_of(message, now),
    };
    let era = shared.digests.at(epoch);
    let ssz = match outgoing {
        Outgoing::Block(block) => block.encode(era.fork),
        Outgoing::Blob(blob) => blob.encode(era.fork),
        Outgoing::Column(column) => column.encode(era.fork),
        Outgoing::FinalityUpdate(update) => update.encode(era.fork),
        Outgoing::OptimisticUpdate(update) => update.encode(era.fork),
        Outgoing::Message(message) => encode_message(message, era.fork),
    };
    (topic.text(era.digest), ssz)
}

/// Spec: deneb and electra/p2p-interface.md, `compute_subnet_for_blob_sidecar`.
fn blob_subnet(config: &Config, epoch: Epoch, index: u64) -> u64 {
    let count = if config.fork_at_epoch(epoch) >= Fork::Electra {
        config.blob_sidecar_subnet_count_electra
    } else {
        config.blob_sidecar_subnet_count
    };
    index % count.max(1)
}

/// The epoch and topic of a vote or operation.
fn topic_of(message: &Message, now: Epoch) -> (Epoch, Topic) {
    let at = |slot: Slot| compute_epoch_at_slot(slot);
    match message {
        Message::SingleAttestation(vote, subnet) => (at(vote.data.slot), Topic::BeaconAttestation(*subnet)),
        Message::Attestation(vote, subnet) => (at(vote.data.slot), Topic::BeaconAttestation(*subnet)),
        Message::Aggregate(aggregate) => {
            let slot = aggregate.message.aggregate.data.slot;
            (at(slot), Topic::BeaconAggregateAndProof)
        }
        Message::SyncMessage(message, subnet) => (at(message.slot), Topic::SyncCommittee(*subnet)),
        Message::Contribution(contribution) => {
            let slot = contribution.message.contribution.slot;
            (at(slot), Topic::SyncCommitteeContributionAndProof)
        }
        Message::VoluntaryExit(_) => (now, Topic::VoluntaryExit),
        Message::ProposerSlashing(_) => (now, Topic::ProposerSlashing),
        Message::AttesterSlashing(_) => (now, Topic::AttesterSlashing),
        Message::BlsToExecutionChange(_) => (now, Topic::BlsToExecutionChange),
    }
}

fn encode_message(message: &Message, fork: Fork) -> Vec<u8> {
    match message {
        Message::SingleAttestation(vote, _) => vote.encode(fork),
        Message::Attestation(vote, _) => vote.encode(fork),
        Message::Aggregate(aggregate) => aggregate.encode(fork),
        Message::SyncMessage(message, _) => message.encode(fork),
        Message::Contribution(contribution) => contribution.encode(fork),
        Message::VoluntaryExit(exit) => exit.encode(fork),
        Message::ProposerSlashing(slashing) => slashing.encode(fork),
        Message::AttesterSlashing(slashing) => slashing.encode(fork),
        Message::BlsToExecutionChange(change) => change.encode(fork),
    }
}
