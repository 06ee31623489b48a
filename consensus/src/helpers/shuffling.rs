//! The swap-or-not shuffle that assigns validators to committees.
//!
//! [`compute_shuffled_index`] is the spec's function and follows one index through all rounds, two hashes a round.
//! [`shuffle_list`] takes a whole list through round by round: one hash then decides 256 swaps. A committee of an epoch
//! is a slice of such a list, so everything but proposer selection wants the latter.

use crypto::bls::PublicKeySum;
use crypto::hash::{Hash256, sha256};
use std::hint::select_unpredictable;
use std::sync::OnceLock;

use crate::constants::DOMAIN_BEACON_ATTESTER;
use crate::helpers::accessors::{committee_count, get_active_validator_indices, get_seed};
use crate::helpers::voters_key::CommitteeSums;
use crate::preset::{SHUFFLE_ROUND_COUNT, SLOTS_PER_EPOCH};
use crate::state::State;
use crate::types::{CommitteeIndex, Epoch, Slot, ValidatorIndex};

/// Positions that the bits of one hash decide.
const POSITIONS_PER_HASH: usize = 256;

/// The shuffled position of `index` in a list of `index_count`; `None` unless `index < index_count`.
///
/// Spec: phase0/beacon-chain.md, `compute_shuffled_index`.
pub fn compute_shuffled_index(index: u64, index_count: u64, seed: &Hash256) -> Option<u64> {
    (index < index_count).then(|| shuffle_one(index, index_count, seed, |round| pivot_of(seed, round, index_count)))
}

/// Follows one index through all rounds; `index < index_count`.
fn shuffle_one(index: u64, index_count: u64, seed: &Hash256, pivot: impl Fn(u64) -> u64) -> u64 {
    let mut index = index;
    for round in 0..SHUFFLE_ROUND_COUNT {
        let pivot = pivot(round);
        // Both below `index_count`, so the sum is taken in 128 bits and the result fits again.
        let flip = ((u128::from(pivot) + u128::from(index_count) - u128::from(index)) % u128::from(index_count)) as u64;
        let position = index.max(flip);
        if swaps(&source_of(seed, round, position), position as usize) {
            index = flip;
        }
    }
    index
}

/// The shuffled order of a list, asked for place by place.
///
/// Nobody knows beforehand how many places a selection asks for: two or thirty thousand. The first are followed one by
/// one, pivots remembered; when that has cost as much as shuffling the whole list would, the whole list is shuffled.
#[derive(Debug)]
pub struct ShuffledOrder<'a> {
    seed: &'a Hash256,
    count: u64,
    pivots: Vec<u64>,
    /// Places that may still be followed alone.
    alone: u64,
    list: Vec<u32>,
}

impl<'a> ShuffledOrder<'a> {
    /// Following one index costs a hash a round, shuffling a list about this many times less per item.
    const ITEMS_PER_PLACE: u64 = 64;

    /// The order of a list of `count` items. Errors are none; asking for places in an empty list is answered by 0.
    pub fn new(count: u64, seed: &'a Hash256) -> Self {
        ShuffledOrder {
            seed,
            count,
            pivots: Vec::new(),
            alone: count / Self::ITEMS_PER_PLACE,
            list: Vec::new(),
        }
    }

    /// Which item of the list stands at `place` of the shuffled list. Spec: `compute_shuffled_index`.
    pub fn at(&mut self, place: u64) -> u64 {
        if let Some(found) = self.list.get(place as usize) {
            return u64::from(*found);
        }
        if place >= self.count {
            return place;
        }
        if self.alone == 0
            && let Ok(count) = u32::try_from(self.count)
        {
            self.list = (0..count).collect();
            shuffle_list(&mut self.list, self.seed);
            return u64::from(self.list[place as usize]);
        }
        self.alone = self.alone.saturating_sub(1);
        if self.pivots.is_empty() {
            self.pivots = (0..SHUFFLE_ROUND_COUNT)
                .map(|round| pivot_of(self.seed, round, self.count))
                .collect();
        }
        shuffle_one(place, self.count, self.seed, |round| self.pivots[round as usize])
    }
}

