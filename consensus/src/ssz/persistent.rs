//! The big lists and vectors of the state: shared between states, hashed incrementally.
//!
//! A list is a sequence of trees: one tree up to Fulu; with 1, 4, 16, … chunks where it is progressive (from Gloas on),
//! whose bundles are aligned to their own tree.

use super::items::{Items, check_limit, check_vector, count_fixed, read_exactly};
use super::json::{items_from_json, put_array};
use super::list::{chunk_count, encode_items};
use super::proof::{self, PathStep, SszPath, mixed_node};
use super::tree::{Slices, Tree, TreeBuilder, bundle_depth, items_per_chunk};
use super::{Bound, Bytes, Json, JsonError, Out, Root, Ssz, SszError, merkle, split_shape, vector_len};
use crate::fork::Fork;
use crypto::hash::{Hash256, hash2, zero_hash};
use std::fmt;
use std::io;

/// Pieces in which a list is read from a reader.
const READ_AT_ONCE: usize = 64 * 1024;

/// An SSZ list that shares memory with its clones and caches the hashes of its parts.
#[derive(Clone)]
pub struct PersistentList<T> {
    progressive: bool,
    trees: Vec<Tree<T>>,
    len: usize,
}

impl<T> Default for PersistentList<T> {
    fn default() -> Self {
        PersistentList {
            progressive: false,
            trees: Vec::new(),
            len: 0,
        }
    }
}

/// Depth of the chunk tree of subtree `number` of a progressive list, which has 4^number chunks.
fn subtree_depth(number: usize) -> u32 {
    2 * number as u32
}

impl<T: Ssz> PersistentList<T> {
    /// An empty list, laid out for `progressive` hashing or not.
    pub fn empty(progressive: bool) -> Self {
        PersistentList {
            progressive,
            trees: Vec::new(),
            len: 0,
        }
    }

    /// A list of `items`, laid out as `bound` says.
    pub fn from_items(items: impl IntoIterator<Item = T>, bound: Bound) -> Self {
        let mut builder = ListBuilder::new(bound == Bound::Progressive);
        items.into_iter().for_each(|item| builder.push(item));
        builder.finish()
    }

    /// A list with a limit, of `items`.
    pub fn from_vec(items: Vec<T>) -> Self {
        Self::from_items(items, Bound::Fixed(u64::MAX))
    }

    /// The same items in a list of the same layout. Keeps Gloas lists progressive where a step rebuilds one.
    #[must_use]
    pub fn rebuilt(&self, items: impl IntoIterator<Item = T>) -> Self {
        Self::from_items(
            items,
            if self.progressive {
                Bound::Progressive
            } else {
                Bound::Fixed(u64::MAX)
            },
        )
    }

    /// `len` times `item` in a list of the same layout; the parts are shared, so that it costs next to nothing.
    #[must_use]
    pub fn filled_like(&self, item: T, len: usize) -> Self {
        let (mut trees, mut left) = (Vec::new(), len);
        while left > 0 {
            let number = trees.len();
            let depth = new_bundle_depth::<T>(self.progressive, number);
            let room = if self.progressive {
                items_per_chunk::<T>() << subtree_depth(number)
            } else {
                left
            };
            trees.push(Tree::filled(&item, left.min(room), depth));
            left -= left.min(room);
        }
        PersistentList {
            progressive: self.progressive,
            trees,
            len,
        }
    }

    /// The same items laid out for progressive hashing.
    ///
    /// Spec: gloas/fork.md; the containers of Gloas are progressive (EIP-7688).
    #[must_use]
    pub fn to_progressive(&self) -> Self {
        Self::from_items(self.iter().cloned(), Bound::Progressive)
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Which tree holds item `index`, and its index there. Only for indices up to the length: those from outside may be
    /// so large that the sums here would overflow.
    fn locate(&self, index: usize) -> (usize, usize) {
        if !self.progressive {
            return (0, index);
        }
        // Trees 0 … n-1 hold (4^n - 1) / 3 chunks together.
        let per_chunk = items_per_chunk::<T>();
        let number = ((3 * (index / per_chunk) + 1).ilog2() / 2) as usize;
        (number, index - ((1 << (2 * number)) - 1) / 3 * per_chunk)
    }

    /// Index of the first item of tree `number`.
    fn first_of(&self, number: usize) -> usize {
        if self.progressive {
            ((1 << (2 * number)) - 1) / 3 * items_per_chunk::<T>()
        } else {
            0
        }
    }

    /// The item at `index`, or `None` behind the end.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        let (number, inner) = self.locate(index);
        self.trees.get(number)?.get(inner)
    }

