//! Sync committees: the committee, what it signs, and how its signatures are collected.

use super::basic::{BLSPubkey, BLSSignature, Root, Slot, ValidatorIndex};
use crate::preset::{SYNC_COMMITTEE_SIZE, SYNC_SUBCOMMITTEE_SIZE};
use crate::ssz::{BitVector, Vector, container};

container! {
    /// A block's collected signatures on its parent. Spec: altair/beacon-chain.md, `SyncAggregate`.
    pub struct SyncAggregate {
        sync_committee_bits: BitVector [SYNC_COMMITTEE_SIZE],
        sync_committee_signature: BLSSignature,
    }
}

container! {
    /// The public keys of a sync committee, with repetitions. Spec: altair/beacon-chain.md, `SyncCommittee`.
    pub struct SyncCommittee {
        pubkeys: Vector<BLSPubkey> [SYNC_COMMITTEE_SIZE],
        aggregate_pubkey: BLSPubkey,
    }
}

container! {
    /// One member's signature on a block root. Spec: altair/validator.md, `SyncCommitteeMessage`.
    pub struct SyncCommitteeMessage {
        slot: Slot,
        beacon_block_root: Root,
        validator_index: ValidatorIndex,
        signature: BLSSignature,
    }
}

container! {
    /// The aggregated messages of one subcommittee. Spec: altair/validator.md, `SyncCommitteeContribution`.
    pub struct SyncCommitteeContribution {
        slot: Slot,
        beacon_block_root: Root,
        subcommittee_index: u64,
        aggregation_bits: BitVector [SYNC_SUBCOMMITTEE_SIZE],
        signature: BLSSignature,
    }
}

container! {
    /// A contribution with the proof that its sender was chosen to aggregate.
    ///
    /// Spec: altair/validator.md, `ContributionAndProof`.
    pub struct ContributionAndProof {
        aggregator_index: ValidatorIndex,
        contribution: SyncCommitteeContribution,
        selection_proof: BLSSignature,
    }
}

container! {
    /// Spec: altair/validator.md, `SignedContributionAndProof`.
    pub struct SignedContributionAndProof {
        message: ContributionAndProof,
        signature: BLSSignature,
    }
}

container! {
    /// What a member signs to learn whether it aggregates. Spec: altair/validator.md, `SyncAggregatorSelectionData`.
    pub struct SyncAggregatorSelectionData {
        slot: Slot,
        subcommittee_index: u64,
    }
}
