use super::*;

const MESSAGE: [u8; 32] = [0x56; 32];

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

/// The secret key that is this number.
fn secret(number: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_bytes(&bytes).unwrap()
}

fn public(number: u64) -> PublicKey {
    secret(number).public_key()
}

fn negated(key: &PublicKey) -> PublicKey {
    let mut bytes = key.to_compressed();
    bytes[0] ^= 0x20;
    PublicKey::from_compressed(&bytes).unwrap()
}

/// A point of the curve outside the subgroup (the vector `deserialization_fails_not_in_G2`).
fn outside_g2() -> Signature {
    Signature::from_bytes(&bytes(NOT_IN_G2)).unwrap()
}

const NOT_IN_G1: &str =
    "8123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NOT_IN_G2: &str = "8123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                         0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// A point of order 13, which divides the cofactor of G2 (computed from the curve's equation).
const ORDER_13_G2: &str = "832762e5199990da7d4ebc6409c2fdae09b25206fa89dded0a23c05406588284278c22ea15e6d03cee69a68b7d4704a4\
                           043ff79d06a80add8340a1a548d700c5ffeef5b14a3e246834d320e323d9fcc76bae16f9f2763ab556905843518bc0c2";

#[test]
fn secret_keys_are_checked_and_not_printed() {
    const ORDER: &str = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";
    assert_eq!(
        SecretKey::from_bytes(&[0; 32]).unwrap_err(),
        BlsError::SecretKeyOutOfRange
    );
    assert_eq!(
        SecretKey::from_bytes(&bytes(ORDER)).unwrap_err(),
        BlsError::SecretKeyOutOfRange
    );
    assert_eq!(
        SecretKey::from_bytes(&[0xff; 32]).unwrap_err(),
        BlsError::SecretKeyOutOfRange
    );
    let mut last: [u8; 32] = bytes(ORDER);
    last[31] = 0;
    let key = SecretKey::from_bytes(&last).unwrap();
    assert_eq!(*key.to_bytes(), last);
    assert_eq!(format!("{key:?}"), "SecretKey(..)");
    // One below the order is minus one.
    assert_eq!(key.public_key(), negated(&public(1)));
}

#[test]
fn known_signature() {
    // The vector `sign_case_11b8c7cad5238946`.
    let key = SecretKey::from_bytes(&bytes(
        "47b8192d77bf871b62e87859d653922725724a5c031afeabc60bcef5ff665138",
    ))
    .unwrap();
    let signature = key.sign(&[0; 32]);
    let expected = "b23c46be3a001c63ca711f87a005c200cc550b9429d5f4eb38d74322144f1b63926da3388979e5321012fb1a0526bcd1\
                    00b5ef5fe72628ce4cd5e904aeaa3279527843fae5ca9ca675f4f51ed8f83bbf7155da9ecc9663100a885d5dc6df96d9";
    assert_eq!(signature.to_bytes(), bytes(expected));
    assert_eq!(Signature::from_bytes(&bytes(expected)), Ok(signature));
    assert!(verify(&key.public_key(), &[0; 32], &signature));
    assert!(!verify(&key.public_key(), &[1; 32], &signature));
    assert!(!verify(&public(1), &[0; 32], &signature));
    assert!(!verify(&key.public_key(), &[0; 32], &secret(1).sign(&[0; 32])));
}

#[test]
fn public_keys_keep_their_value_in_both_forms() {
    for number in 1..20 {
        let key = public(number);
        assert_eq!(PublicKey::from_compressed(&key.to_compressed()), Ok(key));
        assert_eq!(PublicKey::from_compressed_trusted(&key.to_compressed()), Ok(key));
        assert_eq!(PublicKey::from_uncompressed_trusted(&key.to_uncompressed()), Ok(key));
    }
}

