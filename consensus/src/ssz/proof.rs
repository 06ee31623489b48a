//! Generalized indices and Merkle proofs, single and multi.
//!
//! Everything rests on one question that each type answers: the hash at a generalized index (`Ssz::node`). A proof is
//! that question asked for the siblings on the way up.
//!
//! Spec: ssz/merkle-proofs.md; phase0/beacon-chain.md, `is_valid_merkle_branch`.

use super::{Bound, Root, Ssz, merkle};
use crate::fork::Fork;
use crypto::hash::{Hash256, hash2, zero_hash};
use std::collections::{BTreeMap, BTreeSet};

/// One step of a path into an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStep<'a> {
    /// A field of a container.
    Field(&'a str),
    /// An item of a list or vector.
    Item(u64),
    /// The length of a list.
    Length,
}

/// The generalized index of what `path` leads to in a `T`, or `None` if there is no such place.
///
/// Spec: ssz/merkle-proofs.md, `get_generalized_index`.
pub fn get_generalized_index<T: SszPath>(fork: Fork, path: &[PathStep]) -> Option<u64> {
    T::gindex(fork, &[], path)
}

/// Types that know where their parts lie in the tree.
pub trait SszPath {
    /// The generalized index of `path` below this type.
    fn gindex(fork: Fork, shape: &[Bound], path: &[PathStep]) -> Option<u64>;
}

/// The index of `below` in the tree whose node `above` is its root.
///
/// Spec: ssz/merkle-proofs.md, `concat_generalized_indices`. `None` beyond 64 bits.
pub fn concat_generalized_indices(above: u64, below: u64) -> Option<u64> {
    if above == 0 || below == 0 {
        return None;
    }
    let depth = length_of(below);
    if length_of(above) + depth > 63 {
        return None;
    }
    Some(above << depth | (below - (1 << depth)))
}

/// Number of steps from the root to `gindex`, which is not 0.
fn length_of(gindex: u64) -> u32 {
    gindex.ilog2()
}

/// `gindex` seen from the child of the root that it lies below, and whether that is the right one. `None` at the root.
fn descend(gindex: u64) -> Option<(bool, u64)> {
    if gindex < 2 {
        return None;
    }
    let depth = length_of(gindex) - 1;
    Some((gindex >> depth & 1 == 1, 1 << depth | gindex & ((1 << depth) - 1)))
}

/// Whether `gindex` lies in the right half of the tree.
pub(super) fn is_right(gindex: u64) -> bool {
    descend(gindex).is_some_and(|(right, _)| right)
}

/// `gindex` seen from the child of the root that it lies below; the root itself stays what it is.
pub(super) fn below_child(gindex: u64) -> u64 {
    descend(gindex).map_or(gindex, |(_, rest)| rest)
}

/// Where an index leads in a binary tree of a known depth.
pub(super) enum Place {
    /// To the node `index` of the layer `height` above the leaves.
    Inside { height: u32, index: u64 },
    /// To leaf `index`, or to `rest` below it (1 is the leaf itself).
    Leaf { index: u64, rest: u64 },
}

/// Finds the place of `gindex` in a tree of `depth`.
pub(super) fn locate(gindex: u64, depth: u32) -> Option<Place> {
    if gindex == 0 {
        return None;
    }
    let length = length_of(gindex);
    if length < depth {
        return Some(Place::Inside {
            height: depth - length,
            index: gindex - (1 << length),
        });
    }
    let below = length - depth;
    let rest = 1 << below | gindex & ((1 << below) - 1);
    Some(Place::Leaf {
        index: (gindex >> below) - (1 << depth),
        rest,
    })
}

/// The node `gindex` of the tree over `chunks`; `below` answers for what lies under a leaf.
pub(super) fn tree_node(
    chunks: &[Hash256],
    depth: u32,
    gindex: u64,
    below: impl FnOnce(usize, u64) -> Option<Hash256>,
) -> Option<Hash256> {
    match locate(gindex, depth)? {
        Place::Inside { height, index } => {
            let start = (index << height).min(chunks.len() as u64) as usize;
            let end = chunks.len().min(start.saturating_add(1 << height));
            Some(merkle::merkleize(&mut chunks[start..end].to_vec(), height))
        }
        Place::Leaf { index, rest: 1 } => Some(chunks.get(index as usize).copied().unwrap_or(*zero_hash(0))),
        Place::Leaf { index, rest } if (index as usize) < chunks.len() => below(index as usize, rest),
        Place::Leaf { .. } => None,
    }
}

