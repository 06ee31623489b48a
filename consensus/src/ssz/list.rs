//! Plain lists and vectors, for everything that is small or lives only as long as a block.

use super::items::{Items, OFFSET_LEN, check_limit, check_vector};
use super::json::{items_from_json, put_array};
use super::proof::{self, PathStep, SszPath};
use super::{Bound, Bytes, Json, JsonError, Out, Root, Ssz, SszError, merkle, split_shape, vector_len};
use crate::fork::Fork;
use crypto::hash::Hash256;
use std::ops::{Deref, DerefMut};

/// An SSZ list; its limit, or that it is progressive, is its bound.
pub type List<T> = Vec<T>;

/// An SSZ vector; its length is its bound, and nothing here changes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Vector<T>(Vec<T>);

impl<T> Deref for Vector<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Vector<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> From<Vec<T>> for Vector<T> {
    /// The caller answers for the length, which is checked nowhere else.
    fn from(items: Vec<T>) -> Self {
        Vector(items)
    }
}

impl<'a, T> IntoIterator for &'a Vector<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// Number of chunks that `count` items fill.
pub(super) fn chunk_count<T: Ssz>(count: u64) -> u64 {
    if T::BASIC_LEN == 0 {
        count
    } else {
        count.div_ceil(32 / T::BASIC_LEN as u64)
    }
}

/// The leaves of the tree over `items`: packed basic values, or the roots of the items.
pub(super) fn item_chunks<T: Ssz>(items: &[T], fork: Fork, shape: &[Bound]) -> Vec<Hash256> {
    let mut chunks = vec![[0; 32]; chunk_count::<T>(items.len() as u64) as usize];
    if T::BASIC_LEN == 0 {
        let items: Vec<&T> = items.iter().collect();
        T::write_roots(&items, fork, shape, &mut chunks, 1);
    } else {
        pack_basic(items, &mut chunks);
    }
    chunks
}

/// Packs basic values into `chunks`, which are zero and enough.
pub(super) fn pack_basic<T: Ssz>(items: &[T], chunks: &mut [Hash256]) {
    for (items, chunk) in items.chunks(32 / T::BASIC_LEN).zip(chunks) {
        for (item, bytes) in items.iter().zip(chunk.chunks_exact_mut(T::BASIC_LEN)) {
            item.write_basic(bytes);
        }
    }
}

/// Size of encoded items, with an offset for each where they vary.
fn items_len<T: Ssz>(items: &[T], fork: Fork, shape: &[Bound]) -> usize {
    match T::fixed_len(fork, shape) {
        Some(item_len) => item_len * items.len(),
        None => items
            .iter()
            .map(|item| OFFSET_LEN + item.encoded_len(fork, shape))
            .sum(),
    }
}

/// Appends the items, after their offsets where they vary in size.
pub(super) fn encode_items<'a, T: Ssz + 'a>(
    items: impl ExactSizeIterator<Item = &'a T> + Clone,
    fork: Fork,
    shape: &[Bound],
    out: &mut Out,
) {
    if T::fixed_len(fork, shape).is_none() {
        let mut offset = OFFSET_LEN * items.len();
        for item in items.clone() {
            out.put_offset(offset);
            offset += item.encoded_len(fork, shape);
        }
    }
    for item in items {
        item.encode_to(fork, shape, out);
    }
}

/// The node under leaf `index` of the tree over `items`.
fn node_below<T: Ssz>(items: &[T], fork: Fork, shape: &[Bound], index: usize, rest: u64) -> Option<Hash256> {
    if T::BASIC_LEN > 0 {
        None
    } else {
        items.get(index)?.node(fork, shape, rest)
    }
}

impl<T: Ssz> Ssz for Vec<T> {
    fn fixed_len(_: Fork, _: &[Bound]) -> Option<usize> {
        None
    }

    fn encoded_len(&self, fork: Fork, shape: &[Bound]) -> usize {
        items_len(self, fork, split_shape(shape).1)
    }

    fn encode_to(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        encode_items(self.iter(), fork, split_shape(shape).1, out);
    }

    fn decode_from(bytes: &[u8], fork: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let (bound, inner) = split_shape(shape);
        let items = Items::new(bytes, fork, inner)?;
        check_limit(items.total(), bound, "items")?;
        items.into_vec()
    }

    fn root(&self, fork: Fork, shape: &[Bound]) -> Root {
        let (bound, inner) = split_shape(shape);
        let mut chunks = item_chunks(self, fork, inner);
        let data = match bound {
            Bound::Fixed(limit) => merkle::merkleize(&mut chunks, merkle::depth_of(chunk_count::<T>(limit))),
            Bound::Progressive => merkle::merkleize_progressive(&mut chunks),
        };
        Bytes(merkle::mix_in_length(&data, self.len()))
    }

    fn default_for(_: Fork, _: &[Bound]) -> Self {
        Vec::new()
    }