    /// The item at `index` for writing: copies the way to it where it is shared and forgets the hashes on it, whether
    /// or not the item is then changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        let (number, inner) = self.locate(index);
        self.trees.get_mut(number)?.get_mut(inner)
    }

    /// Appends an item. The limit is the caller's to check, with the rule that gives it.
    pub fn push(&mut self, item: T) {
        let (number, _) = self.locate(self.len);
        if number == self.trees.len() {
            let tree = new_bundle_depth::<T>(self.progressive, number);
            self.trees.push(Tree::empty(tree));
        }
        self.trees[number].push(item);
        self.len += 1;
    }

    /// Replaces each item for which `f(index, item)` gives another. Parts in which nothing changes stay shared and
    /// hashed, so this is the way to pass over a whole list.
    pub fn update(&mut self, mut f: impl FnMut(usize, &T) -> Option<T>) {
        for number in 0..self.trees.len() {
            let first = self.first_of(number);
            self.trees[number].update(first, &mut f);
        }
    }

    /// The same for the items at `indices` alone, which ascend; what lies behind the end is passed over. Each part of the
    /// list is reached once, however many of its items are asked for.
    pub fn update_sorted(&mut self, indices: &[u64], mut f: impl FnMut(usize, &T) -> Option<T>) {
        debug_assert!(indices.is_sorted(), "indices ascend");
        let mut left = indices;
        for number in 0..self.trees.len() {
            let first = self.first_of(number);
            let end = first + self.trees[number].len();
            let (inside, behind) = left.split_at(left.partition_point(|index| (*index as usize) < end));
            self.trees[number].update_sorted(first, inside, &mut f);
            left = behind;
        }
    }

    /// All items in order.
    pub fn iter(&self) -> Iter<'_, T> {
        self.iter_from(0)
    }

    /// The items from `start` on, in order; none if `start` is behind the end.
    pub fn iter_from(&self, start: usize) -> Iter<'_, T> {
        let (number, inner) = self.locate(start.min(self.len));
        let trees = self.trees.get(number + 1..).unwrap_or_default();
        let slices = self.trees.get(number).map(|tree| tree.slices_from(inner));
        Iter {
            trees: trees.iter(),
            slices,
            items: [].iter(),
            left: self.len.saturating_sub(start),
        }
    }

    /// All items in a plain vector.
    pub fn to_vec(&self) -> Vec<T> {
        self.iter().cloned().collect()
    }

    /// The root of the items' tree, without the length.
    fn data_root(&self, fork: Fork, bound: Bound, inner: &[Bound]) -> Hash256 {
        if self.len > 0 && (bound == Bound::Progressive) != self.progressive {
            // Laid out for another fork: right all the same, only without the cache.
            return Self::from_items(self.iter().cloned(), bound).data_root(fork, bound, inner);
        }
        match bound {
            Bound::Fixed(count) => {
                let depth = merkle::depth_of(chunk_count::<T>(count));
                self.trees
                    .first()
                    .map_or(*zero_hash(depth as usize), |tree| tree.root(fork, inner, depth))
            }
            Bound::Progressive => merkle::fold_progressive(&self.subtree_roots(fork, inner)),
        }
    }

    fn subtree_roots(&self, fork: Fork, inner: &[Bound]) -> Vec<Hash256> {
        let numbered = self.trees.iter().enumerate();
        numbered
            .map(|(number, tree)| tree.root(fork, inner, subtree_depth(number)))
            .collect()
    }

    /// The node at `gindex` of the items' tree.
    fn data_node(&self, fork: Fork, bound: Bound, inner: &[Bound], gindex: u64) -> Option<Hash256> {
        if gindex == 1 {
            return Some(self.data_root(fork, bound, inner));
        }
        if self.len > 0 && (bound == Bound::Progressive) != self.progressive {
            return Self::from_items(self.iter().cloned(), bound).data_node(fork, bound, inner, gindex);
        }
        match bound {
            Bound::Fixed(count) => {
                let depth = merkle::depth_of(chunk_count::<T>(count));
                let empty = Tree::empty(bundle_depth::<T>());
                self.trees.first().unwrap_or(&empty).node(fork, inner, depth, gindex)
            }
            Bound::Progressive => self.progressive_node(fork, inner, 0, gindex),
        }
    }

    /// The node at `gindex` of the part of a progressive tree that begins with subtree `number`.
    fn progressive_node(&self, fork: Fork, inner: &[Bound], number: usize, gindex: u64) -> Option<Hash256> {
        let Some(tree) = self.trees.get(number) else {
            return (gindex == 1).then_some([0; 32]);
        };
        // hash(subtree, everything behind it) is a root that mixes in what is behind it, seen from the subtree.
        if proof::is_right(gindex) {
            return self.progressive_node(fork, inner, number + 1, proof::below_child(gindex));
        }
        if gindex == 1 {
            let behind = self.progressive_node(fork, inner, number + 1, 1)?;
            return Some(hash2(&tree.root(fork, inner, subtree_depth(number)), &behind));
        }
        tree.node(fork, inner, subtree_depth(number), proof::below_child(gindex))
    }
}

