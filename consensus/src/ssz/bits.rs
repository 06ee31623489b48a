//! Bitlists and bitvectors.

use super::items::{check_len, check_limit, check_vector};
use super::json::{hex_from_json, put_hex};
use super::{Bound, Bytes, Json, JsonError, Out, Root, Ssz, SszError, merkle, proof, split_shape, vector_len};
use crate::fork::Fork;
use crypto::hash::Hash256;
use std::fmt;

/// Bits in bytes, lowest bit first; the bits behind `len` are zero, always.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    fn new(len: usize) -> Self {
        Bits {
            bytes: vec![0; len.div_ceil(8)],
            len,
        }
    }

    fn get(&self, index: usize) -> Option<bool> {
        (index < self.len).then(|| self.bytes[index / 8] >> (index % 8) & 1 == 1)
    }

    fn set(&mut self, index: usize, value: bool) -> bool {
        if index >= self.len {
            return false;
        }
        let mask = 1 << (index % 8);
        if value {
            self.bytes[index / 8] |= mask;
        } else {
            self.bytes[index / 8] &= !mask;
        }
        true
    }

    /// Reads exactly `len` bits; bits set behind them are an error.
    fn decode(bytes: &[u8], len: usize) -> Result<Self, SszError> {
        check_len(bytes.len(), len.div_ceil(8))?;
        if let Some(last) = bytes
            .last()
            .filter(|last| !len.is_multiple_of(8) && *last >> (len % 8) != 0)
        {
            return Err(SszError::new(
                SszError::BITS,
                format!("last byte 0x{last:02x} has bits behind length {len}"),
            ));
        }
        Ok(Bits {
            bytes: bytes.to_vec(),
            len,
        })
    }

    /// Reads bits that end with a sentinel bit.
    fn decode_delimited(bytes: &[u8]) -> Result<Self, SszError> {
        let last = match bytes.last() {
            None => return Err(SszError::new(SszError::BITS, "no byte, so no sentinel bit")),
            Some(0) => {
                return Err(SszError::new(
                    SszError::BITS,
                    "the last byte is 0, so there is no sentinel bit",
                ));
            }
            Some(last) => *last,
        };
        let sentinel = 7 - last.leading_zeros() as usize;
        let len = (bytes.len() - 1) * 8 + sentinel;
        let mut bytes = bytes.to_vec();
        if sentinel == 0 {
            bytes.pop();
        } else if let Some(last) = bytes.last_mut() {
            *last &= !(1 << sentinel);
        }
        Ok(Bits { bytes, len })
    }

    /// The encoding with its sentinel bit.
    fn delimited(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if self.len.is_multiple_of(8) {
            bytes.push(1);
        } else if let Some(last) = bytes.last_mut() {
            *last |= 1 << (self.len % 8);
        }
        bytes
    }
}

macro_rules! bit_methods {
    ($name:ident) => {
        impl $name {
            /// `len` bits, all unset.
            pub fn new(len: usize) -> Self {
                $name(Bits::new(len))
            }

            /// How many bits there are.
            pub fn len(&self) -> usize {
                self.0.len
            }

            /// Whether there is no bit at all, set or unset.
            pub fn is_empty(&self) -> bool {
                self.0.len == 0
            }

            /// The bit at `index`, or `None` behind the end.
            pub fn get(&self, index: usize) -> Option<bool> {
                self.0.get(index)
            }

            /// Sets the bit at `index`; `false` if it is behind the end, where nothing is changed.
            pub fn set(&mut self, index: usize, value: bool) -> bool {
                self.0.set(index, value)
            }

            /// All bits in order.
            pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
                (0..self.0.len).map(|index| self.0.bytes[index / 8] >> (index % 8) & 1 == 1)
            }

            /// The indices of the set bits in order.
            pub fn ones(&self) -> impl Iterator<Item = usize> + '_ {
                self.iter()
                    .enumerate()
                    .filter_map(|(index, bit)| bit.then_some(index))
            }

            /// How many bits are set.
            pub fn count_ones(&self) -> usize {
                self.0.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
            }

            /// Whether any bit is set.
            pub fn any(&self) -> bool {
                self.0.bytes.iter().any(|byte| *byte != 0)
            }

            /// Whether every bit that is set in `other` is set here too.
            pub fn is_superset(&self, other: &Self) -> bool {
                self.0.len == other.0.len
                    && self
                        .0
                        .bytes
                        .iter()
                        .zip(&other.0.bytes)
                        .all(|(ours, theirs)| theirs & !ours == 0)
            }

            /// Whether some bit is set in both.
            pub fn intersects(&self, other: &Self) -> bool {
                self.0
                    .bytes
                    .iter()
                    .zip(&other.0.bytes)
                    .any(|(ours, theirs)| ours & theirs != 0)
            }

            /// Sets every bit that is set in `other`, which must not be longer; `false` if it is, and nothing changes.
            pub fn merge(&mut self, other: &Self) -> bool {
                if other.0.len > self.0.len {
                    return false;
                }
                for (ours, theirs) in self.0.bytes.iter_mut().zip(&other.0.bytes) {
                    *ours |= theirs;
                }
                true
            }

            /// The bits in bytes, lowest first, without a sentinel; those behind the end are zero.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0.bytes
            }
        }

        impl FromIterator<bool> for $name {
            fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
                let mut all = Bits::default();
                for bit in bits {
                    if all.len.is_multiple_of(8) {
                        all.bytes.push(0);
                    }
                    all.len += 1;
                    all.set(all.len - 1, bit);
                }
                $name(all)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.iter()
                    .try_for_each(|bit| f.write_str(if bit { "1" } else { "0" }))
            }
        }
    };
}

