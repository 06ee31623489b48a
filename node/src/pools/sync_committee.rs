//! Signatures of the sync committee on block roots, until the next slot's block takes them.
//!
//! A member may have several seats, and signs for each: its signature counts once for every seat.

use super::Inserted;
use super::cover::{Cover, sum_of};
use consensus::constants::{G2_POINT_AT_INFINITY, SYNC_COMMITTEE_SUBNET_COUNT};
use consensus::duties::signing_sync_committee;
use consensus::helpers::accessors::validator;
use consensus::preset::{SYNC_COMMITTEE_SIZE, SYNC_SUBCOMMITTEE_SIZE};
use consensus::signing::parse_signature;
use consensus::ssz::{BitList, BitVector, Bytes, Root};
use consensus::types::{Slot, SyncAggregate, SyncCommitteeContribution, SyncCommitteeMessage, ValidatorIndex};
use consensus::{Invalid, State, ensure};
use crypto::bls::AggregateSignature;
use std::collections::BTreeMap;

/// Different block roots of one slot: honest members agree on one or two, more come only from members who lie.
const MAX_ROOTS_PER_SLOT: usize = 16;

/// Slots that are kept: a block takes signatures of the slot before it, and clocks differ a little.
const MAX_SLOTS: usize = 4;

/// Signatures of one subcommittee on one block root, checked.
#[derive(Clone, Debug)]
pub struct SyncVote {
    slot: Slot,
    beacon_block_root: Root,
    /// For each subcommittee with a seat of a signer: who of it signed, and the sum of as many signatures.
    parts: Vec<(usize, BitList, AggregateSignature)>,
}

impl SyncVote {
    /// One member's message, for all of its seats. An error if the validator is not in the committee that `state` knows
    /// for the slot, or the signature is no point.
    pub fn of_message(state: &State, message: &SyncCommitteeMessage) -> Result<Self, Invalid> {
        let seats = Self::seats(state, message.slot, message.validator_index)?;
        let signature = parse_signature("sync committee signature", &message.signature)?;
        let mut parts: Vec<(usize, BitList, AggregateSignature)> = Vec::new();
        for seat in seats {
            let (subcommittee, place) = (
                seat / SYNC_SUBCOMMITTEE_SIZE as usize,
                seat % SYNC_SUBCOMMITTEE_SIZE as usize,
            );
            if parts.last().is_none_or(|(last, ..)| *last != subcommittee) {
                let nobody = BitList::new(SYNC_SUBCOMMITTEE_SIZE as usize);
                parts.push((subcommittee, nobody, AggregateSignature::new()));
            }
            if let Some((_, bits, sum)) = parts.last_mut() {
                bits.set(place, true);
                sum.add(&signature);
            }
        }
        Ok(SyncVote {
            slot: message.slot,
            beacon_block_root: message.beacon_block_root,
            parts,
        })
    }

    /// The seats of a validator in the committee that signs at `slot`, ascending; an error if it has none.
    fn seats(state: &State, slot: Slot, validator_index: ValidatorIndex) -> Result<Vec<usize>, Invalid> {
        let pubkey = &validator(state, validator_index)?.pubkey;
        let members = signing_sync_committee(state, slot)?.pubkeys.iter().enumerate();
        let seats: Vec<usize> = members
            .filter(|(_, member)| *member == pubkey)
            .map(|(seat, _)| seat)
            .collect();
        ensure!(
            !seats.is_empty(),
            "sync committee",
            "validator {validator_index} is not in it at slot {slot}"
        );
        Ok(seats)
    }

    /// A contribution. An error if there is no such subcommittee, nobody signed, or the signature is no point.
    pub fn of_contribution(contribution: &SyncCommitteeContribution) -> Result<Self, Invalid> {
        let (index, bits) = (contribution.subcommittee_index, &contribution.aggregation_bits);
        ensure!(
            index < SYNC_COMMITTEE_SUBNET_COUNT,
            "sync subcommittee index",
            "{index}, there are {SYNC_COMMITTEE_SUBNET_COUNT}"
        );
        ensure!(
            bits.len() as u64 == SYNC_SUBCOMMITTEE_SIZE && bits.any(),
            "sync subcommittee bits",
            "{bits:?} for {SYNC_SUBCOMMITTEE_SIZE} members"
        );
        let signature = parse_signature("sync contribution signature", &contribution.signature)?;
        Ok(SyncVote {
            slot: contribution.slot,
            beacon_block_root: contribution.beacon_block_root,
            parts: vec![(index as usize, bits.iter().collect(), sum_of(&signature))],
        })
    }
}