#[test]
fn what_is_no_public_key_is_refused() {
    let outside: [u8; 48] = bytes(NOT_IN_G1);
    assert_eq!(PublicKey::from_compressed(&outside), Err(BlsError::NotInSubgroup));
    let trusted = PublicKey::from_compressed_trusted(&outside).unwrap();
    assert_eq!(
        PublicKey::from_uncompressed_trusted(&trusted.to_uncompressed()),
        Ok(trusted)
    );

    let (mut infinity, mut long_infinity) = ([0; 48], [0; 96]);
    (infinity[0], long_infinity[0]) = (0xc0, 0x40);
    assert_eq!(PublicKey::from_compressed(&infinity), Err(BlsError::Infinity));
    assert_eq!(PublicKey::from_compressed_trusted(&infinity), Err(BlsError::Infinity));
    assert_eq!(
        PublicKey::from_uncompressed_trusted(&long_infinity),
        Err(BlsError::Infinity)
    );
    infinity[47] = 1;
    assert_eq!(PublicKey::from_compressed(&infinity), Err(BlsError::BadEncoding));
    assert_eq!(PublicKey::from_compressed(&[0; 48]), Err(BlsError::BadEncoding));

    let mut long = public(3).to_uncompressed();
    long[95] ^= 1;
    assert_eq!(PublicKey::from_uncompressed_trusted(&long), Err(BlsError::NotOnCurve));
    // The compressed form in the longer array.
    let mut disguised = [0; 96];
    disguised[..48].copy_from_slice(&public(3).to_compressed());
    assert_eq!(
        PublicKey::from_uncompressed_trusted(&disguised),
        Err(BlsError::BadEncoding)
    );
}

#[test]
fn keys_add_up() {
    // Multiples of the generator: their sum is known without adding points. The counts cross the point from which on
    // additions are batched (16) and the size of a batch (1024).
    let keys: Vec<PublicKey> = (1..=1100).map(public).collect();
    for count in [1, 2, 3, 15, 16, 17, 33, 1023, 1024, 1025, 1100] {
        let sum = public((1..=count).sum());
        let keys = &keys[..count as usize];
        assert_eq!(aggregate_pubkeys(keys), Ok(sum), "{count} keys");
        assert_eq!(
            aggregate_pubkeys(keys.iter().copied().rev()),
            Ok(sum),
            "{count} keys, the other way round"
        );
        assert_eq!(eth_aggregate_pubkeys(keys), Ok(sum.to_compressed()), "{count} keys");
    }
    // The same key over and over, as in a small sync committee: every addition is a doubling.
    assert_eq!(aggregate_pubkeys([public(5); 64]), Ok(public(320)));
    let none: [PublicKey; 0] = [];
    assert_eq!(aggregate_pubkeys(none), Err(BlsError::Empty));
    assert_eq!(eth_aggregate_pubkeys(none), Err(BlsError::Empty));
}

#[test]
fn the_absent_are_taken_from_a_sum() {
    let keys: Vec<PublicKey> = (1..=40).map(public).collect();
    let mut sum = PublicKeySum::of(&keys);
    assert_eq!(sum.public_key(), Ok(public(820)));
    sum.subtract(&PublicKeySum::of(&keys[10..]));
    assert_eq!(sum.public_key(), Ok(public(55)));
    sum.add(&PublicKeySum::from(&public(100)));
    sum.add(&PublicKeySum::default());
    assert_eq!(sum.public_key(), Ok(public(155)));
    sum.add(&PublicKeySum::from(&public(155)));
    assert_eq!(sum.public_key(), Ok(public(310)), "a doubling");
    sum.subtract(&PublicKeySum::of([public(300), public(10)]));
    assert_eq!(sum.public_key(), Err(BlsError::Infinity));
    sum.subtract(&PublicKeySum::from(&public(3)));
    sum.add(&PublicKeySum::from(&public(8)));
    assert_eq!(sum.public_key(), Ok(public(5)));
    let none: [PublicKey; 0] = [];
    assert_eq!(PublicKeySum::of(none).public_key(), Err(BlsError::Infinity));
}

#[test]
fn keys_that_cancel_out_sign_nothing() {
    let pair = [public(7), negated(&public(7))];
    assert_eq!(aggregate_pubkeys(pair), Err(BlsError::Infinity));
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    assert_eq!(eth_aggregate_pubkeys(pair), Ok(infinity));
    // Among others the pair does no harm, wherever it stands in the tree of additions.
    let many: Vec<_> = (1..=20).map(public).chain(pair).chain((21..=40).map(public)).collect();
    assert_eq!(aggregate_pubkeys(&many), Ok(public(820)));

    let nothing = Signature::from_bytes(&Signature::INFINITY).unwrap();
    assert!(!fast_aggregate_verify(pair, &MESSAGE, &nothing));
    assert!(!eth_fast_aggregate_verify(pair, &MESSAGE, &nothing));
    assert!(!verify(&pair[0], &MESSAGE, &nothing));
    // The draft's AggregateVerify looks at the keys one by one, and so accepts this.
    assert!(aggregate_verify(&pair, &[MESSAGE, MESSAGE], &nothing));
}

