//! Which votes a block takes: those that earn its proposer most.
//!
//! A vote earns by the flags that its voters do not have yet, weighted by their effective balances. Choosing the best few
//! of many overlapping aggregates is a maximum coverage problem; taking the best one again and again comes within
//! 1 - 1/e of the best choice, and in practice much nearer. Since Electra one attestation spans the committees of a slot:
//! as committees share no voters, the best is found committee by committee.
//!
//! A candidate's worth only falls when another is taken, and only within its slot; so the candidates stand in a heap by
//! the worth last computed, and only the one on top is computed again.
//!
//! With a million validators, eight aggregates of each of 64 committees and 52 slots this takes 75 to 90 ms of one core of
//! a server, nearly all of it looking up what each voter has already.

use super::attestations::{AttestationPool, Group};
use super::cover::{Aggregate, Cover};
use super::vote::shuffling_decision_root;
use consensus::constants::PARTICIPATION_FLAG_WEIGHTS;
use consensus::helpers::accessors::{
    get_attestation_participation_flag_indices, get_attesting_indices, get_beacon_committee, get_current_epoch,
};
use consensus::helpers::effective_balances::effective_balance_of;
use consensus::helpers::misc::{add_flag, has_flag};
use consensus::preset::{
    EFFECTIVE_BALANCE_INCREMENT, MAX_ATTESTATIONS, MAX_ATTESTATIONS_ELECTRA, MAX_COMMITTEES_PER_SLOT,
};
use consensus::ssz::{BitList, BitVector, Bytes};
use consensus::transition::block::check_attestation_data;
use consensus::types::{
    Attestation, AttestationData, CommitteeIndex, ParticipationFlags, PendingAttestation, Slot, ValidatorIndex,
};
use consensus::{Fork, Invalid, State, ensure};
use crypto::bls::AggregateSignature;
use std::borrow::Cow;
use std::collections::{BTreeMap, BinaryHeap};

/// One committee of a candidate.
struct Part<'a> {
    index: CommitteeIndex,
    members: Cow<'a, [u32]>,
    cover: &'a Cover,
    /// The aggregate that is worth most now; `None` where none is worth anything.
    best: Option<&'a Aggregate>,
}

/// What may become one attestation of the block: the votes for one thing.
struct Candidate<'a> {
    data: &'a AttestationData,
    /// The flags that these votes earn.
    flags: ParticipationFlags,
    parts: Vec<Part<'a>>,
}

/// See `AttestationPool::pack`.
pub(super) fn pack(pool: &AttestationPool, state: &State) -> Vec<Attestation> {
    let limit = if state.at >= Fork::Electra {
        MAX_ATTESTATIONS_ELECTRA
    } else {
        MAX_ATTESTATIONS
    };
    let mut held = Held::of(state);
    let mut candidates: Vec<Candidate> = pool.groups().filter_map(|group| candidate(state, group)).collect();
    // By worth, then the newest, then whichever: (worth, slot, index, how often its slot was taken from by then).
    let mut heap = BinaryHeap::new();
    for (index, candidate) in candidates.iter_mut().enumerate() {
        let worth = candidate.assess(&held);
        if worth > 0 {
            heap.push((worth, candidate.data.slot, index, 0));
        }
    }
    let mut taken: BTreeMap<Slot, u32> = BTreeMap::new();
    let mut packed = Vec::new();
    // Each round takes an attestation or computes a candidate again, which happens once for each taken of its slot.
    while packed.len() < limit as usize
        && let Some((_, slot, index, seen)) = heap.pop()
    {
        let of_slot = taken.entry(slot).or_default();
        let candidate = &mut candidates[index];
        if seen == *of_slot {
            packed.push(candidate.attestation(state.at));
            candidate.take(&mut held);
            *of_slot += 1;
        }
        let worth = candidate.assess(&held);
        if worth > 0 {
            heap.push((worth, slot, index, *of_slot));
        }
    }
    packed
}