/// The node `gindex` of the tree over chunks that have nothing below them.
pub(super) fn chunks_node(chunks: &[Hash256], depth: u32, gindex: u64) -> Option<Hash256> {
    tree_node(chunks, depth, gindex, |_, _| None)
}

/// The node `gindex` of the progressive tree over `chunks`; `below` answers for what lies under a leaf.
pub(super) fn progressive_node(
    chunks: &[Hash256],
    gindex: u64,
    below: impl FnOnce(usize, u64) -> Option<Hash256>,
) -> Option<Hash256> {
    let (mut rest, mut base, mut depth, mut gindex) = (chunks, 0, 0, gindex);
    while let Some((right, next)) = descend(gindex) {
        if rest.is_empty() {
            return None;
        }
        let (subtree, behind) = rest.split_at(rest.len().min(1 << depth));
        if !right {
            return tree_node(subtree, depth, next, |index, rest| below(base + index, rest));
        }
        (rest, base, depth, gindex) = (behind, base + subtree.len(), depth + 2, next);
    }
    (gindex == 1).then(|| merkle::merkleize_progressive_from(depth, &mut rest.to_vec()))
}

/// The node `gindex` of a root that mixes in `aux` (a length, active fields); `data` answers for the tree on the left.
pub(super) fn mixed_node(aux: &Hash256, gindex: u64, data: impl FnOnce(u64) -> Option<Hash256>) -> Option<Hash256> {
    match descend(gindex) {
        None => (gindex == 1).then(|| data(1)).flatten().map(|root| hash2(&root, aux)),
        Some((false, rest)) => data(rest),
        Some((true, 1)) => Some(*aux),
        Some((true, _)) => None,
    }
}

/// The node `gindex` of a list of `len` items; `data` answers for the tree of the items.
pub(super) fn list_node(len: usize, gindex: u64, data: impl FnOnce(u64) -> Option<Hash256>) -> Option<Hash256> {
    mixed_node(&merkle::length_chunk(len), gindex, data)
}

/// The index of leaf `position` in a progressive tree.
pub(super) fn progressive_gindex(position: u64) -> Option<u64> {
    let (mut gindex, mut position, mut depth) = (1u64, position, 0u32);
    while position >= 1u64.checked_shl(depth)? {
        position -= 1 << depth;
        gindex = concat_generalized_indices(gindex, 3)?;
        depth += 2;
    }
    concat_generalized_indices(
        concat_generalized_indices(gindex, 2)?,
        1u64.checked_shl(depth)? + position,
    )
}

/// The index of leaf `position` in the tree of a sequence or container below its root.
pub(super) fn leaf_gindex(position: u64, depth: u32) -> Option<u64> {
    1u64.checked_shl(depth)?.checked_add(position)
}

/// The Merkle branch of the node at `gindex`, from its sibling up; `None` if the object has no such node.
pub fn prove<T: Ssz>(object: &T, fork: Fork, gindex: u64) -> Option<Vec<Root>> {
    get_branch_indices(gindex)
        .into_iter()
        .map(|index| object.node(fork, &[], index).map(Root::from))
        .collect()
}

/// The helper nodes that prove all of `indices` at once, in the order of `get_helper_indices`.
pub fn prove_multi<T: Ssz>(object: &T, fork: Fork, indices: &[u64]) -> Option<Vec<Root>> {
    get_helper_indices(indices)
        .into_iter()
        .map(|index| object.node(fork, &[], index).map(Root::from))
        .collect()
}

/// The siblings on the way from `tree_index` to the root. Spec: ssz/merkle-proofs.md, `get_branch_indices`.
pub fn get_branch_indices(tree_index: u64) -> Vec<u64> {
    get_path_indices(tree_index)
        .into_iter()
        .map(|index| index ^ 1)
        .collect()
}

/// The nodes from `tree_index` up to the root, without it. Spec: ssz/merkle-proofs.md, `get_path_indices`.
pub fn get_path_indices(tree_index: u64) -> Vec<u64> {
    std::iter::successors(Some(tree_index), |index| Some(index / 2))
        .take_while(|index| *index > 1)
        .collect()
}

/// The extra nodes needed to prove `indices`, in decreasing order. Spec: ssz/merkle-proofs.md, `get_helper_indices`.
pub fn get_helper_indices(indices: &[u64]) -> Vec<u64> {
    let helpers: BTreeSet<u64> = indices.iter().flat_map(|index| get_branch_indices(*index)).collect();
    let paths: BTreeSet<u64> = indices.iter().flat_map(|index| get_path_indices(*index)).collect();
    helpers
        .into_iter()
        .rev()
        .filter(|index| !paths.contains(index))
        .collect()
}

