//! Sets and maps that cannot grow beyond a limit: the oldest entry makes room. A forgotten entry costs at worst that one
//! message is passed on twice.

use crate::types::{Epoch, ValidatorIndex};
use std::collections::{BTreeMap, BTreeSet};

/// Keys with their age (slot or epoch), the oldest first.
#[derive(Clone, Debug)]
pub(super) struct BoundedSet<K> {
    keys: BTreeSet<(u64, K)>,
    limit: usize,
}

impl<K: Ord + Copy> BoundedSet<K> {
    pub(super) fn new(limit: usize) -> Self {
        BoundedSet {
            keys: BTreeSet::new(),
            limit,
        }
    }

    pub(super) fn contains(&self, age: u64, key: K) -> bool {
        self.keys.contains(&(age, key))
    }

    pub(super) fn insert(&mut self, age: u64, key: K) {
        self.keys.insert((age, key));
        if self.keys.len() > self.limit {
            self.keys.pop_first();
        }
    }

    /// Forgets what is older than `age`.
    pub(super) fn prune(&mut self, age: u64) {
        while self.keys.first().is_some_and(|(found, _)| *found < age) {
            self.keys.pop_first();
        }
    }
}

/// Values by key and age, the oldest first.
#[derive(Clone, Debug)]
pub(super) struct BoundedMap<K, V> {
    entries: BTreeMap<(u64, K), V>,
    limit: usize,
}

impl<K: Ord + Copy, V> BoundedMap<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        BoundedMap {
            entries: BTreeMap::new(),
            limit,
        }
    }

    pub(super) fn get(&self, age: u64, key: K) -> Option<&V> {
        self.entries.get(&(age, key))
    }

    /// The value with that key, whatever its age.
    pub(super) fn find(&self, key: K) -> Option<&V> {
        self.entries
            .iter()
            .find_map(|((_, found), value)| (*found == key).then_some(value))
    }

    /// The first value of that age whose key fits.
    pub(super) fn find_at(&self, age: u64, fits: impl Fn(&K) -> bool) -> Option<&V> {
        let mut entries = self.entries.iter();
        entries.find_map(|((found, key), value)| (*found == age && fits(key)).then_some(value))
    }

    pub(super) fn insert(&mut self, age: u64, key: K, value: V) {
        self.entries.insert((age, key), value);
        if self.entries.len() > self.limit {
            self.entries.pop_first();
        }
    }

    /// The value of a key, which is made if it is not there.
    pub(super) fn entry(&mut self, age: u64, key: K) -> &mut V
    where
        V: Default,
    {
        if self.entries.len() >= self.limit && !self.entries.contains_key(&(age, key)) {
            self.entries.pop_first();
        }
        self.entries.entry((age, key)).or_default()
    }

    pub(super) fn prune(&mut self, age: u64) {
        while self
            .entries
            .first_key_value()
            .is_some_and(|((found, _), _)| *found < age)
        {
            self.entries.pop_first();
        }
    }
}

/// Validators by index, one bit each: 275 kB for a registry of 2.2 million, which is why the spec's sets that nothing
/// prunes need no eviction.
#[derive(Clone, Debug, Default)]
pub(super) struct IndexSet(Vec<u64>);

/// 64 million validators (8 MB): thirty times as many as there are; an index beyond is not remembered.
const MAX_INDEX: ValidatorIndex = 1 << 26;

impl IndexSet {
    pub(super) fn contains(&self, index: ValidatorIndex) -> bool {
        let word = self.0.get((index / 64) as usize);
        word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    pub(super) fn insert(&mut self, index: ValidatorIndex) {
        if index >= MAX_INDEX {
            return;
        }
        let place = (index / 64) as usize;
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        self.0[place] |= 1 << (index % 64);
    }
}

/// Validators by epoch and index.
#[derive(Clone, Debug, Default)]
pub(super) struct EpochIndexSet(BTreeMap<Epoch, IndexSet>);

/// Before Deneb votes of 32 slots are passed on, which are five epochs of the minimal preset; one more for the clocks.
const MAX_EPOCHS: usize = 6;

impl EpochIndexSet {
    pub(super) fn contains(&self, epoch: Epoch, index: ValidatorIndex) -> bool {
        self.0.get(&epoch).is_some_and(|set| set.contains(index))
    }

    pub(super) fn insert(&mut self, epoch: Epoch, index: ValidatorIndex) {
        self.0.entry(epoch).or_default().insert(index);
        if self.0.len() > MAX_EPOCHS {
            self.0.pop_first();
        }
    }

    pub(super) fn prune(&mut self, epoch: Epoch) {
        while self.0.first_key_value().is_some_and(|(found, _)| *found < epoch) {
            self.0.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let mut set = BoundedSet::new(2);
        set.insert(7, 'a');
        set.insert(5, 'b');
        set.insert(6, 'c');
        assert_eq!(set.keys.len(), 2);
        assert!(!set.contains(5, 'b'));
        assert!(set.contains(7, 'a') && set.contains(6, 'c'));
        set.prune(7);
        assert!(set.contains(7, 'a') && !set.contains(6, 'c'));

        let mut map: BoundedMap<u8, Vec<u8>> = BoundedMap::new(2);
        map.entry(1, 1).push(9);
        map.entry(2, 1).push(8);
        map.entry(1, 1).push(7);
        assert_eq!(map.get(1, 1), Some(&vec![9, 7]));
        map.entry(3, 1).push(6);
        assert_eq!(map.entries.len(), 2);
        assert_eq!(map.get(1, 1), None);
        map.insert(4, 2, vec![5]);
        assert_eq!(map.find(2), Some(&vec![5]));
        map.prune(4);
        assert_eq!(map.entries.len(), 1);
    }

    #[test]
    fn bits_hold_indices_and_ignore_absurd_ones() {
        let mut set = IndexSet::default();
        for index in [0, 63, 64, 1_000_000] {
            assert!(!set.contains(index));
            set.insert(index);
            assert!(set.contains(index));
        }
        assert!(!set.contains(1) && !set.contains(65));
        set.insert(u64::MAX);
        assert!(!set.contains(u64::MAX));
        assert!(set.0.len() < 20_000);

        let mut epochs = EpochIndexSet::default();
        for epoch in 0..20 {
            epochs.insert(epoch, 3);
        }
        assert!(!epochs.contains(13, 3) && epochs.contains(14, 3));
        epochs.prune(19);
        assert!(!epochs.contains(18, 3) && epochs.contains(19, 3));
    }
}
