//! Beacon blocks and their headers.

use super::attestation::Attestation;
use super::basic::{BLSSignature, Bytes32, KZGCommitment, Root, Slot, ValidatorIndex};
use super::execution::{ExecutionPayload, ExecutionRequests};
use super::operations::{
    AttesterSlashing, Deposit, Eth1Data, ProposerSlashing, SignedBLSToExecutionChange, SignedVoluntaryExit,
};
use super::payload::{PayloadAttestation, SignedExecutionPayloadBid};
use super::sync::SyncAggregate;
use crate::preset::{
    MAX_ATTESTATIONS, MAX_ATTESTATIONS_ELECTRA, MAX_ATTESTER_SLASHINGS, MAX_ATTESTER_SLASHINGS_ELECTRA,
    MAX_BLOB_COMMITMENTS_PER_BLOCK, MAX_BLS_TO_EXECUTION_CHANGES, MAX_DEPOSITS, MAX_PROPOSER_SLASHINGS,
    MAX_VOLUNTARY_EXITS,
};
use crate::ssz::{List, container};

container! {
    /// A block with its body replaced by the body's root. Spec: phase0/beacon-chain.md, `BeaconBlockHeader`.
    #[derive(Copy, Hash)]
    pub struct BeaconBlockHeader {
        slot: Slot,
        proposer_index: ValidatorIndex,
        parent_root: Root,
        state_root: Root,
        body_root: Root,
    }
}

container! {
    /// Spec: phase0/beacon-chain.md, `SignedBeaconBlockHeader`.
    #[derive(Copy, Hash)]
    pub struct SignedBeaconBlockHeader {
        message: BeaconBlockHeader,
        signature: BLSSignature,
    }
}

container! {
    /// What a block says. From Gloas on the payload is not in it: a bid is, with the votes on the parent's payload and
    /// the parent payload's requests.
    ///
    /// Spec: `BeaconBlockBody` in beacon-chain.md of phase0, altair, bellatrix, capella, deneb, electra, gloas.
    progressive Gloas..;
    pub struct BeaconBlockBody {
        randao_reveal: BLSSignature,
        eth1_data: Eth1Data,
        graffiti: Bytes32,
        proposer_slashings: List<ProposerSlashing> [MAX_PROPOSER_SLASHINGS ..Gloas, progressive Gloas..],
        attester_slashings: List<AttesterSlashing> [
            MAX_ATTESTER_SLASHINGS ..Electra,
            MAX_ATTESTER_SLASHINGS_ELECTRA Electra..Gloas,
            progressive Gloas..
        ],
        attestations: List<Attestation> [
            MAX_ATTESTATIONS ..Electra,
            MAX_ATTESTATIONS_ELECTRA Electra..Gloas,
            progressive Gloas..
        ],
        deposits: List<Deposit> [MAX_DEPOSITS ..Gloas, progressive Gloas..],
        voluntary_exits: List<SignedVoluntaryExit> [MAX_VOLUNTARY_EXITS ..Gloas, progressive Gloas..],
        sync_aggregate: SyncAggregate => Altair..,
        execution_payload: ExecutionPayload => Bellatrix..Gloas,
        bls_to_execution_changes: List<SignedBLSToExecutionChange> [
            MAX_BLS_TO_EXECUTION_CHANGES ..Gloas,
            progressive Gloas..
        ] => Capella..,
        blob_kzg_commitments: List<KZGCommitment> [MAX_BLOB_COMMITMENTS_PER_BLOCK] => Deneb..Gloas,
        execution_requests: ExecutionRequests => Electra..Gloas,
        signed_execution_payload_bid: SignedExecutionPayloadBid => Gloas..,
        payload_attestations: List<PayloadAttestation> [progressive] => Gloas..,
        parent_execution_requests: ExecutionRequests => Gloas..,
    }
}

container! {
    /// Spec: phase0/beacon-chain.md, `BeaconBlock`.
    pub struct BeaconBlock {
        slot: Slot,
        proposer_index: ValidatorIndex,
        parent_root: Root,
        state_root: Root,
        body: BeaconBlockBody,
    }
}

container! {
    /// Spec: phase0/beacon-chain.md, `SignedBeaconBlock`.
    pub struct SignedBeaconBlock {
        message: BeaconBlock,
        signature: BLSSignature,
    }
}
