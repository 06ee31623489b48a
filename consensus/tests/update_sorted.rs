//! Writing many items of a big list at once gives what writing them one by one gives.

use consensus::Fork;
use consensus::ssz::{Bound, PersistentList, Ssz};
use consensus::types::Checkpoint;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

/// Changes a random part of a list of `count` in both ways, where `change` gives another item for some.
fn compare<T: Ssz>(numbers: &mut Numbers, bound: Bound, items: Vec<T>, change: impl Fn(usize, &T) -> Option<T>) {
    let count = items.len() as u64;
    let mut list = PersistentList::from_items(items.iter().cloned(), bound);
    let root_before = list.root(Fork::Gloas, &[bound]);
    let shared = list.clone();
    let density = 1 + numbers.below(100);
    let mut indices: Vec<u64> = (0..count + 3).filter(|_| numbers.below(density) == 0).collect();
    if numbers.below(4) == 0 {
        indices.clear();
    }

    let mut expected = items.clone();
    let mut visited = Vec::new();
    for index in indices
        .iter()
        .map(|index| *index as usize)
        .filter(|index| *index < items.len())
    {
        visited.push((index, items[index].clone()));
        if let Some(item) = change(index, &items[index]) {
            expected[index] = item;
        }
    }
    let mut seen = Vec::new();
    // Half of the time nobody else holds the list, and it is changed in place.
    let kept = (numbers.below(2) == 0).then_some(shared);
    list.update_sorted(&indices, |index, item| {
        seen.push((index, item.clone()));
        change(index, item)
    });

    assert_eq!(seen, visited, "items asked for, of {count} at {indices:?}");
    assert_eq!(list.to_vec(), expected, "{count} items, {indices:?}");
    let fresh = PersistentList::from_items(expected, bound).root(Fork::Gloas, &[bound]);
    assert_eq!(list.root(Fork::Gloas, &[bound]), fresh, "{count} items, {indices:?}");
    if let Some(kept) = kept {
        assert_eq!(kept.to_vec(), items, "the clone is not touched");
        assert_eq!(kept.root(Fork::Gloas, &[bound]), root_before);
    }
}

#[test]
fn many_items_at_once_are_written_as_one_by_one() {
    let mut numbers = Numbers(7);
    for round in 0..120 {
        let bound = [Bound::Fixed(1 << 40), Bound::Progressive][round % 2];
        let count = [0, 1, 31, 1024, 1025, 5000, 9000][numbers.below(7) as usize];
        let flags = (0..count).map(|_| numbers.below(8) as u8).collect();
        compare(&mut numbers, bound, flags, |_, held| {
            (held & 1 == 0).then_some(held | 1)
        });
        let epoch = |epoch| Checkpoint {
            epoch,
            ..Checkpoint::default()
        };
        let checkpoints = (0..count / 8).map(|_| epoch(numbers.below(3))).collect();
        compare(&mut numbers, bound, checkpoints, |index, held: &Checkpoint| {
            (held.epoch > 0).then(|| epoch(index as u64))
        });
    }
}