/// The votes of a group that are valid on `state`; `None` if there are none, or they earn nothing.
fn candidate<'a>(state: &'a State, group: &'a Group) -> Option<Candidate<'a>> {
    let flags = earned_flags(state, group).ok().filter(|flags| *flags != 0)?;
    let parts = group.committees.iter().filter_map(|(index, cover)| {
        let members = get_beacon_committee(state, group.data.slot, *index).ok()?;
        let fits = |aggregate: &Aggregate| aggregate.bits.len() == members.len();
        let is_of_committee = cover.aggregates().iter().all(fits) && *index < MAX_COMMITTEES_PER_SLOT;
        is_of_committee.then_some(Part {
            index: *index,
            members,
            cover,
            best: None,
        })
    });
    Some(Candidate {
        data: &group.data,
        flags,
        parts: parts.collect(),
    })
}

/// The flags that the votes of a group earn in a block at the state's slot, and 1 for any before Altair. An error if they
/// are not valid there.
fn earned_flags(state: &State, group: &Group) -> Result<ParticipationFlags, Invalid> {
    let data = &group.data;
    check_attestation_data(state, data)?;
    // On another branch the committees may be others, whose keys the signatures would not fit.
    let (here, there) = (shuffling_decision_root(state, data.target.epoch)?, group.decision_root);
    ensure!(here == there, "attestation shuffling", "{there}, in state {here}");
    if state.at < Fork::Altair {
        let justified = if data.target.epoch == get_current_epoch(state) {
            state.current_justified_checkpoint
        } else {
            state.previous_justified_checkpoint
        };
        ensure!(data.source == justified, "attestation source");
        return Ok(1);
    }
    let delay = state.slot - data.slot; // at least 1, as was checked
    let parent_slot = state.latest_execution_payload_bid.slot;
    let flags = get_attestation_participation_flag_indices(state, data, delay, parent_slot)?;
    Ok(flags.iter().fold(0, |earned, flag| add_flag(earned, *flag)))
}

impl Candidate<'_> {
    /// Chooses the best aggregate of each committee, and returns what they are worth together.
    fn assess(&mut self, held: &Held) -> u64 {
        let mut worth = 0;
        let mut gains = Vec::new();
        for part in &mut self.parts {
            // Aggregates have most voters in common: each is looked up once.
            gains.clear();
            gains.resize(part.members.len(), 0);
            for place in part.cover.voters_of_any().ones() {
                gains[place] = held.gain(self.data, u64::from(part.members[place]), self.flags);
            }
            let worths = part.cover.aggregates().iter();
            let worths = worths.map(|aggregate| (sum_of(&aggregate.bits, &gains), aggregate));
            let best = worths.max_by_key(|(worth, _)| *worth).filter(|(worth, _)| *worth > 0);
            part.best = best.map(|(_, aggregate)| aggregate);
            worth += best.map_or(0, |(worth, _)| worth);
        }
        worth
    }

    /// Gives the chosen voters their flags.
    fn take(&self, held: &mut Held) {
        for part in &self.parts {
            for place in part.best.iter().flat_map(|best| best.bits.ones()) {
                held.give(self.data, u64::from(part.members[place]), self.flags);
            }
        }
    }

    /// What was chosen, as one attestation. Spec: electra/validator.md, `compute_on_chain_aggregate`.
    fn attestation(&self, fork: Fork) -> Attestation {
        let chosen = || self.parts.iter().filter_map(|part| Some((part.index, part.best?)));
        let mut signature = AggregateSignature::new();
        let mut committee_bits = BitVector::default();
        if fork >= Fork::Electra {
            committee_bits = BitVector::new(MAX_COMMITTEES_PER_SLOT as usize);
        }
        for (index, aggregate) in chosen() {
            signature.merge(&aggregate.signature);
            committee_bits.set(index as usize, true);
        }
        Attestation {
            aggregation_bits: chosen().flat_map(|(_, aggregate)| aggregate.bits.iter()).collect(),
            data: *self.data,
            signature: Bytes(signature.signature().to_bytes()),
            committee_bits,
        }
    }
}