/// The root that `leaf` and its branch lead to. Spec: ssz/merkle-proofs.md, `calculate_merkle_root`. `None` if the
/// branch has not the length of the index.
pub fn calculate_merkle_root(leaf: &Root, proof: &[Root], gindex: u64) -> Option<Root> {
    if gindex == 0 || proof.len() != length_of(gindex) as usize {
        return None;
    }
    let root = proof.iter().enumerate().fold(leaf.0, |node, (level, sibling)| {
        if gindex >> level & 1 == 1 {
            hash2(&sibling.0, &node)
        } else {
            hash2(&node, &sibling.0)
        }
    });
    Some(root.into())
}

/// Spec: ssz/merkle-proofs.md, `verify_merkle_proof`.
pub fn verify_merkle_proof(leaf: &Root, proof: &[Root], gindex: u64, root: &Root) -> bool {
    calculate_merkle_root(leaf, proof, gindex).as_ref() == Some(root)
}

/// The root that `leaves` at `indices` and the helper nodes lead to. Spec: ssz/merkle-proofs.md,
/// `calculate_multi_merkle_root`. `None` if the counts do not fit or an index is 0 or stands twice.
pub fn calculate_multi_merkle_root(leaves: &[Root], proof: &[Root], indices: &[u64]) -> Option<Root> {
    let helpers = get_helper_indices(indices);
    let distinct: BTreeSet<u64> = indices.iter().copied().collect();
    let fits = leaves.len() == indices.len() && proof.len() == helpers.len() && distinct.len() == indices.len();
    if !fits || distinct.is_empty() || distinct.contains(&0) {
        return None;
    }
    // The highest index is always a deepest node left, so its sibling is known or can never be.
    let known = indices
        .iter()
        .copied()
        .zip(leaves)
        .chain(helpers.into_iter().zip(proof));
    let mut nodes: BTreeMap<u64, Hash256> = known.map(|(index, node)| (index, node.0)).collect();
    while let Some((index, node)) = nodes.pop_last() {
        if index == 1 {
            return Some(node.into());
        }
        let sibling = nodes.remove(&(index ^ 1))?;
        let parent = if index & 1 == 1 {
            hash2(&sibling, &node)
        } else {
            hash2(&node, &sibling)
        };
        // A leaf above another leaf must agree with what is below it.
        if nodes.insert(index / 2, parent).is_some_and(|given| given != parent) {
            return None;
        }
    }
    None
}

/// Spec: ssz/merkle-proofs.md, `verify_merkle_multiproof`.
pub fn verify_merkle_multiproof(leaves: &[Root], proof: &[Root], indices: &[u64], root: &Root) -> bool {
    calculate_multi_merkle_root(leaves, proof, indices).as_ref() == Some(root)
}

/// Whether `leaf` at `index` of a tree of `depth` leads to `root`.
///
/// Spec: phase0/beacon-chain.md, `is_valid_merkle_branch`. A branch of another length than `depth` is invalid.
pub fn is_valid_merkle_branch(leaf: &Root, branch: &[Root], depth: u64, index: u64, root: &Root) -> bool {
    if branch.len() as u64 != depth || depth >= 64 {
        return false;
    }
    let node = branch.iter().enumerate().fold(leaf.0, |node, (level, sibling)| {
        if index >> level & 1 == 1 {
            hash2(&sibling.0, &node)
        } else {
            hash2(&node, &sibling.0)
        }
    });
    node == root.0
}

macro_rules! path_ends_here {
    ($($type:ty),* ; lists $($list:ty),*) => {
        $(impl SszPath for $type {
            fn gindex(_: Fork, _: &[Bound], path: &[PathStep]) -> Option<u64> {
                path.is_empty().then_some(1)
            }
        })*
        $(impl SszPath for $list {
            fn gindex(_: Fork, _: &[Bound], path: &[PathStep]) -> Option<u64> {
                match path {
                    [] => Some(1),
                    [PathStep::Length] => Some(3),
                    _ => None,
                }
            }
        })*
    };
}

path_ends_here!(u8, u16, u32, u64, u128, bool, super::U256, super::ByteVector, super::BitVector;
    lists super::ByteList, super::BitList);

impl<const N: usize> SszPath for super::Bytes<N> {
    fn gindex(_: Fork, _: &[Bound], path: &[PathStep]) -> Option<u64> {
        path.is_empty().then_some(1)
    }
}