/// Depth of the bundles of tree `number`: not more than the tree has.
fn new_bundle_depth<T: Ssz>(progressive: bool, number: usize) -> u32 {
    let usual = bundle_depth::<T>();
    if progressive {
        usual.min(subtree_depth(number))
    } else {
        usual
    }
}

/// Builds a list from its items in order.
struct ListBuilder<T> {
    progressive: bool,
    trees: Vec<Tree<T>>,
    current: TreeBuilder<T>,
    room: usize,
    len: usize,
}

impl<T: Ssz> ListBuilder<T> {
    fn new(progressive: bool) -> Self {
        let room = if progressive {
            items_per_chunk::<T>()
        } else {
            usize::MAX
        };
        let current = TreeBuilder::new(new_bundle_depth::<T>(progressive, 0));
        ListBuilder {
            progressive,
            trees: Vec::new(),
            current,
            room,
            len: 0,
        }
    }

    fn push(&mut self, item: T) {
        if self.room == 0 {
            let number = self.trees.len() + 1;
            let next = TreeBuilder::new(new_bundle_depth::<T>(self.progressive, number));
            self.trees.push(std::mem::replace(&mut self.current, next).finish());
            self.room = items_per_chunk::<T>() << subtree_depth(number);
        }
        self.current.push(item);
        self.room -= 1;
        self.len += 1;
    }

    fn finish(mut self) -> PersistentList<T> {
        if self.len > 0 {
            self.trees.push(self.current.finish());
        }
        PersistentList {
            progressive: self.progressive,
            trees: self.trees,
            len: self.len,
        }
    }
}

/// The items of a `PersistentList` in order.
#[derive(Debug)]
pub struct Iter<'a, T> {
    trees: std::slice::Iter<'a, Tree<T>>,
    slices: Option<Slices<'a, T>>,
    items: std::slice::Iter<'a, T>,
    left: usize,
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Iter {
            trees: self.trees.clone(),
            slices: self.slices.clone(),
            items: self.items.clone(),
            left: self.left,
        }
    }
}

