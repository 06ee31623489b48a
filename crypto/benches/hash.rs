//! What a pair of nodes costs to hash, by each kernel that runs here, against `sha2` and in batches of each size.

mod harness;

use std::hint::black_box;

use crypto::hash::{Hash256, hash_pairs, hash_pairs_in_place, hash2, kernel, kernels, sha256};
use sha2::{Digest, Sha256};

fn main() {
    let bench = harness::Bench::from_args();
    let input: Vec<Hash256> = (0..2048u32).map(|n| sha256(&n.to_le_bytes())).collect();
    let mut out = vec![[0; 32]; 1024];

    let mut group = bench.group("1,024 pairs, per pair");
    group.line(&format!("hash_pairs (here: {})", kernel().name), 1024, || {
        hash_pairs(black_box(&input), &mut out);
    });
    let mut buf = input.clone();
    group.line("hash_pairs_in_place", 1024, || {
        hash_pairs_in_place(black_box(&mut buf), 1024);
    });
    for kernel in kernels() {
        group.line(&format!("kernel {}", kernel.name), 1024, || {
            kernel.hash_pairs(black_box(&input), &mut out);
        });
    }
    group.line("sha2 digest", 1024, || {
        for (pair, out) in input.chunks_exact(2).zip(&mut out) {
            *out = Sha256::digest(black_box(pair.as_flattened())).into();
        }
    });
    group.line("sha256", 1024, || {
        for (pair, out) in input.chunks_exact(2).zip(&mut out) {
            *out = sha256(black_box(pair.as_flattened()));
        }
    });
    group.line("hash2", 1024, || {
        for (pair, out) in input.chunks_exact(2).zip(&mut out) {
            *out = hash2(black_box(&pair[0]), &pair[1]);
        }
    });

    let mut group = bench.group("hash_pairs by batch size, per pair");
    for pairs in [1, 2, 3, 4, 8, 16, 64, 1024] {
        group.line(&format!("{pairs} pairs"), pairs, || {
            hash_pairs(black_box(&input[..2 * pairs]), &mut out[..pairs]);
        });
    }
    let mut group = bench.group("hash_pairs_in_place by batch size, per pair");
    for pairs in [1, 2, 3, 4, 8, 16, 64, 1024] {
        group.line(&format!("{pairs} pairs"), pairs, || {
            hash_pairs_in_place(black_box(&mut buf), pairs);
        });
    }

    let mut group = bench.group("one message");
    for len in [37, 64, 1024, 65536] {
        let message = vec![7; len];
        group.line(&format!("sha256, {len} bytes"), 1, || sha256(black_box(&message)));
        group.line(&format!("sha2 digest, {len} bytes"), 1, || {
            Sha256::digest(black_box(&message))
        });
    }
}
