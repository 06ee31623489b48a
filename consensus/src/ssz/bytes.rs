//! Byte strings: fixed ones by value, vectors and lists on the heap.

use super::items::{check_len, check_limit, check_vector};
use super::json::{hex_from_json, parse_hex, put_hex};
use super::{Bound, Json, JsonError, Out, Root, Ssz, SszError, merkle, proof, split_shape, vector_len};
use crate::fork::Fork;
use crypto::hash::{Hash256, hash_pairs};
use std::fmt;
use std::str::FromStr;

/// The spec's `BytesN`: `N` bytes by value (roots, keys, signatures, addresses, cells).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes<const N: usize>(pub [u8; N]);

impl<const N: usize> Bytes<N> {
    /// All bytes zero.
    pub const ZERO: Self = Bytes([0; N]);

    /// Whether all bytes are zero.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<const N: usize> AsRef<[u8]> for Bytes<N> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> From<[u8; N]> for Bytes<N> {
    fn from(bytes: [u8; N]) -> Self {
        Bytes(bytes)
    }
}

impl<const N: usize> fmt::Display for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Bytes<N> {
    type Err = JsonError;

    /// Reads `0x` and `2 × N` hex digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = parse_hex(text).map_err(JsonError::new)?;
        let len = bytes.len();
        bytes
            .try_into()
            .map(Bytes)
            .map_err(|_| JsonError::new(format!("expected {N} bytes in hex, found {len}")))
    }
}

impl<const N: usize> Ssz for Bytes<N> {
    #[inline]
    fn fixed_len(_: Fork, _: &[Bound]) -> Option<usize> {
        Some(N)
    }

    #[inline]
    fn encoded_len(&self, _: Fork, _: &[Bound]) -> usize {
        N
    }

    #[inline]
    fn encode_to(&self, _: Fork, _: &[Bound], out: &mut Out) {
        out.put(&self.0);
    }

    #[inline]
    fn decode_from(bytes: &[u8], _: Fork, _: &[Bound]) -> Result<Self, SszError> {
        check_len(bytes.len(), N)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(Bytes(array))
    }

    fn root(&self, _: Fork, _: &[Bound]) -> Root {
        if N <= 32 {
            let mut chunk = [0; 32];
            chunk[..N].copy_from_slice(&self.0);
            return Bytes(chunk);
        }
        Bytes(merkle::merkleize_bytes(&self.0, N.div_ceil(32) as u64))
    }

    fn default_for(_: Fork, _: &[Bound]) -> Self {
        Self::ZERO
    }

    fn node(&self, _: Fork, _: &[Bound], gindex: u64) -> Option<Hash256> {
        proof::chunks_node(
            &merkle::pack_bytes(&self.0),
            merkle::depth_of(N.div_ceil(32) as u64),
            gindex,
        )
    }

    /// Values of up to two chunks (roots, public keys) are the leaves of the registry: all of them in one kernel call.
    fn write_roots(items: &[&Self], fork: Fork, shape: &[Bound], out: &mut [Hash256], stride: usize) {
        if N <= 32 {
            for (item, chunk) in items.iter().zip(out.iter_mut().step_by(stride)) {
                *chunk = [0; 32];
                chunk[..N].copy_from_slice(&item.0);
            }
        } else if N <= 64 {
            write_two_chunk_roots(items, out, stride);
        } else {
            for (item, chunk) in items.iter().zip(out.iter_mut().step_by(stride)) {
                *chunk = item.root(fork, shape).0;
            }
        }
    }
}

/// Roots of values of 33 to 64 bytes, sixteen at a time: enough for the kernel, small enough for the stack.
fn write_two_chunk_roots<const N: usize>(items: &[&Bytes<N>], out: &mut [Hash256], stride: usize) {
    const AT_ONCE: usize = 16;
    for (batch, slots) in items.chunks(AT_ONCE).zip(out.chunks_mut(AT_ONCE * stride)) {
        let mut input = [[0u8; 32]; 2 * AT_ONCE];
        let mut roots = [[0u8; 32]; AT_ONCE];
        for (item, pair) in batch.iter().zip(input.chunks_exact_mut(2)) {
            pair[0].copy_from_slice(&item.0[..32]);
            pair[1][..N - 32].copy_from_slice(&item.0[32..]);
        }
        hash_pairs(&input[..2 * batch.len()], &mut roots[..batch.len()]);
        for (root, slot) in roots[..batch.len()].iter().zip(slots.iter_mut().step_by(stride)) {
            *slot = *root;
        }
    }
}

impl<const N: usize> Json for Bytes<N> {
    fn write_json(&self, _: Fork, _: &[Bound], out: &mut Out) {
        put_hex(&self.0, out);
    }

