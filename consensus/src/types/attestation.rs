//! Votes: attestations in the forms they have on gossip, in blocks, in slashings and (phase0) in the state.
//!
//! Electra lets one attestation span all committees of a slot: its bits are as long as all of them together, and
//! `committee_bits` say which committees they are. Gloas lifts the limits.

use super::basic::{BLSSignature, CommitteeIndex, Epoch, Root, Slot, ValidatorIndex};
use crate::preset::{MAX_COMMITTEES_PER_SLOT, MAX_VALIDATORS_PER_COMMITTEE, MAX_VALIDATORS_PER_SLOT};
use crate::ssz::{BitList, BitVector, List, container};

container! {
    /// An epoch and the root of its first block. Spec: phase0/beacon-chain.md, `Checkpoint`.
    #[derive(Copy, Hash, PartialOrd, Ord)]
    pub struct Checkpoint {
        epoch: Epoch,
        root: Root,
    }
}

container! {
    /// What an attester votes for. From Electra on `index` is 0, and from Gloas on it is 1 when the attester has seen
    /// the payload of an earlier block. Spec: phase0/beacon-chain.md, `AttestationData`.
    #[derive(Copy, Hash)]
    pub struct AttestationData {
        slot: Slot,
        index: CommitteeIndex,
        beacon_block_root: Root,
        source: Checkpoint,
        target: Checkpoint,
    }
}

container! {
    /// Votes of one committee (before Electra) or of the committees in `committee_bits`, aggregated.
    ///
    /// Spec: phase0/beacon-chain.md, electra/beacon-chain.md and gloas/beacon-chain.md, `Attestation`.
    progressive Gloas..;
    pub struct Attestation {
        aggregation_bits: BitList [
            MAX_VALIDATORS_PER_COMMITTEE ..Electra,
            MAX_VALIDATORS_PER_SLOT Electra..Gloas,
            progressive Gloas..
        ],
        data: AttestationData,
        signature: BLSSignature,
        committee_bits: BitVector [MAX_COMMITTEES_PER_SLOT] => Electra..,
    }
}

container! {
    /// One validator's vote as it is gossiped since Electra. Spec: electra/beacon-chain.md, `SingleAttestation`.
    pub struct SingleAttestation {
        committee_index: CommitteeIndex,
        attester_index: ValidatorIndex,
        data: AttestationData,
        signature: BLSSignature,
    }
}

container! {
    /// An attestation with the indices of its voters written out, ascending, as slashings carry it.
    ///
    /// Spec: phase0/beacon-chain.md, electra/beacon-chain.md and gloas/beacon-chain.md, `IndexedAttestation`.
    progressive Gloas..;
    pub struct IndexedAttestation {
        attesting_indices: List<ValidatorIndex> [
            MAX_VALIDATORS_PER_COMMITTEE ..Electra,
            MAX_VALIDATORS_PER_SLOT Electra..Gloas,
            progressive Gloas..
        ],
        data: AttestationData,
        signature: BLSSignature,
    }
}

container! {
    /// An attestation as the phase0 state keeps it until the epoch's end (`inclusion_delay` in slots).
    ///
    /// Spec: phase0/beacon-chain.md, `PendingAttestation`.
    pub struct PendingAttestation {
        aggregation_bits: BitList [MAX_VALIDATORS_PER_COMMITTEE],
        data: AttestationData,
        inclusion_delay: Slot,
        proposer_index: ValidatorIndex,
    }
}

container! {
    /// An aggregate with the proof that its sender was chosen to aggregate.
    ///
    /// Spec: phase0/validator.md and electra/validator.md, `AggregateAndProof`.
    pub struct AggregateAndProof {
        aggregator_index: ValidatorIndex,
        aggregate: Attestation,
        selection_proof: BLSSignature,
    }
}

container! {
    /// Spec: phase0/validator.md and electra/validator.md, `SignedAggregateAndProof`.
    pub struct SignedAggregateAndProof {
        message: AggregateAndProof,
        signature: BLSSignature,
    }
}
