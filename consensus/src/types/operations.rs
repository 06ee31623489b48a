//! Operations that blocks carry besides attestations: slashings, deposits, exits, credential changes.

use super::attestation::IndexedAttestation;
use super::basic::{BLSPubkey, BLSSignature, Bytes32, Epoch, ExecutionAddress, Gwei, Hash32, Root, ValidatorIndex};
use super::block::SignedBeaconBlockHeader;
use crate::constants::DEPOSIT_PROOF_LENGTH;
use crate::ssz::{Vector, container};

container! {
    /// What is known of the deposit contract at an eth1 block. Spec: phase0/beacon-chain.md, `Eth1Data`.
    #[derive(Copy, Hash)]
    batched;
    pub struct Eth1Data {
        deposit_root: Root,
        deposit_count: u64,
        block_hash: Hash32,
    }
}

container! {
    /// What an eth1 vote needs of an eth1 block (`timestamp` in seconds). Spec: phase0/validator.md, `Eth1Block`.
    pub struct Eth1Block {
        timestamp: u64,
        deposit_root: Root,
        deposit_count: u64,
    }
}

container! {
    /// Two different headers of one proposer for one slot. Spec: phase0/beacon-chain.md, `ProposerSlashing`.
    pub struct ProposerSlashing {
        signed_header_1: SignedBeaconBlockHeader,
        signed_header_2: SignedBeaconBlockHeader,
    }
}

container! {
    /// Two votes that contradict each other. Spec: phase0/beacon-chain.md, `AttesterSlashing`.
    pub struct AttesterSlashing {
        attestation_1: IndexedAttestation,
        attestation_2: IndexedAttestation,
    }
}

container! {
    /// What a depositor signs. Spec: phase0/beacon-chain.md, `DepositMessage`.
    pub struct DepositMessage {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
    }
}

container! {
    /// A deposit as the contract logs it. Spec: phase0/beacon-chain.md, `DepositData`.
    pub struct DepositData {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
        signature: BLSSignature,
    }
}

container! {
    /// A deposit with its branch to `eth1_data.deposit_root`. Spec: phase0/beacon-chain.md, `Deposit`.
    pub struct Deposit {
        proof: Vector<Bytes32> [DEPOSIT_PROOF_LENGTH],
        data: DepositData,
    }
}

container! {
    /// A validator's wish to leave, valid from `epoch` on. Spec: phase0/beacon-chain.md, `VoluntaryExit`.
    pub struct VoluntaryExit {
        epoch: Epoch,
        validator_index: ValidatorIndex,
    }
}

container! {
    /// Spec: phase0/beacon-chain.md, `SignedVoluntaryExit`.
    pub struct SignedVoluntaryExit {
        message: VoluntaryExit,
        signature: BLSSignature,
    }
}

container! {
    /// A change from BLS to execution withdrawal credentials. Spec: capella/beacon-chain.md, `BLSToExecutionChange`.
    pub struct BLSToExecutionChange {
        validator_index: ValidatorIndex,
        from_bls_pubkey: BLSPubkey,
        to_execution_address: ExecutionAddress,
    }
}

container! {
    /// Spec: capella/beacon-chain.md, `SignedBLSToExecutionChange`.
    pub struct SignedBLSToExecutionChange {
        message: BLSToExecutionChange,
        signature: BLSSignature,
    }
}
