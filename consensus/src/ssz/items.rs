//! Walking the encoded items of a sequence, with every length and offset checked before it is believed.

use super::{Bound, Ssz, SszError};
use crate::fork::Fork;
use std::io::{self, Read};
use std::marker::PhantomData;

/// Size of an offset on the wire (`BYTES_PER_LENGTH_OFFSET`).
pub(super) const OFFSET_LEN: usize = 4;

/// The items of an encoded list or vector, decoded one by one.
pub(super) struct Items<'a, T> {
    bytes: &'a [u8],
    fork: Fork,
    shape: &'a [Bound],
    item_len: Option<usize>,
    count: usize,
    index: usize,
    item: PhantomData<T>,
}

impl<'a, T: Ssz> Items<'a, T> {
    /// Finds out how many items there are; errors where `bytes` cannot be cut into items.
    pub(super) fn new(bytes: &'a [u8], fork: Fork, shape: &'a [Bound]) -> Result<Self, SszError> {
        let item_len = T::fixed_len(fork, shape);
        let count = match item_len {
            Some(item_len) => count_fixed(bytes.len(), item_len)?,
            None => count_offsets(bytes)?,
        };
        Ok(Items {
            bytes,
            fork,
            shape,
            item_len,
            count,
            index: 0,
            item: PhantomData,
        })
    }

    /// How many items there are, decoded or not.
    pub(super) fn total(&self) -> usize {
        self.count
    }

    /// All items, or the first error. The vector grows as items prove valid: many offsets of a few bytes each must not
    /// reserve the room of as many large items.
    pub(super) fn into_vec(self) -> Result<Vec<T>, SszError> {
        let affordable = self.bytes.len() / size_of::<T>().max(1);
        let mut items = Vec::with_capacity(self.count.min(affordable + 1));
        for item in self {
            items.push(item?);
        }
        Ok(items)
    }

    /// Start and end of item `index`; its offsets are compared with its neighbours' here.
    fn bounds_of(&self, index: usize) -> Result<(usize, usize), SszError> {
        if let Some(item_len) = self.item_len {
            return Ok((index * item_len, (index + 1) * item_len));
        }
        let start = read_offset(self.bytes, index);
        let end = if index + 1 < self.count {
            read_offset(self.bytes, index + 1)
        } else {
            self.bytes.len()
        };
        if start > end || end > self.bytes.len() {
            let len = self.bytes.len();
            return Err(SszError::new(
                SszError::OFFSET,
                format!("item from {start} to {end} in {len} bytes"),
            ));
        }
        Ok((start, end))
    }
}

impl<T: Ssz> Iterator for Items<'_, T> {
    type Item = Result<T, SszError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            return None;
        }
        let index = self.index;
        self.index += 1;
        let item = self
            .bounds_of(index)
            .and_then(|(start, end)| T::decode_from(&self.bytes[start..end], self.fork, self.shape));
        Some(item.map_err(|error| error.within_item(index)))
    }
}

/// How many items of `item_len` bytes make up `len` bytes.
pub(super) fn count_fixed(len: usize, item_len: usize) -> Result<usize, SszError> {
    if item_len == 0 {
        return Err(SszError::new(SszError::TYPE, "items of no size"));
    }
    if !len.is_multiple_of(item_len) {
        return Err(SszError::new(
            SszError::LENGTH,
            format!("{len} bytes are no multiple of the item size {item_len}"),
        ));
    }
    Ok(len / item_len)
}

/// How many offsets stand at the head of `bytes`: the first one points behind the last.
fn count_offsets(bytes: &[u8]) -> Result<usize, SszError> {
    if bytes.is_empty() {
        return Ok(0);
    }
    if bytes.len() < OFFSET_LEN {
        return Err(SszError::new(
            SszError::OFFSET,
            format!("{} bytes hold no offset", bytes.len()),
        ));
    }
    let first = read_offset(bytes, 0);
    if first == 0 || !first.is_multiple_of(OFFSET_LEN) || first > bytes.len() {
        return Err(SszError::new(
            SszError::OFFSET,
            format!("first offset {first} in {} bytes", bytes.len()),
        ));
    }
    Ok(first / OFFSET_LEN)
}

/// The offset at position `index` of an offset table; the caller knows that it is inside.
pub(super) fn read_offset(bytes: &[u8], index: usize) -> usize {
    let at = index * OFFSET_LEN;
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// Refuses more than `bound` allows.
pub(super) fn check_limit(count: usize, bound: Bound, what: &str) -> Result<(), SszError> {
    match bound {
        Bound::Fixed(limit) if count as u64 > limit => Err(SszError::new(
            SszError::LIMIT,
            format!("{count} {what}, at most {limit} allowed"),
        )),
        _ => Ok(()),
    }
}

/// Refuses another length than the vector's, and vectors of no length, which are illegal types.
pub(super) fn check_vector(count: usize, length: usize, what: &str) -> Result<(), SszError> {
    if length == 0 {
        return Err(SszError::new(SszError::TYPE, "a vector of length 0"));
    }
    if count == length {
        return Ok(());
    }
    Err(SszError::new(
        SszError::LENGTH,
        format!("{count} {what}, exactly {length} needed"),
    ))
}

/// Refuses another number of bytes than `expected`.
pub(super) fn check_len(found: usize, expected: usize) -> Result<(), SszError> {
    if found == expected {
        return Ok(());
    }
    Err(SszError::new(
        SszError::LENGTH,
        format!("{found} bytes, exactly {expected} needed"),
    ))
}

/// Reads `len` bytes. The buffer grows with what really arrives, so that a length from outside reserves nothing.
pub fn read_exactly(reader: &mut dyn Read, len: usize) -> Result<Vec<u8>, SszError> {
    const STEP: usize = 64 * 1024;
    let mut bytes = Vec::with_capacity(len.min(STEP));
    let got = reader
        .take(len as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| read_failed(&error))?;
    if got < len {
        return Err(SszError::new(
            SszError::READ,
            format!("the input ended after {got} of {len} bytes"),
        ));
    }
    Ok(bytes)
}

/// A failed read as an error of ours.
pub(super) fn read_failed(error: &io::Error) -> SszError {
    SszError::new(SszError::READ, error.to_string())
}
