//! Merkleization of chunks.
//!
//! Layers are hashed whole, since the hash kernel is twice as fast on two pairs or more as on one.
//!
//! Spec: ssz/simple-serialize.md, "Merkleization".

use crypto::hash::{Hash256, hash_pairs, hash_pairs_in_place, hash2, zero_hash};

/// Number of layers above `chunks` leaves, padded to a power of two.
pub fn depth_of(chunks: u64) -> u32 {
    if chunks <= 1 { 0 } else { (chunks - 1).ilog2() + 1 }
}

/// The root of `chunks` padded with zero chunks to `2^depth` leaves; the chunks are used up as working space.
///
/// Panics if there are more than `2^depth`: the caller has checked its limit.
pub fn merkleize(chunks: &mut [Hash256], depth: u32) -> Hash256 {
    let mut count = chunks.len();
    assert!(
        depth >= 64 || count as u64 <= 1 << depth,
        "more chunks than the tree has leaves"
    );
    if count == 0 {
        return *zero_hash(depth as usize);
    }
    let mut level = 0;
    let mut scratch = [[0; 32]; SCRATCH];
    while count > 1 {
        let pairs = count / 2;
        hash_layer(chunks, pairs, &mut scratch);
        if count % 2 == 1 {
            chunks[pairs] = hash2(&chunks[count - 1], zero_hash(level as usize));
        }
        count = count.div_ceil(2);
        level += 1;
    }
    pad(chunks[0], level, depth)
}

/// The root of a tree of `depth` whose leftmost subtree of height `level` has the root `root`, the rest being zero.
pub fn pad(mut root: Hash256, level: u32, depth: u32) -> Hash256 {
    for height in level..depth {
        root = hash2(&root, zero_hash(height as usize));
    }
    root
}

/// Hashes layers until `count` nodes are left at the head of `nodes`, whose length is `count` times a power of two.
pub fn hash_down(nodes: &mut [Hash256], count: usize) {
    let mut scratch = [[0; 32]; SCRATCH];
    let mut len = nodes.len();
    while len > count {
        len /= 2;
        hash_layer(nodes, len, &mut scratch);
    }
}

/// Pairs that are hashed through a second buffer: most layers there are. In place the kernel would have to begin with
/// single pairs, which cost it twice as much.
const SCRATCH: usize = 64;

/// Hashes the first `2 * pairs` nodes into the first `pairs`.
fn hash_layer(nodes: &mut [Hash256], pairs: usize, scratch: &mut [Hash256; SCRATCH]) {
    if pairs > SCRATCH {
        return hash_pairs_in_place(nodes, pairs);
    }
    hash_pairs(&nodes[..2 * pairs], &mut scratch[..pairs]);
    nodes[..pairs].copy_from_slice(&scratch[..pairs]);
}

/// `merkleize_progressive(chunks)`: subtrees of 1, 4, 16, … leaves, folded from the last.
///
/// Spec: ssz/simple-serialize.md (EIP-7916).
pub fn merkleize_progressive(chunks: &mut [Hash256]) -> Hash256 {
    merkleize_progressive_from(0, chunks)
}

/// The root of the part of a progressive tree that begins with its subtree of `depth`, of which `chunks` are the leaves.
pub fn merkleize_progressive_from(mut depth: u32, chunks: &mut [Hash256]) -> Hash256 {
    let mut roots = Vec::new();
    let mut rest = chunks;
    while !rest.is_empty() {
        let (subtree, behind) = rest.split_at_mut(rest.len().min(1 << depth));
        roots.push(merkleize(subtree, depth));
        rest = behind;
        depth += 2;
    }
    fold_progressive(&roots)
}

/// The root of a progressive tree from the roots of its subtrees.
pub fn fold_progressive(subtree_roots: &[Hash256]) -> Hash256 {
    subtree_roots.iter().rfold([0; 32], |behind, root| hash2(root, &behind))
}

/// `bytes` in chunks, the last one filled up with zeros.
pub fn pack_bytes(bytes: &[u8]) -> Vec<Hash256> {
    bytes
        .chunks(32)
        .map(|piece| {
            let mut chunk = [0; 32];
            chunk[..piece.len()].copy_from_slice(piece);
            chunk
        })
        .collect()
}

/// The root of packed `bytes` in a tree with room for `limit` chunks.
pub fn merkleize_bytes(bytes: &[u8], limit: u64) -> Hash256 {
    merkleize(&mut pack_bytes(bytes), depth_of(limit))
}

/// `mix_in_length(root, length)`.
pub fn mix_in_length(root: &Hash256, length: usize) -> Hash256 {
    hash2(root, &length_chunk(length))
}

/// The chunk that holds a length.
pub fn length_chunk(length: usize) -> Hash256 {
    let mut chunk = [0; 32];
    chunk[..8].copy_from_slice(&(length as u64).to_le_bytes());
    chunk
}
