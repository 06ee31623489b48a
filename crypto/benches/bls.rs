//! What keys and signatures cost: one, in batches, and the keys of a registry in each of their forms.

mod harness;

use std::hint::black_box;

use crypto::bls::{
    PublicKey, SecretKey, Signature, SignatureSet, aggregate, aggregate_pubkeys, fast_aggregate_verify, find_invalid,
    verify, verify_signature_sets,
};
use crypto::hash::sha256;
use crypto::pubkeys::Pubkeys;

fn secret(number: usize) -> SecretKey {
    let mut bytes = sha256(&number.to_le_bytes());
    bytes[0] &= 0x3f; // below the order of the group
    SecretKey::from_bytes(&bytes).expect("a number below the order, and not zero, is a key")
}

/// Valid sets over this many messages in turn.
fn sets(count: usize, messages: usize) -> Vec<SignatureSet> {
    let set = |n: usize| {
        let message = sha256(&(n % messages).to_le_bytes());
        SignatureSet {
            signature: secret(n).sign(&message),
            pubkey: secret(n).public_key(),
            message,
        }
    };
    (0..count).map(set).collect()
}

fn main() {
    let bench = harness::Bench::from_args();
    let key = secret(1);
    let (pubkey, message) = (key.public_key(), sha256(b"message"));
    let signature = key.sign(&message);

    let mut group = bench.group("one signature");
    group.line("verify", 1, || verify(black_box(&pubkey), &message, &signature));
    group.line("sign", 1, || key.sign(black_box(&message)));
    group.line("public key of a secret key", 1, || key.public_key());
    let compressed = signature.to_bytes();
    group.line("signature: decompress", 1, || {
        Signature::from_bytes(black_box(&compressed))
    });
    group.line("signature: subgroup check", 1, || {
        black_box(&signature).is_in_subgroup()
    });
    group.line("signature: compress", 1, || black_box(&signature).to_bytes());

    let mut group = bench.group("verification, per signature");
    group.line("one by one", 1, || verify(black_box(&pubkey), &message, &signature));
    for count in [8, 32, 64, 128] {
        let sets = sets(count, count);
        group.line(&format!("batch of {count}, all messages distinct"), count, || {
            verify_signature_sets(&sets)
        });
    }
    let mixed = sets(128, 8);
    group.line("batch of 128 over 8 messages", 128, || verify_signature_sets(&mixed));
    for count in [8, 64, 128, 256] {
        let sets = sets(count, 1);
        group.line(&format!("batch of {count}, all of one message"), count, || {
            verify_signature_sets(&sets)
        });
    }
    let mut bad = sets(64, 1);
    bad[40].signature = bad[41].signature;
    group.line("find_invalid: one bad of 64 of one message", 64, || find_invalid(&bad));

    let keys: Vec<PublicKey> = (0..512).map(|n| secret(n).public_key()).collect();
    public_keys(&bench, &keys);

    let mut group = bench.group("512 signers of one message, all together");
    let sum = aggregate((0..512).map(|n| secret(n).sign(&message))).expect("there are 512");
    group.line("verify, keys summed before", 1, || {
        verify(black_box(&pubkey), &message, &signature)
    });
    group.line("fast_aggregate_verify", 1, || {
        fast_aggregate_verify(black_box(&keys), &message, &sum)
    });
    group.line("aggregate_pubkeys", 1, || aggregate_pubkeys(black_box(&keys)));
}

fn public_keys(bench: &harness::Bench, keys: &[PublicKey]) {
    let compressed: Vec<_> = keys.iter().map(PublicKey::to_compressed).collect();
    let uncompressed: Vec<_> = keys.iter().map(PublicKey::to_uncompressed).collect();
    let path = std::env::temp_dir().join(format!("wren-bench-pubkeys-{}", std::process::id()));
    let mut file = Pubkeys::open(&path).expect("the folder for temporary files can be written");
    file.append(keys)
        .expect("the folder for temporary files has room for 50 kB");

    let mut group = bench.group("512 public keys, per key");
    group.line("uncompressed, trusted", 512, || {
        uncompressed
            .iter()
            .all(|bytes| black_box(PublicKey::from_uncompressed_trusted(bytes)).is_ok())
    });
    group.line("registry: get, mapped file", 512, || {
        (0..512).all(|index| black_box(file.get(index)).is_ok())
    });
    group.line("compressed, trusted", 512, || {
        compressed
            .iter()
            .all(|bytes| black_box(PublicKey::from_compressed_trusted(bytes)).is_ok())
    });
    group.line("compressed, checked", 512, || {
        compressed
            .iter()
            .all(|bytes| black_box(PublicKey::from_compressed(bytes)).is_ok())
    });
    group.line("to compressed", 512, || {
        keys.iter().all(|key| black_box(key.to_compressed())[0] != 0)
    });
    group.line("aggregate_pubkeys", 512, || aggregate_pubkeys(black_box(keys)));
    // Left behind in the folder for temporary files if this fails, which does no harm.
    let _ = std::fs::remove_file(&path);
}
