use sha2::{Digest, Sha256};

use super::*;

fn hex(digest: &Hash256) -> String {
    digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Bytes without a pattern that a kernel could get right by accident.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed | 1;
    let step = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

fn nodes(count: usize, seed: u64) -> Vec<Hash256> {
    noise(32 * count, seed).as_chunks::<32>().0.to_vec()
}

/// What `hash_pairs` has to give, by an implementation that shares nothing with the kernels.
fn expected(input: &[Hash256]) -> Vec<Hash256> {
    input
        .chunks(2)
        .map(|pair| Sha256::digest(pair.concat()).into())
        .collect()
}

#[test]
fn known_answers() {
    // FIPS 180-2, appendix B, and the empty message.
    let cases: [(&[u8], &str); 3] = [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (
            b"abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
    ];
    for (message, digest) in cases {
        assert_eq!(hex(&sha256(message)), digest);
    }
    assert_eq!(
        hex(&sha256(&vec![b'a'; 1_000_000])),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    );
}

#[test]
fn sha256_agrees_with_the_streaming_hasher_at_every_length() {
    let bytes = noise(300, 7);
    for len in 0..=bytes.len() {
        assert_eq!(
            sha256(&bytes[..len])[..],
            Sha256::digest(&bytes[..len])[..],
            "at {len} bytes"
        );
    }
}

#[test]
fn every_kernel_agrees_at_every_batch_size() {
    let found = kernels();
    assert_eq!(found.last().map(|k| k.name), Some("portable x1"));
    for kernel in found {
        for pairs in 0..=130 {
            let input = nodes(2 * pairs, pairs as u64 + 1);
            // One more entry on each side, to see that nothing is written outside.
            let mut out = vec![[0xee; 32]; pairs + 2];
            kernel.hash_pairs(&input, &mut out[1..=pairs]);
            assert_eq!(out[1..=pairs], expected(&input), "{} with {pairs} pairs", kernel.name);
            assert_eq!(
                (out[0], out[pairs + 1]),
                ([0xee; 32], [0xee; 32]),
                "{} with {pairs} pairs",
                kernel.name
            );
        }
    }
}

#[test]
fn in_place_agrees_at_every_batch_size() {
    for pairs in 0..=130 {
        let input = nodes(2 * pairs + 1, pairs as u64 + 1);
        let mut buf = input.clone();
        hash_pairs_in_place(&mut buf, pairs);
        assert_eq!(buf[..pairs], expected(&input[..2 * pairs]), "{pairs} pairs");
        assert_eq!(buf[2 * pairs], input[2 * pairs], "{pairs} pairs");
    }
}

#[test]
fn one_pair_and_the_zero_hashes() {
    let pair = nodes(2, 3);
    assert_eq!(hash2(&pair[0], &pair[1]), expected(&pair)[0]);
    assert_eq!(zero_hash(0), &[0; 32]);
    // The root of an empty deposit tree (depth 32), known from the deposit contract.
    assert_eq!(
        hex(&hash2(zero_hash(32), zero_hash(0))),
        "d70a234731285c6804c2a4f56711ddb8c82c99740f207854891028af34e27e5e"
    );
    for depth in 1..ZERO_HASH_COUNT {
        assert_eq!(zero_hash(depth), &sha256(&[*zero_hash(depth - 1); 2].concat()));
    }
}

#[test]
#[should_panic(expected = "got 3 inputs for 1 outputs")]
fn uneven_input_is_refused() {
    hash_pairs(&[[0; 32]; 3], &mut [[0; 32]]);
}

#[test]
#[should_panic(expected = "got 5 entries for 3 pairs")]
fn a_short_buffer_is_refused() {
    hash_pairs_in_place(&mut [[0; 32]; 5], 3);
}