#[test]
fn signatures_add_up() {
    let signatures: Vec<_> = (1..=5).map(|n| secret(n).sign(&MESSAGE)).collect();
    let sum = aggregate(&signatures).unwrap();
    assert_eq!(sum, secret(15).sign(&MESSAGE));
    assert_eq!(aggregate([signatures[0]; 2]), Ok(secret(2).sign(&MESSAGE)));
    let mut growing = AggregateSignature::new();
    assert!(growing.signature().is_infinity());
    for signature in &signatures {
        growing.add(signature);
    }
    assert_eq!(growing.signature(), sum);
    let (mut first, mut second) = (AggregateSignature::new(), AggregateSignature::new());
    signatures[..2].iter().for_each(|signature| first.add(signature));
    signatures[2..].iter().for_each(|signature| second.add(signature));
    first.merge(&second);
    assert_eq!(first.signature(), sum);
    first.merge(&AggregateSignature::new());
    assert_eq!(first.signature(), sum);
    let none: [Signature; 0] = [];
    assert_eq!(aggregate(none), Err(BlsError::Empty));

    let keys: Vec<_> = (1..=5).map(public).collect();
    assert!(fast_aggregate_verify(&keys, &MESSAGE, &sum));
    assert!(eth_fast_aggregate_verify(&keys, &MESSAGE, &sum));
    assert!(!fast_aggregate_verify(&keys[..4], &MESSAGE, &sum));
    assert!(!fast_aggregate_verify(&keys, &[0; 32], &sum));
}

#[test]
fn a_signature_of_nobody_is_valid_in_one_place_only() {
    let none: [PublicKey; 0] = [];
    let no_messages: [[u8; 32]; 0] = [];
    let nothing = Signature::from_bytes(&Signature::INFINITY).unwrap();
    assert!(eth_fast_aggregate_verify(none, &MESSAGE, &nothing));
    assert!(!eth_fast_aggregate_verify(none, &MESSAGE, &secret(1).sign(&MESSAGE)));
    assert!(!fast_aggregate_verify(none, &MESSAGE, &nothing));
    assert!(!aggregate_verify(&none, &no_messages, &nothing));
    assert!(!eth_fast_aggregate_verify([public(1)], &MESSAGE, &nothing));
}

#[test]
fn aggregates_over_different_messages() {
    let messages: Vec<[u8; 32]> = (0..20).map(|n| [n; 32]).collect();
    let keys: Vec<_> = (1..=20).map(public).collect();
    let sum = aggregate((1..=20).zip(&messages).map(|(n, message)| secret(n).sign(message))).unwrap();
    assert!(aggregate_verify(&keys, &messages, &sum));
    assert!(!aggregate_verify(&keys[..19], &messages, &sum));
    assert!(!aggregate_verify(&keys[..19], &messages[..19], &sum));
    let mut swapped = messages.clone();
    swapped.swap(3, 17);
    assert!(!aggregate_verify(&keys, &swapped, &sum));
}

#[test]
fn a_signature_outside_the_subgroup_is_never_valid() {
    let outside = outside_g2();
    assert!(!outside.is_in_subgroup());
    assert!(!verify(&public(1), &MESSAGE, &outside));
    assert!(!aggregate_verify(&[public(1)], &[MESSAGE], &outside));
    let mut sets = batch(4, 1);
    sets[2].signature = outside;
    assert!(!verify_signature_sets(&sets));
    assert_eq!(find_invalid(&sets), [2]);
}

