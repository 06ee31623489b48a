//! Containers of the builder API (builder-specs), used with external builders up to Fulu: the proposer's registration,
//! the builder's bid, and the block that is signed without seeing the payload.

use super::attestation::Attestation;
use super::basic::{BLSPubkey, BLSSignature, Bytes32, ExecutionAddress, KZGCommitment, Root, Slot, ValidatorIndex};
use super::bundles::BlobsBundle;
use super::execution::{ExecutionPayload, ExecutionPayloadHeader, ExecutionRequests};
use super::operations::{
    AttesterSlashing, Deposit, Eth1Data, ProposerSlashing, SignedBLSToExecutionChange, SignedVoluntaryExit,
};
use super::sync::SyncAggregate;
use crate::preset::{
    MAX_ATTESTATIONS, MAX_ATTESTATIONS_ELECTRA, MAX_ATTESTER_SLASHINGS, MAX_ATTESTER_SLASHINGS_ELECTRA,
    MAX_BLOB_COMMITMENTS_PER_BLOCK, MAX_BLS_TO_EXECUTION_CHANGES, MAX_DEPOSITS, MAX_PROPOSER_SLASHINGS,
    MAX_VOLUNTARY_EXITS,
};
use crate::ssz::{List, U256, container};

container! {
    /// A proposer's wishes (`timestamp` in seconds). Spec: builder-specs bellatrix/builder.md,
    /// `ValidatorRegistrationV1`.
    pub struct ValidatorRegistrationV1 {
        fee_recipient: ExecutionAddress,
        gas_limit: u64,
        timestamp: u64,
        pubkey: BLSPubkey,
    }
}

container! {
    /// Spec: builder-specs bellatrix/builder.md, `SignedValidatorRegistrationV1`.
    pub struct SignedValidatorRegistrationV1 {
        message: ValidatorRegistrationV1,
        signature: BLSSignature,
    }
}

container! {
    /// An offer of a payload (`value` in Wei). Spec: `BuilderBid` in builder-specs builder.md of bellatrix, deneb,
    /// electra.
    pub struct BuilderBid {
        header: ExecutionPayloadHeader,
        blob_kzg_commitments: List<KZGCommitment> [MAX_BLOB_COMMITMENTS_PER_BLOCK] => Deneb..,
        execution_requests: ExecutionRequests => Electra..,
        value: U256,
        pubkey: BLSPubkey,
    }
}

container! {
    /// Spec: builder-specs bellatrix/builder.md, `SignedBuilderBid`.
    pub struct SignedBuilderBid {
        message: BuilderBid,
        signature: BLSSignature,
    }
}

container! {
    /// A block's body with the payload's header in place of the payload: the root is the same. Ends with Gloas.
    ///
    /// Spec: `BlindedBeaconBlockBody` in builder-specs builder.md of bellatrix, capella, deneb, electra.
    pub struct BlindedBeaconBlockBody {
        randao_reveal: BLSSignature,
        eth1_data: Eth1Data,
        graffiti: Bytes32,
        proposer_slashings: List<ProposerSlashing> [MAX_PROPOSER_SLASHINGS],
        attester_slashings: List<AttesterSlashing> [
            MAX_ATTESTER_SLASHINGS ..Electra,
            MAX_ATTESTER_SLASHINGS_ELECTRA Electra..
        ],
        attestations: List<Attestation> [MAX_ATTESTATIONS ..Electra, MAX_ATTESTATIONS_ELECTRA Electra..],
        deposits: List<Deposit> [MAX_DEPOSITS],
        voluntary_exits: List<SignedVoluntaryExit> [MAX_VOLUNTARY_EXITS],
        sync_aggregate: SyncAggregate,
        execution_payload_header: ExecutionPayloadHeader,
        bls_to_execution_changes: List<SignedBLSToExecutionChange> [MAX_BLS_TO_EXECUTION_CHANGES] => Capella..,
        blob_kzg_commitments: List<KZGCommitment> [MAX_BLOB_COMMITMENTS_PER_BLOCK] => Deneb..,
        execution_requests: ExecutionRequests => Electra..,
    }
}

container! {
    /// Spec: builder-specs bellatrix/builder.md, `BlindedBeaconBlock`.
    pub struct BlindedBeaconBlock {
        slot: Slot,
        proposer_index: ValidatorIndex,
        parent_root: Root,
        state_root: Root,
        body: BlindedBeaconBlockBody,
    }
}

container! {
    /// Spec: builder-specs bellatrix/builder.md, `SignedBlindedBeaconBlock`.
    pub struct SignedBlindedBeaconBlock {
        message: BlindedBeaconBlock,
        signature: BLSSignature,
    }
}

container! {
    /// A builder's answer to a signed blinded block from Deneb on; before, it is the bare payload.
    ///
    /// Spec: builder-specs deneb/builder.md, `ExecutionPayloadAndBlobsBundle`.
    pub struct ExecutionPayloadAndBlobsBundle {
        execution_payload: ExecutionPayload,
        blobs_bundle: BlobsBundle,
    }
}
