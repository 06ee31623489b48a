//! Votes until they are in a block, two epochs at most.
//!
//! By slot, by what is voted for, by committee. Since Electra what is voted for no longer names the committee, so that a
//! block takes the votes of all committees of a slot as one; before, there is one committee to a group.

use super::cover::{Aggregate, Cover};
use super::packing;
use super::{Inserted, PoolVote};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::{MAX_COMMITTEES_PER_SLOT, SLOTS_PER_EPOCH};
use consensus::ssz::{BitVector, Bytes, Root};
use consensus::types::{Attestation, AttestationData, CommitteeIndex, Slot};
use consensus::{Config, Fork, State};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Different votes (`AttestationData`) that are kept of one slot: eight for each committee, where votes name their
/// committee. Honest voters of a committee disagree on one or two things; more come only from whoever pays a validator
/// for each, and the one that fewest have signed makes room.
const MAX_GROUPS_PER_SLOT: usize = 8 * MAX_COMMITTEES_PER_SLOT as usize;

/// Slots that are kept: those of the previous and the current epoch, and one for a clock that is ahead.
const MAX_SLOTS: usize = 2 * SLOTS_PER_EPOCH as usize + 1;

/// Memory that votes may hold. Two epochs of mainnet with all committees at their limits are 13 MB.
const MAX_BYTES: usize = 16 << 20;

/// Memory of a group beside its committees: the entry in its map, and the shared allocation.
const GROUP_BYTES: usize = size_of::<Group>() + 64;

/// Votes for the same thing.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) data: AttestationData,
    /// What the committees were drawn from.
    pub(super) decision_root: Root,
    /// By committee index; never empty.
    pub(super) committees: BTreeMap<CommitteeIndex, Arc<Cover>>,
    /// How many have voted at least: the largest aggregates' voters of all committees.
    voters: usize,
}

impl Group {
    fn size(&self) -> usize {
        GROUP_BYTES + self.committees.values().map(|cover| cover.size()).sum::<usize>()
    }
}

/// Groups of a slot by the root of what is voted for.
type Groups = BTreeMap<Root, Arc<Group>>;

/// The pool of votes. A clone shares everything and costs a few microseconds.
#[derive(Clone, Debug, Default)]
pub struct AttestationPool {
    slots: BTreeMap<Slot, Groups>,
    bytes: usize,
}