impl<'a, T: Ssz> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(item) = self.items.next() {
                self.left -= 1;
                return Some(item);
            }
            match self.slices.as_mut()?.next() {
                Some(items) => self.items = items.iter(),
                None => self.slices = Some(self.trees.next()?.slices_from(0)),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Ssz> ExactSizeIterator for Iter<'_, T> {}

impl<'a, T: Ssz> IntoIterator for &'a PersistentList<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Ssz> PartialEq for PersistentList<T> {
    fn eq(&self, other: &Self) -> bool {
        if self.progressive != other.progressive {
            return self.len == other.len && self.iter().eq(other.iter());
        }
        self.len == other.len
            && self
                .trees
                .iter()
                .zip(&other.trees)
                .all(|(left, right)| left.same_items(right))
    }
}

impl<T: Ssz + Eq> Eq for PersistentList<T> {}

impl<T: Ssz> fmt::Debug for PersistentList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Reads the items that make up `bytes`; `check` judges their number before any is read.
fn list_from_bytes<T: Ssz>(
    bytes: &[u8],
    fork: Fork,
    inner: &[Bound],
    bound: Bound,
    check: impl FnOnce(usize) -> Result<(), SszError>,
) -> Result<PersistentList<T>, SszError> {
    let items = Items::<T>::new(bytes, fork, inner)?;
    check(items.total())?;
    let mut builder = ListBuilder::new(bound == Bound::Progressive);
    for item in items {
        builder.push(item?);
    }
    Ok(builder.finish())
}

/// Reads `len` bytes of items from a reader: piece by piece if they have a fixed size.
fn read_list<T: Ssz>(
    reader: &mut dyn io::Read,
    len: usize,
    fork: Fork,
    inner: &[Bound],
    bound: Bound,
    check: impl FnOnce(usize) -> Result<(), SszError>,
) -> Result<PersistentList<T>, SszError> {
    let mut builder = ListBuilder::new(bound == Bound::Progressive);
    let Some(item_len) = T::fixed_len(fork, inner) else {
        return list_from_bytes(&read_exactly(reader, len)?, fork, inner, bound, check);
    };
    check(count_fixed(len, item_len)?)?;
    let at_once = (READ_AT_ONCE / item_len).max(1) * item_len;
    let mut left = len;
    while left > 0 {
        let piece = read_exactly(reader, left.min(at_once))?;
        left -= piece.len();
        for item in piece.chunks_exact(item_len) {
            let index = builder.len;
            builder.push(T::decode_from(item, fork, inner).map_err(|error| error.within_item(index))?);
        }
    }
    Ok(builder.finish())
}

impl<T: Ssz> Ssz for PersistentList<T> {
    fn fixed_len(_: Fork, _: &[Bound]) -> Option<usize> {
        None
    }

    fn encoded_len(&self, fork: Fork, shape: &[Bound]) -> usize {
        let inner = split_shape(shape).1;
        match T::fixed_len(fork, inner) {
            Some(item_len) => item_len * self.len,
            None => self.iter().map(|item| 4 + item.encoded_len(fork, inner)).sum(),
        }
    }

    fn encode_to(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        encode_items(self.iter(), fork, split_shape(shape).1, out);
    }

    fn decode_from(bytes: &[u8], fork: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let (bound, inner) = split_shape(shape);
        list_from_bytes(bytes, fork, inner, bound, |count| check_limit(count, bound, "items"))
    }

    fn decode_read(reader: &mut dyn io::Read, len: usize, fork: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let (bound, inner) = split_shape(shape);
        read_list(reader, len, fork, inner, bound, |count| {
            check_limit(count, bound, "items")
        })
    }

    fn root(&self, fork: Fork, shape: &[Bound]) -> Root {
        let (bound, inner) = split_shape(shape);
        Bytes(merkle::mix_in_length(&self.data_root(fork, bound, inner), self.len))
    }

    fn default_for(_: Fork, shape: &[Bound]) -> Self {
        Self::empty(split_shape(shape).0 == Bound::Progressive)
    }

    fn node(&self, fork: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        let (bound, inner) = split_shape(shape);
        mixed_node(&merkle::length_chunk(self.len), gindex, |data| {
            self.data_node(fork, bound, inner, data)
        })
    }
}

impl<T: Ssz + Json> Json for PersistentList<T> {
    fn write_json(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        put_array(self.iter(), fork, split_shape(shape).1, out);
    }

    fn from_json(value: &serde_json::Value, fork: Fork, shape: &[Bound]) -> Result<Self, JsonError> {
        let (bound, inner) = split_shape(shape);
        let items: Vec<T> = items_from_json(value, fork, inner)?;
        check_limit(items.len(), bound, "items").map_err(|error| JsonError::new(error.detail))?;
        Ok(Self::from_items(items, bound))
    }
}

impl<T: Ssz + SszPath> SszPath for PersistentList<T> {
    fn gindex(fork: Fork, shape: &[Bound], path: &[PathStep]) -> Option<u64> {
        Vec::<T>::gindex(fork, shape, path)
    }
}

/// An SSZ vector that shares memory with its clones and caches the hashes of its parts.
#[derive(Clone)]
pub struct PersistentVector<T>(PersistentList<T>);

impl<T> Default for PersistentVector<T> {
    fn default() -> Self {
        PersistentVector(PersistentList::default())
    }
}

impl<T: Ssz> PersistentVector<T> {
    /// A vector of `items`; the caller answers for the length, which is checked nowhere else.
    pub fn from_vec(items: Vec<T>) -> Self {
        PersistentVector(PersistentList::from_vec(items))
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether there are none, as in a vector of a fork in which it is not on the wire.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// The item at `index`, or `None` behind the end.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index)
    }

    /// The item at `index` for writing; see `PersistentList::get_mut`.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index)
    }

    /// Replaces each item for which `f(index, item)` gives another.
    pub fn update(&mut self, f: impl FnMut(usize, &T) -> Option<T>) {
        self.0.update(f);
    }

    /// All items in order.
    pub fn iter(&self) -> Iter<'_, T> {
        self.0.iter()
    }

    /// The items from `start` on.
    pub fn iter_from(&self, start: usize) -> Iter<'_, T> {
        self.0.iter_from(start)
    }

    /// All items in a plain vector.
    pub fn to_vec(&self) -> Vec<T> {
        self.0.to_vec()
    }
}

