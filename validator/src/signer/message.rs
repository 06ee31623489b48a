//! What can be signed, in which domain, and how far ahead.

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
    AttestationData, BeaconBlockHeader, DomainType, Epoch, Slot, SyncAggregatorSelectionData, ValidatorRegistrationV1,
    VoluntaryExit,
};
use consensus::{Config, Fork};

/// One thing to sign. The signer computes domains from the config, the genesis validators root and the fork schedule at
/// the message's epoch; an `object_root` is the hash tree root of the message itself.
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
    AggregateAndProof {
        /// The slot of the aggregate.
        slot: Slot,
        /// The root of the `AggregateAndProof`.
        object_root: Root,
    },
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
    ContributionAndProof {
        /// The slot of the contribution.
        slot: Slot,
        /// The root of the `ContributionAndProof`.
        object_root: Root,
    },
    /// Signed in Capella's domain, in which it stays valid for ever (EIP-7044).
    /// Spec: deneb/beacon-chain.md, `process_voluntary_exit`.
    VoluntaryExit(&'a VoluntaryExit),
    /// Spec: builder-specs bellatrix/builder.md, "Signing".
    ValidatorRegistration(&'a ValidatorRegistrationV1),
    /// Spec: gloas/validator.md, `get_payload_attestation_message_signature`.
    PayloadAttestation {
        /// The slot of the message.
        slot: Slot,
        /// The root of the `PayloadAttestationData`.
        object_root: Root,
    },
    /// Spec: gloas/validator.md, `get_signed_proposer_preferences`.
    ProposerPreferences {
        /// The slot of the proposal.
        slot: Slot,
        /// The root of the `ProposerPreferences`.
        object_root: Root,
    },
    /// Spec: gloas/builder.md, `get_execution_payload_envelope_signature`.
    ExecutionPayloadEnvelope {
        /// The slot of the block whose payload it reveals.
        slot: Slot,
        /// The root of the `ExecutionPayloadEnvelope`.
        object_root: Root,
    },
    /// Spec: gloas/builder.md, `get_execution_payload_bid_signature`.
    ExecutionPayloadBid {
        /// The slot of the bid.
        slot: Slot,
        /// The root of the `ExecutionPayloadBid`.
        object_root: Root,
    },
}
