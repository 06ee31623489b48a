//! What can be signed, in which domain, and how far ahead.

use super::Refused;
use crate::slashing_protection::Record;
use consensus::constants::{
    DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_APPLICATION_MASK, DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_BUILDER,
    DOMAIN_BEACON_PROPOSER, DOMAIN_CONTRIBUTION_AND_PROOF, DOMAIN_PROPOSER_PREFERENCES, DOMAIN_PTC_ATTESTER,
    DOMAIN_RANDAO, DOMAIN_SELECTION_PROOF, DOMAIN_SYNC_COMMITTEE, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF,
    DOMAIN_VOLUNTARY_EXIT,
};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::signing::{compute_domain, signing_root_of};
use consensus::ssz::{Root, Ssz};
use consensus::types::{
    AggregateAndProof, AttestationData, BLSPubkey, BeaconBlockHeader, ContributionAndProof, DomainType, Epoch,
    ExecutionPayloadBid, ExecutionPayloadEnvelope, PayloadAttestationData, ProposerPreferences, Slot,
    SyncAggregatorSelectionData, ValidatorRegistrationV1, VoluntaryExit,
};
use consensus::{Config, Fork};

/// One thing to sign. The signer computes domains from the config, the genesis validators root and the fork schedule at
/// the message's epoch.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// An attestation's data. Recorded. Spec: phase0/validator.md, `get_attestation_signature`.
    Attestation(&'a AttestationData),
    /// A block, blinded or not: the root of its header is that of the block. Recorded.
    /// Spec: phase0/validator.md, `get_block_signature`.
    Block {
        /// The slot of the block, the same as in the header.
        slot: Slot,
        /// The header of the block.
        block_header: &'a BeaconBlockHeader,
    },
    /// Spec: phase0/validator.md, `get_epoch_signature`.
    RandaoReveal(Epoch),
    /// Spec: phase0/validator.md, `get_slot_signature`.
    SelectionProof(Slot),
    /// Spec: phase0/validator.md, `get_aggregate_and_proof_signature`.
    AggregateAndProof(&'a AggregateAndProof),
    /// Spec: altair/validator.md, `get_sync_committee_message`.
    SyncCommitteeMessage {
        /// The slot of the message.
        slot: Slot,
        /// The root of the head that is voted for.
        beacon_block_root: Root,
    },
    /// Spec: altair/validator.md, `get_sync_committee_selection_proof`.
    SyncSelectionProof {
        /// The slot of the contribution.
        slot: Slot,
        /// Which subcommittee.
        subcommittee_index: u64,
    },
    /// Spec: altair/validator.md, `get_contribution_and_proof_signature`.
    ContributionAndProof(&'a ContributionAndProof),
    /// Signed in Capella's domain, in which it stays valid for ever (EIP-7044).
    /// Spec: deneb/beacon-chain.md, `process_voluntary_exit`.
    VoluntaryExit(&'a VoluntaryExit),
    /// Spec: builder-specs bellatrix/builder.md, "Signing".
    ValidatorRegistration(&'a ValidatorRegistrationV1),
    /// Spec: gloas/validator.md, `get_payload_attestation_message_signature`.
    PayloadAttestation(&'a PayloadAttestationData),
    /// Spec: gloas/validator.md, `get_signed_proposer_preferences`.
    ProposerPreferences(&'a ProposerPreferences),
    /// Spec: gloas/builder.md, `get_execution_payload_envelope_signature`.
    ExecutionPayloadEnvelope {
        /// The slot of the block whose payload it reveals, the same as in the payload.
        slot: Slot,
        /// What is signed.
        envelope: &'a ExecutionPayloadEnvelope,
    },
    /// Spec: gloas/builder.md, `get_execution_payload_bid_signature`.
    ExecutionPayloadBid(&'a ExecutionPayloadBid),
}

/// What a message asks of the signer.
#[derive(Debug)]
pub(super) struct Demand {
    /// The slot that the clock must have reached or be one short of; none for what is signed early by design.
    pub(super) due: Option<Slot>,
    /// Whether it must be on record first.
    pub(super) kind: Kind,
}

/// What could happen if it were signed.
#[derive(Debug)]
pub(super) enum Kind {
    /// With another one like it, the validator could be slashed.
    Slashable(Record),
    /// Nothing.
    Harmless(Harmless),
}

/// The signing root of something that gets nobody slashed; made in this file alone.
#[derive(Debug)]
pub(super) struct Harmless(Root);

impl Harmless {
    pub(super) fn signing_root(&self) -> Root {
        self.0
    }
}

/// The network that messages are signed for.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) config: Config,
    pub(super) genesis_validators_root: Root,
}

impl Network {
    /// Spec: phase0/beacon-chain.md, `get_domain`, with the fork version that the schedule has at that epoch.
    fn root_at_epoch(&self, object_root: Root, domain_type: DomainType, epoch: Epoch) -> Root {
        let version = self.config.compute_fork_version(epoch);
        signing_root_of(
            object_root,
            compute_domain(domain_type, version, self.genesis_validators_root),
        )
    }

    fn root_at_slot(&self, object_root: Root, domain_type: DomainType, slot: Slot) -> Root {
        self.root_at_epoch(object_root, domain_type, compute_epoch_at_slot(slot))
    }

    pub(super) fn fork_at_slot(&self, slot: Slot) -> Fork {
        self.config.fork_at_epoch(compute_epoch_at_slot(slot))
    }

    /// Signed long before its slot, as the specs want it.
    fn early(&self, object_root: Root, domain_type: DomainType, slot: Slot) -> Demand {
        Demand {
            due: None,
            kind: Kind::Harmless(Harmless(self.root_at_slot(object_root, domain_type, slot))),
        }
    }

    /// Signed in its slot.
    fn in_time(&self, object_root: Root, domain_type: DomainType, slot: Slot) -> Demand {
        Demand {
            due: Some(slot),
            ..self.early(object_root, domain_type, slot)
        }
    }
}

impl Message<'_> {
    /// What it takes to sign this with that key: its signing root and the rules for it. Errors on messages that contradict themselves.
    pub(super) fn demand(&self, network: &Network, key: &BLSPubkey) -> Result<Demand, Refused> {
        Ok(match *self {
            Message::Attestation(data) => attestation(network, data)?,
            Message::Block { slot, block_header } => block(network, slot, block_header)?,
            Message::ValidatorRegistration(registration) => validator_registration(network, registration, key)?,
            Message::VoluntaryExit(exit) => Demand {
                due: None,
                kind: Kind::Harmless(exit_permit(network, exit)),
            },
            Message::RandaoReveal(epoch) => Demand {
                due: None,
                kind: Kind::Harmless(Harmless(network.root_at_epoch(
                    number_root(epoch),
                    DOMAIN_RANDAO,
                    epoch,
                ))),
            },
            Message::SelectionProof(slot) => network.early(number_root(slot), DOMAIN_SELECTION_PROOF, slot),
            Message::SyncSelectionProof {
                slot,
                subcommittee_index,
            } => {
                let root = SyncAggregatorSelectionData {
                    slot,
                    subcommittee_index,
                }
                .hash_tree_root(network.fork_at_slot(slot));
                network.early(root, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, slot)
            }
            Message::ProposerPreferences(preferences) => {
                let slot = preferences.proposal_slot;
                let root = preferences.hash_tree_root(network.fork_at_slot(slot));
                network.early(root, DOMAIN_PROPOSER_PREFERENCES, slot)
            }
            Message::AggregateAndProof(message) => {
                let slot = message.aggregate.data.slot;
                let root = message.hash_tree_root(network.fork_at_slot(slot));
                network.in_time(root, DOMAIN_AGGREGATE_AND_PROOF, slot)
            }
            Message::SyncCommitteeMessage {
                slot,
                beacon_block_root,
            } => network.in_time(beacon_block_root, DOMAIN_SYNC_COMMITTEE, slot),
            Message::ContributionAndProof(message) => {
                let slot = message.contribution.slot;
                let root = message.hash_tree_root(network.fork_at_slot(slot));
                network.in_time(root, DOMAIN_CONTRIBUTION_AND_PROOF, slot)
            }
            Message::PayloadAttestation(data) => {
                let root = data.hash_tree_root(network.fork_at_slot(data.slot));
                network.in_time(root, DOMAIN_PTC_ATTESTER, data.slot)
            }
            Message::ExecutionPayloadEnvelope { slot, envelope } => {
                check_slots("an envelope", slot, envelope.payload.slot_number)?;
                let root = envelope.hash_tree_root(network.fork_at_slot(slot));
                network.in_time(root, DOMAIN_BEACON_BUILDER, slot)
            }
            Message::ExecutionPayloadBid(bid) => {
                let root = bid.hash_tree_root(network.fork_at_slot(bid.slot));
                network.in_time(root, DOMAIN_BEACON_BUILDER, bid.slot)
            }
        })
    }
}

fn number_root(number: u64) -> Root {
    number.root(Fork::Phase0, &[])
}

/// The clock is asked for the one slot, the other is what is signed.
fn check_slots(what: &str, asked: Slot, inside: Slot) -> Result<(), Refused> {
    if asked == inside {
        return Ok(());
    }
    let why = format!("{what} asked for at slot {asked} that is of slot {inside}");
    Err(Refused::Malformed(why))
}

fn block(network: &Network, slot: Slot, header: &BeaconBlockHeader) -> Result<Demand, Refused> {
    check_slots("a block", slot, header.slot)?;
    let root = header.hash_tree_root(network.fork_at_slot(slot));
    let signing_root = network.root_at_slot(root, DOMAIN_BEACON_PROPOSER, slot);
    Ok(Demand {
        due: Some(slot),
        kind: Kind::Slashable(Record::Block { slot, signing_root }),
    })
}

fn attestation(network: &Network, data: &AttestationData) -> Result<Demand, Refused> {
    let (source, target) = (data.source.epoch, data.target.epoch);
    // The slot is what the clock is asked for; a target of another epoch would go unasked, and block the key until then.
    if target != compute_epoch_at_slot(data.slot) {
        let why = format!(
            "an attestation of slot {} has the target {target}, an epoch it is not in",
            data.slot
        );
        return Err(Refused::Malformed(why));
    }
    let root = data.hash_tree_root(network.config.fork_at_epoch(target));
    let signing_root = network.root_at_epoch(root, DOMAIN_BEACON_ATTESTER, target);
    Ok(Demand {
        due: Some(data.slot),
        kind: Kind::Slashable(Record::Attestation {
            source,
            target,
            signing_root,
        }),
    })
}

/// Valid on every fork: the domain has the genesis version and no genesis root.
fn validator_registration(
    network: &Network,
    registration: &ValidatorRegistrationV1,
    key: &BLSPubkey,
) -> Result<Demand, Refused> {
    if registration.pubkey != *key {
        let why = format!(
            "a registration of the key {} is to be signed with {key}",
            registration.pubkey
        );
        return Err(Refused::Malformed(why));
    }
    let root = registration.hash_tree_root(Fork::Bellatrix);
    let domain = compute_domain(DOMAIN_APPLICATION_MASK, network.config.genesis_fork_version, Root::ZERO);
    Ok(Demand {
        due: None,
        kind: Kind::Harmless(Harmless(signing_root_of(root, domain))),
    })
}

/// Spec: deneb/beacon-chain.md, `process_voluntary_exit` (EIP-7044).
pub(super) fn exit_permit(network: &Network, exit: &VoluntaryExit) -> Harmless {
    let version = network.config.capella_fork_version;
    let domain = compute_domain(DOMAIN_VOLUNTARY_EXIT, version, network.genesis_validators_root);
    Harmless(signing_root_of(exit.hash_tree_root(Fork::Capella), domain))
}