/// `BitList[N]`, or a `ProgressiveBitList`, by its bound.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct BitList(Bits);

/// `BitVector[N]`; its length is its bound.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct BitVector(Bits);

bit_methods!(BitList);
bit_methods!(BitVector);

/// Number of chunks that `bits` bits fill.
fn chunks_of(bits: u64) -> u64 {
    bits.div_ceil(256)
}

impl Ssz for BitList {
    fn fixed_len(_: Fork, _: &[Bound]) -> Option<usize> {
        None
    }

    fn encoded_len(&self, _: Fork, _: &[Bound]) -> usize {
        self.0.len / 8 + 1
    }

    fn encode_to(&self, _: Fork, _: &[Bound], out: &mut Out) {
        out.put(&self.0.delimited());
    }

    fn decode_from(bytes: &[u8], _: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let bits = Bits::decode_delimited(bytes)?;
        check_limit(bits.len, split_shape(shape).0, "bits")?;
        Ok(BitList(bits))
    }

    fn root(&self, _: Fork, shape: &[Bound]) -> Root {
        let data = match split_shape(shape).0 {
            Bound::Fixed(limit) => merkle::merkleize_bytes(&self.0.bytes, chunks_of(limit)),
            Bound::Progressive => merkle::merkleize_progressive(&mut merkle::pack_bytes(&self.0.bytes)),
        };
        Bytes(merkle::mix_in_length(&data, self.0.len))
    }

    fn default_for(_: Fork, _: &[Bound]) -> Self {
        BitList::default()
    }

    fn node(&self, _: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        let chunks = merkle::pack_bytes(&self.0.bytes);
        proof::list_node(self.0.len, gindex, |data| match split_shape(shape).0 {
            Bound::Fixed(limit) => proof::chunks_node(&chunks, merkle::depth_of(chunks_of(limit)), data),
            Bound::Progressive => proof::progressive_node(&chunks, data, |_, _| None),
        })
    }
}

impl Json for BitList {
    fn write_json(&self, _: Fork, _: &[Bound], out: &mut Out) {
        put_hex(&self.0.delimited(), out);
    }

    fn from_json(value: &serde_json::Value, fork: Fork, shape: &[Bound]) -> Result<Self, JsonError> {
        BitList::decode_from(&hex_from_json(value)?, fork, shape).map_err(|error| JsonError::new(error.detail))
    }
}

impl Ssz for BitVector {
    fn fixed_len(_: Fork, shape: &[Bound]) -> Option<usize> {
        Some(vector_len(shape).div_ceil(8))
    }

    fn encoded_len(&self, _: Fork, shape: &[Bound]) -> usize {
        vector_len(shape).div_ceil(8)
    }

    fn encode_to(&self, _: Fork, shape: &[Bound], out: &mut Out) {
        debug_assert_eq!(self.0.len, vector_len(shape), "a bitvector keeps its length");
        out.put(&self.0.bytes);
    }

    fn decode_from(bytes: &[u8], _: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        let length = vector_len(shape);
        check_vector(length, length, "bits")?;
        Bits::decode(bytes, length).map(BitVector)
    }

    fn root(&self, _: Fork, shape: &[Bound]) -> Root {
        Bytes(merkle::merkleize_bytes(
            &self.0.bytes,
            chunks_of(vector_len(shape) as u64),
        ))
    }

    fn default_for(_: Fork, shape: &[Bound]) -> Self {
        BitVector::new(vector_len(shape))
    }

    fn node(&self, _: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        let depth = merkle::depth_of(chunks_of(vector_len(shape) as u64));
        proof::chunks_node(&merkle::pack_bytes(&self.0.bytes), depth, gindex)
    }
}

impl Json for BitVector {
    fn write_json(&self, _: Fork, _: &[Bound], out: &mut Out) {
        put_hex(&self.0.bytes, out);
    }

    fn from_json(value: &serde_json::Value, fork: Fork, shape: &[Bound]) -> Result<Self, JsonError> {
        BitVector::decode_from(&hex_from_json(value)?, fork, shape).map_err(|error| JsonError::new(error.detail))
    }
}
