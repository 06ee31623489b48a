//! Roots of the execution layer's Merkle Patricia tries: transactions and withdrawals of a block, accounts of a genesis.
//!
//! Written out here because only roots are wanted, of tries that are built once and thrown away: a hundred lines, where
//! the crates for it bring databases, proofs and their own types for numbers and hashes.
//!
//! Spec: yellow paper, appendix D.

use super::rlp::{list, string};
use consensus::types::Hash32;
use sha3::{Digest, Keccak256};

/// The execution layer's hash.
pub(crate) fn keccak256(bytes: &[u8]) -> Hash32 {
    let digest: [u8; 32] = Keccak256::digest(bytes).into();
    Hash32::from(digest)
}

/// The root of a list as a trie: each item under the RLP of its place.
pub(crate) fn ordered_trie_root<'a>(items: impl Iterator<Item = &'a [u8]>) -> Hash32 {
    let keyed = items
        .enumerate()
        .map(|(place, item)| (alloy_rlp::encode(place as u64), item));
    trie_root(keyed)
}

/// The root of a trie with these values under these keys. No two keys are equal.
pub(crate) fn trie_root<'a>(items: impl Iterator<Item = (Vec<u8>, &'a [u8])>) -> Hash32 {
    let mut leaves: Vec<Leaf> = items
        .map(|(key, value)| Leaf {
            path: nibbles(&key),
            value,
        })
        .collect();
    leaves.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    keccak256(&node(&leaves, 0))
}

/// A value and where it stands, in half bytes.
struct Leaf<'a> {
    path: Vec<u8>,
    value: &'a [u8],
}

fn nibbles(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

/// The RLP of the node under which these sorted leaves stand, which have the first `depth` half bytes in common. Calls
/// itself once per half byte of a key at most.
fn node(leaves: &[Leaf], depth: usize) -> Vec<u8> {
    let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else {
        return alloy_rlp::encode(&[] as &[u8]);
    };
    if leaves.len() == 1 {
        return list(&[string(&hex_prefix(&first.path[depth..], true)), string(first.value)]);
    }
    // The leaves are sorted, so all share what the first and the last share.
    let both = first.path[depth..].iter().zip(&last.path[depth..]);
    let shared = both.take_while(|(a, b)| a == b).count();
    if shared > 0 {
        let path = hex_prefix(&first.path[depth..depth + shared], false);
        return list(&[string(&path), reference(&node(leaves, depth + shared))]);
    }
    branch(leaves, depth)
}

/// A node with sixteen children, and a value of its own where a key ends.
fn branch(leaves: &[Leaf], depth: usize) -> Vec<u8> {
    let (own, mut rest) = match leaves.split_first() {
        Some((first, rest)) if first.path.len() == depth => (first.value, rest),
        _ => (&[] as &[u8], leaves),
    };
    let mut fields = Vec::with_capacity(17);
    for nibble in 0..16 {
        let count = rest.iter().take_while(|leaf| leaf.path[depth] == nibble).count();
        let (children, others) = rest.split_at(count);
        rest = others;
        fields.push(match children {
            [] => string(&[]),
            _ => reference(&node(children, depth + 1)),
        });
    }
    fields.push(string(own));
    list(&fields)
}

/// How a parent names a child: by its hash, or as it is if it is shorter than one.
fn reference(node: &[u8]) -> Vec<u8> {
    if node.len() < 32 {
        node.to_vec()
    } else {
        string(keccak256(node).as_bytes())
    }
}

/// A path in bytes: whether it ends at a leaf, and whether its length is odd, stand in front.
fn hex_prefix(path: &[u8], leaf: bool) -> Vec<u8> {
    let flag = if leaf { 2 } else { 0 };
    let (head, even) = match path.split_first() {
        Some((first, even)) if path.len() % 2 == 1 => ((flag + 1) << 4 | first, even),
        _ => (flag << 4, path),
    };
    std::iter::once(head)
        .chain(even.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]))
        .collect()
}