/// Shuffles a whole list in place: afterwards `list[i]` is what stood at `compute_shuffled_index(i)`.
///
/// Every round swaps pairs of positions that mirror each other, `0..=pivot` around its middle and the rest around its
/// own. A round is its own inverse, so that running the rounds from the last to the first moves items to where the
/// spec's function, running forward, finds them.
pub fn shuffle_list<T: Copy>(list: &mut [T], seed: &Hash256) {
    if list.len() < 2 {
        return;
    }
    for round in (0..SHUFFLE_ROUND_COUNT).rev() {
        let pivot = pivot_of(seed, round, list.len() as u64) as usize;
        let (head, tail) = list.split_at_mut(pivot + 1);
        mirror(head, 0, seed, round);
        mirror(tail, pivot + 1, seed, round);
    }
}

/// The active validators of an epoch in shuffled order: every committee of the epoch is a slice of it.
///
/// Indices are kept in 32 bits, since a registry that needs more would not fit in memory; it halves what three epochs of
/// a million validators take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochShuffling {
    /// The epoch whose committees these are.
    pub epoch: Epoch,
    /// The seed that the order came from.
    pub seed: Hash256,
    /// Active validators in shuffled order.
    pub shuffled: Vec<u32>,
    /// Spec: phase0/beacon-chain.md, `get_committee_count_per_slot`.
    pub committees_per_slot: u64,
    /// What was added up of the members' keys.
    sums: CommitteeSums,
}

impl EpochShuffling {
    /// Shuffles the active validators of `epoch`.
    pub fn compute(state: &State, epoch: Epoch) -> Self {
        let active = get_active_validator_indices(state, epoch)
            .into_iter()
            .map(|index| index as u32);
        Self::of_active(state, epoch, active.collect())
    }

    /// The same where the validators that are active at `epoch` are known, ascending.
    pub fn of_active(state: &State, epoch: Epoch, active: Vec<u32>) -> Self {
        let seed = get_seed(state, epoch, DOMAIN_BEACON_ATTESTER).0;
        let mut shuffled = active;
        let committees_per_slot = committee_count(shuffled.len() as u64);
        shuffle_list(&mut shuffled, &seed);
        EpochShuffling {
            epoch,
            seed,
            shuffled,
            committees_per_slot,
            sums: CommitteeSums::of((committees_per_slot * SLOTS_PER_EPOCH) as usize),
        }
    }

    /// The committee at a slot of this epoch; `None` if the epoch is another or there is no committee of that index.
    ///
    /// Spec: phase0/beacon-chain.md, `compute_committee`.
    pub fn committee(&self, slot: Slot, index: CommitteeIndex) -> Option<&[u32]> {
        let number = self.committee_number(slot, index)?;
        let count = (self.committees_per_slot * SLOTS_PER_EPOCH) as usize;
        let len = self.shuffled.len();
        self.shuffled.get(len * number / count..len * (number + 1) / count)
    }

    /// Where the sum of the keys of a committee is kept; `None` where there is no such committee.
    pub(crate) fn sum_of_keys(&self, slot: Slot, index: CommitteeIndex) -> Option<&OnceLock<PublicKeySum>> {
        self.sums.get(self.committee_number(slot, index)?)
    }

    /// Which of the epoch's committees it is.
    fn committee_number(&self, slot: Slot, index: CommitteeIndex) -> Option<usize> {
        let exists = slot / SLOTS_PER_EPOCH == self.epoch && index < self.committees_per_slot;
        exists.then(|| (slot % SLOTS_PER_EPOCH * self.committees_per_slot + index) as usize)
    }

    /// The members of all committees at a slot, one committee after the other; `None` if the slot is of another epoch.
    pub fn slot_members(&self, slot: Slot) -> Option<&[u32]> {
        if slot / SLOTS_PER_EPOCH != self.epoch {
            return None;
        }
        let (len, number) = (self.shuffled.len(), (slot % SLOTS_PER_EPOCH) as usize);
        let slots = SLOTS_PER_EPOCH as usize;
        self.shuffled.get(len * number / slots..len * (number + 1) / slots)
    }

