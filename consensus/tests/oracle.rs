//! Our containers against those of `ssz_rs`, byte for byte and root for root; see [`crate::mirror`].

use crate::mirror::{self, Mirror};
use crate::support::{Rng, rounds};
use consensus::Fork;
use consensus::types::registry::{DynSsz, TYPES, TypeInfo};

/// Values per container and fork in a long run.
const ROUNDS: usize = 200;
/// Values of a mainnet state, which has some 2.7 MB.
const BIG_ROUNDS: usize = 20;

/// Every container with its twin, at every fork that has it.
pub(crate) fn all() -> impl Iterator<Item = (&'static TypeInfo, Fork, Mirror)> {
    TYPES.iter().flat_map(|info| {
        let forks = Fork::ALL.into_iter().filter(|fork| info.exists_at(*fork));
        forks.map(move |fork| {
            let twin = mirror::find(info.name, fork)
                .unwrap_or_else(|| panic!("declare {} of {fork} in tests/mirror", info.name));
            (info, fork, twin)
        })
    })
}

/// How many of `long` rounds are run for a container: fewer where one value is megabytes.
pub(crate) fn rounds_of(info: &TypeInfo, fork: Fork, long: usize) -> usize {
    let big = (info.default)(fork).ssz_len(fork) > 1 << 20;
    rounds(if big { long * BIG_ROUNDS / ROUNDS } else { long })
}

/// Fails unless ours has the bytes of theirs and, up to Fulu, its root.
fn compare(ours: &dyn DynSsz, theirs: &mut dyn mirror::Theirs, fork: Fork, what: &str) {
    let bytes = theirs.bytes();
    assert_eq!(ours.ssz_len(fork), bytes.len(), "{what}: length");
    assert!(ours.ssz_bytes(fork) == bytes, "{what}: bytes");
    if fork < Fork::Gloas {
        assert_eq!(ours.ssz_root(fork).0, theirs.root(), "{what}: root");
    }
}

#[test]
fn values_of_ssz_rs_have_our_bytes_and_roots() {
    let mut compared = 0;
    for (info, fork, twin) in all() {
        let mut rng = Rng::named(&format!("{} {fork}", info.name));
        for round in 0..rounds_of(info, fork, ROUNDS) {
            let what = format!("{} at {fork}, value {round}", info.name);
            let mut theirs = (twin.random)(&mut rng);
            let bytes = theirs.bytes();
            let ours = (info.decode)(&bytes, fork).unwrap_or_else(|error| panic!("{what}: {error}"));
            compare(&*ours, &mut *theirs, fork, &what);
            let streamed = (info.decode_read)(&mut &bytes[..], bytes.len(), fork);
            let streamed = streamed.unwrap_or_else(|error| panic!("{what}, streamed: {error}"));
            assert!(streamed.ssz_bytes(fork) == bytes, "{what}: streamed bytes");
            assert_eq!(streamed.ssz_root(fork), ours.ssz_root(fork), "{what}: streamed root");
            compared += 1;
        }
    }
    assert!(compared > 5000, "only {compared} values were compared");
}

/// The reverse: damaged bytes that we still read are read by `ssz_rs`, as the same value.
#[test]
fn what_we_read_ssz_rs_reads_alike() {
    let mut compared = 0;
    for (info, fork, twin) in all() {
        let mut rng = Rng::named(&format!("reverse {} {fork}", info.name));
        let mut bytes = (twin.random)(&mut rng).bytes();
        for round in 0..rounds_of(info, fork, ROUNDS) {
            let at = rng.below(bytes.len());
            let before = std::mem::replace(&mut bytes[at], rng.next() as u8);
            let Ok(ours) = (info.decode)(&bytes, fork) else {
                bytes[at] = before;
                continue;
            };
            let what = format!("{} at {fork}, byte {at} changed in round {round}", info.name);
            let mut theirs = (twin.decode)(&bytes).unwrap_or_else(|| panic!("{what}: ssz_rs refuses it"));
            compare(&*ours, &mut *theirs, fork, &what);
            compared += 1;
        }
    }
    assert!(compared > 3000, "only {compared} values were compared");
}

/// JSON is our own and has no oracle: it must give back what it was made of.
#[test]
fn random_values_survive_json() {
    for (info, fork, twin) in all() {
        let mut rng = Rng::named(&format!("json {} {fork}", info.name));
        for _ in 0..rounds_of(info, fork, ROUNDS / 4) {
            let bytes = (twin.random)(&mut rng).bytes();
            let ours = (info.decode)(&bytes, fork).expect("the oracle test says why not");
            let json = serde_json::from_str(&ours.json(fork)).expect("what we write is JSON");
            let read = (info.from_json)(&json, fork).unwrap_or_else(|error| panic!("{} at {fork}: {error}", info.name));
            assert!(read.ssz_bytes(fork) == bytes, "{} at {fork}", info.name);
        }
    }
}