#[test]
fn a_point_of_small_order_does_not_hide_in_a_batch() {
    let small = Signature::from_bytes(&bytes(ORDER_13_G2)).unwrap();
    assert!(!small.is_in_subgroup());
    assert!(aggregate([small; 13]).unwrap().is_infinity());
    let mut sets = batch(2, 1);
    sets[0].signature = aggregate([sets[0].signature, small]).unwrap();
    // One random number in 13 makes it vanish, so that without the check some of these would pass.
    for _ in 0..150 {
        assert!(!verify_signature_sets(&sets));
        assert_eq!(find_invalid(&sets), [0]);
    }
}

/// Valid sets with keys 1, 2, …, over this many messages in turn.
fn batch(count: u64, messages: u64) -> Vec<SignatureSet> {
    let set = |n: u64| {
        let mut message = MESSAGE;
        message[31] = (n % messages) as u8;
        SignatureSet {
            signature: secret(n).sign(&message),
            pubkey: public(n),
            message,
        }
    };
    (1..=count).map(set).collect()
}

#[test]
fn batches_of_all_shapes() {
    assert!(!verify_signature_sets(&[]));
    assert!(find_invalid(&[]).is_empty());
    for messages in [1, 2, 7, 100] {
        let sets = batch(40, messages);
        for count in 1..=sets.len() {
            assert!(
                verify_signature_sets(&sets[..count]),
                "{count} sets over {messages} messages"
            );
        }
        assert!(find_invalid(&sets).is_empty());
    }
}

#[test]
fn the_bad_ones_are_found() {
    for messages in [1, 3, 100] {
        let good = batch(12, messages);
        for bad in 0..good.len() {
            let mut sets = good.clone();
            sets[bad].signature = secret(99).sign(&sets[bad].message);
            assert!(!verify_signature_sets(&sets));
            assert_eq!(find_invalid(&sets), [bad], "over {messages} messages");
            // A second one of another kind.
            let other = (bad + 5) % good.len();
            sets[other].message[0] ^= 1;
            assert_eq!(
                find_invalid(&sets),
                [bad.min(other), bad.max(other)],
                "over {messages} messages"
            );
        }
    }
    let mut all = batch(9, 2);
    for set in &mut all {
        set.message[0] ^= 1;
    }
    assert_eq!(find_invalid(&all), (0..9).collect::<Vec<_>>());
}

#[test]
fn errors_that_cancel_out_are_seen() {
    // The plain sum of all signatures is right in each case, so that only the random numbers tell.
    for messages in [1, 10] {
        let mut sets = batch(10, messages);
        (sets[1].signature, sets[8].signature) = (sets[8].signature, sets[1].signature);
        assert!(!verify_signature_sets(&sets), "over {messages} messages");
        assert_eq!(find_invalid(&sets), [1, 8]);
    }
    let mut sets = batch(2, 1);
    sets[0].signature = Signature::from_bytes(&Signature::INFINITY).unwrap();
    sets[1].signature = secret(3).sign(&sets[1].message);
    assert!(fast_aggregate_verify(
        [public(1), public(2)],
        &sets[0].message,
        &aggregate([sets[0].signature, sets[1].signature]).unwrap()
    ));
    assert!(!verify_signature_sets(&sets));
    assert_eq!(find_invalid(&sets), [0, 1]);
}

#[test]
fn sets_of_several_signers() {
    let signature = aggregate((1..=3).map(|n| secret(n).sign(&MESSAGE))).unwrap();
    let set = SignatureSet::aggregate(signature, (1..=3).map(public), MESSAGE).unwrap();
    assert_eq!(set.pubkey, public(6));
    assert!(verify_signature_sets(&[set]));
    let mut sets = batch(5, 2);
    sets.push(set);
    assert!(verify_signature_sets(&sets));
    let pair = [public(7), negated(&public(7))];
    assert_eq!(
        SignatureSet::aggregate(signature, pair, MESSAGE),
        Err(BlsError::Infinity)
    );
}

#[test]
fn consecutive_keys_belong_together() {
    let first = secret(40);
    let keys = consecutive_public_keys(&first, 1030);
    assert_eq!(keys.len(), 1030);
    for number in [0, 1, 2, 1023, 1024, 1029] {
        assert_eq!(keys[number], public(40 + number as u64));
        assert_eq!(
            consecutive_secret_key(&first, number as u64).unwrap().public_key(),
            keys[number]
        );
    }
}