impl<'a, T: Ssz> IntoIterator for &'a PersistentVector<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.0.iter()
    }
}

impl<T: Ssz> PartialEq for PersistentVector<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Ssz + Eq> Eq for PersistentVector<T> {}

impl<T: Ssz> fmt::Debug for PersistentVector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<T: Ssz> Ssz for PersistentVector<T> {
    fn fixed_len(fork: Fork, shape: &[Bound]) -> Option<usize> {
        Some(vector_len(shape) * T::fixed_len(fork, split_shape(shape).1)?)
    }

    fn encoded_len(&self, fork: Fork, shape: &[Bound]) -> usize {
        self.0.encoded_len(fork, shape)
    }

    fn encode_to(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        debug_assert_eq!(self.0.len, vector_len(shape), "a vector keeps its length");
        encode_items(self.iter(), fork, split_shape(shape).1, out);
    }

    fn decode_from(bytes: &[u8], fork: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let (bound, inner) = split_shape(shape);
        let check = |count| check_vector(count, vector_len(shape), "items");
        list_from_bytes(bytes, fork, inner, bound, check).map(PersistentVector)
    }

    fn decode_read(reader: &mut dyn io::Read, len: usize, fork: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let (bound, inner) = split_shape(shape);
        let check = |count| check_vector(count, vector_len(shape), "items");
        read_list(reader, len, fork, inner, bound, check).map(PersistentVector)
    }

    fn root(&self, fork: Fork, shape: &[Bound]) -> Root {
        let (bound, inner) = split_shape(shape);
        Bytes(self.0.data_root(fork, bound, inner))
    }

    fn default_for(fork: Fork, shape: &[Bound]) -> Self {
        let item = T::default_for(fork, split_shape(shape).1);
        PersistentVector(PersistentList::from_items(
            std::iter::repeat_n(item, vector_len(shape)),
            split_shape(shape).0,
        ))
    }

    fn node(&self, fork: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        let (bound, inner) = split_shape(shape);
        self.0.data_node(fork, bound, inner, gindex)
    }
}

impl<T: Ssz + Json> Json for PersistentVector<T> {
    fn write_json(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        put_array(self.iter(), fork, split_shape(shape).1, out);
    }

    fn from_json(value: &serde_json::Value, fork: Fork, shape: &[Bound]) -> Result<Self, JsonError> {
        let items: Vec<T> = items_from_json(value, fork, split_shape(shape).1)?;
        check_vector(items.len(), vector_len(shape), "items").map_err(|error| JsonError::new(error.detail))?;
        Ok(Self::from_vec(items))
    }
}

impl<T: Ssz + SszPath> SszPath for PersistentVector<T> {
    fn gindex(fork: Fork, shape: &[Bound], path: &[PathStep]) -> Option<u64> {
        super::Vector::<T>::gindex(fork, shape, path)
    }
}
