//! Any bytes into any container at any fork: an error, or a value that encodes back to the same bytes.
//!
//! The first two bytes choose the container and the fork, the rest is decoded.
#![no_main]

use consensus::Fork;
use consensus::types::registry::TYPES;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    let [kind, fork, bytes @ ..] = data else {
        return Corpus::Reject;
    };
    let info = &TYPES[*kind as usize % TYPES.len()];
    let fork = Fork::ALL[*fork as usize % Fork::ALL.len()];
    if !info.exists_at(fork) {
        return Corpus::Reject;
    }
    let streamed = (info.decode_read)(&mut &bytes[..], bytes.len(), fork);
    let Ok(value) = (info.decode)(bytes, fork) else {
        assert!(streamed.is_err(), "{} at {fork} is read only from a reader", info.name);
        return Corpus::Keep;
    };
    let streamed = streamed.expect("what is read from memory is read from a reader");
    assert!(
        value.ssz_bytes(fork) == bytes,
        "{} at {fork} writes other bytes",
        info.name
    );
    assert_eq!(value.ssz_len(fork), bytes.len());
    assert_eq!(value.ssz_root(fork), streamed.ssz_root(fork));
    let json = serde_json::from_str(&value.json(fork)).expect("what we write is JSON");
    let read = (info.from_json)(&json, fork).expect("what we write as JSON is read");
    assert!(
        read.ssz_bytes(fork) == bytes,
        "{} at {fork} loses something in JSON",
        info.name
    );
    Corpus::Keep
});