    fn from_json(value: &serde_json::Value, _: Fork, _: &[Bound]) -> Result<Self, JsonError> {
        let bytes = hex_from_json(value)?;
        let len = bytes.len();
        bytes
            .try_into()
            .map(Bytes)
            .map_err(|_| JsonError::new(format!("expected {N} bytes in hex, found {len}")))
    }
}

macro_rules! heap_bytes {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub Vec<u8>);

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<Vec<u8>> for $name {
            fn from(bytes: Vec<u8>) -> Self {
                $name(bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

heap_bytes! {
    /// `ByteList[N]`, or a `ProgressiveByteList`, by its bound.
    ByteList
}
heap_bytes! {
    /// `ByteVector[N]` too large to be kept by value (a blob); its length is its bound.
    ByteVector
}

impl Ssz for ByteList {
    fn fixed_len(_: Fork, _: &[Bound]) -> Option<usize> {
        None
    }

    fn encoded_len(&self, _: Fork, _: &[Bound]) -> usize {
        self.0.len()
    }

    fn encode_to(&self, _: Fork, _: &[Bound], out: &mut Out) {
        out.put(&self.0);
    }

    fn decode_from(bytes: &[u8], _: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        check_limit(bytes.len(), split_shape(shape).0, "bytes")?;
        Ok(ByteList(bytes.to_vec()))
    }

    fn root(&self, _: Fork, shape: &[Bound]) -> Root {
        let data = match split_shape(shape).0 {
            Bound::Fixed(limit) => merkle::merkleize_bytes(&self.0, limit.div_ceil(32)),
            Bound::Progressive => merkle::merkleize_progressive(&mut merkle::pack_bytes(&self.0)),
        };
        Bytes(merkle::mix_in_length(&data, self.0.len()))
    }

    fn default_for(_: Fork, _: &[Bound]) -> Self {
        ByteList::default()
    }

    fn node(&self, _: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        let chunks = merkle::pack_bytes(&self.0);
        proof::list_node(self.0.len(), gindex, |data| match split_shape(shape).0 {
            Bound::Fixed(limit) => proof::chunks_node(&chunks, merkle::depth_of(limit.div_ceil(32)), data),
            Bound::Progressive => proof::progressive_node(&chunks, data, |_, _| None),
        })
    }
}

impl Json for ByteList {
    fn write_json(&self, _: Fork, _: &[Bound], out: &mut Out) {
        put_hex(&self.0, out);
    }

    fn from_json(value: &serde_json::Value, _: Fork, shape: &[Bound]) -> Result<Self, JsonError> {
        let bytes = hex_from_json(value)?;
        check_limit(bytes.len(), split_shape(shape).0, "bytes").map_err(|error| JsonError::new(error.detail))?;
        Ok(ByteList(bytes))
    }
}

impl Ssz for ByteVector {
    fn fixed_len(_: Fork, shape: &[Bound]) -> Option<usize> {
        Some(vector_len(shape))
    }

    fn encoded_len(&self, _: Fork, shape: &[Bound]) -> usize {
        vector_len(shape)
    }

    fn encode_to(&self, _: Fork, shape: &[Bound], out: &mut Out) {
        debug_assert_eq!(self.0.len(), vector_len(shape), "a byte vector keeps its length");
        out.put(&self.0);
    }

    fn decode_from(bytes: &[u8], _: Fork, shape: &[Bound]) -> Result<Self, SszError> {
        check_vector(bytes.len(), vector_len(shape), "bytes")?;
        Ok(ByteVector(bytes.to_vec()))
    }

    fn root(&self, _: Fork, shape: &[Bound]) -> Root {
        Bytes(merkle::merkleize_bytes(&self.0, vector_len(shape).div_ceil(32) as u64))
    }

    fn default_for(_: Fork, shape: &[Bound]) -> Self {
        ByteVector(vec![0; vector_len(shape)])
    }

    fn node(&self, _: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        let depth = merkle::depth_of(vector_len(shape).div_ceil(32) as u64);
        proof::chunks_node(&merkle::pack_bytes(&self.0), depth, gindex)
    }
}

impl Json for ByteVector {
    fn write_json(&self, _: Fork, _: &[Bound], out: &mut Out) {
        put_hex(&self.0, out);
    }

    fn from_json(value: &serde_json::Value, _: Fork, shape: &[Bound]) -> Result<Self, JsonError> {
        let bytes = hex_from_json(value)?;
        check_vector(bytes.len(), vector_len(shape), "bytes").map_err(|error| JsonError::new(error.detail))?;
        Ok(ByteVector(bytes))
    }
}
