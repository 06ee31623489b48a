//! Any text as the Beacon API's JSON of any container at any fork: an error, or a value that survives its own bytes.
//!
//! The first two bytes choose the container and the fork, the rest is the text.
#![no_main]

use consensus::Fork;
use consensus::types::registry::TYPES;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    let [kind, fork, text @ ..] = data else {
        return Corpus::Reject;
    };
    let info = &TYPES[*kind as usize % TYPES.len()];
    let fork = Fork::ALL[*fork as usize % Fork::ALL.len()];
    if !info.exists_at(fork) {
        return Corpus::Reject;
    }
    let Ok(json) = serde_json::from_slice(text) else {
        return Corpus::Keep;
    };
    if let Ok(value) = (info.from_json)(&json, fork) {
        let bytes = value.ssz_bytes(fork);
        let again = (info.decode)(&bytes, fork).expect("what we encode is decoded");
        assert_eq!(again.ssz_root(fork), value.ssz_root(fork));
    }
    Corpus::Keep
});