    fn node(&self, fork: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        let (bound, inner) = split_shape(shape);
        let chunks = item_chunks(self, fork, inner);
        let below = |index, rest| node_below(self, fork, inner, index, rest);
        proof::list_node(self.len(), gindex, |data| match bound {
            Bound::Fixed(limit) => proof::tree_node(&chunks, merkle::depth_of(chunk_count::<T>(limit)), data, below),
            Bound::Progressive => proof::progressive_node(&chunks, data, below),
        })
    }
}

impl<T: Json> Json for Vec<T> {
    fn write_json(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        put_array(self.iter(), fork, split_shape(shape).1, out);
    }

    fn from_json(value: &serde_json::Value, fork: Fork, shape: &[Bound]) -> Result<Self, JsonError> {
        let (bound, inner) = split_shape(shape);
        let items: Vec<T> = items_from_json(value, fork, inner)?;
        check_limit(items.len(), bound, "items").map_err(|error| JsonError::new(error.detail))?;
        Ok(items)
    }
}

impl<T: Ssz> Ssz for Vector<T> {
    fn fixed_len(fork: Fork, shape: &[Bound]) -> Option<usize> {
        Some(vector_len(shape) * T::fixed_len(fork, split_shape(shape).1)?)
    }

    fn encoded_len(&self, fork: Fork, shape: &[Bound]) -> usize {
        items_len(&self.0, fork, split_shape(shape).1)
    }

    fn encode_to(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        debug_assert_eq!(self.0.len(), vector_len(shape), "a vector keeps its length");
        encode_items(self.0.iter(), fork, split_shape(shape).1, out);
    }

    fn decode_from(bytes: &[u8], fork: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let items = Items::new(bytes, fork, split_shape(shape).1)?;
        check_vector(items.total(), vector_len(shape), "items")?;
        items.into_vec().map(Vector)
    }

    fn root(&self, fork: Fork, shape: &[Bound]) -> Root {
        let depth = merkle::depth_of(chunk_count::<T>(vector_len(shape) as u64));
        Bytes(merkle::merkleize(
            &mut item_chunks(&self.0, fork, split_shape(shape).1),
            depth,
        ))
    }

    fn default_for(fork: Fork, shape: &[Bound]) -> Self {
        Vector(vec![T::default_for(fork, split_shape(shape).1); vector_len(shape)])
    }

    fn node(&self, fork: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        let inner = split_shape(shape).1;
        let depth = merkle::depth_of(chunk_count::<T>(vector_len(shape) as u64));
        let below = |index, rest| node_below(&self.0, fork, inner, index, rest);
        proof::tree_node(&item_chunks(&self.0, fork, inner), depth, gindex, below)
    }
}

impl<T: Json> Json for Vector<T> {
    fn write_json(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        put_array(self.0.iter(), fork, split_shape(shape).1, out);
    }

    fn from_json(value: &serde_json::Value, fork: Fork, shape: &[Bound]) -> Result<Self, JsonError> {
        let items: Vec<T> = items_from_json(value, fork, split_shape(shape).1)?;
        check_vector(items.len(), vector_len(shape), "items").map_err(|error| JsonError::new(error.detail))?;
        Ok(Vector(items))
    }
}

/// `path` below item `index` of a sequence in which the items' tree has its root at `base`.
pub(super) fn item_gindex<T: Ssz + SszPath>(
    bound: Bound,
    base: u64,
    fork: Fork,
    inner: &[Bound],
    index: u64,
    path: &[PathStep],
) -> Option<u64> {
    let position = if T::BASIC_LEN == 0 {
        index
    } else {
        index / (32 / T::BASIC_LEN as u64)
    };
    let leaf = match bound {
        Bound::Fixed(count) if index < count => {
            proof::leaf_gindex(position, merkle::depth_of(chunk_count::<T>(count)))?
        }
        Bound::Fixed(_) => return None,
        Bound::Progressive => proof::progressive_gindex(position)?,
    };
    let leaf = proof::concat_generalized_indices(base, leaf)?;
    proof::concat_generalized_indices(leaf, T::gindex(fork, inner, path)?)
}

impl<T: Ssz + SszPath> SszPath for Vec<T> {
    fn gindex(fork: Fork, shape: &[Bound], path: &[PathStep]) -> Option<u64> {
        let (bound, inner) = split_shape(shape);
        match path {
            [] => Some(1),
            [PathStep::Length] => Some(3),
            [PathStep::Item(index), rest @ ..] => item_gindex::<T>(bound, 2, fork, inner, *index, rest),
            _ => None,
        }
    }
}

impl<T: Ssz + SszPath> SszPath for Vector<T> {
    fn gindex(fork: Fork, shape: &[Bound], path: &[PathStep]) -> Option<u64> {
        let (bound, inner) = split_shape(shape);
        match path {
            [] => Some(1),
            [PathStep::Item(index), rest @ ..] => item_gindex::<T>(bound, 1, fork, inner, *index, rest),
            _ => None,
        }
    }
}
