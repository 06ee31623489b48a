//! Trees of equal items, which share nearly all of their nodes: a registry's worth of zeros takes a few kilobytes and
//! hashes in microseconds.

use super::{Bundle, Inner, Node, Tree, items_per_chunk};
use crate::ssz::Ssz;
use std::sync::{Arc, OnceLock};

impl<T: Ssz> Tree<T> {
    /// `len` times `item`, in bundles of `2^bundle_depth` chunks.
    pub(in crate::ssz) fn filled(item: &T, len: usize, bundle_depth: u32) -> Self {
        let in_bundle = items_per_chunk::<T>() << bundle_depth;
        let height = len.div_ceil(in_bundle).max(1).next_power_of_two().trailing_zeros();
        let mut full = vec![bundle(item, in_bundle)];
        for level in 0..height as usize {
            full.push(inner(full[level].clone(), full[level].clone()));
        }
        Tree {
            node: part(item, len, in_bundle, &full),
            height,
            bundle_depth,
            len,
        }
    }
}

/// A node with `len` items, as high as the last of the `full` nodes.
fn part<T: Ssz>(item: &T, len: usize, in_bundle: usize, full: &[Node<T>]) -> Node<T> {
    let Some((top, below)) = full.split_last().filter(|_| len > 0) else {
        return Node::Empty;
    };
    if len == in_bundle << below.len() {
        return top.clone();
    }
    if below.is_empty() {
        return bundle(item, len);
    }
    let left = len.min(in_bundle << (below.len() - 1));
    inner(
        part(item, left, in_bundle, below),
        part(item, len - left, in_bundle, below),
    )
}

fn bundle<T: Ssz>(item: &T, len: usize) -> Node<T> {
    Node::Bundle(Arc::new(Bundle {
        root: OnceLock::new(),
        items: vec![item.clone(); len],
    }))
}

fn inner<T>(left: Node<T>, right: Node<T>) -> Node<T> {
    Node::Inner(Arc::new(Inner {
        root: OnceLock::new(),
        left,
        right,
    }))
}

#[cfg(test)]
mod tests {
    use crate::ssz::PersistentList;
    use crate::ssz::{Bound, Ssz};
    use crate::{Fork, Fork::Gloas};

    #[test]
    fn a_filled_list_is_the_list_of_its_items() {
        for progressive in [false, true] {
            let bound = if progressive {
                Bound::Progressive
            } else {
                Bound::Fixed(1 << 40)
            };
            let empty = PersistentList::<u8>::empty(progressive);
            for len in [0, 1, 31, 32, 33, 1023, 1024, 1025, 2048, 5000, 40_000] {
                let plain = PersistentList::from_items(vec![7u8; len], bound);
                let mut filled = empty.filled_like(7, len);
                check(&plain, &filled, Gloas, bound);
                // Nodes are shared within the tree: a write must reach one place only.
                let (mut plain, place) = (plain, len / 2);
                for list in [&mut plain, &mut filled] {
                    list.push(9);
                    *list.get_mut(place).unwrap() = 3;
                }
                check(&plain, &filled, Gloas, bound);
                for list in [&mut plain, &mut filled] {
                    list.update(|index, item| (index % 1000 == 5).then_some(item + 1));
                }
                check(&plain, &filled, Gloas, bound);
            }
        }
    }

    fn check(plain: &PersistentList<u8>, filled: &PersistentList<u8>, fork: Fork, bound: Bound) {
        assert_eq!(plain.to_vec(), filled.to_vec());
        assert_eq!(plain, filled);
        assert_eq!(
            plain.root(fork, &[bound]),
            filled.root(fork, &[bound]),
            "{}",
            plain.len()
        );
    }
}
