//! The execution layer's encoding, as far as headers, withdrawals and trie nodes need it.

use alloy_rlp::{Encodable, Header};

/// A byte string.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 9);
    bytes.encode(&mut out);
    out
}

/// An integer, given as big-endian bytes: a string without its leading zeros.
pub(crate) fn uint(big_endian: &[u8]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    string(&big_endian[zeros..])
}

/// An integer of 64 bits.
pub(crate) fn number(value: u64) -> Vec<u8> {
    uint(&value.to_be_bytes())
}

/// The list of items that are encoded already.
pub(crate) fn list(encoded: &[Vec<u8>]) -> Vec<u8> {
    let payload_length = encoded.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(payload_length + 9);
    Header {
        list: true,
        payload_length,
    }
    .encode(&mut out);
    for item in encoded {
        out.extend_from_slice(item);
    }
    out
}
