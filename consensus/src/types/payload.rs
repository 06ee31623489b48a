//! Separation of proposers and builders inside the protocol (Gloas, EIP-7732 and EIP-8282): builders, their bids, the
//! envelopes in which payloads come, and the committee that votes on their timeliness.

use super::basic::{
    BLSPubkey, BLSSignature, BuilderIndex, Bytes32, Epoch, ExecutionAddress, Gwei, Hash32, KZGCommitment, Root, Slot,
    ValidatorIndex,
};
use super::execution::{ExecutionPayload, ExecutionRequests};
use crate::preset::PTC_SIZE;
use crate::ssz::{BitVector, List, container};

container! {
    /// A registered builder. Spec: gloas/beacon-chain.md, `Builder`.
    batched;
    pub struct Builder {
        pubkey: BLSPubkey,
        version: u8,
        execution_address: ExecutionAddress,
        balance: Gwei,
        deposit_epoch: Epoch,
        withdrawable_epoch: Epoch,
    }
}

container! {
    /// What a builder owes a proposer, once accepted. Spec: gloas/beacon-chain.md, `BuilderPendingWithdrawal`.
    #[derive(Copy)]
    pub struct BuilderPendingWithdrawal {
        fee_recipient: ExecutionAddress,
        amount: Gwei,
        builder_index: BuilderIndex,
    }
}

container! {
    /// What a builder will owe when enough weight has voted for the block. Spec: gloas/beacon-chain.md,
    /// `BuilderPendingPayment`.
    #[derive(Copy)]
    pub struct BuilderPendingPayment {
        weight: Gwei,
        withdrawal: BuilderPendingWithdrawal,
        proposer_index: ValidatorIndex,
    }
}

container! {
    /// A builder's deposit reported by the execution layer. Spec: gloas/beacon-chain.md, `BuilderDepositRequest`.
    pub struct BuilderDepositRequest {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
        signature: BLSSignature,
    }
}

container! {
    /// A builder's exit asked for from the execution layer. Spec: gloas/beacon-chain.md, `BuilderExitRequest`.
    pub struct BuilderExitRequest {
        source_address: ExecutionAddress,
        pubkey: BLSPubkey,
    }
}

container! {
    /// What the payload timeliness committee votes on. Spec: gloas/beacon-chain.md, `PayloadAttestationData`.
    #[derive(Copy, Hash)]
    pub struct PayloadAttestationData {
        beacon_block_root: Root,
        slot: Slot,
        payload_present: bool,
        blob_data_available: bool,
    }
}

container! {
    /// Equal votes of the payload timeliness committee, aggregated. Spec: gloas/beacon-chain.md,
    /// `PayloadAttestation`.
    progressive Gloas..;
    pub struct PayloadAttestation {
        aggregation_bits: BitVector [PTC_SIZE],
        data: PayloadAttestationData,
        signature: BLSSignature,
    }
}

container! {
    /// One committee member's vote as it is gossiped. Spec: gloas/beacon-chain.md, `PayloadAttestationMessage`.
    pub struct PayloadAttestationMessage {
        validator_index: ValidatorIndex,
        data: PayloadAttestationData,
        signature: BLSSignature,
    }
}

container! {
    /// A payload attestation with the indices of its voters written out; a validator may occur more than once.
    ///
    /// Spec: gloas/beacon-chain.md, `IndexedPayloadAttestation`.
    progressive Gloas..;
    pub struct IndexedPayloadAttestation {
        attesting_indices: List<ValidatorIndex> [PTC_SIZE],
        data: PayloadAttestationData,
        signature: BLSSignature,
    }
}

container! {
    /// A builder's promise of a payload and of what it pays for it. Spec: gloas/beacon-chain.md,
    /// `ExecutionPayloadBid`.
    progressive Gloas..;
    pub struct ExecutionPayloadBid {
        parent_block_hash: Hash32,
        parent_block_root: Root,
        block_hash: Hash32,
        prev_randao: Bytes32,
        fee_recipient: ExecutionAddress,
        gas_limit: u64,
        builder_index: BuilderIndex,
        slot: Slot,
        value: Gwei,
        execution_payment: Gwei,
        blob_kzg_commitments: List<KZGCommitment> [progressive],
        execution_requests_root: Root,
    }
}

container! {
    /// Spec: gloas/beacon-chain.md, `SignedExecutionPayloadBid`.
    pub struct SignedExecutionPayloadBid {
        message: ExecutionPayloadBid,
        signature: BLSSignature,
    }
}

container! {
    /// The payload that a block's bid promised. Spec: gloas/beacon-chain.md, `ExecutionPayloadEnvelope`.
    progressive Gloas..;
    pub struct ExecutionPayloadEnvelope {
        payload: ExecutionPayload,
        execution_requests: ExecutionRequests,
        builder_index: BuilderIndex,
        beacon_block_root: Root,
        parent_beacon_block_root: Root,
    }
}

container! {
    /// Spec: gloas/beacon-chain.md, `SignedExecutionPayloadEnvelope`.
    pub struct SignedExecutionPayloadEnvelope {
        message: ExecutionPayloadEnvelope,
        signature: BLSSignature,
    }
}

container! {
    /// What a proposer tells builders before its slot. Spec: gloas/p2p-interface.md, `ProposerPreferences`.
    pub struct ProposerPreferences {
        dependent_root: Root,
        proposal_slot: Slot,
        validator_index: ValidatorIndex,
        fee_recipient: ExecutionAddress,
        target_gas_limit: u64,
    }
}

container! {
    /// Spec: gloas/p2p-interface.md, `SignedProposerPreferences`.
    pub struct SignedProposerPreferences {
        message: ProposerPreferences,
        signature: BLSSignature,
    }
}
