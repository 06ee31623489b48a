//! SimpleSerialize: encoding, decoding, hash tree roots, proofs and the Beacon API's JSON form.
//!
//! Two things set this apart from the libraries there are (docs/architecture.md §3). The **fork is an argument**: one
//! struct stands for a container at every fork, and encodes, decodes and hashes as the fork has it. And limits are
//! **bounds passed in**, never type parameters: a field's limit may change with a fork, and no type is compiled anew
//! for a preset. Big lists are persistent trees that share memory between states and cache their hashes.
//!
//! Spec: ssz/simple-serialize.md, EIP-7916 (progressive lists), EIP-7495 and EIP-7688 (progressive containers).

mod basic;
mod bits;
mod bytes;
mod container;
mod error;
mod items;
mod json;
mod list;
pub mod merkle;
mod out;
mod persistent;
pub mod proof;
mod tree;

pub use crate::container;
pub use basic::U256;
pub use bits::{BitList, BitVector};
pub use bytes::{ByteList, ByteVector, Bytes};
pub use error::{JsonError, SszError};
pub use json::{Json, parse_json};
pub use list::{List, Vector};
pub use out::Out;
pub use persistent::{PersistentList, PersistentVector};
pub use proof::{PathStep, SszPath, get_generalized_index};

use crate::fork::Fork;
use crypto::hash::Hash256;
use std::fmt::Debug;
use std::io;

/// A 32-byte hash tree root.
pub type Root = Bytes<32>;

/// What the code that `container!` makes calls; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use super::container::{AT_ONCE, Field, FieldMeta, Layouts};
    pub use super::container::{field_from_bytes, field_from_json, field_from_reader};
    pub use super::items::read_exactly;
    pub use super::json::json_object;
    pub use super::merkle::hash_down;
    pub use super::proof::{PathStep, SszPath};
    pub use crypto::hash::Hash256;
    pub use serde_json::Value;
}

/// One bound of a type: how many items a list may, or a vector must, have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The limit of a list or the length of a vector, in items (bits, bytes).
    Fixed(u64),
    /// A progressive list (EIP-7916): no limit, another tree.
    Progressive,
}

/// Every SSZ type. `shape` holds the bounds of the type itself and of its elements, outermost first; types that have
/// none (integers, containers, `Bytes<N>`) ignore it.
pub trait Ssz: Sized + Clone + PartialEq + Debug {
    /// Size in bytes of a basic type, which lists pack into chunks; 0 for every other type.
    const BASIC_LEN: usize = 0;

    /// The encoded size if it is the same for all values, otherwise `None`.
    fn fixed_len(fork: Fork, shape: &[Bound]) -> Option<usize>;

    /// The encoded size of this value.
    fn encoded_len(&self, fork: Fork, shape: &[Bound]) -> usize;

    /// Appends the encoding.
    fn encode_to(&self, fork: Fork, shape: &[Bound], out: &mut Out);

    /// Reads a value that takes up exactly `bytes`. Errors name the rule and the place; nothing is allocated before its
    /// length was checked against the input.
    fn decode_from(bytes: &[u8], fork: Fork, shape: &[Bound]) -> Result<Self, SszError>;

    /// Reads a value of exactly `len` bytes from a reader; big lists do so without a buffer of that size.
    fn decode_read(reader: &mut dyn io::Read, len: usize, fork: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let bytes = items::read_exactly(reader, len)?;
        Self::decode_from(&bytes, fork, shape)
    }

    /// The hash tree root.
    fn root(&self, fork: Fork, shape: &[Bound]) -> Root;

    /// The spec's default value at `fork` (vectors at their full length).
    fn default_for(fork: Fork, shape: &[Bound]) -> Self;

    /// The hash at generalized index `gindex` of this value's tree (1 is the root), or `None` where the tree has no
    /// such node.
    ///
    /// Spec: ssz/merkle-proofs.md.
    fn node(&self, fork: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        (gindex == 1).then(|| self.root(fork, shape).0)
    }

    /// Writes the root of `items[i]` to `out[i * stride]`. Types that gain from hashing many values layer by layer
    /// override it.
    fn write_roots(items: &[&Self], fork: Fork, shape: &[Bound], out: &mut [Hash256], stride: usize) {
        for (item, slot) in items.iter().zip(out.iter_mut().step_by(stride)) {
            *slot = item.root(fork, shape).0;
        }
    }

    /// Writes the `BASIC_LEN` bytes of a basic value; never called for other types.
    fn write_basic(&self, _out: &mut [u8]) {
        unreachable!("only basic types are packed")
    }

    /// The encoding of a type without bounds of its own.
    fn encode(&self, fork: Fork) -> Vec<u8> {
        let mut out = Out::memory(self.encoded_len(fork, &[]));
        self.encode_to(fork, &[], &mut out);
        out.into_bytes()
    }

    /// Reads a type without bounds of its own; see `decode_from`.
    fn decode(bytes: &[u8], fork: Fork) -> Result<Self, SszError> {
        Self::decode_from(bytes, fork, &[])
    }

    /// The hash tree root of a type without bounds of its own.
    fn hash_tree_root(&self, fork: Fork) -> Root {
        self.root(fork, &[])
    }

    /// The spec's default value of a type without bounds of its own.
    fn new(fork: Fork) -> Self {
        Self::default_for(fork, &[])
    }
}

/// The first bound of a shape and the rest, which is for the elements.
///
/// Panics where a type that needs a bound was declared without one: a mistake in a `container!`.
pub(crate) fn split_shape(shape: &[Bound]) -> (Bound, &[Bound]) {
    let (first, rest) = shape
        .split_first()
        .expect("a list, vector or bitfield is declared with its bound");
    (*first, rest)
}

/// The length of a vector from its shape.
pub(crate) fn vector_len(shape: &[Bound]) -> usize {
    match split_shape(shape).0 {
        Bound::Fixed(length) => length as usize,
        Bound::Progressive => panic!("a vector is declared with a length"),
    }
}

#[cfg(test)]
mod tests;