    /// Memory that this holds, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.shuffled.capacity() * size_of::<u32>()
    }
}

/// An index from a shuffling as the spec's type.
pub fn validator_index(index: u32) -> ValidatorIndex {
    ValidatorIndex::from(index)
}

/// Swaps the pairs of `part` that the bits of this round select; `start` is the position of its first item in the list.
///
/// The bit is that of the higher position of a pair. Half of all bits are set, in no order: a jump on them would be
/// mispredicted every other time, so both items are written whatever the bit says.
fn mirror<T: Copy>(part: &mut [T], start: usize, seed: &Hash256, round: u64) {
    let pairs = part.len() / 2;
    let (mut low, rest) = part.split_at_mut(pairs);
    let middle = rest.len() - pairs; // the item between, where the count is odd
    let mut high = &mut rest[middle..];
    let first_high = start + pairs + middle;
    while let Some(last) = high.len().checked_sub(1) {
        // All pairs whose higher position is in the group that one hash decides.
        let position = first_high + last;
        let in_group = (position % POSITIONS_PER_HASH + 1).min(high.len());
        let source = source_of(seed, round, position as u64);
        let (low_group, low_rest) = low.split_at_mut(in_group);
        let (high_rest, high_group) = high.split_at_mut(high.len() - in_group);
        for (step, (a, b)) in low_group.iter_mut().zip(high_group.iter_mut().rev()).enumerate() {
            let (before, swap) = ((*a, *b), swaps(&source, position - step));
            *a = select_unpredictable(swap, before.1, before.0);
            *b = select_unpredictable(swap, before.0, before.1);
        }
        (low, high) = (low_rest, high_rest);
    }
}

/// Where a round mirrors the list. Spec: `pivot` in `compute_shuffled_index`.
fn pivot_of(seed: &Hash256, round: u64, index_count: u64) -> u64 {
    let mut message = [0; 33];
    message[..32].copy_from_slice(seed);
    message[32] = round as u8; // at most 90 rounds
    let digest = sha256(&message);
    let [first, ..] = digest.as_chunks::<8>().0 else {
        unreachable!("a digest has 32 bytes")
    };
    u64::from_le_bytes(*first) % index_count
}

/// The hash whose bits decide the group of positions around `position`. Spec: `source` in `compute_shuffled_index`.
fn source_of(seed: &Hash256, round: u64, position: u64) -> Hash256 {
    let mut message = [0; 37];
    message[..32].copy_from_slice(seed);
    message[32] = round as u8;
    // The spec's `uint_to_bytes(uint32(..))`: registries are limited to 2^40, of which this keeps 2^32 groups.
    message[33..].copy_from_slice(&((position / POSITIONS_PER_HASH as u64) as u32).to_le_bytes());
    sha256(&message)
}

/// The bit for `position` in the hash of its group.
fn swaps(source: &Hash256, position: usize) -> bool {
    let at = position % POSITIONS_PER_HASH;
    source[at / 8] >> (at % 8) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_index(count: u64, seed: &Hash256) -> Vec<u64> {
        (0..count)
            .map(|index| compute_shuffled_index(index, count, seed).unwrap())
            .collect()
    }

    #[test]
    fn the_list_and_the_index_agree() {
        for (number, count) in [0, 1, 2, 3, 33, 255, 256, 257, 513, 700].into_iter().enumerate() {
            let seed = sha256(&[number as u8]);
            let mut list: Vec<u64> = (0..count).collect();
            shuffle_list(&mut list, &seed);
            assert_eq!(list, by_index(count, &seed), "{count} items");
        }
    }

    #[test]
    fn shuffling_is_a_permutation_that_moves_things() {
        let mut list: Vec<u64> = (0..1000).collect();
        shuffle_list(&mut list, &[7; 32]);
        assert_ne!(list, (0..1000).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn an_index_outside_the_list_has_no_place() {
        assert_eq!(compute_shuffled_index(5, 5, &[0; 32]), None);
        assert_eq!(compute_shuffled_index(0, 0, &[0; 32]), None);
        assert!(compute_shuffled_index(u64::MAX - 1, u64::MAX, &[0; 32]).is_some());
    }
}
