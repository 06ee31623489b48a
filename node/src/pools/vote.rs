//! A checked vote in the form that the pool takes: what costs time, decompressing its signature and finding its voter's
//! place, is done here, on the worker that checked the vote.

use super::cover::sum_of;
use consensus::helpers::accessors::{get_beacon_committee, get_block_root_at_slot};
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch, get_committee_indices};
use consensus::signing::parse_signature;
use consensus::ssz::{BitList, Root, Ssz};
use consensus::types::{Attestation, AttestationData, CommitteeIndex, Epoch, SingleAttestation};
use consensus::{Fork, Invalid, State, ensure};
use crypto::bls::AggregateSignature;

/// Votes of one committee, whose signature was checked.
#[derive(Clone, Debug)]
pub struct PoolVote {
    pub(super) data: AttestationData,
    pub(super) data_root: Root,
    pub(super) committee_index: CommitteeIndex,
    /// As long as the committee.
    pub(super) bits: BitList,
    pub(super) signature: AggregateSignature,
    /// What the committee was drawn from; see `shuffling_decision_root`.
    pub(super) decision_root: Root,
}

/// The block that decided the committees of `epoch`: the last one before the epoch ahead of it. States with the same one
/// have the same committees. Zero for the first two epochs, which genesis decides. An error if the state is too old or
/// too young to know it.
pub(super) fn shuffling_decision_root(state: &State, epoch: Epoch) -> Result<Root, Invalid> {
    match compute_start_slot_at_epoch(epoch.saturating_sub(1)).checked_sub(1) {
        Some(slot) => get_block_root_at_slot(state, slot),
        None => Ok(Root::ZERO),
    }
}

impl PoolVote {
    /// One validator's vote as it is gossiped since Electra. `state` is the one that it was checked with, or any other
    /// that knows its committee. An error if the attester is not in the committee or the signature is no point.
    pub fn of_single(state: &State, vote: &SingleAttestation) -> Result<Self, Invalid> {
        let committee = get_beacon_committee(state, vote.data.slot, vote.committee_index)?;
        let place = committee
            .iter()
            .position(|member| u64::from(*member) == vote.attester_index);
        let place = place.ok_or_else(|| {
            let detail = format!("validator {} is not in {}", vote.attester_index, vote.committee_index);
            Invalid::new("attester committee", detail)
        })?;
        let bits = (0..committee.len()).map(|other| other == place).collect();
        Self::new(state, &vote.data, vote.committee_index, bits, &vote.signature)
    }

    /// An aggregate, or before Electra a single vote. An error if it spans several committees, as those in blocks do, if
    /// its bits do not have the committee's length, nobody votes, or the signature is no point.
    pub fn of_attestation(state: &State, attestation: &Attestation) -> Result<Self, Invalid> {
        let data = &attestation.data;
        // Before Electra the field is not on the wire, and empty.
        let committee_index = if attestation.committee_bits.is_empty() {
            data.index
        } else {
            let committees = get_committee_indices(&attestation.committee_bits);
            ensure!(
                committees.len() == 1,
                "attestation committees",
                "{}, the pool takes one",
                committees.len()
            );
            committees[0]
        };
        let members = get_beacon_committee(state, data.slot, committee_index)?.len();
        let bits = &attestation.aggregation_bits;
        ensure!(
            bits.len() == members,
            "aggregation bits length",
            "{}, the committee has {members} members",
            bits.len()
        );
        ensure!(bits.any(), "aggregation bits", "nobody votes");
        Self::new(state, data, committee_index, bits.clone(), &attestation.signature)
    }

    fn new(
        state: &State,
        data: &AttestationData,
        committee_index: CommitteeIndex,
        bits: BitList,
        signature: &consensus::types::BLSSignature,
    ) -> Result<Self, Invalid> {
        Ok(PoolVote {
            data: *data,
            data_root: data.hash_tree_root(Fork::Phase0),
            committee_index,
            bits,
            signature: sum_of(&parse_signature("attestation signature", signature)?),
            decision_root: shuffling_decision_root(state, compute_epoch_at_slot(data.slot))?,
        })
    }

    /// What is voted for.
    pub fn data(&self) -> &AttestationData {
        &self.data
    }
}