impl AttestationPool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a vote in, and adds its signature to those of its committee.
    pub fn insert(&mut self, vote: &PoolVote) -> Inserted {
        let slot = vote.data.slot;
        if self.bytes > MAX_BYTES {
            return Inserted::Full("the votes of a single slot fill the pool");
        }
        if !self.slots.contains_key(&slot) && !self.make_room_for_slot(slot) {
            return Inserted::Full("the vote is older than all that are kept");
        }
        if !self.make_room_for_group(vote) {
            return Inserted::Full("too many different votes in the slot");
        }
        let groups = self.slots.entry(slot).or_default();
        let mut grown = 0;
        let group = groups.entry(vote.data_root).or_insert_with(|| {
            grown += GROUP_BYTES;
            Arc::new(Group {
                data: vote.data,
                decision_root: vote.decision_root,
                committees: BTreeMap::new(),
                voters: 0,
            })
        });
        let group = Arc::make_mut(group);
        let cover = group.committees.entry(vote.committee_index).or_default();
        let before = if cover.aggregates().is_empty() { 0 } else { cover.size() };
        let voters_before = cover.voters();
        let is_new = Arc::make_mut(cover).insert(&vote.bits, &vote.signature);
        group.voters += cover.voters() - voters_before; // the largest never shrinks
        // Merging may make a cover smaller.
        self.bytes = (self.bytes + grown + cover.size()).saturating_sub(before);
        self.shrink();
        if is_new { Inserted::New } else { Inserted::Known }
    }

    /// Whether a vote of `slot` is kept: where there are too many slots, the oldest goes.
    fn make_room_for_slot(&mut self, slot: Slot) -> bool {
        if self.slots.len() < MAX_SLOTS {
            return true;
        }
        let oldest = self.slots.keys().next().copied();
        if oldest.is_none_or(|oldest| slot < oldest) {
            return false;
        }
        self.drop_oldest();
        true
    }

    /// Whether there is room for what the vote says: where there are too many groups, the one with the fewest voters goes,
    /// unless it has more than the vote.
    fn make_room_for_group(&mut self, vote: &PoolVote) -> bool {
        let Some(groups) = self.slots.get_mut(&vote.data.slot) else {
            return true;
        };
        if groups.len() < MAX_GROUPS_PER_SLOT || groups.contains_key(&vote.data_root) {
            return true;
        }
        let smallest = groups.iter().map(|(root, group)| (group.voters, *root)).min();
        let Some((voters, root)) = smallest else {
            return true;
        };
        if voters > vote.bits.count_ones() {
            return false;
        }
        if let Some(group) = groups.remove(&root) {
            self.bytes = self.bytes.saturating_sub(group.size());
        }
        true
    }

    fn drop_oldest(&mut self) {
        if let Some((_, groups)) = self.slots.pop_first() {
            let size: usize = groups.values().map(|group| group.size()).sum();
            self.bytes = self.bytes.saturating_sub(size);
        }
    }

    /// The oldest votes go first: most of them are in blocks already.
    fn shrink(&mut self) {
        while self.bytes > MAX_BYTES && self.slots.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Drops what no block of `current_slot` or later can take: votes of epochs before the previous.
    ///
    /// Spec: phase0/beacon-chain.md, `process_attestation`, target epoch.
    pub fn prune(&mut self, current_slot: Slot) {
        let previous_epoch = compute_epoch_at_slot(current_slot).saturating_sub(1);
        while let Some(oldest) = self.slots.keys().next()
            && compute_epoch_at_slot(*oldest) < previous_epoch
        {
            self.drop_oldest();
        }
    }

    /// The aggregate of a committee with the most voters, for its aggregator; `None` if there is no vote. Before Electra
    /// what is voted for names the committee, and the index may be left out.
    ///
    /// Spec: beacon-APIs, `getAggregatedAttestation`.
    pub fn get_aggregate(
        &self,
        config: &Config,
        slot: Slot,
        data_root: Root,
        committee_index: Option<CommitteeIndex>,
    ) -> Option<Attestation> {
        let group = self.slots.get(&slot)?.get(&data_root)?;
        let committee_index = committee_index.unwrap_or(group.data.index);
        let best = group.committees.get(&committee_index)?.largest()?;
        let fork = config.fork_at_epoch(compute_epoch_at_slot(slot));
        Some(attestation(fork, &group.data, committee_index, best))
    }

    /// All aggregates, or those of a slot and a committee.
    ///
    /// Spec: beacon-APIs, `getPoolAttestations`.
    pub fn attestations(
        &self,
        config: &Config,
        slot: Option<Slot>,
        committee_index: Option<CommitteeIndex>,
    ) -> impl Iterator<Item = Attestation> {
        let slots = self
            .slots
            .iter()
            .filter(move |(of, _)| slot.is_none_or(|slot| slot == **of));
        slots.flat_map(move |(slot, groups)| {
            let fork = config.fork_at_epoch(compute_epoch_at_slot(*slot));
            let covers = groups.values().flat_map(|group| {
                let covers = group.committees.iter();
                covers.map(move |(index, cover)| (&group.data, *index, cover))
            });
            let wanted = covers.filter(move |(_, index, _)| committee_index.is_none_or(|wanted| wanted == *index));
            wanted.flat_map(move |(data, index, cover)| {
                let aggregates = cover.aggregates().iter();
                aggregates.map(move |aggregate| attestation(fork, data, index, aggregate))
            })
        })
    }

    /// The votes that bring the proposer of a block at the state's slot most, best first; `state` is at the slot of the
    /// block. Each is valid on that state.
    pub fn pack(&self, state: &State) -> Vec<Attestation> {
        packing::pack(self, state)
    }

    /// All groups, oldest slot first.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.slots.values().flat_map(|groups| groups.values().map(Arc::as_ref))
    }

    /// Memory that the pool holds, in bytes.
    pub fn size(&self) -> usize {
        self.bytes
    }

    /// Different votes in the pool.
    pub fn len(&self) -> usize {
        self.slots.values().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// One committee's aggregate as an attestation of `fork`.
fn attestation(
    fork: Fork,
    data: &AttestationData,
    committee_index: CommitteeIndex,
    aggregate: &Aggregate,
) -> Attestation {
    let mut committee_bits = BitVector::default();
    if fork >= Fork::Electra {
        committee_bits = BitVector::new(MAX_COMMITTEES_PER_SLOT as usize);
        committee_bits.set(committee_index as usize, true);
    }
    Attestation {
        aggregation_bits: aggregate.bits.clone(),
        data: *data,
        signature: Bytes(aggregate.signature.signature().to_bytes()),
        committee_bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::ssz::BitList;
    use crypto::bls::AggregateSignature;

    /// A vote at a slot for one of many things, with these voters of a large committee.
    fn vote(slot: Slot, number: u16, voters: &[usize]) -> PoolVote {
        let mut bits = BitList::new(1024);
        for place in voters {
            bits.set(*place, true);
        }
        let mut data_root = Root::ZERO;
        data_root.0[..2].copy_from_slice(&number.to_be_bytes());
        PoolVote {
            data: AttestationData {
                slot,
                ..AttestationData::default()
            },
            data_root,
            committee_index: 0,
            bits,
            signature: AggregateSignature::new(),
            decision_root: Root::ZERO,
        }
    }

    fn size_of_all(pool: &AttestationPool) -> usize {
        let groups = pool.slots.values().flat_map(BTreeMap::values);
        groups.map(|group| group.size()).sum()
    }

    #[test]
    fn slots_groups_and_bytes_are_bounded_whatever_comes() {
        /// Enough to come to the limit of bytes in either preset.
        const COMMITTEES: usize = 512 / MAX_GROUPS_PER_SLOT;
        let mut pool = AttestationPool::new();
        let mut largest = 0;
        for slot in 0..3 + MAX_SLOTS as Slot {
            for number in 0..MAX_GROUPS_PER_SLOT as u16 + 5 {
                for own in 0..6 * COMMITTEES {
                    // All have the first voter, so none can be merged; those that come too late have a voter less.
                    let voters = [0, 1 + own, 100];
                    let is_late = usize::from(number) >= MAX_GROUPS_PER_SLOT;
                    let mut vote = vote(slot, number, &voters[..if is_late { 2 } else { 3 }]);
                    vote.committee_index = (own / 6) as CommitteeIndex;
                    let is_new = pool.insert(&vote) == Inserted::New;
                    assert_eq!(is_new, !is_late);
                }
            }
            assert!(pool.slots[&slot].len() <= MAX_GROUPS_PER_SLOT);
            assert!(pool.slots.len() <= MAX_SLOTS && pool.size() <= MAX_BYTES);
            assert_eq!(pool.size(), size_of_all(&pool), "slot {slot}");
            largest = largest.max(pool.size());
        }
        assert!(largest > MAX_BYTES / 4 * 3, "{largest} bytes are no test of the limit");
        let oldest = *pool.slots.keys().next().unwrap();
        if pool.slots.len() == MAX_SLOTS {
            let late = pool.insert(&vote(oldest - 1, 0, &[0]));
            assert_eq!(late, Inserted::Full("the vote is older than all that are kept"));
        }
        pool.prune(1000 * SLOTS_PER_EPOCH);
        assert_eq!((pool.size(), pool.len()), (0, 0));
    }

    #[test]
    fn the_group_with_the_fewest_voters_makes_room() {
        let mut pool = AttestationPool::new();
        for number in 0..MAX_GROUPS_PER_SLOT as u16 {
            assert_eq!(pool.insert(&vote(7, number, &[0, 1])), Inserted::New);
        }
        pool.insert(&vote(7, 3, &[5, 6, 7]));
        let full = Inserted::Full("too many different votes in the slot");
        assert_eq!(pool.insert(&vote(7, 60_000, &[4])), full);
        assert_eq!(pool.insert(&vote(7, 60_000, &[4, 5])), Inserted::New);
        assert_eq!(pool.len(), MAX_GROUPS_PER_SLOT);
        assert_eq!(pool.slots[&7][&vote(7, 3, &[]).data_root].voters, 5);
        assert!(!pool.slots[&7].contains_key(&vote(7, 0, &[]).data_root));
        assert_eq!(pool.size(), size_of_all(&pool));
    }

    #[test]
    fn what_a_block_can_still_take_stays() {
        let mut pool = AttestationPool::new();
        for slot in 0..2 * SLOTS_PER_EPOCH {
            pool.insert(&vote(slot, 0, &[0]));
        }
        pool.prune(2 * SLOTS_PER_EPOCH - 1);
        assert_eq!(pool.len() as u64, 2 * SLOTS_PER_EPOCH);
        pool.prune(2 * SLOTS_PER_EPOCH);
        assert_eq!(pool.len() as u64, SLOTS_PER_EPOCH);
        assert_eq!(*pool.slots.keys().next().unwrap(), SLOTS_PER_EPOCH);
    }

    #[test]
    fn a_clone_stays_as_it_was() {
        let mut pool = AttestationPool::new();
        pool.insert(&vote(1, 0, &[0]));
        let before = pool.clone();
        pool.insert(&vote(1, 0, &[1]));
        pool.insert(&vote(2, 0, &[1]));
        let voters = |pool: &AttestationPool| pool.groups().map(|group| group.voters).collect::<Vec<_>>();
        assert_eq!(voters(&before), [1]);
        assert_eq!(voters(&pool), [2, 1]);
    }
}