/// The sum of what the voters bring, as many as there are places. Without a jump for each bit: there are eight million of
/// them on mainnet.
fn sum_of(bits: &BitList, gains: &[u64]) -> u64 {
    let bytes = bits.as_bytes().iter().zip(gains.chunks(8));
    let sums = bytes.map(|(byte, gains)| {
        let chosen = gains
            .iter()
            .zip(0..8)
            .map(|(gain, bit)| gain * u64::from(byte >> bit & 1));
        chosen.sum::<u64>()
    });
    sums.sum()
}

/// The flags that validators have already, by what is in blocks and by what was taken for this one.
struct Held<'a> {
    state: &'a State,
    /// The epoch that `current` is of; `previous` is of the one before.
    epoch: u64,
    previous: Vec<ParticipationFlags>,
    current: Vec<ParticipationFlags>,
    /// The weight of each combination of the flags that there are.
    weights: [u64; 8],
}

impl<'a> Held<'a> {
    fn of(state: &'a State) -> Self {
        let (previous, current) = if state.at >= Fork::Altair {
            // One pass down the trees is far cheaper than a look-up for each of a million voters.
            (
                state.previous_epoch_participation.to_vec(),
                state.current_epoch_participation.to_vec(),
            )
        } else {
            (
                voters(state, &state.previous_epoch_attestations),
                voters(state, &state.current_epoch_attestations),
            )
        };
        let weight_of = |flags: usize| -> u64 {
            let weights = PARTICIPATION_FLAG_WEIGHTS.iter().enumerate();
            let of_flags = weights.filter(|(flag, _)| has_flag(flags as ParticipationFlags, *flag));
            of_flags.map(|(_, weight)| weight).sum()
        };
        Held {
            state,
            epoch: get_current_epoch(state),
            previous,
            current,
            weights: std::array::from_fn(weight_of),
        }
    }

    fn of_epoch(&self, data: &AttestationData) -> &[ParticipationFlags] {
        if data.target.epoch == self.epoch {
            &self.current
        } else {
            &self.previous
        }
    }

    /// What a vote brings, as weight times increments of balance: the proposer's share of it is the same for all.
    fn gain(&self, data: &AttestationData, voter: ValidatorIndex, flags: ParticipationFlags) -> u64 {
        let held = self.of_epoch(data).get(voter as usize).copied().unwrap_or(u8::MAX);
        let new = flags & !held;
        if new == 0 {
            return 0;
        }
        let increments = effective_balance_of(self.state, voter) / EFFECTIVE_BALANCE_INCREMENT;
        increments * self.weights[usize::from(new & 7)]
    }

    fn give(&mut self, data: &AttestationData, voter: ValidatorIndex, flags: ParticipationFlags) {
        let of_epoch = if data.target.epoch == self.epoch {
            &mut self.current
        } else {
            &mut self.previous
        };
        if let Some(held) = of_epoch.get_mut(voter as usize) {
            *held |= flags;
        }
    }
}

/// Before Altair: 1 for everybody whose vote is in a block.
fn voters(state: &State, pending: &[PendingAttestation]) -> Vec<ParticipationFlags> {
    let mut voted = vec![0; state.validators.len()];
    for vote in pending {
        let attestation = Attestation {
            aggregation_bits: vote.aggregation_bits.clone(),
            data: vote.data,
            ..Attestation::default()
        };
        // What is in the state was valid; if not, it has no voters that matter.
        for voter in get_attesting_indices(state, &attestation).unwrap_or_default() {
            if let Some(held) = voted.get_mut(voter as usize) {
                *held = 1;
            }
        }
    }
    voted
}