/// Signatures on one block root, by subcommittee.
type Covers = [Cover; SYNC_COMMITTEE_SUBNET_COUNT as usize];

fn voters(covers: &Covers) -> usize {
    covers.iter().map(Cover::voters).sum()
}

/// The pool of sync committee signatures. Small enough to be cloned as it is: a full slot with one root is 40 kB.
#[derive(Clone, Debug, Default)]
pub struct SyncCommitteePool {
    slots: BTreeMap<Slot, BTreeMap<Root, Covers>>,
}

impl SyncCommitteePool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes signatures in, and adds them to those of their subcommittees.
    pub fn insert(&mut self, vote: &SyncVote) -> Inserted {
        if !self.slots.contains_key(&vote.slot) && self.slots.len() >= MAX_SLOTS {
            let oldest = self.slots.keys().next().copied();
            if oldest.is_none_or(|oldest| vote.slot < oldest) {
                return Inserted::Full("the signature is older than all that are kept");
            }
            self.slots.pop_first();
        }
        let roots = self.slots.entry(vote.slot).or_default();
        if !roots.contains_key(&vote.beacon_block_root) && roots.len() >= MAX_ROOTS_PER_SLOT {
            // The root that fewest have signed makes room.
            let signers: usize = vote.parts.iter().map(|(_, bits, _)| bits.count_ones()).sum();
            let smallest = roots.iter().map(|(root, covers)| (voters(covers), *root)).min();
            match smallest {
                Some((voters, root)) if voters <= signers => roots.remove(&root),
                _ => return Inserted::Full("too many different block roots in the slot"),
            };
        }
        let covers = roots.entry(vote.beacon_block_root).or_default();
        let mut is_new = false;
        for (subcommittee, bits, signature) in &vote.parts {
            if let Some(cover) = covers.get_mut(*subcommittee) {
                is_new |= cover.insert(bits, signature);
            }
        }
        if is_new { Inserted::New } else { Inserted::Known }
    }

    /// Drops what no block of `current_slot` or later can take, but for one slot, since another node's block may be late.
    pub fn prune(&mut self, current_slot: Slot) {
        self.slots.retain(|slot, _| slot.saturating_add(2) >= current_slot);
    }

    /// The contribution of a subcommittee with the most signers; `None` if nobody signed.
    ///
    /// Spec: beacon-APIs, `produceSyncCommitteeContribution`; altair/validator.md, "Construct sync committee contribution".
    pub fn get_contribution(
        &self,
        slot: Slot,
        beacon_block_root: Root,
        subcommittee_index: u64,
    ) -> Option<SyncCommitteeContribution> {
        let covers = self.slots.get(&slot)?.get(&beacon_block_root)?;
        let best = covers.get(subcommittee_index as usize)?.largest()?;
        Some(SyncCommitteeContribution {
            slot,
            beacon_block_root,
            subcommittee_index,
            aggregation_bits: best.bits.iter().collect(),
            signature: Bytes(best.signature.signature().to_bytes()),
        })
    }

    /// What the block of the slot after `slot` says of its parent: the signatures on `beacon_block_root`, the block as seen
    /// at `slot`. With nobody's where there are none.
    ///
    /// Spec: altair/validator.md, "Sync committee" in block proposal.
    pub fn get_sync_aggregate(&self, slot: Slot, beacon_block_root: Root) -> SyncAggregate {
        let mut sync_committee_bits = BitVector::new(SYNC_COMMITTEE_SIZE as usize);
        let mut sum = AggregateSignature::new();
        let covers = self.slots.get(&slot).and_then(|roots| roots.get(&beacon_block_root));
        for (subcommittee, cover) in covers.into_iter().flatten().enumerate() {
            let Some(best) = cover.largest() else { continue };
            for place in best.bits.ones() {
                sync_committee_bits.set(subcommittee * SYNC_SUBCOMMITTEE_SIZE as usize + place, true);
            }
            sum.merge(&best.signature);
        }
        if !sync_committee_bits.any() {
            return SyncAggregate {
                sync_committee_bits,
                sync_committee_signature: G2_POINT_AT_INFINITY,
            };
        }
        SyncAggregate {
            sync_committee_bits,
            sync_committee_signature: Bytes(sum.signature().to_bytes()),
        }
    }
}
